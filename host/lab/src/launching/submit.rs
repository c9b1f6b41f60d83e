//! Handing runs over: the folder of a launch, and its tasks to a queue.

use std::num::NonZeroUsize;
use std::time::{SystemTime, UNIX_EPOCH};

use slhf_launch::{LaunchFolder, Launched, LauncherKind, TaskSettings};
use slhf_plan::Work;
use slhf_record::Record;

use crate::failure::Failure;
use crate::running;

/// Runs to be computed elsewhere.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) experiment: &'a str,
    pub(crate) launcher: LauncherKind,
    pub(crate) settings: TaskSettings,
    /// Into so many tasks, at most.
    pub(crate) tasks_max: usize,
    /// What is left of batch groups: the numbers of the runs, and what was planned.
    pub(crate) groups: Vec<(Vec<i64>, &'a Work)>,
}

/// Makes the launch. Its tasks are in nobody's queue yet.
pub(crate) fn launch(record: &mut Record, launch: Launch<'_>) -> Result<LaunchFolder, Failure> {
    let id = record.identity().map_err(Failure::failed)?;
    let id =
        id.ok_or_else(|| Failure::failed("the record has no id, so that nothing of it can be computed elsewhere"))?;
    let works: Vec<&Work> = launch.groups.iter().map(|(_, work)| *work).collect();
    running::keep_plugins(record, &works)?;
    let groups = launch.groups.into_iter().map(|(runs, work)| (runs, parting(work))).collect();
    let tasks = cut(groups, launch.tasks_max);
    let runs: Vec<i64> = tasks.iter().flatten().copied().collect();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let launched = Launched {
        launcher: launch.launcher,
        record: id,
        experiment: launch.experiment.to_owned(),
        launched_at_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        settings: TaskSettings { jobs: jobs_of_task(launch.launcher), ..launch.settings },
        tasks,
    };
    let folder = LaunchFolder::create(&LaunchFolder::root_of(record.path()), launched).map_err(Failure::failed)?;
    record.slice_to(&runs, &folder.record()).map_err(Failure::failed)?;
    folder.mark_ready().map_err(Failure::failed)?;
    Ok(folder)
}

/// Tasks here share the machine, and are as many at once as it carries; one of a cluster has cores of its own.
fn jobs_of_task(launcher: LauncherKind) -> Option<NonZeroUsize> {
    match launcher {
        LauncherKind::Local => Some(NonZeroUsize::MIN),
        LauncherKind::Slurm => None,
    }
}

/// Whether a batch group may be computed in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parting {
    /// Its runs come out the same alone as in their group.
    Cut,
    /// A model that its judge asks would be asked again by every part.
    Whole,
}

fn parting(work: &Work) -> Parting {
    let mut open = work.plugins();
    let mut asks = false;
    while let Some(plugin) = open.pop() {
        asks |= !plugin.models.is_empty();
        open.extend(plugin.upstream.as_deref());
    }
    if matches!(work, Work::Game(_)) && !asks { Parting::Cut } else { Parting::Whole }
}

/// Groups shared out over tasks in their order, so that each has about as many as the others. Where there are fewer groups than tasks those
/// that may be are cut.
fn cut(groups: Vec<(Vec<i64>, Parting)>, tasks_max: usize) -> Vec<Vec<i64>> {
    let runs: usize = groups.iter().map(|(runs, _)| runs.len()).sum();
    let piece = runs.div_ceil(tasks_max.max(1)).max(1);
    let mut pieces: Vec<Vec<i64>> = Vec::new();
    for (runs, parting) in groups {
        match parting {
            Parting::Cut => pieces.extend(runs.chunks(piece).map(<[i64]>::to_vec)),
            Parting::Whole => pieces.push(runs),
        }
    }
    let (many, tasks) = (pieces.len(), tasks_max.clamp(1, pieces.len().max(1)));
    let mut cut = vec![Vec::new(); tasks];
    for (index, runs) in pieces.into_iter().enumerate() {
        cut[index * tasks / many].extend(runs);
    }
    cut.retain(|runs| !runs.is_empty());
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_shared_out_evenly_and_cut_only_where_they_may_be() {
        use Parting::{Cut, Whole};
        let check = |groups: &[(&[i64], Parting)], tasks_max: usize, expected: &[&[i64]]| {
            let groups = groups.iter().map(|(runs, parting)| (runs.to_vec(), *parting)).collect();
            assert_eq!(cut(groups, tasks_max), expected);
        };
        let five: [(&[i64], Parting); 5] =
            [(&[1, 2], Whole), (&[3], Whole), (&[4], Whole), (&[5, 6], Whole), (&[7], Whole)];
        check(&five, 2, &[&[1, 2, 3, 4], &[5, 6, 7]]);
        check(&[(&[1, 2], Whole), (&[3], Whole)], 10, &[&[1, 2], &[3]]);
        check(&[(&[1, 2], Cut), (&[3], Whole)], 10, &[&[1], &[2], &[3]]);
        check(&[(&[1, 2, 3, 4, 5], Cut)], 2, &[&[1, 2, 3], &[4, 5]]);
        check(&[(&[1], Whole), (&[2], Whole), (&[3], Whole)], 1, &[&[1, 2, 3]]);
        check(&[], 4, &[]);
    }
}
