//! Tokens to the tree: statements. Expressions are in `expressions`.

use super::fault::{Fault, Outcome, fail};
use super::lexer::tokens;
use super::symbols;
use super::syntax::{Body, Name, Statement, StatementKind};
use super::token::{Symbol, Token};

/// How deep the tree of a template is: statements and expressions in each other, and operations in a row. Python's own compiler
/// stops earlier.
const DEPTH_MAX: usize = 400;

/// The tree of a template.
pub(super) fn parse(source: &str) -> Outcome<Body> {
    let mut parser = Parser {
        tokens: tokens(source)?,
        place: 0,
        depth: 0,
        loops: 0,
        is_conditional: false,
        unknown: Vec::new(),
        reads: Vec::new(),
        blocks: Vec::new(),
    };
    let mut body = parser.body(&[]).map_err(|fault| fault.at(parser.line()))?;
    if !parser.unknown.is_empty() {
        return Err(parser.unknown.swap_remove(0));
    }
    symbols::resolve(&mut body);
    Ok(body)
}

pub(super) struct Parser {
    tokens: Vec<(u32, Token)>,
    place: usize,
    depth: usize,
    /// Loops around this statement, within the same macro.
    pub(super) loops: usize,
    /// Under an `if`, where an unknown filter matters only once it is reached.
    pub(super) is_conditional: bool,
    /// Filters and tests that do not exist.
    pub(super) unknown: Vec<Fault>,
    /// Special names that the macros around read.
    pub(super) reads: Vec<Reads>,
    pub(super) blocks: Vec<Name>,
}

/// Which special names a body reads.
#[derive(Clone, Copy, Default)]
pub(super) struct Reads {
    pub(super) caller: bool,
    pub(super) kwargs: bool,
    pub(super) varargs: bool,
}

impl Parser {
    pub(super) fn token(&self) -> &Token {
        &self.tokens[self.place].1
    }

    pub(super) fn look(&self) -> &Token {
        &self.tokens[(self.place + 1).min(self.tokens.len() - 1)].1
    }

    pub(super) fn line(&self) -> u32 {
        self.tokens[self.place].0
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.token().clone();
        self.place = (self.place + 1).min(self.tokens.len() - 1);
        token
    }

    pub(super) fn is_symbol(&self, symbol: Symbol) -> bool {
        *self.token() == Token::Symbol(symbol)
    }

    pub(super) fn is_name(&self, word: &str) -> bool {
        matches!(self.token(), Token::Name(name) if **name == *word)
    }

    pub(super) fn skip_symbol(&mut self, symbol: Symbol) -> bool {
        let found = self.is_symbol(symbol);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn skip_name(&mut self, word: &str) -> bool {
        let found = self.is_name(word);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn expect(&mut self, token: &Token) -> Outcome<()> {
        if self.token() == token {
            self.next();
            return Ok(());
        }
        if *self.token() == Token::End {
            fail!("unexpected end of template, expected '{}'", token.describe());
        }
        fail!("expected token '{}', got '{}'", token.describe(), self.token().describe())
    }

    pub(super) fn expect_name(&mut self) -> Outcome<Name> {
        if let Token::Name(name) = self.token() {
            let name = name.clone();
            self.next();
            return Ok(name);
        }
        fail!("expected token 'name', got '{}'", self.token().describe())
    }

    /// Goes one level deeper, up to the limit.
    pub(super) fn enter(&mut self) -> Outcome<()> {
        self.depth += 1;
        if self.depth <= DEPTH_MAX {
            return Ok(());
        }
        Err(Fault::limit(format!(
            "nests statements, expressions and operations more than {DEPTH_MAX} deep, a limit that nothing raises; split them"
        )))
    }

    pub(super) fn leave(&mut self, levels: usize) {
        self.depth -= levels;
    }

    /// Parses one level deeper.
    pub(super) fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        self.enter()?;
        let result = parse(self).map_err(|fault| fault.at(self.line()));
        self.leave(1);
        result
    }

    /// Notes that this name is read.
    pub(super) fn reads(&mut self, name: &str) {
        for reads in &mut self.reads {
            match name {
                "caller" => reads.caller = true,
                "kwargs" => reads.kwargs = true,
                "varargs" => reads.varargs = true,
                _ => {}
            }
        }
    }

    /// Statements up to the tag of one of these words, which stays.
    fn body(&mut self, ends: &[&str]) -> Outcome<Body> {
        let mut statements = Vec::new();
        loop {
            let line = self.line();
            match self.next() {
                Token::Data(text) => statements.push(Statement { line, kind: StatementKind::Data(text) }),
                Token::VariableBegin => {
                    let value = self.tuple()?;
                    self.expect(&Token::VariableEnd)?;
                    statements.push(Statement { line, kind: StatementKind::Print(vec![value]) });
                }
                Token::BlockBegin => {
                    if ends.iter().any(|end| self.is_name(end)) {
                        return Ok(Body { statements, ..Body::default() });
                    }
                    let kind = self.deeper(|parser| parser.statement(ends))?;
                    self.expect(&Token::BlockEnd)?;
                    statements.push(Statement { line, kind });
                }
                Token::End if ends.is_empty() => return Ok(Body { statements, ..Body::default() }),
                Token::End => fail!("unexpected end of template; looking for {}", ends.join(" or ")),
                other => fail!("unexpected '{}'", other.describe()),
            }
        }
    }

    /// The rest of a tag, and statements up to one of these words, which stays.
    pub(super) fn block(&mut self, ends: &[&str]) -> Outcome<Body> {
        self.skip_symbol(Symbol::Colon);
        self.expect(&Token::BlockEnd)?;
        self.body(ends)
    }

    pub(super) fn closed_block(&mut self, end: &str) -> Outcome<Body> {
        let body = self.block(&[end])?;
        self.next();
        Ok(body)
    }

    /// A body that Python compiles into a function of its own: `break` does not leave it.
    pub(super) fn separate<T>(&mut self, parse: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        let outer = (std::mem::take(&mut self.loops), std::mem::take(&mut self.is_conditional));
        let result = parse(self);
        (self.loops, self.is_conditional) = outer;
        result
    }

    pub(super) fn conditional<T>(&mut self, parse: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        let outer = std::mem::replace(&mut self.is_conditional, true);
        let result = parse(self);
        self.is_conditional = outer;
        result
    }

    pub(super) fn unconditional<T>(&mut self, parse: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        let outer = std::mem::take(&mut self.is_conditional);
        let result = parse(self);
        self.is_conditional = outer;
        result
    }
}
