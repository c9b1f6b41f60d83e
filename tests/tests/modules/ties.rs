//! Which file of a crate takes which names from which other one.

use std::collections::{BTreeMap, BTreeSet};

use syn::buffer::{Cursor, TokenBuffer};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItemFn, ItemUse, Macro, PatIdent, Visibility};

use super::tree::{Names, Target, Tree, is_test, plain};

/// From a file and to a file: the names that the first takes from the second.
pub(crate) type Ties = BTreeMap<(usize, usize), BTreeSet<String>>;

/// All ties of a crate.
pub(crate) fn ties(tree: &Tree) -> Ties {
    let mut ties = Ties::new();
    for (index, module) in tree.modules.iter().enumerate() {
        let mut paths = Paths { named: module.imports.clone() };
        for item in &module.items {
            let mut variables = Variables::default();
            variables.visit_item(item);
            let mut paths_of_item = Paths { named: Vec::new() };
            paths_of_item.visit_item(item);
            // A variable hides what is imported under its name.
            paths.named.extend(paths_of_item.named.into_iter().filter(|path| !variables.hide(path)));
        }
        for path in &paths.named {
            for target in tree.resolve(index, path) {
                // To name a module is to take nothing from it yet.
                if let Target::Item(file, name) = target
                    && file != module.file
                {
                    ties.entry((module.file, file)).or_default().insert(name);
                }
            }
        }
    }
    ties
}

/// Every path that code names.
struct Paths {
    named: Vec<Names>,
}

impl Paths {
    /// Paths in what is given to a macro, which nobody has parsed.
    fn tokens(&mut self, mut cursor: Cursor<'_>) {
        let mut path = Names::new();
        let mut is_field = false;
        while !cursor.eof() {
            if let Some((name, next)) = cursor.ident() {
                // A name behind a dot is a field or a method.
                if !is_field {
                    path.push(plain(&name));
                }
                cursor = next;
                match colons(cursor) {
                    Some(after) if !is_field => cursor = after,
                    _ => self.end(&mut path),
                }
                is_field = false;
            } else if let Some((inside, _, _, next)) = cursor.any_group() {
                self.end(&mut path);
                self.tokens(inside);
                (cursor, is_field) = (next, false);
            } else {
                self.end(&mut path);
                is_field = cursor.punct().is_some_and(|(punct, _)| punct.as_char() == '.');
                let Some((_, next)) = cursor.token_tree() else { break };
                cursor = next;
            }
        }
        self.end(&mut path);
    }

    fn end(&mut self, path: &mut Names) {
        if !path.is_empty() {
            self.named.push(std::mem::take(path));
        }
    }
}

/// Names of variables.
#[derive(Default)]
struct Variables(BTreeSet<String>);

impl Variables {
    fn hide(&self, path: &[String]) -> bool {
        matches!(path, [name] if self.0.contains(name))
    }
}

impl Visit<'_> for Variables {
    fn visit_pat_ident(&mut self, variable: &PatIdent) {
        self.0.insert(plain(&variable.ident));
        visit::visit_pat_ident(self, variable);
    }
}

/// What is behind `::`.
fn colons(cursor: Cursor<'_>) -> Option<Cursor<'_>> {
    let (first, next) = cursor.punct()?;
    let (second, next) = next.punct()?;
    (first.as_char() == ':' && second.as_char() == ':').then_some(next)
}

impl Visit<'_> for Paths {
    fn visit_path(&mut self, path: &syn::Path) {
        self.named.push(path.segments.iter().map(|segment| plain(&segment.ident)).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invocation: &Macro) {
        self.visit_path(&invocation.path);
        self.tokens(TokenBuffer::new2(invocation.tokens.clone()).begin());
    }

    /// Imports belong to their module.
    fn visit_item_use(&mut self, _: &ItemUse) {}

    fn visit_impl_item_fn(&mut self, function: &ImplItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    /// Documentation may name whatever it likes.
    fn visit_attribute(&mut self, _: &Attribute) {}

    /// `pub(in crate::x)` takes nothing from `x`.
    fn visit_visibility(&mut self, _: &Visibility) {}
}
