//! Folders of low-rank adapters as PEFT saves them: what `adapter_config.json` says, and what is refused of it.

use std::path::Path;

use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{ModelError, Projection, SafetensorsFile};

/// The configuration's name in an adapter's folder.
pub const ADAPTER_CONFIG_FILE: &str = "adapter_config.json";
/// The weights' name there.
pub const ADAPTER_WEIGHTS_FILE: &str = "adapter_model.safetensors";

/// Bytes of the largest configuration that is believed.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Fields that change nothing in what an adapter computes once it is trained, or that its tensors say better: which
/// modules have one, and of which rank.
const WITHOUT_EFFECT: [&str; 19] = [
    "auto_mapping",
    "base_model_name_or_path",
    "corda_config",
    "eva_config",
    "exclude_modules",
    "inference_mode",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_alpha",
    "lora_dropout",
    "lora_ga_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "rank_pattern",
    "revision",
    "runtime_config",
    "velora_config",
];

/// Fields with a meaning of their own here.
const READ: [&str; 7] =
    ["alpha_pattern", "ensure_weight_tying", "modules_to_save", "r", "target_modules", "use_dora", "use_rslora"];

/// The task of an adapter with the head of a reward model.
const HEAD_TASK: &str = "SEQ_CLS";

/// What PEFT adds to `modules_to_save` of every such adapter, whether the model has such a module or not.
const OTHER_HEAD: &str = "classifier";

/// Starts that leave the base model as it is; the others (`pissa`, `olora`, …) move part of it into the adapter.
const STARTS: [&str; 4] = ["gaussian", "eva", "orthogonal", "mica"];

/// Whether a start is one of those that do.
fn changes_base(start: &str) -> bool {
    ["olora", "corda", "loftq", "lora_ga"].contains(&start) || start.starts_with("pissa")
}

/// What the file says.
#[derive(Debug)]
pub struct AdapterSettings {
    /// During training.
    pub dropout: f64,
    /// Of modules that `alpha_pattern` does not name.
    pub alpha: f64,
    /// By module, the first that fits; in the file's order.
    alpha_pattern: Vec<(Regex, f64)>,
    scaling: Scaling,
    /// What is made of the matrices.
    pub form: AdapterForm,
    /// Projections that all have an adapter in every layer, if that is all the file says of where adapters are.
    pub everywhere: Option<Vec<Projection>>,
    /// Modules that were trained as a whole.
    pub saved_modules: Vec<String>,
    /// The output matrix of a tied model is what becomes of its embedding.
    pub is_kept_tied: bool,
    /// What it says it was trained on.
    pub base_model: Option<String>,
}

/// By what `alpha` is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scaling {
    /// The rank.
    Rank,
    /// Its root (rsLoRA: Kalajdzievski, arXiv 2312.03732).
    RootOfRank,
}

/// What is made of the product of an adapter's matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdapterForm {
    /// It is added.
    Plain,
    /// The sum's rows are brought to trained lengths (`DoRA`: Liu et al., arXiv 2402.09353).
    Decomposed,
}

impl AdapterSettings {
    /// What the product of a module's matrices of this rank is multiplied by.
    #[must_use]
    pub fn scale(&self, module: &str, rank: i64) -> f64 {
        let named = self.alpha_pattern.iter().find(|(pattern, _)| pattern.is_match(module));
        let alpha = named.map_or(self.alpha, |(_, alpha)| *alpha);
        match self.scaling {
            Scaling::Rank => alpha / rank as f64,
            Scaling::RootOfRank => alpha / (rank as f64).sqrt(),
        }
    }

    /// Whether a module was trained as a whole.
    #[must_use]
    pub fn has_saved(&self, module: &str) -> bool {
        self.saved_modules.iter().any(|saved| saved == module || module.ends_with(&format!(".{saved}")))
    }
}

/// An object's entries in the file's order.
#[derive(Debug, Default)]
struct Ordered(Vec<(String, f64)>);

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> serde::de::Visitor<'de> for Entries {
            type Value = Ordered;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object from patterns to numbers")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }

            fn visit_unit<E>(self) -> Result<Ordered, E> {
                Ok(Ordered::default())
            }
        }
        deserializer.deserialize_any(Entries)
    }
}

#[derive(Deserialize)]
struct Patterns {
    #[serde(default)]
    alpha_pattern: Ordered,
}

/// Opens the two files of an adapter's folder: what the configuration says, and the weights, of which only the header is read.
pub fn open_adapter(folder: &Path) -> Result<(AdapterSettings, SafetensorsFile), ModelError> {
    let settings = read(&folder.join(ADAPTER_CONFIG_FILE))?;
    let weights = folder.join(ADAPTER_WEIGHTS_FILE);
    if !weights.exists() {
        let problem = format!("{ADAPTER_WEIGHTS_FILE} is missing; expected a folder as PEFT saves it");
        return Err(ModelError::File { path: folder.to_owned(), problem });
    }
    Ok((settings, SafetensorsFile::open(&weights)?))
}

fn read(path: &Path) -> Result<AdapterSettings, ModelError> {
    let doing = "read this file of an adapter";
    let unreadable = |source| ModelError::Io { path: path.to_owned(), doing, source };
    let bytes = slhf_files::read(path, CONFIG_BYTES_MAX).map_err(unreadable)?;
    let fields: Map<String, Value> = slhf_json::read_settings(&bytes).map_err(|source| ModelError::Json {
        path: path.to_owned(),
        what: "an adapter's configuration",
        source,
    })?;
    let reader = Reader { path, fields: &fields };
    reader.refuse_what_is_not_honoured()?;
    let Patterns { alpha_pattern } = serde_json::from_slice(&slhf_json::standard(&bytes))
        .map_err(|_| reader.wrong("alpha_pattern", "is no object from patterns of module names to numbers"))?;
    reader.settings(alpha_pattern)
}

struct Reader<'a> {
    path: &'a Path,
    fields: &'a Map<String, Value>,
}

impl Reader<'_> {
    fn wrong(&self, key: &str, problem: impl Into<String>) -> ModelError {
        ModelError::Config { path: self.path.to_owned(), key: key.to_owned(), problem: problem.into() }
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.fields.get(key).and_then(Value::as_str)
    }

    fn flag(&self, key: &str) -> Result<bool, ModelError> {
        match self.fields.get(key) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(key, format!("is {other}; expected true or false"))),
        }
    }

    /// A field that this list does not know and that is not off may change what the adapter computes: better refused
    /// than computed wrongly.
    fn refuse_what_is_not_honoured(&self) -> Result<(), ModelError> {
        for (key, value) in self.fields {
            let honoured = match key.as_str() {
                "peft_type" => value == "LORA",
                "task_type" => value == "CAUSAL_LM" || value == HEAD_TASK || value.is_null(),
                "bias" => ["none", "all", "lora_only"].iter().any(|known| value == known),
                "init_lora_weights" => {
                    value.is_boolean() || value.is_null() || value.as_str().is_some_and(|name| STARTS.contains(&name))
                }
                known if WITHOUT_EFFECT.contains(&known) || READ.contains(&known) => true,
                _ => is_off(value),
            };
            if !honoured {
                let expected = match key.as_str() {
                    "peft_type" => "only `LORA` is known",
                    "task_type" => "known are `CAUSAL_LM` and `SEQ_CLS`",
                    "bias" => "known are `none`, `all` and `lora_only`",
                    "init_lora_weights" if !value.as_str().is_some_and(changes_base) => {
                        "known are true, false, `gaussian`, `eva`, `orthogonal` and `mica`"
                    }
                    "init_lora_weights" => {
                        "that start changes the base model's weights too; let PEFT convert the adapter to a plain one: \
                         save_pretrained(…, path_initial_model_for_weight_conversion=…)"
                    }
                    _ => "that is not supported; it must be absent, null, false or empty",
                };
                return Err(self.wrong(key, format!("is {value}; {expected}")));
            }
        }
        Ok(())
    }

    fn settings(&self, alpha_pattern: Ordered) -> Result<AdapterSettings, ModelError> {
        if !self.fields.contains_key("peft_type") {
            return Err(self.wrong("peft_type", "is missing; expected `LORA`"));
        }
        let rank = self.fields.get("r").and_then(Value::as_u64);
        if !rank.is_some_and(|rank| (1..=u64::from(u32::MAX)).contains(&rank)) {
            return Err(self.wrong("r", "must be a whole number of at least 1"));
        }
        let alpha = self.fields.get("lora_alpha").and_then(Value::as_f64).filter(|alpha| alpha.is_finite());
        let alpha = alpha.ok_or_else(|| self.wrong("lora_alpha", "must be a number"))?;
        let dropout = match self.fields.get("lora_dropout") {
            None | Some(Value::Null) => 0.0,
            Some(value) => value
                .as_f64()
                .filter(|dropout| (0.0..1.0).contains(dropout))
                .ok_or_else(|| self.wrong("lora_dropout", format!("is {value}, but must lie in [0, 1)")))?,
        };
        Ok(AdapterSettings {
            dropout,
            alpha,
            alpha_pattern: self.patterns(alpha_pattern)?,
            scaling: if self.flag("use_rslora")? { Scaling::RootOfRank } else { Scaling::Rank },
            form: if self.flag("use_dora")? { AdapterForm::Decomposed } else { AdapterForm::Plain },
            everywhere: self.everywhere()?,
            saved_modules: self.saved_modules()?,
            is_kept_tied: self.flag("ensure_weight_tying")?,
            base_model: self.text("base_model_name_or_path").map(str::to_owned),
        })
    }

    /// As PEFT matches them: the whole name of a module, or its end after a period.
    fn patterns(&self, Ordered(entries): Ordered) -> Result<Vec<(Regex, f64)>, ModelError> {
        let compile = |(key, alpha): (String, f64)| {
            let pattern = Regex::new(&format!("^(?:.*\\.)?(?:{key})$"));
            pattern.map(|pattern| (pattern, alpha)).map_err(|_| {
                self.wrong("alpha_pattern", format!("has the pattern \"{key}\", which is not understood; expected module names or a plain regular expression"))
            })
        };
        entries.into_iter().map(compile).collect()
    }

    fn saved_modules(&self) -> Result<Vec<String>, ModelError> {
        const KEY: &str = "modules_to_save";
        match self.fields.get(KEY) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(names)) => {
                let name = |name: &Value| name.as_str().map(str::to_owned);
                let has_head = self.text("task_type") == Some(HEAD_TASK);
                names
                    .iter()
                    .filter(|name| !(has_head && *name == OTHER_HEAD))
                    .map(|value| name(value).ok_or_else(|| self.wrong(KEY, format!("names {value}; expected texts"))))
                    .collect()
            }
            Some(other) => Err(self.wrong(KEY, format!("is {other}; expected a list of module names"))),
        }
    }

    /// Plain names of projections, with nothing that takes modules out again: then each of them has an adapter in each
    /// layer, and one that is missing is an error. Of every other way to say where adapters are, the tensors are believed.
    fn everywhere(&self) -> Result<Option<Vec<Projection>>, ModelError> {
        const KEY: &str = "target_modules";
        let names = match self.fields.get(KEY) {
            Some(Value::Array(names)) => names,
            Some(Value::String(_) | Value::Null) | None => return Ok(None),
            Some(other) => {
                return Err(
                    self.wrong(KEY, format!("is {other}; expected a list of module names, or a regular expression"))
                );
            }
        };
        let mut targets = Vec::new();
        for name in names {
            let name = name.as_str().ok_or_else(|| self.wrong(KEY, format!("names {name}; expected texts")))?;
            match Projection::named(name) {
                Some(target) => targets.push(target),
                None if name == "embed_tokens" || name == "lm_head" => {}
                None => return Ok(None),
            }
        }
        let restricts = |key: &str| self.fields.get(key).is_some_and(|value| !is_off(value));
        if restricts("exclude_modules") || restricts("layers_to_transform") {
            return Ok(None);
        }
        targets.sort_unstable();
        targets.dedup();
        Ok(Some(targets))
    }
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}
