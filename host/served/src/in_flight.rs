//! Requests in flight at one server, whoever sent them.

use std::sync::{Condvar, Mutex, PoisonError};

/// Counts them; shared by all who ask the server.
#[derive(Debug, Default)]
pub struct InFlight {
    count: Mutex<usize>,
    ended: Condvar,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Request<'a>(&'a InFlight);

impl InFlight {
    /// Waits until fewer than `limit` are in flight, and is one more.
    pub(crate) fn enter(&self, limit: usize) -> Request<'_> {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let mut count = self.ended.wait_while(count, |count| *count >= limit).unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        Request(self)
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        *self.0.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        // Whoever waits may have a lower limit than this one: all look.
        self.0.ended.notify_all();
    }
}
