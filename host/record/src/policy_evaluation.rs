//! Policies of an execution against each other, judge by judge.

use sqlx::FromRow;

use crate::error::Doing as _;
use crate::time::now_ms;
use crate::{Record, RecordError};

/// One judge's comparison of an execution's policies.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct PolicyEvaluation {
    /// The plugin's name; `outer over inner` where one wraps another.
    pub judge: String,
    /// Its parameters, JSON.
    pub parameters: String,
    /// Of the plugin's file, lower-case hex.
    pub sha256: String,
    /// Whether the policies were trained on this judge.
    pub is_training_judge: bool,
    /// What was found, JSON: `policies`, `matchups`, `triples`, …
    pub document: String,
}

impl Record {
    /// Adds an evaluation of an execution; earlier ones stay.
    pub fn add_policy_evaluation(
        &mut self,
        experiment: &str,
        execution: i64,
        found: &PolicyEvaluation,
    ) -> Result<(), RecordError> {
        self.block(async |connection| {
            sqlx::query(
                "INSERT INTO policy_evaluation \
                 (execution, evaluated_at, judge, parameters, sha256, is_training_judge, document) \
                 SELECT x.id, ?3, ?4, ?5, ?6, ?7, ?8 FROM execution x JOIN experiment e ON e.id = x.experiment \
                 WHERE e.name = ?1 AND x.number = ?2",
            )
            .bind(experiment)
            .bind(execution)
            .bind(now_ms())
            .bind(&found.judge)
            .bind(&found.parameters)
            .bind(&found.sha256)
            .bind(found.is_training_judge)
            .bind(&found.document)
            .execute(connection)
            .await
            .doing("writing an evaluation of policies")?;
            Ok(())
        })
    }

    /// The latest evaluation by each judge, the training judge's first.
    pub fn policy_evaluations(
        &mut self,
        experiment: &str,
        execution: i64,
    ) -> Result<Vec<PolicyEvaluation>, RecordError> {
        self.block(async |connection| {
            sqlx::query_as(
                "SELECT p.judge, p.parameters, p.sha256, p.is_training_judge, p.document FROM policy_evaluation p \
                 WHERE p.id IN (SELECT max(q.id) FROM policy_evaluation q JOIN execution x ON x.id = q.execution \
                 JOIN experiment e ON e.id = x.experiment WHERE e.name = ?1 AND x.number = ?2 \
                 GROUP BY q.judge, q.parameters) ORDER BY p.is_training_judge DESC, p.judge, p.parameters",
            )
            .bind(experiment)
            .bind(execution)
            .fetch_all(connection)
            .await
            .doing("reading evaluations of policies")
        })
    }
}
