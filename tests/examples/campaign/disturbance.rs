//! What is done to a lab that computes, or to a record at rest.

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disturbance {
    KillLab,
    KillWorker,
    /// Of a verb that reads the record while a lab writes it.
    KillReader,
    Stop,
    StopTwice,
    Terminate,
    Copy,
    Move,
    FullDisk,
}

impl Disturbance {
    pub(crate) const ALL: [Self; 9] = [
        Self::KillLab,
        Self::KillWorker,
        Self::KillReader,
        Self::Stop,
        Self::StopTwice,
        Self::Terminate,
        Self::Copy,
        Self::Move,
        Self::FullDisk,
    ];
}
