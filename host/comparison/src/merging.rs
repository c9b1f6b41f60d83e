//! Policies that are one: they gave the same answers everywhere.

use slhf_judge::Response;

use crate::policy::Policy;

/// A policy under all of its names.
#[derive(Debug)]
pub(crate) struct Merged<'a> {
    /// The first one of its answers.
    pub(crate) policy: &'a Policy,
    /// Further names, in the order of the field.
    pub(crate) also: Vec<&'a str>,
}

impl<'a> Merged<'a> {
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> {
        std::iter::once(self.policy.name.as_str()).chain(self.also.iter().copied())
    }

    /// By what it answered: the same under whatever names, in whatever order of the field.
    pub(crate) fn answers_hash(&self) -> String {
        let mut told = String::new();
        for answer in self.policy.answers.iter().flatten() {
            // Lengths keep apart what texts could run together.
            match answer {
                Some(answer) => {
                    told.push_str(&answer.text.len().to_string());
                    told.push(':');
                    told.push_str(&answer.text);
                }
                None => told.push('-'),
            }
        }
        slhf_files::sha256_hex(told.as_bytes())
    }

    /// Whether it says the same under every seed, as a file of responses does: then no training is behind it.
    pub(crate) fn is_fixed(&self) -> bool {
        let texts = |row: &[Option<Response>]| -> Vec<Option<std::sync::Arc<str>>> {
            row.iter().map(|answer| answer.as_ref().map(|answer| answer.text.clone())).collect()
        };
        let answers = &self.policy.answers;
        answers.len() > 1 && answers.windows(2).all(|pair| texts(&pair[0]) == texts(&pair[1]))
    }
}

/// A copy of a policy is no further evidence: it would raise the number of pairs that are corrected for, tie with itself, and
/// close every cycle a second time.
pub(crate) fn merged(policies: &[Policy]) -> Vec<Merged<'_>> {
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
        let renamed = [policy("z", [Some("no"), Some("yes")]), policy("y", [Some("yes"), None])];
        let again = merged(&renamed);
        assert_eq!(again[0].answers_hash(), found[2].answers_hash());
        assert_eq!(again[1].answers_hash(), found[0].answers_hash());
        assert_ne!(found[0].answers_hash(), found[1].answers_hash());
    }

    #[test]
    fn a_policy_without_seeds_is_fixed() {
        let row = |text: &str| vec![Some(Response::from_text(text))];
        let of = |answers| Policy { name: "a".to_owned(), answers };
        for (answers, expected) in
            [(vec![row("x"), row("x")], true), (vec![row("x"), row("y")], false), (vec![row("x")], false)]
        {
            assert_eq!(merged(&[of(answers)])[0].is_fixed(), expected);
        }
    }
}
