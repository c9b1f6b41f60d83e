//! One file a verb: its arguments, and what it does.

pub(crate) mod budget;
pub(crate) mod check;
pub(crate) mod common;
pub(crate) mod compare;
pub(crate) mod db;
pub(crate) mod doctor;
pub(crate) mod evaluate;
pub(crate) mod judge;
mod locked;
pub(crate) mod ls;
pub(crate) mod model;
pub(crate) mod new;
pub(crate) mod note;
pub(crate) mod plugin;
mod pricing;
pub(crate) mod query;
pub(crate) mod refine;
pub(crate) mod report;
pub(crate) mod resume;
pub(crate) mod rm;
pub(crate) mod run;
pub(crate) mod samples;
pub(crate) mod schema;
pub(crate) mod show;
pub(crate) mod solve;
pub(crate) mod tag;
pub(crate) mod verdicts;
