//! Attempts at a task: one at a time, and none once it is over.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use slhf_launch::{
    Attempt, AttemptEnd, AttemptState, Begin, LaunchError, LaunchFolder, Launched, Launcher as _, LauncherKind,
    LocalLauncher, QueueState, StopHow, TaskSettings,
};
use slhf_record::ProcessIdentity;

fn launch(root: &Path, tasks: &[&[i64]]) -> LaunchFolder {
    let launched = Launched {
        launcher: LauncherKind::Local,
        record: "a record".to_owned(),
        experiment: "an experiment".to_owned(),
        launched_at_ms: 1,
        settings: TaskSettings::default(),
        tasks: tasks.iter().map(|runs| runs.to_vec()).collect(),
    };
    LaunchFolder::create(root, launched).expect("made")
}

#[track_caller]
fn begun(launch: &LaunchFolder) -> (Attempt, Vec<Attempt>) {
    let begin = launch.task(0).expect("there").begin().expect("begun");
    let found = if let Begin::Compute { attempt, earlier } = begin { Some((attempt, earlier)) } else { None };
    found.expect("it is to be computed")
}

#[test]
fn an_attempt_goes_on_after_those_that_ended_and_not_beside_one_that_lives() {
    let folder = tempfile::tempdir().expect("a folder");
    let launch = launch(folder.path(), &[&[1, 2]]);
    let (first, earlier) = begun(&launch);
    assert!(earlier.is_empty());
    let task = launch.task(0).expect("there");
    // This very process lives.
    assert!(matches!(task.begin().expect("asked"), Begin::Elsewhere(who) if who.contains("process")));
    first.end(&AttemptEnd::Stopped { reason: "its time is up".to_owned() }).expect("said");
    let (second, earlier) = begun(&launch);
    assert!(earlier.iter().any(|attempt| attempt.path() == first.path()), "{earlier:?}");
    let states: Vec<AttemptState> = earlier.iter().map(|attempt| attempt.state(&ProcessIdentity::current())).collect();
    assert!(states.contains(&AttemptState::Ended(AttemptEnd::Stopped { reason: "its time is up".to_owned() })));
    second.end(&AttemptEnd::Done { warnings: Vec::new() }).expect("said");
    assert!(matches!(task.begin().expect("asked"), Begin::Over));
}

#[test]
fn a_task_that_was_taken_back_is_over_and_its_attempt_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let launch = launch(folder.path(), &[&[1]]);
    let (mut attempt, _) = begun(&launch);
    assert!(attempt.give_sign_of_life().expect("written"));
    launch.task(0).expect("there").close().expect("closed");
    assert!(!attempt.give_sign_of_life().expect("written"));
    assert!(matches!(launch.task(0).expect("there").begin().expect("asked"), Begin::Over));
}

#[test]
fn launches_are_found_once_they_are_ready_and_until_they_are_complete() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = folder.path().join("lab.db");
    let found = || {
        let (found, unreadable) = LaunchFolder::unfinished(&record).expect("listed");
        assert!(unreadable.is_empty(), "{unreadable:?}");
        found.len()
    };
    assert_eq!(found(), 0);
    let launch = launch(&LaunchFolder::root_of(&record), &[&[1], &[2, 3]]);
    assert_eq!(found(), 0);
    launch.mark_ready().expect("said");
    assert_eq!(found(), 1);
    let again = LaunchFolder::open(launch.path()).expect("read");
    assert_eq!(again.plan(), launch.plan());
    assert_eq!(again.tasks().map(|task| task.runs().to_vec()).collect::<Vec<_>>(), [vec![1], vec![2, 3]]);
    let error = again.task(2).expect_err("there is none").to_string();
    assert!(error.ends_with("has no task 2: its tasks are 0 to 1"), "{error}");
    launch.mark_complete().expect("said");
    assert_eq!(found(), 0);
}

/// A launch of another version, and one whose file is none, are named and hide no other one.
#[test]
fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = folder.path().join("lab.db");
    let root = LaunchFolder::root_of(&record);
    let launches = [0, 1, 2].map(|_| launch(&root, &[&[1]]));
    for launch in &launches {
        launch.mark_ready().expect("said");
    }
    let file = |index: usize| launches[index].path().join("launch.json");
    let text = std::fs::read_to_string(file(0)).expect("read");
    std::fs::write(file(0), text.replacen("\"format\":1", "\"format\":2", 1)).expect("written");
    std::fs::write(file(1), "{").expect("written");
    let (found, unreadable) = LaunchFolder::unfinished(&record).expect("listed");
    assert_eq!(found.len(), 1);
    let mut said: Vec<String> = unreadable.iter().map(LaunchError::to_string).collect();
    said.sort_by_key(|sentence| !sentence.contains("format 2"));
    assert!(said[0].ends_with("it has format 2, and this slhf-lab reads 1"), "{said:?}");
    assert!(said[1].contains("is no file of a launch that this slhf-lab knows"), "{said:?}");
}

/// `program task FOLDER NUMBER`, of which any program will do here.
#[test]
fn processes_are_started_so_many_at_once_and_are_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("program");
    std::fs::write(&script, "#!/bin/sh\necho \"task $3\"\nexec sleep 600\n").expect("written");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
    let launch = launch(folder.path(), &[&[1], &[2], &[3]]);
    let mut launcher = LocalLauncher::new(script, NonZeroUsize::new(2).expect("not 0"));
    launcher.submit(&launch, &[0, 1, 2]).expect("submitted");
    let states = launcher.states(&launch).expect("asked");
    assert_eq!(
        states.into_values().collect::<Vec<_>>(),
        [QueueState::Started, QueueState::Started, QueueState::Queued]
    );
    launcher.stop(StopHow::AfterStep);
    let until = Instant::now() + Duration::from_mins(1);
    while !launcher.states(&launch).expect("asked").is_empty() {
        assert!(Instant::now() < until, "they go on");
        std::thread::sleep(Duration::from_millis(10));
    }
}
