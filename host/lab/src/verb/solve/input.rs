//! What `solve` is given, as a game with names.

use std::collections::BTreeMap;
use std::path::Path;

use slhf_data::{Counted, GroupWeights};
use slhf_game::{Distribution, FollowerReference, Game, PreferenceMatrix, TemperatureValues, Temperatures};
use slhf_judge::judge_game;
use slhf_plan::GamePlan;

use super::arguments::Arguments;
use crate::failure::Failure;
use crate::granted::check_device;
use crate::granted::{JudgeHost, Place as DevicePlace, Settings};
use slhf_experiment::{self as experiment, GameConfig, GameInput, JudgeConfig, Place, Plugins};

/// A game to solve.
pub(super) struct Input {
    /// As messages name it.
    pub(super) file: String,
    pub(super) names: Vec<String>,
    pub(super) game: Game,
    /// What the matrix was counted from, where it was.
    pub(super) counted: Option<Counted>,
    /// By which groups were mixed, where they were.
    pub(super) weights: Option<GroupWeights>,
    pub(super) notes: Vec<String>,
}

/// Temperatures as a file gives them.
type Given = [Option<f64>; 4];

impl Input {
    pub(super) fn read(arguments: &Arguments) -> Result<Self, Failure> {
        let path = &arguments.game;
        let is_toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
        let (input, given) = if is_toml { from_toml(path, &arguments.device)? } else { from_data(path)? };
        let temperatures = temperatures(arguments, given)?;
        let file = path.display().to_string();
        let input = weighted(input, &arguments.weights).map_err(|problem| named(&file, &problem))?;
        Self::of(file, input, temperatures)
    }

    fn of(file: String, input: GameInput, temperatures: Temperatures) -> Result<Self, Failure> {
        let rows = input.preferences.unwrap_or_default();
        let matrix = PreferenceMatrix::from_rows(&rows).map_err(Failure::bad_input)?;
        let leader = Distribution::new(&input.reference_leader).map_err(Failure::bad_input)?;
        let follower = FollowerReference::from_rows(&input.reference_follower).map_err(Failure::bad_input)?;
        let game = Game::new(matrix, leader, follower, temperatures).map_err(Failure::bad_input)?;
        let names = input.actions.into_iter().map(|action| action.name).collect();
        Ok(Self { file, names, game, counted: input.counted, weights: input.weights, notes: input.notes })
    }
}

/// What is wrong with a file's game.
pub(super) fn named(file: &str, problem: &str) -> Failure {
    Failure::bad_input(format!("{file}: {problem}"))
}

/// With the weights of the command line, if there are any.
fn weighted(input: GameInput, weights: &[(String, f64)]) -> Result<GameInput, String> {
    let mut by_name = BTreeMap::new();
    for (name, weight) in weights {
        if by_name.insert(name.clone(), *weight).is_some() {
            return Err(format!("--weight names \"{name}\" twice; expected one weight a group"));
        }
    }
    if by_name.is_empty() { Ok(input) } else { input.weighted(&by_name).map_err(|error| error.to_string()) }
}

/// An option beats the file, which beats the default.
fn temperatures(arguments: &Arguments, given: Given) -> Result<Temperatures, Failure> {
    let default = TemperatureValues::default();
    let values = TemperatureValues {
        leader: arguments.tau_leader.or(given[0]).unwrap_or(default.leader),
        follower: arguments.tau_follower.or(given[1]).unwrap_or(default.follower),
        nash: arguments.tau_nash.or(given[2]).unwrap_or(default.nash),
        rlhf: arguments.tau_rlhf.or(given[3]).unwrap_or(default.rlhf),
    };
    Temperatures::new(values).map_err(Failure::bad_input)
}

fn from_data(path: &Path) -> Result<(GameInput, Given), Failure> {
    let file = path.display().to_string();
    let (data, sha256) = experiment::read_data(path, &file).map_err(Failure::bad_input)?;
    let mut input = experiment::from_data(data, Some(sha256));
    of_file(&mut input, &file);
    Ok((input, [None; 4]))
}

/// The notes name the file that they are about.
fn of_file(input: &mut GameInput, file: &str) {
    for note in &mut input.notes {
        *note = format!("{file}: {note}");
    }
}

fn from_toml(path: &Path, device: &str) -> Result<(GameInput, Given), Failure> {
    let document = experiment::game_document(path).map_err(Failure::of_experiment)?;
    let config: &GameConfig = &document.game;
    let given = [config.tau_leader, config.tau_follower, config.tau_nash, config.tau_rlhf];
    let place = Place { file: path, prefix: document.prefix };
    let mut input = experiment::read_game(config, place).map_err(Failure::bad_input)?;
    if let Some(file) = &config.file {
        of_file(&mut input, file);
    }
    match (&document.judge, &input.preferences) {
        (None, Some(_)) => {}
        (Some(judge), None) => input.preferences = Some(ask((path, judge), &input, device)?),
        (Some(_), Some(_)) => {
            return Err(Failure::bad_input(format!(
                "{}: judge: given beside the game's own matrix; remove one of the two",
                path.display()
            )));
        }
        (None, None) => {
            return Err(Failure::bad_input(format!(
                "{}: {}preferences: missing; expected the matrix, or a [judge] to be asked for it",
                path.display(),
                document.prefix
            )));
        }
    }
    Ok((input, given))
}

/// The judge's verdicts on all ordered pairs.
fn ask((path, judge): (&Path, &JudgeConfig), input: &GameInput, device: &str) -> Result<Vec<Vec<f64>>, Failure> {
    check_device(device)?;
    let plan = Plugins::new(path).judge("judge", judge).map_err(Failure::bad_input)?;
    let settings = Settings { place: DevicePlace::usual(device.to_owned()), threads: None, record: None };
    let asked = JudgeHost::granted(settings, &[&plan.plugin])?;
    let preference = asked.host().preference(&plan.plugin).map_err(Failure::bad_input)?;
    let game = GamePlan {
        prompt: input.prompt.clone(),
        metadata: serde_json::Value::Object(serde_json::Map::new()),
        actions: input.actions.clone(),
        judge: plan,
        reference_leader: input.reference_leader.clone(),
        reference_follower: input.reference_follower.clone(),
        comparison_counts: None,
    };
    let verdicts = judge_game(&preference, &game).map_err(Failure::failed)?;
    asked.remark();
    let rows = verdicts.verdicts.chunks(input.actions.len());
    Ok(rows.map(|row| row.iter().map(|verdict| verdict.probability).collect()).collect())
}
