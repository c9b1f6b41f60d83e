//! A Slurm of a test's own: one machine, one node, a key, ports and a folder that nobody else has.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Nothing here takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// In the order in which they start.
const DAEMONS: [&str; 3] = ["munged", "slurmctld", "slurmd"];

/// A running cluster; it ends, with whatever it computes, when this is dropped.
#[derive(Debug)]
pub struct Slurm {
    folder: TempDir,
}

impl Slurm {
    /// Starts one with so many processors.
    ///
    /// # Panics
    /// Where Slurm's and munge's programs are not there, this is not root, or the node does not come up.
    #[must_use]
    pub fn start(processors: u32) -> Self {
        // A path of a socket is short.
        let folder = tempfile::Builder::new().prefix("slurm-").tempdir_in("/tmp").expect("a folder");
        let slurm = Self { folder };
        fs::set_permissions(slurm.path(""), fs::Permissions::from_mode(0o755)).expect("set");
        for name in ["state", "spool", "log"] {
            fs::create_dir(slurm.path(name)).expect("made");
        }
        let mut key = [0; 1024];
        getrandom::fill(&mut key).expect("random bytes");
        fs::write(slurm.path("munge.key"), key).expect("written");
        fs::set_permissions(slurm.path("munge.key"), fs::Permissions::from_mode(0o600)).expect("set");
        fs::write(slurm.configuration(), slurm.settings(processors)).expect("written");
        for daemon in DAEMONS {
            slurm.start_daemon(daemon);
        }
        let start = Instant::now();
        while slurm.said("sinfo", &["-h", "-o", "%T"]).trim() != "idle" {
            assert!(start.elapsed() < PATIENCE, "the node does not come up: {}", slurm.logs());
            thread::sleep(Duration::from_millis(100));
        }
        slurm
    }

    /// Its `slurm.conf`: what `SLURM_CONF` is to name.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.path("slurm.conf")
    }

    /// What a program of Slurm prints.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn said(&self, program: &str, arguments: &[&str]) -> String {
        String::from_utf8_lossy(&self.run(program, arguments).stdout).into_owned()
    }

    /// Kills the controller, and starts another one with the state that it left.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn restart_controller(&self) {
        if let Some(process) = self.process("slurmctld") {
            crate::send("KILL", process);
            assert!(crate::is_gone(process), "slurmctld goes");
        }
        thread::sleep(Duration::from_secs(1));
        self.start_daemon("slurmctld");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        Command::new(program)
            .args(arguments)
            .env("SLURM_CONF", self.configuration())
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{program} cannot be started ({error}): cargo xtask slurm-test --install"))
    }

    fn start_daemon(&self, name: &str) {
        let (configuration, socket, pid) =
            (self.configuration(), self.path("munge.sock"), self.path(&format!("{name}.pid")));
        let path = |path: &Path| path.display().to_string();
        let arguments = match name {
            // The folders above its socket may be everybody's.
            "munged" => vec![
                "--force".to_owned(),
                format!("--key-file={}", path(&self.path("munge.key"))),
                format!("--socket={}", path(&socket)),
                format!("--pid-file={}", path(&pid)),
                format!("--log-file={}", path(&self.path("log/munged.log"))),
                format!("--seed-file={}", path(&self.path("munge.seed"))),
            ],
            _ => vec!["-f".to_owned(), path(&configuration)],
        };
        // It goes into the background: what it inherits must not keep a pipe of the test's open.
        let status = Command::new(name)
            .args(&arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap_or_else(|error| panic!("{name} cannot be started ({error}): cargo xtask slurm-test --install"));
        assert!(status.success(), "{name} did not start: {}", self.logs());
    }

    fn settings(&self, processors: u32) -> String {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
        let host = host.trim().split('.').next().unwrap_or("localhost").to_owned();
        let folder = self.folder.path().display();
        let (controller, daemon) = (free_port(), free_port());
        format!(
            "ClusterName=test\n\
             SlurmctldHost={host}(127.0.0.1)\n\
             SlurmctldPort={controller}\n\
             SlurmdPort={daemon}\n\
             SlurmUser=root\n\
             SlurmdUser=root\n\
             AuthType=auth/munge\n\
             AuthInfo=socket={folder}/munge.sock\n\
             CredType=cred/munge\n\
             SlurmctldPidFile={folder}/slurmctld.pid\n\
             SlurmdPidFile={folder}/slurmd.pid\n\
             SlurmctldLogFile={folder}/log/slurmctld.log\n\
             SlurmdLogFile={folder}/log/slurmd.log\n\
             StateSaveLocation={folder}/state\n\
             SlurmdSpoolDir={folder}/spool\n\
             ProctrackType=proctrack/linuxproc\n\
             TaskPlugin=task/none\n\
             JobAcctGatherType=jobacct_gather/none\n\
             AccountingStorageType=accounting_storage/none\n\
             MpiDefault=none\n\
             SwitchType=switch/none\n\
             SelectType=select/cons_tres\n\
             SelectTypeParameters=CR_CPU\n\
             ReturnToService=2\n\
             SlurmdParameters=config_overrides\n\
             KillWait=5\n\
             NodeName={host} NodeAddr=127.0.0.1 CPUs={processors} RealMemory=1000 State=UNKNOWN\n\
             PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP\n"
        )
    }

    /// Of its pid file, if that process is the daemon still.
    fn process(&self, daemon: &str) -> Option<u32> {
        let process: u32 = fs::read_to_string(self.path(&format!("{daemon}.pid"))).ok()?.trim().parse().ok()?;
        let name = fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
        (name.trim_end() == daemon).then_some(process)
    }

    fn logs(&self) -> String {
        let log = |name: &str| fs::read_to_string(self.path(&format!("log/{name}.log"))).unwrap_or_default();
        let last = |text: String| text.lines().rev().take(8).map(str::to_owned).collect::<Vec<_>>().join("\n");
        DAEMONS.map(|name| format!("{name}: {}", last(log(name)))).join("\n")
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        let start = Instant::now();
        let _ = self.run("scancel", &["--quiet", "-u", "root"]);
        while start.elapsed() < Duration::from_secs(15) && !self.said("squeue", &["-h"]).trim().is_empty() {
            thread::sleep(Duration::from_millis(100));
        }
        for daemon in DAEMONS.iter().rev() {
            if let Some(process) = self.process(daemon) {
                crate::send("TERM", process);
                if !crate::is_gone(process) {
                    crate::send("KILL", process);
                }
            }
        }
    }
}

/// One that nobody listens on now.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}
