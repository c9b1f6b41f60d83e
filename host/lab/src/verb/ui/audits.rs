//! Judges on trial.

use maud::html;
use slhf_record::Record;
use slhf_report::escape;
use slhf_ui::{View, ViewError};

use super::refusal::of_record;

pub(super) fn view(record: &mut Record) -> Result<View, ViewError> {
    let audits = record.judge_audits().map_err(of_record)?;
    let body = html! {
        @if audits.is_empty() { p { "No judge was audited yet: " code { "slhf-lab judge audit JUDGE --pairs FILE" } " does so." } }
        @for audit in &audits {
            details {
                summary { (audit.judge_audit) " " (escape::line(&audit.judge)) ", " (escape::line(&audit.subject)) }
                p { "Parameters: " code { (escape::line(&audit.parameters)) } }
                pre tabindex="0" { (escape::lines(&indented(&audit.document))) }
            }
        }
    };
    Ok(View { title: "Judge audits".to_owned(), body })
}

/// One line a number.
fn indented(document: &str) -> String {
    serde_json::from_str::<serde_json::Value>(document)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| document.to_owned())
}
