//! What calls cost: the table `ai_usage`, one row for each call that was answered.
//!
//! The row is written after the answer came and before it is handed on, under the key of the call, which every attempt
//! of it shares:
//! writing it twice is writing it once. After a crash in between there are two cases. Before the row: the call is made
//! again, and only the
//! second answer is counted. After the row, but before the answer was durable: the call is made again, and the row
//! says what the second
//! answer cost, the one that the run goes on with. In both the server has been paid for one answer more than the table
//! shows, so that the
//! table is what the runs used, and a lower bound of the bill.
//!
//! A row that cannot be written does not fail the call: the answer is there and is paid for. It is logged.

use potok_wasm::{CallContext, Migration, Statement};

use crate::answer::Completion;

pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    owner: "ai",
    version: 1,
    sql: "
        CREATE TABLE ai_usage (
            call_key TEXT PRIMARY KEY NOT NULL,
            run TEXT,
            model TEXT NOT NULL,
            prompt_tokens BIGINT,
            completion_tokens BIGINT,
            at BIGINT NOT NULL
        );
        CREATE INDEX ai_usage_by_run ON ai_usage (run);
    ",
}];

pub(crate) async fn record(cx: &CallContext, completion: &Completion) {
    let sql = "INSERT INTO ai_usage (call_key, run, model, prompt_tokens, completion_tokens, at) VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (call_key) DO UPDATE SET model = excluded.model, prompt_tokens = excluded.prompt_tokens, \
               completion_tokens = excluded.completion_tokens, at = excluded.at";
    let params = vec![
        cx.call_key().into(),
        cx.run.map(|run| run.to_string()).into(),
        completion.model.as_str().into(),
        completion.usage.map(|usage| i64::from(usage.input)).into(),
        completion.usage.map(|usage| i64::from(usage.output)).into(),
        cx.now.0.into(),
    ];
    if let Err(error) = cx.tables.write(vec![Statement { sql, params }]).await {
        tracing::warn!(key = %cx.call_key(), %error, "token usage not recorded");
    }
}
