//! PrefLib's ordinal formats (Mattei & Walsh 2013): strict or tied, complete or incomplete orders with how many voters
//! gave them; read as `preflibtools` 2.0.33 reads them. Where a file contradicts itself, a note says so. What `preflibtools`
//! reads and what means nothing as counts is refused: an order with an alternative above and below itself, negative voters,
//! and what it passes over in an order (letters, a brace that is not closed).

mod names;

use std::collections::{BTreeSet, HashSet};

use crate::PreferenceData;
use crate::ballot::Ballot;
use crate::counts::ACTIONS_MAX;
use crate::error::{DataError, Source};
use crate::tally::Tally;
use names::Names;

/// Kinds of PrefLib's files whose lines are no orders, although they look like some.
const NO_ORDERS: [&str; 2] = ["cat", "wmd"];

/// Most voters of one order: 2⁵³, the last whole number that an `f64` counts up to.
const VOTERS_MAX: u64 = 1 << 53;

/// Which orders a file may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    extension: &'static str,
    allows_ties: bool,
    allows_gaps: bool,
}

impl Kind {
    /// By the file's extension.
    pub(crate) fn of(extension: &str) -> Option<Self> {
        let kind = |extension, allows_ties, allows_gaps| Some(Self { extension, allows_ties, allows_gaps });
        match extension {
            "soc" => kind("soc", false, false),
            "soi" => kind("soi", false, true),
            "toc" => kind("toc", true, false),
            "toi" => kind("toi", true, true),
            _ => None,
        }
    }
}

/// A number that the header gives, and its line.
type Given = Option<(usize, i64)>;

/// What the `#` lines say.
#[derive(Default)]
struct Header {
    alternatives: Given,
    voters: Given,
    orders: Given,
    data_type: Option<(usize, String)>,
    /// Line, number and name.
    names: Vec<(usize, u64, String)>,
}

/// One order: groups of equally good alternatives by their numbers, best first.
struct Order {
    line: usize,
    voters: u64,
    groups: Vec<Vec<u64>>,
}

pub(crate) fn read(source: Source<'_>, kind: Kind, text: &str) -> Result<PreferenceData, DataError> {
    let mut header = Header::default();
    let mut ballots = Vec::new();
    // As Python opens a text, for which a carriage return alone ends a line too.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        match line.trim() {
            "" => {}
            line => match line.strip_prefix('#') {
                Some(entry) => header.take(source, line_number, entry)?,
                None if !line.contains(':') && ballots.is_empty() && header.alternatives.is_none() => {
                    let problem =
                        "there is no line \"# NUMBER ALTERNATIVES: n\"; expected PrefLib's format of 2022 and later";
                    return Err(source.whole(problem));
                }
                None => ballots.push(ballot(source, line_number, line)?),
            },
        }
    }
    let numbers = header.numbers(source, &ballots)?;
    let mut notes = header.contradictions(source, kind, &numbers, &ballots)?;
    let Names { actions, notes: of_names } = names::of(&header.names, &numbers);
    notes.extend(of_names);
    let mut tally = Tally::new(actions.len());
    let ballots: Vec<Ballot> = ballots.iter().map(|order| order.of_places(&numbers)).collect();
    for ballot in &ballots {
        ballot.count(ballot.voters, &mut tally);
    }
    if tally.wins.iter().flatten().all(|wins| *wins == 0.0) {
        return Err(source.whole("no ballot compares anything; expected lines like 12: 3,1,2"));
    }
    let mut data = tally.into_data(actions);
    data.notes.splice(0..0, notes);
    data.ballots = ballots;
    Ok(data)
}

impl Header {
    fn take(&mut self, source: Source<'_>, line: usize, entry: &str) -> Result<(), DataError> {
        let Some((key, value)) = entry.split_once(':') else { return Ok(()) };
        let (key, value) = (key.trim().to_ascii_uppercase(), value.trim());
        let whole = || {
            let number = value.parse::<i64>();
            number.map_err(|_| source.row(line, format!("{key} is \"{value}\"; expected a whole number")))
        };
        match key.as_str() {
            "NUMBER ALTERNATIVES" => self.alternatives = Some((line, whole()?)),
            "NUMBER VOTERS" => self.voters = Some((line, whole()?)),
            "NUMBER UNIQUE ORDERS" => self.orders = Some((line, whole()?)),
            "DATA TYPE" => self.data_type = Some((line, value.to_ascii_lowercase())),
            _ => {
                if let Some(number) = key.strip_prefix("ALTERNATIVE NAME ") {
                    let number = number
                        .trim()
                        .parse::<u64>()
                        .map_err(|_| source.row(line, format!("{key}: expected the alternative's number")))?;
                    self.names.push((line, number, value.to_owned()));
                }
            }
        }
        Ok(())
    }

    /// The alternatives by number: those that have a name or stand in an order, and of NUMBER ALTERNATIVES those that have
    /// and do neither.
    fn numbers(&self, source: Source<'_>, ballots: &[Order]) -> Result<Vec<u64>, DataError> {
        let named = self.names.iter().filter(|(_, _, name)| !name.is_empty()).map(|(_, number, _)| *number);
        let mut numbers: BTreeSet<u64> = named.chain(ballots.iter().flat_map(Order::listed)).collect();
        let declared = self.alternatives.map_or(0, |(_, number)| usize::try_from(number).unwrap_or(0));
        if declared > ACTIONS_MAX || !(2..=ACTIONS_MAX).contains(&numbers.len().max(declared)) {
            let found = declared.max(numbers.len());
            return Err(source.whole(format!("the alternatives are {found}; expected 2 to {ACTIONS_MAX}")));
        }
        for number in 1.. {
            if numbers.len() >= declared {
                break;
            }
            numbers.insert(number);
        }
        Ok(numbers.into_iter().collect())
    }

    /// Where the file says two things: what counts is what preflibtools takes, and each is said once.
    fn contradictions(
        &self,
        source: Source<'_>,
        kind: Kind,
        numbers: &[u64],
        ballots: &[Order],
    ) -> Result<Vec<String>, DataError> {
        let mut notes = Vec::new();
        let mut kind = kind;
        if let Some((line, data_type)) =
            self.data_type.as_ref().filter(|(_, data_type)| !["", kind.extension].contains(&data_type.as_str()))
        {
            if NO_ORDERS.contains(&data_type.as_str()) {
                let problem = format!("DATA TYPE is {data_type}, which holds no orders; expected soc, soi, toc or toi");
                return Err(source.row(*line, problem));
            }
            notes.push(format!("row {line}: DATA TYPE is \"{data_type}\" in a file named .{}", kind.extension));
            kind = Kind::of(data_type).unwrap_or(kind);
        }
        notes.extend(self.unknown(ballots));
        notes.extend(self.sums(ballots));
        let repeated = |ballot: &Order| ballot.groups.iter().any(|group| each_once(group).len() < group.len());
        let tied = |ballot: &Order| ballot.groups.iter().any(|group| each_once(group).len() > 1);
        let gaps = |ballot: &Order| ballot.listed().collect::<BTreeSet<u64>>().len() < numbers.len();
        let kind_is = format!("the file is .{}", kind.extension);
        if !kind.allows_ties {
            let what =
                format!("a tie in braces, although {kind_is}, which is for strict orders; it is half a win each");
            notes.extend(first(ballots, tied, &what));
        }
        if !kind.allows_gaps {
            let what = format!(
                "the order leaves alternatives out, although {kind_is}, which is for complete orders; they rank below those \
                 that it lists"
            );
            notes.extend(first(ballots, gaps, &what));
        }
        notes.extend(first(ballots, repeated, "an alternative stands twice in one group; it counts once"));
        Ok(notes)
    }

    /// An alternative that is not one of those that the header counts.
    fn unknown(&self, ballots: &[Order]) -> Option<String> {
        let (_, declared) = self.alternatives?;
        let is_beyond = |number: u64| number == 0 || i64::try_from(number).is_ok_and(|number| number > declared);
        let named = self.names.iter().map(|(line, number, _)| (*line, *number));
        let listed = ballots.iter().flat_map(|ballot| ballot.listed().map(|number| (ballot.line, number)));
        let (line, number) = named.chain(listed).find(|(_, number)| is_beyond(*number))?;
        Some(format!(
            "row {line}: there is an alternative {number}, although NUMBER ALTERNATIVES is {declared}; it counts too"
        ))
    }

    /// The header's sums, by which a file that was cut short is found.
    fn sums(&self, ballots: &[Order]) -> Vec<String> {
        let mut notes = Vec::new();
        // Some files count an order that stands twice once.
        let different: HashSet<&[Vec<u64>]> = ballots.iter().map(|ballot| ballot.groups.as_slice()).collect();
        if let Some((line, orders)) = self.orders
            && ![ballots.len(), different.len()].iter().any(|found| i64::try_from(*found) == Ok(orders))
        {
            let found = ballots.len();
            notes.push(format!(
                "row {line}: NUMBER UNIQUE ORDERS is {orders}, but the file holds {found}, which count; is it complete?"
            ));
        }
        let sum: f64 = ballots.iter().map(|ballot| ballot.voters as f64).sum();
        if let Some((line, voters)) = self.voters.filter(|(_, voters)| (*voters as f64).to_bits() != sum.to_bits()) {
            notes.push(format!(
                "row {line}: NUMBER VOTERS is {voters}, but the orders add up to {sum}, which counts; is the file complete?"
            ));
        }
        notes
    }
}

impl Order {
    /// The same with each alternative by its place among `numbers`, once.
    fn of_places(&self, numbers: &[u64]) -> Ballot {
        let places = |group: &Vec<u64>| {
            each_once(group).iter().filter_map(|number| numbers.binary_search(number).ok()).collect::<Vec<usize>>()
        };
        Ballot { voters: self.voters, order: self.groups.iter().map(places).collect() }
    }

    fn listed(&self) -> impl Iterator<Item = u64> {
        self.groups.iter().flatten().copied()
    }
}

fn each_once(group: &[u64]) -> BTreeSet<u64> {
    group.iter().copied().collect()
}

/// What is true of some ballots, with the line of the first.
fn first(ballots: &[Order], is_so: impl Fn(&Order) -> bool, what: &str) -> Option<String> {
    let mut lines = ballots.iter().filter(|ballot| is_so(ballot)).map(|ballot| ballot.line);
    let line = lines.next()?;
    let more = match lines.count() {
        0 => String::new(),
        more => format!(" (and in {more} more)"),
    };
    Some(format!("row {line}{more}: {what}"))
}

/// `12: 3,{1,2},4`
fn ballot(source: Source<'_>, line: usize, text: &str) -> Result<Order, DataError> {
    let fail = |problem: String| source.row(line, problem);
    let Some((voters, order)) = text.split_once(':') else {
        return Err(fail(format!("\"{text}\"; expected how many voters and their order, like 12: 3,1,2")));
    };
    let voters = voters.trim();
    let voters: u64 = voters
        .parse()
        .ok()
        .filter(|voters| *voters <= VOTERS_MAX)
        .ok_or_else(|| fail(format!("\"{voters}\" voters; expected a whole number")))?;
    let groups = groups(order).map_err(fail)?;
    let mut listed = HashSet::new();
    for group in &groups {
        if let Some(twice) = each_once(group).into_iter().find(|number| !listed.insert(*number)) {
            return Err(fail(format!("alternative {twice} stands in two places of one order, above and below itself")));
        }
    }
    Ok(Order { line, voters, groups })
}

/// Commas may stand at the ends and twice, and groups may be empty: neither says anything.
fn groups(order: &str) -> Result<Vec<Vec<u64>>, String> {
    let number = |member: &str| {
        let number = member.parse::<u64>().ok().filter(|_| member.bytes().all(|byte| byte.is_ascii_digit()));
        number.ok_or_else(|| format!("\"{member}\" is no alternative; expected its number"))
    };
    let mut groups = Vec::new();
    let mut rest = order.trim_start();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('{') {
            let (group, after) = inner.split_once('}').ok_or("a brace \"{\" that is not closed")?;
            let members = group.split(',').map(str::trim).filter(|member| !member.is_empty());
            let group = members.map(number).collect::<Result<Vec<u64>, String>>()?;
            if !group.is_empty() {
                groups.push(group);
            }
            rest = after;
        } else {
            let end = rest.find([',', '>', '{']).unwrap_or(rest.len());
            match rest[..end].trim() {
                "" => {}
                member => groups.push(vec![number(member)?]),
            }
            rest = &rest[end..];
        }
        rest = rest.trim_start().trim_start_matches([',', '>']).trim_start();
    }
    Ok(groups)
}
