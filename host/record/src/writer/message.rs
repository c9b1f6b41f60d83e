//! What callers tell the writer's thread, and what it tells them.

use std::collections::HashMap;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};

use slhf_plan::Report;

use crate::divergence::{DivergencePolicy, StepDivergence};
use crate::error::RecordError;
use crate::model_answers::AnswerKey;

/// What the writer's thread tells its callers.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) failure: Mutex<Option<Arc<RecordError>>>,
    pub(super) diverged: Mutex<HashMap<i64, StepDivergence>>,
}

/// What callers tell the writer's thread.
#[derive(Debug)]
pub(super) enum Command {
    Write(Message),
    /// Commit, then answer.
    Flush(SyncSender<()>),
}

/// What waits for a commit, in order.
#[derive(Debug)]
pub(super) enum Message {
    Report(Report),
    ModelAnswers(Vec<(AnswerKey, Vec<u8>)>),
    Resume { runs: Vec<i64>, policy: DivergencePolicy },
}
