//! The pass that trains a reward model's head: its gradients against central differences of the values, its values against those of
//! a text alone, and what is saved of it.

use slhf_plan::ModelPrecision;
use slhf_policy::{
    Agent, Engine, Export, HEAD_PARAMETER, HEAD_TENSOR, ModelConfig, Player, PolicyError, ReadWeights as _, RewardHead,
    SHARD_BYTES_MAX, StoredAdapter, StoredModel, Training, ValuePass, drawn_head, export_model, save_adapter,
};
use tch::{Device, Tensor, no_grad};

use crate::support::{assert_close, fixture, lora, settings};

const PLACE: ValuePass = ValuePass { step: 1, micro_batch: 0 };

fn head() -> RewardHead {
    RewardHead { labels: vec!["a".to_owned(), "b".to_owned()] }
}

/// A causal model with a drawn head of two labels.
fn headed(name: &str, training: Training) -> Engine {
    let mut model = StoredModel::open(&fixture(name)).unwrap();
    let mut weights = model.weights(ModelPrecision::F32).unwrap();
    let config = ModelConfig { reward: Some(head()), ..model.config().clone() };
    let drawn = drawn_head(&config, 3).unwrap();
    let mut take = |name: &str| if name == HEAD_TENSOR { Ok(drawn.shallow_clone()) } else { weights.take(name) };
    let mut engine = Engine::load(config, settings(Some(training), &[Agent::Shared]), &mut take).unwrap();
    engine.train_head().unwrap();
    // B begins at zero, where A has no gradient.
    for parameter in engine.parameters_mut().unwrap() {
        if parameter.name.ends_with("lora_B.weight") {
            let values = Tensor::linspace(-0.3, 0.3, parameter.tensor.numel() as i64, (tch::Kind::Float, Device::Cpu));
            parameter.assign(&values.view(parameter.tensor.size().as_slice())).unwrap();
        }
    }
    engine.parameters_changed();
    engine
}

const TEXTS: [&[u32]; 3] = [&[5, 60, 7, 91], &[8, 9], &[3, 14, 15, 92, 65, 35]];
/// ∂loss/∂value of a loss that is linear in the values.
const WEIGHTS: [[f64; 2]; 3] = [[0.7, -0.2], [-1.1, 0.4], [0.3, 0.9]];

fn loss(engine: &mut Engine) -> f64 {
    let of = |(text, weights): (&&[u32], &[f64; 2])| {
        let values = engine.values(Player::Leader, text).unwrap();
        values.iter().zip(weights).map(|(value, weight)| value * weight).sum::<f64>()
    };
    TEXTS.iter().zip(&WEIGHTS).map(of).sum()
}

#[test]
fn gradients_of_a_head_and_below_are_those_of_its_values() {
    const STEP: f64 = 2e-3;
    for (name, training) in [("llama-tied", lora(0.0)), ("qwen3", lora(0.0)), ("llama-tied", Training::Full)] {
        let mut engine = headed(name, training);
        let mut seen = Vec::new();
        engine
            .value_pass::<PolicyError>(&TEXTS, PLACE, &mut |values| {
                seen = values.to_vec();
                Ok(WEIGHTS.iter().map(|row| row.to_vec()).collect())
            })
            .unwrap();
        for (text, values) in TEXTS.iter().zip(&seen) {
            assert_close(values, &engine.values(Player::Leader, text).unwrap(), 1e-5, name);
        }
        let many = engine.parameters().unwrap().len();
        let mut checked = 0;
        for index in (0..many).step_by(5).chain([many - 1]) {
            let parameter = engine.parameters().unwrap().iter().nth(index).unwrap();
            let Some(gradient) = parameter.gradient() else { panic!("{name}: {} has no gradient", parameter.name) };
            let gradient: Vec<f64> = Vec::try_from(gradient.flatten(0, -1).to_kind(tch::Kind::Double)).unwrap();
            // The entry that matters most: small ones drown in the rounding of f32.
            let (place, derivative) = gradient
                .iter()
                .enumerate()
                .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))
                .map(|(at, g)| (at, *g))
                .unwrap();
            let mut at = |change: f64| {
                let move_by = |engine: &mut Engine, change: f64| {
                    let leaf = engine.parameters().unwrap().iter().nth(index).unwrap().tensor.shallow_clone();
                    no_grad(|| _ = leaf.view([-1]).get(place as i64).g_add_scalar_(change));
                    engine.parameters_changed();
                };
                move_by(&mut engine, change);
                let found = loss(&mut engine);
                move_by(&mut engine, -change);
                found
            };
            let quotient = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            let close = (derivative - quotient).abs() < 2e-2 * derivative.abs().max(0.05);
            assert!(close, "{name}, parameter {index}: {derivative}, by differences {quotient}");
            checked += usize::from(derivative.abs() > 1e-3);
        }
        assert!(checked >= 3, "{name}: {checked} gradients were large enough to compare");
    }
}

#[test]
fn a_trained_head_is_read_back_from_an_adapter_and_from_a_whole_folder() {
    let mut engine = headed("llama-tied", lora(0.0));
    let expected: Vec<Vec<f64>> = TEXTS.iter().map(|text| engine.values(Player::Leader, text).unwrap()).collect();
    let folder = tempfile::tempdir().unwrap();
    let (adapter, whole) = (folder.path().join("adapter"), folder.path().join("whole"));
    let parameters = engine.parameters().unwrap();
    save_adapter(&adapter, parameters, Agent::Shared, "base").unwrap();
    let mut model = StoredModel::open(&fixture("llama-tied")).unwrap();
    let export = Export {
        model: &mut model,
        edits: None,
        head: Some(&head()),
        trained: Some((parameters, Agent::Shared)),
        precision: ModelPrecision::F32,
        tokenizer_folder: None,
        tokenizer_files: &[],
        chat_template: None,
        shard_bytes_max: SHARD_BYTES_MAX,
    };
    export_model(export, &whole).unwrap();

    let stored = StoredAdapter::open(&adapter, model.config()).unwrap();
    let edits = stored.edits().unwrap();
    let mut weights = model.weights(ModelPrecision::F32).unwrap();
    edits.apply(&mut weights).unwrap();
    let mut beside = Engine::load(edits.config().clone(), settings(None, &[]), &mut |name| weights.take(name)).unwrap();
    beside.set_parameters(stored.parameters(beside.config(), &[Agent::Shared], Device::Cpu).unwrap().unwrap());
    let mut merged = StoredModel::open(&whole).unwrap();
    assert_eq!(merged.config().reward, Some(head()));
    let mut weights = merged.weights(ModelPrecision::F32).unwrap();
    let mut merged =
        Engine::load(merged.config().clone(), settings(None, &[]), &mut |name| weights.take(name)).unwrap();
    for (text, expected) in TEXTS.iter().zip(&expected) {
        assert_close(&beside.values(Player::Leader, text).unwrap(), expected, 1e-5, "adapter");
        assert_close(&merged.values(Player::Leader, text).unwrap(), expected, 1e-5, "whole");
    }
}

#[test]
fn a_pass_that_cannot_be_is_refused_in_a_sentence() {
    let mut engine = headed("llama-tied", lora(0.0));
    let refusal = engine.value_pass::<PolicyError>(&TEXTS, PLACE, &mut |_| Ok(vec![vec![0.0]])).unwrap_err();
    assert_eq!(refusal.to_string(), "a pass of 3 texts with 2 values got gradients of another shape");
    let refusal = engine.value_pass::<PolicyError>(&[&[]], PLACE, &mut |_| Ok(Vec::new())).unwrap_err().to_string();
    assert!(refusal.starts_with("text 0 has no tokens"), "{refusal}");
    assert!(engine.parameters().unwrap().get(Agent::Shared, HEAD_PARAMETER).is_some());
    let mut plain = crate::support::engine("qwen2", settings(Some(lora(0.0)), &[Agent::Shared]));
    assert!(plain.train_head().unwrap_err().to_string().contains("has no reward head to train"));
}

/// A committee of heads over one model: what each says does not depend on the others beside it.
#[test]
fn five_heads_on_one_pass_are_five_passes_of_one_head() {
    let five = RewardHead { labels: ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec() };
    for name in ["llama-tied", "qwen3"] {
        let load = |head: &RewardHead, rows: &Tensor| {
            let mut model = StoredModel::open(&fixture(name)).unwrap();
            let mut weights = model.weights(ModelPrecision::F32).unwrap();
            let config = ModelConfig { reward: Some(head.clone()), ..model.config().clone() };
            let mut take = |name: &str| if name == HEAD_TENSOR { Ok(rows.shallow_clone()) } else { weights.take(name) };
            Engine::load(config, settings(None, &[]), &mut take).unwrap()
        };
        let config =
            ModelConfig { reward: Some(five.clone()), ..StoredModel::open(&fixture(name)).unwrap().config().clone() };
        let rows = drawn_head(&config, 9).unwrap();
        let mut together = load(&five, &rows);
        for (place, label) in five.labels.iter().enumerate() {
            let mut alone = load(&RewardHead { labels: vec![label.clone()] }, &rows.narrow(0, place as i64, 1));
            for text in TEXTS {
                let all = together.values(Player::Leader, text).unwrap();
                assert_close(&all[place..=place], &alone.values(Player::Leader, text).unwrap(), 1e-5, name);
            }
        }
    }
}
