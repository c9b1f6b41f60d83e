//! Handing runs over: the folder of a launch, and its tasks to a queue.

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
    /// Runs that one process computes: a batch group, or what is left of it.
    pub(crate) groups: Vec<Vec<i64>>,
    /// What the groups are planned to do: whatever components it names go along.
    pub(crate) works: Vec<&'a Work>,
}

/// Makes the launch. Its tasks are in nobody's queue yet.
pub(crate) fn launch(record: &mut Record, launch: Launch<'_>) -> Result<LaunchFolder, Failure> {
    let id = record.identity().map_err(Failure::failed)?;
    let id =
        id.ok_or_else(|| Failure::failed("the record has no id, so that nothing of it can be computed elsewhere"))?;
    running::keep_plugins(record, &launch.works)?;
    let tasks = cut(launch.groups, launch.tasks_max);
    let runs: Vec<i64> = tasks.iter().flatten().copied().collect();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let launched = Launched {
        launcher: launch.launcher,
        record: id,
        experiment: launch.experiment.to_owned(),
        launched_at_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        settings: launch.settings,
        tasks,
    };
    let folder = LaunchFolder::create(&LaunchFolder::root_of(record.path()), launched).map_err(Failure::failed)?;
    record.slice_to(&runs, &folder.record()).map_err(Failure::failed)?;
    folder.mark_ready().map_err(Failure::failed)?;
    Ok(folder)
}

/// Groups shared out over tasks in their order, so that each has about as many as the others.
fn cut(groups: Vec<Vec<i64>>, tasks_max: usize) -> Vec<Vec<i64>> {
    let (many, tasks) = (groups.len(), tasks_max.clamp(1, groups.len().max(1)));
    let mut cut = vec![Vec::new(); tasks];
    for (index, runs) in groups.into_iter().enumerate() {
        cut[index * tasks / many.max(1)].extend(runs);
    }
    cut.retain(|runs| !runs.is_empty());
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_shared_out_evenly_and_stay_whole() {
        let check = |groups: &[&[i64]], tasks_max: usize, expected: &[&[i64]]| {
            let groups = groups.iter().map(|runs| runs.to_vec()).collect();
            assert_eq!(cut(groups, tasks_max), expected);
        };
        check(&[&[1, 2], &[3], &[4], &[5, 6], &[7]], 2, &[&[1, 2, 3, 4], &[5, 6, 7]]);
        check(&[&[1, 2], &[3]], 10, &[&[1, 2], &[3]]);
        check(&[&[1], &[2], &[3]], 1, &[&[1, 2, 3]]);
        check(&[], 4, &[]);
    }
}
