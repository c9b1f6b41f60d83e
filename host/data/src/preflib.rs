//! PrefLib's ordinal formats (Mattei & Walsh 2013): strict or tied, complete or incomplete orders with how many voters
//! gave them.

use crate::counts::{ACTIONS_MAX, Tally};
use crate::error::{DataError, Source};
use crate::{PreferenceData, names};

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

/// One order with the line it stands on: groups of equally good alternatives, from 0, best first.
struct Ballot {
    line: usize,
    voters: f64,
    groups: Vec<Vec<usize>>,
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
    let actions = header.actions(source, kind)?;
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
    Ok(tally.into_data(actions))
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

    fn actions(&self, source: Source<'_>, kind: Kind) -> Result<Vec<String>, DataError> {
        if let Some((line, data_type)) = &self.data_type
            && data_type != kind.extension
        {
            let problem = format!("DATA TYPE is {data_type} in a file named .{}; rename the file", kind.extension);
            return Err(source.row(*line, problem));
        }
        let Some(alternatives) = self.alternatives else {
            return Err(source
                .whole("there is no line \"# NUMBER ALTERNATIVES: n\"; expected PrefLib's format of 2022 and later"));
        };
        if !(2..=ACTIONS_MAX).contains(&alternatives) {
            return Err(source.whole(format!("NUMBER ALTERNATIVES is {alternatives}; expected 2 to {ACTIONS_MAX}")));
        }
        let mut actions = vec![String::new(); alternatives];
        for (line, number, name) in &self.names {
            let Some(slot) = actions.get_mut(number - 1) else {
                return Err(source.row(*line, format!("alternative {number} of {alternatives}")));
            };
            if name.is_empty() || !slot.is_empty() {
                return Err(source.row(*line, format!("alternative {number} has no name, or two; expected one")));
            }
            slot.clone_from(name);
        }
        if let Some(missing) = actions.iter().position(String::is_empty) {
            let number = missing + 1;
            return Err(source.whole(format!("there is no line \"# ALTERNATIVE NAME {number}: …\"")));
        }
        if let Some((first, second)) = names::duplicate(&actions) {
            let (name, first, second) = (&actions[first], first + 1, second + 1);
            return Err(source.whole(format!(
                "alternatives {first} and {second} are both called \"{name}\"; every action needs a name of its own"
            )));
        }
        Ok(actions)
    }

    /// The header's sums: a file that was cut short is found here.
    fn check_sums(&self, source: Source<'_>, ballots: &[Ballot]) -> Result<(), DataError> {
        if let Some(orders) = self.orders
            && orders != ballots.len()
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

/// `12: 3,{1,2},4`
fn ballot(source: Source<'_>, kind: Kind, actions: &[String], line: usize, text: &str) -> Result<Ballot, DataError> {
    let fail = |problem: String| source.row(line, problem);
    let Some((voters, order)) = text.split_once(':') else {
        return Err(fail(format!("\"{text}\"; expected how many voters and their order, like 12: 3,1,2")));
    };
    let voters = voters.trim();
    let voters: u32 = voters.parse().map_err(|_| fail(format!("\"{voters}\" voters; expected a whole number")))?;
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
        _ => Ok(Ballot { line, voters: f64::from(voters), groups }),
    }
}

fn groups(order: &str, alternatives: usize) -> Result<Vec<Vec<usize>>, String> {
    let mut groups = Vec::new();
    let mut rest = order.trim();
    while !rest.is_empty() {
        let (group, after) = match rest.strip_prefix('{') {
            Some(inner) => inner.split_once('}').ok_or("a brace \"{\" that is not closed")?,
            None => rest.find(',').map_or((rest, ""), |comma| (&rest[..comma], &rest[comma..])),
        };
        let members = group.split(',').map(|member| {
            let member = member.trim();
            let number = member.parse::<usize>().ok().filter(|number| (1..=alternatives).contains(number));
            number
                .map(|number| number - 1)
                .ok_or_else(|| format!("\"{member}\" is no alternative; expected a number from 1 to {alternatives}"))
        });
        groups.push(members.collect::<Result<Vec<usize>, String>>()?);
        rest = match after.trim_start() {
            "" => "",
            after => {
                let next =
                    after.strip_prefix(',').ok_or_else(|| format!("\"{after}\"; expected a comma"))?.trim_start();
                if next.is_empty() {
                    return Err("the order ends with a comma".to_owned());
                }
                next
            }
        };
    }
    Ok(groups)
}

/// A tie is half a win each; what a ballot leaves out ranks below what it lists; two that it leaves out are no
/// comparison.
fn count(tally: &mut Tally, ballot: &Ballot) {
    debug_assert!(ballot.line > 0);
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
