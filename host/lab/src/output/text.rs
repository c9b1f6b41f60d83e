//! Text of others, as it is or escaped.

use slhf_report::escape;

/// What becomes of text that a spreadsheet or a terminal would not take as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Text {
    /// Escaped.
    #[default]
    Escaped,
    /// As it is: the user asked for it.
    Raw,
}

impl Text {
    /// A text field of a CSV.
    pub(crate) fn csv(self, text: &str) -> String {
        match self {
            Self::Escaped => escape::csv(text).into_owned(),
            Self::Raw => text.to_owned(),
        }
    }
}
