//! Closed sets of answers: a step on a tree a prompt, beside one on the n + n² rows that it stands for.

use std::error::Error;
use std::time::Instant;

use slhf_plan::{
    AnswerSetScores, AnswerSetWeights, FollowerReference, ModelOptimizer, PairScores, PairWeights, TokenWeights,
};
use slhf_policy::{
    Agent, AgentRate, AnswerTree, Engine, Optimizer, OptimizerStep, PassSettings, Player, PolicyError, Supports,
    TrainingPair,
};

use crate::{Options, median, synchronise};

/// Of a prompt, of each answer, of each instruction turn.
const TOKENS: [u32; 3] = [25, 5, 6];
/// Answers of a prompt.
const ANSWERS: u32 = 3;
/// What an answer's log-probability may differ by between the two ways, relative to its size: those of these texts, which mean nothing,
/// are about −60, and f32 has 7 digits.
const TOLERANCE: f64 = 1e-5;

/// Prints the medians and their ratio, and fails where the two ways differ.
pub(crate) fn measure(engine: &mut Engine, options: &Options) -> Result<(), Box<dyn Error>> {
    let trees = trees(engine, options)?;
    let rows = rows(&trees);
    let contexts: Vec<(&[u32], &[u32])> =
        rows.iter().map(|row| (row.prompt.as_slice(), row.leader.as_slice())).collect();
    let rule = ModelOptimizer::Adamw { adam_beta1: 0.9, adam_beta2: 0.999, adam_epsilon: 1e-8, weight_decay: 0.0 };
    let mut optimizer = Optimizer::new(rule, engine.parameters().ok_or("nothing is trained")?)?;
    // A step first, so that adapters do something; no later one moves them, so that both ways see the same.
    step_of_trees(engine, &mut optimizer, &trees, 1e-4)?;
    let (mut shared, mut whole, mut reference) = (Vec::new(), Vec::new(), Vec::new());
    let (mut operations, mut tokens, mut farthest) = (0.0, [0; 2], 0.0_f64);
    // The first round warms up.
    for round in 0..=options.repeats {
        let started = Instant::now();
        let (found, passed) = step_of_trees(engine, &mut optimizer, &trees, 0.0)?;
        let shared_s = started.elapsed().as_secs_f64();
        (operations, tokens[0]) = (passed.operations, passed.tokens);
        let started = Instant::now();
        let (expected, passed) = step_of_rows(engine, &mut optimizer, &rows)?;
        let whole_s = started.elapsed().as_secs_f64();
        tokens[1] = passed.tokens;
        let started = Instant::now();
        engine.log_probabilities(Player::Reference, &contexts)?;
        synchronise(options.device());
        let reference_s = started.elapsed().as_secs_f64();
        let found = found.iter().flat_map(|tree| tree.leader.iter().chain(&tree.follower));
        farthest = found.zip(&expected).map(|(one, other)| ((one - other) / other).abs()).fold(farthest, f64::max);
        if round > 0 {
            shared.push(shared_s);
            whole.push(whole_s);
            reference.push(reference_s);
        }
    }
    let (shared, whole, reference) = (median(shared), median(whole), median(reference));
    let [prompt, answer, instruction] = TOKENS;
    println!(
        "\ntrees, {} prompts of {prompt} tokens x {ANSWERS} answers of {answer}, an instruction of {instruction}: a step on trees {shared:.3} s \
         ({} tokens, {:.0} GFLOP/s), on {} rows {whole:.3} s ({} tokens; the reference alone reads them in {reference:.3} s): {:.2} x, \
         without the reference {:.2} x; log-probabilities differ by {farthest:.1e} of their size at most",
        trees.len(),
        tokens[0],
        operations / shared / 1e9,
        rows.len(),
        tokens[1],
        whole / shared,
        (whole - reference) / shared,
    );
    if farthest > TOLERANCE {
        return Err(format!("log-probabilities differ by {farthest:.1e} of their size between trees and rows").into());
    }
    Ok(())
}

fn trees(engine: &Engine, options: &Options) -> Result<Vec<AnswerTree>, Box<dyn Error>> {
    let vocabulary = u32::try_from(engine.config().vocabulary_size)?;
    let text = |from: u32, many: u32| (0..many).map(|at| (from + at * 7919) % vocabulary).collect();
    let [prompt, answer, instruction] = TOKENS;
    let of = |index: u32| AnswerTree {
        prompt: text(11 + 17 * index, prompt),
        answers: (0..ANSWERS).map(|at| text(1009 * (at + 1) + index, answer)).collect(),
        follow_ups: (0..ANSWERS).map(|_| text(503, instruction)).collect(),
    };
    Ok((0..options.batch).map(of).collect())
}

/// Each scored answer of a tree after its context, as the scores of a tree are laid out.
fn rows(trees: &[AnswerTree]) -> Vec<TrainingPair> {
    let row = |prompt: Vec<u32>, answer: &Vec<u32>| TrainingPair {
        prompt,
        leader: answer.clone(),
        follow_up: Vec::new(),
        follower: None,
        supports: Supports::default(),
    };
    let mut rows = Vec::new();
    for tree in trees {
        rows.extend(tree.answers.iter().map(|answer| row(tree.prompt.clone(), answer)));
        for (answer, follow_up) in tree.answers.iter().zip(&tree.follow_ups) {
            let context = [tree.prompt.as_slice(), answer, follow_up].concat();
            rows.extend(tree.answers.iter().map(|reply| row(context.clone(), reply)));
        }
    }
    rows
}

/// Not 0 anywhere.
fn weight(at: usize) -> f64 {
    if at.is_multiple_of(2) { 0.1 } else { -0.07 }
}

fn settings() -> PassSettings {
    PassSettings {
        temperature: 1.0,
        exact_kl: false,
        follower_reference: FollowerReference::Context,
        step: 0,
        micro_batch: 0,
    }
}

fn move_by(engine: &mut Engine, optimizer: &mut Optimizer, learning_rate: f64) -> Result<(), PolicyError> {
    let rates = [AgentRate { agent: Agent::Shared, learning_rate }];
    if let Some(parameters) = engine.parameters_mut() {
        optimizer.step(parameters, &OptimizerStep { rates: &rates, max_grad_norm: 1.0 })?;
    }
    engine.parameters_changed();
    synchronise(engine.device());
    Ok(())
}

fn step_of_trees(
    engine: &mut Engine,
    optimizer: &mut Optimizer,
    trees: &[AnswerTree],
    learning_rate: f64,
) -> Result<(Vec<AnswerSetScores>, slhf_plan::Passed), PolicyError> {
    let mut found = Vec::new();
    let passed = engine.pass_trees::<PolicyError>(trees, &settings(), &mut |scores| {
        found = scores.to_vec();
        let of = |scores: &AnswerSetScores| AnswerSetWeights {
            leader: (0..scores.leader.len()).map(weight).collect(),
            follower: (0..scores.follower.len()).map(weight).collect(),
        };
        Ok(scores.iter().map(of).collect())
    })?;
    move_by(engine, optimizer, learning_rate)?;
    Ok((found, passed))
}

fn step_of_rows(
    engine: &mut Engine,
    optimizer: &mut Optimizer,
    rows: &[TrainingPair],
) -> Result<(Vec<f64>, slhf_plan::Passed), PolicyError> {
    let mut found = Vec::new();
    let passed = engine.pass::<PolicyError>(rows, &settings(), &mut |scores: &[PairScores]| {
        found = scores.iter().map(|pair| pair.leader.policy.iter().sum()).collect();
        let of = |(at, pair): (usize, &PairScores)| PairWeights {
            leader: TokenWeights { score: vec![weight(at); pair.leader.policy.len()], exact_kl: vec![] },
            follower: None,
        };
        Ok(scores.iter().enumerate().map(of).collect())
    })?;
    move_by(engine, optimizer, 0.0)?;
    Ok((found, passed))
}
