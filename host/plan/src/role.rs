//! Who gave a completion, and when: the `role` of the record's completions.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Who gives a completion.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// The Leader, or the one policy of a method without a Follower.
    Leader,
    /// The Follower of training, which improves the Leader's completion.
    Follower,
    /// What the Leader's completion is compared with in training where no Follower improves it.
    Opponent,
    /// The reference policy.
    Reference,
    /// The Follower, in a round of refinement (from 1) of what somebody else began.
    Refined {
        /// Who gave the completion of round 0.
        start: Box<Who>,
        /// Rounds of refinement, at least 1.
        round: u32,
    },
    /// Another model, a file of responses, or a name of an earlier version.
    Other(String),
}

/// Who gave a completion, in training or on held-out prompts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Role {
    /// Whether the prompt is held out: an evaluation's completion.
    pub is_held_out: bool,
    /// Who gave it.
    pub who: Who,
}

/// Prefix of the role of a completion of a held-out prompt.
const HELD_OUT: &str = "held-out/";

impl Role {
    /// In training.
    #[must_use]
    pub fn of_training(who: Who) -> Self {
        Self { is_held_out: false, who }
    }

    /// On a held-out prompt.
    #[must_use]
    pub fn held_out(who: Who) -> Self {
        Self { is_held_out: true, who }
    }

    /// As the record writes it.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix(HELD_OUT) {
            Some(who) => Self::held_out(Who::parse(who)),
            None => Self::of_training(Who::parse(text)),
        }
    }
}

impl Who {
    /// Names that evaluations give to a run's own policies, and that nobody else may have.
    pub const OWN_NAMES: [&str; 3] = ["leader", "reference", "follower"];

    /// The Follower after so many rounds; round 0 is the start itself.
    #[must_use]
    pub fn refined(start: Self, round: u32) -> Self {
        if round == 0 { start } else { Self::Refined { start: Box::new(start), round } }
    }

    /// As evaluations and the record name it.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "leader" => Self::Leader,
            "follower" => Self::Follower,
            "opponent" => Self::Opponent,
            "reference" => Self::Reference,
            other => parse_refined(other).unwrap_or_else(|| Self::Other(other.to_owned())),
        }
    }
}

/// `follower(…)`, `follower^2(…)`, …
fn parse_refined(text: &str) -> Option<Who> {
    let (round, start) = text.strip_prefix("follower")?.split_once('(')?;
    let start = Who::parse(start.strip_suffix(')')?);
    let round = match round {
        "" => 1,
        more => more.strip_prefix('^')?.parse().ok()?,
    };
    let refined = Who::refined(start, round);
    // Only what is written so: a name of somebody else's stays that name.
    (refined.to_string() == text).then_some(refined)
}

impl fmt::Display for Who {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leader => formatter.write_str("leader"),
            Self::Follower => formatter.write_str("follower"),
            Self::Opponent => formatter.write_str("opponent"),
            Self::Reference => formatter.write_str("reference"),
            Self::Refined { start, round: 1 } => write!(formatter, "follower({start})"),
            Self::Refined { start, round } => write!(formatter, "follower^{round}({start})"),
            Self::Other(name) => formatter.write_str(name),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", if self.is_held_out { HELD_OUT } else { "" }, self.who)
    }
}

impl FromStr for Role {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::parse(text))
    }
}

impl From<String> for Role {
    fn from(text: String) -> Self {
        Self::parse(&text)
    }
}

impl From<Role> for String {
    fn from(role: Role) -> Self {
        role.to_string()
    }
}

/// As it is recorded.
impl PartialEq<&str> for Role {
    fn eq(&self, text: &&str) -> bool {
        *self == Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_role_is_read_as_it_is_written() {
        let leader = || Box::new(Who::Leader);
        let check = |text: &str, expected: Role| {
            assert_eq!(Role::parse(text), expected);
            assert_eq!(expected.to_string(), text);
        };
        check("leader", Role::of_training(Who::Leader));
        check("opponent", Role::of_training(Who::Opponent));
        check("follower", Role::of_training(Who::Follower));
        check("held-out/reference", Role::held_out(Who::Reference));
        check("held-out/follower(leader)", Role::held_out(Who::Refined { start: leader(), round: 1 }));
        check("held-out/follower^3(leader)", Role::held_out(Who::Refined { start: leader(), round: 3 }));
        let other = Who::Refined { start: Box::new(Who::Other("gpt (4)".to_owned())), round: 2 };
        check("held-out/follower^2(gpt (4))", Role::held_out(other));
        for name in
            ["gpt", "followers", "follower^1(leader)", "follower^0(leader)", "follower^x(leader)", "follower(a", ""]
        {
            check(name, Role::of_training(Who::Other(name.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn every_text_is_written_as_it_was_read(
            parts in prop::collection::vec(
                prop::sample::select(vec!["held-out/", "follower", "^2", "^1", "(", ")", "leader", "reference", "gpt 4", "é"]),
                0..7,
            ),
        ) {
            let text = parts.concat();
            prop_assert_eq!(Role::parse(&text).to_string(), text.as_str());
            let json = serde_json::to_string(&Role::parse(&text)).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<String>(&json).expect("a text"), text);
        }
    }
}
