//! What a run of a language model costs: the phases of the trainer, counted.

use slhf_foreign::{PromptSizes, SetSizes};
use slhf_plan::{
    AdapterPlan, AnswerReference, Curve, FollowerReference, Kappa, LanguageMethod, LanguagePlan, ModelPrecision,
    ModelShape, Parameters, PluginPlan, Realisation, RewardModelPlan, TransferSource,
};

use super::closed::{self, SetFlows};
use super::flow::{Flow, Pass};
use super::judging::{self, Asked, Texts};
use super::price::{Price, PriceError};
use crate::planned::TextSizes;
use crate::shapes::Shapes;

/// Characters of a token.
const TOKEN_CHARACTERS: f64 = 4.0;
/// Steps at which a curve of κ is looked at.
const CURVE_STEPS: u64 = 1000;
/// Tokens of a chat template around a turn.
const TURN_TOKENS: f64 = 12.0;

/// Of one run.
pub(super) fn price(plan: &LanguagePlan, sizes: &TextSizes, shapes: &mut Shapes) -> Result<Price, PriceError> {
    let shape = shapes.of(&plan.model.path).map_err(PriceError::Model)?;
    let is_here = !(plan.model.sha256.is_empty() || plan.data.sha256.is_empty());
    let counted = if is_here { slhf_foreign::prompt_sizes(plan).map_err(PriceError::Model)? } else { None };
    let PromptSizes { prompt_tokens: prompt, turn_tokens: turn, sets } =
        counted.unwrap_or_else(|| roughly(plan, sizes));
    let mut pricing = Pricing { plan, shape, prompt, turn, shapes, sizes, price: Price::default() };
    if let Some(sets) = sets {
        pricing.closed(&sets)?;
        return Ok(pricing.price);
    }
    if plan.method.is_trained() {
        pricing.training()?;
    }
    pricing.evaluations()?;
    Ok(pricing.price)
}

/// Where the prompts or the model's tokenizer are not here.
fn roughly(plan: &LanguagePlan, sizes: &TextSizes) -> PromptSizes {
    let turn = |text: &str| text.len() as f64 / TOKEN_CHARACTERS + TURN_TOKENS;
    PromptSizes {
        prompt_tokens: sizes.text_tokens.min(f64::from(plan.data.max_prompt_tokens)),
        turn_tokens: plan.method.instruction().map_or(0.0, turn),
        sets: closed::roughly(plan),
    }
}

/// Tokens that are sampled.
#[derive(Clone, Copy)]
pub(super) struct Sampled {
    tokens: f64,
    /// Responses of one batch: its tokens share the reading of the weights.
    rows_at_once: f64,
}

pub(super) struct Pricing<'a> {
    pub(super) plan: &'a LanguagePlan,
    /// Of the trained model.
    shape: ModelShape,
    /// Tokens of a prompt.
    pub(super) prompt: f64,
    /// Tokens of the turn that asks for a better response.
    pub(super) turn: f64,
    shapes: &'a mut Shapes,
    sizes: &'a TextSizes,
    price: Price,
}

impl Pricing<'_> {
    /// Sampling a response to a prompt: its last token is read by nobody.
    fn first(&self, answer: f64) -> Flow {
        Flow::of(self.prompt + answer - 1.0, answer)
    }

    /// Sampling a better one right after it.
    fn improved(&self, answer: f64) -> Flow {
        Flow::after(self.prompt + answer - 1.0, self.turn + answer, answer)
    }

    /// The Follower's to what the Leader has just said: with weights of its own it has read nothing of it.
    fn answered(&self, answer: f64) -> Flow {
        match &self.plan.method {
            LanguageMethod::StackelbergGda(game) if game.players.parameters == Parameters::Separate => {
                self.improved_anew(answer)
            }
            _ => self.improved(answer),
        }
    }

    /// Sampling a better one when the first has to be read again.
    pub(super) fn improved_anew(&self, answer: f64) -> Flow {
        Flow::of(self.prompt + self.turn + 2.0 * answer - 1.0, answer)
    }

    /// Sampling so many responses to each of some prompts, which is read once for them.
    pub(super) fn of_each(&self, prompts: f64, responses: f64, answer: f64) -> Flow {
        let further = Flow::after(self.prompt, answer - 1.0, answer - 1.0).times(responses);
        Flow::of(self.prompt, 1.0).and(further).times(prompts)
    }

    pub(super) fn sample(&mut self, flow: Flow, sampled: Sampled) {
        self.price.generated_tokens += sampled.tokens;
        self.price.sampling_bytes += sampled.tokens / sampled.rows_at_once * self.weight_bytes(&self.shape);
        self.price.sampling_operations += flow.operations(&self.shape, Pass::Read);
    }

    fn weight_bytes(&self, shape: &ModelShape) -> f64 {
        let bytes = match self.plan.device.precision {
            ModelPrecision::F32 => 4.0,
            ModelPrecision::Bf16 => 2.0,
        };
        bytes * (shape.block_numbers() + shape.output_numbers())
    }

    /// Another reads it, or the trained model without being trained.
    pub(super) fn read(&mut self, flow: Flow) {
        self.price.read_tokens += flow.tokens;
        self.price.pass_operations += flow.operations(&self.shape, Pass::Read);
    }

    fn ask(&mut self, plugin: &PluginPlan, asked: Asked, answer: f64) -> Result<(), PriceError> {
        let texts = Texts { prompt: self.prompt, answer };
        judging::add(&mut self.price, plugin, (asked, texts), self.shapes)
    }

    /// The judge that others are trained on; nobody, where nobody judges.
    pub(super) fn ask_training_judge(&mut self, asked: Asked, answer: f64) -> Result<(), PriceError> {
        let plan = self.plan;
        plan.judge.as_ref().map_or(Ok(()), |judge| self.ask_judge(&judge.plugin, asked, answer))
    }

    pub(super) fn ask_judge(&mut self, plugin: &PluginPlan, asked: Asked, answer: f64) -> Result<(), PriceError> {
        self.price.verdicts += asked.verdicts;
        self.ask(plugin, asked, answer)
    }

    fn training(&mut self) -> Result<(), PriceError> {
        let (plan, training) = (self.plan, self.plan.method.training());
        if let Some(pairs) = plan.method.pairs_per_step() {
            self.pairs(pairs);
            return Ok(());
        }
        let answer = f64::from(training.sampling.max_new_tokens);
        if let Some(model) = plan.method.reward_model() {
            self.fit(model, answer)?;
        }
        let rounds = training.steps as f64 * self.updates();
        let prompts = rounds * f64::from(training.prompts_per_step);
        let rows = prompts * f64::from(training.num_generations);
        self.play(prompts, answer);
        self.judge((prompts, rows), answer)?;
        let iterations = f64::from(plan.method.num_iterations());
        self.pass(rows * iterations, answer);
        let step = Flow::of(self.prompt + answer, answer).times(rows / training.steps.max(1) as f64);
        self.read_by_past(step);
        Ok(())
    }

    /// What policies of steps before read of the responses of each step that they come before.
    fn read_by_past(&mut self, step: Flow) {
        let steps = self.plan.method.training().steps;
        let reads: u64 = self.plan.method.past_policies().iter().map(|ago| steps.saturating_sub(*ago)).sum();
        self.read(step.times(reads as f64));
    }

    /// Passes of the pairs of a file, and what is read of held-out ones; likelihood reads one response of each.
    fn pairs(&mut self, pairs_per_step: u32) {
        let plan = self.plan;
        let response = self.sizes.response_tokens;
        let read = if matches!(plan.method, LanguageMethod::SftChosen(_)) { 1.0 } else { 2.0 };
        let trained = read * plan.method.training().steps as f64 * f64::from(pairs_per_step);
        self.pass(trained, response);
        let held_out = f64::from(plan.data.held_out.max(1));
        let share = f64::from(plan.evaluation.prompts.min(plan.data.held_out)) / held_out;
        let evaluations = self.evaluations_on_the_way() as f64 * share + 1.0;
        let scored = 2.0 * evaluations * self.sizes.held_out_pairs;
        // By the policy, and by the reference.
        self.read(Flow::of(self.prompt + response, response).times(2.0 * scored));
    }

    /// Updates of the Follower a step; where κ is adaptive, those of its beginning.
    fn updates(&mut self) -> f64 {
        let schedule = &self.plan.schedule;
        if !self.plan.method.has_two_speeds() || schedule.realisation != Realisation::UpdatesPerLeaderUpdate {
            return 1.0;
        }
        if let Kappa::Adaptive(rule) = &schedule.kappa {
            self.price.note("the adaptive κ is taken to stay where it starts".to_owned());
            return rule.start.round().max(1.0);
        }
        let Some(curve) = schedule.kappa.curve() else { return 1.0 };
        self.mean_over_steps(&curve, |kappa| kappa.round().max(1.0))
    }

    /// Of a long run so many steps are looked at, evenly.
    fn mean_over_steps(&self, curve: &Curve, of: impl Fn(f64) -> f64) -> f64 {
        let steps = self.plan.method.training().steps.max(1);
        let some = steps.min(CURVE_STEPS);
        let step = |index: u64| 1 + (index as f64 / (some.max(2) - 1) as f64 * (steps - 1) as f64) as u64;
        (0..some).map(|index| of(curve.at(step(index), steps))).sum::<f64>() / some as f64
    }

    fn in_training(&self, tokens: f64) -> Sampled {
        let training = self.plan.method.training();
        let rows_at_once = f64::from(training.prompts_per_step) * f64::from(training.num_generations);
        Sampled { tokens, rows_at_once: rows_at_once.max(1.0) }
    }

    pub(super) fn in_evaluation(&self, tokens: f64) -> Sampled {
        Sampled { tokens, rows_at_once: f64::from(self.plan.evaluation.batch_size).max(1.0) }
    }

    fn play(&mut self, prompts: f64, answer: f64) {
        let generations = f64::from(self.plan.method.training().num_generations);
        let first = self.of_each(prompts, generations, answer);
        let sampled = self.in_training(prompts * generations * answer);
        self.sample(first, sampled);
        if let LanguageMethod::NashMd(nash) = &self.plan.method {
            // Where the reference has a share in the opponent, it reads every token of it beside the policy.
            self.sample(first, sampled);
            let shared = self.mean_over_steps(&nash.mixture_coef, |share| f64::from(u8::from(share > 0.0)));
            self.price.sampling_operations += first.times(shared).operations(&self.shape, Pass::Read);
            self.price.sampling_bytes +=
                shared * sampled.tokens / sampled.rows_at_once * self.weight_bytes(&self.shape);
        }
        if self.plan.method.has_follower() {
            let answered = self.answered(answer).times(prompts * generations);
            self.sample(answered, sampled);
        }
    }

    fn judge(&mut self, (prompts, rows): (f64, f64), answer: f64) -> Result<(), PriceError> {
        let plan = self.plan;
        // A second turn is rewarded as the first one is.
        let turns = if plan.method.has_follower() { 2.0 } else { 1.0 };
        if plan.method.reward_model().is_some() {
            let read = Flow::of(self.prompt + answer, 0.0).times(rows * turns);
            self.read(read);
            return Ok(());
        }
        if let Some(reward) = plan.method.reward() {
            return self.ask(reward, Asked { responses: rows * turns, ..Asked::default() }, answer);
        }
        let asked = match &plan.method {
            LanguageMethod::StackelbergGda(_) => Asked { responses: 2.0 * rows, pairs: rows, verdicts: rows },
            LanguageMethod::Score(_) => two_turns(f64::from(plan.method.training().num_generations)).times(prompts),
            LanguageMethod::NashMd(_) => Asked { responses: 2.0 * rows, pairs: rows, verdicts: 2.0 * rows },
            _ => Asked { responses: rows, ..among(f64::from(plan.method.training().num_generations)).times(prompts) },
        };
        self.ask_training_judge(asked, answer)
    }

    /// Forward and backward passes, the reference's beside them.
    fn pass(&mut self, rows: f64, answer: f64) {
        let plan = self.plan;
        let leader = Flow::of(self.prompt + answer, answer);
        let both = Flow::of(self.prompt + self.turn + 2.0 * answer, 2.0 * answer);
        let follower = Flow { predicted: answer, ..both };
        let (policy, reference) = match &plan.method {
            LanguageMethod::StackelbergGda(game) => {
                let policy = match game.players.parameters {
                    Parameters::Shared => both,
                    Parameters::Separate => leader.and(follower),
                };
                let reference = match game.players.follower_reference {
                    FollowerReference::Context => both,
                    FollowerReference::Prompt => leader.and(leader),
                };
                (policy, reference)
            }
            LanguageMethod::Score(_) => (both, both),
            _ => (leader, leader),
        };
        self.train(policy.times(rows));
        self.read(reference.times(rows));
    }

    /// Forward and backward passes of the policy; once more without dropout, where there is some.
    fn train(&mut self, policy: Flow) {
        let (trained, is_dropping) = match &self.plan.model.adapter {
            AdapterPlan::Full => (Pass::TrainAll, false),
            AdapterPlan::Lora { lora_dropout, .. } => (Pass::TrainAdapters, *lora_dropout > 0.0),
        };
        self.price.trained_tokens += policy.tokens;
        self.price.pass_operations += policy.operations(&self.shape, trained);
        if is_dropping {
            // The scores of the network without dropout.
            self.read(policy);
        }
    }

    /// A reward model that is fit before the first step, to pairs that are judged in both orders.
    fn fit(&mut self, model: &RewardModelPlan, answer: f64) -> Result<(), PriceError> {
        let pairs = f64::from(model.pairs);
        let sampled = self.of_each(pairs, 2.0, answer);
        self.sample(sampled, self.in_training(2.0 * pairs * answer));
        let read = Flow::of(self.prompt + answer, 0.0).times(2.0 * pairs);
        self.read(read);
        let asked = Asked { responses: 2.0 * pairs, pairs, verdicts: 2.0 * pairs };
        self.ask_training_judge(asked, answer)
    }

    /// On closed sets every pair is judged once, nothing is sampled, and evaluations read training prompts too.
    fn closed(&mut self, sets: &SetSizes) -> Result<(), PriceError> {
        let (plan, flows) = (self.plan, SetFlows::of(self.prompt, self.turn, sets));
        let asked = Asked { responses: sets.responses, pairs: 0.5 * sets.pairs, verdicts: sets.pairs };
        self.ask_training_judge(asked.times(sets.prompts), sets.response_tokens)?;
        if let Some(reward) = plan.method.reward() {
            let asked = Asked { responses: sets.prompts * sets.responses, ..Asked::default() };
            self.ask(reward, asked, sets.response_tokens)?;
        }
        let policy = match &plan.method {
            LanguageMethod::StackelbergGda(game) if game.players.parameters == Parameters::Separate => {
                flows.leader.and(flows.follower)
            }
            method if method.instruction().is_some() => flows.both,
            _ => flows.leader,
        };
        if plan.answers.as_ref().is_some_and(|answers| answers.reference == AnswerReference::Model) {
            let context = match &plan.method {
                LanguageMethod::StackelbergGda(game) => game.players.follower_reference == FollowerReference::Context,
                method => method.instruction().is_some(),
            };
            self.read(if context { flows.both } else { flows.leader }.times(sets.prompts));
        }
        if plan.method.is_trained() {
            let training = plan.method.training();
            let rounds = training.steps as f64 * self.updates() * f64::from(plan.method.num_iterations());
            self.train(policy.times(rounds * f64::from(training.prompts_per_step)));
            self.read_by_past(policy.times(f64::from(training.prompts_per_step)));
        }
        let held_out = f64::from(plan.data.held_out);
        let on_the_way = |prompts: f64| f64::from(plan.evaluation.prompts).min(prompts);
        let some = on_the_way(held_out) + on_the_way(sets.prompts - held_out);
        // A certificate reads the held-out prompts once more, and draws from what it reads.
        let certified = if plan.evaluation.certificate.is_some() { held_out } else { 0.0 };
        self.read(policy.times(self.evaluations_on_the_way() as f64 * some + sets.prompts + certified));
        Ok(())
    }

    /// At step 0 and on the way; the last one is another.
    fn evaluations_on_the_way(&self) -> u64 {
        match self.plan.evaluation.every {
            0 => 0,
            every => self.plan.method.training().steps.div_ceil(every),
        }
    }

    fn evaluations(&mut self) -> Result<(), PriceError> {
        let evaluation = &self.plan.evaluation;
        let on_the_way = self.evaluations_on_the_way();
        let some = f64::from(evaluation.prompts.min(self.plan.data.held_out)) * on_the_way as f64;
        self.evaluation(some, 1, false)?;
        self.evaluation(f64::from(self.plan.data.held_out), evaluation.rounds, true)
    }

    /// On so many prompts.
    fn evaluation(&mut self, prompts: f64, rounds: u32, is_last: bool) -> Result<(), PriceError> {
        let evaluation = &self.plan.evaluation;
        let answer = f64::from(evaluation.sampling.max_new_tokens);
        self.leader(prompts, answer)?;
        let (first, answered, anew) = (self.first(answer), self.answered(answer), self.improved_anew(answer));
        self.sample(first.times(prompts), self.in_evaluation(prompts * answer));
        let mut answers = 2.0;
        if self.plan.method.has_follower() {
            self.sample(answered.times(prompts), self.in_evaluation(prompts * answer));
            // The reference is another model than the Follower.
            let further = prompts * (2.0 * f64::from(rounds) - 1.0);
            self.sample(anew.times(further), self.in_evaluation(further * answer));
            answers += 2.0 * f64::from(rounds);
        }
        if is_last {
            answers += self.others(prompts, (answer, rounds))?;
            if let Some(certificate) = evaluation.certificate {
                self.certificate(certificate, prompts)?;
            }
        }
        // Everybody but the Leader stands in one contest, in both orders.
        let pairs = answers - 1.0;
        let asked = Asked { responses: answers, pairs, verdicts: 2.0 * pairs }.times(prompts);
        let judges = evaluation.judges.iter().map(|named| &named.judge.plugin);
        let training = self.plan.judge.as_ref().map(|judge| &judge.plugin);
        for judge in training.into_iter().chain(judges) {
            self.ask_judge(judge, asked, answer)?;
        }
        for measure in &evaluation.measures {
            self.ask(&measure.plugin, Asked { pairs: 0.0, verdicts: 0.0, ..asked }, answer)?;
        }
        Ok(())
    }

    /// Who stands as the Leader in an evaluation.
    fn leader(&mut self, prompts: f64, answer: f64) -> Result<(), PriceError> {
        let (first, improved, anew) = (self.first(answer), self.improved(answer), self.improved_anew(answer));
        match &self.plan.method {
            LanguageMethod::BestOfN(best) => {
                let many = f64::from(best.training.num_generations);
                self.sample(first.times(prompts * many), self.in_evaluation(prompts * many * answer));
                let among = Asked { responses: many, ..among(many) }.times(prompts);
                match self.plan.method.reward() {
                    Some(reward) => self.ask(reward, Asked { pairs: 0.0, verdicts: 0.0, ..among }, answer),
                    None => self.ask_training_judge(among, answer),
                }
            }
            LanguageMethod::SelfRefinement(refined) => {
                self.sample(first.times(prompts), self.in_evaluation(prompts * answer));
                if refined.rounds > 0 {
                    self.sample(improved.times(prompts), self.in_evaluation(prompts * answer));
                    let further = prompts * f64::from(refined.rounds - 1);
                    self.sample(anew.times(further), self.in_evaluation(further * answer));
                }
                Ok(())
            }
            _ => {
                self.sample(first.times(prompts), self.in_evaluation(prompts * answer));
                Ok(())
            }
        }
    }

    /// Others' responses, where they are sampled, and the refinements of them; how many responses a prompt.
    fn others(&mut self, prompts: f64, (answer, rounds): (f64, u32)) -> Result<f64, PriceError> {
        let refines = self.plan.method.has_follower() || matches!(self.plan.method, LanguageMethod::SelfRefinement(_));
        let rounds = if refines { f64::from(rounds) } else { 0.0 };
        let others = &self.plan.evaluation.transfer;
        for other in others {
            if let TransferSource::Model { path, .. } = &other.source {
                let sampled = self.first(answer).times(prompts);
                let shape = self.shapes.of(path).map_err(PriceError::Model)?;
                let Sampled { tokens, rows_at_once } = self.in_evaluation(prompts * answer);
                self.price.generated_tokens += tokens;
                self.price.sampling_bytes += tokens / rows_at_once * self.weight_bytes(&shape);
                self.price.sampling_operations += sampled.operations(&shape, Pass::Read);
            }
            let anew = self.improved_anew(answer);
            self.sample(anew.times(prompts * rounds), self.in_evaluation(prompts * rounds * answer));
        }
        Ok(others.len() as f64 * (1.0 + rounds))
    }
}

/// All comparisons among so many responses to one prompt.
fn among(responses: f64) -> Asked {
    let verdicts = responses * (responses - 1.0);
    Asked { responses, pairs: 0.5 * verdicts, verdicts }
}

/// Among so many first responses, and of as many second ones against all first ones, in both orders.
fn two_turns(samples: f64) -> Asked {
    let verdicts = samples * (samples - 1.0) + 2.0 * samples * samples;
    Asked { responses: 2.0 * samples, pairs: 0.5 * verdicts, verdicts }
}
