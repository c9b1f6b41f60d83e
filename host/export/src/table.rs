//! Tables as every format sees them: named, typed columns and rows of values.

use bytes::Bytes;

/// What a column holds. Every column may hold nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A 64-bit whole number.
    Integer,
    /// A 64-bit floating-point number, not-a-number and the infinities included.
    Number,
    /// True or false.
    Boolean,
    /// Text.
    Text,
    /// A conversation: messages with role and content, as Hugging Face's tools have them.
    Messages,
}

impl Kind {
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Text => "text",
            Self::Messages => "messages",
        }
    }
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// A table: what its file is called, and its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name, without an ending.
    pub name: &'static str,
    /// Its columns, in order.
    pub columns: Vec<Column>,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user`, `assistant`.
    pub role: Bytes,
    /// What it says.
    pub content: Bytes,
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// UTF-8; shared, so that a name that stands in a million rows is kept once.
    Text(Bytes),
    /// A conversation.
    Messages(Vec<Message>),
}

impl Value {
    pub(crate) const fn in_words(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Integer(_) => Kind::Integer.in_words(),
            Self::Number(_) => Kind::Number.in_words(),
            Self::Boolean(_) => Kind::Boolean.in_words(),
            Self::Text(_) => Kind::Text.in_words(),
            Self::Messages(_) => Kind::Messages.in_words(),
        }
    }

    /// Text that is kept once.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Bytes::from(text.into()))
    }
}

/// The number as JSON and CSV write it: the shortest digits that give it back, or its name.
pub(crate) fn number(value: f64) -> String {
    if value.is_finite() { format!("{value:?}") } else { slhf_record::non_finite_word(value).to_owned() }
}
