//! Plugins of an experiment: found, read, hashed, asked what they are, and checked against what the experiment wants
//! of them, before anything starts.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value as Json;
use slhf_judge::{DEPTH_MAX, Description, Host, World};
use slhf_plan::settings::{FindPlugins, PluginUse};
use slhf_plan::{
    DeviceModelPlan, GrantNamed, GrantedModel, JudgePlan, Limits, ModelGrant, OnFailure, PluginPlan, PluginReference,
};
use toml::Table;

use crate::absent::Absent;
use crate::config::JudgeConfig;
use crate::error::ExperimentError;
use crate::finding::FindRun;
use crate::game::GameInput;
use crate::granting;
use crate::json::json_of;
use crate::shapes::Shapes;
use crate::shipped::shipped_plugins;
use crate::table;

/// Asks plugins what they are, each once.
#[expect(missing_debug_implementations, reason = "holds a host of plugins")]
pub struct Plugins<'a> {
    experiment: &'a Path,
    host: OnceLock<Host>,
    known: HashMap<PathBuf, Description>,
    find_run: Option<&'a FindRun<'a>>,
    absent: Absent,
    /// Shapes of granted models that are not here.
    shapes: Shapes,
    notes: Vec<String>,
}

/// What an experiment says of one plugin.
struct AskedFor<'a> {
    key: String,
    plugin: &'a str,
    parameters: Option<&'a Table>,
    limits: Option<Limits>,
    upstream: Option<&'a PluginReference>,
    models: Option<&'a BTreeMap<String, ModelGrant>>,
}

impl<'a> AskedFor<'a> {
    fn named(key: String, named: &'a PluginReference) -> Self {
        Self {
            key,
            plugin: &named.plugin,
            parameters: named.parameters.as_ref(),
            limits: named.limits,
            upstream: named.upstream.as_deref(),
            models: named.models.as_ref(),
        }
    }

    fn of(key: &str, config: &'a JudgeConfig) -> Self {
        Self {
            key: key.to_owned(),
            plugin: &config.plugin,
            parameters: config.parameters.as_ref(),
            limits: config.limits,
            upstream: config.upstream.as_deref(),
            models: config.models.as_ref(),
        }
    }
}

impl<'a> Plugins<'a> {
    /// For the plugins of one experiment, which paths are relative to.
    pub fn new(experiment: &'a Path) -> Self {
        Self {
            experiment,
            host: OnceLock::new(),
            known: HashMap::new(),
            find_run: None,
            absent: Absent::Refused,
            shapes: Shapes::default(),
            notes: Vec::new(),
        }
    }

    /// Whose granted models may be described where they are not here.
    #[must_use]
    pub(crate) fn with_absent(self, absent: Absent) -> Self {
        Self { absent, ..self }
    }

    /// The shapes of granted models that are not here, and what the reader should know of them.
    pub(crate) fn into_described(self) -> (Shapes, Vec<String>) {
        (self.shapes, self.notes)
    }

    /// Whose grants may name a run that trained the model.
    #[must_use]
    pub fn with_runs(self, find_run: &'a FindRun<'a>) -> Self {
        Self { find_run: Some(find_run), ..self }
    }

    /// A judge that an experiment names at `key`.
    pub fn judge(&mut self, key: &str, config: &JudgeConfig) -> Result<JudgePlan, ExperimentError> {
        let plugin = self.plan(&AskedFor::of(key, config), World::Preference, 1)?;
        Ok(JudgePlan { plugin, on_failure: config.on_failure.unwrap_or_default() })
    }

    /// A measure that an experiment names at `key`.
    pub(crate) fn measure(&mut self, key: &str, config: &JudgeConfig) -> Result<PluginPlan, ExperimentError> {
        self.plan(&AskedFor::of(key, config), World::Reward, 1)
    }

    /// The judge of a game whose matrix is given: the shipped plugin `table`.
    pub(crate) fn table(&mut self, game: &GameInput) -> Result<JudgePlan, ExperimentError> {
        let name = "table";
        let path = self.locate("game", name)?;
        let description = self.describe("game", name, &path, &Limits::default())?;
        // `table` knows an action by its response's text.
        let texts: Vec<&str> = game.actions.iter().map(|action| action.text.as_str()).collect();
        let plugin = PluginPlan {
            name: name.to_owned(),
            path: path.display().to_string(),
            sha256: description.inspection.sha256,
            parameters: table::parameters(&texts, game.preferences.as_deref().unwrap_or_default()),
            limits: Limits::default(),
            upstream: None,
            models: BTreeMap::new(),
        };
        Ok(JudgePlan { plugin, on_failure: OnFailure::Abort })
    }

    fn plan(&mut self, asked: &AskedFor<'_>, world: World, depth: usize) -> Result<PluginPlan, ExperimentError> {
        let invalid = |key: &str, problem: String| {
            Err(ExperimentError::invalid(self.experiment, format!("{}.{key}", asked.key), problem))
        };
        if depth > DEPTH_MAX {
            return invalid("upstream", format!("more than {DEPTH_MAX} plugins wrap each other"));
        }
        let limits = asked.limits.unwrap_or_default();
        let path = self.locate(&asked.key, asked.plugin)?;
        let description = self.describe(&asked.key, asked.plugin, &path, &limits)?;
        if description.world != world {
            let found = description.world;
            return invalid(
                "plugin",
                format!("\"{}\" is a {found} plugin; a {world} plugin is needed here", asked.plugin),
            );
        }
        let parameters = asked.parameters.map_or_else(|| Json::Object(serde_json::Map::new()), json_of);
        if let Err(problem) = description.manifest.check_parameters(&parameters) {
            return invalid("parameters", format!("{problem} (plugin \"{}\")", asked.plugin));
        }
        let upstream = match (description.inspection.upstream_worlds().as_slice(), asked.upstream) {
            ([], None) => None,
            ([], Some(upstream)) => {
                let problem = format!("\"{}\" wraps no other plugin; remove \"{}\"", asked.plugin, upstream.plugin);
                return invalid("upstream", problem);
            }
            ([wrapped, ..], None) => {
                let problem = format!("missing; \"{}\" wraps a {wrapped} plugin: name one", asked.plugin);
                return invalid("upstream", problem);
            }
            ([wrapped, ..], Some(upstream)) => {
                let inner = AskedFor::named(format!("{}.upstream", asked.key), upstream);
                Some(Box::new(self.plan(&inner, *wrapped, depth + 1)?))
            }
        };
        let models = self.grants(asked, &description)?;
        Ok(PluginPlan {
            name: asked.plugin.to_owned(),
            path: path.display().to_string(),
            sha256: description.inspection.sha256,
            parameters,
            limits,
            upstream,
            models,
        })
    }

    /// The models that a plugin may ask; whether it asks any, and these, is looked at first.
    fn grants(
        &mut self,
        asked: &AskedFor<'_>,
        description: &Description,
    ) -> Result<BTreeMap<String, GrantedModel>, ExperimentError> {
        let asks = description.inspection.asks_models();
        let needed: Vec<&str> = description.manifest.models().collect();
        let given = asked.models.into_iter().flatten();
        let invalid = |key: String, problem: String| Err(ExperimentError::invalid(self.experiment, key, problem));
        let key = |name: &str| format!("{}.models.{name}", asked.key);
        match (asks, given.clone().next()) {
            (false, Some((name, _))) => {
                return invalid(key(name), format!("\"{}\" asks no model; remove the table", asked.plugin));
            }
            (true, None) => {
                let name = needed.first().copied().unwrap_or("NAME");
                let problem = format!(
                    "missing; \"{}\" asks a model: add a table [{}] with path (a folder or file), or with server and model",
                    asked.plugin,
                    key(name)
                );
                return invalid(format!("{}.models", asked.key), problem);
            }
            _ => {}
        }
        if let Some(name) = needed.iter().find(|name| !asked.models.is_some_and(|given| given.contains_key(**name))) {
            return invalid(key(name), format!("missing; \"{}\" asks a model of this name", asked.plugin));
        }
        let mut grants = BTreeMap::new();
        for (name, grant) in given {
            let base = self.experiment.parent().unwrap_or(Path::new(""));
            let model = match granting::find(grant, base, self.find_run) {
                Ok(model) => model,
                Err((setting, problem)) => match self.described(grant) {
                    Some(model) => model,
                    None => return invalid(format!("{}.{setting}", key(name)), problem),
                },
            };
            grants.insert(name.clone(), model);
        }
        Ok(grants)
    }

    /// What stands for a granted model that is not here, or for a server whose key is not: its plan can be looked at.
    fn described(&mut self, grant: &ModelGrant) -> Option<GrantedModel> {
        if self.absent == Absent::Refused {
            return None;
        }
        let name = match (grant.named().ok()?, &grant.shape) {
            (GrantNamed::Served(plan), _) if self.absent == Absent::Priced => {
                self.note(format!("the server {} cannot be asked from here yet", plan.server));
                return Some(GrantedModel::Served(plan));
            }
            (GrantNamed::Device(name), Some(shape)) => {
                self.shapes.describe(&name, shape.clone());
                name
            }
            (GrantNamed::Run(run), Some(shape)) => {
                let name = format!("run {run}");
                self.shapes.describe(&name, shape.clone());
                name
            }
            _ => return None,
        };
        self.note(format!("the model \"{name}\" is not here: its shape stands for it"));
        Some(GrantedModel::Device(DeviceModelPlan { path: name.clone(), name, sha256: String::new(), adapter: None }))
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn describe(
        &mut self,
        key: &str,
        name: &str,
        path: &Path,
        limits: &Limits,
    ) -> Result<Description, ExperimentError> {
        if let Some(known) = self.known.get(path) {
            return Ok(known.clone());
        }
        let fail = |cause| ExperimentError::Plugin {
            file: self.experiment.to_path_buf(),
            key: format!("{key}.plugin"),
            cause: Box::new(cause),
        };
        let host = if let Some(host) = self.host.get() {
            host
        } else {
            let host = Host::new(slhf_foreign::host_settings()).map_err(fail)?;
            self.host.get_or_init(|| host)
        };
        let description = host.describe(name, path, limits).map_err(fail)?;
        self.known.insert(path.to_path_buf(), description.clone());
        Ok(description)
    }

    /// A path where it looks like one (relative to the experiment), else a shipped plugin.
    fn locate(&self, key: &str, name: &str) -> Result<PathBuf, ExperimentError> {
        let missing = |problem: String| ExperimentError::invalid(self.experiment, format!("{key}.plugin"), problem);
        let is_path =
            name.contains(['/', '\\']) || Path::new(name).extension().is_some_and(|extension| extension == "wasm");
        if is_path {
            let path = self.experiment.parent().unwrap_or(Path::new("")).join(name);
            return path.canonicalize().map_err(|error| {
                missing(format!("\"{name}\" cannot be read ({error}); build it with `slhf-lab plugin build`"))
            });
        }
        let folder = shipped_plugins();
        let path = folder.join(format!("{name}.wasm"));
        if path.is_file() {
            return Ok(path);
        }
        let shipped = shipped_names(&folder);
        Err(missing(match slhf_words::nearest(name, shipped.iter().map(String::as_str)) {
            _ if shipped.is_empty() => format!(
                "\"{name}\" is not there: no plugin was built in {}; build the shipped ones with `cargo xtask guests`",
                folder.display()
            ),
            Some(near) => format!("there is no shipped plugin \"{name}\"; did you mean \"{near}\"?"),
            None => format!(
                "there is no shipped plugin \"{name}\"; there are {}, or give the path of a .wasm file",
                slhf_words::known(name, shipped.iter().map(String::as_str))
            ),
        }))
    }
}

/// Finds the plugins that a `[method]` names, and keeps why one cannot be used.
pub(crate) struct MethodPlugins<'p, 'a> {
    pub(crate) plugins: &'p mut Plugins<'a>,
    pub(crate) errors: Vec<ExperimentError>,
}

impl FindPlugins for MethodPlugins<'_, '_> {
    fn find(&mut self, key: &str, named: &PluginReference, needed: PluginUse) -> Option<PluginPlan> {
        let world = match needed {
            PluginUse::Reward => World::Reward,
            PluginUse::ScoreBaseline => World::Baseline,
        };
        let found = self.plugins.plan(&AskedFor::named(key.to_owned(), named), world, 1);
        found.map_err(|error| self.errors.push(error)).ok()
    }
}

fn shipped_names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".wasm")?.to_owned())).collect();
    names.sort_unstable();
    names
}
