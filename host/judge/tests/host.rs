//! What the host itself promises: the cache, the pool and what stands in for it, splitting, measuring, remembering.

#![expect(clippy::float_cmp, reason = "these guests answer with exact binary fractions")]

mod support;

use std::{
    fs,
    num::NonZeroUsize,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use slhf_judge::{
    Allocation, CacheLocation, Candidate, Comparison, Compilation, DescribeRequest, Elsewhere, JudgeError, Role,
    Sample, World, judge_game,
};
use slhf_plan::{ActionPlan, GamePlan, JudgePlan, Limits, OnFailure, PluginPlan};
use support::{File, Wat, comparisons, host, host_with, in_full, outcome_of_plan};

fn cached_host(folder: &Path) -> slhf_judge::Host {
    host_with(|settings| settings.cache = CacheLocation::Folder(folder.to_owned()))
}

#[test]
fn a_plugin_is_compiled_once() {
    let (folder, file) = (tempfile::tempdir().expect("a folder"), Wat::preference().file());
    let folder = folder.path().join("compiled-plugins");
    let hits_and_misses = || {
        let host = cached_host(&folder);
        assert_eq!(outcome_of_plan(&host, &file.plan()).expect("an honest guest"), 0.75);
        host.cache_hits_and_misses()
    };
    assert_eq!(hits_and_misses(), Some((0, 1)));
    assert_eq!(hits_and_misses(), Some((1, 0)));
}

/// All files below a cache folder.
fn entries(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            found.append(&mut entries(&entry));
        } else {
            found.push(entry);
        }
    }
    found
}

/// Native code is believed by wasmtime, so that each of these would otherwise be run.
#[test]
fn whatever_is_damaged_in_the_cache_is_compiled_anew_with_the_same_verdicts() {
    let (folder, file) = (tempfile::tempdir().expect("a folder"), Wat::preference().file());
    let folder = folder.path().join("compiled-plugins");
    let outcome = || {
        let host = cached_host(&folder);
        assert_eq!(outcome_of_plan(&host, &file.plan()).expect("an honest guest"), 0.75);
        host.cache_hits_and_misses()
    };
    assert_eq!(outcome(), Some((0, 1)));
    let names: Vec<_> =
        entries(&folder).iter().map(|path| path.strip_prefix(&folder).expect("below").to_owned()).collect();
    let is_note = |name: &Path| name.extension().is_some_and(|extension| extension != "json");
    assert!(names.iter().filter(|name| !is_note(name)).count() >= 2, "code and a list: {names:?}");
    for name in names.iter().filter(|name| !is_note(name)) {
        let path = folder.join(name);
        let whole = fs::read(&path).expect("it is there");
        for place in (0..whole.len()).step_by((whole.len() / 24).max(1)) {
            let mut flipped = whole.clone();
            flipped[place] ^= 1 << (place % 8);
            fs::write(&path, flipped).expect("it is ours");
            // A flip in the list may be one in a blank, which changes nothing.
            let found = outcome().expect("there is a cache");
            assert!(
                found == (0, 1) || (path.ends_with("files.json") && found == (1, 0)),
                "{name:?} at {place}: {found:?}"
            );
        }
        for damage in [&whole[..whole.len() / 2], b"", b"garbage"] {
            fs::write(&path, damage).expect("it is ours");
            assert_eq!(outcome(), Some((0, 1)), "{name:?}");
        }
        fs::remove_file(&path).expect("it is there");
        assert_eq!(outcome(), Some((0, 1)), "{name:?}");
        fs::write(path.with_file_name("another"), b"added").expect("it is ours");
        assert_eq!(outcome(), Some((0, 1)), "beside {name:?}");
    }
    assert_eq!(outcome(), Some((1, 0)));
}

#[test]
fn another_process_compiles_and_describes() {
    let (folder, file) = (tempfile::tempdir().expect("a folder"), Wat::preference().file());
    let folder = folder.path().join("compiled-plugins");
    let asked = Arc::new(AtomicUsize::new(0));
    let host = || {
        let asked = Arc::clone(&asked);
        host_with(|settings| {
            settings.cache = CacheLocation::Folder(folder.clone());
            settings.compilation = Compilation::Elsewhere(Elsewhere::new(move |request: &DescribeRequest| {
                asked.fetch_add(1, Ordering::Relaxed);
                slhf_judge::describe(request).map_err(|error| in_full(&error))
            }));
        })
    };
    let first = host();
    assert_eq!(outcome_of_plan(&first, &file.plan()).expect("an honest guest"), 0.75);
    // Only what runs is taken out of the cache here, where the other process left it.
    assert_eq!((asked.load(Ordering::Relaxed), first.cache_hits_and_misses()), (1, Some((1, 0))));
    let second = host();
    assert_eq!(outcome_of_plan(&second, &file.plan()).expect("an honest guest"), 0.75);
    assert_eq!((asked.load(Ordering::Relaxed), second.cache_hits_and_misses()), (2, Some((1, 0))));
    // Describing alone takes no code in here, and a plugin that is known is asked once.
    let third = host();
    let described = || third.describe("honest", &file.path(), &Limits::default()).expect("an honest guest");
    assert_eq!(described(), host_with(|_| {}).describe("honest", &file.path(), &Limits::default()).expect("here"));
    let _ = described();
    assert_eq!((asked.load(Ordering::Relaxed), third.cache_hits_and_misses()), (3, Some((0, 0))));
    // What it refuses is not looked at here.
    let refused = File::new(b"no component");
    let text = in_full(&outcome_of_plan(&host(), &refused.plan()).expect_err("it is none"));
    assert!(text.contains("not a complete WebAssembly component"), "{text}");
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

#[test]
fn a_cache_folder_that_is_not_ones_own_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("it is ours");
    let error = slhf_judge::Host::new(slhf_judge::HostSettings {
        cache: CacheLocation::Folder(folder.path().to_owned()),
        ..slhf_judge::HostSettings::default()
    });
    let text = error.expect_err("anybody could have written there").to_string();
    assert!(text.contains("is open to other users (mode 777)"), "{text}");
}

#[test]
fn instances_come_from_a_pool_or_on_demand_with_the_same_verdicts() {
    let file = Wat::preference().file();
    let verdicts = |allocation| {
        let host = host_with(|settings| settings.allocation = allocation);
        let preference = host.preference(&file.plan()).expect("it loads");
        (preference.compare(&comparisons(70)).expect("answers"), host.is_pooled())
    };
    let (pooled, on_demand) = (verdicts(Allocation::PooledWherePossible), verdicts(Allocation::OnDemand));
    assert_eq!(pooled.0, on_demand.0);
    assert_eq!(on_demand.1, Some(false));
}

/// Run again by itself under a limit of address space that no pool fits into, as cluster nodes have it.
#[test]
fn a_refused_reservation_falls_back_to_on_demand() {
    const NAME: &str = "a_refused_reservation_falls_back_to_on_demand";
    const MARK: &str = "SLHF_JUDGE_TEST_UNDER_A_LIMIT";
    if std::env::var_os(MARK).is_some() {
        let (host, file) = (host(), Wat::preference().file());
        assert_eq!(outcome_of_plan(&host, &file.plan()).expect("without a pool"), 0.75);
        assert_eq!(host.is_pooled(), Some(false));
        return;
    }
    let binary = std::env::current_exe().expect("a test binary");
    let status = std::process::Command::new("sh")
        .args(["-c", "ulimit -v 4000000 && exec \"$0\" --exact \"$1\" --test-threads 1"])
        .args([binary.as_os_str(), NAME.as_ref()])
        .env(MARK, "1")
        .output()
        .expect("a shell");
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
    assert!(String::from_utf8_lossy(&status.stdout).contains("1 passed"), "it ran");
}

#[test]
fn verdicts_do_not_depend_on_threads() {
    // A guest that counts its items: history would show.
    let wat = Wat::answering("(f64.const 0.5)").file();
    let file = Wat::preference().file();
    let verdicts = |threads, plan: &PluginPlan| {
        let host = host_with(|settings| settings.threads = NonZeroUsize::new(threads).expect("not zero"));
        host.preference(plan).expect("it loads").compare(&comparisons(3000)).expect("answers")
    };
    for plan in [wat.plan(), file.plan()] {
        let one = verdicts(1, &plan);
        assert_eq!(one.len(), 3000);
        assert_eq!(one, verdicts(3, &plan));
        assert_eq!(one, verdicts(16, &plan));
    }
}

#[test]
fn every_batch_meets_a_fresh_instance() {
    // Answers 0, 1, 1, …: would it live on, the second batch would begin with 1.
    let wat = Wat::answering("(global.get $calls) (global.set $calls (f64.const 1))")
        .with_extra("(global $calls (mut f64) (f64.const 0))");
    let (host, file) = (host(), wat.file());
    let preference = host.preference(&file.plan()).expect("it loads");
    let ask = || {
        let answers = preference.compare(&comparisons(3)).expect("answers");
        answers.into_iter().map(|answer| answer.expect("a verdict").probability).collect::<Vec<_>>()
    };
    assert_eq!(ask(), [0.0, 1.0, 1.0]);
    assert_eq!(ask(), [0.0, 1.0, 1.0]);
}

#[test]
fn use_is_measured() {
    let (host, file) = (host(), Wat::preference().file());
    let preference = host.preference(&file.plan()).expect("it loads");
    preference.compare(&comparisons(10)).expect("answers");
    preference.compare(&comparisons(20)).expect("answers");
    let used = preference.usage("judge", &[1, 2]);
    let [used] = used.as_slice() else { panic!("one plugin, one entry") };
    assert_eq!((used.calls, used.items, used.failed_items, used.fuel), (2, 30, 0, None));
    assert_eq!((used.name.as_str(), used.version.as_str(), used.wit_version.as_str()), ("guest", "1.2.3", "0.1.1"));
    assert_eq!((used.role.as_str(), used.runs.as_slice()), ("judge", &[1, 2][..]));
    assert!(used.wall_ns > 0 && used.peak_memory_bytes >= 2 * 65_536, "{used:?}");
    assert_eq!(used.sha256, preference.inspection().sha256);
}

#[test]
fn rewards_are_scored() {
    let (host, file) = (host(), Wat::reward().file());
    let reward = host.reward(&file.plan()).expect("it loads");
    let scores = reward.score(&[Candidate::from_text("?", "four"), Candidate::from_text("?", "")]).expect("scores");
    let values: Vec<f64> = scores.into_iter().map(|score| score.expect("a score").value).collect();
    assert_eq!(values, [4.0, 0.0]);
    let wat = Wat { extra: "(func $answer (param i32) (result f64) (f64.const -inf))".to_owned(), ..Wat::reward() };
    let error = host.reward(&wat.file().plan()).expect("it loads").score(&[Candidate::from_text("?", "")]);
    let text = error.expect_err("no reward").to_string();
    assert!(text.contains("returned the reward = -inf, which is not a finite number in `score`, item 0"), "{text}");
}

#[test]
fn describing_needs_no_parameters() {
    let wat = Wat { configure: "(call $failed (i32.const 560) (i32.const 8))".to_owned(), ..Wat::forwarding() };
    let file = wat.file();
    let description = host().describe("swap", &file.path(), &support::limits()).expect("a description");
    assert_eq!(description.world, World::Preference);
    assert_eq!((description.manifest.name.as_str(), description.manifest.version.as_str()), ("guest", "1.2.3"));
    assert!(description.manifest.claims.complementary && description.manifest.claims.length_sensitive);
    assert_eq!(description.inspection.upstream_worlds(), [World::Preference]);
}

fn samples(step: u64, rewards: &[f64]) -> Vec<Sample> {
    rewards.iter().map(|reward| Sample { prompt_id: 0, role: Role::Leader, step, reward: *reward }).collect()
}

#[test]
fn a_baseline_remembers_and_is_saved() {
    let (host, file) = (host(), Wat::baseline().file());
    let mut baseline = host.baseline(&file.plan()).expect("it loads");
    assert_eq!(baseline.estimate(&samples(1, &[1.0, 0.0])).expect("baselines"), [0.0, 0.0]);
    assert_eq!(baseline.estimate(&samples(2, &[1.0])).expect("baselines"), [0.5]);
    let state = baseline.save().expect("a state");
    let mut resumed = baseline.fresh().expect("another instance");
    assert_eq!(resumed.estimate(&samples(1, &[])).expect("baselines"), [0.0; 0]);
    resumed.restore(&state).expect("its own state");
    for step in 3..5 {
        let batch = samples(step, &[0.25, 0.75]);
        assert_eq!(baseline.estimate(&batch).expect("baselines"), resumed.estimate(&batch).expect("baselines"));
    }
    assert_eq!(baseline.usage("baseline", &[])[0].items, 7);
    assert_eq!(resumed.usage("baseline", &[])[0].items, 4);
}

#[test]
fn a_baseline_that_failed_stays_failed() {
    let (host, file) = (host(), Wat::baseline().file());
    let mut baseline = host.baseline(&file.plan()).expect("it loads");
    let text = baseline.restore(b"not sixteen").expect_err("no state of its").to_string();
    assert_eq!(text, "plugin `suspect` 1.2.3 failed: not a state in `restore`");
    let text = baseline.estimate(&samples(1, &[1.0])).expect_err("its state is gone").to_string();
    assert!(text.contains("cannot go on: an earlier call ended in an error"), "{text}");
    baseline.fresh().expect("another").estimate(&samples(1, &[1.0])).expect("goes on");
}

#[test]
fn a_thousand_baselines_live_at_once() {
    let (host, file) = (host(), Wat::baseline().file());
    let first = host.baseline(&file.plan()).expect("it loads");
    let mut all: Vec<_> = (0..1000).map(|_| first.fresh().expect("another instance")).collect();
    for baseline in &mut all {
        assert_eq!(baseline.estimate(&samples(1, &[1.0])).expect("baselines"), [0.0]);
    }
}

fn game(file: &File, texts: &[&str]) -> GamePlan {
    let action = |text: &&str| ActionPlan {
        name: format!("action {text}"),
        text: (*text).to_owned(),
        metadata: serde_json::json!({}),
    };
    GamePlan {
        prompt: "?".to_owned(),
        metadata: serde_json::json!({}),
        actions: texts.iter().map(action).collect(),
        judge: JudgePlan { plugin: file.plan(), on_failure: OnFailure::Skip },
        reference_leader: Vec::new(),
        reference_follower: Vec::new(),
        comparison_counts: None,
    }
}

#[test]
fn a_game_is_judged_on_all_ordered_pairs() {
    let (host, file) = (host(), Wat::preference().file());
    let verdicts = judge_game(&host.preference(&file.plan()).expect("it loads"), &game(&file, &["a", "bbb"]));
    let probabilities: Vec<f64> =
        verdicts.expect("verdicts").verdicts.iter().map(|verdict| verdict.probability).collect();
    assert_eq!(probabilities, [0.5, 0.25, 0.75, 0.5]);
}

#[test]
fn a_game_is_never_judged_in_part() {
    // Fails every item: the first pair is the diagonal's.
    let fails = Wat::comparing(
        "(i32.store (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1032) (i32.const 560))
         (i32.store (i32.const 1036) (i32.const 8))
         (i64.store (i32.const 1048) (i64.const 0)) (f64.store (i32.const 1056) (f64.const 0.5))
         (i64.store (i32.const 1064) (i64.const 0))
         (memory.copy (i32.const 1072) (i32.const 1024) (i32.const 48))
         (call $list (i32.const 1024) (local.get $count))",
    );
    let (host, file) = (host(), fails.file());
    let preference = host.preference(&file.plan()).expect("it loads");
    let error = judge_game(&preference, &game(&file, &["x", "y"])).expect_err("games never skip");
    assert_eq!(
        in_full(&error),
        "no verdict on `action x` against `action x`: plugin `suspect` 1.2.3 failed: my words in `compare`, item 0"
    );
    let pair = [Comparison::from_texts("?", "x", "y")];
    let answers = preference.compare(&pair).expect("a declared failure is an outcome");
    assert_eq!(answers[0].as_ref().expect_err("declared").reason, "my words");
    assert_eq!(preference.usage("judge", &[])[0].failed_items, 2 + 1);
}

#[test]
fn a_trap_in_a_game_names_the_pair() {
    let traps = Wat::answering(
        "(if (i32.and (i32.eq (i32.load offset=28 (local.get $item)) (i32.const 2))
                      (i32.eq (i32.load offset=52 (local.get $item)) (i32.const 3))) (then unreachable))
         (f64.const 0.5)",
    );
    let (host, file) = (host(), traps.file());
    let preference = host.preference(&file.plan()).expect("it loads");
    let error = judge_game(&preference, &game(&file, &["a", "bb", "ccc"])).expect_err("it traps");
    assert!(matches!(error, JudgeError::Pair { .. }));
    assert!(in_full(&error).starts_with("no verdict on `action bb` against `action ccc`: plugin"), "{error}");
}
