//! What comes out of data files, good and bad.

use std::fmt::Write as _;

use slhf_data::read;

#[track_caller]
fn refused(file: &str, text: impl AsRef<[u8]>, expected: &str) {
    let error = read(file, text.as_ref()).expect_err("this should be refused").to_string();
    assert_eq!(error, expected);
}

#[test]
fn a_matrix_in_any_dress() {
    let expected = vec![vec![0.5, 0.9], vec![0.1, 0.5]];
    for text in [
        "a,b\n0.5,0.9\n0.1,0.5\n",
        "a,b\r\n0.5,0.9\r\n0.1,0.5\r\n",
        "\u{feff}a,b\n,0.9\n0.1,\n",
        "\"a\",\"b\"\n0.5, 0.9\n 1e-1 ,.5",
        "a,b\n\n0.5,0.9\n,\n0.1,0.5\n\n",
    ] {
        let data = read("m.csv", text.as_bytes()).unwrap();
        assert_eq!((data.actions.as_slice(), &data.preferences), (&["a".to_owned(), "b".to_owned()][..], &expected));
        assert!(data.tally.is_none() && data.notes.is_empty());
    }
}

#[test]
fn names_may_hold_commas_and_quotes() {
    let data = read("m.csv", "\"yes, sir\",\"a \"\"b\"\"\"\n0.5,1\n0,0.5\n".as_bytes()).unwrap();
    assert_eq!(data.actions, ["yes, sir", "a \"b\""]);
}

#[test]
fn bad_matrices_are_named_by_row_and_column() {
    refused("m.csv", "", "m.csv: the file is empty; expected preference data");
    refused(
        "m.csv",
        "a,b\n0.5,x\n0,0.5",
        "m.csv, row 2, column 2 (\"b\"): \"x\" is no number; expected a probability in [0, 1]",
    );
    refused("m.csv", "a,b\n0.5,NaN\n0,0.5", "m.csv, row 2, column 2 (\"b\"): NaN; expected a probability in [0, 1]");
    refused(
        "m.csv",
        "a,b\n0.5,0.5\n1.5,0.5",
        "m.csv, row 3, column 1 (\"a\"): 1.5 is outside [0, 1]; expected a probability in [0, 1]",
    );
    refused(
        "m.csv",
        "a,b\n0.5,-inf\n1,0.5",
        "m.csv, row 2, column 2 (\"b\"): -inf is outside [0, 1]; expected a probability in [0, 1]",
    );
    refused(
        "m.csv",
        "a,b\n0.5,\n1,0.5",
        "m.csv, row 2, column 2 (\"b\"): the cell is empty; expected a probability in [0, 1]",
    );
    refused(
        "m.csv",
        "a,b\n0.4,1\n0,0.5",
        "m.csv, row 2, column 1 (\"a\"): 0.4 is an action against itself; expected 0.5 or nothing on the diagonal",
    );
    refused(
        "m.csv",
        "a,b\n0.5,1\n0",
        "m.csv, row 3: the row has 1 of the 2 cells that the header asks for, one for each action (rows have no label)",
    );
    refused(
        "m.csv",
        "a,b\n0.5,1\n0,0.5,1",
        "m.csv, row 3: the row has 3 of the 2 cells that the header asks for, one for each action (rows have no label)",
    );
    refused(
        "m.csv",
        "a,b\n0.5,1\n",
        "m.csv: the matrix has 1 of the 2 rows that the header asks for, one for each action",
    );
    refused(
        "m.csv",
        "a,b\n0.5,1\n0,0.5\n0,0",
        "m.csv, row 4: this is row 3 of a matrix of 2 actions; expected one row for each action of the header",
    );
    refused("m.csv", "a\n0.5\n", "m.csv, row 1: one action; a game needs at least two, separated by commas");
    refused(
        "m.csv",
        "a,b,a\n",
        "m.csv, row 1, column 3 (\"a\"): the name stands in column 1 already; every action needs a name of its own",
    );
    refused(
        "m.csv",
        "a,,c\n",
        "m.csv, row 1, column 2: an action without a name; expected a header row of action names",
    );
    refused(
        "m.csv",
        "0.5,0.9\n0.1,0.5\n",
        "m.csv, row 1: the first row holds numbers; expected a header row of action names",
    );
    refused("m.csv", b"a,b\n0.5,\xff\n", "m.csv, row 2: the text is not UTF-8; save the file as UTF-8");
    refused("m.xlsx", "a,b", "m.xlsx: this is no preference data by its name; expected .csv, .soc, .soi, .toc or .toi");
}

#[test]
fn counts_become_probabilities_and_repeated_rows_add_up() {
    let data = read("c.csv", b"first,second,wins\na,b,3\nb,a,1\na,b,4\nb,c,0.5\nc,b,0.5\n").unwrap();
    assert_eq!(data.actions, ["a", "b", "c"]);
    assert_eq!(data.preferences, [[0.5, 0.875, 0.5], [0.125, 0.5, 0.5], [0.5, 0.5, 0.5]]);
    assert_eq!(data.notes, ["1 pair was never compared and is taken as 0.5: a and c"]);
    let tally = data.tally.unwrap();
    assert_eq!(tally.wins, [[0.0, 7.0, 0.0], [1.0, 0.0, 0.5], [0.0, 0.5, 0.0]]);
    assert_eq!(tally.comparisons_per_order(), [[0.0, 4.0, 0.0], [4.0, 0.0, 0.5], [0.0, 0.5, 0.0]]);
}

#[test]
fn bad_counts_are_named() {
    let check = |rows: &str, expected: &str| refused("c.csv", format!("first,second,wins\n{rows}"), expected);
    check(
        "a,b,-1\n",
        "c.csv, row 2, column 3 (\"wins\"): -1; expected a number of comparisons, 0 or more (a tie is 0.5 for each side)",
    );
    check(
        "a,b,many\n",
        "c.csv, row 2, column 3 (\"wins\"): \"many\" is no number; expected a number of comparisons, 0 or more (a tie is 0.5 for each side)",
    );
    check(
        "a,b,inf\n",
        "c.csv, row 2, column 3 (\"wins\"): inf; expected a number of comparisons, 0 or more (a tie is 0.5 for each side)",
    );
    check("a,b\n", "c.csv, row 2: the row has 2 of 3 cells: first, second, wins");
    check("a,a,1\n", "c.csv, row 2: \"a\" against itself; expected two different actions");
    check(",a,1\n", "c.csv, row 2, column 1 (\"first\"): an action without a name");
    check("", "c.csv: no comparison was counted; expected rows like rock,scissors,9");
    check("a,b,0\n", "c.csv: no comparison was counted; expected rows like rock,scissors,9");
}

#[expect(clippy::unwrap_used, reason = "writing to a string cannot fail")]
fn preflib(extension: &str, names: &[&str], orders: &str) -> String {
    let mut text = format!("# DATA TYPE: {extension}\r\n# NUMBER ALTERNATIVES: {}\n", names.len());
    for (index, name) in names.iter().enumerate() {
        writeln!(text, "# ALTERNATIVE NAME {}: {name}", index + 1).unwrap();
    }
    text + orders
}

#[test]
fn ties_count_half_and_what_is_left_out_ranks_below() {
    let text = preflib("toi", &["a", "b", "c", "d"], "3: 1,{2,3}\n2: {2,1}\n1: 4\n");
    let data = read("v.toi", text.as_bytes()).unwrap();
    let wins = data.tally.unwrap().wins;
    // Three voters: a > b = c > d. Two: a = b > {c, d}, and c, d are no comparison. One: d > {a, b, c}.
    assert_eq!(wins[0], [0.0, 4.0, 5.0, 5.0]);
    assert_eq!(wins[1], [1.0, 0.0, 3.5, 5.0]);
    assert_eq!(wins[2], [0.0, 1.5, 0.0, 3.0]);
    assert_eq!(wins[3], [1.0, 1.0, 1.0, 0.0]);
    assert_eq!(data.preferences[0], [0.5, 0.8, 1.0, 5.0 / 6.0]);
    assert!(data.notes.is_empty());
}

#[test]
fn pairs_that_no_ballot_compares_are_noted() {
    let text = preflib("soi", &["a", "b", "c"], "3: 1\n");
    let data = read("v.soi", text.as_bytes()).unwrap();
    assert_eq!(data.preferences, [[0.5, 1.0, 1.0], [0.0, 0.5, 0.5], [0.0, 0.5, 0.5]]);
    assert_eq!(data.notes, ["1 pair was never compared and is taken as 0.5: b and c"]);
}

#[test]
fn bad_profiles_are_named() {
    let check = |extension: &str, orders: &str, expected: &str| {
        refused(&format!("v.{extension}"), preflib(extension, &["a", "b", "c"], orders), expected);
    };
    check("soc", "1: 1,2,x\n", "v.soc, row 6: \"x\" is no alternative; expected its number");
    check("soc", "1: 1,2,1\n", "v.soc, row 6: alternative 1 stands in two places of one order, above and below itself");
    check("toc", "1: 1,{2,3\n", "v.toc, row 6: a brace \"{\" that is not closed");
    check("soc", "x: 1,2,3\n", "v.soc, row 6: \"x\" voters; expected a whole number");
    check("soc", "1,2,3\n", "v.soc, row 6: \"1,2,3\"; expected how many voters and their order, like 12: 3,1,2");
    check("soc", "", "v.soc: no ballot compares anything; expected lines like 12: 3,1,2");
    check("soc", "-1: 1,2,3\n", "v.soc, row 6: \"-1\" voters; expected a whole number");
    refused(
        "v.soc",
        preflib("cat", &["a", "b"], "1: 1,2\n"),
        "v.soc, row 1: DATA TYPE is cat, which holds no orders; expected soc, soi, toc or toi",
    );
    refused("v.soi", preflib("soi", &["a"], "1: 1\n"), "v.soi: the alternatives are 1; expected 2 to 4096");
    refused(
        "v.soc",
        "3\n1,a\n",
        "v.soc: there is no line \"# NUMBER ALTERNATIVES: n\"; expected PrefLib's format of 2022 and later",
    );
    refused(
        "v.soc",
        "# NUMBER ALTERNATIVES: 1\n# ALTERNATIVE NAME 1: a\n1: 1\n",
        "v.soc: the alternatives are 1; expected 2 to 4096",
    );
    refused(
        "v.soc",
        "# NUMBER ALTERNATIVES: 2\n# NUMBER VOTERS: 1\n9007199254740993: 1,2\n",
        "v.soc, row 3: \"9007199254740993\" voters; expected a whole number",
    );
}

/// What preflibtools 2.0.33 reads of small files in every dress, held against what is counted here.
#[test]
fn profiles_are_read_as_preflibtools_reads_them() {
    #[derive(serde::Deserialize)]
    struct Fixture {
        preflibtools: String,
        files: Vec<Case>,
    }
    #[derive(serde::Deserialize)]
    struct Case {
        file: String,
        text: String,
        /// Groups of alternatives by number, and voters.
        #[serde(default)]
        orders: Vec<(Vec<Vec<u64>>, i64)>,
        #[serde(default)]
        names: Vec<(u64, String)>,
        error: Option<String>,
    }
    // What preflibtools reads and what means nothing as counts.
    let refused = [
        "negative.soc",
        "below-itself.soi",
        "below-itself.toi",
        "letters.soc",
        "not-closed.toc",
        "minus.soc",
        "half.soc",
        "spaces-between.soc",
        "equals.toc",
        "categories.soc",
        "one.soc",
        "nothing-compared.soi",
    ];
    // What preflibtools refuses and what is no harm.
    let beyond = ["a-remark-between.soc", "a-blank-line-in-the-header.soc", "byte-order-mark.soc"];
    let Fixture { preflibtools, files } = serde_json::from_str(include_str!("fixtures/preflib/expected.json")).unwrap();
    assert_eq!(preflibtools, "2.0.33");
    assert!(files.len() >= 60);
    for case in files {
        let file = case.file.as_str();
        let found = read(file, case.text.as_bytes());
        if refused.contains(&file) || (case.error.is_some() && !beyond.contains(&file)) {
            let said = found.expect_err(file).to_string();
            assert!(said.starts_with(&format!("{file}: ")) || said.starts_with(&format!("{file}, row ")), "{said}");
            continue;
        }
        let data = found.expect(file);
        assert_eq!(beyond.contains(&file), case.error.is_some(), "{file}");
        if case.error.is_some() {
            assert_eq!(data.actions, ["Ann", "Bob", "Cy"], "{file}");
            continue;
        }
        let names: Vec<&String> = case.names.iter().map(|(_, name)| name).collect();
        assert_eq!(data.actions.iter().collect::<Vec<_>>(), names, "{file}");
        let n = data.actions.len();
        let mut wins = vec![vec![0.0; n]; n];
        for (groups, voters) in &case.orders {
            let rank = |i: usize| groups.iter().position(|group| group.contains(&case.names[i].0));
            for (i, row) in wins.iter_mut().enumerate() {
                for (j, cell) in row.iter_mut().enumerate() {
                    let share = match (rank(i), rank(j)) {
                        (Some(own), Some(other)) if own == other => 0.5,
                        (Some(own), other) if other.is_none_or(|other| own < other) => 1.0,
                        _ => 0.0,
                    };
                    *cell += if i == j { 0.0 } else { share * *voters as f64 };
                }
            }
        }
        assert_eq!(data.tally.unwrap().wins, wins, "{file}");
    }
}

#[test]
fn a_profile_that_contradicts_itself_is_read_and_said_once() {
    let check = |extension: &str, more: &str, expected: &str| {
        let file = format!("v.{extension}");
        let data = read(&file, preflib(extension, &["a", "b", "c"], more).as_bytes()).expect(more);
        assert_eq!(data.notes, [expected], "{more}");
    };
    check(
        "soc",
        "1: 1,{2,3}\n1: {3,2},1\n",
        "row 6 (and in 1 more): a tie in braces, although the file is .soc, which is for strict orders; it is half a win each",
    );
    let gap = "the order leaves alternatives out, although the file is .toc, which is for complete orders; they rank below \
               those that it lists";
    check("toc", "1: {1,2}\n1: 1,2,3\n", &format!("row 6: {gap}"));
    check(
        "soi",
        "# NUMBER VOTERS: 5\n1: 1,2,3\n",
        "row 6: NUMBER VOTERS is 5, but the orders add up to 1, which counts; is the file complete?",
    );
    check(
        "soi",
        "# NUMBER UNIQUE ORDERS: 5\n1: 1,2,3\n",
        "row 6: NUMBER UNIQUE ORDERS is 5, but the file holds 1, which count; is it complete?",
    );
    check("soc", "# DATA TYPE: toi\n1: 1,{2,3}\n", "row 6: DATA TYPE is \"toi\" in a file named .soc");
    check(
        "soi",
        "# NUMBER ALTERNATIVES: 2\n1: 1,2,3\n",
        "row 5: there is an alternative 3, although NUMBER ALTERNATIVES is 2; it counts too",
    );
    check(
        "soi",
        "# ALTERNATIVE NAME 2: d\n1: 1,2,3\n",
        "row 6: alternative 2 is called \"b\" already; the last name counts",
    );
    check("toi", "1: {1,1},2,3\n", "row 6: an alternative stands twice in one group; it counts once");
    // Files that count an order which stands twice once, or as often as it stands.
    for orders in [1, 2] {
        let text = format!("# NUMBER VOTERS: 3\n# NUMBER UNIQUE ORDERS: {orders}\n1: 1,2,3\n2: 1,2,3\n");
        let data = read("v.soc", preflib("soc", &["a", "b", "c"], &text).as_bytes()).unwrap();
        assert_eq!((data.notes, data.preferences[0][2]), (Vec::new(), 1.0));
    }
    let data = read("v.soi", preflib("soi", &["a", "b"], "1: 1,2\n2: 9\n").as_bytes()).unwrap();
    assert_eq!(data.actions, ["a", "b", "Alternative 9"]);
    assert_eq!(data.notes[0], "row 6: there is an alternative 9, although NUMBER ALTERNATIVES is 2; it counts too");
}

#[test]
fn names_that_are_missing_or_stand_twice_are_said() {
    let text = preflib("soi", &["Write In", "b", "Write In"], "1: 1,2\n");
    let data = read("v.soi", text.as_bytes()).unwrap();
    assert_eq!(data.notes, ["names that stand twice in the file: alternative 3 is called \"Write In__1\""]);
    let data = read("v.soc", b"# NUMBER ALTERNATIVES: 2\n1: 1,2\n").unwrap();
    assert_eq!(data.notes, ["2 alternatives have no name in the file; they are called by number"]);
    // Four thousand of one name are told apart in no time.
    let names = vec!["x"; 4096];
    assert_eq!(read("v.soi", preflib("soi", &names, "1: 1\n").as_bytes()).unwrap().actions[4095], "x__4095");
}

/// One table of three items in every dress that its counts come in.
#[test]
fn counts_are_read_under_the_headers_that_people_use() {
    let expected = vec![vec![0.0, 7.5, 2.0], vec![2.5, 0.0, 0.0], vec![1.0, 0.0, 0.0]];
    for text in [
        "first,second,wins\nx,y,7.5\ny,x,2.5\nx,z,2\nz,x,1\n",
        "item_a,item_b,votes_a,votes_b\nx,y,7.5,2.5\nx,z,2,1\n",
        "Item A,Item B,Votes A,Votes B\nx,y,7.5,2.5\nz,x,1,2\n",
        "item1,item2,wins1,wins2,draws\nx,y,7,2,1\nx,z,1.5,0.5,1\n",
        "option_1,option_2,count_1,count_2,ties\nx,y,7,2,1\nx,z,2,1,0\n",
        "winner_model_a,winner_model_b,winner_tie,model_a,model_b,weight\n1,0,0,x,y,7\n0,1,0,x,y,2\n0,0,1,y,x,1\n1,0,0,x,z,2\n1,0,0,z,x,1\n",
        "first,second,wins,weight\nx,y,3,2.5\ny,x,5,0.5\nx,z,2,1\nz,x,1,1\n",
        "model_a,model_b,winner,weight\nx,y,model_a,7\nx,y,model_b,2\ny,x,tie (bothbad),1\nx,z,x,2\nx,z,b,1\n",
        "a,b,winner,n\nx,y,a,7\nx,y,y,2\nx,y,Tie,1\nx,z,left,2\nx,z,2,1\n",
        "winner,loser,count\nx,y,7.5\ny,x,2.5\nx,z,2\nz,x,1\n",
        "a_wins,b_wins,player_a,player_b\n7.5,2.5,x,y\n2,1,x,z\n",
        ",item_a,item_b,votes_a,votes_b\n0,x,y,7.5,2.5\n1,x,z,2,1\n",
    ] {
        let data = read("c.csv", text.as_bytes()).expect(text);
        let place = |name: &str| data.actions.iter().position(|action| action == name).unwrap();
        let order = ["x", "y", "z"].map(place);
        let wins = &data.tally.as_ref().unwrap().wins;
        let found: Vec<Vec<f64>> = order.iter().map(|i| order.iter().map(|j| wins[*i][*j]).collect()).collect();
        assert_eq!(found, expected, "{text}");
        assert_eq!(data.notes.len(), 1, "{text}: y and z alone: {:?}", data.notes);
    }
}

#[test]
fn a_battle_is_one_comparison_and_what_is_not_read_is_said() {
    let text = "question,model_a,model_b,winner,turn\n1,x,y,model_a,1\n2,y,x,model_a,1\n3,x,y,tie,2\n4,y,x,model_b,1\n";
    let data = read("battles.csv", text.as_bytes()).unwrap();
    assert_eq!(data.tally.unwrap().wins, [[0.0, 2.5], [1.5, 0.0]]);
    assert_eq!(data.notes, ["columns that are not read: question, turn"]);
    // An action may be called like a side.
    let data = read("c.csv", b"first,second,winner\nb,a,b\nb,a,a\nb,a,b\n").unwrap();
    assert_eq!(
        (data.actions, data.tally.unwrap().wins),
        (vec!["b".to_owned(), "a".to_owned()], vec![vec![0.0, 2.0], vec![1.0, 0.0]])
    );
    refused(
        "c.csv",
        "model_a,model_b,winner\nx,y,z\n",
        "c.csv, row 2, column 3 (\"winner\"): \"z\" won; expected model_a or model_b, one of their names, or tie",
    );
    refused(
        "c.csv",
        "item_a,item_b,votes_a,votes_b\nx,y,3,-1\n",
        "c.csv, row 2, column 4 (\"votes_b\"): -1; expected a number of comparisons, 0 or more (a tie is 0.5 for each side)",
    );
}

#[test]
fn what_could_mean_either_side_or_changes_the_rest_is_refused() {
    for (text, said) in [
        ("option1,option2,winner\n3,1,1\n", "1"),
        ("a,b,winner\nb,a,a\n", "a"),
        ("model_a,model_b,winner\nmodel_b,model_a,model_a\n", "model_a"),
    ] {
        let header: Vec<&str> = text.split(['\n', ',']).collect();
        let expected = format!(
            "c.csv, row 2, column 3 (\"winner\"): \"{said}\" is the name of one of them and the side of the other; name the sides \
             {} and {}, or the actions otherwise",
            header[0], header[1]
        );
        refused("c.csv", text, &expected);
    }
    let understood = "expected first,second,wins; item_a,item_b,votes_a,votes_b (and ties); model_a,model_b,winner; or \
                      winner,loser; each with a weight or without";
    for (header, row, column) in [
        ("winner,loser,tie", "A,B,1", "tie"),
        ("first,second,wins,total", "A,B,60,100", "total"),
        ("first,second,wins,losses", "A,B,60,40", "losses"),
        ("winner,loser,is_tie", "A,B,True", "is_tie"),
        ("model_a,model_b,winner,tied", "A,B,model_a,1", "tied"),
        ("winner,loser,result", "A,B,draw", "result"),
        ("winner,loser,frequency", "A,B,3", "frequency"),
        ("model_a,model_b,winner,num_votes", "A,B,model_a,3", "num_votes"),
        ("winner,loser,sample weight", "A,B,3", "sample weight"),
        ("first,second,wins,count", "A,B,3,10", "count"),
        ("item_a,item_b,votes_a,votes_b,num_ties", "A,B,3,1,2", "num_ties"),
        ("first,second,wins,Ties", "A,B,60,40", "Ties"),
    ] {
        let expected = format!("c.csv: the column \"{column}\" is not understood beside the others; {understood}");
        refused("c.csv", format!("{header}\n{row}\n"), &expected);
    }
}

#[test]
fn headers_that_are_not_understood_name_those_that_are() {
    let understood = "expected first,second,wins; item_a,item_b,votes_a,votes_b (and ties); model_a,model_b,winner; or \
                      winner,loser; each with a weight or without (or a matrix under the actions' names)";
    for header in ["item_a,item_b,result", "winner,other", "one,other,votes_a,votes_b"] {
        let row = "x,y,1,2".split(',').take(header.split(',').count()).collect::<Vec<_>>().join(",");
        let expected = format!("c.csv, row 1: counts are not read under this header; {understood}");
        refused("c.csv", format!("{header}\n{row}\n"), &expected);
    }
    refused(
        "c.csv",
        "first,second,wins,first\na,b,1,c\n",
        "c.csv, row 1, column 4 (\"first\"): the name stands in column 1 already; every action needs a name of its own",
    );
    // A matrix may be about actions that are called like columns.
    assert!(read("m.csv", b"item_a,item_b\n0.5,1\n0,0.5\n").unwrap().tally.is_none());
}

#[test]
fn a_column_of_groups_is_one_tally_a_group() {
    let text = "first,second,wins,group\na,b,3,old\nb,a,1,old\na,b,1,young\nb,c,2,young\n";
    let data = read("g.csv", text.as_bytes()).unwrap();
    let groups: Vec<(&str, &Vec<Vec<f64>>)> =
        data.groups.iter().map(|group| (group.name.as_str(), &group.tally.wins)).collect();
    let old = vec![vec![0.0, 3.0, 0.0], vec![1.0, 0.0, 0.0], vec![0.0; 3]];
    let young = vec![vec![0.0, 1.0, 0.0], vec![0.0, 0.0, 2.0], vec![0.0; 3]];
    assert_eq!(groups, [("old", &old), ("young", &young)]);
    // All together as if there were no groups.
    let plain = read("p.csv", b"first,second,wins\na,b,3\nb,a,1\na,b,1\nb,c,2\n").unwrap();
    assert_eq!((data.preferences, data.tally), (plain.preferences, plain.tally));
    assert!(plain.groups.is_empty());
    assert_eq!(
        data.notes,
        [
            "1 pair was never compared and is taken as 0.5: a and c",
            "in the group \"old\" 2 pairs were never compared and are taken as 0.5: a and c; b and c",
            "in the group \"young\" 1 pair was never compared and is taken as 0.5: a and c",
        ]
    );
}

#[test]
fn every_layout_of_counts_may_have_groups() {
    for text in [
        "item_a,item_b,votes_a,votes_b,Group\nx,y,3,1,old\nx,y,0,2,young\n",
        "group,model_a,model_b,winner,count\nold,x,y,x,3\nold,x,y,y,1\nyoung,x,y,y,2\n",
        "winner,loser,group,weight\nx,y,old,3\ny,x,old,1\ny,x,young,2\n",
    ] {
        let data = read("g.csv", text.as_bytes()).unwrap();
        let groups: Vec<(&str, &Vec<Vec<f64>>)> =
            data.groups.iter().map(|group| (group.name.as_str(), &group.tally.wins)).collect();
        let (old, young) = (vec![vec![0.0, 3.0], vec![1.0, 0.0]], vec![vec![0.0, 0.0], vec![2.0, 0.0]]);
        assert_eq!(groups, [("old", &old), ("young", &young)], "{text}");
    }
}

/// A file that was read before there were groups is read still: who asks for weights is told.
#[test]
fn groups_that_cannot_be_weighed_are_said_and_refuse_no_file() {
    let read = |text: &str| read("g.csv", text.as_bytes()).expect("counts");
    let unnamed = read("first,second,wins,group\na,b,3,old\nb,a,1,\n");
    assert!(unnamed.groups.is_empty() && unnamed.preferences[0][1] == 0.75);
    assert_eq!(unnamed.notes, ["the column \"group\" is not read: row 3 names no group; expected a name in every row"]);
    let empty = read("first,second,wins,group\na,b,3,old\nb,a,0,young\n");
    assert_eq!(empty.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["old"]);
}

#[test]
fn weights_are_checked_by_name() {
    let data = read("g.csv", b"first,second,wins,group\na,b,3,old\nb,a,1,old\nb,a,1,young\n").unwrap();
    let weights = |given: &[(&str, f64)]| {
        let given = given.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect();
        slhf_data::GroupWeights::new(&data.groups, &given).map_err(|error| error.to_string())
    };
    let even = weights(&[("old", 2.0), ("young", 2.0)]).unwrap();
    assert_eq!(even.get(), [0.5, 0.5]);
    let matrices: Vec<Vec<Vec<f64>>> = data.groups.iter().map(|group| group.tally.preferences()).collect();
    assert_eq!(even.mixed(&matrices), [[0.5, 0.375], [0.625, 0.5]]);
    assert_eq!(weights(&[("old", 1e308), ("young", 1e308)]).unwrap(), even);
    assert_eq!(weights(&[("old", 1.0), ("young", 0.0)]).unwrap().mixed(&matrices), matrices[0]);
    let problem = |given: &[(&str, f64)]| weights(given).expect_err("this should be refused");
    assert_eq!(
        problem(&[("old", 1.0), ("yuong", 1.0)]),
        "there is no group \"yuong\" in the data; expected \"old\", \"young\""
    );
    assert_eq!(
        problem(&[("old", 1.0)]),
        "the group \"young\" has no weight; expected one for each of \"old\", \"young\" (0 leaves a group out)"
    );
    assert_eq!(
        problem(&[("old", -1.0), ("young", 1.0)]),
        "the weight of \"old\" is -1; expected a finite number that is not negative"
    );
    assert_eq!(problem(&[("old", 0.0), ("young", 0.0)]), "all weights are 0; expected at least one group that counts");
    let plain = slhf_data::GroupWeights::new(&[], &std::collections::BTreeMap::new());
    assert!(plain.unwrap_err().to_string().starts_with("the data have no groups to weigh"));
}
