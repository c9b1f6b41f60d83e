//! What cells are resolved with: the document, the plugins, the models and prompts that were looked at, each asked once.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use slhf_plan::settings::Problems;
use slhf_plan::{ModelDevicePlan, ModelPrecision};
use slhf_toolchain::{Bf16Products, bf16_products, has_nvidia_driver};

use crate::absent::Absent;
use crate::error::ExperimentError;
use crate::finding::FindRun;
use crate::models::Found;
use crate::overriding::SetOverride;
use crate::plugins::{MethodPlugins, Plugins};
use crate::reading::Document;
use crate::shapes::Shapes;

/// What a plan needs to know besides the file.
#[expect(missing_debug_implementations, reason = "holds a function")]
pub struct LoadOptions<'a> {
    /// `--set key=value`, in order.
    pub overrides: &'a [SetOverride],
    /// What `[device] name = "auto"` is on this machine for so many threads (`cpu`, `cuda:0`); asked at most once for a
    /// number of threads, and only by an experiment that leaves it open. The answer is frozen into the plan.
    pub auto_device: &'a dyn Fn(u32) -> Result<String, String>,
    /// A file of data in the place of the one that the experiment names.
    pub data: Option<&'a std::path::Path>,
    /// Where the reward model lies that a run of the record has trained, by the run's number or name; asked by experiments that name one.
    pub find_run: &'a FindRun<'a>,
    /// What becomes of models and data that are not here.
    pub absent: Absent,
}

/// Resolves cells; what is asked of a machine is asked once.
pub(crate) struct Planner<'a> {
    pub(crate) document: &'a Document,
    pub(crate) options: &'a LoadOptions<'a>,
    pub(crate) plugins: Plugins<'a>,
    pub(crate) auto: HashMap<u32, String>,
    /// Models by the name that the experiment gives them.
    pub(crate) models: HashMap<String, Found>,
    /// Files of prompts that were read, and how.
    pub(crate) prompts: Vec<(slhf_data::PlannedReading, slhf_data::prompts::Prompts)>,
    /// Files of preferences that were read, and how.
    pub(crate) preferences: Vec<(slhf_data::preferences::PreferenceReading, slhf_data::preferences::Preferences)>,
    /// Shapes of models that are not here.
    pub(crate) shapes: Shapes,
    /// Files of data that are not here.
    pub(crate) absent_data: BTreeSet<String>,
    pub(crate) notes: Vec<String>,
}

impl Planner<'_> {
    pub(crate) fn path(&self) -> PathBuf {
        self.document.path.clone()
    }

    pub(crate) fn invalid(&self, label: &str, key: &str, problem: &str) -> ExperimentError {
        self.document.invalid_in(label, key, problem)
    }

    /// Reads a method with the plugins that it names.
    pub(crate) fn with_plugins<T>(
        &mut self,
        read: impl FnOnce(&mut MethodPlugins<'_, '_>) -> (Option<T>, Problems),
        label: &str,
    ) -> Result<T, ExperimentError> {
        let mut plugins = MethodPlugins { plugins: &mut self.plugins, errors: Vec::new() };
        let (method, problems) = read(&mut plugins);
        ExperimentError::of(plugins.errors)?;
        method.ok_or_else(|| self.refused(label, problems))
    }

    /// The error that some problems make; there is at least one.
    pub(crate) fn refused(&self, label: &str, problems: Problems) -> ExperimentError {
        self.document.refuse(label, problems).err().unwrap_or_else(|| self.invalid(label, "method", "cannot be read"))
    }

    /// Resolves a device with something to ask what `auto` is, which is asked once for a number of threads.
    pub(crate) fn ask_device<T>(
        &mut self,
        resolve: impl FnOnce(&mut dyn FnMut(u32) -> Result<String, String>) -> Result<T, String>,
    ) -> Result<T, String> {
        let (auto, known) = (self.options.auto_device, &mut self.auto);
        let mut ask = |threads: u32| match known.get(&threads) {
            Some(name) => Ok(name.clone()),
            None => auto(threads).inspect(|name| {
                known.insert(threads, name.clone());
            }),
        };
        resolve(&mut ask)
    }

    /// Whether what is not here may be described.
    pub(crate) fn describes(&self) -> bool {
        self.options.absent != Absent::Refused
    }

    /// Keeps in mind that a file of data is not here.
    pub(crate) fn absent(&mut self, named: &str) {
        self.note(&format!("the file \"{named}\" is not here: its shape stands for it"));
        self.absent_data.insert(named.to_owned());
    }

    /// Whether this model or file of data is not here.
    pub(crate) fn lacks(&self, path: &str) -> bool {
        self.shapes.has(path) || self.absent_data.contains(path)
    }

    /// What this machine's own processor and driver mean for a device: of another machine nothing is known.
    pub(crate) fn note_device(&mut self, device: &ModelDevicePlan) {
        self.note_absent_device(&device.name);
        if device.name != "cpu" || device.precision != ModelPrecision::Bf16 {
            return;
        }
        self.note(match bf16_products() {
            Bf16Products::None => {
                "this CPU has neither AMX nor AVX512-BF16: bf16 is 40 to 200 times slower than f32 on it"
            }
            Bf16Products::Avx512 | Bf16Products::Amx => {
                "bf16 on a CPU generates with unpacked weights; docs/benchmarks.md says what was measured"
            }
        });
    }

    /// Says where a plan that is only checked names a device that is not here.
    pub(crate) fn note_absent_device(&mut self, name: &str) {
        let is_checked = self.options.absent == Absent::Described;
        if name.starts_with("cuda") && is_checked && !has_nvidia_driver() {
            self.note(&format!("the device is {name}, and this machine has no NVIDIA driver: `run` refuses it here"));
        }
    }

    /// Something that the reader should know, once.
    pub(crate) fn note(&mut self, note: &str) {
        if !self.notes.iter().any(|known| known == note) {
            self.notes.push(note.to_owned());
        }
    }
}
