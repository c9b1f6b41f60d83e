//! Events: TensorBoard's `Event`, `Summary` and the messages of its hyper-parameters.
//!
//! Fields by number: `Event` wall time 1, step 2, version 3, summary 5; `Summary.Value` tag 1, tensor 8, metadata 9; `SummaryMetadata`
//! plugin 1 (name 1, content 2), data class 4; `TensorProto` type 1, shape 2, doubles 6; `HParamsPluginData` start 3, end 4.

use super::message::Message;

/// A value of a hyper-parameter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Parameter {
    Number(f64),
    Text(String),
    Boolean(bool),
}

/// What TensorBoard calls a session: one run.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) name: String,
    /// Seconds since 1970.
    pub(super) start: f64,
    pub(super) parameters: Vec<(String, Parameter)>,
}

const DATA_CLASS_SCALAR: u64 = 1;
const DT_FLOAT: u64 = 1;
const DT_DOUBLE: u64 = 2;
const STATUS_SUCCESS: u64 = 1;
const STATUS_FAILURE: u64 = 2;

/// The first event of a file.
pub(super) fn file_version(wall: f64) -> Vec<u8> {
    Message::default().double(1, wall).bytes(3, b"brain.Event:2").into_bytes()
}

/// One value of one metric, in 64 bits.
pub(super) fn scalar(wall: f64, step: i64, tag: &str, value: f64) -> Vec<u8> {
    let plugin = Message::default().bytes(1, b"scalars");
    let metadata = Message::default().message(1, &plugin).varint(4, DATA_CLASS_SCALAR);
    let tensor = Message::default().varint(1, DT_DOUBLE).message(2, &Message::default());
    let tensor = tensor.bytes(6, &value.to_le_bytes());
    event(wall, step, &Message::default().bytes(1, tag.as_bytes()).message(9, &metadata).message(8, &tensor))
}

/// The hyper-parameters of a run.
pub(super) fn hyper_parameters(session: &Session) -> Vec<u8> {
    let mut start = Message::default();
    for (name, parameter) in &session.parameters {
        let value = match parameter {
            Parameter::Number(value) => Message::default().double(2, *value),
            Parameter::Text(text) => Message::default().bytes(3, text.as_bytes()),
            Parameter::Boolean(value) => Message::default().varint(4, u64::from(*value)),
        };
        start = start.message(1, &Message::default().bytes(1, name.as_bytes()).message(2, &value));
    }
    let start = start.bytes(4, session.name.as_bytes()).double(5, session.start);
    of_session(session.start, "_hparams_/session_start_info", &Message::default().message(3, &start))
}

/// That a run ended, and how.
pub(super) fn session_end(wall: f64, was_good: bool) -> Vec<u8> {
    let status = if was_good { STATUS_SUCCESS } else { STATUS_FAILURE };
    let end = Message::default().varint(1, status).double(2, wall);
    of_session(wall, "_hparams_/session_end_info", &Message::default().message(4, &end))
}

fn of_session(wall: f64, tag: &str, content: &Message) -> Vec<u8> {
    let plugin = Message::default().bytes(1, b"hparams").message(2, content);
    let metadata = Message::default().message(1, &plugin);
    // An empty tensor: an array of no numbers.
    let shape = Message::default().message(2, &Message::default().varint(1, 0));
    let tensor = Message::default().varint(1, DT_FLOAT).message(2, &shape);
    event(wall, 0, &Message::default().bytes(1, tag.as_bytes()).message(9, &metadata).message(8, &tensor))
}

fn event(wall: f64, step: i64, value: &Message) -> Vec<u8> {
    let summary = Message::default().message(1, value);
    Message::default().double(1, wall).varint(2, step.cast_unsigned()).message(5, &summary).into_bytes()
}
