//! Closed sets of answers as trees, against the rows that they stand for: n + n² texts of a prompt, one by one.

use slhf_plan::{AnswerSetScores, AnswerSetWeights, FollowerReference, PairScores, PairWeights, Passed, TokenWeights};
use slhf_policy::{
    Agent, AnswerTree, Engine, EngineSettings, PassSettings, Player, PolicyError, ReadWeights as _, RopeScaling,
    StoredModel, Supports, Training, TrainingPair,
};
use slhf_torch_shim::has_one_token_operators;
use tch::Tensor;

use crate::support::{
    FAMILIES, alone, assert_close, assert_gradients, disturb, engine, fixture, gradients, lora, packed, pass_settings,
    settings, trained,
};

const SHARED: &[Agent] = &[Agent::Shared];
const SEPARATE: &[Agent] = &[Agent::Leader, Agent::Follower];

fn tokens(seed: u32, count: u32) -> Vec<u32> {
    (0..count).map(|at| 3 + (seed * 53 + at * 31) % 290).collect()
}

/// `answers` of different lengths, the first of one token, two that begin alike; instruction turns where there is a Follower.
fn tree(seed: u32, prompt: u32, answers: u32, has_follower: bool) -> AnswerTree {
    let answer = |at: u32| match at {
        0 => tokens(seed + 40, 1),
        // As the second begins.
        2 => [tokens(seed + 41, 2), tokens(seed + 42, 3)].concat(),
        _ => tokens(seed + 40 + at, 3 + at),
    };
    let follow_up = |at: u32| [tokens(7, 2), tokens(seed + 60 + at, 1 + at % 2)].concat();
    AnswerTree {
        prompt: tokens(seed, prompt),
        answers: (0..answers).map(answer).collect(),
        follow_ups: if has_follower { (0..answers).map(follow_up).collect() } else { vec![] },
    }
}

/// Three prompts of different lengths and sets, the last one without a Follower.
fn trees() -> Vec<AnswerTree> {
    vec![tree(1, 4, 3, true), tree(2, 9, 2, true), tree(3, 6, 4, false)]
}

/// Weights that differ from answer to answer.
fn weights_of(scores: &[AnswerSetScores]) -> Vec<AnswerSetWeights> {
    let wave = |count: usize, phase: f64| (0..count).map(|at| (1.3 * at as f64 + phase).sin()).collect();
    let of = |(tree, scores): (usize, &AnswerSetScores)| AnswerSetWeights {
        leader: wave(scores.leader.len(), tree as f64),
        follower: wave(scores.follower.len(), 0.5 + tree as f64),
    };
    scores.iter().enumerate().map(of).collect()
}

type Gradients = Vec<(Agent, String, Tensor)>;

/// One pass over trees: what it told, its cost, and every gradient.
fn run(
    engine: &mut Engine,
    trees: &[AnswerTree],
    settings: &PassSettings,
) -> (Vec<AnswerSetScores>, Passed, Gradients) {
    let _alone = alone();
    let mut told = Vec::new();
    let mut weigh = |scores: &[AnswerSetScores]| {
        told = scores.to_vec();
        Ok::<_, PolicyError>(weights_of(scores))
    };
    let passed = engine.pass_trees(trees, settings, &mut weigh).unwrap();
    (told, passed, gradients(engine))
}

/// The texts of trees as pairs: of each Leader's answer, and of each of the Follower's.
fn pairs(trees: &[AnswerTree]) -> Vec<TrainingPair> {
    let mut pairs = Vec::new();
    for tree in trees {
        let pair = |leader: &Vec<u32>, follow_up: &[u32], follower: Option<&Vec<u32>>| TrainingPair {
            prompt: tree.prompt.clone(),
            leader: leader.clone(),
            follow_up: follow_up.to_vec(),
            follower: follower.cloned(),
            supports: Supports::default(),
        };
        pairs.extend(tree.answers.iter().map(|answer| pair(answer, &[], None)));
        for (answer, follow_up) in tree.answers.iter().zip(&tree.follow_ups) {
            pairs.extend(tree.answers.iter().map(|reply| pair(answer, follow_up, Some(reply))));
        }
    }
    pairs
}

/// The same by whole rows through [`Engine::pass`].
fn run_rows(engine: &mut Engine, trees: &[AnswerTree], settings: &PassSettings) -> (Vec<AnswerSetScores>, Gradients) {
    let _alone = alone();
    let mut told = Vec::new();
    let mut weigh = |scores: &[PairScores]| {
        told = gathered(trees, scores);
        Ok::<_, PolicyError>(by_token(&weights_of(&told), scores))
    };
    engine.pass(&pairs(trees), settings, &mut weigh).unwrap();
    (told, gradients(engine))
}

fn gathered(trees: &[AnswerTree], scores: &[PairScores]) -> Vec<AnswerSetScores> {
    let mut rest = scores.iter();
    let mut next = |count: usize| -> Vec<f64> {
        let of = |pair: &PairScores| pair.follower.as_ref().unwrap_or(&pair.leader).policy.iter().sum();
        rest.by_ref().take(count).map(of).collect()
    };
    let of = |tree: &AnswerTree| AnswerSetScores {
        leader: next(tree.answers.len()),
        follower: next(tree.follow_ups.len() * tree.answers.len()),
    };
    trees.iter().map(of).collect()
}

fn by_token(weights: &[AnswerSetWeights], scores: &[PairScores]) -> Vec<PairWeights> {
    let flat = weights.iter().flat_map(|tree| tree.leader.iter().chain(&tree.follower));
    let on = |weight: f64, tokens: usize| TokenWeights { score: vec![weight; tokens], exact_kl: vec![] };
    let of = |(pair, &weight): (&PairScores, &f64)| match &pair.follower {
        None => PairWeights { leader: on(weight, pair.leader.policy.len()), follower: None },
        Some(follower) => {
            PairWeights { leader: TokenWeights::default(), follower: Some(on(weight, follower.policy.len())) }
        }
    };
    scores.iter().zip(flat).map(of).collect()
}

fn assert_scores(found: &[AnswerSetScores], expected: &[AnswerSetScores], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert_close(&found.leader, &expected.leader, 1e-5, what);
        assert_close(&found.follower, &expected.follower, 1e-5, what);
    }
}

fn assert_as_rows(what: &str, engine: &mut Engine) {
    let (expected, expected_gradients) = run_rows(engine, &trees(), &pass_settings());
    let (found, _, found_gradients) = run(engine, &trees(), &pass_settings());
    assert!(expected[0].follower.iter().all(|score| *score < -1.0), "{what}: {expected:?}");
    assert_scores(&found, &expected, what);
    assert_gradients(&found_gradients, &expected_gradients, 1e-4);
    let (scored, _) = engine.score_trees(&trees(), pass_settings().temperature).unwrap();
    assert_scores(&scored, &expected, what);
}

#[test]
fn a_tree_gives_what_its_rows_give_in_every_family() {
    for name in FAMILIES {
        for agents in [SHARED, SEPARATE] {
            assert_as_rows(name, &mut trained(name, settings(Some(lora(0.0)), agents)));
        }
    }
}

#[test]
fn over_packed_weights_too() {
    if !has_one_token_operators() {
        return;
    }
    for name in FAMILIES {
        for agents in [SHARED, SEPARATE] {
            assert_as_rows(name, &mut packed(name, settings(Some(lora(0.0)), agents)));
        }
    }
}

#[test]
fn in_full_training_too() {
    for name in ["llama-tied", "llama-bias", "qwen3", "gemma3"] {
        assert_as_rows(name, &mut trained(name, settings(Some(Training::Full), SHARED)));
    }
}

#[test]
fn checkpoints_change_no_gradient_with_and_without_dropout() {
    for (name, dropout, is_packed) in
        [("llama-tied", 0.0, false), ("gemma3", 0.0, true), ("qwen3", 0.3, false), ("qwen2", 0.3, true)]
    {
        let load = if is_packed && has_one_token_operators() { packed } else { trained };
        let at = settings(Some(lora(dropout)), SEPARATE);
        let (scores, _, whole) = run(&mut load(name, at.clone()), &trees(), &pass_settings());
        let mut engine = load(name, EngineSettings { activation_checkpointing: true, ..at });
        let (again, _, checkpointed) = run(&mut engine, &trees(), &pass_settings());
        assert_eq!(scores, again, "{name}");
        assert_gradients(&checkpointed, &whole, 1e-6);
        let (_, _, elsewhere) = run(&mut engine, &trees(), &PassSettings { step: 4, ..pass_settings() });
        let alike = checkpointed.iter().zip(&elsewhere).all(|((_, _, one), (_, _, other))| one == other);
        assert_eq!(alike, dropout == 0.0, "{name}: another step has other masks");
    }
}

#[test]
fn what_is_told_is_of_the_policy_without_its_dropout() {
    for name in ["llama-tied", "gemma3"] {
        let told = |dropout| run(&mut trained(name, settings(Some(lora(dropout)), SHARED)), &trees(), &pass_settings());
        let ((dropped, passed, gradients), (plain, once, others)) = (told(0.3), told(0.0));
        assert_eq!(dropped, plain, "{name}");
        assert_eq!((passed.forward_passes, once.forward_passes), (2, 1));
        let is_other = gradients.iter().zip(&others).any(|((_, _, one), (_, _, other))| one != other);
        assert!(is_other, "{name}: the gradient is of the network with dropout");
    }
}

#[test]
fn a_batch_of_prompts_gives_what_each_alone_gives() {
    for name in ["llama-tied", "gemma3-pattern"] {
        let mut engine = trained(name, settings(Some(lora(0.0)), SHARED));
        let (together, _, whole) = run(&mut engine, &trees(), &pass_settings());
        let weights = weights_of(&together);
        for ((tree, expected), weights) in trees().into_iter().zip(&together).zip(&weights) {
            let mut weigh = |scores: &[AnswerSetScores]| {
                assert_scores(scores, std::slice::from_ref(expected), name);
                Ok::<_, PolicyError>(vec![weights.clone()])
            };
            engine.pass_trees(&[tree], &pass_settings(), &mut weigh).unwrap();
        }
        assert_gradients(&gradients(&mut engine), &whole, 1e-4);
    }
}

#[test]
fn scores_are_sums_over_tokens_and_the_reference_is_the_model_with_its_adapters_off() {
    let mut engine = trained("qwen2", settings(Some(lora(0.0)), SEPARATE));
    let trees = trees();
    let (policies, _) = engine.score_trees(&trees, 1.0).unwrap();
    let (context, _) = engine.score_trees_of_reference(&trees, 1.0, FollowerReference::Context).unwrap();
    let (prompt, _) = engine.score_trees_of_reference(&trees, 1.0, FollowerReference::Prompt).unwrap();
    let mut whole = |player, context: &[u32], answer: &[u32]| -> f64 {
        engine.log_probabilities(player, &[(context, answer)]).unwrap()[0].iter().sum()
    };
    for (index, tree) in trees.iter().enumerate() {
        let count = tree.answers.len();
        for (at, answer) in tree.answers.iter().enumerate() {
            let own = [policies[index].leader[at], context[index].leader[at], prompt[index].leader[at]];
            let reference = whole(Player::Reference, &tree.prompt, answer);
            let expected = [whole(Player::Leader, &tree.prompt, answer), reference, reference];
            assert_close(&own, &expected, 1e-5, "a after x");
            let Some(follow_up) = tree.follow_ups.get(at) else { continue };
            let read = [tree.prompt.clone(), answer.clone(), follow_up.clone()].concat();
            for (column, reply) in tree.answers.iter().enumerate() {
                let of = |scores: &[AnswerSetScores]| scores[index].follower[at * count + column];
                let expected = [
                    whole(Player::Follower, &read, reply),
                    whole(Player::Reference, &read, reply),
                    whole(Player::Reference, &tree.prompt, reply),
                ];
                assert_close(&[of(&policies), of(&context), of(&prompt)], &expected, 1e-5, "a′");
            }
        }
        assert_eq!(policies[index].follower.len(), count * tree.follow_ups.len());
    }
}

#[test]
fn what_is_not_trained_is_scored_as_it_is() {
    let (mut fixed, mut fresh) =
        (engine("qwen3", settings(None, &[])), engine("qwen3", settings(Some(lora(0.0)), SHARED)));
    let (scores, passed) = fixed.score_trees(&trees(), 0.7).unwrap();
    let (expected, _) = fresh.score_trees_of_reference(&trees(), 0.7, FollowerReference::Context).unwrap();
    assert_scores(&scores, &expected, "a model without adapters");
    assert_eq!((passed.tokens, passed.forward_passes), (0, 1));
}

#[test]
fn texts_that_turn_otherwise_when_they_are_longer_share_nothing_with_those_that_do_not() {
    let mut stored = StoredModel::open(&fixture("llama-tied")).unwrap();
    let mut config = stored.config().clone();
    // Some texts of each tree are longer, and each of these turns by its own length.
    config.rope.scaling = RopeScaling::Dynamic { factor: 4.0, original_context: 14 };
    let mut weights = stored.weights(slhf_plan::ModelPrecision::F32).unwrap();
    let at = settings(Some(lora(0.0)), SHARED);
    let mut engine = Engine::load(config, at, &mut |name| weights.take(name)).unwrap();
    disturb(&mut engine);
    assert_as_rows("dynamic", &mut engine);
}

#[test]
fn what_is_shared_is_computed_once() {
    let mut engine = trained("llama-tied", settings(Some(lora(0.0)), SHARED));
    let config = engine.config().clone();
    let answers = vec![vec![10, 11], vec![20, 21, 22]];
    let tree = AnswerTree { prompt: vec![4, 5, 6], answers, follow_ups: vec![vec![7], vec![8]] };
    let (_, passed, _) = run(&mut engine, &[tree], &pass_settings());
    // x; then of each a: a, its turn, and all but the last token of each a′.
    let texts = [(3, 2), (3, 3)];
    let tokens = 3 + texts.iter().map(|(_, answer)| answer + 1 + 1 + 2).sum::<usize>();
    assert_eq!(passed.tokens, tokens as u64);
    let queries = (config.heads * config.head_size) as f64;
    let keys = (config.key_value_heads * config.head_size) as f64;
    let (hidden, inner) = (config.hidden_size as f64, config.intermediate_size as f64);
    let layer = 2.0 * queries * hidden + 2.0 * keys * hidden + 3.0 * hidden * inner;
    let scored = f64::from(5 + 2 * 5);
    let weights = tokens as f64 * layer * config.layers as f64 + scored * hidden * config.vocabulary_size as f64;
    // Odd numbers up to each depth add up to squares.
    let branch = |answer: i32| {
        let context = f64::from(3 + answer + 1);
        (context.powi(2) - 9.0) + 2.0 * context + 1.0 + ((context + 2.0).powi(2) - context.powi(2))
    };
    let squares = 9.0 + branch(2) + branch(3);
    let attention = squares * queries * config.layers as f64;
    assert_eq!(passed.operations, 4.0 * weights + 6.0 * attention);
    assert_eq!(passed.forward_passes, 1);
}

#[test]
fn what_cannot_be_read_is_refused_in_a_sentence() {
    let mut engine = trained("llama-tied", settings(Some(lora(0.0)), SHARED));
    let vocabulary = engine.config().vocabulary_size;
    let positions = engine.config().positions_max();
    let whole = tree(1, 4, 2, true);
    let mut refused = |changed: AnswerTree| {
        let trees = [whole.clone(), changed];
        let error = engine.score_trees(&trees, 1.0).unwrap_err().to_string();
        let mut weigh = |scores: &[AnswerSetScores]| Ok(weights_of(scores));
        let of_pass: PolicyError = engine.pass_trees(&trees, &pass_settings(), &mut weigh).unwrap_err();
        assert_eq!(of_pass.to_string(), error);
        error
    };
    assert_eq!(
        refused(AnswerTree { answers: vec![], ..whole.clone() }),
        "the tree of prompt 1 has no responses, but a closed set has at least one"
    );
    assert_eq!(
        refused(AnswerTree { follow_ups: vec![vec![5]], ..whole.clone() }),
        "the tree of prompt 1 has 2 responses and 1 instruction turns; give one for each response, or none where there is one policy"
    );
    assert_eq!(
        refused(AnswerTree { prompt: vec![], ..whole.clone() }),
        "prompt 1 has no tokens, but a model needs at least one to begin with"
    );
    assert_eq!(
        refused(AnswerTree { answers: vec![vec![5], vec![]], ..whole.clone() }),
        "response 1 of prompt 1 has no tokens, but a model needs at least one to begin with"
    );
    assert_eq!(
        refused(AnswerTree { follow_ups: vec![vec![5], vec![9999]], ..whole.clone() }),
        format!(
            "the instruction turn after response 1 of prompt 1 has the token 9999, but the model's vocabulary has {vocabulary}"
        )
    );
    let answers = vec![vec![5; 20], vec![6; 30]];
    let long = AnswerTree { prompt: tokens(1, positions as u32 - 62), answers, follow_ups: vec![vec![7; 2]; 2] };
    assert!(engine.score_trees(std::slice::from_ref(&long), 1.0).is_ok());
    let longer = AnswerTree { prompt: tokens(1, positions as u32 - 61), ..long };
    assert_eq!(
        engine.score_trees(&[longer], 1.0).unwrap_err().to_string(),
        format!("prompt 0 needs {} positions, but the model has {positions}; shorten it", positions + 1)
    );
}

#[test]
fn settings_and_weights_that_do_not_fit_are_refused() {
    let mut engine = trained("llama-tied", settings(Some(lora(0.0)), SHARED));
    let trees = [tree(1, 4, 2, true)];
    let error = engine.score_trees(&trees, 0.0).unwrap_err().to_string();
    assert_eq!(error, "`temperature` is 0, but must be above 0 to score closed sets of responses");
    let mut weighed = |weights: Vec<AnswerSetWeights>| -> String {
        let error: PolicyError =
            engine.pass_trees(&trees, &pass_settings(), &mut |_: &[AnswerSetScores]| Ok(weights.clone())).unwrap_err();
        error.to_string()
    };
    assert_eq!(weighed(vec![]), "a pass of 1 trees of responses got the weights of 0");
    let short = AnswerSetWeights { leader: vec![1.0; 2], follower: vec![1.0; 3] };
    assert_eq!(weighed(vec![short]), "the tree of prompt 0 has 4 scores of the Follower and 3 weights");
    let mut fixed = crate::support::engine("llama-tied", settings(None, &[]));
    let mut weigh = |scores: &[AnswerSetScores]| Ok(weights_of(scores));
    let error: PolicyError = fixed.pass_trees(&trees, &pass_settings(), &mut weigh).unwrap_err();
    assert_eq!(error.to_string(), "this engine trains nothing; load the engine with adapters or full training");
    assert_eq!(engine.pass_trees(&[], &pass_settings(), &mut weigh).unwrap(), Passed::default());
}
