//! Rank 0's lab: the connections of the other ranks, and how they are called to a run.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::placement::Placement;
use crate::running::Signals;

/// How a rank says who it is. Followed by its number and that of all.
const GREETING: &str = "slhf-lab rank";

/// Of a line between labs.
const LINE_BYTES_MAX: u64 = 200;

/// How long whoever connects may take to say who it is.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// How long ranks may take to be there.
const COMING_TIMEOUT: Duration = Duration::from_mins(30);

/// How long a lab that ends waits for ranks that never came.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(20);

/// When the user is told whom the lab waits for.
const TOLD_AFTER: Duration = Duration::from_secs(5);

/// The other ranks, as far as they are there.
#[derive(Clone, Debug)]
pub(crate) struct Gathering {
    size: u32,
    ranks: Arc<Ranks>,
    _farewell: Arc<Farewell>,
}

#[derive(Debug, Default)]
struct Ranks {
    there: Mutex<BTreeMap<u32, TcpStream>>,
    /// Also those that have gone since.
    ever: Mutex<BTreeSet<u32>>,
}

impl Ranks {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, TcpStream>> {
        self.there.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ever(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.ever.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of the lab: a rank that is still on its way would wait for it for long, and learns by its connection that it is over.
#[derive(Debug)]
struct Farewell {
    size: u32,
    ranks: Arc<Ranks>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let began = Instant::now();
        while self.ranks.ever().len() + 1 < self.size as usize && began.elapsed() < FAREWELL_TIMEOUT {
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Gathering {
    /// Listens for the others for the rest of the process, at every address of the machine, as `MASTER_ADDR` may be a name that means its loopback here.
    pub(super) fn start(placement: &Placement) -> Result<Self, String> {
        let (size, port) = (placement.size, placement.port);
        let ranks = Arc::new(Ranks::default());
        if size > 1 {
            let listener = listen(port).map_err(|error| {
                format!("--ranks: port {port} of this machine cannot be listened at: {error}; name another MASTER_PORT to all ranks")
            })?;
            let ranks = Arc::clone(&ranks);
            let accept = move || {
                for stream in listener.incoming().flatten() {
                    let ranks = Arc::clone(&ranks);
                    thread::spawn(move || hold(&stream, size, &ranks));
                }
            };
            thread::spawn(accept);
        }
        let farewell = Farewell { size, ranks: Arc::clone(&ranks) };
        Ok(Self { size, ranks, _farewell: Arc::new(farewell) })
    }

    /// Ranks in all, this one included.
    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// Tells all ranks where the worker of a run waits for them, once all are there. An error is a sentence.
    pub(crate) fn call(&self, port: u16, signals: &Signals) -> Result<(), String> {
        let began = Instant::now();
        let mut is_told = false;
        loop {
            let absent = self.absent();
            if absent.is_empty() {
                return self.tell(port);
            }
            let names: Vec<String> = absent.iter().map(ToString::to_string).collect();
            if signals.stop_asked() {
                return Err(format!("it was to stop while it waited for rank {}", names.join(", ")));
            }
            if began.elapsed() > COMING_TIMEOUT {
                return Err(format!(
                    "rank {} did not come within {} min",
                    names.join(", "),
                    COMING_TIMEOUT.as_secs() / 60
                ));
            }
            if !is_told && began.elapsed() > TOLD_AFTER {
                crate::output::say(format!("waiting for rank {} of {}", names.join(", "), self.size));
                is_told = true;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn absent(&self) -> Vec<u32> {
        let ranks = self.ranks.lock();
        (1..self.size).filter(|rank| !ranks.contains_key(rank)).collect()
    }

    fn tell(&self, port: u16) -> Result<(), String> {
        for (rank, mut stream) in self.ranks.lock().iter() {
            let told = writeln!(stream, "{port}");
            told.map_err(|error| format!("rank {rank} is not reached any more: {error}"))?;
        }
        Ok(())
    }
}

/// Both kinds of addresses, where the machine has both.
fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))
}

/// Enters who connects, until the connection ends. Whoever is no rank of this lab is told so, or nothing.
fn hold(stream: &TcpStream, size: u32, ranks: &Ranks) {
    let Ok(own) = stream.try_clone() else { return };
    if own.set_read_timeout(Some(GREETING_TIMEOUT)).is_err() {
        return;
    }
    let mut input = BufReader::new(stream);
    let Some(line) = line(&mut input) else { return };
    let refuse = |why: String| {
        // Somebody who is gone needs no reason.
        let _ = writeln!(&own, "no: {why}");
    };
    let Some((rank, of)) = greeted(&line) else { return };
    if of != size || !(1..size).contains(&rank) {
        return refuse(format!("rank {rank} of {of} came to a lab of {size} ranks"));
    }
    {
        let mut ranks = ranks.lock();
        if ranks.contains_key(&rank) {
            return refuse(format!("rank {rank} is there already"));
        }
        let Ok(kept) = own.try_clone() else { return };
        ranks.insert(rank, kept);
    }
    ranks.ever().insert(rank);
    // It says nothing more: this ends with the connection.
    let _ = own.set_read_timeout(None);
    let _ = io::copy(&mut input, &mut io::sink());
    ranks.lock().remove(&rank);
}

/// What a rank says first.
pub(super) fn greeting(placement: &Placement) -> String {
    format!("{GREETING} {} of {}", placement.rank, placement.size)
}

fn greeted(line: &str) -> Option<(u32, u32)> {
    let (rank, of) = line.strip_prefix(GREETING)?.trim_start().split_once(" of ")?;
    Some((rank.parse().ok()?, of.parse().ok()?))
}

/// The next line, without its end; `None` where there is none, or too long a one.
pub(super) fn line(input: &mut BufReader<&TcpStream>) -> Option<String> {
    let mut line = String::new();
    input.by_ref().take(LINE_BYTES_MAX).read_line(&mut line).ok()?;
    line.strip_suffix('\n').map(str::to_owned)
}
