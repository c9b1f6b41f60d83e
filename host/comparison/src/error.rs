//! Why policies are not compared.

use slhf_data::DataError;
use slhf_experiment::named_plugin::NamedPluginError;
use slhf_judge::JudgeError;
use slhf_plan::FamilyError;
use slhf_record::RecordError;
use slhf_report::escape::line;

/// What went wrong; [`ComparisonError::is_bad_input`] says whose it is to mend.
#[derive(Debug, thiserror::Error)]
pub enum ComparisonError {
    /// The record cannot be asked, or knows no such experiment.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A file of responses or prompts is bad.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A plugin is not where it was named.
    #[error(transparent)]
    Plugin(#[from] NamedPluginError),
    /// A judge or a metric cannot be used.
    #[error(transparent)]
    Unusable(JudgeError),
    /// A judge or a metric failed while it was asked.
    #[error(transparent)]
    Asked(JudgeError),
    /// The file of a plugin cannot be read.
    #[error("{path} cannot be read: {cause}")]
    PluginFile {
        /// The file.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
    /// Nothing to compare was recorded.
    #[error(
        "'{}' has no finished run of a language model with responses to held-out prompts: `slhf-lab run` its TOML, with \
         data.held_out above 0 (policies that are restricted to closed sets sample none: `slhf-lab compare` shows their gaps)",
        line(experiment)
    )]
    NoResponses {
        /// The experiment, as it was named.
        experiment: String,
    },
    /// A run without recorded responses to held-out prompts.
    #[error(
        "run {run} has no responses to held-out prompts: expected a run of a language model that came to an evaluation, with \
         data.held_out above 0"
    )]
    NoResponsesOfRun {
        /// The run.
        run: i64,
    },
    /// The runs learned from a file of preferences.
    #[error(
        "the runs of '{}' have no training judge: they learned from a file of preferences; name a judge, as in --judge brevity",
        line(experiment)
    )]
    NoTrainingJudge {
        /// The experiment.
        experiment: String,
    },
    /// A run without recorded verdicts.
    #[error(
        "run {run} has no recorded verdicts: expected a run of a language model whose method asks a judge in training, with \
         log_completions_every above 0"
    )]
    NoVerdictsOfRun {
        /// The run.
        run: i64,
    },
    /// The record holds a probability that is none.
    #[error(
        "the record holds a verdict of run {run} with the probability {probability}; expected a number from 0 to 1"
    )]
    RecordedVerdict {
        /// The run.
        run: i64,
        /// What was found.
        probability: f64,
    },
    /// The record says something of the family that no version writes.
    #[error("the record's evaluation.family of '{}' is {cause}", line(experiment))]
    RecordedFamily {
        /// The experiment.
        experiment: String,
        /// What is wrong.
        cause: FamilyError,
    },
    /// A frozen plan cannot be read.
    #[error("the frozen plan of run {run} was written by another version of slhf-lab ({cause})")]
    AnotherVersion {
        /// The run.
        run: i64,
        /// What is wrong.
        cause: serde_json::Error,
    },
    /// Not NAME=FILE.
    #[error("--responses {}: expected NAME=FILE, as in --responses gpt=responses.jsonl", line(given))]
    NoNameOfResponses {
        /// What was given.
        given: String,
    },
    /// A file of responses to other prompts.
    #[error(
        "{} has a response to none of the {prompts} held-out prompts of '{}'; `slhf-lab samples` shows them",
        line(file),
        line(experiment)
    )]
    OtherPrompts {
        /// The file.
        file: String,
        /// Held-out prompts.
        prompts: usize,
        /// The experiment.
        experiment: String,
    },
    /// Two policies of one name.
    #[error(
        "{}: '{}' already has a policy '{}'; give this one another name",
        line(option),
        line(experiment),
        line(name)
    )]
    NameTaken {
        /// Who wants the name.
        option: String,
        /// The experiment.
        experiment: String,
        /// The name.
        name: String,
    },
    /// Too few policies are left.
    #[error(
        "a comparison needs two policies or more, a metric one; {left} of these are left: {}",
        line(&names.join(", "))
    )]
    TooFew {
        /// How many.
        left: usize,
        /// All that there were.
        names: Vec<String>,
    },
    /// The family is about somebody who is not there.
    #[error(
        "evaluation.family of '{}' is \"against:{}\", who is not among those compared; expected one of {}",
        line(experiment),
        line(against),
        line(&slhf_words::known(against, names.iter().map(String::as_str)))
    )]
    FamilyOfNobody {
        /// The experiment.
        experiment: String,
        /// Whom the family names.
        against: String,
        /// Who is compared.
        names: Vec<String>,
    },
    /// All policies are one.
    #[error(
        "{} gave the same responses everywhere: they are one policy, and a comparison needs two",
        line(&names.join(" and "))
    )]
    OnePolicy {
        /// Its names.
        names: Vec<String>,
    },
    /// Two policies have no verdict in common.
    #[error("'{judge}' has no verdict on {} against {}: {}", line(first), line(second), line(why))]
    NoVerdict {
        /// The judge.
        judge: String,
        /// One policy.
        first: String,
        /// The other.
        second: String,
        /// Why.
        why: String,
    },
    /// What a tournament says otherwise.
    #[error(transparent)]
    Tournament(slhf_statistics::TournamentError),
    /// The TOML has no metrics.
    #[error(
        "--measure all: '{}' has no evaluation.measures; name a reward plugin, such as instruction-accuracy",
        line(experiment)
    )]
    NoMetrics {
        /// The experiment.
        experiment: String,
    },
    /// The record says something of the rule to stop at that no version writes.
    #[error(
        "the record's evaluation.stop_at of '{}' is {value}; expected a number above 0 and below 1",
        line(experiment)
    )]
    RecordedStop {
        /// The experiment.
        experiment: String,
        /// What was found.
        value: String,
    },
    /// What a sequential mean says otherwise.
    #[error(transparent)]
    Sequential(slhf_statistics::SequentialError),
    /// What was found cannot be written as JSON.
    #[error("the results cannot be written")]
    Document(#[source] serde_json::Error),
}

impl ComparisonError {
    /// Whether what the user named is at fault, not what failed on the way.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Record(error) => !error.is_failure(),
            Self::Asked(_)
            | Self::RecordedFamily { .. }
            | Self::AnotherVersion { .. }
            | Self::RecordedVerdict { .. }
            | Self::NoVerdict { .. }
            | Self::Tournament(_)
            | Self::RecordedStop { .. }
            | Self::Sequential(_)
            | Self::Document(_) => false,
            _ => true,
        }
    }
}
