//! Resamples, solved one by one: what varies, and how often who wins.

use slhf_data::{Counted, GroupWeights, Resampler, Tally, Unit};
use slhf_game::{Existence, Game, NashGame, PreferenceMatrix, SocialChoice, Solutions, maximal_lottery, solve};
use slhf_random::SplitMix64;
use slhf_statistics::{Level, percentile_interval, share_of_trials};

use super::super::input::{Input, named};
use super::settings::Settings;
use crate::failure::Failure;

/// Most numbers that are kept until their quantiles are known.
const NUMBERS_MAX: usize = 100_000_000;

/// A pair that was compared less often is too little to say that one side always wins.
const FEW: usize = 30;

/// A probability of the data with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Probability {
    pub(crate) of_data: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// How often an action wins by one rule; actions that tie share a resample evenly.
pub(crate) struct RuleShares {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    /// One share an action, summing to 1.
    pub(crate) shares: Vec<f64>,
}

/// A policy over the actions.
pub(crate) struct Policy {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    pub(crate) probabilities: Vec<Probability>,
}

/// All that the resamples say.
pub(crate) struct Bootstrap {
    pub(crate) settings: Settings,
    pub(crate) unit: Unit,
    /// Whether groups were drawn one by one and mixed.
    pub(crate) are_weighed: bool,
    /// `p(i ≻ j)` for i < j, pair by pair.
    pub(crate) pairs: Vec<(usize, usize, Probability)>,
    pub(crate) policies: Vec<Policy>,
    /// The share of resamples in which each action beats every other.
    pub(crate) condorcet: Vec<f64>,
    /// In which no action does, because some beat each other in a cycle.
    pub(crate) cycle: f64,
    /// In which no action does, because of ties alone.
    pub(crate) ties: f64,
    /// In which the Smith set is that of the data.
    pub(crate) same_smith_set: f64,
    /// In which each action is in the Smith set.
    pub(crate) in_smith_set: Vec<f64>,
    pub(crate) rules: Vec<RuleShares>,
    /// In which Bradley and Terry's likelihood had no maximum, or the Nash solver was not precise.
    pub(crate) regularised: f64,
    pub(crate) imprecise: f64,
    pub(crate) unanimous: Unanimous,
}

impl Bootstrap {
    /// Draws and solves; the same seed gives the same numbers.
    pub(crate) fn of(
        input: &Input,
        solutions: &Solutions,
        rules: &SocialChoice,
        settings: Settings,
    ) -> Result<Self, Failure> {
        let Some(counted) = &input.counted else {
            return Err(named(
                &input.file,
                "--bootstrap draws ballots or counted comparisons again, and this game is a matrix without counts; \
                 expected a PrefLib file or a CSV of counts",
            ));
        };
        let resampler = Resampler::new(counted, input.weights.as_ref(), &input.names)
            .map_err(|error| named(&input.file, &error.to_string()))?;
        let n = input.names.len();
        let numbers = (n * (n - 1) / 2 + 4 * n) * settings.resamples as usize;
        if numbers > NUMBERS_MAX {
            let problem = format!(
                "--bootstrap {} of {n} actions keeps {numbers} numbers; expected at most {NUMBERS_MAX}",
                settings.resamples
            );
            return Err(named(&input.file, &problem));
        }
        let mut sums = Sums::new(&input.game, rules);
        let mut random = SplitMix64::new(settings.seed);
        for _ in 0..settings.resamples {
            let matrix = PreferenceMatrix::from_rows(&resampler.draw(&mut random)).map_err(Failure::bad_input)?;
            sums.add(&input.game, matrix)?;
        }
        let drawn = Drawn {
            settings,
            unit: resampler.unit(),
            are_weighed: input.weights.is_some(),
            unanimous: unanimous(counted, input.weights.as_ref()),
        };
        let mut bootstrap = sums.into_bootstrap(&input.game, solutions, rules, drawn);
        if !bootstrap.are_weighed {
            bootstrap.widen_pairs(&counted.tally);
        }
        Ok(bootstrap)
    }

    /// Pairs get Wilson's intervals: those of resamples have no width where one side won everything.
    fn widen_pairs(&mut self, tally: &Tally) {
        for (i, j, probability) in &mut self.pairs {
            let comparisons = (tally.wins[*i][*j] + tally.wins[*j][*i]).round();
            let interval = share_of_trials(probability.of_data, comparisons as usize);
            let (low, high) = if comparisons > 0.0 { (interval.low, interval.high) } else { (0.0, 1.0) };
            *probability = Probability { low, high, ..*probability };
        }
    }

    /// The share of resamples without a Condorcet winner: their Smith set has more than one member.
    pub(crate) fn without_winner(&self) -> f64 {
        self.cycle + self.ties
    }
}

/// Pairs with few comparisons, all of which one side won, by group where groups are weighed: they are the same in every resample.
fn unanimous(counted: &Counted, weights: Option<&GroupWeights>) -> Unanimous {
    let tallies: Vec<&Tally> = match weights {
        None => vec![&counted.tally],
        Some(weights) => {
            let counting = counted.groups.iter().zip(weights.get()).filter(|(_, weight)| **weight > 0.0);
            counting.map(|(group, _)| &group.tally).collect()
        }
    };
    let mut found = Unanimous::default();
    for tally in tallies {
        for (i, j) in pairs(tally.wins.len()) {
            let [won, lost] = [tally.wins[i][j], tally.wins[j][i]];
            let comparisons = (won + lost).round() as usize;
            if comparisons > 0 {
                found.compared += 1;
                found.few += usize::from(comparisons < FEW && (won == 0.0 || lost == 0.0));
            }
        }
    }
    found
}

/// What was drawn, and how.
struct Drawn {
    settings: Settings,
    unit: Unit,
    are_weighed: bool,
    unanimous: Unanimous,
}

/// Pairs that resamples cannot vary.
#[derive(Clone, Copy, Default)]
pub(crate) struct Unanimous {
    /// Pairs that were compared.
    pub(crate) compared: usize,
    /// Of these, those with fewer than 30 comparisons that one side won all of.
    pub(crate) few: usize,
}

/// What is added up over the resamples.
struct Sums {
    /// Values by statistic: the pairs, then each policy's probabilities.
    drawn: Vec<Vec<f64>>,
    smith: Vec<usize>,
    condorcet: Vec<f64>,
    cycle: f64,
    ties: f64,
    same_smith_set: f64,
    in_smith_set: Vec<f64>,
    borda: Vec<f64>,
    copeland: Vec<f64>,
    schulze: Vec<f64>,
    kemeny: Option<Vec<f64>>,
    regularised: f64,
    imprecise: f64,
}

fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |i| (i + 1..n).map(move |j| (i, j)))
}

/// The pairs' probabilities, then the four policies'.
pub(super) fn statistics(matrix: &PreferenceMatrix, solutions: &Solutions, rules: &SocialChoice) -> Vec<f64> {
    let mut values: Vec<f64> = pairs(matrix.actions()).map(|(i, j)| matrix.get(i, j)).collect();
    values.extend(solutions.stackelberg.leader());
    values.extend(&solutions.nash.policy);
    values.extend(&solutions.bradley_terry.policy);
    values.extend(&rules.lottery.policy);
    values
}

/// Keys and titles of the policies, in the order of [`statistics`].
const POLICIES: [(&str, &str); 4] = [
    ("slhf_leader", "SLHF leader"),
    ("nlhf_policy", "NLHF (Nash)"),
    ("rlhf_policy", "RLHF (BT)"),
    ("maximal_lottery", "maximal lottery"),
];

impl Sums {
    fn new(game: &Game, rules: &SocialChoice) -> Self {
        let n = game.actions();
        let zeros = vec![0.0; n];
        Self {
            drawn: vec![Vec::new(); n * (n - 1) / 2 + POLICIES.len() * n],
            smith: rules.smith.clone(),
            condorcet: zeros.clone(),
            cycle: 0.0,
            ties: 0.0,
            same_smith_set: 0.0,
            in_smith_set: zeros.clone(),
            borda: zeros.clone(),
            copeland: zeros.clone(),
            schulze: zeros.clone(),
            kemeny: rules.kemeny.is_ok().then_some(zeros),
            regularised: 0.0,
            imprecise: 0.0,
        }
    }

    fn add(&mut self, game: &Game, matrix: PreferenceMatrix) -> Result<(), Failure> {
        let (leader, follower) = (game.reference_leader().clone(), game.reference_follower().clone());
        let game = Game::new(matrix, leader, follower, *game.temperatures()).map_err(Failure::bad_input)?;
        let solutions = solve(&game);
        let lottery = if NashGame::of(&game).temperature() == 0.0 {
            solutions.nash.clone()
        } else {
            maximal_lottery(game.preferences())
        };
        let rules = SocialChoice::with_lottery(game.preferences(), lottery);
        let values = statistics(game.preferences(), &solutions, &rules);
        for (column, value) in self.drawn.iter_mut().zip(values) {
            column.push(value);
        }
        self.add_top(&rules);
        let winners = [
            (&mut self.borda, &rules.borda.winners),
            (&mut self.copeland, &rules.copeland.winners),
            (&mut self.schulze, &rules.schulze.winners),
        ];
        for (shares, winners) in winners {
            add_shares(shares, winners);
        }
        if let (Some(shares), Ok(kemeny)) = (&mut self.kemeny, &rules.kemeny) {
            add_shares(shares, &kemeny.winners);
        }
        self.regularised += f64::from(u8::from(solutions.bradley_terry.fit.existence == Existence::Regularised));
        self.imprecise += f64::from(u8::from(!solutions.nash.is_precise()));
        Ok(())
    }

    /// Who is at the top, and whether in a cycle: two members of the Smith set have paths of strict majorities to each other.
    fn add_top(&mut self, rules: &SocialChoice) {
        for action in &rules.smith {
            self.in_smith_set[*action] += 1.0;
        }
        self.same_smith_set += f64::from(u8::from(rules.smith == self.smith));
        if let [winner] = rules.smith[..] {
            self.condorcet[winner] += 1.0;
            return;
        }
        let leads = |i: usize, j: usize| rules.schulze.strengths_from(i)[j] > 0.0;
        let is_cycle = rules.smith.iter().any(|i| rules.smith.iter().any(|j| i != j && leads(*i, *j) && leads(*j, *i)));
        if is_cycle {
            self.cycle += 1.0;
        } else {
            self.ties += 1.0;
        }
    }

    fn into_bootstrap(self, game: &Game, solutions: &Solutions, rules: &SocialChoice, drawn: Drawn) -> Bootstrap {
        let Drawn { settings, unit, are_weighed, unanimous } = drawn;
        let number = f64::from(settings.resamples);
        let share = |count: f64| count / number;
        let shares = |counts: Vec<f64>| counts.into_iter().map(share).collect::<Vec<_>>();
        let of_data = statistics(game.preferences(), solutions, rules);
        let probability = |(of_data, mut drawn): (f64, Vec<f64>)| {
            let interval = percentile_interval(&mut drawn, Level::PERCENT_95);
            let (low, high) = interval.map_or((of_data, of_data), |interval| (interval.low, interval.high));
            Probability { of_data, low, high }
        };
        let mut probabilities = of_data.into_iter().zip(self.drawn).map(probability);
        let n = game.actions();
        let pairs = pairs(n).map_while(|(i, j)| Some((i, j, probabilities.next()?))).collect();
        let policies = POLICIES
            .iter()
            .map(|(key, title)| Policy { key, title, probabilities: probabilities.by_ref().take(n).collect() })
            .collect();
        let rule = |key, title, counts| RuleShares { key, title, shares: shares(counts) };
        let mut rules = vec![
            rule("borda_share", "Borda", self.borda),
            rule("copeland_share", "Copeland", self.copeland),
            rule("schulze_share", "Schulze", self.schulze),
        ];
        rules.extend(self.kemeny.map(|counts| rule("kemeny_share", "Kemeny", counts)));
        Bootstrap {
            settings,
            unit,
            are_weighed,
            pairs,
            policies,
            condorcet: shares(self.condorcet),
            cycle: share(self.cycle),
            ties: share(self.ties),
            same_smith_set: share(self.same_smith_set),
            in_smith_set: shares(self.in_smith_set),
            rules,
            regularised: share(self.regularised),
            imprecise: share(self.imprecise),
            unanimous,
        }
    }
}

/// One resample, shared by who won it.
fn add_shares(shares: &mut [f64], winners: &[usize]) {
    for winner in winners {
        shares[*winner] += 1.0 / winners.len() as f64;
    }
}
