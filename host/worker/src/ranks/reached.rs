//! A rank as rank 0 reaches it: a process that it started, or one that came from elsewhere.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use slhf_plan::{FromWorker, RankAssignment, RankGreeting, ToWorker, read_frame, write_frame};

use crate::error::WorkerError;
use crate::greeting;
use crate::outgoing::Outgoing;

/// How long those that were called may take to connect, and each to say who it is: their labs are there already.
const CONNECT_TIMEOUT: Duration = Duration::from_mins(1);

/// See the module.
pub(super) struct Reached {
    rank: u32,
    /// The machine that it is on.
    host: String,
    input: Box<dyn BufRead + Send>,
    way: Way,
}

/// How it is told something, and how its end is known.
enum Way {
    /// Its input stays open as long as this process lives: its end is the second way to notice that.
    Started { child: Child, stdin: ChildStdin },
    /// Likewise of the connection.
    Came { stream: TcpStream },
}

impl Reached {
    /// Starts a process on this machine.
    pub(super) fn start(rank: u32, host: String) -> Result<Self, WorkerError> {
        let cannot = |source| WorkerError::StartRank { rank, source };
        let program = std::env::current_exe().map_err(cannot)?;
        let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(cannot)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(cannot(ErrorKind::BrokenPipe.into()));
        };
        Ok(Self { rank, host, input: Box::new(BufReader::new(stdout)), way: Way::Started { child, stdin } })
    }

    /// Has the lab call those that torchrun or srun started elsewhere: ranks 1 and up, and the address of this machine by which they come.
    pub(super) fn call(size: u32, outgoing: &Outgoing) -> Result<(Vec<Self>, IpAddr), WorkerError> {
        let listen = |port: u16| {
            let both = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port));
            let listener = both.or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))?;
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?.port(), listener))
        };
        let (port, listener) = listen(0).map_err(|source| WorkerError::CallRanks { source })?;
        outgoing.send(&FromWorker::CallRanks { port })?;
        let (mut came, mut address, mut began) = (BTreeMap::new(), IpAddr::V4(Ipv4Addr::LOCALHOST), None);
        while came.len() + 1 < size as usize {
            match listener.accept() {
                Ok((stream, _)) => {
                    // The lab calls once all are there: from then on they may be waited for.
                    began.get_or_insert_with(Instant::now);
                    if let Some(reached) = Self::greeted(stream, size).filter(|one| !came.contains_key(&one.rank)) {
                        if let Way::Came { stream } = &reached.way
                            && let Ok(own) = stream.local_addr()
                        {
                            address = own.ip().to_canonical();
                        }
                        came.insert(reached.rank, reached);
                    }
                }
                Err(_) if began.is_some_and(|began| began.elapsed() > CONNECT_TIMEOUT) => {
                    let absent: Vec<String> =
                        (1..size).filter(|rank| !came.contains_key(rank)).map(|rank| rank.to_string()).collect();
                    return Err(WorkerError::RanksAbsent {
                        ranks: absent.join(", "),
                        seconds: CONNECT_TIMEOUT.as_secs(),
                    });
                }
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        Ok((came.into_values().collect(), address))
    }

    /// Whoever says that it is a rank; anybody else is let go.
    fn greeted(stream: TcpStream, size: u32) -> Option<Self> {
        stream.set_nonblocking(false).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(CONNECT_TIMEOUT)).ok()?;
        let mut input = BufReader::new(stream.try_clone().ok()?);
        let RankGreeting { rank, host } = read_frame(&mut input).ok()??;
        stream.set_read_timeout(None).ok()?;
        let way = Way::Came { stream };
        (1..size).contains(&rank).then(|| Self { rank, host, input: Box::new(input), way })
    }

    /// Which one it is.
    pub(super) fn rank(&self) -> u32 {
        self.rank
    }

    /// The machine that it is on.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Tells it what it is to be.
    pub(super) fn tell(&mut self, told: RankAssignment) -> Result<(), WorkerError> {
        let rank = self.rank;
        let cannot = |source| WorkerError::StartRank { rank, source };
        let (hello, told) = (ToWorker::Hello(greeting::own()), ToWorker::Rank(Box::new(told)));
        match &mut self.way {
            Way::Started { child, stdin } => {
                if write_frame(stdin, &hello).and_then(|()| write_frame(stdin, &told)).is_err() {
                    // It ended before it read: how says more than the pipe.
                    let status = child.wait().map_err(cannot)?;
                    return Err(cannot(std::io::Error::other(format!("it ended at once: {status}"))));
                }
            }
            Way::Came { stream } => {
                let sent = write_frame(stream, &hello).and_then(|()| write_frame(stream, &told));
                sent.map_err(|error| cannot(std::io::Error::other(error)))?;
            }
        }
        Ok(())
    }

    /// What it says next; `None`: it has ended.
    pub(super) fn hear(&mut self) -> Option<FromWorker> {
        read_frame(&mut self.input).ok().flatten()
    }

    /// How it ended, once it says nothing more.
    pub(super) fn how_it_ended(&mut self) -> String {
        match &mut self.way {
            Way::Started { child, .. } => match child.wait() {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            },
            Way::Came { .. } => "its connection is closed".to_owned(),
        }
    }
}
