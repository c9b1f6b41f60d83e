//! What a component is made of, counted before anything of it is validated or compiled: a compiler's time and memory
//! grow with these counts, and with some of them by multiplication.

use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Parser, Payload, SectionLimited,
};

use crate::error::FileFault;

/// How much of each a component may have, all levels of nesting together. Interpreters that were made into components
/// stay far below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Most {
    depth: u64,
    modules: u64,
    components: u64,
    instances: u64,
    types: u64,
    functions: u64,
    names: u64,
    function_bytes: u64,
    code_bytes: u64,
}

const MOST: Most = Most {
    depth: 16,
    modules: 256,
    components: 256,
    // Of which the store takes 256 core ones.
    instances: 1024,
    types: 100_000,
    functions: 200_000,
    names: 200_000,
    function_bytes: 2 << 20,
    code_bytes: 64 << 20,
};

/// Refuses a component that has too much of anything.
pub(crate) fn check(bytes: &[u8]) -> Result<(), FileFault> {
    check_against(bytes, &MOST)
}

fn check_against(bytes: &[u8], most: &Most) -> Result<(), FileFault> {
    let malformed = |error: BinaryReaderError| FileFault::Malformed(error.to_string());
    let mut counted = Counted { most, levels: Vec::new(), sums: Sums::default() };
    for payload in Parser::new(0).parse_all(bytes) {
        counted.add(&payload.map_err(malformed)?).map_err(|fault| match fault {
            Found::Malformed(error) => malformed(error),
            Found::TooMuch { what, found, limit } => FileFault::Structure { what, found, limit },
        })?;
    }
    Ok(())
}

/// Why a payload ends the counting.
enum Found {
    Malformed(BinaryReaderError),
    TooMuch { what: &'static str, found: u64, limit: u64 },
}

impl From<BinaryReaderError> for Found {
    fn from(error: BinaryReaderError) -> Self {
        Self::Malformed(error)
    }
}

/// A module or component whose end was not seen yet.
enum Level {
    Module,
    Component(Inside),
}

/// What is known of a component while it is read.
#[derive(Default)]
struct Inside {
    /// Instances that each component of its index space makes, one instantiation counted.
    components: Vec<u64>,
    /// Instances that one instantiation of this component makes.
    instances: u64,
}

#[derive(Default)]
struct Sums {
    modules: u64,
    components: u64,
    types: u64,
    functions: u64,
    names: u64,
    code_bytes: u64,
}

struct Counted<'m> {
    most: &'m Most,
    levels: Vec<Level>,
    sums: Sums,
}

fn at_most(what: &'static str, found: u64, limit: u64) -> Result<(), Found> {
    if found > limit { Err(Found::TooMuch { what, found, limit }) } else { Ok(()) }
}

fn raise(sum: &mut u64, by: u32, what: &'static str, limit: u64) -> Result<(), Found> {
    *sum += u64::from(by);
    at_most(what, *sum, limit)
}

impl Counted<'_> {
    fn add(&mut self, payload: &Payload<'_>) -> Result<(), Found> {
        let (most, sums) = (self.most, &mut self.sums);
        let names = |sums: &mut Sums, count| raise(&mut sums.names, count, "imports, exports and aliases", most.names);
        match payload {
            // The whole file; those inside it were announced by their sections.
            Payload::Version { .. } if self.levels.is_empty() => self.levels.push(Level::Component(Inside::default())),
            Payload::ModuleSection { .. } => {
                raise(&mut sums.modules, 1, "modules", most.modules)?;
                self.enter(Level::Module)?;
            }
            Payload::ComponentSection { .. } => {
                raise(&mut sums.components, 1, "components inside it", most.components)?;
                self.enter(Level::Component(Inside::default()))?;
            }
            Payload::End(_) => self.leave(),
            Payload::TypeSection(section) => self.types(section.count())?,
            Payload::CoreTypeSection(section) => self.types(section.count())?,
            Payload::ComponentTypeSection(section) => self.types(section.count())?,
            Payload::FunctionSection(section) => self.functions(section.count())?,
            Payload::ComponentCanonicalSection(section) => self.functions(section.count())?,
            Payload::CodeSectionEntry(body) => {
                let bytes = body.range().len() as u64;
                at_most("bytes of code in one function", bytes, most.function_bytes)?;
                sums.code_bytes += bytes;
                at_most("bytes of code", sums.code_bytes, most.code_bytes)?;
            }
            Payload::ImportSection(section) => names(sums, section.count())?,
            Payload::ExportSection(section) => names(sums, section.count())?,
            Payload::InstanceSection(section) => self.instances(u64::from(section.count()))?,
            Payload::ComponentInstanceSection(section) => self.component_instances(section)?,
            Payload::ComponentAliasSection(section) => {
                names(sums, section.count())?;
                self.aliases(section)?;
            }
            Payload::ComponentImportSection(section) => {
                names(sums, section.count())?;
                for import in section.clone() {
                    if matches!(import?.ty, ComponentTypeRef::Component(_)) {
                        return passed_on();
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                names(sums, section.count())?;
                for export in section.clone() {
                    let export = export?;
                    if export.kind == ComponentExternalKind::Component {
                        self.again(0, export.index);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn types(&mut self, count: u32) -> Result<(), Found> {
        raise(&mut self.sums.types, count, "types", self.most.types)
    }

    fn functions(&mut self, count: u32) -> Result<(), Found> {
        raise(&mut self.sums.functions, count, "functions", self.most.functions)
    }

    fn enter(&mut self, level: Level) -> Result<(), Found> {
        self.levels.push(level);
        // The file itself is one of them.
        at_most("levels of nesting", self.levels.len() as u64 - 1, self.most.depth)
    }

    /// A component that ended is the next of its parent's index space.
    fn leave(&mut self) {
        if let Some(Level::Component(ended)) = self.levels.pop()
            && let Some(Level::Component(parent)) = self.levels.last_mut()
        {
            parent.components.push(ended.instances.saturating_add(1));
        }
    }

    fn instances(&mut self, count: u64) -> Result<(), Found> {
        let Some(Level::Component(inside)) = self.levels.last_mut() else { return Ok(()) };
        inside.instances = inside.instances.saturating_add(count);
        at_most("instances", inside.instances, self.most.instances)
    }

    /// An instance of a component is one of all that it instantiates, again and again: twenty levels of two make a million.
    fn component_instances(&mut self, section: &SectionLimited<'_, ComponentInstance<'_>>) -> Result<(), Found> {
        for instance in section.clone() {
            let made = match (instance?, self.levels.last()) {
                (ComponentInstance::Instantiate { component_index, .. }, Some(Level::Component(inside))) => {
                    // An index that leads nowhere is the validator's to refuse.
                    inside.components.get(component_index as usize).copied().unwrap_or(1)
                }
                _ => 1,
            };
            self.instances(made)?;
        }
        Ok(())
    }

    fn aliases(&mut self, section: &SectionLimited<'_, ComponentAlias<'_>>) -> Result<(), Found> {
        for alias in section.clone() {
            match alias? {
                ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                    self.again(count, index);
                }
                ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => return passed_on(),
                _ => {}
            }
        }
        Ok(())
    }

    /// A component of this level or of one further out is in this index space once more.
    fn again(&mut self, levels_out: u32, index: u32) {
        let place = self.levels.len().checked_sub(1 + levels_out as usize);
        let known = match place.and_then(|place| self.levels.get(place)) {
            Some(Level::Component(outer)) => outer.components.get(index as usize).copied(),
            _ => None,
        };
        if let Some(Level::Component(inside)) = self.levels.last_mut() {
            inside.components.push(known.unwrap_or(1));
        }
    }
}

/// What an instance of such a component costs is known only once it is made.
fn passed_on() -> Result<(), Found> {
    Err(Found::TooMuch { what: "components that are handed to other components", found: 1, limit: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str, most: &Most) -> Option<String> {
        let bytes = wat::parse_str(text).expect("the text is a component");
        check_against(&bytes, most).err().map(|fault| fault.to_string())
    }

    /// A limit of three of everything.
    const FEW: Most = Most {
        depth: 3,
        modules: 3,
        components: 3,
        instances: 3,
        types: 3,
        functions: 3,
        names: 3,
        function_bytes: 8,
        code_bytes: 16,
    };

    #[test]
    fn everything_is_counted_through_all_levels() {
        let times = |count: usize, what: &str| format!("(component {})", what.repeat(count));
        let check = |what: &str, expect: &str| {
            assert_eq!(fault(&times(3, what), &FEW), None, "{what}");
            let said = fault(&times(4, what), &FEW).unwrap_or_default();
            assert!(said.starts_with(&format!("has 4 {expect}, more than the 3 that")), "{what}: {said}");
        };
        check("(core module)", "modules");
        check("(component)", "components inside it");
        check("(type u8)", "types");
        check("(core instance)", "instances");
        let functions = |count: usize| format!("(component (core module (func) {}))", "(func)".repeat(count - 1));
        assert_eq!(fault(&functions(3), &FEW), None);
        assert!(fault(&functions(4), &FEW).is_some_and(|said| said.starts_with("has 4 functions")));
    }

    #[test]
    fn nesting_and_long_functions_end() {
        let nested = |depth: usize| format!("{}{}", "(component ".repeat(depth + 1), ")".repeat(depth + 1));
        let few = Most { components: 100, ..FEW };
        assert_eq!(fault(&nested(3), &few), None);
        assert!(fault(&nested(4), &few).is_some_and(|said| said.starts_with("has 4 levels of nesting")));
        let long = |nops: usize| format!("(component (core module (func {})))", "nop ".repeat(nops));
        assert_eq!(fault(&long(6), &FEW), None);
        assert!(fault(&long(7), &FEW).is_some_and(|said| said.starts_with("has 9 bytes of code in one function")));
    }

    /// Each level instantiates the one below twice.
    fn doubling(levels: usize) -> String {
        let mut text = "(component $c0)".to_owned();
        for level in 1..=levels {
            let below = level - 1;
            text = format!(
                "(component $c{level} {text} (instance (instantiate $c{below})) (instance (instantiate $c{below})))"
            );
        }
        text
    }

    #[test]
    fn instances_of_instances_multiply() {
        // 2 + 4 + … + 2^levels.
        assert_eq!(check(&wat::parse_str(doubling(9)).expect("a component")), Ok(()));
        let said = check(&wat::parse_str(doubling(10)).expect("a component")).expect_err("2046 instances").to_string();
        assert!(said.contains("instances, more than the 1024 that"), "{said}");
    }

    #[test]
    fn a_component_by_another_name_counts_as_itself() {
        let few = Most { components: 100, ..FEW };
        let inner = "(component $two (core instance) (core instance))";
        let by_alias = format!(
            "(component $top {inner} (component (alias outer $top $two (component $t)) (instance (instantiate $t)) (instance (instantiate $t))))"
        );
        assert!(fault(&by_alias, &few).is_some_and(|said| said.contains("instances, more than the 3")));
        let handed = "(component (component (import \"c\" (component))))";
        assert!(fault(handed, &few).is_some_and(|said| said.contains("handed to other components")));
    }
}
