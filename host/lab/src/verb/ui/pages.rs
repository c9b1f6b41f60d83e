//! The report's pages, live.

use maud::{Markup, PreEscaped, html};
use slhf_record::Record;
use slhf_report::Page;
use slhf_ui::{View, ViewError, encoded};

use super::refusal::{failed, of_record};
use super::{remarks, settings};
use crate::verb::report;

/// Of an experiment (`name#3`: its third execution).
pub(super) fn experiment(record: &mut Record, name: &str) -> Result<View, ViewError> {
    let comparison = record
        .comparison(slhf_comparison::split_execution(name).0, slhf_comparison::split_execution(name).1)
        .map_err(of_record)?;
    let page = report::experiment_page(record, comparison).map_err(failed)?;
    Ok(framed(&page, &settings::links(name)))
}

/// Of a run.
pub(super) fn run(record: &mut Record, name: &str) -> Result<View, ViewError> {
    let run = record.resolve_run(name).map_err(of_record)?;
    let page = report::run_page(record, &run).map_err(failed)?;
    let links = html! {
        p {
            a href={ "/experiment/" (encoded(&run.experiment)) } { "Its experiment" } " · "
            a href={ "/samples?run=" (run.run) } { "samples" }
        }
        (remarks::markup(record, run.run)?)
    };
    Ok(framed(&page, &links))
}

fn framed(page: &Page, links: &Markup) -> View {
    View { title: page.title.clone(), body: html! { (links) (PreEscaped(page.html_blocks())) } }
}
