//! Processes that compute one run: c10d's group over Gloo.

use std::ffi::{CString, c_void};
use std::io;
use std::net::TcpListener;
use std::os::fd::{IntoRawFd as _, RawFd};
use std::ptr::NonNull;
use std::time::Duration;

use tch::{Device, Kind, Tensor};

use crate::ShimError;
use crate::foreign::{
    checked, slhf_group_all_gather, slhf_group_all_reduce, slhf_group_broadcast, slhf_group_join, slhf_group_leave,
    slhf_meeting_close, slhf_meeting_open,
};
use crate::lists::handles;

/// Where the ranks of a group meet: a key-value store that one of them serves.
#[derive(Debug)]
pub struct Meeting {
    store: NonNull<c_void>,
    port: u16,
}

impl Meeting {
    /// Serves one at an address of this machine, and at no other. Port 0: the system chooses one, see [`Meeting::port`].
    ///
    /// # Errors
    /// The address is not this machine's, the port is taken; libtorch's.
    pub fn serve(host: &str, port: u16, timeout: Duration) -> Result<Self, ShimError> {
        const DOING: &str = "serve a meeting of ranks";
        let socket = |source: io::Error| ShimError::Torch { doing: DOING, reason: format!("{host}:{port}: {source}") };
        // libtorch's own socket would listen on every address of the machine.
        let listener = TcpListener::bind((host, port)).map_err(socket)?;
        let port = listener.local_addr().map_err(socket)?.port();
        Self::open(DOING, (host, port), listener.into_raw_fd(), timeout)
    }

    /// That of another process.
    ///
    /// # Errors
    /// libtorch's: nobody serves one there within `timeout`.
    pub fn find(host: &str, port: u16, timeout: Duration) -> Result<Self, ShimError> {
        Self::open("find the meeting of ranks", (host, port), -1, timeout)
    }

    fn open(
        doing: &'static str,
        (host, port): (&str, u16),
        listener: RawFd,
        timeout: Duration,
    ) -> Result<Self, ShimError> {
        let host = text(doing, host)?;
        let mut found = std::ptr::null_mut();
        checked(doing, |message, capacity| {
            // SAFETY: `host` ends in a zero byte and lives over the call; `listener` is a socket that nobody else owns, or none; `found` and
            // `message` are written within their bounds.
            unsafe {
                slhf_meeting_open(
                    host.as_ptr(),
                    port,
                    listener,
                    milliseconds(timeout),
                    &raw mut found,
                    message,
                    capacity,
                )
            }
        })?;
        let store = NonNull::new(found).ok_or_else(|| nothing(doing))?;
        Ok(Self { store, port })
    }

    /// Where it is served.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        // SAFETY: the pointer is of `slhf_meeting_open`, and nobody uses it after this.
        unsafe { slhf_meeting_close(self.store.as_ptr()) }
    }
}

/// Which of a group's processes this one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    /// From 0.
    pub rank: u32,
    /// Processes of the group.
    pub size: u32,
}

/// A group of processes, each with the same calls in the same order. A rank that is gone ends the others' calls with an error, one that
/// hangs after the call's time-out.
#[derive(Debug)]
pub struct ProcessGroup {
    group: NonNull<c_void>,
    rank: Rank,
}

impl ProcessGroup {
    /// Returns once all ranks are there. `host`: a name of this machine's address that the others reach it by; empty: the machine's own name.
    ///
    /// # Errors
    /// libtorch's: not all ranks come within `timeout`.
    pub fn join(meeting: &Meeting, host: &str, rank: Rank, timeout: Duration) -> Result<Self, ShimError> {
        const DOING: &str = "join the group of ranks";
        let host = text(DOING, host)?;
        let (number, size) = (rank.rank.cast_signed(), rank.size.cast_signed());
        let mut found = std::ptr::null_mut();
        checked(DOING, |message, capacity| {
            // SAFETY: the store lives as long as `meeting`, and the group holds it further; `host` ends in a zero byte; `found` and `message`
            // are written within their bounds.
            unsafe {
                slhf_group_join(
                    meeting.store.as_ptr(),
                    host.as_ptr(),
                    number,
                    size,
                    milliseconds(timeout),
                    &raw mut found,
                    message,
                    capacity,
                )
            }
        })?;
        let group = NonNull::new(found).ok_or_else(|| nothing(DOING))?;
        Ok(Self { group, rank })
    }

    /// Which one this is.
    #[must_use]
    pub fn rank(&self) -> Rank {
        self.rank
    }

    /// What rank `root` has in `tensor` goes into that of every other rank, of the same type and shape, contiguous, on a CPU.
    ///
    /// # Errors
    /// A tensor that is not so; libtorch's: another rank is gone, or did not come within `timeout`.
    pub fn broadcast(&self, tensor: &mut Tensor, root: u32, timeout: Duration) -> Result<(), ShimError> {
        const DOING: &str = "send a tensor to all ranks";
        check(DOING, tensor)?;
        let handle: *const torch_sys::C_tensor = tensor.as_ptr();
        checked(DOING, |message, capacity| {
            // SAFETY: `handle` is of a live tensor that is borrowed for the whole call, which changes what it holds, as every in-place call of
            // tch does; the group lives.
            unsafe {
                slhf_group_broadcast(
                    self.group.as_ptr(),
                    handle,
                    root.cast_signed(),
                    milliseconds(timeout),
                    message,
                    capacity,
                )
            }
        })
    }

    /// Into `tensor` goes the sum of what every rank has in its own, of one type and shape, contiguous, on a CPU: the same bits at every rank, and in
    /// every group of that size.
    ///
    /// # Errors
    /// As [`ProcessGroup::broadcast`].
    pub fn all_reduce(&self, tensor: &mut Tensor, timeout: Duration) -> Result<(), ShimError> {
        const DOING: &str = "add a tensor over all ranks";
        check(DOING, tensor)?;
        let handle: *const torch_sys::C_tensor = tensor.as_ptr();
        checked(DOING, |message, capacity| {
            // SAFETY: `handle` is of a live tensor that is borrowed for the whole call, which changes what it holds, as every in-place call of
            // tch does; the group lives.
            unsafe { slhf_group_all_reduce(self.group.as_ptr(), handle, milliseconds(timeout), message, capacity) }
        })
    }

    /// What every rank has in `tensor`, of one type and shape, in the order of ranks.
    ///
    /// # Errors
    /// As [`ProcessGroup::broadcast`].
    pub fn all_gather(&self, tensor: &Tensor, timeout: Duration) -> Result<Vec<Tensor>, ShimError> {
        const DOING: &str = "gather a tensor of all ranks";
        check(DOING, tensor)?;
        let torch = |source: tch::TchError| ShimError::Torch { doing: DOING, reason: source.to_string() };
        let mut gathered = Vec::new();
        for _ in 0..self.rank.size {
            gathered.push(Tensor::f_empty(tensor.size(), (tensor.kind(), Device::Cpu)).map_err(torch)?);
        }
        let outputs = handles(&gathered.iter().collect::<Vec<_>>());
        let input: *const torch_sys::C_tensor = tensor.as_ptr();
        checked(DOING, |message, capacity| {
            // SAFETY: `input` and the `outputs` are of live tensors of one type and shape, borrowed for the whole call; the group lives.
            unsafe {
                slhf_group_all_gather(
                    self.group.as_ptr(),
                    input,
                    outputs.as_ptr(),
                    outputs.len(),
                    milliseconds(timeout),
                    message,
                    capacity,
                )
            }
        })?;
        Ok(gathered)
    }

    /// Bytes of rank `root`, which alone says `Some`, at every rank.
    ///
    /// # Errors
    /// As [`ProcessGroup::broadcast`].
    pub fn broadcast_bytes(&self, bytes: Option<&[u8]>, root: u32, timeout: Duration) -> Result<Vec<u8>, ShimError> {
        let own = bytes.unwrap_or_default();
        let mut length = Tensor::from_slice(&[own.len() as i64]);
        self.broadcast(&mut length, root, timeout)?;
        let length = length.int64_value(&[0]);
        let mut whole = if bytes.is_some() { Tensor::from_slice(own) } else { zeros(length)? };
        if length > 0 {
            self.broadcast(&mut whole, root, timeout)?;
        }
        bytes_of("read what a rank sent", &whole)
    }

    /// Every rank's bytes, in the order of ranks.
    ///
    /// # Errors
    /// As [`ProcessGroup::broadcast`].
    pub fn all_gather_bytes(&self, bytes: &[u8], timeout: Duration) -> Result<Vec<Vec<u8>>, ShimError> {
        let lengths = self.all_gather(&Tensor::from_slice(&[bytes.len() as i64]), timeout)?;
        let lengths: Vec<i64> = lengths.iter().map(|length| length.int64_value(&[0])).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let mut padded = bytes.to_vec();
        padded.resize(usize::try_from(longest).unwrap_or(0), 0);
        let gathered = if longest > 0 { self.all_gather(&Tensor::from_slice(&padded), timeout)? } else { Vec::new() };
        let mut all = Vec::with_capacity(lengths.len());
        for (index, length) in lengths.iter().enumerate() {
            let mut found = match gathered.get(index) {
                Some(tensor) => bytes_of("read what ranks sent", tensor)?,
                None => Vec::new(),
            };
            found.truncate(usize::try_from(*length).unwrap_or(0));
            all.push(found);
        }
        Ok(all)
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // SAFETY: the pointer is of `slhf_group_join`, and nobody uses it after this.
        unsafe { slhf_group_leave(self.group.as_ptr()) }
    }
}

fn check(doing: &'static str, tensor: &Tensor) -> Result<(), ShimError> {
    let refuse = |found: String, expected: &str| {
        Err(ShimError::Tensor { doing, list: "call", index: 0, found, expected: expected.to_owned() })
    };
    if tensor.device() != Device::Cpu {
        return refuse(format!("on {:?}", tensor.device()), "a tensor on the CPU");
    }
    if !tensor.is_contiguous() {
        return refuse("not contiguous".to_owned(), "a contiguous tensor");
    }
    Ok(())
}

fn zeros(length: i64) -> Result<Tensor, ShimError> {
    Tensor::f_zeros([length.max(0)], (Kind::Uint8, Device::Cpu))
        .map_err(|source| ShimError::Torch { doing: "make room for what a rank sends", reason: source.to_string() })
}

fn bytes_of(doing: &'static str, tensor: &Tensor) -> Result<Vec<u8>, ShimError> {
    Vec::<u8>::try_from(tensor).map_err(|source| ShimError::Torch { doing, reason: source.to_string() })
}

fn milliseconds(timeout: Duration) -> i64 {
    i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX)
}

fn text(doing: &'static str, host: &str) -> Result<CString, ShimError> {
    CString::new(host).map_err(|_| ShimError::Torch { doing, reason: "the host's name has a zero byte".to_owned() })
}

fn nothing(doing: &'static str) -> ShimError {
    ShimError::Torch { doing, reason: "it gave nothing".to_owned() }
}
