//! The columns of a table.

/// Which edge the values of a column stand at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alignment {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// What becomes of a column where people read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nothing.
    #[default]
    Plain,
    /// It holds labels of cells, whose keys are shortened as far as the rows can be told apart.
    Labels,
    /// It is left out where the place is too narrow for all.
    Spare,
}

/// A column's names and its look.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// The key in JSON, the header of a CSV.
    pub(crate) key: String,
    /// The header for people.
    pub(crate) title: String,
    /// Where values stand.
    pub(crate) alignment: Alignment,
    /// Holds [`Cell::Estimate`]s: a CSV gives such a column four (`key`, `key_low`, `key_high`, `key_n`).
    pub(crate) holds_estimates: bool,
    /// What becomes of it where people read it.
    pub(crate) role: Role,
}

impl Column {
    /// A column of text; the title is the key with spaces.
    pub(crate) fn text(key: impl Into<String>) -> Self {
        let key = key.into();
        Self {
            title: key.replace('_', " "),
            key,
            alignment: Alignment::Left,
            holds_estimates: false,
            role: Role::Plain,
        }
    }

    /// A column of numbers.
    pub(crate) fn number(key: impl Into<String>) -> Self {
        Self { alignment: Alignment::Right, ..Self::text(key) }
    }

    /// A column of means with intervals. The title is the key as it is: the name of a recorded metric.
    pub(crate) fn estimate(key: impl Into<String>) -> Self {
        let key = key.into();
        Self { title: key.clone(), holds_estimates: true, ..Self::number(key) }
    }

    /// A column of labels of cells.
    pub(crate) fn labels(key: impl Into<String>) -> Self {
        Self { role: Role::Labels, ..Self::text(key) }
    }

    /// It may be left out where the place is narrow.
    pub(crate) fn spare(self) -> Self {
        Self { role: Role::Spare, ..self }
    }

    /// Another title for people.
    pub(crate) fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }
}
