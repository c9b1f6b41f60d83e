//! What a method says of itself, wherever it is used.

/// What a method learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Nothing: the run is its evaluation.
    Nothing,
    /// One policy.
    OnePolicy,
    /// Leader and Follower.
    LeaderAndFollower,
    /// One policy that answers, and then improves its answer.
    TwoTurns,
}

/// What is the same wherever a method is used.
pub trait Named {
    /// What it does, in a sentence, with its paper.
    const ABOUT: &'static str;
    /// Names of other tools for it or for what is nearest to it, in lower case with hyphens, with how it differs.
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] = &[];
}
