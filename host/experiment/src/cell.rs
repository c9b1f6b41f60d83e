//! A cell of an experiment on games: defaults filled in, game and plugins found, and checked for what fits together.

use slhf_plan::settings::{Placeholders, Problems};
use slhf_plan::{CheckpointKeep, GameCell, GamePlan, Method};

use crate::config::ExperimentConfig;
use crate::error::ExperimentError;
use crate::game::{GameInput, Place, read as read_game};
use crate::planner::Planner;
use crate::resolve::{self, Resolved};
use crate::rules;

impl Planner<'_> {
    pub(crate) fn resolve(
        &mut self,
        config: &ExperimentConfig,
        mut problems: Problems,
        label: &str,
    ) -> Result<Resolved, ExperimentError> {
        let (method, found) = config.method.read(&mut Placeholders);
        problems.extend(found);
        rules::check_device_name(config.device.name.as_deref(), config.device.threads.unwrap_or(1), &mut problems);
        if method.as_ref().is_some_and(Method::has_follower) {
            rules::check_follower_rate(&config.schedule, &mut problems);
        }
        let Some(game_config) = &config.game else {
            problems.push("game", "missing; expected a [game] table");
            return Err(self.refused(label, problems));
        };
        let Some(method) = method else { return Err(self.refused(label, problems)) };
        let file = self.path();
        let input = match read_game(game_config, Place { file: &file, prefix: "game." }) {
            Err(error) if problems.is_empty() => return Err(error),
            Err(_) => return Err(self.refused(label, problems)),
            Ok(input) => input,
        };
        for note in &input.notes {
            let note = game_config.file.as_ref().map_or_else(|| note.clone(), |file| format!("{file}: {note}"));
            self.note(&note);
        }
        let temperatures = resolve::temperatures(game_config);
        let (evaluation_every, checkpoint_every) = resolve::cadences(config, method.training().steps);
        let schedule = resolve::schedule(&config.schedule, &method, temperatures);
        let device = self.device(config, label)?;
        let cell = GameCell {
            actions: &input.actions,
            is_counted: input.comparison_counts.is_some(),
            temperatures,
            method: &method,
            schedule: &schedule,
            device: &device,
        };
        rules::check_cadence("evaluation.every", evaluation_every, &mut problems);
        rules::check_cadence("checkpoint.every", checkpoint_every, &mut problems);
        rules::check_target_distance(config.evaluation.target_distance, &schedule, &mut problems);
        problems.extend(slhf_plan::check_game(&cell));
        self.document.refuse(label, problems)?;
        Ok(Resolved {
            group_weights: input.group_weights(),
            data: game_config.file.clone().zip(input.file_sha256.clone()),
            judge_is_implied: config.judge.is_none(),
            game: self.game(config, input, label)?,
            temperatures,
            schedule,
            method: self.with_plugins(|plugins| config.method.read(plugins), label)?,
            device,
            evaluation_every,
            target_distance: config.evaluation.target_distance,
            checkpoint_every,
            checkpoint_keep: config.checkpoint.keep.map_or_else(CheckpointKeep::default, CheckpointKeep),
        })
    }

    fn game(&mut self, config: &ExperimentConfig, input: GameInput, label: &str) -> Result<GamePlan, ExperimentError> {
        let judge = match (&config.judge, &input.preferences) {
            (None, Some(_)) => self.plugins.table(&input)?,
            (Some(judge), None) => self.plugins.judge("judge", judge)?,
            (Some(_), Some(_)) => {
                let problem = "given beside the game's own matrix; remove one of the two (a combinator over a matrix wraps \
                               the plugin \"table\", which takes the matrix as its parameters)";
                return Err(self.invalid(label, "judge", problem));
            }
            (None, None) => {
                let problem = "missing; expected the game's matrix as preferences = [[...]], or a [judge]";
                return Err(self.invalid(label, "game.preferences", problem));
            }
        };
        Ok(GamePlan {
            prompt: input.prompt,
            metadata: serde_json::Value::Object(serde_json::Map::new()),
            actions: input.actions,
            judge,
            reference_leader: input.reference_leader,
            reference_follower: input.reference_follower,
            comparison_counts: input.comparison_counts,
        })
    }

    fn device(&mut self, config: &ExperimentConfig, label: &str) -> Result<slhf_plan::DevicePlan, ExperimentError> {
        let device = self
            .ask_device(|ask| resolve::device(&config.device, ask))
            .map_err(|problem| self.invalid(label, "device.name", &problem))?;
        self.note_absent_device(&device.name);
        Ok(device)
    }
}
