//! Guests that misbehave: each ends in an error that says who, what, where and which limit, and the host goes on.

#![expect(clippy::float_cmp, reason = "these guests answer with exact binary fractions")]

mod support;

use std::{
    num::NonZeroUsize,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use slhf_judge::{Comparison, Fault, JudgeError};
use slhf_plan::{Limits, LogLevel};
use support::{File, Wat, comparisons, host, in_full, limits, listening_host, outcome_of, outcome_of_plan, sentence};
use wasmparser::{Parser, Payload};

const ENDLESS: &str = "(loop $forever (br $forever)) unreachable";

#[test]
fn an_honest_guest_passes() {
    assert_eq!(outcome_of(&Wat::preference()).expect("an honest guest"), 0.75);
}

#[test]
fn an_endless_loop_meets_the_deadline() {
    assert_eq!(
        sentence(&Wat::comparing(ENDLESS)),
        "plugin `suspect` 1.2.3 did not return within 60 ms of processor time (limit `deadline_ms` = 60 for up to 64 items) in `compare`, \
         item 0"
    );
}

#[test]
fn an_endless_loop_in_configure_meets_the_deadline() {
    let wat = Wat { configure: ENDLESS.to_owned(), ..Wat::preference() };
    assert_eq!(
        sentence(&wat),
        "plugin `suspect` 1.2.3 did not return within 60 ms of processor time (limit `deadline_ms` = 60 for up to 64 items) in `configure`"
    );
}

#[test]
fn an_endless_loop_in_describe_meets_the_deadline() {
    let wat = Wat { describe: ENDLESS.to_owned(), ..Wat::preference() };
    assert_eq!(
        sentence(&wat),
        "plugin `suspect` did not return within 60 ms of processor time (limit `deadline_ms` = 60 for up to 64 items) in `describe`"
    );
}

#[test]
fn an_endless_loop_in_a_start_function_meets_the_deadline() {
    let wat = Wat::preference().with_extra("(func $begin (loop $forever (br $forever))) (start $begin)");
    assert_eq!(
        sentence(&wat),
        "plugin `suspect` did not return within 60 ms of processor time (limit `deadline_ms` = 60 for up to 64 items) while it was started"
    );
}

/// Twenty million rounds, then an honest result.
fn slow() -> Wat {
    let rounds = "(local.set $i (i32.const 20000000))
        (loop $next (local.set $i (i32.sub (local.get $i) (i32.const 1))) (br_if $next (local.get $i)))";
    let honest = Wat::preference();
    Wat { main: format!("{rounds} {}", honest.main), ..honest }
}

#[test]
fn a_machine_busy_with_other_work_makes_no_guest_late() {
    let file = slow().file();
    let host = host();
    let mut plan = file.plan();
    plan.limits.deadline_ms = 60_000;
    let quiet = host.preference(&plan).expect("it loads");
    quiet.compare(&comparisons(1)).expect("a minute is enough");
    let alone_ms = quiet.usage("judge", &[7])[0].wall_ns.div_ceil(1_000_000);
    // Four times what it needs; a core that it shares with sixteen others takes seventeen times as long.
    plan.limits.deadline_ms = (4 * alone_ms).max(40);
    let busy = host.preference(&plan).expect("it loads");
    let enough = AtomicBool::new(false);
    let outcome = thread::scope(|scope| {
        for _ in 0..16 * thread::available_parallelism().map_or(1, NonZeroUsize::get) {
            scope.spawn(|| {
                while !enough.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let outcome = busy.compare(&comparisons(1));
        enough.store(true, Ordering::Relaxed);
        outcome
    });
    assert_eq!(outcome.expect("it has used no more processor time than it may").len(), 1);
}

#[test]
fn a_batch_that_hangs_is_narrowed_down_to_its_first_item() {
    let host = host();
    let plan = Wat::comparing(ENDLESS).file();
    let error = host.preference(&plan.plan()).expect("it loads").compare(&comparisons(100)).expect_err("it hangs");
    let JudgeError::Guest { fault: Fault::Deadline { deadline_ms: 60, .. }, items, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(items, Some(0..1), "the first item of the first part was found to hang alone");
}

#[test]
fn the_item_that_hangs_is_found() {
    let hang = "(if (i32.and (i32.eq (i32.load offset=28 (local.get $item)) (i32.const 6))
                             (i32.eq (i32.load offset=52 (local.get $item)) (i32.const 3)))
                    (then (loop $forever (br $forever)))) (f64.const 0.5)";
    let items = comparisons(40);
    let culprit = items.iter().position(|item| item.first.text.len() == 6 && item.second.text.len() == 3);
    let file = Wat::answering(hang).file();
    let error = host().preference(&file.plan()).expect("it loads").compare(&items).expect_err("it hangs");
    assert_eq!(error.item(), culprit, "{error}");
}

#[test]
fn an_allocation_bomb_meets_the_memory_limit() {
    let wat =
        Wat::comparing("(loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 16))))) unreachable");
    assert_eq!(
        sentence(&wat),
        "plugin `suspect` 1.2.3 asked for 65 MiB of memory (limit `memory_mib` = 64) in `compare`, item 0"
    );
}

#[test]
fn a_guest_that_copes_with_a_refused_allocation_goes_on() {
    let wat = Wat::answering(
        "(if (result f64) (i32.eq (i32.const -1) (memory.grow (i32.const 65000)))
            (then (f64.const 0.25)) (else (f64.const 1)))",
    );
    assert_eq!(outcome_of(&wat).expect("a refusal is no crime"), 0.25);
}

#[test]
fn a_refusal_that_a_guest_got_over_is_not_blamed_for_a_later_trap() {
    let wat = Wat {
        configure: "(drop (memory.grow (i32.const 65000))) (call $fine)".to_owned(),
        ..Wat::comparing("unreachable")
    };
    assert_eq!(
        sentence(&wat),
        "plugin `suspect` 1.2.3 trapped (wasm `unreachable` instruction executed) in `compare`, item 0"
    );
}

#[test]
fn a_memory_that_is_too_large_from_the_start_is_refused() {
    let wat = Wat { memory: "2048", ..Wat::preference() };
    assert_eq!(
        sentence(&wat),
        "plugin `suspect` asked for 128 MiB of memory (limit `memory_mib` = 64) while it was started"
    );
}

#[test]
fn deep_recursion_meets_the_stack_limit() {
    let wat = Wat::comparing("(call $deeper (i32.const 0))").with_extra(
        "(func $deeper (param i32) (result i32) (i32.add (i32.const 1) (call $deeper (i32.add (i32.const 1) (local.get 0)))))",
    );
    assert_eq!(
        sentence(&wat),
        "plugin `suspect` 1.2.3 overflowed its stack, by deep recursion perhaps (limit `stack_kib` = 256) in `compare`, \
         item 0"
    );
}

#[test]
fn a_larger_stack_is_given_where_it_is_asked_for() {
    let depth = "(func $deeper (param i32) (result i32) (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
        (else (i32.add (i32.const 1) (call $deeper (i32.sub (local.get 0) (i32.const 1)))))))";
    let wat = Wat::answering("(f64.div (f64.convert_i32_u (call $deeper (i32.const 100000))) (f64.const 200000))");
    let file = wat.with_extra(depth).file();
    assert!(outcome_of_plan(&host(), &file.plan()).is_err(), "100,000 frames do not fit 256 KiB");
    let mut plan = file.plan();
    plan.limits.stack_kib = 65_536;
    assert_eq!(outcome_of_plan(&host(), &plan).expect("64 MiB hold 100,000 frames"), 0.5);
}

#[test]
fn a_trap_is_told_with_the_last_error_line() {
    let wat = Wat::comparing("(call $log (i32.const 3) (i32.const 600) (i32.const 34)) unreachable").logging();
    assert_eq!(
        sentence(&wat),
        "plugin `suspect` 1.2.3 trapped (wasm `unreachable` instruction executed) in `compare`, item 0; its last error \
         line: panicked at lib.rs: no such action"
    );
}

#[test]
fn the_item_that_traps_is_found() {
    let wat = Wat::answering(
        "(if (i32.eq (i32.load offset=28 (local.get $item)) (i32.const 600)) (then unreachable)) (f64.const 0.5)",
    );
    let mut items = comparisons(300);
    items[217].first.text = "x".repeat(600).into();
    let (host, file) = (host(), wat.file());
    let preference = host.preference(&file.plan()).expect("it loads");
    let error = preference.compare(&items).expect_err("it traps");
    assert_eq!(error.item(), Some(217), "{error}");
    items[217].first.text = "x".into();
    assert_eq!(preference.compare(&items).expect("the host goes on").len(), 300);
}

#[test]
fn a_huge_string_meets_the_output_limit() {
    let wat = Wat { memory: "200", ..Wat::comparing("(call $failed (i32.const 0) (i32.const 8388608))") };
    assert_eq!(
        sentence(&wat),
        "plugin `suspect` 1.2.3 handed more than 4 MiB to the host in one call (limit `output_mib` = 4) in `compare`, \
         item 0"
    );
}

#[test]
fn many_references_to_one_string_meet_the_output_limit() {
    // One outcome with 65,000 attributes, each of which names the same 60 kB: 4 GB, were it copied.
    let wat = Wat {
        memory: "64",
        ..Wat::comparing(
            "(local.set $i (i32.const 65536))
             (loop $next
                (i32.store (local.get $i) (i32.const 4096)) (i32.store offset=4 (local.get $i) (i32.const 60000))
                (f64.store offset=8 (local.get $i) (f64.const 0.5))
                (i64.store offset=16 (local.get $i) (i64.const 0))
                (local.set $i (i32.add (local.get $i) (i32.const 24)))
                (br_if $next (i32.lt_u (local.get $i) (i32.const 1625536))))
             (i32.store (i32.const 1024) (i32.const 0))
             (f64.store (i32.const 1032) (f64.const 0.5))
             (i32.store (i32.const 1040) (i32.const 65536)) (i32.store (i32.const 1044) (i32.const 65000))
             (call $list (i32.const 1024) (i32.const 1))",
        )
    };
    assert!(sentence(&wat).contains("handed more than 4 MiB to the host"), "{}", sentence(&wat));
}

#[test]
fn a_list_that_is_longer_than_the_memory_is_refused() {
    let wat = Wat::comparing("(call $list (i32.const 0) (i32.const 0x40000000))");
    assert_eq!(
        sentence(&wat),
        "plugin `suspect` 1.2.3 handed over something that cannot be read (list pointer/length out of bounds of memory) \
         in `compare`, item 0"
    );
}

#[test]
fn text_that_is_no_text_is_refused() {
    let wat = Wat::comparing("(i32.store (i32.const 8) (i32.const 0xff)) (call $failed (i32.const 8) (i32.const 1))");
    assert!(sentence(&wat).contains("cannot be read (invalid utf-8"), "{}", sentence(&wat));
}

#[test]
fn probabilities_outside_of_the_unit_interval_are_refused() {
    let check = |expression: &str, shown: &str| {
        assert_eq!(
            sentence(&Wat::answering(expression)),
            format!(
                "plugin `suspect` 1.2.3 returned the probability = {shown}, which is not a number in [0, 1] in \
                 `compare`, item 0"
            )
        );
    };
    check("(f64.const nan)", "NaN");
    check("(f64.const 1.5)", "1.5");
    check("(f64.const -0.25)", "-0.25");
    check("(f64.const inf)", "inf");
}

#[test]
fn the_item_with_a_bad_value_is_named() {
    let wat = Wat::answering("(f64.convert_i32_u (i32.load offset=28 (local.get $item)))");
    let mut items = vec![Comparison::from_texts("?", "a", "b"); 10];
    items[7] = Comparison::from_texts("?", "aa", "b");
    let error = host().preference(&wat.file().plan()).expect("it loads").compare(&items).expect_err("2 is no p");
    assert_eq!(error.item(), Some(7));
}

#[test]
fn an_attribute_outside_of_the_unit_interval_is_refused() {
    let wat = Wat::comparing(
        "(i32.store (i32.const 1024) (i32.const 0)) (f64.store (i32.const 1032) (f64.const 0.5))
         (i32.store (i32.const 1040) (i32.const 1056)) (i32.store (i32.const 1044) (i32.const 1))
         (i32.store (i32.const 1056) (i32.const 512)) (i32.store (i32.const 1060) (i32.const 5))
         (f64.store (i32.const 1064) (f64.const 3)) (i64.store (i32.const 1072) (i64.const 0))
         (call $list (i32.const 1024) (i32.const 1))",
    );
    assert!(sentence(&wat).contains("the value of attribute `guest` = 3, which is not a number in [0, 1]"));
}

#[test]
fn a_wrong_number_of_outcomes_is_refused() {
    assert_eq!(
        sentence(&Wat::comparing("(call $list (i32.const 0) (i32.const 0))")),
        "plugin `suspect` 1.2.3 returned 0 outcomes for 1 items in `compare`, item 0"
    );
}

#[test]
fn a_batch_that_the_guest_declares_failed_ends_in_its_own_words() {
    let wat = Wat::comparing("(call $failed (i32.const 560) (i32.const 12))");
    assert_eq!(
        sentence(&wat),
        "plugin `suspect` 1.2.3 failed: my words\\u{1b}[2J in `compare`, item 0",
        "and cannot move the terminal's cursor"
    );
}

#[test]
fn parameters_that_the_guest_refuses_are_told_in_its_own_words() {
    let wat = Wat { configure: "(call $failed (i32.const 560) (i32.const 8))".to_owned(), ..Wat::preference() };
    assert_eq!(sentence(&wat), "plugin `suspect` 1.2.3: refuses its parameters: my words");
}

#[test]
fn fuel_is_a_limit_where_it_is_set() {
    let file = Wat::comparing(ENDLESS).file();
    let mut plan = file.plan();
    plan.limits = Limits { fuel_per_item: Some(100_000), deadline_ms: 60_000, ..limits() };
    let error = outcome_of_plan(&host(), &plan).expect_err("it never ends");
    assert_eq!(
        in_full(&error),
        "plugin `suspect` 1.2.3 used up its 100000 units of fuel (limit `fuel_per_item` = 100000) in `compare`, item 0"
    );
}

#[test]
fn fuel_is_the_same_every_time() {
    let file = Wat::preference().file();
    let mut plan = file.plan();
    plan.limits.fuel_per_item = Some(1_000_000);
    let burnt = || {
        let preference = host().preference(&plan).expect("it loads");
        preference.compare(&comparisons(50)).expect("an honest guest");
        preference.usage("judge", &[])[0].fuel.expect("metered")
    };
    assert_eq!(burnt(), burnt());
    assert!(burnt() > 50 * 10);
}

#[test]
fn a_table_bomb_meets_its_limit() {
    let wat = Wat::comparing(
        "(loop $more (br_if $more (i32.ne (i32.const -1) (table.grow $t (ref.null func) (i32.const 10000))))) unreachable",
    )
    .with_extra("(table $t 1 funcref)");
    assert!(
        sentence(&wat).contains("asked for more table entries than the 131072 that every plugin may have"),
        "{}",
        sentence(&wat)
    );
}

#[test]
fn a_component_of_too_many_instances_is_refused() {
    let component = with_core_instances(Wat::preference().component(), 300);
    let error = outcome_of_plan(&host(), &File::new(&component).plan()).expect_err("300 are too many");
    assert_eq!(
        in_full(&error),
        "plugin `suspect` asked for more instances than the 256 that every plugin may have while it was started"
    );
}

/// Appends an empty core module and so many instances of it to a component.
fn with_core_instances(mut component: Vec<u8>, count: usize) -> Vec<u8> {
    let is_module = |payload: &Payload<'_>| matches!(payload, Payload::ModuleSection { .. });
    let payloads = Parser::new(0).parse_all(&component).map(|payload| payload.expect("a component"));
    let index = u8::try_from(payloads.filter(is_module).count()).expect("few modules");
    assert!(index < 128, "one byte of LEB128");
    let mut section = |id: u8, contents: &[u8]| {
        component.push(id);
        component.extend(leb128(contents.len()));
        component.extend_from_slice(contents);
    };
    section(1, b"\0asm\x01\0\0\0");
    // Each: instantiate this module, with no arguments.
    let instances = [0, index, 0].repeat(count);
    section(2, &[leb128(count), instances].concat());
    component
}

/// An unsigned number in WebAssembly's variable-length encoding.
fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 128 {
        bytes.push(number as u8 | 128);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

#[test]
fn a_log_flood_is_cut_and_counted() {
    let wat = Wat::preference().logging();
    let flood = "(local.set $i (i32.const 0))
        (loop $more (call $log (i32.const 1) (i32.const 560) (i32.const 12))
            (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $more (i32.lt_u (local.get $i) (i32.const 1000))))";
    let wat = Wat { main: format!("{flood} {}", wat.main), ..wat };
    let (host, lines) = listening_host();
    let file = wat.file();
    outcome_of_plan(&host, &file.plan()).expect("to talk much is no crime");
    let lines = lines.lock().expect("not poisoned");
    let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    let mut expect = vec!["my words\\u{1b}[2J"; 5];
    expect.push("995 more lines in this call were dropped (limit `log_lines` = 5)");
    assert_eq!(texts, expect);
    assert!(lines.iter().all(|line| line.source == "suspect"));
    assert_eq!(lines.last().map(|line| line.level), Some(LogLevel::Warn));
}

#[test]
fn a_line_beyond_the_output_limit_ends_the_call() {
    let wat = Wat {
        memory: "200",
        ..Wat::comparing("(call $log (i32.const 1) (i32.const 0) (i32.const 8388608)) unreachable").logging()
    };
    assert!(sentence(&wat).contains("handed more than 4 MiB to the host in one call"), "{}", sentence(&wat));
}
