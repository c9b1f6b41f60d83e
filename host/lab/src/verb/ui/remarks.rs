//! Tags and notes of a run: shown on its page, and written by forms, the only thing that the pages write.

use maud::{Markup, html};
use slhf_record::{Record, RecordError, TAG_CHARACTERS_MAX, TagChange};
use slhf_report::escape;
use slhf_ui::{Change, Query, ViewError};

use super::refusal::of_record;

/// What was said of a run, and the forms that say more.
pub(super) fn markup(record: &mut Record, run: i64) -> Result<Markup, ViewError> {
    let tags = record.tags(run).map_err(of_record)?;
    let notes = record.notes(run).map_err(of_record)?;
    let known = record.all_tags().map_err(of_record)?;
    let path = format!("/run/{run}");
    // A compressed record is read from a private copy.
    let is_written = record.is_writable();
    Ok(html! {
        section class="remarks" aria-label="Tags and notes" {
            ul class="tags" {
                @for tag in &tags {
                    li {
                        a href={ "/runs?tag=" (slhf_ui::encoded(tag)) } { (escape::line(tag)) }
                        @if is_written {
                            form method="post" action=(path) {
                                button name="remove" value=(tag) aria-label={ "Take the tag " (escape::line(tag)) " away" } { "×" }
                            }
                        }
                    }
                }
                @if is_written {
                    li {
                        form method="post" action=(path) {
                            input id="add-tag" name="add" aria-label="A tag to add" placeholder="tag" list="tags" size="14" maxlength=(TAG_CHARACTERS_MAX) required;
                            datalist id="tags" { @for (tag, _) in &known { option value=(tag) {} } }
                            button { "Add" }
                        }
                    }
                }
            }
            @for note in &notes {
                p class="note" { span class="muted" { (note.written_at.get(..16).unwrap_or_default().replace('T', " ")) " " } (escape::lines(&note.text)) }
            }
            @if is_written {
                details {
                    summary { "Write a note" }
                    form method="post" action=(path) {
                        textarea id="note" name="note" rows="3" cols="60" aria-label="A note on this run" required {}
                        p { button { "Keep the note" } }
                    }
                }
            }
        }
    })
}

/// Carries out what one of the forms asks.
pub(super) fn change(record: &mut Record, run: &str, form: &Query) -> Result<Change, ViewError> {
    let run = record.resolve_run(run).map_err(of_record)?.run;
    let named = |key: &str| form.get(key).map(|tag| tag.trim().to_owned()).into_iter().collect::<Vec<_>>();
    let tags = TagChange { add: named("add"), remove: named("remove") };
    if tags != TagChange::default() {
        record.change_tags(&[run], &tags).map_err(refused)?;
    } else if let Some(note) = form.get("note") {
        record.add_note(run, note.replace("\r\n", "\n").trim()).map_err(refused)?;
    } else {
        return Err(ViewError::BadRequest("a form of a run has one of add, remove and note".to_owned()));
    }
    Ok(Change { path: format!("/run/{run}") })
}

fn refused(error: RecordError) -> ViewError {
    let sentence = slhf_words::chain(&error);
    match error {
        RecordError::Invalid { .. } => ViewError::BadRequest(sentence),
        _ => ViewError::Failed(sentence),
    }
}
