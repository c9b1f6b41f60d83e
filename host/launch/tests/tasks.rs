//! Attempts at a task: one at a time, and none once it is over.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Barrier;
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
    assert_eq!(earlier.iter().map(Attempt::path).collect::<Vec<_>>(), [first.path()]);
    let stopped = AttemptEnd::Stopped { reason: "its time is up".to_owned() };
    assert_eq!(earlier[0].state(&ProcessIdentity::current()), AttemptState::Ended(stopped));
    second.end(&AttemptEnd::Done { warnings: Vec::new() }).expect("said");
    assert!(matches!(task.begin().expect("asked"), Begin::Over));
}

/// However many ask in the same instant, and whatever clocks say.
#[test]
fn of_many_that_begin_at_once_one_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let launch = launch(folder.path(), &[&[1]]);
    for number in 1..=50 {
        let barrier = Barrier::new(8);
        let begin = || {
            barrier.wait();
            launch.task(0).expect("there").begin().expect("asked")
        };
        let answers: Vec<Begin> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(begin)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let mut won = answers.into_iter().filter_map(|answer| match answer {
            Begin::Compute { attempt, earlier } => Some((attempt, earlier)),
            Begin::Elsewhere(_) | Begin::Over => None,
        });
        let (attempt, earlier) = won.next().expect("one begins");
        assert!(won.next().is_none());
        assert_eq!((attempt.number(), earlier.len()), (number, number as usize - 1));
        attempt.end(&AttemptEnd::Stopped { reason: "its time is up".to_owned() }).expect("said");
    }
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
    assert!(said[0].contains("(it has format 2, and this slhf-lab reads 1): delete the folder"), "{said:?}");
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

/// What the first version wrote, as it wrote it.
#[test]
fn files_of_the_first_version_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = folder.path().join("lab.db");
    let launch = LaunchFolder::root_of(&record).join("0123456789abcdef");
    let attempt = launch.join("task-0001/attempt-0003");
    std::fs::create_dir_all(&attempt).expect("made");
    let lab = r#"{"host":"node1","boot_id":"b","pid_namespace":"pid:[1]","pid":7,"started_at_ticks":9}"#;
    let plan = format!(
        r#"{{"format":1,"token":"0123456789abcdef","launcher":"slurm","record":"r","experiment":"e","launched_at_ms":5,"lab":{lab},
        "settings":{{"jobs":2,"processes":3,"budget_tokens":4,"allow_divergence":true}},"tasks":[[1,2],[3]]}}"#
    );
    std::fs::write(launch.join("launch.json"), plan).expect("written");
    std::fs::write(launch.join("ready"), "").expect("written");
    let alive = format!(r#"{{"process":{lab},"began_at_ms":6,"seen_at_ms":8}}"#);
    std::fs::write(attempt.join("alive.json"), alive).expect("written");
    let (found, unreadable) = LaunchFolder::unfinished(&record).expect("listed");
    assert!(unreadable.is_empty(), "{unreadable:?}");
    let plan = found[0].plan();
    assert_eq!((plan.launcher, plan.tasks.as_slice()), (LauncherKind::Slurm, &[vec![1, 2], vec![3]][..]));
    assert_eq!((plan.settings.processes, plan.settings.allow_divergence), (Some(3), true));
    let read = || found[0].task(1).expect("there").attempts().expect("read").remove(0);
    assert_eq!(read().number(), 3);
    let here = ProcessIdentity::current();
    assert!(matches!(read().state(&here), AttemptState::Dead(why) if why.contains("process 7 on host node1")));
    for (text, end) in [
        (r#"{"how":"done","warnings":["w"]}"#, AttemptEnd::Done { warnings: vec!["w".to_owned()] }),
        (r#"{"how":"stopped","reason":"r"}"#, AttemptEnd::Stopped { reason: "r".to_owned() }),
    ] {
        std::fs::write(attempt.join("ended.json"), text).expect("written");
        assert_eq!(read().state(&here), AttemptState::Ended(end));
    }
}
