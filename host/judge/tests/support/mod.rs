//! Guests written as WebAssembly text, so that nothing has to be built before the tests run, and nothing stands between
//! a hostile guest and what it does.
//!
//! [`Wat`] is a whole, honest plugin; a test replaces the part it is about. The text becomes a core module with the
//! canonical ABI's names, which is encoded against `sdk/wit/lab.wit` as every toolchain does it.

#![allow(dead_code, clippy::allow_attributes, reason = "every test file uses a part of this")]
#![allow(clippy::panic, reason = "only tests use it")]

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use slhf_judge::{Allocation, CacheLocation, Comparison, Host, HostSettings, JudgeError, LogSink};
use slhf_plan::{Limits, LogLine, PluginPlan};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A core module in parts.
#[derive(Clone, Debug)]
pub(crate) struct Wat {
    pub(crate) world: &'static str,
    pub(crate) imports: String,
    /// Linear memory: minimum and perhaps maximum, in pages.
    pub(crate) memory: &'static str,
    /// Further definitions, `(start …)` among them.
    pub(crate) extra: String,
    pub(crate) complementary: bool,
    pub(crate) schema: String,
    /// Instructions before the manifest is returned.
    pub(crate) describe: String,
    /// Instructions; `$text` and `$length` are the parameters; must leave a pointer to `result<_, failure>`.
    pub(crate) configure: String,
    /// The body of `compare`, `score` or `estimate`; `$items` and `$count` are its parameters.
    pub(crate) main: String,
    /// Of a baseline: bodies of `save` and `restore` (`$items`, `$count`).
    pub(crate) save: String,
    pub(crate) restore: String,
}

/// Answers every item with `$answer`, a function from an item's address to an `f64`.
const EACH_ITEM: &str = "
    (local.set $out (call $allocate (i32.mul (local.get $count) (i32.const 24)) (i32.const 8)))
    (local.set $i (i32.const 0))
    (block $done (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
        (i64.store (i32.add (local.get $out) (i32.mul (local.get $i) (i32.const 24))) (i64.const 0))
        (f64.store offset=8 (i32.add (local.get $out) (i32.mul (local.get $i) (i32.const 24)))
            (call $answer (i32.add (local.get $items) (i32.mul (local.get $i) (i32.const ITEM_BYTES)))))
        (i64.store offset=16 (i32.add (local.get $out) (i32.mul (local.get $i) (i32.const 24))) (i64.const 0))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (call $list (local.get $out) (local.get $count))";

/// The share of the first response's length in both: complementary, and 1/2 for two empty ones.
const LONGER_WINS: &str = "(func $answer (param $item i32) (result f64) (local $sum f64)
    (local.set $sum (f64.convert_i32_u (i32.add (i32.load offset=28 (local.get $item)) (i32.load offset=52 (local.get $item)))))
    (if (result f64) (f64.eq (local.get $sum) (f64.const 0)) (then (f64.const 0.5))
        (else (f64.div (f64.convert_i32_u (i32.load offset=28 (local.get $item))) (local.get $sum)))))";

/// The response's length.
const LENGTH: &str = "(func $answer (param $item i32) (result f64)
    (f64.convert_i32_u (i32.load offset=28 (local.get $item))))";

/// The mean of the rewards of all earlier batches, as sum and count in globals.
const MEAN: &str = "
    (local.set $out (call $allocate (i32.mul (local.get $count) (i32.const 8)) (i32.const 8)))
    (local.set $i (i32.const 0))
    (block $done (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
        (f64.store (i32.add (local.get $out) (i32.mul (local.get $i) (i32.const 8)))
            (f64.div (global.get $sum) (f64.max (f64.const 1) (global.get $seen))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (local.set $i (i32.const 0))
    (block $done (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
        (global.set $sum (f64.add (global.get $sum)
            (f64.load offset=24 (i32.add (local.get $items) (i32.mul (local.get $i) (i32.const 32))))))
        (global.set $seen (f64.add (global.get $seen) (f64.const 1)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (call $list (local.get $out) (local.get $count))";

impl Wat {
    /// An honest judge: the longer response wins in proportion.
    pub(crate) fn preference() -> Self {
        Self {
            world: "preference-plugin",
            imports: String::new(),
            memory: "2",
            extra: LONGER_WINS.to_owned(),
            complementary: true,
            schema: r#"{"properties":{}}"#.to_owned(),
            describe: String::new(),
            configure: "(call $fine)".to_owned(),
            main: EACH_ITEM.replace("ITEM_BYTES", "80"),
            save: String::new(),
            restore: String::new(),
        }
    }

    /// An honest reward model: a response's length.
    pub(crate) fn reward() -> Self {
        Self {
            world: "reward-plugin",
            extra: LENGTH.to_owned(),
            main: EACH_ITEM.replace("ITEM_BYTES", "56"),
            ..Self::preference()
        }
    }

    /// An honest control variate: the mean reward of earlier batches.
    pub(crate) fn baseline() -> Self {
        Self {
            world: "baseline-plugin",
            extra: "(global $sum (mut f64) (f64.const 0)) (global $seen (mut f64) (f64.const 0))".to_owned(),
            main: MEAN.to_owned(),
            save: "(f64.store (i32.const 1024) (global.get $sum)) (f64.store (i32.const 1032) (global.get $seen))
                   (i32.store (i32.const 1040) (i32.const 1024)) (i32.store (i32.const 1044) (i32.const 16))
                   (i32.const 1040)"
                .to_owned(),
            restore: "(if (i32.ne (local.get $count) (i32.const 16))
                          (then (return (call $failed (i32.const 640) (i32.const 11)))))
                      (global.set $sum (f64.load (local.get $items)))
                      (global.set $seen (f64.load offset=8 (local.get $items)))
                      (call $fine)"
                .to_owned(),
            ..Self::preference()
        }
    }

    /// A judge whose answer to every item is this expression of type f64; `$item` is the item's address.
    pub(crate) fn answering(expression: &str) -> Self {
        Self {
            extra: format!("(func $answer (param $item i32) (result f64) {expression})"),
            complementary: false,
            ..Self::preference()
        }
    }

    /// A judge whose `compare` is these instructions.
    pub(crate) fn comparing(main: &str) -> Self {
        Self { main: main.to_owned(), ..Self::preference() }
    }

    /// A judge that asks its upstream about the whole batch and hands its answer on.
    pub(crate) fn forwarding() -> Self {
        Self {
            imports: r#"(import "slhf:lab/upstream-preference@0.1.1" "compare" (func $upstream (param i32 i32 i32)))"#
                .to_owned(),
            ..Self::comparing(
                "(call $upstream (local.get $items) (local.get $count) (i32.const 1024)) (i32.const 1024)",
            )
        }
    }

    /// With the log imported as `$log` (level, address, length).
    pub(crate) fn logging(mut self) -> Self {
        self.imports.push_str(r#"(import "slhf:lab/log@0.1.1" "write" (func $log (param i32 i32 i32)))"#);
        self
    }

    pub(crate) fn with_extra(mut self, extra: &str) -> Self {
        self.extra.push_str(extra);
        self
    }

    /// The core module's text.
    pub(crate) fn text(&self) -> String {
        let Self { imports, memory, extra, complementary, schema, describe, configure, main, save, restore, .. } = self;
        let (schema_bytes, schema) = (schema.len(), schema.replace('"', "\\\""));
        let complementary = i32::from(*complementary);
        let exports = match self.world {
            "preference-plugin" => format!("{} {main})", function("preference", "compare")),
            "reward-plugin" => format!("{} {main})", function("reward", "score")),
            _ => format!(
                "{} {main}) {} {restore})
                (func (export \"slhf:lab/baseline@0.1.1#save\") (result i32) {save})",
                function("baseline", "estimate"),
                function("baseline", "restore"),
            ),
        };
        format!(
            r#"(module {imports}
            (memory (export "memory") {memory})
            (data (i32.const 512) "guest") (data (i32.const 520) "1.2.3") (data (i32.const 530) "what tests need")
            (data (i32.const 560) "my words\1b[2J") (data (i32.const 600) "panicked at lib.rs: no such action")
            (data (i32.const 640) "not a state")
            (data (i32.const 2048) "{schema}")
            (global $heap (mut i32) (i32.const 65536))
            (func $allocate (export "allocate") (param $size i32) (param $align i32) (result i32)
                (local $at i32) (local $missing i32)
                (local.set $at (i32.and (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
                    (i32.sub (i32.const 0) (local.get $align))))
                (global.set $heap (i32.add (local.get $at) (local.get $size)))
                (if (i32.gt_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))) (then
                    (local.set $missing (i32.add (i32.const 1) (i32.shr_u
                        (i32.sub (global.get $heap) (i32.mul (memory.size) (i32.const 65536))) (i32.const 16))))
                    ;; A MiB at once, as the SDK does; what is missing, where that is too much.
                    (if (i32.eq (i32.const -1) (memory.grow (i32.add (local.get $missing) (i32.const 15)))) (then
                        (if (i32.eq (i32.const -1) (memory.grow (local.get $missing))) (then unreachable))))))
                (local.get $at))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (call $allocate (local.get 3) (local.get 2)))
            (func $list (param $at i32) (param $count i32) (result i32)
                (i32.store (i32.const 256) (i32.const 0))
                (i32.store (i32.const 260) (local.get $at)) (i32.store (i32.const 264) (local.get $count))
                (i32.const 256))
            (func $fine (result i32) (i32.store (i32.const 256) (i32.const 0)) (i32.const 256))
            (func $failed (param $at i32) (param $length i32) (result i32)
                (i32.store (i32.const 256) (i32.const 1))
                (i32.store (i32.const 260) (local.get $at)) (i32.store (i32.const 264) (local.get $length))
                (i32.const 256))
            {extra}
            (func (export "slhf:lab/plugin@0.1.1#describe") (result i32) {describe}
                (i32.store (i32.const 128) (i32.const 512)) (i32.store (i32.const 132) (i32.const 5))
                (i32.store (i32.const 136) (i32.const 520)) (i32.store (i32.const 140) (i32.const 5))
                (i32.store (i32.const 144) (i32.const 530)) (i32.store (i32.const 148) (i32.const 15))
                (i32.store8 (i32.const 152) (i32.const {complementary})) (i32.store8 (i32.const 153) (i32.const 1))
                (i32.store (i32.const 156) (i32.const 2048)) (i32.store (i32.const 160) (i32.const {schema_bytes}))
                (i32.const 128))
            (func (export "slhf:lab/plugin@0.1.1#configure") (param $text i32) (param $length i32) (result i32)
                {configure})
            {exports})"#
        )
    }

    /// The component.
    pub(crate) fn component(&self) -> Vec<u8> {
        let mut module = wat::parse_str(self.text()).unwrap_or_else(|error| panic!("{error}\n{}", self.text()));
        let mut resolve = Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/wit/lab.wit");
        let package = resolve.push_file(wit).expect("the contract parses");
        let world = resolve.select_world(&[package], Some(self.world)).expect("the contract has this world");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("the world embeds");
        let mut encoder = ComponentEncoder::default().validate(true).module(&module).expect("a module of this world");
        encoder.encode().expect("a component")
    }

    /// The component in a file of its own.
    pub(crate) fn file(&self) -> File {
        File::new(&self.component())
    }
}

fn function(interface: &str, name: &str) -> String {
    format!(
        "(func (export \"slhf:lab/{interface}@0.1.1#{name}\") (param $items i32) (param $count i32) (result i32)
            (local $i i32) (local $out i32)"
    )
}

/// A file that is gone when this is.
pub(crate) struct File {
    folder: tempfile::TempDir,
}

impl File {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("guest.wasm"), bytes).expect("room for a guest");
        Self { folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("guest.wasm")
    }

    /// A plan for it with the limits of tests and no parameters.
    pub(crate) fn plan(&self) -> PluginPlan {
        PluginPlan {
            name: "suspect".to_owned(),
            path: self.path().display().to_string(),
            sha256: String::new(),
            parameters: serde_json::json!({}),
            limits: limits(),
            upstream: None,
            models: std::collections::BTreeMap::new(),
        }
    }
}

/// Small limits, so that who breaks them does so at once.
pub(crate) fn limits() -> Limits {
    Limits { memory_mib: 64, deadline_ms: 60, stack_kib: 256, output_mib: 4, log_lines: 5, ..Limits::default() }
}

/// A host without a cache folder, on two threads.
pub(crate) fn host() -> Host {
    host_with(|_| {})
}

pub(crate) fn host_with(change: impl FnOnce(&mut HostSettings)) -> Host {
    let mut settings = HostSettings {
        models: None,
        cache: CacheLocation::Off,
        allocation: Allocation::PooledWherePossible,
        threads: NonZeroUsize::new(2).expect("two is not zero"),
        log: LogSink::new(|_| {}),
        compilation: slhf_judge::Compilation::Here,
    };
    change(&mut settings);
    Host::new(settings).expect("a host")
}

/// A host whose guests' lines are collected.
pub(crate) fn listening_host() -> (Host, Arc<Mutex<Vec<LogLine>>>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let own = Arc::clone(&lines);
    let host =
        host_with(|settings| settings.log = LogSink::new(move |line| own.lock().expect("not poisoned").push(line)));
    (host, lines)
}

/// So many comparisons of short texts.
pub(crate) fn comparisons(count: usize) -> Vec<Comparison> {
    (0..count).map(|i| Comparison::from_texts("?", "a".repeat(i % 7), "b".repeat(i % 5))).collect()
}

/// What becomes of a judge that is asked about one pair.
pub(crate) fn outcome_of(wat: &Wat) -> Result<f64, JudgeError> {
    outcome_of_plan(&host(), &wat.file().plan())
}

pub(crate) fn outcome_of_plan(host: &Host, plan: &PluginPlan) -> Result<f64, JudgeError> {
    let answers = host.preference(plan)?.compare(&[Comparison::from_texts("?", "aaa", "b")])?;
    Ok(answers[0].as_ref().expect("an answer").probability)
}

/// An error with its causes, as `slhf-lab` prints it.
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The sentence of the error that a judge's guest ends in.
pub(crate) fn sentence(wat: &Wat) -> String {
    in_full(&outcome_of(wat).expect_err("a hostile guest must not pass"))
}
