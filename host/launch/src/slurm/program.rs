//! Programs of Slurm, each with a limit of time: a controller that is down makes them wait.

use std::io::{ErrorKind, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::LaunchError;

/// Characters of a program's complaint that are passed on.
const SAID_MAX: usize = 300;

/// Runs a program with `input` on its standard input. Returns what it printed.
pub(super) fn ask(
    program: &'static str,
    arguments: &[&str],
    input: Option<&str>,
    timeout: Duration,
) -> Result<String, LaunchError> {
    let failed = |problem: String| LaunchError::Queue { program, problem };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => failed("is not on the PATH: this machine submits to no Slurm".to_owned()),
            _ => failed(format!("cannot be started: {error}")),
        })?;
    if let (Some(input), Some(mut pipe)) = (input, child.stdin.take()) {
        // One that ended before it read says why below.
        let _ = pipe.write_all(input.as_bytes());
    }
    let output = reader(child.stdout.take());
    let errors = reader(child.stderr.take());
    let ended = wait(&mut child, timeout).map_err(|error| failed(format!("cannot be waited for: {error}")))?;
    let (output, errors) = (output.join().unwrap_or_default(), errors.join().unwrap_or_default());
    match ended {
        None => Err(failed(format!("said nothing for {} s: is its controller up?", timeout.as_secs()))),
        Some(status) if status.success() => Ok(output),
        Some(status) => {
            let said: String = errors.trim().chars().take(SAID_MAX).collect();
            Err(failed(format!("failed ({status}): {said}")))
        }
    }
}

fn reader(pipe: Option<impl std::io::Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is what there is.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// `None`: it was killed, as its time was up.
fn wait(child: &mut Child, timeout: Duration) -> std::io::Result<Option<std::process::ExitStatus>> {
    let until = Instant::now() + timeout;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_asked_and_its_failures_are_sentences() {
        let long = Duration::from_mins(1);
        assert_eq!(ask("cat", &[], Some("hello"), long).expect("it prints"), "hello");
        let check = |program: &'static str, arguments: &[&str], timeout: Duration, expected: &str| {
            let error = ask(program, arguments, None, timeout).expect_err("it fails").to_string();
            assert_eq!(error, expected);
        };
        check("sh", &["-c", "echo no >&2; exit 3"], long, "sh failed (exit status: 3): no");
        check("sleep", &["60"], Duration::from_millis(10), "sleep said nothing for 0 s: is its controller up?");
        check("no-such-queue", &[], long, "no-such-queue is not on the PATH: this machine submits to no Slurm");
    }
}
