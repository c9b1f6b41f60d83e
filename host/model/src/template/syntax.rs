//! The tree of a template, as `jinja2.nodes` has it.

use std::collections::HashSet;
use std::sync::Arc;

pub(super) type Name = Arc<str>;

/// Statements with the names that they hide until they set them.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) statements: Vec<Statement>,
    pub(super) hidden: Arc<HashSet<Name>>,
}

#[derive(Debug)]
pub(super) struct Statement {
    pub(super) line: u32,
    pub(super) kind: StatementKind,
}

#[derive(Debug)]
pub(super) enum StatementKind {
    Data(String),
    Print(Vec<Expression>),
    If {
        branches: Vec<(Expression, Body)>,
        otherwise: Body,
    },
    For(Arc<For>),
    Set(Target, Expression),
    /// The text of the body, through filters.
    SetBlock(Target, Option<Expression>, Body),
    With(Vec<(Target, Expression)>, Body),
    Macro(Arc<Macro>),
    /// `call`: the call, and the body as the macro `caller`.
    Call(Expression, Arc<Macro>),
    Filter(Expression, Body),
    Block(Name, Arc<Body>),
    /// `generation`: what the assistant says, in a scope of its own.
    Generation(Arc<Macro>),
    Break,
    Continue,
}

#[derive(Debug)]
pub(super) struct For {
    pub(super) target: Target,
    pub(super) items: Expression,
    pub(super) condition: Option<Expression>,
    pub(super) is_recursive: bool,
    pub(super) body: Body,
    pub(super) otherwise: Body,
}

#[derive(Debug)]
pub(super) struct Macro {
    /// None for the body of `call`.
    pub(super) name: Option<Name>,
    pub(super) parameters: Vec<(Name, Option<Expression>)>,
    pub(super) reads_caller: bool,
    pub(super) reads_kwargs: bool,
    pub(super) reads_varargs: bool,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Target {
    Name(Name),
    /// An attribute of a namespace.
    Attribute(Name, Name),
    Several(Vec<Target>),
}

#[derive(Debug)]
pub(super) struct Expression {
    pub(super) line: u32,
    pub(super) kind: ExpressionKind,
}

#[derive(Debug)]
pub(super) enum ExpressionKind {
    None,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(Arc<str>),
    Name(Name),
    /// What a block filter filters.
    Body,
    List(Vec<Expression>),
    Tuple(Vec<Expression>),
    Dict(Vec<(Expression, Expression)>),
    Not(Box<Expression>),
    Negative(Box<Expression>),
    Positive(Box<Expression>),
    Arithmetic(Arithmetic, Box<Expression>, Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Concatenation(Vec<Expression>),
    Comparison(Box<Expression>, Vec<(Comparison, Expression)>),
    Conditional {
        condition: Box<Expression>,
        then: Box<Expression>,
        otherwise: Option<Box<Expression>>,
    },
    Attribute(Box<Expression>, Name),
    Item(Box<Expression>, Box<Expression>),
    Slice(Box<Expression>, [Option<Box<Expression>>; 3]),
    Call(Box<Expression>, Arguments),
    Filter(Box<Expression>, Name, Arguments),
    Test(Box<Expression>, Name, Arguments),
}

impl Expression {
    /// The expressions right in this one, in the order in which they stand.
    pub(super) fn children(&self) -> Vec<&Self> {
        match &self.kind {
            ExpressionKind::None
            | ExpressionKind::Bool(_)
            | ExpressionKind::Integer(_)
            | ExpressionKind::Float(_)
            | ExpressionKind::Text(_)
            | ExpressionKind::Name(_)
            | ExpressionKind::Body => Vec::new(),
            ExpressionKind::List(values) | ExpressionKind::Tuple(values) | ExpressionKind::Concatenation(values) => {
                values.iter().collect()
            }
            ExpressionKind::Dict(pairs) => pairs.iter().flat_map(|(key, value)| [key, value]).collect(),
            ExpressionKind::Not(value)
            | ExpressionKind::Negative(value)
            | ExpressionKind::Positive(value)
            | ExpressionKind::Attribute(value, _) => vec![value],
            ExpressionKind::Arithmetic(_, left, right)
            | ExpressionKind::And(left, right)
            | ExpressionKind::Or(left, right)
            | ExpressionKind::Item(left, right) => vec![left, right],
            ExpressionKind::Comparison(first, rest) => {
                [&**first].into_iter().chain(rest.iter().map(|(_, value)| value)).collect()
            }
            ExpressionKind::Conditional { condition, then, otherwise } => {
                [condition, then].into_iter().chain(otherwise).map(|value| &**value).collect()
            }
            ExpressionKind::Slice(value, bounds) => {
                [value].into_iter().chain(bounds.iter().flatten()).map(|value| &**value).collect()
            }
            ExpressionKind::Call(value, arguments)
            | ExpressionKind::Filter(value, _, arguments)
            | ExpressionKind::Test(value, _, arguments) => {
                let named = arguments.named.iter().map(|(_, value)| value);
                let more = [&arguments.more_positional, &arguments.more_named];
                let more = more.into_iter().flatten().map(|value| &**value);
                [&**value].into_iter().chain(&arguments.positional).chain(named).chain(more).collect()
            }
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) positional: Vec<Expression>,
    pub(super) named: Vec<(Name, Expression)>,
    pub(super) more_positional: Option<Box<Expression>>,
    pub(super) more_named: Option<Box<Expression>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
    Power,
}

impl Arithmetic {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::FloorDivide => "//",
            Self::Modulo => "%",
            Self::Power => "** or pow()",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    NotIn,
}
