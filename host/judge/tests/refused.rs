//! Files that are no plugins, and plans that do not fit: refused before any of their code runs.

mod support;

use slhf_judge::{JudgeError, inspect};
use support::{File, Wat, host, in_full, outcome_of_plan};

/// A component that is nothing but names.
fn named(imports: &[&str], exports: &[&str]) -> Vec<u8> {
    let imports: Vec<String> = imports.iter().map(|name| format!("(import \"{name}\" (instance))")).collect();
    let exports: Vec<String> = exports.iter().map(|name| format!("(export \"{name}\" (instance $nothing))")).collect();
    let text = format!("(component {} (instance $nothing) {})", imports.join(" "), exports.join(" "));
    wat::parse_str(&text).expect("a component of names")
}

fn refusal(bytes: &[u8]) -> String {
    let file = File::new(bytes);
    let error = outcome_of_plan(&host(), &file.plan()).expect_err("must be refused");
    in_full(&error).replace(&file.path().display().to_string(), "guest.wasm")
}

fn check(bytes: &[u8], expect: &str) {
    assert_eq!(refusal(bytes), format!("guest.wasm: {expect}"));
}

const PLUGIN: &str = "slhf:lab/plugin@0.1.0";
const PREFERENCE: &str = "slhf:lab/preference@0.1.0";

#[test]
fn a_core_module_is_refused() {
    check(
        &wat::parse_str("(module)").expect("a module"),
        "this is a core module, not a component: build it with `slhf-lab plugin build`",
    );
}

#[test]
fn garbage_is_refused() {
    for bytes in [&b"#!/bin/sh\n"[..], b"", b"\0asm", &[0xff; 1000]] {
        let text = refusal(bytes);
        assert!(text.starts_with("guest.wasm: not a complete WebAssembly component ("), "{text}");
    }
}

#[test]
fn a_truncated_file_is_refused_wherever_it_was_cut() {
    let whole = Wat::preference().component();
    let host = host();
    for length in (8..whole.len()).step_by(whole.len() / 23) {
        let file = File::new(&whole[..length]);
        let error = outcome_of_plan(&host, &file.plan()).expect_err("a part is not the whole");
        assert!(matches!(error, JudgeError::File { .. }), "{length} bytes: {error}");
    }
}

#[test]
fn a_file_with_a_damaged_byte_never_brings_the_host_down() {
    let whole = Wat::preference().component();
    let host = host();
    for index in (0..whole.len()).step_by(97) {
        let mut damaged = whole.clone();
        damaged[index] ^= 0x55;
        // Some damage goes unnoticed (a name, a comment); none may do more than fail.
        let _ = outcome_of_plan(&host, &File::new(&damaged).plan());
    }
}

#[test]
fn a_plugin_for_another_version_of_the_contract_is_refused() {
    check(
        &named(&[], &["slhf:lab/plugin@0.2.0", "slhf:lab/preference@0.2.0"]),
        "built against slhf:lab/plugin@0.2.0; this host speaks slhf:lab@0.1.x: build it against that version of the WIT \
         package",
    );
    check(
        &named(&["slhf:lab/log@0.3.0"], &[PLUGIN, PREFERENCE]),
        "built against slhf:lab/log@0.3.0; this host speaks slhf:lab@0.1.x: build it against that version of the WIT \
         package",
    );
}

#[test]
fn a_missing_export_is_named() {
    check(
        &named(&[], &[PREFERENCE]),
        "does not export `slhf:lab/plugin` (describe, configure), which every plugin exports",
    );
    check(
        &named(&[], &[PLUGIN]),
        "exports none of `slhf:lab/preference`, `slhf:lab/reward` and `slhf:lab/baseline`: one of them is its purpose",
    );
    check(
        &named(&[], &[PLUGIN, PREFERENCE, "slhf:lab/reward@0.1.0"]),
        "exports both `slhf:lab/preference` and `slhf:lab/reward`; a plugin has exactly one purpose",
    );
}

#[test]
fn a_missing_function_is_named() {
    check(
        &named(&[], &[PLUGIN, PREFERENCE]),
        "does not follow slhf:lab@0.1.x: `slhf:lab/plugin@0.1.0` has no function `describe`",
    );
}

#[test]
fn a_function_of_another_type_is_refused() {
    let text = format!(
        "(component
            (core module $m (func (export \"f\") (result i32) (i32.const 7)))
            (core instance $i (instantiate $m))
            (func $f (result u32) (canon lift (core func $i \"f\")))
            (instance $plugin (export \"describe\" (func $f)) (export \"configure\" (func $f)))
            (instance $judge (export \"compare\" (func $f)))
            (export \"{PLUGIN}\" (instance $plugin)) (export \"{PREFERENCE}\" (instance $judge)))"
    );
    let text = refusal(&wat::parse_str(text).expect("a component"));
    assert!(text.starts_with("guest.wasm: does not follow slhf:lab@0.1.x: "), "{text}");
    assert!(text.contains("expected `record` found `u32`"), "{text}");
}

#[test]
fn an_undeclared_import_is_named() {
    let granted = "slhf:lab/log, upstream-preference, upstream-reward and model";
    for import in ["wasi:random/random@0.2.3", "slhf:lab/inference@0.1.0", "my:own/thing"] {
        check(
            &named(&[import], &[PLUGIN, PREFERENCE]),
            &format!(
                "imports `{import}`, which the host does not grant; a plugin may import {granted}: build it without that \
                 dependency (Rust: target wasm32-unknown-unknown, not a wasip target; componentize-py: --stub-wasi; \
                 componentize-qjs: --stub-wasi --sync)"
            ),
        );
    }
}

#[test]
fn the_cure_is_the_one_of_the_tool_that_made_the_file() {
    let check = |mark: &str, cure: &str| {
        let text = format!(
            "(component (import \"wasi:cli/environment@0.2.0\" (instance)) (core module {mark}) (instance $nothing)
                (export \"{PLUGIN}\" (instance $nothing)) (export \"{PREFERENCE}\" (instance $nothing)))"
        );
        let text = refusal(&wat::parse_str(&text).expect("a component"));
        assert!(
            text.starts_with("guest.wasm: imports `wasi:cli/environment@0.2.0`, which the host does not grant"),
            "{text}"
        );
        assert!(text.contains(cure), "{text}");
    };
    let linked = |name: &str| format!("(global (export \"{name}\") i32 (i32.const 0))");
    let made_by =
        |tool: &str| format!("(@producers (processed-by \"rustc\" \"1.90\") (processed-by \"{tool}\" \"1\"))");
    check(&linked("libcomponentize_py_runtime.so:PyExc_TypeError"), ": give componentize-py --stub-wasi, as");
    check(&linked("componentize_qjs_runtime.wasm:memory_base"), ": give componentize-qjs --stub-wasi and --sync, as");
    check(
        &made_by("ComponentizeJS"),
        ": build it with componentize-js's optional features off (disableFeatures: random",
    );
    check(&made_by("rustc"), ": build it for the target wasm32-unknown-unknown, not for a wasip target");
}

#[test]
fn a_baseline_has_no_upstream() {
    let text = refusal(&named(&["slhf:lab/upstream-reward@0.1.0"], &[PLUGIN, "slhf:lab/baseline@0.1.0"]));
    assert!(text.contains("which the host does not grant; a plugin may import slhf:lab/log"), "{text}");
}

#[test]
fn a_plugin_of_another_world_is_refused() {
    check(
        &Wat::reward().component(),
        "exports `slhf:lab/reward`, but is used as a preference plugin, which exports `slhf:lab/preference`",
    );
}

#[test]
fn a_file_that_changed_since_it_was_planned_is_refused() {
    let file = Wat::preference().file();
    let mut plan = file.plan();
    plan.sha256 = inspect(&Wat::reward().component()).expect("a component").sha256;
    let text = outcome_of_plan(&host(), &plan).expect_err("another file").to_string();
    assert!(text.contains("the file changed since the plan was made"), "{text}");
    plan.sha256 = inspect(&Wat::preference().component()).expect("a component").sha256;
    outcome_of_plan(&host(), &plan).expect("the same file");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let mut plan = Wat::preference().file().plan();
    plan.path = "nowhere/judge.wasm".to_owned();
    let error = outcome_of_plan(&host(), &plan).expect_err("no such file");
    let text = in_full(&error);
    assert!(text.starts_with("plugin `suspect`: cannot read nowhere/judge.wasm: No such file"), "{text}");
}

#[test]
fn parameters_are_checked_against_the_plugins_own_schema() {
    let wat = Wat {
        schema: r#"{"properties":{"weights":{"type":"array"}},"required":["weights"]}"#.to_owned(),
        ..Wat::preference()
    };
    let file = wat.file();
    let check = |parameters: serde_json::Value, expect: &str| {
        let mut plan = file.plan();
        plan.parameters = parameters;
        let error = outcome_of_plan(&host(), &plan).expect_err("against the schema");
        assert_eq!(in_full(&error), format!("plugin `suspect` 1.2.3: {expect}"));
    };
    check(serde_json::json!({}), "parameter `weights` is missing");
    check(serde_json::json!({ "weigths": [] }), "parameter `weigths` is unknown; did you mean `weights`?");
    check(serde_json::json!({ "weights": "all" }), "parameter `weights` is \"all\"; expected a list");
}

#[test]
fn a_schema_that_is_none_is_a_fault_of_the_plugin() {
    let wat = Wat { schema: "{".to_owned(), ..Wat::preference() };
    let text = in_full(&outcome_of_plan(&host(), &wat.file().plan()).expect_err("not JSON"));
    assert!(text.starts_with("plugin `suspect`: its manifest is not valid: `parameters-schema` is not JSON"), "{text}");
}

#[test]
fn limits_that_cannot_be_enforced_are_refused() {
    let check = |change: &dyn Fn(&mut slhf_plan::Limits), expect: &str| {
        let file = Wat::preference().file();
        let mut plan = file.plan();
        change(&mut plan.limits);
        let error = outcome_of_plan(&host(), &plan).expect_err("not enforceable");
        assert_eq!(in_full(&error), format!("plugin `suspect`: limit {expect}"));
    };
    check(&|limits| limits.memory_mib = 0, "`memory_mib` is 0; it must be 1 to 4096");
    check(&|limits| limits.memory_mib = 5000, "`memory_mib` is 5000; it must be 1 to 4096");
    check(&|limits| limits.deadline_ms = 0, "`deadline_ms` is 0; it must be 1 to 86400000 (a day)");
    check(&|limits| limits.fuel_per_item = Some(0), "`fuel_per_item` is 0; it must be at least 1");
    check(&|limits| limits.stack_kib = 1, "`stack_kib` is 1; it must be 32 to 65536");
    check(&|limits| limits.output_mib = 0, "`output_mib` is 0; it must be 1 to 1024");
}
