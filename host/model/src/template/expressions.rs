//! Tokens to the tree: expressions, with the precedences of `jinja2.parser`.

use super::fault::{Fault, Outcome, fail};
use super::lexer::{Symbol, Token};
use super::parser::Parser;
use super::syntax::{Arguments, Arithmetic, Comparison, Expression, ExpressionKind};
use super::{checks, filters};

fn boxed(line: u32, kind: ExpressionKind) -> Expression {
    Expression { line, kind }
}

fn arithmetic(symbol: Symbol) -> Option<Arithmetic> {
    Some(match symbol {
        Symbol::Add => Arithmetic::Add,
        Symbol::Sub => Arithmetic::Subtract,
        Symbol::Mul => Arithmetic::Multiply,
        Symbol::Div => Arithmetic::Divide,
        Symbol::FloorDiv => Arithmetic::FloorDivide,
        Symbol::Mod => Arithmetic::Modulo,
        Symbol::Pow => Arithmetic::Power,
        _ => return None,
    })
}

fn comparison(symbol: Symbol) -> Option<Comparison> {
    Some(match symbol {
        Symbol::Equal => Comparison::Equal,
        Symbol::NotEqual => Comparison::NotEqual,
        Symbol::Less => Comparison::Less,
        Symbol::LessEqual => Comparison::LessEqual,
        Symbol::Greater => Comparison::Greater,
        Symbol::GreaterEqual => Comparison::GreaterEqual,
        _ => return None,
    })
}

impl Parser {
    /// One more operation in a row makes the tree one level deeper.
    fn count(&mut self, chain: &mut usize) -> Outcome<()> {
        *chain += 1;
        self.enter()
    }

    pub(super) fn expression(&mut self) -> Outcome<Expression> {
        self.deeper(Self::conditional_expression)
    }

    fn conditional_expression(&mut self) -> Outcome<Expression> {
        let line = self.line();
        let unknown = self.unknown.len();
        let mut then = self.or()?;
        let mut chain = 0;
        while self.skip_name("if") {
            self.count(&mut chain)?;
            // What stands under a condition matters only once it is reached.
            self.unknown.truncate(unknown);
            let outer = std::mem::replace(&mut self.is_conditional, true);
            let condition = self.or();
            let otherwise = if self.skip_name("else") { Some(self.deeper(Self::conditional_expression)) } else { None };
            self.is_conditional = outer;
            let otherwise = otherwise.transpose()?.map(Box::new);
            then = boxed(
                line,
                ExpressionKind::Conditional { condition: Box::new(condition?), then: Box::new(then), otherwise },
            );
        }
        self.leave(chain);
        Ok(then)
    }

    fn or(&mut self) -> Outcome<Expression> {
        let line = self.line();
        let mut left = self.and()?;
        let mut chain = 0;
        while self.skip_name("or") {
            self.count(&mut chain)?;
            left = boxed(line, ExpressionKind::Or(Box::new(left), Box::new(self.and()?)));
        }
        self.leave(chain);
        Ok(left)
    }

    fn and(&mut self) -> Outcome<Expression> {
        let line = self.line();
        let mut left = self.not()?;
        let mut chain = 0;
        while self.skip_name("and") {
            self.count(&mut chain)?;
            left = boxed(line, ExpressionKind::And(Box::new(left), Box::new(self.not()?)));
        }
        self.leave(chain);
        Ok(left)
    }

    fn not(&mut self) -> Outcome<Expression> {
        let line = self.line();
        if self.skip_name("not") {
            let value = self.deeper(Self::not)?;
            return Ok(boxed(line, ExpressionKind::Not(Box::new(value))));
        }
        self.compare()
    }

    fn compare(&mut self) -> Outcome<Expression> {
        let line = self.line();
        let first = self.sum()?;
        let mut rest = Vec::new();
        loop {
            let how = match self.token() {
                Token::Symbol(symbol) => comparison(*symbol),
                Token::Name(name) if **name == *"in" => Some(Comparison::In),
                Token::Name(name)
                    if **name == *"not" && matches!(self.look(), Token::Name(name) if **name == *"in") =>
                {
                    self.next();
                    Some(Comparison::NotIn)
                }
                _ => None,
            };
            let Some(how) = how else { break };
            self.next();
            rest.push((how, self.sum()?));
        }
        Ok(if rest.is_empty() { first } else { boxed(line, ExpressionKind::Comparison(Box::new(first), rest)) })
    }

    fn chain(&mut self, symbols: &[Symbol], operand: fn(&mut Self) -> Outcome<Expression>) -> Outcome<Expression> {
        let line = self.line();
        let mut left = operand(self)?;
        let mut chain = 0;
        while let Token::Symbol(symbol) = *self.token() {
            let Some(operation) = arithmetic(symbol).filter(|_| symbols.contains(&symbol)) else { break };
            self.count(&mut chain)?;
            self.next();
            let right = operand(self)?;
            left = boxed(line, ExpressionKind::Arithmetic(operation, Box::new(left), Box::new(right)));
        }
        self.leave(chain);
        Ok(left)
    }

    fn sum(&mut self) -> Outcome<Expression> {
        self.chain(&[Symbol::Add, Symbol::Sub], Self::concatenation)
    }

    fn concatenation(&mut self) -> Outcome<Expression> {
        let line = self.line();
        let first = self.product()?;
        if !self.is_symbol(Symbol::Tilde) {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.skip_symbol(Symbol::Tilde) {
            parts.push(self.product()?);
        }
        Ok(boxed(line, ExpressionKind::Concatenation(parts)))
    }

    fn product(&mut self) -> Outcome<Expression> {
        self.chain(&[Symbol::Mul, Symbol::Div, Symbol::FloorDiv, Symbol::Mod], Self::power)
    }

    fn power(&mut self) -> Outcome<Expression> {
        self.chain(&[Symbol::Pow], Self::unary)
    }

    fn unary(&mut self) -> Outcome<Expression> {
        let value = self.signed()?;
        self.filter_expression(value)
    }

    fn signed(&mut self) -> Outcome<Expression> {
        let line = self.line();
        let value = if self.skip_symbol(Symbol::Sub) {
            let value = self.deeper(Self::signed)?;
            boxed(line, ExpressionKind::Negative(Box::new(value)))
        } else if self.skip_symbol(Symbol::Add) {
            let value = self.deeper(Self::signed)?;
            boxed(line, ExpressionKind::Positive(Box::new(value)))
        } else {
            self.primary()?
        };
        self.postfix(value)
    }

    fn primary(&mut self) -> Outcome<Expression> {
        let line = self.line();
        let kind = match self.token().clone() {
            Token::Name(name) => {
                self.next();
                match &*name {
                    "true" | "True" => ExpressionKind::Bool(true),
                    "false" | "False" => ExpressionKind::Bool(false),
                    "none" | "None" => ExpressionKind::None,
                    _ => {
                        self.reads(&name);
                        ExpressionKind::Name(name)
                    }
                }
            }
            Token::Text(mut text) => {
                self.next();
                while let Token::Text(more) = self.token() {
                    text.push_str(more);
                    self.next();
                }
                ExpressionKind::Text(text.into())
            }
            Token::Integer(number) => {
                self.next();
                ExpressionKind::Integer(number)
            }
            Token::Float(number) => {
                self.next();
                ExpressionKind::Float(number)
            }
            Token::Symbol(Symbol::LeftParenthesis) => {
                self.next();
                let value = self.tuple_in_parentheses()?;
                self.expect(&Token::Symbol(Symbol::RightParenthesis))?;
                return Ok(value);
            }
            Token::Symbol(Symbol::LeftBracket) => self.list()?,
            Token::Symbol(Symbol::LeftBrace) => self.dict()?,
            other => fail!("unexpected '{}'", other.describe()),
        };
        Ok(boxed(line, kind))
    }

    fn list(&mut self) -> Outcome<ExpressionKind> {
        self.next();
        let mut items = Vec::new();
        while !self.is_symbol(Symbol::RightBracket) {
            if !items.is_empty() {
                self.expect(&Token::Symbol(Symbol::Comma))?;
                if self.is_symbol(Symbol::RightBracket) {
                    break;
                }
            }
            items.push(self.expression()?);
        }
        self.next();
        Ok(ExpressionKind::List(items))
    }

    fn dict(&mut self) -> Outcome<ExpressionKind> {
        self.next();
        let mut items = Vec::new();
        while !self.is_symbol(Symbol::RightBrace) {
            if !items.is_empty() {
                self.expect(&Token::Symbol(Symbol::Comma))?;
                if self.is_symbol(Symbol::RightBrace) {
                    break;
                }
            }
            let key = self.expression()?;
            self.expect(&Token::Symbol(Symbol::Colon))?;
            items.push((key, self.expression()?));
        }
        self.next();
        Ok(ExpressionKind::Dict(items))
    }

    /// Expressions with commas between them are a tuple.
    fn any_tuple(
        &mut self,
        item: fn(&mut Self) -> Outcome<Expression>,
        ends: &[&str],
        may_be_empty: Emptiness,
    ) -> Outcome<Expression> {
        let line = self.line();
        let mut items = Vec::new();
        let mut is_tuple = false;
        loop {
            let is_end =
                matches!(self.token(), Token::VariableEnd | Token::BlockEnd | Token::Symbol(Symbol::RightParenthesis));
            if is_end || ends.iter().any(|end| self.is_name(end)) {
                break;
            }
            items.push(item(self)?);
            if !self.skip_symbol(Symbol::Comma) {
                break;
            }
            is_tuple = true;
        }
        match items.pop() {
            Some(value) if !is_tuple => Ok(value),
            Some(value) => {
                items.push(value);
                Ok(boxed(line, ExpressionKind::Tuple(items)))
            }
            None if may_be_empty == Emptiness::Allowed => Ok(boxed(line, ExpressionKind::Tuple(items))),
            None => fail!("Expected an expression, got '{}'", self.token().describe()),
        }
    }

    pub(super) fn tuple(&mut self) -> Outcome<Expression> {
        self.any_tuple(Self::expression, &[], Emptiness::Refused)
    }

    fn tuple_in_parentheses(&mut self) -> Outcome<Expression> {
        self.any_tuple(Self::expression, &[], Emptiness::Allowed)
    }

    /// Where `if` means something else: after `for … in`, and after `if` itself.
    pub(super) fn tuple_without_condition(&mut self, ends: &[&str]) -> Outcome<Expression> {
        self.any_tuple(|parser| parser.deeper(Self::or), ends, Emptiness::Refused)
    }

    fn postfix(&mut self, mut value: Expression) -> Outcome<Expression> {
        let mut chain = 0;
        loop {
            let line = self.line();
            let kind = if self.skip_symbol(Symbol::Dot) {
                match self.next() {
                    Token::Name(name) => ExpressionKind::Attribute(Box::new(value), name),
                    Token::Integer(number) => {
                        ExpressionKind::Item(Box::new(value), Box::new(boxed(line, ExpressionKind::Integer(number))))
                    }
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
            value = boxed(line, kind);
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
            return Ok(ExpressionKind::Item(Box::new(value), Box::new(boxed(line, ExpressionKind::Tuple(items)))));
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

    fn filter_expression(&mut self, mut value: Expression) -> Outcome<Expression> {
        let mut chain = 0;
        loop {
            let line = self.line();
            if self.is_symbol(Symbol::Pipe) {
                value = self.filters(value, false)?;
            } else if self.is_name("is") {
                value = self.test(value)?;
            } else if self.is_symbol(Symbol::LeftParenthesis) {
                value = boxed(line, ExpressionKind::Call(Box::new(value), self.arguments()?));
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
            value = boxed(line, ExpressionKind::Filter(Box::new(value), name.into(), arguments));
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
        let test = boxed(line, ExpressionKind::Test(Box::new(value), name.into(), arguments));
        Ok(if is_negated { boxed(line, ExpressionKind::Not(Box::new(test))) } else { test })
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

/// Whether a tuple may have no items.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Emptiness {
    Allowed,
    Refused,
}
