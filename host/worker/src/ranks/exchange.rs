//! A group of ranks that exchange messages: what c10d sends as tensors.

use std::cell::Cell;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use slhf_plan::{FrameError, decode, encode};
use slhf_torch_shim::{ProcessGroup, Rank, ShimError};
use tch::Tensor;

/// Between two orders rank 0 may ask a judge for hours; should it be gone, its connections are closed, and nobody waits.
pub(super) const BETWEEN_ORDERS: Duration = Duration::from_hours(24 * 30);

/// Why ranks cannot go on together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    #[error(transparent)]
    Group(#[from] ShimError),
    #[error("a message between ranks cannot be read")]
    Message(#[from] FrameError),
}

/// This process's place in the group.
#[derive(Debug)]
pub(super) struct Exchange {
    group: ProcessGroup,
    /// How long the others may take for their share of an order.
    timeout: Duration,
    /// Of sending tensors.
    sending: Cell<Duration>,
}

impl Exchange {
    pub(super) fn new(group: ProcessGroup, timeout: Duration) -> Self {
        Self { group, timeout, sending: Cell::default() }
    }

    pub(super) fn rank(&self) -> Rank {
        self.group.rank()
    }

    /// Rank 0's message, at every rank.
    pub(super) fn told_by_first<T: Serialize + DeserializeOwned>(
        &self,
        message: Option<T>,
    ) -> Result<T, ExchangeError> {
        self.broadcast(message, self.timeout)
    }

    /// Rank 0's next message, whenever it comes.
    pub(super) fn order<T: Serialize + DeserializeOwned>(&self) -> Result<T, ExchangeError> {
        self.broadcast(None, BETWEEN_ORDERS)
    }

    fn broadcast<T: Serialize + DeserializeOwned>(
        &self,
        message: Option<T>,
        timeout: Duration,
    ) -> Result<T, ExchangeError> {
        let bytes = message.as_ref().map(encode).transpose()?;
        let bytes = self.group.broadcast_bytes(bytes.as_deref(), 0, timeout)?;
        match message {
            Some(own) => Ok(own),
            None => Ok(decode(&bytes)?),
        }
    }

    /// Every rank's message, in the order of ranks.
    pub(super) fn gather<T: Serialize + DeserializeOwned>(&self, message: &T) -> Result<Vec<T>, ExchangeError> {
        let all = self.group.all_gather_bytes(&encode(message)?, self.timeout)?;
        Ok(all.iter().map(|bytes| decode(bytes)).collect::<Result<_, _>>()?)
    }

    /// Every rank's tensor, in the order of ranks.
    pub(super) fn tensors(&self, tensor: &Tensor) -> Result<Vec<Tensor>, ExchangeError> {
        Ok(self.group.all_gather(tensor, self.timeout)?)
    }

    /// The sum of every rank's tensor, in its place.
    pub(super) fn add(&self, tensor: &mut Tensor) -> Result<(), ExchangeError> {
        Ok(self.group.all_reduce(tensor, self.timeout)?)
    }

    /// What rank `root` has in the tensor, in that of every rank.
    pub(super) fn share(&self, tensor: &mut Tensor, root: u32) -> Result<(), ExchangeError> {
        Ok(self.group.broadcast(tensor, root, self.timeout)?)
    }

    /// Counts time that went into sending and adding gradients.
    pub(super) fn sent_in(&self, time: Duration) {
        self.sending.set(self.sending.get() + time);
    }

    /// Since it was asked last.
    pub(super) fn take_sending(&self) -> Duration {
        self.sending.take()
    }
}
