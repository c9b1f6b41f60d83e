//! Tokens to the tree: expressions, with the precedences of `jinja2.parser`.

use super::fault::{Outcome, fail};
use super::parser::Parser;
use super::syntax::{Arithmetic, Comparison, Expression, ExpressionKind};
use super::token::{Symbol, Token};

pub(super) fn expression_at(line: u32, kind: ExpressionKind) -> Expression {
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
    pub(super) fn count(&mut self, chain: &mut usize) -> Outcome<()> {
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
            then = expression_at(
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
            left = expression_at(line, ExpressionKind::Or(Box::new(left), Box::new(self.and()?)));
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
            left = expression_at(line, ExpressionKind::And(Box::new(left), Box::new(self.not()?)));
        }
        self.leave(chain);
        Ok(left)
    }

    fn not(&mut self) -> Outcome<Expression> {
        let line = self.line();
        if self.skip_name("not") {
            let value = self.deeper(Self::not)?;
            return Ok(expression_at(line, ExpressionKind::Not(Box::new(value))));
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
        Ok(if rest.is_empty() { first } else { expression_at(line, ExpressionKind::Comparison(Box::new(first), rest)) })
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
            left = expression_at(line, ExpressionKind::Arithmetic(operation, Box::new(left), Box::new(right)));
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
        Ok(expression_at(line, ExpressionKind::Concatenation(parts)))
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
            expression_at(line, ExpressionKind::Negative(Box::new(value)))
        } else if self.skip_symbol(Symbol::Add) {
            let value = self.deeper(Self::signed)?;
            expression_at(line, ExpressionKind::Positive(Box::new(value)))
        } else {
            self.primary()?
        };
        self.postfix(value)
    }

    pub(super) fn primary(&mut self) -> Outcome<Expression> {
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
        Ok(expression_at(line, kind))
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
                Ok(expression_at(line, ExpressionKind::Tuple(items)))
            }
            None if may_be_empty == Emptiness::Allowed => Ok(expression_at(line, ExpressionKind::Tuple(items))),
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
}

/// Whether a tuple may have no items.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Emptiness {
    Allowed,
    Refused,
}
