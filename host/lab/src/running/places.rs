//! How many workers compute at once, and on which devices.

use std::num::NonZeroUsize;
use std::thread;

use clap::Args;
use slhf_plan::{DeviceKind, Work};
use slhf_words::chain;

use super::ranks::{self, Gathering};
use super::worker::WorkerProgram;
use crate::failure::Failure;

/// `--jobs` and `--devices`.
#[derive(Clone, Debug, Args)]
pub(crate) struct PlaceArguments {
    /// Workers at once [default: cores ÷ threads of a worker]
    #[arg(long, value_name = "N", conflicts_with = "devices")]
    jobs: Option<NonZeroUsize>,
    /// Devices to compute on side by side, one worker each: cpu, cuda:N; a device may be named twice [default: the experiment's]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = device)]
    devices: Vec<Device>,
    /// Compute each run with all processes that torchrun or srun started with this command: `RANK` and `WORLD_SIZE` (or `SLURM_PROCID`, `SLURM_NTASKS`),
    /// `MASTER_ADDR` and `MASTER_PORT` say which one this is and where rank 0 is, which alone plans, records and prints
    #[arg(long, conflicts_with_all = ["jobs", "devices"])]
    ranks: bool,
}

impl PlaceArguments {
    /// What they ask for; `None` at a rank other than 0, once rank 0 has ended.
    pub(crate) fn places(&self) -> Result<Option<Places>, Failure> {
        Ok(Some(if self.ranks {
            let Some(gathering) = ranks::join()? else { return Ok(None) };
            Places::Ranks(gathering)
        } else if self.devices.is_empty() {
            Places::Planned(self.jobs)
        } else {
            Places::Devices(self.devices.clone())
        }))
    }
}

/// A device that a worker may be told to compute on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    kind: DeviceKind,
    name: String,
}

/// One entry of `--devices`.
fn device(name: &str) -> Result<Device, String> {
    let Some(kind) = DeviceKind::of(name) else {
        return Err(format!("\"{}\" is no device; expected cpu, cuda or cuda:N", crate::output::visible(name)));
    };
    let name = if name == DeviceKind::Cuda.name() { "cuda:0" } else { name };
    Ok(Device { kind, name: name.to_owned() })
}

/// Where groups are computed.
#[derive(Clone, Debug)]
pub(crate) enum Places {
    /// Each on its plan's device, so many at once; `None`: as many as the cores carry with the threads that the groups ask for.
    Planned(Option<NonZeroUsize>),
    /// One worker a device. A group goes to a device of the kind that it was planned for: kinds give other numbers.
    Devices(Vec<Device>),
    /// One after the other, on its plan's device, by processes that others started.
    Ranks(Gathering),
}

/// Where one thread of the lab has its groups computed, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// On the device of each group's plan.
    Planned,
    /// On this one.
    On(&'a Device),
}

impl<'a> Place<'a> {
    /// Whether a group may be computed here.
    pub(crate) fn takes(self, work: &Work) -> bool {
        match self {
            Self::Planned => true,
            Self::On(device) => DeviceKind::of(work.device().0) == Some(device.kind),
        }
    }

    /// The device in the place of the plan's.
    pub(crate) fn device(self) -> Option<&'a str> {
        match self {
            Self::Planned => None,
            Self::On(device) => Some(&device.name),
        }
    }
}

impl Places {
    /// One entry a worker that may compute at the same time as the others. `processes`: of a run, in the place of its plan's.
    pub(crate) fn each<'a>(&self, works: impl Iterator<Item = &'a Work>, processes: Option<u32>) -> Vec<Place<'_>> {
        match self {
            Self::Planned(jobs) => {
                vec![Place::Planned; jobs.map_or_else(|| default_jobs(works, processes), NonZeroUsize::get)]
            }
            Self::Devices(devices) => devices.iter().map(Place::On).collect(),
            Self::Ranks(_) => vec![Place::Planned],
        }
    }

    /// The ranks that compute each run together, where others started them.
    pub(crate) fn ranks(&self) -> Option<&Gathering> {
        match self {
            Self::Ranks(gathering) => Some(gathering),
            Self::Planned(_) | Self::Devices(_) => None,
        }
    }

    /// `--jobs`, where it was given.
    pub(crate) fn jobs(&self) -> Option<NonZeroUsize> {
        match self {
            Self::Planned(jobs) => *jobs,
            Self::Devices(_) | Self::Ranks(_) => None,
        }
    }

    /// The first device named that may compute a group; `None`: its plan's.
    pub(crate) fn first_for(&self, work: &Work) -> Option<&str> {
        match self {
            Self::Planned(_) | Self::Ranks(_) => None,
            Self::Devices(devices) => devices.iter().map(Place::On).find(|place| place.takes(work))?.device(),
        }
    }

    /// How many the user asked for at once; one where nothing was said.
    pub(crate) fn asked_for(&self) -> usize {
        match self {
            Self::Planned(jobs) => jobs.map_or(1, NonZeroUsize::get),
            Self::Devices(devices) => devices.len(),
            Self::Ranks(_) => 1,
        }
    }

    /// What `auto` is in an experiment: with `--devices` the kind of the first of them.
    pub(crate) fn auto_device(&self) -> Option<&'static str> {
        match self {
            Self::Planned(_) | Self::Ranks(_) => None,
            Self::Devices(devices) => devices.first().map(|device| match device.kind {
                DeviceKind::Cpu => "cpu",
                DeviceKind::Cuda => "cuda:0",
            }),
        }
    }

    /// That every group has a device of its kind, and that the devices are there.
    pub(crate) fn check<'a>(
        &self,
        works: impl Iterator<Item = &'a Work>,
        program: &WorkerProgram,
    ) -> Result<(), Failure> {
        let Self::Devices(devices) = self else { return Ok(()) };
        for work in works {
            if !devices.iter().any(|device| Place::On(device).takes(work)) {
                let (planned, _) = work.device();
                let names: Vec<&str> = devices.iter().map(|device| device.name.as_str()).collect();
                return Err(Failure::bad_input(format!(
                    "--devices {}: an experiment is planned on {planned}, and no device of that kind is named; name one, or set \
                     device.name in the experiment",
                    names.join(",")
                )));
            }
        }
        let mut asked: Vec<&Device> = Vec::new();
        for device in devices.iter().filter(|device| device.kind == DeviceKind::Cuda) {
            if asked.contains(&device) {
                continue;
            }
            asked.push(device);
            program
                .probe(&device.name, 1)
                .map_err(|error| Failure::bad_input(format!("--devices: {}", chain(&error))))?;
        }
        Ok(())
    }
}

/// Cores ÷ threads: more workers would only take turns. A GPU computes one group after the other.
fn default_jobs<'a>(works: impl Iterator<Item = &'a Work>, processes: Option<u32>) -> usize {
    let cores = cores(std::env::var("SLURM_CPUS_ON_NODE").ok().as_deref());
    let (mut threads_max, mut on_cpu) = (1, true);
    for work in works {
        let (name, threads) = work.device();
        threads_max = threads_max.max(threads as usize * processes.unwrap_or(work.processes()) as usize);
        on_cpu &= DeviceKind::of(name) == Some(DeviceKind::Cpu);
    }
    if on_cpu { (cores / threads_max).max(1) } else { 1 }
}

/// Those that this process may use; within a job of Slurm no more than the job has, which not every cluster enforces.
fn cores(of_job: Option<&str>) -> usize {
    let all = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    of_job.and_then(|cores| cores.parse().ok()).map_or(all, |cores: NonZeroUsize| cores.get().min(all))
}

#[cfg(test)]
mod tests {
    use slhf_plan::{CheckpointKeep, ComputePath, DevicePlan, GroupPlan, Precision};

    use super::*;

    #[test]
    fn devices_are_named_as_plans_name_them() {
        let check = |name: &str, expected: Result<(DeviceKind, &str), &str>| {
            let found = device(name);
            let found = found.as_ref().map(|device| (device.kind, device.name.as_str()));
            assert_eq!(found.map_err(String::as_str), expected, "{name}");
        };
        check("cpu", Ok((DeviceKind::Cpu, "cpu")));
        check("cuda", Ok((DeviceKind::Cuda, "cuda:0")));
        check("cuda:3", Ok((DeviceKind::Cuda, "cuda:3")));
        check("auto", Err("\"auto\" is no device; expected cpu, cuda or cuda:N"));
        check("", Err("\"\" is no device; expected cpu, cuda or cuda:N"));
    }

    #[test]
    fn a_job_of_slurm_uses_no_more_cores_than_it_has() {
        let all = cores(None);
        assert_eq!(cores(Some("1")), 1);
        for nothing in ["0", "", "two", "100000"] {
            assert_eq!(cores(Some(nothing)), all, "{nothing}");
        }
    }

    #[test]
    fn a_group_goes_to_a_device_of_its_kind() {
        let device_plan =
            DevicePlan { name: "cpu".into(), threads: 1, path: ComputePath::Scalar, precision: Precision::F64 };
        let work = Work::Game(GroupPlan {
            device: device_plan,
            evaluation_every: 1,
            target_distance: None,
            checkpoint_every: 1,
            checkpoint_keep: CheckpointKeep::default(),
            games: Vec::new(),
            runs: Vec::new(),
        });
        let on = |name: &str| device(name).expect("a device");
        let check = |name: &str, work: &Work, expected: bool| {
            assert_eq!(Place::On(&on(name)).takes(work), expected, "{name}");
        };
        check("cpu", &work, true);
        check("cuda:1", &work, false);
        let work = work.on_device("cuda:0");
        check("cpu", &work, false);
        check("cuda:1", &work, true);
        assert!(Place::Planned.takes(&work));
    }
}
