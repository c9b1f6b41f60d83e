//! What runs asked of models, and what served ones answered.

use slhf_plan::ModelUse;
use sqlx::SqliteConnection;

use crate::error::{Doing as _, RecordError};
use crate::model_answers::AnswerKey;
use crate::value::stored_count;

/// Adds to what the run asked before: a run that goes on has one row a model.
pub(super) async fn write_model_use(connection: &mut SqliteConnection, found: &ModelUse) -> Result<(), RecordError> {
    let usage = &found.usage;
    let mut query = sqlx::query(
        "INSERT INTO model_use (run, model, place, server, calls, items, cache_hits, requests, retries, prompt_tokens, \
         completion_tokens, milliseconds, time_out, refused, malformed, over_budget, not_supported, too_large) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, items = items + excluded.items, \
         cache_hits = cache_hits + excluded.cache_hits, requests = requests + excluded.requests, \
         retries = retries + excluded.retries, prompt_tokens = prompt_tokens + excluded.prompt_tokens, \
         completion_tokens = completion_tokens + excluded.completion_tokens, \
         milliseconds = milliseconds + excluded.milliseconds, time_out = time_out + excluded.time_out, \
         refused = refused + excluded.refused, malformed = malformed + excluded.malformed, \
         over_budget = over_budget + excluded.over_budget, not_supported = not_supported + excluded.not_supported, \
         too_large = too_large + excluded.too_large",
    )
    .bind(found.run)
    .bind(&found.model)
    .bind(if found.server.is_empty() { "device" } else { "served" })
    .bind(&found.server);
    let counts = [
        usage.calls,
        usage.items,
        usage.cache_hits,
        usage.requests,
        usage.retries,
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.milliseconds,
    ];
    for count in counts.into_iter().chain(usage.faults) {
        query = query.bind(stored_count(count));
    }
    query.execute(connection).await.doing("writing the use of a model")?;
    Ok(())
}

/// Keeps answers; one that is known stays as it is.
pub(super) async fn write_model_answers(
    connection: &mut SqliteConnection,
    answers: &[(AnswerKey, Vec<u8>)],
) -> Result<(), RecordError> {
    for (key, answer) in answers {
        sqlx::query("INSERT OR IGNORE INTO model_answer (key, answer) VALUES (?, ?)")
            .bind(&key[..])
            .bind(answer)
            .execute(&mut *connection)
            .await
            .doing("writing the reply of a model")?;
    }
    Ok(())
}
