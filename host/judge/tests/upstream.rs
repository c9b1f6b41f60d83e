//! Plugins that wrap plugins.

#![expect(clippy::float_cmp, reason = "these guests answer with exact binary fractions")]

mod support;

use slhf_judge::{DEPTH_MAX, JudgeError};
use slhf_plan::PluginPlan;
use support::{File, Wat, comparisons, host, in_full, outcome_of_plan};

const ENDLESS: &str = "(loop $forever (br $forever)) unreachable";

/// A combinator's plan over another plan.
fn over(combinator: &File, name: &str, upstream: PluginPlan) -> PluginPlan {
    PluginPlan { name: name.to_owned(), upstream: Some(Box::new(upstream)), ..combinator.plan() }
}

fn refusal(plan: &PluginPlan) -> String {
    in_full(&outcome_of_plan(&host(), plan).expect_err("must be refused"))
}

#[test]
fn a_combinator_hands_on_what_its_upstream_says() {
    let (combinator, judge) = (Wat::forwarding().file(), Wat::preference().file());
    let plan = over(&combinator, "outer", over(&combinator, "inner", judge.plan()));
    let host = host();
    let preference = host.preference(&plan).expect("it loads");
    let (direct, items) = (host.preference(&judge.plan()).expect("it loads"), comparisons(150));
    assert_eq!(preference.compare(&items).expect("answers"), direct.compare(&items).expect("answers"));
    let roles: Vec<_> = preference.usage("judge", &[7]).into_iter().map(|used| (used.role, used.items)).collect();
    let expect = ["judge", "judge/upstream", "judge/upstream/upstream"].map(|role| (role.to_owned(), 150));
    assert_eq!(roles, expect);
}

#[test]
fn a_combinator_without_an_upstream_is_refused() {
    let file = Wat::forwarding().file();
    assert_eq!(
        refusal(&file.plan()),
        "plugin `suspect`: it wraps a preference plugin, but the plan names none: give it `upstream = { plugin = … }`"
    );
}

#[test]
fn an_upstream_of_the_wrong_world_is_refused() {
    let (combinator, reward) = (Wat::forwarding().file(), Wat::reward().file());
    let upstream = PluginPlan { name: "length".to_owned(), ..reward.plan() };
    assert_eq!(
        refusal(&over(&combinator, "swap", upstream)),
        "plugin `swap`: it wraps a preference plugin, but its upstream `length` is a reward plugin"
    );
}

#[test]
fn an_upstream_that_nobody_asks_is_refused() {
    let judge = Wat::preference().file();
    assert_eq!(
        refusal(&over(&judge, "table", judge.plan())),
        "plugin `table`: an upstream `suspect` is given, but the plugin imports none: remove it"
    );
}

#[test]
fn chains_have_an_end() {
    let (combinator, judge) = (Wat::forwarding().file(), Wat::preference().file());
    let chain = |length: usize| (1..length).fold(judge.plan(), |inner, _| over(&combinator, "link", inner));
    assert_eq!(outcome_of_plan(&host(), &chain(DEPTH_MAX)).expect("eight may"), 0.75);
    assert_eq!(refusal(&chain(DEPTH_MAX + 1)), "plugin `suspect`: 9 plugins wrap each other; at most 8 may");
}

#[test]
fn grants_are_not_inherited() {
    // The inner plugin wants an upstream of its own; the outer one's is not it.
    let combinator = Wat::forwarding().file();
    let text = refusal(&over(&combinator, "outer", PluginPlan { name: "inner".to_owned(), ..combinator.plan() }));
    assert!(text.starts_with("plugin `inner`: it wraps a preference plugin, but the plan names none"), "{text}");
}

#[test]
fn an_upstream_that_hangs_is_blamed_itself() {
    let (combinator, judge) = (Wat::forwarding().file(), Wat::comparing(ENDLESS).file());
    assert_eq!(
        refusal(&over(&combinator, "outer", PluginPlan { name: "inner".to_owned(), ..judge.plan() })),
        "plugin `outer` 1.2.3 got no result from the plugin it wraps in `compare`, item 0: plugin `inner` 1.2.3 did not \
         return within 60 ms of processor time (limit `deadline_ms` = 60 for up to 64 items) in `compare`, item 0"
    );
}

#[test]
fn time_in_a_slow_upstream_is_charged_to_its_own_deadline() {
    // Two hundred million rounds take longer than the combinator's few milliseconds, on any machine.
    let slow = "(local.set $i (i32.const 200000000))
        (loop $next (local.set $i (i32.sub (local.get $i) (i32.const 1))) (br_if $next (local.get $i)))";
    let honest = Wat::preference();
    let judge = Wat { main: format!("{slow} {}", honest.main), ..honest }.file();
    let mut upstream = judge.plan();
    upstream.limits.deadline_ms = 60_000;
    let combinator = Wat::forwarding().file();
    let mut plan = over(&combinator, "outer", upstream.clone());
    plan.limits.deadline_ms = 20;
    assert_eq!(outcome_of_plan(&host(), &plan).expect("only its own time counts"), 0.75);
    upstream.limits.deadline_ms = 20;
    assert!(outcome_of_plan(&host(), &upstream).is_err(), "the upstream itself is too slow for that deadline");
}

#[test]
fn time_before_and_after_the_upstream_is_charged() {
    let forward = "(call $upstream (local.get $items) (local.get $count) (i32.const 1024))";
    for (before, after) in [("", ENDLESS), (ENDLESS, "")] {
        let wat = Wat { main: format!("{before} {forward} {after} (i32.const 1024)"), ..Wat::forwarding() };
        let (combinator, judge) = (wat.file(), Wat::preference().file());
        let text = refusal(&over(&combinator, "outer", judge.plan()));
        assert!(text.starts_with("plugin `outer` 1.2.3 did not return within 60 ms"), "{text}");
    }
}

#[test]
fn questions_to_the_upstream_have_an_end() {
    let wat = Wat {
        main: "(loop $forever (call $upstream (local.get $items) (i32.const 0) (i32.const 1024)) (br $forever))
               unreachable"
            .to_owned(),
        ..Wat::forwarding()
    };
    let (combinator, judge) = (wat.file(), Wat::preference().file());
    let mut plan = over(&combinator, "outer", judge.plan());
    plan.limits.deadline_ms = 60_000;
    assert_eq!(
        refusal(&plan),
        "plugin `outer` 1.2.3 asked its upstream about more than 64 items in one call (64 for each item that is judged, by \
         all plugins that wrap each other together) in `compare`, item 0"
    );
}

/// A combinator that asks its upstream so many times about the same items.
fn repeating(times: u32) -> Wat {
    let ask = "(call $upstream (local.get $items) (local.get $count) (i32.const 1024))";
    Wat {
        main: format!(
            "(local.set $i (i32.const {times}))
             (loop $again {ask} (local.set $i (i32.sub (local.get $i) (i32.const 1))) (br_if $again (local.get $i)))
             (i32.const 1024)"
        ),
        ..Wat::forwarding()
    }
}

#[test]
fn questions_of_all_levels_count_together() {
    let (combinator, judge) = (repeating(4).file(), Wat::preference().file());
    let plan = |depth: usize| {
        let mut plan = (0..depth).fold(judge.plan(), |inner, _| over(&combinator, "asks four times", inner));
        plan.limits.deadline_ms = 60_000;
        plan
    };
    // 4 + 16 of the 64 that one judged item allows; 4 + 16 + 64 are too many, though each level asks only four a time.
    assert_eq!(outcome_of_plan(&host(), &plan(2)).expect("twenty may"), 0.75);
    let text = refusal(&plan(3));
    assert!(text.contains("asked its upstream about more than 64 items in one call"), "{text}");
}

#[test]
fn time_of_all_levels_counts_together() {
    // Each call of the judge takes far less than its own half second, and sixty of them more than two of those.
    let slow = "(local.set $i (i32.const 60000000))
        (loop $next (local.set $i (i32.sub (local.get $i) (i32.const 1))) (br_if $next (local.get $i)))";
    let honest = Wat::preference();
    let judge = Wat { main: format!("{slow} {}", honest.main), ..honest }.file();
    let (twice, often) = (repeating(2).file(), repeating(60).file());
    let asking = |combinator: &File| {
        let mut upstream = judge.plan();
        upstream.limits.deadline_ms = 500;
        let mut plan = over(combinator, "outer", upstream);
        plan.limits.deadline_ms = 500;
        plan
    };
    assert_eq!(outcome_of_plan(&host(), &asking(&twice)).expect("there is time for two"), 0.75);
    let text = refusal(&asking(&often));
    assert!(
        text.contains(
            "did not return within the 1000 ms of processor time that `outer` and all it wraps have together"
        ),
        "{text}"
    );
}

#[test]
fn reasons_beyond_what_a_run_may_keep_are_left_out() {
    // One attribute with a reason of 64 KiB in each verdict: the same memory, sixteen times a megabyte.
    let reason = 1 << 16;
    let wat = Wat {
        memory: "4",
        ..Wat::comparing(&format!(
            "(i64.store (i32.const 1024) (i64.const 0)) (f64.store (i32.const 1032) (f64.const 0.75))
             (i32.store (i32.const 1040) (i32.const 2048)) (i32.store (i32.const 1044) (i32.const 1))
             (i32.store (i32.const 2048) (i32.const 560)) (i32.store (i32.const 2052) (i32.const 2))
             (f64.store (i32.const 2056) (f64.const 1))
             (i32.store (i32.const 2064) (i32.const 65536)) (i32.store (i32.const 2068) (i32.const {reason}))
             (call $list (i32.const 1024) (local.get $count))"
        ))
    };
    let file = wat.file();
    let mut plan = file.plan();
    plan.limits.run_output_mib = Some(1);
    let (host, lines) = support::listening_host();
    let preference = host.preference(&plan).expect("it loads");
    let mut kept = 0;
    for _ in 0..20 {
        let verdict = preference.compare(&comparisons(1)).expect("answers").remove(0).expect("an answer");
        assert_eq!((verdict.probability, verdict.attributes.len()), (0.75, 1), "only words are left out");
        match verdict.attributes[0].reason.len() {
            found if found == reason => kept += 1,
            _ => assert_eq!(verdict.attributes[0].reason, "[left out: run_output_mib]"),
        }
    }
    assert_eq!(kept, 15, "fifteen reasons of 64 KiB and their names stay below a megabyte");
    // A run that goes on after an interruption goes on with what is left.
    let again = host.preference(&plan).expect("it loads");
    again.run_output().carry(preference.run_output().bytes());
    let verdict = again.compare(&comparisons(1)).expect("answers").remove(0).expect("an answer");
    assert_eq!(verdict.attributes[0].reason, "[left out: run_output_mib]");
    let lines = lines.lock().expect("not poisoned");
    let told: Vec<&str> =
        lines.iter().map(|line| line.text.as_str()).filter(|text| text.contains("run_output_mib")).collect();
    assert_eq!(told.len(), 2, "once a process: {told:?}");
}

#[test]
fn a_batch_that_the_upstream_declares_failed_reaches_the_combinator() {
    let judge = Wat::comparing("(call $failed (i32.const 560) (i32.const 8))").file();
    let combinator = Wat::forwarding().file();
    let text = refusal(&over(&combinator, "outer", judge.plan()));
    assert_eq!(text, "plugin `outer` 1.2.3 failed: my words in `compare`, item 0", "it handed the failure on");
}

#[test]
fn a_huge_question_to_the_upstream_meets_the_output_limit() {
    // 200,000 comparisons of 80 bytes, all of them the same nothing.
    let wat = Wat {
        memory: "300",
        main: "(call $upstream (i32.const 1048576) (i32.const 200000) (i32.const 1024)) (i32.const 1024)".to_owned(),
        ..Wat::forwarding()
    };
    let (combinator, judge) = (wat.file(), Wat::preference().file());
    let text = refusal(&over(&combinator, "outer", judge.plan()));
    assert!(text.contains("plugin `outer` 1.2.3 handed more than 4 MiB to the host in one call"), "{text}");
}

#[test]
fn a_manifest_cannot_depend_on_the_upstream() {
    let wat = Wat {
        describe: "(call $upstream (i32.const 0) (i32.const 0) (i32.const 1024))".to_owned(),
        ..Wat::forwarding()
    };
    let (combinator, judge) = (wat.file(), Wat::preference().file());
    let error = outcome_of_plan(&host(), &over(&combinator, "outer", judge.plan())).expect_err("it asks too early");
    assert!(matches!(error, JudgeError::Guest { .. }));
    assert!(in_full(&error).contains("the upstream cannot be asked while a plugin describes itself"));
}
