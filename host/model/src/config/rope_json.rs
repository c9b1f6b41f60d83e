//! Rotary positions as `config.json` says them: what transformers 5 takes where a fact stands in two places.

use serde_json::Value;

use super::fields::KEYS;
use super::rope::yarn_attention_factor;
use super::{Fields, RopeConfig, RopeScaling, YarnRange};
use crate::ModelError;

/// What transformers takes where the file is silent.
const THETA: f64 = 10_000.0;

pub(super) fn refuse_partial_rotation(fields: &Fields) -> Result<(), ModelError> {
    match fields.number("partial_rotary_factor")? {
        Some(factor) if factor != 1.0 => {
            Err(fields.wrong("partial_rotary_factor", format!("is {factor}; only 1 is supported")))
        }
        _ => Ok(()),
    }
}

/// Of a model whose layers all turn alike. `rope_scaling`, if it says anything, goes before `rope_parameters` as a whole:
/// that one's theta is then not looked at.
pub(super) fn rope_of(config: &Fields, head_size: usize) -> Result<RopeConfig, ModelError> {
    let scaling = config.object("rope_scaling")?.filter(|fields| !fields.is_empty());
    let inner = match scaling {
        Some(scaling) => Some(scaling),
        None => config.object("rope_parameters")?,
    };
    let outer_theta = config.positive("rope_theta")?.unwrap_or(THETA);
    let Some(inner) = inner else { return Ok(RopeConfig { theta: outer_theta, scaling: RopeScaling::None }) };
    for kind in ["full_attention", "sliding_attention"] {
        if inner.get(kind).is_some() {
            return Err(inner.wrong(kind, "is an entry by kind of layer, which only gemma3_text has"));
        }
    }
    let outer_context = config.size("original_max_position_embeddings")?;
    Reading { config, fields: &inner, head_size, original_context: outer_context, range_in: &inner }.rope(outer_theta)
}

/// A theta that was saved with the model and does not count, because `rope_scaling` was added beside it: what transformers 5
/// makes of that is what is computed, and hardly what was meant.
pub(super) fn note(config: &Fields, rope: &RopeConfig) -> Result<Option<String>, ModelError> {
    let is_added = config.object("rope_scaling")?.is_some_and(|fields| !fields.is_empty());
    let saved = match config.object("rope_parameters")? {
        Some(parameters) => parameters.positive("rope_theta")?,
        None => None,
    };
    Ok(saved.filter(|saved| is_added && *saved != rope.theta).map(|saved| {
        format!(
            "{}: `rope_scaling` takes the place of all of `rope_parameters`, as in transformers 5, so that theta is {} and not \
             {saved}; write `rope_theta` into `rope_scaling` to keep it",
            config.path().display(),
            rope.theta
        )
    }))
}

/// Settings of one kind of layer, and where to look for what they do not say.
pub(super) struct Reading<'a> {
    pub(super) config: &'a Fields,
    /// `rope_parameters`, `rope_scaling`, or an entry by kind of layer.
    pub(super) fields: &'a Fields,
    pub(super) head_size: usize,
    /// Goes before the one within the settings.
    pub(super) original_context: Option<usize>,
    /// Where `truncate` counts: beside the entries by kind of layer, where there are such, and never within them.
    pub(super) range_in: &'a Fields,
}

impl Reading<'_> {
    /// `outer_theta` where the settings have none.
    pub(super) fn rope(&self, outer_theta: f64) -> Result<RopeConfig, ModelError> {
        let theta = self.fields.positive("rope_theta")?.unwrap_or(outer_theta);
        Ok(RopeConfig { theta, scaling: self.scaling(theta)? })
    }

    fn scaling(&self, theta: f64) -> Result<RopeScaling, ModelError> {
        refuse_partial_rotation(self.fields)?;
        let fields = self.fields;
        let key = if fields.get("rope_type").is_some() { "rope_type" } else { "type" };
        match fields.text(key)?.unwrap_or("default") {
            "default" => Ok(RopeScaling::None),
            "linear" => Ok(RopeScaling::Linear { factor: self.needed("factor")? }),
            "llama3" => self.llama3(),
            "yarn" => self.yarn(theta),
            "dynamic" => {
                Ok(RopeScaling::Dynamic { factor: self.needed("factor")?, original_context: self.context()? })
            }
            "longrope" => self.long_rope(),
            other => Err(fields.wrong(
                key,
                format!("is \"{other}\"; known are \"default\", \"linear\", \"dynamic\", \"yarn\", \"llama3\" and \"longrope\""),
            )),
        }
    }

    fn needed(&self, key: &str) -> Result<f64, ModelError> {
        self.fields.required(key, self.fields.positive(key)?)
    }

    /// Of the whole model.
    fn context(&self) -> Result<usize, ModelError> {
        self.config.required(KEYS.context_length, self.config.size(KEYS.context_length)?)
    }

    /// Positions before stretching.
    fn original_context(&self) -> Result<usize, ModelError> {
        const KEY: &str = "original_max_position_embeddings";
        let found = match self.original_context {
            Some(positions) => positions,
            None => match self.fields.size(KEY)? {
                Some(positions) => positions,
                None => self.context()?,
            },
        };
        if found < 2 { Err(self.fields.wrong(KEY, format!("is {found}; expected at least 2"))) } else { Ok(found) }
    }

    fn llama3(&self) -> Result<RopeScaling, ModelError> {
        let (low, high) = (self.needed("low_freq_factor")?, self.needed("high_freq_factor")?);
        if high <= low {
            let problem = format!("is {high}; expected more than low_freq_factor = {low}");
            return Err(self.fields.wrong("high_freq_factor", problem));
        }
        Ok(RopeScaling::Llama3 {
            factor: self.needed("factor")?,
            low_freq_factor: low,
            high_freq_factor: high,
            original_context: self.original_context()?,
        })
    }

    /// The factor that is given, or by how much the context grew.
    fn factor(&self, original_context: usize) -> Result<f64, ModelError> {
        match self.fields.positive("factor")? {
            Some(factor) => Ok(factor),
            None => Ok(self.context()? as f64 / original_context as f64),
        }
    }

    fn yarn(&self, theta: f64) -> Result<RopeScaling, ModelError> {
        if theta <= 1.0 {
            return Err(self.fields.wrong("rope_theta", format!("is {theta}; \"yarn\" needs more than 1")));
        }
        let original_context = self.original_context()?;
        let factor = self.factor(original_context)?;
        // 0 counts as silent, as in Python's `or`.
        let set = |key: &str| -> Result<Option<f64>, ModelError> {
            Ok(self.fields.number(key)?.filter(|&value| value != 0.0))
        };
        let attention_factor = match self.fields.positive("attention_factor")? {
            Some(factor) => factor,
            None => match (set("mscale")?, set("mscale_all_dim")?) {
                (Some(mine), Some(all)) => yarn_attention_factor(factor, mine) / yarn_attention_factor(factor, all),
                _ => yarn_attention_factor(factor, 1.0),
            },
        };
        let range = match self.range_in.flag("truncate")? {
            Some(false) => YarnRange::Exact,
            _ => YarnRange::Whole,
        };
        let beta = |key: &str, usual: f64| match set(key)? {
            None => Ok(usual),
            Some(beta) if beta > 0.0 => Ok(beta),
            Some(beta) => Err(self.fields.wrong(key, format!("is {beta}; expected a number above 0"))),
        };
        let (beta_fast, beta_slow) = (beta("beta_fast", 32.0)?, beta("beta_slow", 1.0)?);
        Ok(RopeScaling::Yarn { factor, attention_factor, beta_fast, beta_slow, original_context, range })
    }

    fn long_rope(&self) -> Result<RopeScaling, ModelError> {
        let original_context = self.original_context()?;
        let (short, long) = (self.factors("short_factor")?, self.factors("long_factor")?);
        let attention_factor = match self.fields.positive("attention_factor")? {
            Some(factor) => factor,
            None => match self.factor(original_context)? {
                factor if factor > 1.0 => (1.0 + factor.ln() / (original_context as f64).ln()).sqrt(),
                _ => 1.0,
            },
        };
        Ok(RopeScaling::LongRope { short, long, attention_factor, original_context })
    }

    /// A number above 0 for each pair of dimensions.
    fn factors(&self, key: &str) -> Result<Vec<f64>, ModelError> {
        let pairs = self.head_size / 2;
        let problem = || format!("is no list of {pairs} numbers above 0, one for each pair of a head's dimensions");
        let Some(Value::Array(list)) = self.fields.get(key) else { return Err(self.fields.wrong(key, problem())) };
        let number = |value: &Value| value.as_f64().filter(|value| value.is_finite() && *value > 0.0);
        let factors: Option<Vec<f64>> = list.iter().map(number).collect();
        factors.filter(|factors| factors.len() == pairs).ok_or_else(|| self.fields.wrong(key, problem()))
    }
}
