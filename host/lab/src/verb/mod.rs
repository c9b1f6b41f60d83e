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
pub(crate) mod manual;
pub(crate) mod model;
pub(crate) mod new;
pub(crate) mod plugin;
mod pricing;
pub(crate) mod query;
pub(crate) mod refine;
pub(crate) mod report;
pub(crate) mod reproduce;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod samples;
pub(crate) mod schema;
pub(crate) mod show;
pub(crate) mod solve;
pub(crate) mod verdicts;
