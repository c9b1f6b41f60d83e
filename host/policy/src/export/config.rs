//! `config.json` of an exported model.

use serde_json::{Map, Value, json};
use slhf_plan::ModelPrecision;

use crate::atomic_folder::io;
use crate::{
    Activation, Family, ModelConfig, ModelError, PolicyError, RopeConfig, RopeScaling, StoredModel, YarnRange,
};

/// What every model with Llama 3.1's rule has.
const LOW_FREQUENCY_FACTOR: f64 = 1.0;
const HIGH_FREQUENCY_FACTOR: f64 = 4.0;
const ORIGINAL_CONTEXT: usize = 8192;

/// A folder's own, with the data type that is written; of a GGUF, made from what was read. `written` is the model's
/// configuration with what an adapter changes in it.
pub(super) fn to_json(
    model: &StoredModel,
    written: &ModelConfig,
    precision: ModelPrecision,
) -> Result<String, PolicyError> {
    let mut fields = if model.path().is_dir() {
        let path = model.path().join("config.json");
        let bytes = slhf_files::read(&path, slhf_files::MODEL_JSON_BYTES_MAX)
            .map_err(io(&path, "read this file of the model"))?;
        let fields = slhf_json::read_object(&bytes)
            .map_err(|source| PolicyError::Model(ModelError::Json { path, what: "a model's configuration", source }))?;
        // What transformers takes for absent: other readers know no NaN.
        let fields = fields.into_iter().map(|(key, value)| (key, slhf_json::without_marks(value)));
        without_null_thetas(fields.collect())
    } else {
        of(model)?
    };
    let name = match precision {
        ModelPrecision::F32 => "float32",
        ModelPrecision::Bf16 => "bfloat16",
    };
    // A folder may say that its output matrix is the embedding, and have another one.
    fields.insert("tie_word_embeddings".to_owned(), json!(written.tied_embeddings));
    fields.insert("vocab_size".to_owned(), json!(written.vocabulary_size));
    if let Some(head) = &written.reward {
        fields.insert("architectures".to_owned(), json!([classifier(written.family)]));
        let numbered = || head.labels.iter().enumerate();
        let names: Map<String, Value> = numbered().map(|(row, label)| (row.to_string(), json!(label))).collect();
        let rows: Map<String, Value> = numbered().map(|(row, label)| (label.clone(), json!(row))).collect();
        fields.insert("id2label".to_owned(), Value::Object(names));
        fields.insert("label2id".to_owned(), Value::Object(rows));
        // Where both are there and differ, transformers warns.
        fields.remove("num_labels");
    }
    // Older readers know the first name only, newer ones prefer the second.
    fields.insert("torch_dtype".to_owned(), json!(name));
    fields.insert("dtype".to_owned(), json!(name));
    Ok(format!("{:#}\n", Value::Object(fields)))
}

/// What transformers calls a reward model of a family.
fn classifier(family: Family) -> &'static str {
    match family {
        Family::Llama => "LlamaForSequenceClassification",
        Family::Qwen2 => "Qwen2ForSequenceClassification",
        Family::Qwen3 => "Qwen3ForSequenceClassification",
        Family::Gemma3 => "Gemma3TextForSequenceClassification",
    }
}

/// A theta that is null is read as absent here, and as a number by others, who stop.
fn without_null_thetas(fields: Map<String, Value>) -> Map<String, Value> {
    let is_theta = |key: &str| ["rope_theta", "rope_local_base_freq"].contains(&key);
    let is_kept = |(key, value): &(String, Value)| !(is_theta(key) && value.is_null());
    let within = |(key, value): (String, Value)| match value {
        Value::Object(object) => (key, Value::Object(without_null_thetas(object))),
        other => (key, other),
    };
    fields.into_iter().filter(is_kept).map(within).collect()
}

fn of(model: &StoredModel) -> Result<Map<String, Value>, PolicyError> {
    let config = model.config();
    let (architecture, bias_is_a_setting) = match config.family {
        Family::Llama => ("LlamaForCausalLM", true),
        Family::Qwen2 => ("Qwen2ForCausalLM", false),
        Family::Qwen3 => ("Qwen3ForCausalLM", true),
        Family::Gemma3 => ("Gemma3ForCausalLM", true),
    };
    if let Some(windows) = config.windows.as_ref().filter(|windows| windows.rope.scaling != RopeScaling::None) {
        let factor = windows.rope.attention_factor();
        let problem = format!(
            "is {factor}, and config.json has no word for it in layers with windows: export the model's Hugging Face folder instead of its GGUF"
        );
        let (path, key) = (model.path().to_owned(), "rope.scaling.attn_factor".to_owned());
        return Err(PolicyError::Model(ModelError::Config { path, key, problem }));
    }
    let mut fields = Map::new();
    let values = [
        ("architectures", json!([architecture])),
        ("model_type", json!(config.family.name())),
        ("hidden_size", json!(config.hidden_size)),
        ("intermediate_size", json!(config.intermediate_size)),
        ("num_hidden_layers", json!(config.layers)),
        ("num_attention_heads", json!(config.heads)),
        ("num_key_value_heads", json!(config.key_value_heads)),
        ("head_dim", json!(config.head_size)),
        ("vocab_size", json!(config.vocabulary_size)),
        ("max_position_embeddings", json!(config.context_length)),
        ("rms_norm_eps", json!(config.norm_epsilon)),
        ("rope_theta", json!(config.rope.theta)),
        ("rope_scaling", rope_scaling(model)?),
        ("tie_word_embeddings", json!(config.tied_embeddings)),
        ("pad_token_id", json!(config.padding_token)),
        ("bos_token_id", json!(config.beginning_token)),
        ("eos_token_id", json!(config.end_tokens)),
        ("use_cache", json!(true)),
    ];
    fields.extend(values.map(|(key, value)| (key.to_owned(), value)));
    if bias_is_a_setting {
        fields.insert("attention_bias".to_owned(), json!(config.attention_bias));
    }
    match config.activation() {
        Activation::Silu => fields.insert("hidden_act".to_owned(), json!("silu")),
        Activation::GeluTanh => fields.insert("hidden_activation".to_owned(), json!("gelu_pytorch_tanh")),
    };
    if config.family == Family::Gemma3 {
        fields.extend(gemma(config).map(|(key, value)| (key.to_owned(), value)));
    }
    Ok(fields)
}

/// What Gemma 3 says beyond the others.
fn gemma(config: &ModelConfig) -> [(&'static str, Value); 6] {
    let windows = config.windows.as_ref();
    let kinds = (0..config.layers).map(|layer| {
        let windowed = windows.is_some_and(|windows| windows.layers.get(layer) == Some(&true));
        if windowed { "sliding_attention" } else { "full_attention" }
    });
    [
        ("layer_types", json!(kinds.collect::<Vec<_>>())),
        ("sliding_window", json!(windows.map(|windows| windows.positions))),
        ("rope_local_base_freq", json!(windows.map_or(10_000.0, |windows| windows.rope.theta))),
        ("query_pre_attn_scalar", whole(config.attention_divisor)),
        ("attn_logit_softcapping", Value::Null),
        ("final_logit_softcapping", Value::Null),
    ]
}

/// transformers wants an integer where the number is one.
fn whole(number: f64) -> Value {
    if number.fract() == 0.0 { json!(number as u64) } else { json!(number) }
}

fn rope_scaling(model: &StoredModel) -> Result<Value, PolicyError> {
    let rope = &model.config().rope;
    match &rope.scaling {
        RopeScaling::None => Ok(Value::Null),
        RopeScaling::Linear { factor } => Ok(json!({ "rope_type": "linear", "factor": factor })),
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => Ok(json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": low_freq_factor,
            "high_freq_factor": high_freq_factor,
            "original_max_position_embeddings": original_context,
        })),
        RopeScaling::Yarn { factor, attention_factor, beta_fast, beta_slow, original_context, range } => Ok(json!({
            "rope_type": "yarn",
            "factor": factor,
            "attention_factor": attention_factor,
            "beta_fast": beta_fast,
            "beta_slow": beta_slow,
            "original_max_position_embeddings": original_context,
            "truncate": *range == YarnRange::Whole,
        })),
        RopeScaling::Dynamic { factor, .. } => Ok(json!({ "rope_type": "dynamic", "factor": factor })),
        RopeScaling::LongRope { short, long, attention_factor, original_context } => Ok(json!({
            "rope_type": "longrope",
            "short_factor": short,
            "long_factor": long,
            "attention_factor": attention_factor,
            "original_max_position_embeddings": original_context,
        })),
        RopeScaling::Factors { factors } => {
            let found = llama3_of(rope.theta, factors).ok_or_else(|| PolicyError::Model(ModelError::Config {
                path: model.path().to_owned(),
                key: "rope_freqs.weight".to_owned(),
                problem: "is not Llama 3.1's rule, and config.json has no words for other factors: export the model's Hugging Face folder instead of its GGUF".to_owned(),
            }))?;
            Ok(json!({
                "rope_type": "llama3",
                "factor": found,
                "low_freq_factor": LOW_FREQUENCY_FACTOR,
                "high_freq_factor": HIGH_FREQUENCY_FACTOR,
                "original_max_position_embeddings": ORIGINAL_CONTEXT,
            }))
        }
    }
}

/// A GGUF keeps what Llama 3.1's rule gives, not the rule; all models published with it differ in `factor` only, which
/// is what the slowest frequency is divided by.
fn llama3_of(theta: f64, factors: &[f64]) -> Option<f64> {
    let factor = *factors.last()?;
    let scaling = RopeScaling::Llama3 {
        factor,
        low_freq_factor: LOW_FREQUENCY_FACTOR,
        high_freq_factor: HIGH_FREQUENCY_FACTOR,
        original_context: ORIGINAL_CONTEXT,
    };
    let head_size = 2 * factors.len();
    let rule = RopeConfig { theta, scaling }.inverse_frequencies(head_size, 0);
    let kept = RopeConfig { theta, scaling: RopeScaling::Factors { factors: factors.to_vec() } };
    // The factors are stored in f32.
    let alike = |(one, other): (&f64, &f64)| (one / other - 1.0).abs() < 1e-5;
    rule.iter().zip(&kept.inverse_frequencies(head_size, 0)).all(alike).then_some(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_theta_that_is_null_is_not_written() {
        let fields = json!({"rope_theta": null, "rope_local_base_freq": null, "sliding_window": null, "rope_parameters":
            {"full_attention": {"rope_theta": null, "factor": 2}, "rope_theta": 5.0}});
        let Value::Object(fields) = fields else { panic!("an object") };
        let kept =
            json!({"sliding_window": null, "rope_parameters": {"full_attention": {"factor": 2}, "rope_theta": 5.0}});
        assert_eq!(Value::Object(without_null_thetas(fields)), kept);
    }

    #[test]
    fn factors_of_llama3_are_recognised_and_others_are_not() {
        let plain = RopeConfig { theta: 5e5, scaling: RopeScaling::None }.inverse_frequencies(64, 0);
        let scaling =
            RopeScaling::Llama3 { factor: 32.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_context: 8192 };
        let stretched = RopeConfig { theta: 5e5, scaling }.inverse_frequencies(64, 0);
        let mut factors: Vec<f64> =
            plain.iter().zip(&stretched).map(|(plain, stretched)| f64::from((plain / stretched) as f32)).collect();
        assert_eq!(llama3_of(5e5, &factors), Some(32.0));
        factors[3] *= 1.01;
        assert_eq!(llama3_of(5e5, &factors), None);
    }
}
