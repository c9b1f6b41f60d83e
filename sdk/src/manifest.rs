//! Who a plugin is, what it measures and what it claims.

/// What a plugin claims of its verdicts; `slhf-lab plugin check` holds it to that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// p(a ≻ b) + p(b ≻ a) = 1 for all a and b, whatever the parameters (and the upstream) are.
    pub complementary: bool,
    /// The verdict depends on how long a response is.
    pub length_sensitive: bool,
}

/// Who a plugin is. The schema of its parameters is added from [`Plugin::Parameters`](crate::Plugin::Parameters).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The plugin's name: the crate's, as a rule.
    pub name: String,
    /// The plugin's version: the crate's, as a rule.
    pub version: String,
    /// One sentence: what it measures.
    pub measures: String,
    /// What it claims.
    pub claims: Claims,
    /// Names of the models that it needs; an experiment that grants others beside them is right, too.
    pub models: Vec<String>,
}

impl Manifest {
    /// A manifest that claims nothing. [`manifest!`](crate::manifest) fills in the crate's name and version.
    pub fn new(name: impl Into<String>, version: impl Into<String>, measures: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            measures: measures.into(),
            claims: Claims::default(),
            models: Vec::new(),
        }
    }

    /// Claims that p(a ≻ b) + p(b ≻ a) = 1, whatever the parameters are.
    #[must_use]
    pub fn complementary(mut self) -> Self {
        self.claims.complementary = true;
        self
    }

    /// Needs a model of this name, beside those that were named before.
    #[must_use]
    pub fn needs_model(mut self, name: impl Into<String>) -> Self {
        self.models.push(name.into());
        self
    }

    /// Says that verdicts depend on how long a response is.
    #[must_use]
    pub fn length_sensitive(mut self) -> Self {
        self.claims.length_sensitive = true;
        self
    }
}

/// A [`Manifest`] with the name and version of the crate it is written in: `manifest!("what it measures")`.
#[macro_export]
macro_rules! manifest {
    ($measures:expr) => {
        $crate::Manifest::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), $measures)
    };
}
