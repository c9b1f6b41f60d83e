//! Which tool made a component, as far as it can be seen: what a mistake is mended by depends on it.

use serde::{Deserialize, Serialize};
use wasmparser::{CustomSectionReader, KnownCustom, ProducersSectionReader};

/// A tool that makes components.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Producer {
    /// Nothing tells.
    #[default]
    Unknown,
    /// rustc; parts of what the others make are its work, too.
    Rust,
    /// componentize-js: JavaScript in `SpiderMonkey`.
    ComponentizeJs,
    /// componentize-qjs: JavaScript in `QuickJS`.
    ComponentizeQjs,
    /// componentize-py: Python in `CPython`.
    ComponentizePy,
}

impl Producer {
    /// By a name of a module's imports or exports: the tools that link an interpreter name its library in them.
    pub(crate) fn of_linked(name: &str) -> Self {
        if name.contains("libcomponentize_py_runtime") {
            Self::ComponentizePy
        } else if name.contains("componentize_qjs_runtime") {
            Self::ComponentizeQjs
        } else {
            Self::Unknown
        }
    }

    /// By a section in which tools name themselves.
    pub(crate) fn of_section(section: &CustomSectionReader<'_>) -> Self {
        match section.as_known() {
            KnownCustom::Producers(fields) => Self::of_fields(fields),
            _ => Self::Unknown,
        }
    }

    fn of_fields(fields: ProducersSectionReader<'_>) -> Self {
        // A note that cannot be read tells nothing; whether the file is whole is judged elsewhere.
        let values = fields.into_iter().flatten().flat_map(|field| field.values.into_iter().flatten());
        let named = values.map(|value| match value.name {
            "ComponentizeJS" => Self::ComponentizeJs,
            "rustc" => Self::Rust,
            _ => Self::Unknown,
        });
        named.max().unwrap_or_default()
    }

    /// How a component is made that needs nothing of the machine: the end of a sentence.
    pub(crate) fn without_machine(self) -> &'static str {
        match self {
            Self::Unknown => {
                "build it without that dependency (Rust: target wasm32-unknown-unknown, not a wasip target; componentize-py: --stub-wasi; \
                 componentize-qjs: --stub-wasi --sync)"
            }
            Self::Rust => {
                "build it for the target wasm32-unknown-unknown, not for a wasip target, as `slhf-lab plugin build` does"
            }
            Self::ComponentizeJs => {
                "build it with componentize-js's optional features off (disableFeatures: random, stdio, clocks, http, \
                 fetch-event), or with `slhf-lab plugin build`, which uses componentize-qjs"
            }
            Self::ComponentizeQjs => {
                "give componentize-qjs --stub-wasi and --sync, as `slhf-lab plugin build` does in a folder of `slhf-lab plugin new \
                 --language javascript`"
            }
            Self::ComponentizePy => {
                "give componentize-py --stub-wasi, as `slhf-lab plugin build` does in a folder of `slhf-lab plugin new --language \
                 python`"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_is_known_by_the_names_of_its_library() {
        let check = |name, expected| assert_eq!(Producer::of_linked(name), expected, "{name}");
        check("libcomponentize_py_runtime.so:PyExc_TypeError", Producer::ComponentizePy);
        check("componentize_qjs_runtime.wasm:memory_base", Producer::ComponentizeQjs);
        check("env", Producer::Unknown);
    }
}
