//! The conformance suite finds what it is there to find, and leaves honest plugins alone.

mod support;

use slhf_judge::conformance::{Corpus, Outcome, Report, check};
use support::{File, Wat, host};

fn report(wat: &Wat) -> Report {
    report_on(&wat.file())
}

fn report_on(file: &File) -> Report {
    let mut plan = file.plan();
    // Long responses take their time; hangs are tested elsewhere.
    plan.limits.deadline_ms = 10_000;
    check(&host(), &plan, &Corpus::default()).expect("it loads")
}

fn failed(report: &Report) -> Vec<&'static str> {
    report.checks.iter().filter(|check| check.outcome == Outcome::Failed).map(|check| check.name).collect()
}

fn detail<'a>(report: &'a Report, name: &str) -> &'a str {
    &report.checks.iter().find(|check| check.name == name).expect("this check exists").detail
}

#[test]
fn honest_plugins_of_all_worlds_pass() {
    for wat in [Wat::preference(), Wat::reward(), Wat::baseline()] {
        let report = report(&wat);
        assert!(report.has_passed(), "{:#?}", report.checks);
        assert!(report.checks.len() >= 8);
    }
}

#[test]
fn an_answer_that_depends_on_the_position_fails_split_and_order() {
    let wat = Wat::answering(
        "(global.set $n (f64.add (global.get $n) (f64.const 1))) (f64.div (f64.const 1) (global.get $n))",
    )
    .with_extra("(global $n (mut f64) (f64.const 0))");
    assert_eq!(failed(&report(&wat)), ["split", "order"]);
}

#[test]
fn complementarity_is_required_only_of_who_claims_it() {
    let biased = Wat::answering("(f64.const 0.75)");
    let found = report(&biased);
    assert!(found.has_passed(), "{:#?}", found.checks);
    assert!(detail(&found, "complementarity").contains("off 1 by at most 5.000e-1"));
    let claimed = report(&Wat { complementary: true, ..biased });
    assert_eq!(failed(&claimed), ["complementarity"]);
    assert!(detail(&claimed, "complementarity").starts_with("the manifest claims it, but p(a ≻ b) + p(b ≻ a)"));
}

#[test]
fn a_trap_on_long_responses_fails() {
    let wat = Wat::answering(
        "(if (i32.gt_u (i32.load offset=28 (local.get $item)) (i32.const 1000)) (then unreachable)) (f64.const 0.5)",
    );
    let report = report(&wat);
    assert_eq!(failed(&report), ["1 MiB responses"]);
    assert!(detail(&report, "1 MiB responses").contains("trapped"));
}

#[test]
fn a_wrong_length_on_an_empty_batch_fails() {
    let honest = Wat::preference();
    let wat = Wat { main: format!("(if (i32.eqz (local.get $count)) (then unreachable)) {}", honest.main), ..honest };
    assert_eq!(failed(&report(&wat)), ["empty batch"]);
}

#[test]
fn a_plugin_without_valid_answers_fails_and_is_asked_no_further() {
    let wat = Wat::comparing("(call $failed (i32.const 560) (i32.const 8))");
    assert_eq!(failed(&report(&wat)), ["range"]);
    let out_of_range = Wat::answering("(f64.const 2)");
    assert_eq!(failed(&report(&out_of_range)), ["range"]);
}

#[test]
fn a_baseline_that_uses_an_items_own_reward_fails() {
    // Sees the batch before it answers.
    let honest = Wat::baseline();
    let see = "(local.set $i (i32.const 0))
        (block $done (loop $next
            (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
            (global.set $sum (f64.add (global.get $sum)
                (f64.load offset=24 (i32.add (local.get $items) (i32.mul (local.get $i) (i32.const 32))))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $next)))";
    let report = report(&Wat { main: format!("{see} {}", honest.main), ..honest });
    assert_eq!(failed(&report), ["own reward"]);
    assert!(detail(&report, "own reward").contains("only that item's own reward changes"));
}

#[test]
fn a_baseline_that_forgets_part_of_its_state_fails() {
    let honest = Wat::baseline();
    let wat = Wat { restore: honest.restore.replace("(global.set $seen", "(drop"), ..honest };
    assert_eq!(failed(&report(&wat)), ["save and restore"]);
}

#[test]
fn a_baseline_that_traps_on_a_bad_state_fails() {
    let honest = Wat::baseline();
    let wat = Wat {
        restore: honest.restore.replace("(return (call $failed (i32.const 640) (i32.const 11)))", "unreachable"),
        ..honest
    };
    assert_eq!(failed(&report(&wat)), ["bad state"]);
}
