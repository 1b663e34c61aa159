//! The same for all runs that pass a filter: counted first, done when that is wanted.

use serde_json::{Value, json};

use super::{client::Client, tell};
use crate::exit::{COMPLETED, FAULTED, Failure};

/// How many runs are asked with one request.
const AT_ONCE: u32 = 100;

pub async fn bulk(
    client: &Client,
    action: &'static str,
    filter: &[(&'static str, String)],
    body: &Value,
    yes: bool,
    as_json: bool,
) -> Result<u8, Failure> {
    if filter.is_empty() {
        return Err(Failure::Usage(
            "--all needs a filter, such as --workflow or --status: nobody means all runs by accident".to_owned(),
        ));
    }
    let path = ["bulk", action];
    if !yes {
        let query = [filter, &[("dry", "true".to_owned())]].concat();
        let left = client.post(&path, &query, body).await?["left"].as_u64().unwrap_or(0);
        if as_json {
            tell::print(&json!({ "done": [], "refused": [], "left": left }));
        } else {
            crate::say!("{}", counted(action, left));
        }
        return Ok(COMPLETED);
    }
    let (mut done, mut refused, mut cursor) = (Vec::new(), Vec::new(), None);
    loop {
        let mut query = [filter, &[("limit", AT_ONCE.to_string())]].concat();
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let mut page = client.post(&path, &query, body).await?;
        let mut taken = |name: &str| match page[name].take() {
            Value::Array(list) => list,
            _ => Vec::new(),
        };
        let (now, not) = (taken("done"), taken("refused"));
        if !as_json {
            now.iter()
                .filter_map(Value::as_str)
                .for_each(|run| crate::say!("{run}"));
        }
        for refusal in &not {
            let said = |name: &str| refusal[name].as_str().unwrap_or_default();
            eprintln!("potok: run {}: {}", said("run"), said("why"));
        }
        done.extend(now);
        refused.extend(not);
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    let (count, not) = (done.len(), refused.len());
    if as_json {
        tell::print(&json!({ "done": done, "refused": refused, "left": 0 }));
    } else {
        eprintln!("potok: {action}: {count} done, {not} refused");
    }
    Ok(if not == 0 { COMPLETED } else { FAULTED })
}

/// What would be done.
fn counted(action: &str, left: u64) -> String {
    let runs = match left {
        0 => return format!("{action}: no run passes the filters"),
        1 => "1 run passes".to_owned(),
        10_000.. => "10000 runs or more pass".to_owned(),
        more => format!("{more} runs pass"),
    };
    format!("{action}: {runs} the filters; nothing was done yet: --yes does it")
}
