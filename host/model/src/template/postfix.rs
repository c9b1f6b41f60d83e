//! Tokens to the tree: what follows a value. Attributes, subscripts, calls, filters and tests.

use super::expressions::expression_at;
use super::fault::{Fault, Outcome, fail};
use super::parser::Parser;
use super::syntax::{Arguments, Expression, ExpressionKind};
use super::token::{Symbol, Token};
use super::{checks, filters};

impl Parser {
    pub(super) fn postfix(&mut self, mut value: Expression) -> Outcome<Expression> {
        let mut chain = 0;
        loop {
            let line = self.line();
            let kind = if self.skip_symbol(Symbol::Dot) {
                match self.next() {
                    Token::Name(name) => ExpressionKind::Attribute(Box::new(value), name),
                    Token::Integer(number) => ExpressionKind::Item(
                        Box::new(value),
                        Box::new(expression_at(line, ExpressionKind::Integer(number))),
                    ),
                    _ => fail!("expected name or number"),
                }
            } else if self.is_symbol(Symbol::LeftBracket) {
                self.subscript(value)?
            } else if self.is_symbol(Symbol::LeftParenthesis) {
                ExpressionKind::Call(Box::new(value), self.arguments()?)
            } else {
                self.leave(chain);
                return Ok(value);
            };
            self.count(&mut chain)?;
            value = expression_at(line, kind);
        }
    }

    fn subscript(&mut self, value: Expression) -> Outcome<ExpressionKind> {
        self.next();
        let line = self.line();
        let is_end = |parser: &Self| parser.is_symbol(Symbol::RightBracket) || parser.is_symbol(Symbol::Comma);
        let first = if self.is_symbol(Symbol::Colon) { None } else { Some(Box::new(self.expression()?)) };
        if !self.is_symbol(Symbol::Colon) {
            let Some(first) = first else { fail!("expected subscript expression") };
            if !self.is_symbol(Symbol::Comma) {
                self.expect(&Token::Symbol(Symbol::RightBracket))?;
                return Ok(ExpressionKind::Item(Box::new(value), first));
            }
            let mut items = vec![*first];
            while self.skip_symbol(Symbol::Comma) {
                items.push(self.expression()?);
            }
            self.expect(&Token::Symbol(Symbol::RightBracket))?;
            return Ok(ExpressionKind::Item(
                Box::new(value),
                Box::new(expression_at(line, ExpressionKind::Tuple(items))),
            ));
        }
        self.next();
        let mut bounds = [first, None, None];
        if !self.is_symbol(Symbol::Colon) && !is_end(self) {
            bounds[1] = Some(Box::new(self.expression()?));
        }
        if self.skip_symbol(Symbol::Colon) && !is_end(self) {
            bounds[2] = Some(Box::new(self.expression()?));
        }
        if self.is_symbol(Symbol::Comma) {
            fail!("a slice in a tuple of subscripts is not supported");
        }
        self.expect(&Token::Symbol(Symbol::RightBracket))?;
        Ok(ExpressionKind::Slice(Box::new(value), bounds))
    }

    fn arguments(&mut self) -> Outcome<Arguments> {
        self.next();
        let mut arguments = Arguments::default();
        let mut is_first = true;
        while !self.is_symbol(Symbol::RightParenthesis) {
            if !is_first {
                self.expect(&Token::Symbol(Symbol::Comma))?;
                if self.is_symbol(Symbol::RightParenthesis) {
                    break;
                }
            }
            is_first = false;
            if arguments.more_named.is_some() {
                fail!("invalid syntax for function call expression");
            }
            let is_named = matches!(self.token(), Token::Name(_)) && *self.look() == Token::Symbol(Symbol::Assign);
            if self.skip_symbol(Symbol::Mul) {
                if arguments.more_positional.is_some() {
                    fail!("invalid syntax for function call expression");
                }
                arguments.more_positional = Some(Box::new(self.expression()?));
            } else if self.skip_symbol(Symbol::Pow) {
                arguments.more_named = Some(Box::new(self.expression()?));
            } else if is_named {
                let name = self.expect_name()?;
                self.next();
                if arguments.named.iter().any(|(other, _)| *other == name) {
                    fail!("keyword argument repeated: {name}");
                }
                arguments.named.push((name, self.expression()?));
            } else {
                if arguments.more_positional.is_some() || !arguments.named.is_empty() {
                    fail!("invalid syntax for function call expression");
                }
                arguments.positional.push(self.expression()?);
            }
        }
        self.next();
        Ok(arguments)
    }

    pub(super) fn filter_expression(&mut self, mut value: Expression) -> Outcome<Expression> {
        let mut chain = 0;
        loop {
            let line = self.line();
            if self.is_symbol(Symbol::Pipe) {
                value = self.filters(value, false)?;
            } else if self.is_name("is") {
                value = self.test(value)?;
            } else if self.is_symbol(Symbol::LeftParenthesis) {
                value = expression_at(line, ExpressionKind::Call(Box::new(value), self.arguments()?));
            } else {
                self.leave(chain);
                return Ok(value);
            }
            self.count(&mut chain)?;
        }
    }

    fn dotted_name(&mut self) -> Outcome<String> {
        let mut name = self.expect_name()?.to_string();
        while self.skip_symbol(Symbol::Dot) {
            name = name + "." + &self.expect_name()?;
        }
        Ok(name)
    }

    /// Filters in a row; the first one of a filter block has no `|` before it.
    pub(super) fn filters(&mut self, mut value: Expression, mut is_inline: bool) -> Outcome<Expression> {
        let mut chain = 0;
        while is_inline || self.is_symbol(Symbol::Pipe) {
            self.count(&mut chain)?;
            if !is_inline {
                self.next();
            }
            is_inline = false;
            let line = self.line();
            let name = self.dotted_name()?;
            if !self.is_conditional && !filters::is_known(&name) {
                self.unknown.push(Fault::new(format!("No filter named '{name}'")).at(line));
            }
            let arguments =
                if self.is_symbol(Symbol::LeftParenthesis) { self.arguments()? } else { Arguments::default() };
            value = expression_at(line, ExpressionKind::Filter(Box::new(value), name.into(), arguments));
        }
        self.leave(chain);
        Ok(value)
    }

    fn test(&mut self, value: Expression) -> Outcome<Expression> {
        self.next();
        let line = self.line();
        let is_negated = self.skip_name("not");
        let name = self.dotted_name()?;
        if !self.is_conditional && !checks::is_known(&name) {
            self.unknown.push(Fault::new(format!("No test named '{name}'")).at(line));
        }
        let mut arguments = Arguments::default();
        if self.is_symbol(Symbol::LeftParenthesis) {
            arguments = self.arguments()?;
        } else if self.begins_argument() {
            if self.is_name("is") {
                fail!("You cannot chain multiple tests with is");
            }
            let argument = self.primary()?;
            arguments.positional.push(self.postfix(argument)?);
        }
        let test = expression_at(line, ExpressionKind::Test(Box::new(value), name.into(), arguments));
        Ok(if is_negated { expression_at(line, ExpressionKind::Not(Box::new(test))) } else { test })
    }

    fn begins_argument(&self) -> bool {
        match self.token() {
            Token::Name(name) => !matches!(&**name, "else" | "or" | "and"),
            Token::Text(_) | Token::Integer(_) | Token::Float(_) => true,
            Token::Symbol(symbol) => matches!(symbol, Symbol::LeftBracket | Symbol::LeftBrace),
            _ => false,
        }
    }
}
