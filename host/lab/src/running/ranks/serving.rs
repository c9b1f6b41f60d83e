//! A rank other than 0: it starts a worker for each run that rank 0 computes, and passes on what both say.

use std::io::{self, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use slhf_plan::{FromWorker, Hello, PROTOCOL_VERSION, RankAssignment, RankGreeting, ToWorker, read_frame, write_frame};
use slhf_record::ProcessIdentity;
use slhf_words::chain;

use super::gathering::{greeting, line};
use super::placement::Placement;
use crate::failure::{Failure, INTERRUPTED};
use crate::running::worker::{BUILD_ID, Worker, WorkerProgram};

/// How long rank 0 may take to be there.
const COMING_TIMEOUT: Duration = Duration::from_mins(30);

/// Until rank 0's lab has ended.
pub(super) fn serve(placement: &Placement) -> Result<(), Failure> {
    let program = WorkerProgram::find().map_err(Failure::failed)?;
    leave_signals_to_the_first();
    let (host, port) = (placement.host.as_str(), placement.port);
    let stream = connected((host, port), COMING_TIMEOUT)?;
    let lost = |error: io::Error| Failure::failed(format!("--ranks: rank 0 at {host}:{port} is lost: {error}"));
    writeln!(&stream, "{}", greeting(placement)).map_err(lost)?;
    let mut told = BufReader::new(&stream);
    while let Some(line) = line(&mut told) {
        if let Some(why) = line.strip_prefix("no: ") {
            return Err(Failure::failed(format!("--ranks: {host}:{port} refused: {}", crate::output::visible(why))));
        }
        let Ok(port) = line.parse() else {
            return Err(Failure::failed(format!("--ranks: {host}:{port} is no lab of this version")));
        };
        // What goes wrong with a run rank 0 says; this one waits for the next.
        if let Err(error) = compute(placement, port, &program) {
            tracing::warn!("rank {}: {error}", placement.rank);
        }
    }
    Ok(())
}

/// The first signal is rank 0's, who has it too and stops with a checkpoint; a second one ends this process.
fn leave_signals_to_the_first() {
    static WAS_ASKED: AtomicBool = AtomicBool::new(false);
    let handled = ctrlc::set_handler(|| {
        if WAS_ASKED.swap(true, Ordering::SeqCst) {
            leave();
        }
    });
    if let Err(error) = handled {
        tracing::warn!("Ctrl-C cannot be handled: {error}");
    }
}

#[expect(clippy::exit, reason = "the second signal: its worker dies with it")]
fn leave() {
    std::process::exit(i32::from(INTERRUPTED));
}

fn connected((host, port): (&str, u16), timeout: Duration) -> Result<TcpStream, Failure> {
    let began = Instant::now();
    loop {
        match TcpStream::connect((host, port)) {
            Ok(stream) => {
                // What is sent are small messages that somebody waits for.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) if began.elapsed() > timeout => {
                return Err(Failure::failed(format!(
                    "--ranks: nobody listens at {host}:{port} within {} min: {error}; is rank 0 there?",
                    timeout.as_secs() / 60
                )));
            }
            Err(_) => thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// One run: rank 0's worker waits at `port`.
fn compute(placement: &Placement, port: u16, program: &WorkerProgram) -> Result<(), String> {
    let stream = TcpStream::connect((placement.host.as_str(), port)).map_err(|error| error.to_string())?;
    let _ = stream.set_nodelay(true);
    let greeting = RankGreeting { rank: placement.rank, host: ProcessIdentity::current().host };
    let mut output = &stream;
    write_frame(&mut output, &greeting).map_err(|error| chain(&error))?;
    let ended = pass_on(&stream, program);
    if let Err(why) = &ended {
        // Should rank 0 be gone, nobody is left to be told.
        let _ = write_frame(&mut output, &FromWorker::Fatal(why.clone()));
    }
    ended
}

/// Starts a worker with what rank 0 says, and passes on what it says, until one of both ends.
fn pass_on(stream: &TcpStream, program: &WorkerProgram) -> Result<(), String> {
    let told = assignment(stream)?;
    let work = told.assignment.work().map_err(|error| format!("the plan cannot be read: {error}"))?;
    let keys = work.key_variables();
    let threads = work.device().1;
    let mut worker = Worker::start(&program.without(keys), threads, |_| {}).map_err(|error| chain(&error))?;
    worker.send(&ToWorker::Rank(Box::new(told))).map_err(|error| chain(&error))?;
    let control = worker.control();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut input = stream;
            // Rank 0 says nothing more: this ends with it.
            let _ = io::copy(&mut input, &mut io::sink());
            control.kill();
        });
        let ended = relay(&mut worker, stream);
        let death = worker.end();
        let _ = stream.shutdown(std::net::Shutdown::Read);
        if ended { Ok(()) } else { Err(format!("the worker ended: {death}")) }
    })
}

/// What rank 0's worker tells a rank, with the address by which others reach this one.
fn assignment(stream: &TcpStream) -> Result<RankAssignment, String> {
    let mut input = stream;
    let mut next = || read_frame::<ToWorker>(&mut input).map_err(|error| chain(&error));
    let own = Hello { protocol: PROTOCOL_VERSION, build_id: BUILD_ID.to_owned() };
    match next()? {
        Some(ToWorker::Hello(hello)) if hello == own => {}
        _ => return Err("slhf-lab was built from other sources here than at rank 0: build both anew".to_owned()),
    }
    let Some(ToWorker::Rank(mut told)) = next()? else { return Err("rank 0 ended".to_owned()) };
    let address = stream.local_addr().map_err(|error| error.to_string())?;
    told.own_host = address.ip().to_canonical().to_string();
    Ok(*told)
}

/// Passes on what the worker says; whether it said that it is done.
fn relay(worker: &mut Worker, stream: &TcpStream) -> bool {
    let mut output = stream;
    while let Ok(Some(message)) = worker.receive() {
        let is_last = matches!(message, FromWorker::Done | FromWorker::Fatal(_) | FromWorker::Lost(_));
        if write_frame(&mut output, &message).is_err() || is_last {
            return true;
        }
    }
    false
}
