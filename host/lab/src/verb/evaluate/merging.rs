//! Policies that are one: they gave the same answers everywhere.

use slhf_judge::Response;

use super::field::Policy;

/// A policy under all of its names.
#[derive(Debug)]
pub(super) struct Merged<'a> {
    /// The first one of its answers.
    pub(super) policy: &'a Policy,
    /// Further names, in the order of the field.
    pub(super) also: Vec<&'a str>,
}

impl<'a> Merged<'a> {
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        std::iter::once(self.policy.name.as_str()).chain(self.also.iter().copied())
    }

    /// The same whichever of them was listed first.
    pub(super) fn least_name(&self) -> &'a str {
        self.also.iter().copied().fold(self.policy.name.as_str(), std::cmp::min)
    }
}

/// A copy of a policy is no further evidence: it would raise the number of pairs that are corrected for, tie with itself, and
/// close every cycle a second time.
pub(super) fn merged(policies: &[Policy]) -> Vec<Merged<'_>> {
    let mut found: Vec<Merged<'_>> = Vec::new();
    for policy in policies {
        match found.iter_mut().find(|known| is_same(known.policy, policy)) {
            Some(known) => known.also.push(&policy.name),
            None => found.push(Merged { policy, also: Vec::new() }),
        }
    }
    found
}

fn is_same(one: &Policy, other: &Policy) -> bool {
    let text = |answer: &Option<Response>| answer.as_ref().map(|answer| answer.text.clone());
    let answers = || one.answers.iter().flatten().zip(other.answers.iter().flatten());
    answers().all(|(one, other)| text(one) == text(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, answers: [Option<&str>; 2]) -> Policy {
        Policy { name: name.to_owned(), answers: vec![answers.map(|text| text.map(Response::from_text)).to_vec()] }
    }

    #[test]
    fn equal_answers_are_one_policy() {
        let policies = [
            policy("b", [Some("yes"), None]),
            policy("c", [Some("yes"), Some("no")]),
            policy("a", [Some("yes"), None]),
            policy("d", [Some("no"), Some("yes")]),
        ];
        let found = merged(&policies);
        let names: Vec<Vec<&str>> = found.iter().map(|one| one.names().collect()).collect();
        assert_eq!(names, [vec!["b", "a"], vec!["c"], vec!["d"]]);
        assert_eq!(found[0].least_name(), "a");
    }
}
