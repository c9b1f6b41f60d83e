//! Trainings whose truth is known: policies, seeds that move them, prompts that suit them, and a judge.

use slhf_random::SplitMix64;

/// The numbers of a simulation.
pub(crate) fn draws(seed: u64) -> SplitMix64 {
    SplitMix64::new(seed.wrapping_mul(0xD134_2543_DE82_EF95).wrapping_add(0x9E37_79B9))
}

/// What a judge says of a win with probability p.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdicts {
    /// 0 or 1.
    Hard,
    /// p itself.
    Soft,
}

/// One experiment, drawn anew.
pub(crate) struct World<'a> {
    pub(crate) seeds: usize,
    pub(crate) prompts: usize,
    /// What a policy adds to its win rate over others, on average.
    pub(crate) strengths: &'a [f64],
    /// How far a seed moves that, one deviation a policy.
    pub(crate) seed_deviations: &'a [f64],
    /// How far a prompt moves it.
    pub(crate) prompt_deviation: f64,
    pub(crate) verdicts: Verdicts,
    /// So many of the last policies are files of responses: they say the same under every seed, and so does the judge of two of them.
    pub(crate) files: usize,
}

impl World<'_> {
    /// All verdicts, by pair i < j, seed, prompt; drawn by `draws`.
    pub(crate) fn play(&self, draws: &mut SplitMix64) -> slhf_statistics::Tournament {
        let policies = self.strengths.len();
        let mut of_seed = vec![vec![0.0; self.seeds]; policies];
        let mut of_prompt = vec![vec![0.0; self.prompts]; policies];
        for policy in 0..policies {
            if policy >= policies - self.files {
                of_prompt[policy].iter_mut().for_each(|moved| *moved = self.prompt_deviation * draws.normal());
                continue;
            }
            of_seed[policy].iter_mut().for_each(|moved| *moved = self.seed_deviations[policy] * draws.normal());
            of_prompt[policy].iter_mut().for_each(|moved| *moved = self.prompt_deviation * draws.normal());
        }
        let at = |policy: usize, seed: usize, prompt: usize| {
            self.strengths[policy] + of_seed[policy][seed] + of_prompt[policy][prompt]
        };
        let first_file = policies - self.files;
        let mut of_files = vec![f64::NAN; self.prompts];
        let fixed: Vec<usize> = (first_file..policies).collect();
        slhf_statistics::Tournament::new(policies, self.seeds, self.prompts, |i, j, seed, prompt| {
            if i >= first_file && seed > 0 {
                return Some(of_files[prompt]);
            }
            let p = (0.5 + at(i, seed, prompt) - at(j, seed, prompt)).clamp(0.0, 1.0);
            let verdict = match self.verdicts {
                Verdicts::Hard => f64::from(u8::from(draws.uniform() < p)),
                Verdicts::Soft => p,
            };
            of_files[prompt] = verdict;
            Some(verdict)
        })
        .map(|tournament| tournament.with_fixed(&fixed))
        .expect("probabilities")
    }
}
