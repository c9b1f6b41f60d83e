//! What lab and worker say to each other over the worker's pipes.
//!
//! Order: both sides send [`Hello`] first; the lab sends one [`Assignment`]; the worker answers with [`Report`]s in the
//! order in which they became true (what it runs on, the games' verdicts, then rows, checkpoints and run ends), and
//! [`FromWorker::Done`] or [`FromWorker::Fatal`] last. Rows up to step s are always sent before the checkpoint of step s.
//! The lab may send [`ToWorker::Stop`] at any time: the worker finishes its step, writes a checkpoint, ends its runs as
//! interrupted and is done.

use serde::{Deserialize, Serialize};

use crate::{
    AsJson, DeviceModelPlan, Environment, FrozenWork, ModelAnswer, ModelCall, ModelPrecision, ModelReply, ModelRequest,
    ModelUsage, Report, ResumePoint, SamplerCall, SamplerOutcome, ServedModelPlan, Work,
};

/// Raised whenever a message changes.
pub const PROTOCOL_VERSION: u32 = 13;

/// The first message of both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`] of the sender.
    pub protocol: u32,
    /// Hash of the sources a worker is built from; lab and worker must agree.
    pub build_id: String,
}

/// Lab → worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToWorker {
    /// First.
    Hello(Hello),
    /// The one piece of work.
    Assignment(Assignment),
    /// Only tell what is there: answered with `Environment`, then `Done`.
    Probe {
        /// `auto`, `cpu`, `cuda`, `cuda:1`.
        device: String,
        /// Threads of libtorch.
        threads: u32,
    },
    /// Be one of several processes that compute a run, from another worker.
    Rank(Box<RankAssignment>),
    /// The reply to [`FromWorker::AskModel`] of the same number.
    ModelReply {
        /// Which question.
        question: u64,
        /// What came of it.
        reply: ModelReply,
    },
    /// The reply to [`FromWorker::AskSampler`] of the same number.
    SamplerReply {
        /// Which question.
        question: u64,
        /// What came of it.
        outcome: SamplerOutcome,
    },
    /// Something else to do with a model: answered with `ModelAnswer`s, then `Done`.
    Model(Box<ModelRequest>),
    /// Answer what plugins in the lab ask of models, until the input ends: an [`ToWorker::AskModel`] each.
    AnswerModels {
        /// `auto`, `cpu`, `cuda`, `cuda:1`.
        device: String,
        /// Threads of libtorch.
        threads: u32,
        /// `None`: f32 on a CPU, bf16 on CUDA.
        precision: Option<ModelPrecision>,
    },
    /// After [`ToWorker::AnswerModels`]: answered with [`FromWorker::ModelReply`], one after the other.
    AskModel {
        /// Who is asked.
        model: AsJson<DeviceModelPlan>,
        /// What.
        call: ModelCall,
    },
    /// Stop after this step, with a checkpoint.
    Stop,
}

/// One piece of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// A [`Work`] as the record keeps it, to the byte.
    pub frozen: String,
    /// Which of its runs are wanted: a resume leaves out those that are finished.
    pub runs: Vec<i64>,
    /// Absolute folder for checkpoints.
    pub checkpoint_directory: String,
    /// Where runs go on from; a run that is not named starts at step 0.
    pub resume: Vec<ResumePoint>,
    /// In the place of the plan's device, of the same kind: where one lab computes on several.
    pub device: Option<String>,
    /// In the place of the plan's processes.
    pub processes: Option<u32>,
    /// Who starts the processes of the other ranks.
    pub ranks: RanksFrom,
}

/// Who starts the processes of a run's ranks 1 and up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RanksFrom {
    /// The worker itself, on its own machine.
    #[default]
    Worker,
    /// torchrun or srun, anywhere: the lab calls them, see [`FromWorker::CallRanks`].
    Elsewhere,
}

impl Assignment {
    /// The text as it is, and the runs that its plan was narrowed to.
    #[must_use]
    pub fn new(plan: &FrozenWork, checkpoint_directory: String, resume: Vec<ResumePoint>) -> Self {
        let runs = plan.work().runs().into_iter().map(|(run, _)| run).collect();
        Self {
            frozen: plan.text().to_owned(),
            runs,
            checkpoint_directory,
            resume,
            device: None,
            processes: None,
            ranks: RanksFrom::Worker,
        }
    }

    /// The plan, without the runs that are not wanted, on the device that is to compute it.
    ///
    /// # Errors
    /// The text is no plan that this version knows.
    pub fn work(&self) -> Result<Work, serde_json::Error> {
        let work = Work::from_json(&self.frozen)?.with_runs(|run| self.runs.contains(&run));
        let work = match &self.device {
            Some(name) => work.on_device(name),
            None => work,
        };
        Ok(match self.processes {
            Some(processes) => work.by_processes(processes),
            None => work,
        })
    }
}

/// Which of several processes that compute a run one is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankAssignment {
    /// What the whole of them compute.
    pub assignment: Assignment,
    /// From 1: rank 0 is the worker that the lab speaks to.
    pub rank: u32,
    /// Processes in all.
    pub size: u32,
    /// Where they meet.
    pub host: String,
    /// Likewise.
    pub port: u16,
    /// The address by which the others reach this one.
    pub own_host: String,
}

/// What a rank that comes from elsewhere says first to the worker that is rank 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankGreeting {
    /// From 1.
    pub rank: u32,
    /// The machine that it is on.
    pub host: String,
}

/// Worker → lab.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromWorker {
    /// First.
    Hello(Hello),
    /// What the worker runs on: the answer to [`ToWorker::Probe`], and the first one to [`ToWorker::Model`].
    Environment(Environment),
    /// A log line of the worker or of a plugin.
    Log(LogLine),
    /// How far the group is, in steps; for progress bars, not recorded.
    Progress {
        /// Steps done by the group's runs, summed.
        run_steps_done: u64,
    },
    /// Something of a run, for the record.
    Report(Report),
    /// A plugin asks a served model: answered with [`ToWorker::ModelReply`], in any order.
    AskModel {
        /// Told apart by this number.
        question: u64,
        /// Who is asked.
        model: ServedModelPlan,
        /// What.
        call: ModelCall,
    },
    /// The run asks its sampler: answered with [`ToWorker::SamplerReply`].
    AskSampler {
        /// Told apart by this number.
        question: u64,
        /// The sampler's server and model.
        model: ServedModelPlan,
        /// What.
        call: SamplerCall,
    },
    /// An answer to [`ToWorker::Model`].
    ModelAnswer(ModelAnswer),
    /// The reply to [`ToWorker::AskModel`].
    ModelReply {
        /// What came of it.
        reply: ModelReply,
        /// What it took.
        usage: ModelUsage,
    },
    /// The worker waits at this port of its machine for ranks that others started, each with a [`RankGreeting`].
    CallRanks {
        /// TCP.
        port: u16,
    },
    /// Everything was said.
    Done,
    /// One of the processes that compute the run is gone, which says nothing of the run: it goes on from its last checkpoint.
    Lost(String),
    /// The worker cannot go on; the whole error chain in one sentence.
    Fatal(String),
}

/// Severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogLevel {
    /// Finest.
    Debug,
    /// Normal.
    Info,
    /// Something to look at.
    Warn,
    /// Something went wrong.
    Error,
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Severity.
    pub level: LogLevel,
    /// `worker`, or the plugin's name.
    pub source: String,
    /// Text without control characters.
    pub text: String,
}
