//! One group commit: reports are written in their order, many rows at a time.

use slhf_plan::Report;
use sqlx::SqliteConnection;

use super::book::Book;
use super::ends::write_plugin_use;
use super::message::{Message, Shared};
use super::models::{write_model_answers, write_model_use};
use crate::error::RecordError;

impl Book {
    /// Writes messages in their order, inside the caller's transaction.
    pub(super) async fn write(
        &mut self,
        connection: &mut SqliteConnection,
        messages: Vec<Message>,
        shared: &Shared,
    ) -> Result<(), RecordError> {
        for message in messages {
            match message {
                Message::Report(Report::Metrics(batch)) => self.gather_metrics(connection, &batch).await?,
                Message::Report(Report::Schedules(rows)) => self.gather_schedules(connection, &rows).await?,
                Message::Report(Report::Evaluations(rows)) => self.gather_evaluations(connection, &rows).await?,
                Message::Report(other) => {
                    // Everything before it first: a checkpoint or an end must find its rows.
                    self.write_measurements(connection, shared).await?;
                    self.write_other(connection, other, shared).await?;
                }
                Message::ModelAnswers(answers) => write_model_answers(connection, &answers).await?,
                Message::Resume { runs, policy } => {
                    self.write_measurements(connection, shared).await?;
                    self.resume(&runs, &policy);
                }
            }
        }
        self.write_measurements(connection, shared).await
    }

    async fn write_other(
        &mut self,
        connection: &mut SqliteConnection,
        report: Report,
        shared: &Shared,
    ) -> Result<(), RecordError> {
        match report {
            Report::Metrics(_) | Report::Schedules(_) | Report::Evaluations(_) => Ok(()),
            Report::Checkpoint(checkpoint) => self.write_checkpoint(connection, &checkpoint).await,
            Report::Completions(rows) => self.write_completions(connection, &rows, shared).await,
            Report::Artefact(artefact) => self.write_artefact(connection, &artefact).await,
            Report::PluginUse(plugin_use) => write_plugin_use(connection, &plugin_use).await,
            Report::ModelUse(found) => write_model_use(connection, &found).await,
            Report::RunCost(cost) => self.write_cost(connection, &cost).await,
            Report::RunEnd(end) => self.write_end(connection, end).await,
            Report::Environment(found) => self.write_environment(connection, &found).await,
            Report::GameJudged(judged) => self.write_judged(connection, &judged, shared).await,
        }
    }
}
