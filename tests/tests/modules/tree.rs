//! The modules of a crate as its files declare them: which names each has, and which file a path leads to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, ImplItemFn, Item, ItemUse, Meta, UseTree, Visibility};

/// A path of names: `["crate", "error", "Error"]`.
pub(crate) type Names = Vec<String>;

/// What a name of a module stands for.
#[derive(Clone, Debug)]
enum Binding {
    /// Something that the module's own file defines.
    Own,
    /// A module below it.
    Module(usize),
    /// What a path leads to that was imported, seen from the module.
    Import(Names),
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// A module.
    Module(usize),
    /// An item, by the file that defines it and its name there.
    Item(usize, String),
}

/// A module: one of a file, or one that stands inside of it.
pub(crate) struct Module {
    /// Its file, counted from 0.
    pub(crate) file: usize,
    parent: Option<usize>,
    /// A name may be a module and a function.
    names: BTreeMap<String, Vec<Binding>>,
    globs: Vec<Names>,
    /// What stands in it, without modules and tests.
    pub(crate) items: Vec<Item>,
    /// Paths imported for its own use. What is only passed on says nothing of what the file needs.
    pub(crate) imports: Vec<Names>,
}

/// All modules below one `lib.rs` or `main.rs`.
#[derive(Default)]
pub(crate) struct Tree {
    /// The files, the root first.
    pub(crate) files: Vec<PathBuf>,
    /// The modules, the root first.
    pub(crate) modules: Vec<Module>,
}

impl Tree {
    /// Reads every file that belongs to the crate.
    pub(crate) fn read(root: &Path) -> Self {
        let mut tree = Self::default();
        let folder = root.parent().expect("a folder").to_owned();
        tree.read_file(root.to_owned(), &folder, None);
        tree
    }

    /// `below`: where files of the modules that it declares lie.
    fn read_file(&mut self, path: PathBuf, below: &Path, parent: Option<usize>) -> usize {
        let text = std::fs::read_to_string(&path).expect("a module's file");
        let parsed = syn::parse_file(&text).expect("what compiles can be read");
        self.files.push(path);
        self.add(parsed.items, self.files.len() - 1, below, parent)
    }

    fn add(&mut self, items: Vec<Item>, file: usize, below: &Path, parent: Option<usize>) -> usize {
        let index = self.modules.len();
        let (names, globs) = (BTreeMap::new(), Vec::new());
        self.modules.push(Module { file, parent, names, globs, items: Vec::new(), imports: Vec::new() });
        for item in items.into_iter().filter(|item| !is_test(attributes(item))) {
            match item {
                Item::Mod(module) => {
                    let name = plain(&module.ident);
                    let folder = below.join(&name);
                    let child = if let Some((_, items)) = module.content {
                        self.add(items, file, &folder, Some(index))
                    } else {
                        let beside = below.join(format!("{name}.rs"));
                        let path = if beside.is_file() { beside } else { folder.join("mod.rs") };
                        self.read_file(path, &folder, Some(index))
                    };
                    self.bind(index, name, Binding::Module(child));
                }
                Item::Use(import) => self.import(index, &import),
                item => {
                    if let Some(name) = name(&item) {
                        self.bind(index, name, Binding::Own);
                    }
                    let mut inside = Imports(Vec::new());
                    inside.visit_item(&item);
                    inside.0.iter().for_each(|import| self.import(index, import));
                    self.modules[index].items.push(item);
                }
            }
        }
        index
    }

    fn import(&mut self, module: usize, import: &ItemUse) {
        let mut paths = Vec::new();
        flatten(&import.tree, &Vec::new(), &mut paths);
        let is_passed_on = !matches!(import.vis, Visibility::Inherited);
        for (path, name) in paths {
            match name {
                Some(name) => self.bind(module, name, Binding::Import(path.clone())),
                None => self.modules[module].globs.push(path.clone()),
            }
            if !is_passed_on {
                self.modules[module].imports.push(path);
            }
        }
    }

    fn bind(&mut self, module: usize, name: String, binding: Binding) {
        self.modules[module].names.entry(name).or_default().push(binding);
    }

    /// What a path leads to, through everything that passes it on. Empty: another crate's, a variable, or a built-in name.
    pub(crate) fn resolve(&self, module: usize, path: &[String]) -> BTreeSet<Target> {
        self.follow(module, path, &mut BTreeSet::new())
    }

    fn follow(&self, module: usize, path: &[String], seen: &mut BTreeSet<(usize, String)>) -> BTreeSet<Target> {
        let mut path = path.iter().peekable();
        let mut here = module;
        let mut is_anchored = false;
        while let Some(step) = path.next_if(|name| matches!(name.as_str(), "crate" | "$crate" | "self" | "super")) {
            is_anchored = true;
            match step.as_str() {
                "self" => {}
                "super" => here = self.modules[here].parent.unwrap_or(here),
                _ => here = 0,
            }
        }
        let mut targets = BTreeSet::from([Target::Module(here)]);
        for (depth, name) in path.enumerate() {
            // What a path goes on from is the module, where a function has the same name.
            if targets.iter().any(|target| matches!(target, Target::Module(_))) {
                targets.retain(|target| matches!(target, Target::Module(_)));
            }
            targets = targets
                .into_iter()
                .flat_map(|target| match target {
                    Target::Module(at) if name == "self" => BTreeSet::from([Target::Module(at)]),
                    Target::Module(at) => self.look_up(at, name, seen),
                    item @ Target::Item(..) => BTreeSet::from([item]),
                })
                .collect();
            is_anchored |= depth == 0;
        }
        if is_anchored { targets } else { BTreeSet::new() }
    }

    fn look_up(&self, module: usize, name: &str, seen: &mut BTreeSet<(usize, String)>) -> BTreeSet<Target> {
        if !seen.insert((module, name.to_owned())) {
            return BTreeSet::new();
        }
        let at = &self.modules[module];
        let mut found = BTreeSet::new();
        for binding in at.names.get(name).into_iter().flatten() {
            match binding {
                Binding::Own => _ = found.insert(Target::Item(at.file, name.to_owned())),
                Binding::Module(child) => _ = found.insert(Target::Module(*child)),
                Binding::Import(path) => found.extend(self.follow(module, path, seen)),
            }
        }
        if found.is_empty() {
            for glob in &at.globs {
                for target in self.follow(module, glob, seen) {
                    if let Target::Module(of) = target {
                        found.extend(self.look_up(of, name, seen));
                    }
                }
            }
        }
        seen.remove(&(module, name.to_owned()));
        found
    }
}

/// What is imported inside of functions.
struct Imports(Vec<ItemUse>);

impl Visit<'_> for Imports {
    fn visit_item_use(&mut self, import: &ItemUse) {
        self.0.push(import.clone());
    }

    fn visit_impl_item_fn(&mut self, function: &ImplItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }
}

/// `r#loop` lies in `loop.rs`.
pub(crate) fn plain(ident: &syn::Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").unwrap_or(&name).to_owned()
}

/// Every path that a `use` names, with the name it gets here; none is everything below it.
fn flatten(tree: &UseTree, before: &Names, paths: &mut Vec<(Names, Option<String>)>) {
    let with = |name: &syn::Ident| before.iter().cloned().chain([plain(name)]).collect::<Names>();
    match tree {
        UseTree::Path(path) => flatten(&path.tree, &with(&path.ident), paths),
        UseTree::Name(name) if name.ident == "self" => paths.push((before.clone(), before.last().cloned())),
        UseTree::Name(name) => paths.push((with(&name.ident), Some(plain(&name.ident)))),
        UseTree::Rename(name) => paths.push((with(&name.ident), Some(plain(&name.rename)))),
        UseTree::Glob(_) => paths.push((before.clone(), None)),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before, paths)),
    }
}

/// Whether something is there in tests alone.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && matches!(&attribute.meta, Meta::List(list) if list.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test")))
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(plain(ident))
}
