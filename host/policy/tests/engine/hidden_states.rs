//! The hidden state at an answer's last token, against the log-probabilities that scoring gives.

use slhf_plan::ModelPrecision;
use slhf_policy::{Agent, Player, ReadWeights as _, StoredModel, Training};
use tch::{Kind, Tensor};

use crate::support::{FAMILIES, assert_close, contexts, engine, fixture, lora, settings, trained};

/// Contexts with answers of different lengths.
fn answers() -> Vec<(Vec<u32>, Vec<u32>)> {
    let answer = |row: u32| (0..=3 * (row % 3)).map(|at| 3 + (row * 31 + at * 17) % 290).collect();
    contexts().into_iter().zip(0..).map(|(context, row)| (context, answer(row))).collect()
}

fn borrowed(answers: &[(Vec<u32>, Vec<u32>)]) -> Vec<(&[u32], &[u32])> {
    answers.iter().map(|(context, answer)| (context.as_slice(), answer.as_slice())).collect()
}

/// The model's output matrix.
fn head(name: &str) -> Tensor {
    let mut stored = StoredModel::open(&fixture(name)).unwrap();
    let matrix = if stored.config().tied_embeddings { "model.embed_tokens.weight" } else { "lm_head.weight" };
    stored.weights(ModelPrecision::F32).unwrap().take(matrix).unwrap()
}

/// log-softmax of the output matrix times each state: what the model says of the token after the answer.
fn next(name: &str, states: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let head = head(name).to_kind(Kind::Double);
    let logs = |state: &Vec<f32>| {
        let logits = head.matmul(&Tensor::from_slice(state).to_kind(Kind::Double));
        Vec::<f64>::try_from(logits.log_softmax(-1, Kind::Double)).unwrap()
    };
    states.iter().map(logs).collect()
}

#[test]
fn a_state_times_the_output_matrix_is_what_scoring_says_of_the_next_token() {
    for name in FAMILIES {
        let answers = answers();
        let mut engine = trained(name, settings(Some(lora(0.3)), &[Agent::Shared]));
        let found = engine.last_hidden_states(Player::Reference, &borrowed(&answers)).unwrap();
        assert!(found.states.iter().all(|state| state.len() == engine.config().hidden_size), "{name}");
        let mut untrained = crate::support::engine(name, settings(None, &[]));
        for ((context, answer), logs) in answers.iter().zip(next(name, &found.states)) {
            let whole = [context.as_slice(), answer].concat();
            for token in [3, 57, 111, 290] {
                let scored = untrained.log_probabilities(Player::Leader, &[(&whole, &[token])]).unwrap();
                assert_close(&scored[0], &[logs[token as usize]], 1e-5, name);
            }
        }
    }
}

#[test]
fn neither_batch_mates_nor_padding_nor_training_move_a_reference_state() {
    for (name, training) in [("llama-tied", lora(0.3)), ("qwen2", Training::Full), ("gemma3-pattern", lora(0.0))] {
        let answers = answers();
        let mut engine = trained(name, settings(Some(training), &[Agent::Shared]));
        let together = engine.last_hidden_states(Player::Reference, &borrowed(&answers)).unwrap();
        let mut untrained = crate::support::engine(name, settings(None, &[]));
        for (one, state) in borrowed(&answers).iter().zip(&together.states) {
            let alone = untrained.last_hidden_states(Player::Leader, &[*one]).unwrap();
            let wide = |state: &[f32]| state.iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
            assert_close(&wide(state), &wide(&alone.states[0]), 1e-4, name);
        }
        let again = engine.last_hidden_states(Player::Reference, &borrowed(&answers)).unwrap();
        assert_eq!(again, together, "{name}: the same bits");
    }
}

#[test]
fn a_pass_for_states_costs_a_forward_pass_without_the_output_matrix() {
    let mut engine = engine("llama-tied", settings(None, &[]));
    let answers = answers();
    let one = engine.last_hidden_states(Player::Reference, &borrowed(&answers)[..1]).unwrap().passed;
    let all = engine.last_hidden_states(Player::Reference, &borrowed(&answers)).unwrap().passed;
    assert_eq!((one.forward_passes, one.tokens), (1, 0), "nothing went through a trained policy");
    assert!(all.operations > 4.0 * one.operations && one.operations > 0.0);
    assert_eq!(engine.last_hidden_states(Player::Reference, &[]).unwrap().states, Vec::<Vec<f32>>::new());
    let refusal = engine.last_hidden_states(Player::Reference, &[(&[5], &[])]).unwrap_err().to_string();
    assert!(refusal.contains("response 0"), "{refusal}");
}
