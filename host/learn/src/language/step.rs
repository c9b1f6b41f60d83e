//! One training step: play, judge, weigh, update; and again for every further Follower update.

use std::time::Instant;

use slhf_plan::{MetricKey, Parameters, Realisation};

use super::clipped::ClippedRatios;
use super::completions::RecordedVerdict;
use super::failure::StepError;
use super::group::{AnswerOutcome, PastScore};
use super::importance::ImportanceSums;
use super::judged::{Judged, Return, is_constant};
use super::judging::judge;
use super::loss::Loss;
use super::metrics::{Differences, StepRecord};
use super::passing::{Memory, Trained, outcomes, pass_all};
use super::past::past_scores;
use super::playing::{Moment, Played, play};
use super::recorded_judge::{Places, RecordedJudge};
use super::settings::Settings;
use super::stackelberg_gda::PairFactors;
use super::state::LoopState;
use super::traits::{Agents, Answer, GradientNorms, LanguagePolicies, Players, Prompt, Update};
use crate::Measurement;
use crate::control::Control;
use crate::schedule::Speeds;

/// What a step leaves behind.
#[derive(Debug)]
pub(crate) struct StepResult<'a> {
    pub(crate) record: StepRecord,
    pub(crate) speeds: Speeds,
    /// What the first round played, for the record.
    pub(crate) played: Vec<Played<'a>>,
    /// What the judge said of those of them that are recorded.
    pub(crate) verdicts: Vec<RecordedVerdict>,
    /// Failures that were let pass, as a sentence.
    pub(crate) note: Option<String>,
}

/// What a round of a step leaves behind.
#[derive(Default)]
struct Round<'a> {
    played: Vec<Played<'a>>,
    verdicts: Vec<RecordedVerdict>,
    note: Option<String>,
}

/// The parts of the loop that a step changes.
pub(crate) struct StepParts<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) control: &'a mut Control,
    pub(crate) state: &'a mut LoopState,
}

impl StepParts<'_> {
    /// Takes the step after `state.step` on `prompts`.
    pub(crate) fn take<'p>(
        &mut self,
        players: &mut Players<'_>,
        prompts: &[&'p Prompt],
    ) -> Result<StepResult<'p>, StepError> {
        let started = Instant::now();
        let step = self.state.step + 1;
        let speeds = self.speeds(step);
        let mut record = StepRecord::begun(&speeds);
        record.clipped = self.settings.clips().then(ClippedRatios::default);
        record.importance = self.settings.importance.map(|_| ImportanceSums::default());
        if self.settings.is_served {
            record.differences = Differences::of_another_engine();
        }
        let mut first = Round::default();
        let mut notes = None;
        let mut micro_batch = 0;
        for round in 0..self.settings.updates(speeds.follower_updates) {
            let at = Moment { step, round };
            let mut done = self.round(players, prompts, &speeds, (at, &mut micro_batch), &mut record)?;
            notes = notes.or(done.note.take());
            if round == 0 {
                first = done;
            }
        }
        let counters = &self.state.counters;
        record.num_tokens = counters.tokens_trained;
        record.num_tokens_generated = counters.tokens_generated;
        record.num_flops = counters.operations + counters.operations_generating;
        record.seconds.whole = started.elapsed().as_secs_f64();
        self.state.step = step;
        self.state.cursor += prompts.len() as u64;
        Ok(StepResult { record, speeds, played: first.played, verdicts: first.verdicts, note: notes })
    }

    /// The speeds of a step; where the adaptive rule is due it reads the Follower's mean win rate since it read last.
    pub(crate) fn speeds(&mut self, step: u64) -> Speeds {
        let (course, state) = (&self.settings.course, &mut *self.state);
        if course.reads_signal(step) && state.wins.1 > 0 {
            course.read_win_rate(&mut state.adaptive, state.wins.0 / state.wins.1 as f64);
            state.wins = (0.0, 0);
        }
        let mut speeds = course.speeds(step, state.adaptive);
        speeds.follower_updates = self.settings.updates(speeds.follower_updates);
        if course.schedule.realisation == Realisation::UpdatesPerLeaderUpdate {
            speeds.kappa = f64::from(speeds.follower_updates);
        }
        speeds
    }

    fn round<'p>(
        &mut self,
        players: &mut Players<'_>,
        prompts: &[&'p Prompt],
        speeds: &Speeds,
        (at, micro_batch): (Moment, &mut u32),
        record: &mut StepRecord,
    ) -> Result<Round<'p>, StepError> {
        let clock = Instant::now();
        let (mut played, operations) = play(players.policies, self.settings, prompts, at)?;
        self.state.counters.operations_generating += operations;
        record.seconds.generate += clock.elapsed().as_secs_f64();

        let clock = Instant::now();
        let (mut judged, verdicts) = self.judge(players, &mut played, at)?;
        self.state.counters.operations += judged.operations;
        record.seconds.judge += clock.elapsed().as_secs_f64();
        let by_control = at.round == 0 && self.control.needs_others();
        let needs_others = self.settings.compares_within_groups() || by_control;
        let dropped = if needs_others { judged.drop_lone(&played) } else { 0 };
        self.count_play(&played, &judged, dropped, at, record);
        let note = note(&judged, dropped, at);
        if judged.kept.is_empty() {
            let first = judged.first.map_or_else(String::new, |first| format!(", the first because {first}"));
            return Err(StepError::NothingLeft { failed: judged.failed, asked: judged.asked, first });
        }

        if self.settings.drops_constant_groups() {
            judged.drop_constant(&played);
        }
        if judged.kept.is_empty() {
            // Every prompt is decided: a loss of nothing moves no weight, not even by an optimizer's momentum.
            return Ok(Round { played, verdicts, note });
        }

        let clock = Instant::now();
        let trained = outcomes(self.control, &played, &judged, at)?;
        self.update(players.policies, &trained, speeds, (at, micro_batch), record)?;
        record.seconds.train += clock.elapsed().as_secs_f64();
        Ok(Round { played, verdicts, note })
    }

    /// What the answers of a round are rewarded with, and what was said of those that are recorded.
    fn judge(
        &self,
        players: &mut Players<'_>,
        played: &mut [Played<'_>],
        at: Moment,
    ) -> Result<(Judged, Vec<RecordedVerdict>), StepError> {
        let places = Places::of(played);
        let mut recorded = RecordedJudge { judge: &mut *players.judge, places, verdicts: Vec::new() };
        let mut heard =
            Players { policies: &mut *players.policies, judge: &mut recorded, evaluators: &mut *players.evaluators };
        let judged = judge(&mut heard, self.settings, self.state.reward_model.as_ref(), played, at)?;
        Ok((judged, recorded.verdicts))
    }

    fn update(
        &mut self,
        policies: &mut dyn LanguagePolicies,
        trained: &[Trained<'_>],
        speeds: &Speeds,
        (at, micro_batch): (Moment, &mut u32),
        record: &mut StepRecord,
    ) -> Result<(), StepError> {
        let share = 1.0 / trained.len() as f64;
        let leader = if at.round == 0 { share } else { 0.0 };
        let factors = PairFactors { leader, follower: speeds.follower_weight * share };
        let past = self.past(policies, trained, record)?;
        // What the samples' log-probabilities were, for methods that take several updates on them.
        let mut sampled = Vec::new();
        for iteration in 0..self.settings.iterations() {
            let memory = Memory { iteration, sampled: &mut sampled, past: &past };
            let passed = pass_all(policies, self.settings, trained, factors, (at, micro_batch, memory), record)?;
            self.move_weights(policies, speeds, at, iteration, record)?;
            let state = &mut *self.state;
            state.counters.tokens_trained += passed.tokens;
            state.counters.operations += passed.operations;
            record.step_tokens += passed.tokens;
            record.step_operations += passed.operations;
        }
        Ok(())
    }

    /// What policies of steps before make of the samples, of a method that plays against any.
    fn past(
        &mut self,
        policies: &mut dyn LanguagePolicies,
        trained: &[Trained<'_>],
        record: &mut StepRecord,
    ) -> Result<Vec<PastScore>, StepError> {
        let Loss::Group(loss, _) = &self.settings.loss else { return Ok(Vec::new()) };
        let steps_before = usize::try_from(self.state.step).unwrap_or(usize::MAX);
        let (past, passed) = past_scores(policies, self.settings, loss.as_ref(), (trained, steps_before))?;
        self.state.counters.operations += passed.operations;
        record.step_operations += passed.operations;
        Ok(past)
    }

    pub(crate) fn move_weights(
        &mut self,
        policies: &mut dyn LanguagePolicies,
        speeds: &Speeds,
        at: Moment,
        iteration: u32,
        record: &mut StepRecord,
    ) -> Result<(), StepError> {
        let trains_leader = at.round == 0;
        let separate = self.settings.parameters == Parameters::Separate;
        let update = Update {
            agents: if separate && !trains_leader { Agents::Follower } else { Agents::Both },
            leader_learning_rate: speeds.leader_rate,
            follower_learning_rate: speeds.follower_rate,
            max_grad_norm: self.settings.training.max_grad_norm,
        };
        let norms =
            policies.update(&update).map_err(|source| StepError::Policies { doing: "updating the weights", source })?;
        check_norms(&norms, self.settings.has_follower())?;
        if trains_leader && iteration == 0 {
            record.leader_norm = norms.leader;
            record.follower_norm = norms.follower;
            record.norm = if separate { norms.leader.hypot(norms.follower) } else { norms.leader };
        }
        let state = &mut *self.state;
        state.updates[0] += u64::from(trains_leader);
        state.updates[1] += u64::from(self.settings.has_follower());
        Ok(())
    }

    /// Takes the Follower's win rate on closed sets in, which the adaptive rule reads.
    pub(crate) fn count_wins(&mut self, found: &Measurement, prompts: usize) {
        let win_rate = found.keys.iter().position(|key| *key == MetricKey::WinRateFollower);
        if let Some(place) = win_rate {
            self.state.wins.0 += found.values[place] * prompts as f64;
            self.state.wins.1 += prompts as u64;
        }
    }

    fn count_play(
        &mut self,
        played: &[Played<'_>],
        judged: &Judged,
        dropped: u64,
        at: Moment,
        record: &mut StepRecord,
    ) {
        let of = |answer: &Option<Answer>| answer.as_ref().map_or(0, |answer| answer.tokens.len());
        let tokens = |one: &Played<'_>| one.leader.tokens.len() + of(&one.follower) + of(&one.opponent);
        let tokens: usize = played.iter().map(tokens).sum();
        let state = &mut *self.state;
        state.counters.tokens_generated += tokens as u64;
        state.counters.verdicts += judged.asked;
        state.counters.verdicts_skipped += judged.failed;
        state.counters.groups_dropped += dropped;
        record.step_tokens += tokens as u64;
        record.skipped += judged.failed;
        record.groups_dropped += dropped;
        if self.settings.has_follower() {
            state.wins.0 += judged.verdicts.0 as f64 - judged.verdicts.1;
            state.wins.1 += judged.verdicts.0;
        }
        if at.round > 0 {
            return;
        }
        for one in played {
            record.leader.sampled(&one.leader);
            if let Some(follower) = &one.follower {
                record.follower.sampled(follower);
            }
        }
        (record.verdicts, record.probability) = judged.verdicts;
        for (_, value) in &judged.kept {
            match value {
                Return::Pair(leader, follower) => record.margin += leader - follower,
                Return::Turns(_, [first, second]) => {
                    record.rewards += 1;
                    record.reward += first;
                    record.second_reward += second;
                }
                Return::Answer(AnswerOutcome { reward, .. }) | Return::Versus(reward) => {
                    record.reward += reward;
                    record.rewards += 1;
                }
            }
        }
        count_groups(played, judged, record);
    }
}

/// A norm that is not finite: the policies should have refused, and did not.
fn check_norms(norms: &GradientNorms, has_follower: bool) -> Result<(), StepError> {
    if !norms.leader.is_finite() {
        return Err(StepError::Norm { agent: "Leader", value: norms.leader });
    }
    if has_follower && !norms.follower.is_finite() {
        return Err(StepError::Norm { agent: "Follower", value: norms.follower });
    }
    Ok(())
}

/// Groups of two or more Leader samples, and those in which all have the same reward.
fn count_groups(played: &[Played<'_>], judged: &Judged, record: &mut StepRecord) {
    let of = |entry: &(usize, Return)| played[entry.0].group;
    for group in judged.kept.chunk_by(|first, second| of(first) == of(second)).filter(|group| group.len() > 1) {
        record.groups += 1;
        record.groups_zero_std += u64::from(is_constant(group));
    }
}

fn note(judged: &Judged, dropped: u64, at: Moment) -> Option<String> {
    let first = judged.first.as_ref()?;
    let (step, failed, asked) = (at.step, judged.failed, judged.asked);
    let groups = match dropped {
        0 => String::new(),
        _ => format!(" ({dropped} prompts fell out, with fewer than two responses left)"),
    };
    Some(format!("step {step}: {failed} of {asked} verdicts failed and are skipped{groups}; the first: {first}"))
}
