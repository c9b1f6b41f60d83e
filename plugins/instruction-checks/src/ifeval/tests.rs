use slhf_sdk::serde_json::{Map, Value, from_str};
use slhf_sdk::{Failure, Response};

use crate::{Instruction, credit, follows, follows_loosely, instructions_of};

fn read(ids: &str, entries: &str) -> Result<Vec<Instruction>, Failure> {
    instructions_of(&format!(r#"{{"instruction_id_list":{ids},"kwargs":{entries}}}"#), &[])
}

fn one(id: &str, arguments: &str) -> Instruction {
    read(&format!("[\"{id}\"]"), &format!("[{arguments}]")).unwrap().remove(0)
}

/// Answers that follow strictly, and answers that do not.
fn check(id: &str, arguments: &str, following: &[&str], missing: &[&str]) {
    let instruction = one(id, arguments);
    for (texts, expect) in [(following, true), (missing, false)] {
        for text in texts {
            assert_eq!(follows(&instruction, &Response::new(*text)), expect, "{}: {text:?}", instruction.label());
            let value = credit(&instruction, &Response::new(*text)).value;
            assert!(if expect { value == 1.0 || value == 0.0 } else { value <= 0.75 }, "{text:?}: {value}");
        }
    }
    assert!(!follows_loosely(&instruction, &Response::new(" \n ")), "{id}: an empty answer follows nothing");
}

#[test]
fn keywords_are_found_in_whatever_case() {
    check("keywords:existence", r#"{"keywords":["cat","Oil"]}"#, &["Concatenate OIL"], &["a cat", "neither"]);
    let twice = r#"{"relation":"at least","keyword":"day","frequency":2}"#;
    check("keywords:frequency", twice, &["Day by day", "todays days"], &["one day", "none"]);
    let rarely = r#"{"relation":"less than","keyword":"day","frequency":2}"#;
    check("keywords:frequency", rarely, &["one day", "none"], &["Day by day"]);
    check(
        "keywords:forbidden_words",
        r#"{"forbidden_words":["can","free of"]}"#,
        &["Cancel the canal.", "carefree offers", "can_not"],
        &["I CAN.", "Can't", "it is free of salt"],
    );
    // Marks at the edges: wherever it stands, but not within a longer word.
    check(
        "keywords:forbidden_words",
        r#"{"forbidden_words":["hello!","'tis","c++"]}"#,
        &["Hello world", "this is it", "c+ and c"],
        &["Well, hello! World.", "Hello!", "'Tis so", "in C++, too"],
    );
}

#[test]
fn letters_are_counted_in_whatever_case() {
    let often = r#"{"let_relation":"at least","letter":"N","let_frequency":3}"#;
    check("keywords:letter_frequency", often, &["No noon"], &["No one", "a"]);
    let rarely = r##"{"let_relation":"less than","letter":"#","let_frequency":2}"##;
    check("keywords:letter_frequency", rarely, &["# one", "none"], &["## two"]);
}

#[test]
fn languages_are_told() {
    check("language:response_language", r#"{"language":"kn"}"#, &["ನಮಸ್ಕಾರ, hello", "123", "!"], &["hello there"]);
    check(
        "language:response_language",
        r#"{"language":"de"}"#,
        &["Das ist nicht der Weg."],
        &["This is not the way.", "Hm."],
    );
}

#[test]
fn lengths_are_counted() {
    let sentences = r#"{"relation":"less than","num_sentences":3}"#;
    check(
        "length_constraints:number_sentences",
        sentences,
        &["It rained. Dr. Ann A. Lee stayed", "One, e.g. this. Two!"],
        &["It rained. It snowed! Did it?", "It \"rained.\" Then? No."],
    );
    let few = r#"{"relation":"less than","num_words":4}"#;
    check("length_constraints:number_words", few, &["well-read cat", "naïve_one two three"], &["isn't it so?"]);
    let many = r#"{"relation":"at least","num_words":3}"#;
    check("length_constraints:number_words", many, &["हिन्दी है", "one two three"], &["one two"]);
    // As pandas and Arrow keep a column of whole numbers with missing ones.
    let as_float = r#"{"relation":"at least","num_words":3.0,"num_bullets":null}"#;
    check("length_constraints:number_words", as_float, &["one two three"], &["one two"]);
}

#[test]
fn paragraphs_are_counted() {
    check(
        "length_constraints:number_paragraphs",
        r#"{"num_paragraphs":2}"#,
        &["one\n***\ntwo", "***\none\n***\ntwo\n***"],
        &["one\n\ntwo", "one\n***\n***\ntwo", "one *** two *** three"],
    );
    check(
        "length_constraints:nth_paragraph_first_word",
        r#"{"first_word":"Elm","nth_paragraph":2,"num_paragraphs":2}"#,
        &["A tree.\n\n\"Elm's leaves", "a\n\nELM, they said\n\n"],
        &["A tree.\n\nOak", "a\n\nElm\n\nc", "Elm", "a\nElm"],
    );
    check(
        "length_constraints:nth_paragraph_first_word",
        r#"{"first_word":"Elm","nth_paragraph":2,"num_paragraphs":2}"#,
        &["\n\nA tree.\n\nElm", "A tree.\n\n \n\nElm"],
        &["\n\nElm\n\nA tree.", "\n\nElm"],
    );
}

#[test]
fn contents_are_detected() {
    check(
        "detectable_content:number_placeholders",
        r#"{"num_placeholders":2}"#,
        &["[name] of [town]", "[[a] [b]]"],
        &["[name]", "[a\n] [b]"],
    );
    check(
        "detectable_content:postscript",
        r#"{"postscript_marker":"P.P.S"}"#,
        &["x\np. p. s: y", "P.P.S"],
        &["P.S. y", "P.  P.S"],
    );
    check("detectable_content:postscript", r#"{"postscript_marker":"P.S."}"#, &["x P. S. y", "p.s."], &["P.S", "PS."]);
    check("detectable_content:postscript", r#"{"postscript_marker":"Nota:"}"#, &["nota: y"], &["Note: y"]);
}

#[test]
fn formats_are_detected() {
    check(
        "detectable_format:number_bullet_lists",
        r#"{"num_bullets":2}"#,
        &["* a\n- b", "x\n\n  * a\n\n*b", "---\n- a"],
        &["* a", "**a**\n* b", "* a\n* b\n* c", "*\n* b"],
    );
    let allowed = &["My answer is yes.", "Well: My answer is maybe. So"];
    check("detectable_format:constrained_response", "{}", allowed, &["my answer is no.", "My answer is no"]);
    check(
        "detectable_format:number_highlighted_sections",
        r#"{"num_highlights":2}"#,
        &["*a* and *b*", "**a** and **b**", "*a*\n*b*"],
        &["*a*", "**a**", "*a\nb*", "* * **  **"],
    );
    check(
        "detectable_format:multiple_sections",
        r#"{"section_spliter":"SECTION","num_sections":2}"#,
        &["SECTION 1\na\nSECTION 2\nb", "SECTION I. a\nSECTION II. b"],
        &["SECTION 1\nSECTION IDEAS", "Section 1\nSection 2", "SECTION one, SECTION two"],
    );
    let json = &["{\"a\": [1, 1e999]}", "```json\n[]\n```", "\"text\""];
    check("detectable_format:json_format", "{}", json, &["{a: 1}", "Here: {}", "{} {}"]);
    // Python's reader takes what Python writes.
    let not_finite = &["NaN", "{\"a\": [NaN, -Infinity], \"NaN\\\"\": Infinity}"];
    check("detectable_format:json_format", "{}", not_finite, &["-NaN", "[1NaN]", "{NaN: 1}", "+Infinity", "nan"]);
    check(
        "detectable_format:title",
        "{}",
        &["<<Title>>\ntext", "a <<b>> c"],
        &["<title>", "<< >>", "<<a\nb>>", "<<>>"],
    );
}

#[test]
fn combinations_are_detected() {
    check(
        "combination:two_responses",
        "{}",
        &["one\n******\ntwo", "******one******two"],
        &["one ****** one", "one", "a ****** b ****** c", "a ************ b"],
    );
    let prompt = r#"{"prompt_to_repeat":"Say it. "}"#;
    check("combination:repeat_prompt", prompt, &["  say it. So:", "Say it."], &["Say: it.", "So: Say it."]);
}

#[test]
fn starts_and_ends_are_detected() {
    let phrase = r#"{"end_phrase":"Good luck!"}"#;
    check("startend:end_checker", phrase, &["\"Go. good LUCK!\" "], &["Good luck! Bye", "luck!"]);
    check("startend:quotation", "{}", &["\"It is so.\"\n"], &["“It is so.”", "\"It", "\"", "It is so."]);
}

#[test]
fn cases_are_detected() {
    let often = r#"{"capital_relation":"at least","capital_frequency":3}"#;
    check("change_case:capital_word_frequency", often, &["I'm in the USA, NASA."], &["The USA is BIG", "the Usa"]);
    let rarely = r#"{"capital_relation":"less than","capital_frequency":2}"#;
    check("change_case:capital_word_frequency", rarely, &["The U.S.A. won"], &["NASA and ESA"]);
    check("change_case:english_capital", "{}", &["THE CAT SAT.", "OK 2"], &["THE CAT sat.", "12", "DAS IST DER WEG."]);
    check("change_case:english_lowercase", "{}", &["the cat sat."], &["The cat.", "12", "das ist der weg.", "да"]);
}

#[test]
fn punctuation_is_detected() {
    check("punctuation:no_comma", "{}", &["red and blue", "red، blue"], &["red, blue"]);
}

#[test]
fn loosely_means_the_eight_texts_of_ifeval() {
    let bullets = one("detectable_format:number_bullet_lists", r#"{"num_bullets":1}"#);
    let loose = |instruction: &Instruction, text: &str| {
        (follows(instruction, &Response::new(text)), follows_loosely(instruction, &Response::new(text)))
    };
    assert_eq!(loose(&bullets, "- one\n- two"), (false, true));
    assert_eq!(loose(&bullets, "- one\n- two\n"), (false, true));
    assert_eq!(loose(&bullets, "- one\n- two\n- three"), (false, true));
    assert_eq!(loose(&bullets, "- one\n- two\n- three\n- four"), (false, false));
    let quotation = one("startend:quotation", "{}");
    assert_eq!(loose(&quotation, "Sure:\n**\"It is so.\"**\nBye"), (false, true));
    assert_eq!(loose(&quotation, "Sure: \"It is so.\""), (false, false));
}

#[test]
fn nearer_misses_earn_more_and_repetition_nothing() {
    let value = |id: &str, arguments: &str, text: &str| credit(&one(id, arguments), &Response::new(text)).value;
    let (words, at_most) = ("length_constraints:number_words", r#"{"relation":"less than","num_words":3}"#);
    let values = ["one two", "one two three", "a b c d e f"].map(|text| value(words, at_most, text));
    assert!(values[0] == 1.0 && values[1] <= 0.75 && values[1] > values[2], "{values:?}");
    assert_eq!(value(words, at_most, "no no"), 0.0);
    assert!(follows(&one(words, at_most), &Response::new("no no")), "IFEval has nothing against repetition");
}

#[test]
fn what_the_end_decides_a_cut_off_answer_has_not_followed() {
    let check = |id: &str, arguments: &str, text: &str, expect: bool| {
        let instruction = one(id, arguments);
        assert!(follows(&instruction, &Response::new(text)), "{id}");
        assert_eq!(follows(&instruction, &Response { finished: false, ..Response::new(text) }), expect, "{id}");
    };
    let words = "length_constraints:number_words";
    check(words, r#"{"relation":"less than","num_words":9}"#, "red and green", false);
    check(words, r#"{"relation":"at least","num_words":3}"#, "red and green", true);
    check("startend:end_checker", r#"{"end_phrase":"green"}"#, "red and green", false);
    check("punctuation:no_comma", "{}", "red and green", true);
}

#[test]
fn rows_with_every_argument_and_null_for_what_is_not_meant_are_read() {
    let entry = r#"{"num_highlights":null,"relation":"at least","num_words":300,"keywords":null}"#;
    assert_eq!(one("length_constraints:number_words", entry).label(), "length_constraints:number_words at least 300");
    let both = r#"{"instruction_id_list":["punctuation:no_comma"],"kwargs":[{}],"instructions":"Write no comma"}"#;
    assert_eq!(instructions_of(both, &[]).unwrap().len(), 1, "the ids decide");
}

#[test]
fn what_is_wrong_with_a_row_is_a_failure_that_names_the_instruction() {
    let check = |ids: &str, entries: &str, expect: &str| {
        assert_eq!(read(ids, entries).unwrap_err().reason, expect);
    };
    let words = |entry: &str, problem: &str| {
        let place = "instruction 2 of the metadata (\"length_constraints:number_words\")";
        let ids = r#"["punctuation:no_comma","length_constraints:number_words"]"#;
        check(ids, &format!("[{{}},{entry}]"), &format!("{place} is not right: {problem}"));
    };
    let number = "a whole number from 1 to 10000 was expected";
    let relation = "\"less than\" or \"at least\" was expected";
    words(r#"{"relation":"at least"}"#, &format!("'num_words' is missing, {number}"));
    words(r#"{"relation":"at least","num_words":null}"#, &format!("'num_words' is null, {number}"));
    words(r#"{"relation":"at least","num_words":"3"}"#, &format!("'num_words' is \"3\", {number}"));
    words(r#"{"relation":"at least","num_words":0}"#, &format!("'num_words' is 0, {number}"));
    words(r#"{"num_words":3}"#, &format!("'relation' is missing, {relation}"));
    words(r#"{"relation":"about","num_words":3}"#, &format!("'relation' is \"about\", {relation}"));
    words(r#"{"relation":"at least","num_words":3,"num_bullets":1}"#, "'num_bullets' is unknown to it");
    words("null", "its entry in 'kwargs' is null, an object was expected");
    let first = |id: &str, entry: &str, problem: &str| {
        let place = format!("instruction 1 of the metadata (\"{id}\") is not right: {problem}");
        check(&format!("[\"{id}\"]"), &format!("[{entry}]"), &place);
    };
    first("keywords:rhyme", "{}", "it is none of the 25 of IFEval");
    first("keywords:existence", r#"{"keywords":[]}"#, "'keywords' is [], a list of texts was expected");
    first("keywords:existence", r#"{"keywords":[1]}"#, "'keywords' is [1], a list of texts was expected");
    first("startend:end_checker", r#"{"end_phrase":" "}"#, "'end_phrase' is \" \", a text was expected");
    let two = r#"{"letter":"ab","let_relation":"at least","let_frequency":1}"#;
    first("keywords:letter_frequency", two, "'letter' is \"ab\", one character was expected");
    let late = r#"{"first_word":"a","nth_paragraph":3,"num_paragraphs":2}"#;
    let problem = "'nth_paragraph' is 3, at most 'num_paragraphs' (2) was expected";
    first("length_constraints:nth_paragraph_first_word", late, problem);
}

#[test]
fn what_is_wrong_with_the_lists_is_a_failure() {
    let check = |ids: &str, entries: &str, expect: &str| {
        assert_eq!(read(ids, entries).unwrap_err().reason, expect);
    };
    check("3", "[]", "'instruction_id_list' of the metadata is 3, a list was expected");
    check("[3]", "[{}]", "instruction 1 of the metadata (3) is not right: a text was expected");
    let comma = r#"["punctuation:no_comma"]"#;
    check(comma, "{}", "'kwargs' of the metadata is {}, a list was expected");
    let missing = "instruction 1 of the metadata (\"punctuation:no_comma\") has no entry in 'kwargs' of the metadata";
    check(comma, "[]", missing);
    check(comma, "[{},{}]", "'kwargs' of the metadata has 2 entries for 1 instructions");
    let none = "the metadata of the prompt has no 'instructions', a list like [{\"kind\": \"lowercase\"}] was expected";
    check("[]", "[]", none);
    let without = instructions_of(&format!(r#"{{"instruction_id_list":{comma}}}"#), &[]);
    assert_eq!(without.unwrap_err().reason, missing);
}

/// One row of every id, with arguments that mean something.
const ALL: &str = r#"{
    "keywords:existence": {"keywords": ["é"]},
    "keywords:frequency": {"relation": "at least", "keyword": "é", "frequency": 2},
    "keywords:forbidden_words": {"forbidden_words": ["é"]},
    "keywords:letter_frequency": {"let_relation": "at least", "letter": "é", "let_frequency": 2},
    "language:response_language": {"language": "hi"},
    "length_constraints:number_sentences": {"relation": "at least", "num_sentences": 2},
    "length_constraints:number_paragraphs": {"num_paragraphs": 2},
    "length_constraints:number_words": {"relation": "at least", "num_words": 2},
    "length_constraints:nth_paragraph_first_word": {"first_word": "é", "nth_paragraph": 1, "num_paragraphs": 2},
    "detectable_content:number_placeholders": {"num_placeholders": 2},
    "detectable_content:postscript": {"postscript_marker": "P.P.S"},
    "detectable_format:number_bullet_lists": {"num_bullets": 2},
    "detectable_format:constrained_response": {},
    "detectable_format:number_highlighted_sections": {"num_highlights": 2},
    "detectable_format:multiple_sections": {"section_spliter": "é", "num_sections": 2},
    "detectable_format:json_format": {},
    "detectable_format:title": {},
    "combination:two_responses": {},
    "combination:repeat_prompt": {"prompt_to_repeat": "é"},
    "startend:end_checker": {"end_phrase": "é"},
    "startend:quotation": {},
    "change_case:capital_word_frequency": {"capital_relation": "at least", "capital_frequency": 2},
    "change_case:english_capital": {},
    "change_case:english_lowercase": {},
    "punctuation:no_comma": {}
}"#;

#[test]
fn every_answer_is_an_answer() {
    let rows: Map<String, Value> = from_str(ALL).unwrap();
    assert_eq!(rows.len(), 25);
    let texts = ["\u{0}", "🙂", "*", "[", "<<", "\u{1c}", "é 1", "é.", "\n\n***\n\n"].map(str::to_owned);
    let long = ["[", "*", "** ", "\n", "\n*", "<<", "é", "é.p. ", "word. ", "{\"a\":["].map(|text| text.repeat(10_000));
    for (id, entry) in &rows {
        let instruction = one(id, &entry.to_string());
        let Instruction::Ifeval(inner) = &instruction else { panic!("{id} is IFEval's") };
        assert_eq!(inner.id(), id);
        for text in texts.iter().chain(&long) {
            let response = Response::new(text.as_str());
            let value = credit(&instruction, &response).value;
            assert!((0.0..=1.0).contains(&value), "{id}: {value}");
            assert!(!follows(&instruction, &response) || follows_loosely(&instruction, &response), "{id}");
        }
    }
}
