//! What the two processes say to each other.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use slhf_data::pairs::Pairs;
use slhf_data::preferences::{PreferenceReading, Preferences};
use slhf_data::prompts::Prompts;
use slhf_data::responses::Responses;
use slhf_data::{AnnotatedPair, AnnotationTables, DataError, PlannedReading, PreferenceData};
use slhf_judge::{DescribeRequest, Description};
use slhf_plan::{AsJson, Message, ModelShape};

use crate::room::{Overflow, PromptSizes, RoomQuestion};

/// The hidden verb.
pub const VERB: &str = "__foreign";

/// Who gave up, where it was no library.
pub(crate) const OWN: &str = "the reader";

/// What the process is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Question {
    /// To check and compile a component, and to ask it what it is; answered by [`DescriptionAnswer`].
    Description {
        /// The component.
        path: PathBuf,
        /// All that is to be known.
        request: AsJson<DescribeRequest>,
    },
    /// To read preference data; answered by [`DataAnswer`].
    Data {
        /// The file.
        path: PathBuf,
        /// As messages name it.
        shown: String,
    },
    /// To read annotations; answered by [`AnnotationsAnswer`].
    Annotations {
        /// The file.
        path: PathBuf,
    },
    /// To read the auxiliary tables of annotations; answered by [`TablesAnswer`].
    Tables {
        /// Their folder.
        folder: PathBuf,
    },
    /// To read a file of prompts; answered by [`PromptsAnswer`].
    Prompts {
        /// The file.
        path: PathBuf,
        /// How it is read.
        reading: PlannedReading,
    },
    /// To read a file of responses; answered by [`ResponsesAnswer`].
    Responses {
        /// The file.
        path: PathBuf,
    },
    /// To read a file of pairs of responses; answered by [`PairsAnswer`].
    Pairs {
        /// The file.
        path: PathBuf,
    },
    /// To read a file of preferences; answered by [`PreferencesAnswer`].
    Preferences {
        /// The file.
        path: PathBuf,
        /// How it is read.
        reading: PreferenceReading,
    },
    /// To read conversations that end with a response; answered by [`ConversationsAnswer`].
    Conversations {
        /// The file.
        path: PathBuf,
    },
    /// To try a model's files; answered by [`ModelAnswer`].
    Model(ModelQuestion),
    /// What shape a model has; answered by [`ShapeAnswer`].
    Shape {
        /// A Hugging Face folder or a GGUF file.
        path: PathBuf,
    },
    /// How long prompts are; answered by [`SizesAnswer`].
    Sizes(Box<RoomQuestion>),
    /// Whether prompts and answers fit a model; answered by [`RoomAnswer`].
    Room(Box<RoomQuestion>),
    /// Whether closed sets of answers are ones in a model's tokens; answered by [`Tried`].
    AnswerSets(Box<RoomQuestion>),
}

/// A model with everything that its chat template will be given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ModelQuestion {
    /// A Hugging Face folder or a GGUF file.
    pub(crate) path: PathBuf,
    /// See [`slhf_plan::ModelPlan::thinking`].
    pub(crate) thinking: bool,
    /// In the place of the model's own.
    pub(crate) chat_template: Option<String>,
    /// The folder of an adapter over it.
    pub(crate) adapter: Option<PathBuf>,
    /// Files of prompts that are rendered, how they are read, and the system message before each.
    pub(crate) prompts: Vec<PromptFile>,
    /// Files of preferences that are rendered, likewise.
    pub(crate) pairs: Vec<PairFile>,
    /// Conversations that are rendered.
    pub(crate) conversations: Vec<Vec<Message>>,
    /// What it is wanted for.
    pub(crate) purpose: ModelPurpose,
}

/// What a model is wanted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ModelPurpose {
    /// Whatever it can.
    #[default]
    Any,
    /// To be a policy: a reward model cannot.
    Policy,
}

/// A file of prompts, how it is read, and the system message before each.
pub(crate) type PromptFile = (PathBuf, PlannedReading, String);

/// A file of preferences, how it is read, and the system message before each prompt.
pub(crate) type PairFile = (PathBuf, PreferenceReading, String);

/// Preferences, or what is wrong with their file.
pub type PreferencesAnswer = Result<Preferences, DataError>;
/// Prompts, or what is wrong with their file.
pub type PromptsAnswer = Result<Prompts, DataError>;
/// Responses, or what is wrong with their file.
pub type ResponsesAnswer = Result<Responses, DataError>;
/// Pairs of responses, or what is wrong with their file.
pub type PairsAnswer = Result<Pairs, DataError>;
/// Conversations, or what is wrong with their file.
pub type ConversationsAnswer = Result<Vec<Vec<Message>>, DataError>;
/// What the model is read without, or why it is not, in sentences that name the file.
pub(crate) type ModelAnswer = Result<Vec<String>, String>;
/// Nothing, or why not in a sentence that names the file.
pub type Tried = Result<(), String>;
/// A model's shape, or why it is not known in a sentence that names the file.
pub type ShapeAnswer = Result<ModelShape, String>;
/// How long prompts are, if any can be rendered; or why that is not known.
pub type SizesAnswer = Result<Option<PromptSizes>, String>;
/// What does not fit, if anything; or why that is not known.
pub type RoomAnswer = Result<Option<Overflow>, String>;

/// What a plugin says of itself, or why that is not known in a sentence that names the file.
pub(crate) type DescriptionAnswer = Result<AsJson<Description>, String>;

/// The data with the SHA-256 of the file.
pub type DataAnswer = Result<(PreferenceData, String), DataError>;
/// Annotations of pairs, or what is wrong with their file.
pub type AnnotationsAnswer = Result<Vec<AnnotatedPair>, DataError>;
/// The tables of a folder, or what is wrong with one.
pub type TablesAnswer = Result<AnnotationTables, DataError>;

impl Question {
    /// The file in question.
    pub(crate) fn file(&self) -> String {
        let file: &Path = match self {
            Self::Description { path, .. }
            | Self::Prompts { path, .. }
            | Self::Preferences { path, .. }
            | Self::Responses { path }
            | Self::Pairs { path }
            | Self::Conversations { path }
            | Self::Data { path, .. }
            | Self::Annotations { path }
            | Self::Shape { path } => path,
            Self::Tables { folder } => folder,
            Self::Model(question) => &question.path,
            Self::Room(question) | Self::Sizes(question) | Self::AnswerSets(question) => question.file(),
        };
        file.display().to_string()
    }
}

/// What is written to standard output.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    /// The next bytes of an answer.
    Piece(Vec<u8>),
    /// The answer is whole.
    End,
    /// Somebody panicked: who, and the last words.
    GaveUp { who: String, words: String },
}
