//! PrefLib's ordinal formats (Mattei & Walsh 2013): strict or tied, complete or incomplete orders with how many voters
//! gave them; read as `preflibtools` 2.0.33 reads them, but for what contradicts itself, which is refused.

use std::collections::{HashMap, HashSet};

use crate::PreferenceData;
use crate::counts::{ACTIONS_MAX, Tally};
use crate::error::{DataError, Source};

/// Changed names that a note lists.
const NAMES_LISTED_MAX: usize = 5;

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

/// What the `#` lines say.
#[derive(Default)]
struct Header {
    alternatives: Option<usize>,
    voters: Option<f64>,
    orders: Option<usize>,
    data_type: Option<(usize, String)>,
    names: Vec<(usize, usize, String)>,
}

/// One order: groups of equally good alternatives, from 0, best first.
struct Ballot {
    voters: f64,
    groups: Vec<Vec<usize>>,
}

/// What the alternatives are called, and what was done so that each has a name of its own.
struct Names {
    actions: Vec<String>,
    notes: Vec<String>,
}

pub(crate) fn read(source: Source<'_>, kind: Kind, text: &str) -> Result<PreferenceData, DataError> {
    let mut header = Header::default();
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        match line.trim() {
            "" => {}
            line => match line.strip_prefix('#') {
                Some(entry) => header.take(source, line_number, entry)?,
                None => lines.push((line_number, line)),
            },
        }
    }
    let Names { actions, notes } = header.names(source, kind, &lines)?;
    let mut ballots = Vec::with_capacity(lines.len());
    for (line, text) in lines {
        ballots.push(ballot(source, kind, &actions, line, text)?);
    }
    header.check_sums(source, &ballots)?;
    let mut tally = Tally::new(actions.len());
    for ballot in &ballots {
        count(&mut tally, ballot);
    }
    if tally.wins.iter().flatten().all(|wins| *wins == 0.0) {
        return Err(source.whole("no ballot compares anything; expected lines like 12: 3,1,2"));
    }
    let mut data = tally.into_data(actions);
    data.notes.splice(0..0, notes);
    Ok(data)
}

impl Header {
    fn take(&mut self, source: Source<'_>, line: usize, entry: &str) -> Result<(), DataError> {
        let Some((key, value)) = entry.split_once(':') else { return Ok(()) };
        let (key, value) = (key.trim().to_ascii_uppercase(), value.trim());
        let whole = || {
            value
                .parse::<usize>()
                .map_err(|_| source.row(line, format!("{key} is \"{value}\"; expected a whole number")))
        };
        match key.as_str() {
            "NUMBER ALTERNATIVES" => self.alternatives = Some(whole()?),
            "NUMBER VOTERS" => self.voters = Some(whole()? as f64),
            "NUMBER UNIQUE ORDERS" => self.orders = Some(whole()?),
            "DATA TYPE" => self.data_type = Some((line, value.to_ascii_lowercase())),
            _ => {
                if let Some(number) = key.strip_prefix("ALTERNATIVE NAME ") {
                    let number =
                        number.trim().parse::<usize>().ok().filter(|number| *number > 0).ok_or_else(|| {
                            source.row(line, format!("{key}: expected the alternative's number, from 1"))
                        })?;
                    self.names.push((line, number, value.to_owned()));
                }
            }
        }
        Ok(())
    }

    fn names(&self, source: Source<'_>, kind: Kind, lines: &[(usize, &str)]) -> Result<Names, DataError> {
        if let Some((line, data_type)) = &self.data_type
            && data_type != kind.extension
        {
            let problem = format!("DATA TYPE is {data_type} in a file named .{}; rename the file", kind.extension);
            return Err(source.row(*line, problem));
        }
        let alternatives = self.alternatives(source, lines)?;
        if !(2..=ACTIONS_MAX).contains(&alternatives) {
            return Err(source.whole(format!("NUMBER ALTERNATIVES is {alternatives}; expected 2 to {ACTIONS_MAX}")));
        }
        let mut given: Vec<Option<&str>> = vec![None; alternatives];
        for (line, number, name) in &self.names {
            let Some(slot) = given.get_mut(number - 1) else {
                return Err(source.row(*line, format!("alternative {number} of {alternatives}")));
            };
            if let Some(before) = slot.filter(|before| before != name) {
                let problem = format!("alternative {number} is called \"{before}\" already; expected one name");
                return Err(source.row(*line, problem));
            }
            // A line without a name gives none.
            if !name.is_empty() {
                *slot = Some(name);
            }
        }
        Ok(unique(&given))
    }

    /// How many there are; where no line says it, as many as are named or stand in the orders.
    fn alternatives(&self, source: Source<'_>, lines: &[(usize, &str)]) -> Result<usize, DataError> {
        if let Some(alternatives) = self.alternatives {
            return Ok(alternatives);
        }
        if lines.iter().any(|(_, line)| !line.contains(':')) || (lines.is_empty() && self.names.is_empty()) {
            return Err(source
                .whole("there is no line \"# NUMBER ALTERNATIVES: n\"; expected PrefLib's format of 2022 and later"));
        }
        let named = self.names.iter().map(|(_, number, _)| *number);
        let orders = lines.iter().filter_map(|(_, line)| line.split_once(':')).map(|(_, order)| order);
        let listed = orders.flat_map(|order| order.split(|sign: char| !sign.is_ascii_digit())).map(str::parse::<usize>);
        Ok(named.chain(listed.filter_map(Result::ok)).max().unwrap_or(0))
    }

    /// The header's sums: a file that was cut short is found here.
    fn check_sums(&self, source: Source<'_>, ballots: &[Ballot]) -> Result<(), DataError> {
        // Some files count an order that stands twice once.
        let different: HashSet<&[Vec<usize>]> = ballots.iter().map(|ballot| ballot.groups.as_slice()).collect();
        if let Some(orders) = self.orders
            && ![ballots.len(), different.len()].contains(&orders)
        {
            let found = ballots.len();
            return Err(
                source.whole(format!("NUMBER UNIQUE ORDERS is {orders}, but the file holds {found}; is it complete?"))
            );
        }
        let sum: f64 = ballots.iter().map(|ballot| ballot.voters).sum();
        match self.voters {
            Some(voters) if voters.to_bits() != sum.to_bits() => Err(source
                .whole(format!("NUMBER VOTERS is {voters}, but the orders add up to {sum}; is the file complete?"))),
            _ => Ok(()),
        }
    }
}

/// A name of its own for each: what has none is called by its number, and what is called like an earlier one gets a number
/// behind its name. Both as `preflibtools` does it (`append_order`, and `autocorrect`).
fn unique(given: &[Option<&str>]) -> Names {
    let own: HashSet<&str> = given.iter().flatten().copied().collect();
    let mut taken: HashSet<String> = HashSet::new();
    let mut repetitions: HashMap<String, usize> = HashMap::new();
    let (mut actions, mut renamed, mut unnamed) = (Vec::with_capacity(given.len()), Vec::new(), 0);
    for (index, name) in given.iter().enumerate() {
        let number = index + 1;
        let wanted = name.map_or_else(|| format!("Alternative {number}"), str::to_owned);
        unnamed += usize::from(name.is_none());
        let mut action = wanted.clone();
        // A name that another has in the file is not taken from it.
        while (action != wanted && own.contains(action.as_str())) || !taken.insert(action.clone()) {
            let repetition = repetitions.entry(wanted.clone()).or_default();
            *repetition += 1;
            action = format!("{wanted}__{repetition}");
        }
        if action != wanted {
            renamed.push(format!("alternative {number} is called \"{action}\""));
        }
        actions.push(action);
    }
    let mut notes = Vec::new();
    if unnamed > 0 {
        let (are, them) = if unnamed == 1 { ("alternative has", "it is") } else { ("alternatives have", "they are") };
        notes.push(format!("{unnamed} {are} no name in the file; {them} called by number"));
    }
    if !renamed.is_empty() {
        let more = renamed.len().saturating_sub(NAMES_LISTED_MAX);
        renamed.truncate(NAMES_LISTED_MAX);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        notes.push(format!("names that stand twice in the file: {}{more}", renamed.join("; ")));
    }
    Names { actions, notes }
}

/// `12: 3,{1,2},4`
fn ballot(source: Source<'_>, kind: Kind, actions: &[String], line: usize, text: &str) -> Result<Ballot, DataError> {
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
    let groups = groups(order, actions.len()).map_err(fail)?;
    if !kind.allows_ties && groups.iter().any(|group| group.len() > 1) {
        return Err(fail(format!("a tie in braces; a .{} file holds strict orders only", kind.extension)));
    }
    let mut listed = vec![false; actions.len()];
    for &alternative in groups.iter().flatten() {
        if std::mem::replace(&mut listed[alternative], true) {
            return Err(fail(format!("alternative {} stands twice in one order", alternative + 1)));
        }
    }
    match listed.iter().position(|listed| !listed) {
        Some(missing) if !kind.allows_gaps => Err(fail(format!(
            "alternative {} (\"{}\") is left out; a .{} file holds complete orders only",
            missing + 1,
            actions[missing],
            kind.extension
        ))),
        _ => Ok(Ballot { voters: voters as f64, groups }),
    }
}

/// Commas may stand at the ends and twice, and groups may be empty: neither says anything.
fn groups(order: &str, alternatives: usize) -> Result<Vec<Vec<usize>>, String> {
    let number = |member: &str| {
        let number = member.parse::<usize>().ok().filter(|number| (1..=alternatives).contains(number));
        number
            .map(|number| number - 1)
            .ok_or_else(|| format!("\"{member}\" is no alternative; expected a number from 1 to {alternatives}"))
    };
    let mut groups = Vec::new();
    let mut rest = order.trim_start();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('{') {
            let (group, after) = inner.split_once('}').ok_or("a brace \"{\" that is not closed")?;
            let members = group.split(',').map(str::trim).filter(|member| !member.is_empty());
            let group = members.map(number).collect::<Result<Vec<usize>, String>>()?;
            if !group.is_empty() {
                groups.push(group);
            }
            rest = after;
        } else {
            let end = rest.find([',', '{']).unwrap_or(rest.len());
            match rest[..end].trim() {
                "" => {}
                member => groups.push(vec![number(member)?]),
            }
            rest = &rest[end..];
        }
        rest = rest.trim_start().trim_start_matches(',').trim_start();
    }
    Ok(groups)
}

/// A tie is half a win each; what a ballot leaves out ranks below what it lists; two that it leaves out are no
/// comparison.
fn count(tally: &mut Tally, ballot: &Ballot) {
    let n = tally.wins.len();
    let mut rank = vec![None; n];
    for (position, group) in ballot.groups.iter().enumerate() {
        for &alternative in group {
            rank[alternative] = Some(position);
        }
    }
    for i in 0..n {
        // Nothing that is left out beats anything.
        let Some(own) = rank[i] else { continue };
        for (j, other) in rank.iter().enumerate() {
            let share = match *other {
                Some(other) if own == other => 0.5,
                Some(other) if own > other => 0.0,
                _ => 1.0,
            };
            if i != j {
                tally.wins[i][j] += share * ballot.voters;
            }
        }
    }
}
