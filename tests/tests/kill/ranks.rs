//! `--ranks`: labs that torchrun or srun would have started, each with its place in the environment. Rank 0 records what one process computes.

use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use slhf_tests::{Found, Lab, disturbed_language_model, is_gone, language_lab, send};

use crate::watched::{numbers, statuses, wait_for_rows};

/// What torchrun and srun set.
struct Started<'a> {
    lab: &'a Lab,
    size: u32,
    port: u16,
}

impl<'a> Started<'a> {
    fn new(lab: &'a Lab, size: u32) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self { lab, size, port: free.local_addr().expect("bound").port() }
    }

    /// Rank `rank`, with the same arguments as all.
    fn rank(&self, rank: u32, arguments: &[&str]) -> Child {
        let mut command = self.lab.command(arguments);
        let place =
            [("RANK", rank.to_string()), ("WORLD_SIZE", self.size.to_string()), ("MASTER_PORT", self.port.to_string())];
        let _ = command.env("MASTER_ADDR", "localhost").envs(place);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    }
}

/// How a process ended, which it does.
fn code(child: &mut Child) -> Option<i32> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("asked") {
            return status.code();
        }
        if began.elapsed() > Duration::from_mins(2) {
            child.kill().expect("killed");
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn of_two_runs() -> String {
    format!("seeds = [1, 2]\n{}", disturbed_language_model(4, 2).trim_start())
}

/// Two runs, one after the other, by three processes that nobody but the environment brings together, in any order.
#[test]
fn ranks_that_others_started_compute_the_bits_of_one_process() {
    let alone = language_lab(&of_two_runs());
    let _ = alone.run(&["run", "tiny.toml"]).success();
    let lab = language_lab(&of_two_runs());
    let started = Started::new(&lab, 3);
    let arguments = ["run", "tiny.toml", "--ranks"];
    let mut ranks: Vec<Child> = [2, 0, 1].map(|rank| started.rank(rank, &arguments)).into();
    let codes: Vec<Option<i32>> = ranks.iter_mut().map(code).collect();
    assert_eq!(codes, [Some(0); 3]);
    let found = |lab: &Lab| Found::read(lab, &lab.path("lab.db")).expect("readable");
    assert_eq!(found(&alone).difference(&found(&lab)), None);
    let sql = "SELECT count(*) FROM metrics WHERE key = 'timing/all_reduce'";
    assert!(lab.run(&["query", sql, "--format", "csv"]).success().contains("\n8\n"));
}

/// The run is interrupted, the other ranks end with rank 0, and another number of processes goes on to the same bits.
#[test]
fn a_rank_that_others_started_and_that_dies_interrupts_its_run() {
    let whole = language_lab(&disturbed_language_model(30, 4));
    let _ = whole.run(&["run", "tiny.toml"]).success();
    let lab = language_lab(&disturbed_language_model(30, 4));
    let started = Started::new(&lab, 3);
    let arguments = ["run", "tiny.toml", "--ranks"];
    let mut ranks: Vec<Child> = (0..3).map(|rank| started.rank(rank, &arguments)).collect();
    wait_for_rows(&lab, 60);
    send("KILL", ranks[2].id());
    assert_eq!(code(&mut ranks[0]), Some(1));
    assert_eq!(code(&mut ranks[1]), Some(0));
    let (status, reason) = statuses(&lab)[0].clone();
    assert_eq!(status, "interrupted", "{reason}");
    assert!(reason.starts_with("rank 2 on ") && reason.contains(" ended: "), "{reason}");
    for rank in &ranks {
        assert!(is_gone(rank.id()));
    }
    let started = Started::new(&lab, 2);
    let mut ranks: Vec<Child> = (0..2).map(|rank| started.rank(rank, &["resume", "--ranks"])).collect();
    assert_eq!(ranks.iter_mut().map(code).collect::<Vec<_>>(), [Some(0); 2]);
    assert_eq!(numbers(&lab), numbers(&whole));
}

/// All get the signal, as torchrun and srun pass it on: the run ends after its step, with a checkpoint, and nobody ends before.
#[test]
fn a_signal_to_all_ranks_ends_the_run_with_a_checkpoint() {
    let lab = language_lab(&disturbed_language_model(2000, 1000));
    let started = Started::new(&lab, 2);
    let arguments = ["run", "tiny.toml", "--ranks"];
    let mut ranks: Vec<Child> = (0..2).map(|rank| started.rank(rank, &arguments)).collect();
    wait_for_rows(&lab, 60);
    for rank in ranks.iter().rev() {
        send("TERM", rank.id());
    }
    assert_eq!(ranks.iter_mut().map(code).collect::<Vec<_>>(), [Some(130), Some(0)]);
    let (status, reason) = statuses(&lab)[0].clone();
    assert_eq!(status, "interrupted", "{reason}");
    assert!(reason.contains("stopped on request, with a checkpoint"), "{reason}");
}

#[test]
fn what_is_no_rank_is_refused() {
    let lab = language_lab(&disturbed_language_model(4, 2));
    let outcome = lab.run(&["run", "tiny.toml", "--ranks"]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    assert!(outcome.stderr.contains("--ranks: neither RANK and WORLD_SIZE"), "{outcome}");
    let outcome = lab.run(&["run", "tiny.toml", "--ranks", "--jobs", "2"]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    // One of a group of another size.
    let (two, three) = (Started::new(&lab, 2), Started::new(&lab, 3));
    let mut first = two.rank(0, &["run", "tiny.toml", "--ranks"]);
    let stray = Started { port: two.port, ..three };
    assert_eq!(code(&mut stray.rank(2, &["run", "tiny.toml", "--ranks"])), Some(1));
    let mut second = two.rank(1, &["run", "tiny.toml", "--ranks"]);
    assert_eq!((code(&mut first), code(&mut second)), (Some(0), Some(0)));
    // Rank 0 is refused its experiment before the other is there, which does not wait for ever.
    let two = Started::new(&lab, 2);
    let mut first = two.rank(0, &["run", "none.toml", "--ranks"]);
    std::thread::sleep(Duration::from_secs(1));
    let mut second = two.rank(1, &["run", "none.toml", "--ranks"]);
    assert_eq!((code(&mut first), code(&mut second)), (Some(2), Some(0)));
}
