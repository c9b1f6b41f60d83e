//! Tokens to the tree: the statements, by their tags.

use std::sync::Arc;

use super::fault::{Outcome, fail};
use super::parser::{Parser, Reads};
use super::syntax::{Body, Expression, ExpressionKind, For, Macro, Name, StatementKind, Target};
use super::token::{Symbol, Token};

impl Parser {
    pub(super) fn statement(&mut self, ends: &[&str]) -> Outcome<StatementKind> {
        let Token::Name(tag) = self.token().clone() else { fail!("tag name expected") };
        self.next();
        match &*tag {
            "if" => self.conditional(Self::conditions),
            "for" => self.for_loop(),
            "set" => self.set(),
            "with" => self.with(),
            "macro" => self.macro_definition(),
            "call" => self.call_block(),
            "filter" => self.unconditional(|parser| {
                let filter = parser.filters(Expression { line: parser.line(), kind: ExpressionKind::Body }, true)?;
                Ok(StatementKind::Filter(filter, parser.closed_block("endfilter")?))
            }),
            "print" => {
                let mut values = Vec::new();
                while *self.token() != Token::BlockEnd {
                    if !values.is_empty() {
                        self.expect(&Token::Symbol(Symbol::Comma))?;
                    }
                    values.push(self.expression()?);
                }
                Ok(StatementKind::Print(values))
            }
            "block" => self.named_block(),
            "generation" => {
                // transformers makes it the body of a `call`.
                Ok(StatementKind::Generation(self.macro_body(None, Vec::new(), "endgeneration")?))
            }
            "break" | "continue" if self.loops == 0 => fail!("'{tag}' outside a loop"),
            "break" => Ok(StatementKind::Break),
            "continue" => Ok(StatementKind::Continue),
            "include" | "import" | "from" | "extends" => {
                fail!("the tag '{tag}' needs a second template, but a chat template stands alone")
            }
            "autoescape" => fail!("the tag 'autoescape' is not supported; write the text without it"),
            _ if ends.is_empty() => fail!("unknown tag '{tag}'"),
            _ => fail!("unknown tag '{tag}'; looking for {}", ends.join(" or ")),
        }
    }

    fn conditions(&mut self) -> Outcome<StatementKind> {
        let mut branches = Vec::new();
        loop {
            let condition = self.tuple_without_condition(&[])?;
            let body = self.block(&["elif", "else", "endif"])?;
            branches.push((condition, body));
            if self.skip_name("elif") {
                continue;
            }
            let otherwise = if self.skip_name("else") { self.block(&["endif"])? } else { Body::default() };
            self.next();
            return Ok(StatementKind::If { branches, otherwise });
        }
    }

    fn for_loop(&mut self) -> Outcome<StatementKind> {
        let target = self.target(&["in"], false)?;
        refuse_loop_as_target(&target)?;
        if !self.skip_name("in") {
            fail!("expected token 'in', got '{}'", self.token().describe());
        }
        let items = self.tuple_without_condition(&["recursive"])?;
        self.unconditional(|parser| {
            let condition = if parser.skip_name("if") { Some(parser.expression()?) } else { None };
            let is_recursive = parser.skip_name("recursive");
            parser.loops += 1;
            let body = parser.block(&["endfor", "else"])?;
            parser.loops -= 1;
            let otherwise = if parser.skip_name("else") { parser.block(&["endfor"])? } else { Body::default() };
            parser.next();
            Ok(StatementKind::For(Arc::new(For { target, items, condition, is_recursive, body, otherwise })))
        })
    }

    fn set(&mut self) -> Outcome<StatementKind> {
        let target = self.target(&[], true)?;
        if self.skip_symbol(Symbol::Assign) {
            return Ok(StatementKind::Set(target, self.tuple()?));
        }
        self.unconditional(|parser| {
            let filter = if parser.is_symbol(Symbol::Pipe) {
                Some(parser.filters(Expression { line: parser.line(), kind: ExpressionKind::Body }, false)?)
            } else {
                None
            };
            Ok(StatementKind::SetBlock(target, filter, parser.closed_block("endset")?))
        })
    }

    fn with(&mut self) -> Outcome<StatementKind> {
        let mut values = Vec::new();
        while *self.token() != Token::BlockEnd {
            if !values.is_empty() {
                self.expect(&Token::Symbol(Symbol::Comma))?;
            }
            let target = self.target(&[], false)?;
            self.expect(&Token::Symbol(Symbol::Assign))?;
            values.push((target, self.expression()?));
        }
        let body = self.unconditional(|parser| parser.closed_block("endwith"))?;
        Ok(StatementKind::With(values, body))
    }

    fn signature(&mut self) -> Outcome<Vec<(Name, Option<Expression>)>> {
        let mut parameters: Vec<(Name, Option<Expression>)> = Vec::new();
        self.expect(&Token::Symbol(Symbol::LeftParenthesis))?;
        while !self.is_symbol(Symbol::RightParenthesis) {
            if !parameters.is_empty() {
                self.expect(&Token::Symbol(Symbol::Comma))?;
            }
            let name = self.expect_name()?;
            if parameters.iter().any(|(other, _)| *other == name) {
                fail!("the parameter '{name}' stands twice in one macro");
            }
            let default = if self.skip_symbol(Symbol::Assign) { Some(self.expression()?) } else { None };
            if default.is_none() && parameters.last().is_some_and(|(_, default)| default.is_some()) {
                fail!("non-default argument follows default argument");
            }
            parameters.push((name, default));
        }
        self.next();
        Ok(parameters)
    }

    fn macro_body(
        &mut self,
        name: Option<Name>,
        parameters: Vec<(Name, Option<Expression>)>,
        end: &str,
    ) -> Outcome<Arc<Macro>> {
        self.reads.push(Reads::default());
        let body = self.separate(|parser| parser.closed_block(end));
        let reads = self.reads.pop().unwrap_or_default();
        let has = |word: &str| parameters.iter().find(|(name, _)| **name == *word);
        if reads.caller && has("caller").is_some_and(|(_, default)| default.is_none()) {
            fail!("the special parameter 'caller' of a macro must be left out or have a default");
        }
        Ok(Arc::new(Macro {
            name,
            reads_caller: reads.caller && has("caller").is_none(),
            reads_kwargs: reads.kwargs && has("kwargs").is_none(),
            reads_varargs: reads.varargs && has("varargs").is_none(),
            parameters,
            body: body?,
        }))
    }

    fn macro_definition(&mut self) -> Outcome<StatementKind> {
        let name = self.expect_name()?;
        let parameters = self.signature()?;
        Ok(StatementKind::Macro(self.macro_body(Some(name), parameters, "endmacro")?))
    }

    fn call_block(&mut self) -> Outcome<StatementKind> {
        let parameters = if self.is_symbol(Symbol::LeftParenthesis) { self.signature()? } else { Vec::new() };
        let call = self.expression()?;
        if !matches!(call.kind, ExpressionKind::Call(..)) {
            fail!("expected call");
        }
        Ok(StatementKind::Call(call, self.macro_body(None, parameters, "endcall")?))
    }

    fn named_block(&mut self) -> Outcome<StatementKind> {
        let name = self.expect_name()?;
        if self.is_name("scoped") || self.is_name("required") {
            fail!(
                "a block that is '{}' is not supported: no template extends a chat template",
                self.token().describe()
            );
        }
        if self.blocks.contains(&name) {
            fail!("block '{name}' defined twice");
        }
        self.blocks.push(name.clone());
        // What a block reads is nothing that the macros around it are given.
        let outer = std::mem::take(&mut self.reads);
        let body = self.separate(|parser| parser.closed_block("endblock"));
        self.reads = outer;
        self.skip_name(&name);
        Ok(StatementKind::Block(name, Arc::new(body?)))
    }

    /// What a value is assigned to.
    fn target(&mut self, ends: &[&str], with_namespace: bool) -> Outcome<Target> {
        let mut targets = Vec::new();
        let mut is_tuple = false;
        loop {
            if ends.iter().any(|end| self.is_name(end))
                || matches!(self.token(), Token::BlockEnd | Token::Symbol(Symbol::RightParenthesis))
            {
                break;
            }
            targets.push(self.single_target(with_namespace)?);
            if !self.skip_symbol(Symbol::Comma) {
                break;
            }
            is_tuple = true;
        }
        match targets.pop() {
            Some(target) if !is_tuple => Ok(target),
            Some(target) => {
                targets.push(target);
                Ok(Target::Several(targets))
            }
            None => fail!("Expected an expression, got '{}'", self.token().describe()),
        }
    }

    fn single_target(&mut self, with_namespace: bool) -> Outcome<Target> {
        if self.skip_symbol(Symbol::LeftParenthesis) {
            let target = self.deeper(|parser| parser.target(&[], with_namespace))?;
            self.expect(&Token::Symbol(Symbol::RightParenthesis))?;
            return Ok(target);
        }
        let Token::Name(name) = self.token().clone() else {
            fail!("can't assign to '{}'", self.token().describe());
        };
        self.next();
        if matches!(&*name, "true" | "false" | "none" | "True" | "False" | "None") {
            fail!("can't assign to '{name}'");
        }
        if with_namespace && self.skip_symbol(Symbol::Dot) {
            return Ok(Target::Attribute(name, self.expect_name()?));
        }
        Ok(Target::Name(name))
    }
}

fn refuse_loop_as_target(target: &Target) -> Outcome<()> {
    match target {
        Target::Name(name) if **name == *"loop" => fail!("Can't assign to special loop variable in for-loop target"),
        Target::Several(targets) => targets.iter().try_for_each(refuse_loop_as_target),
        _ => Ok(()),
    }
}
