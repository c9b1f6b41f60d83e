//! CSV: comparisons that were counted, under the headers that people use for them.

use std::collections::HashMap;

use crate::PreferenceData;
use crate::counts::ACTIONS_MAX;
use crate::error::{DataError, Source};
use crate::group::CountedGroup;
use crate::row::Row;
use crate::tally::Tally;

/// The headers that are understood, for messages.
pub(crate) const UNDERSTOOD: &str = "first,second,wins; item_a,item_b,votes_a,votes_b (and ties); model_a,model_b,winner; or winner,loser; \
     each with a weight or without";

/// 2⁵³: the last whole number that an `f64` counts up to.
const WINS_MAX: f64 = 9_007_199_254_740_992.0;

/// Most entries that all groups' matrices have together.
const GROUPED_ENTRIES_MAX: usize = ACTIONS_MAX * ACTIONS_MAX;

/// How the two sides are told apart: `item_a` and `item_b`, `player1` and `player2`, …
const SIDES: [[&str; 2]; 4] = [["first", "second"], ["a", "b"], ["1", "2"], ["left", "right"]];

/// What is compared.
const THINGS: [&str; 13] = [
    "item",
    "option",
    "model",
    "player",
    "team",
    "action",
    "candidate",
    "alternative",
    "answer",
    "response",
    "choice",
    "system",
    "name",
];

/// What is counted of each side; `winner_model_a` is 1 where the first one won.
const VOTES: [&str; 8] = ["votes", "vote", "wins", "win", "won", "count", "n", "winner_model"];
const TIES: [&str; 7] = ["ties", "tie", "draws", "draw", "votes_tie", "wins_tie", "winner_tie"];
const WEIGHTS: [&str; 2] = ["weight", "weights"];
const GROUPS: [&str; 1] = ["group"];
/// Where a row is one comparison, its count is a weight too.
const COUNTS: [&str; 5] = ["count", "counts", "n", "votes", "wins"];

/// What a judge says who prefers neither.
const NEITHER: [&str; 9] = ["tie", "ties", "tied", "draw", "both", "equal", "neither", "tie (bothbad)", "bothbad"];

/// Which column holds what.
#[derive(Debug)]
struct Columns<'a> {
    header: &'a [String],
    /// The names of the two that are compared.
    pair: [usize; 2],
    outcome: Outcome,
    weight: Option<usize>,
    /// Who compared.
    group: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// How often the first of the pair won.
    WinsOfFirst(usize),
    /// How often each of them won, and how often neither did.
    Votes { of: [usize; 2], ties: Option<usize> },
    /// Which of them won.
    Winner(usize),
    /// The first of the pair, always.
    First,
}

/// A header's name as it is compared: `Item A` is `item_a`.
fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-', '.'], "_")
}

/// The places of both names of the first pair that the header has.
fn pair_of(names: &[String], pairs: impl IntoIterator<Item = [String; 2]>) -> Option<[usize; 2]> {
    let place = |wanted: &String| names.iter().position(|name| name == wanted);
    pairs.into_iter().find_map(|[one, other]| Some([place(&one)?, place(&other)?]))
}

fn one_of(names: &[String], wanted: &[&str]) -> Option<usize> {
    names.iter().position(|name| wanted.contains(&name.as_str()))
}

/// `votes_a` and `votes_b`, `votesa` and `votesb`, `a_votes` and `b_votes`, …
fn sided(stems: &[&'static str]) -> impl Iterator<Item = [String; 2]> {
    let stems = stems.to_vec();
    SIDES.into_iter().flat_map(move |sides| {
        stems.clone().into_iter().flat_map(move |stem| {
            [
                sides.map(|side| format!("{stem}_{side}")),
                sides.map(|side| format!("{stem}{side}")),
                sides.map(|side| format!("{side}_{stem}")),
            ]
        })
    })
}

impl<'a> Columns<'a> {
    /// `None`: the header is no such one.
    fn of(header: &'a [String]) -> Option<Self> {
        let names: Vec<String> = header.iter().map(|name| plain(name)).collect();
        let bare = SIDES.into_iter().map(|sides| sides.map(str::to_owned));
        let things = pair_of(&names, bare.chain(sided(&THINGS)));
        let weight = one_of(&names, &WEIGHTS);
        let (pair, outcome) = match things {
            Some(pair) => (pair, Self::outcome(&names)?),
            None => (pair_of(&names, [["winner", "loser"].map(str::to_owned)])?, Outcome::First),
        };
        let weight = match outcome {
            Outcome::Winner(_) | Outcome::First => weight.or_else(|| one_of(&names, &COUNTS)),
            Outcome::WinsOfFirst(_) | Outcome::Votes { .. } => weight,
        };
        Some(Self { header, pair, outcome, weight, group: one_of(&names, &GROUPS) })
    }

    fn outcome(names: &[String]) -> Option<Outcome> {
        if let Some(of) = pair_of(names, sided(&VOTES)) {
            return Some(Outcome::Votes { of, ties: one_of(names, &TIES) });
        }
        if let Some(winner) = one_of(names, &["winner"]) {
            return Some(Outcome::Winner(winner));
        }
        one_of(names, &["wins"]).map(Outcome::WinsOfFirst)
    }

    /// A column that is not read and without which the others mean something else. Votes of both sides say all but ties.
    fn decisive(&self) -> Option<&'a str> {
        let has_votes = matches!(self.outcome, Outcome::Votes { .. });
        let is_decisive = |name: &str| {
            let plain = plain(name);
            let is_word = |word: &str| OF_TIES.contains(&word) || OF_COUNTS.contains(&word) && !has_votes;
            plain.split('_').any(is_word) || DECISIVE.contains(&plain.as_str()) && !has_votes
        };
        self.unread().into_iter().find(|name| is_decisive(name))
    }

    /// Names of columns that are not read.
    fn unread(&self) -> Vec<&'a str> {
        let mut read = self.pair.to_vec();
        read.extend(self.weight);
        read.extend(self.group);
        match self.outcome {
            Outcome::WinsOfFirst(place) | Outcome::Winner(place) => read.push(place),
            Outcome::Votes { of, ties } => read.extend(of.into_iter().chain(ties)),
            Outcome::First => {}
        }
        let unread = (0..self.header.len()).filter(|place| !read.contains(place));
        // pandas writes its row numbers under no name.
        unread.map(|place| self.header[place].as_str()).filter(|name| !name.is_empty()).collect()
    }
}

/// Whether a header looks as if comparisons were counted under it, without being one that is understood.
pub(crate) fn is_nearly(header: &[String]) -> bool {
    let names: Vec<String> = header.iter().map(|name| plain(name)).collect();
    let has_pair = pair_of(&names, sided(&THINGS)).is_some();
    let has_votes = pair_of(&names, sided(&VOTES)).is_some();
    has_pair || has_votes || one_of(&names, &["winner", "loser"]).is_some()
}

/// Columns that say who won, or how often was compared: without them the rest means something else.
const DECISIVE: [&str; 28] = [
    "total",
    "totals",
    "losses",
    "lost",
    "loses",
    "score",
    "scores",
    "games",
    "matches",
    "trials",
    "result",
    "results",
    "outcome",
    "points",
    "margin",
    "frequency",
    "freq",
    "times",
    "repetitions",
    "reps",
    "multiplicity",
    "number",
    "num",
    "count",
    "counts",
    "n",
    "label",
    "preference",
];

/// Likewise, as one of several words: `is_tie`, `num_votes`, `sample_weight`.
const OF_TIES: [&str; 6] = ["tie", "ties", "tied", "draw", "draws", "drawn"];
const OF_COUNTS: [&str; 6] = ["vote", "votes", "win", "wins", "weight", "weights"];

/// Reads a file of counted comparisons; `None` where the header is not of one.
pub(crate) fn read(source: Source<'_>, header: &Row, rows: &[Row]) -> Option<Result<PreferenceData, DataError>> {
    let columns = Columns::of(&header.cells)?;
    let (actions, groups) = (Names::default(), Names::default());
    Some(Comparisons { source, columns, actions, groups, without_group: None, counts: Vec::new() }.read(rows))
}

struct Comparisons<'a> {
    source: Source<'a>,
    columns: Columns<'a>,
    actions: Names,
    groups: Names,
    /// The first row that names none, although there is the column.
    without_group: Option<usize>,
    counts: Vec<Count>,
}

/// Names by the order in which they come.
#[derive(Default)]
struct Names {
    indices: HashMap<String, usize>,
    names: Vec<String>,
}

impl Names {
    fn index_of(&mut self, name: &str) -> usize {
        if let Some(index) = self.indices.get(name) {
            return *index;
        }
        self.indices.insert(name.to_owned(), self.names.len());
        self.names.push(name.to_owned());
        self.names.len() - 1
    }
}

/// What a row counts: a tie is half a win for either side, and told beside.
struct Count {
    pair: [usize; 2],
    wins: [f64; 2],
    ties: f64,
    /// 0 where there are no groups.
    group: usize,
}

impl Count {
    fn add_to(&self, tally: &mut Tally) {
        let [i, j] = self.pair;
        tally.wins[i][j] += self.wins[0];
        tally.wins[j][i] += self.wins[1];
        if self.ties > 0.0 {
            tally.add_ties(i, j, self.ties);
        }
    }
}

/// What each group never compared.
fn notes_of(groups: &[CountedGroup], actions: &[String]) -> Vec<String> {
    let note = |group: &CountedGroup| {
        group.tally.note_of_gaps(actions).map(|gaps| format!("in the group \"{}\" {gaps}", group.name))
    };
    groups.iter().filter_map(note).collect()
}

impl Comparisons<'_> {
    fn read(mut self, rows: &[Row]) -> Result<PreferenceData, DataError> {
        if let Some(column) = self.columns.decisive() {
            let problem = format!("the column \"{column}\" is not understood beside the others; expected {UNDERSTOOD}");
            return Err(self.source.whole(problem));
        }
        for row in rows {
            self.row(row)?;
        }
        if self.actions.names.len() < 2 || self.counts.iter().all(|count| count.wins == [0.0; 2]) {
            return Err(self.source.whole("no comparison was counted; expected rows like rock,scissors,9"));
        }
        let groups = self.of_groups();
        let mut tally = Tally::new(self.actions.names.len());
        for count in &self.counts {
            count.add_to(&mut tally);
        }
        let mut data = tally.into_data(self.actions.names);
        match groups {
            Ok(groups) => {
                data.notes.extend(notes_of(&groups, &data.actions));
                data.groups = groups;
            }
            Err(problem) => data.notes.push(format!("the column \"group\" is not read: {problem}")),
        }
        let unread = self.columns.unread();
        if !unread.is_empty() {
            data.notes.push(format!("columns that are not read: {}", unread.join(", ")));
        }
        Ok(data)
    }

    /// One tally a group, also one that compared nothing; none without the column. A problem is why there are no groups: without weights nobody
    /// needs them.
    fn of_groups(&self) -> Result<Vec<CountedGroup>, String> {
        if let Some(line) = self.without_group {
            return Err(format!("row {line} names no group; expected a name in every row"));
        }
        let (n, names) = (self.actions.names.len(), &self.groups.names);
        if names.len() * n * n > GROUPED_ENTRIES_MAX {
            return Err(format!(
                "{} groups of {n} actions; expected at most {GROUPED_ENTRIES_MAX} as groups × actions²",
                names.len()
            ));
        }
        let mut tallies = vec![Tally::new(n); names.len()];
        if self.columns.group.is_some() {
            for count in &self.counts {
                count.add_to(&mut tallies[count.group]);
            }
        }
        let named = names.iter().cloned().zip(tallies);
        Ok(named.map(|(name, tally)| CountedGroup { name, tally }).filter(CountedGroup::compares).collect())
    }

    fn row(&mut self, row: &Row) -> Result<(), DataError> {
        let (found, expected) = (row.cells.len(), self.columns.header.len());
        if found != expected {
            let header = self.columns.header.join(", ");
            return Err(self.source.row(row.line, format!("the row has {found} of {expected} cells: {header}")));
        }
        let pair = [self.action(row, 0)?, self.action(row, 1)?];
        if pair[0] == pair[1] {
            let name = &self.actions.names[pair[0]];
            return Err(self
                .source
                .row(row.line, format!("\"{name}\" against itself; expected two different actions")));
        }
        let weight = match self.columns.weight {
            Some(place) => self.number(row, place)?,
            None => 1.0,
        };
        let (wins, ties) = self.outcome(row)?;
        let wins = wins.map(|wins| wins * weight);
        for count in wins {
            if count > WINS_MAX {
                let problem = format!("{count} comparisons; expected at most {WINS_MAX} comparisons");
                return Err(self.source.row(row.line, problem));
            }
        }
        let group = self.group(row);
        self.counts.push(Count { pair, wins, ties: ties * weight, group });
        Ok(())
    }

    /// The number of the group that the row belongs to.
    fn group(&mut self, row: &Row) -> usize {
        match self.columns.group.map(|place| &row.cells[place]) {
            None => 0,
            Some(name) if name.is_empty() => {
                self.without_group.get_or_insert(row.line);
                0
            }
            Some(name) => self.groups.index_of(name),
        }
    }

    /// The number of the action that the pair's column names.
    fn action(&mut self, row: &Row, of_pair: usize) -> Result<usize, DataError> {
        let place = self.columns.pair[of_pair];
        let name = &row.cells[place];
        if name.is_empty() {
            return Err(self.source.cell(row.line, place + 1, &self.columns.header[place], "an action without a name"));
        }
        let index = self.actions.index_of(name);
        if index >= ACTIONS_MAX {
            let problem = format!("this is action {}; expected at most {ACTIONS_MAX}", index + 1);
            return Err(self.source.row(row.line, problem));
        }
        Ok(index)
    }

    /// Wins of the first and of the second of the pair, with half of the ties each; and the ties.
    fn outcome(&self, row: &Row) -> Result<([f64; 2], f64), DataError> {
        match self.columns.outcome {
            Outcome::First => Ok(([1.0, 0.0], 0.0)),
            Outcome::WinsOfFirst(place) => Ok(([self.number(row, place)?, 0.0], 0.0)),
            Outcome::Votes { of: [first, second], ties } => {
                let half = match ties {
                    Some(place) => self.number(row, place)? / 2.0,
                    None => 0.0,
                };
                Ok(([self.number(row, first)? + half, self.number(row, second)? + half], half * 2.0))
            }
            Outcome::Winner(place) => self.winner(row, place),
        }
    }

    fn winner(&self, row: &Row, place: usize) -> Result<([f64; 2], f64), DataError> {
        let said = &row.cells[place];
        let [first, second] = self.columns.pair;
        let word = said.to_lowercase();
        let side = |of_pair: usize| {
            let column = plain(&self.columns.header[self.columns.pair[of_pair]]);
            plain(&word) == column || SIDES.iter().any(|sides| sides[of_pair] == word)
        };
        let by_name = [first, second].map(|column| *said == row.cells[column]);
        // As the header itself tells them apart: there a name may not mean the other one.
        let own_side = |of_pair: usize| {
            let column = plain(&self.columns.header[self.columns.pair[of_pair]]);
            let is_own = |sides: &[&str; 2]| sides[of_pair] == word && column.ends_with(sides[of_pair]);
            plain(&word) == column || SIDES.iter().any(is_own)
        };
        let by_own_side = [own_side(0), own_side(1)];
        if by_name.contains(&true) && by_own_side.contains(&true) && by_name != by_own_side {
            let problem = format!(
                "\"{said}\" is the name of one of them and the side of the other; name the sides {} and {}, or the actions otherwise",
                self.columns.header[first], self.columns.header[second]
            );
            return Err(self.source.cell(row.line, place + 1, &self.columns.header[place], problem));
        }
        let is_name = by_name.contains(&true);
        if by_name[0] || !is_name && side(0) {
            Ok(([1.0, 0.0], 0.0))
        } else if by_name[1] || !is_name && side(1) {
            Ok(([0.0, 1.0], 0.0))
        } else if NEITHER.contains(&word.replace('_', "").as_str()) {
            Ok(([0.5, 0.5], 1.0))
        } else {
            let [first, second] = [first, second].map(|column| &self.columns.header[column]);
            let problem = format!("\"{said}\" won; expected {first} or {second}, one of their names, or tie");
            Err(self.source.cell(row.line, place + 1, &self.columns.header[place], problem))
        }
    }

    fn number(&self, row: &Row, place: usize) -> Result<f64, DataError> {
        number_of_wins(&row.cells[place])
            .map_err(|problem| self.source.cell(row.line, place + 1, &self.columns.header[place], problem))
    }
}

fn number_of_wins(cell: &str) -> Result<f64, String> {
    let expected = "expected a number of comparisons, 0 or more (a tie is 0.5 for each side)";
    let value: f64 = cell.parse().map_err(|_| format!("\"{cell}\" is no number; {expected}"))?;
    if !value.is_finite() || value < 0.0 {
        return Err(format!("{cell}; {expected}"));
    }
    // Larger sums lose single comparisons, and much larger ones are no numbers any more.
    if value > WINS_MAX {
        return Err(format!("{cell}; expected at most {WINS_MAX} comparisons"));
    }
    Ok(value)
}
