//! The Bot API over HTTP: `/bot<token>/<method>`, as `api.telegram.org` speaks it.
//!
//! Texts of errors are those of the public Bot API server. Stricter than the original in one thing: a parameter that the
//! sandbox does not support is refused, where the original would do something with it or ignore a misspelt name.

mod error;
mod methods;
mod params;
mod render;

use std::sync::Arc;

use poem::http::{Method, StatusCode};
use poem::web::Data;
use poem::{Body, Request, Response, handler};
use serde_json::{Value, json};

use crate::faults::Target;
use crate::state::Shared;

pub(crate) use error::ApiError;
pub(crate) use params::parse_text;
pub(crate) use render::message as render_message;

/// Answers one request.
#[handler]
pub(crate) async fn endpoint(request: &Request, body: Body, Data(shared): Data<&Arc<Shared>>) -> Response {
    let path = request.uri().path();
    let Some((token, method)) = path.strip_prefix("/bot").and_then(|rest| rest.split_once('/')) else {
        return failure(&ApiError::not_found());
    };
    let method = methods::canonical(method.trim_end_matches('/'));
    let process = async {
        match answer(shared, request, body, token, &method).await {
            Ok(result) => success(&result),
            Err(error) => failure(&error),
        }
    };
    shared
        .serve((Target::Bot, &method), request.remote_addr(), process)
        .await
}

/// The body that a scripted status comes with.
pub(crate) fn scripted_error(status: StatusCode, retry_after: Option<u64>) -> Response {
    failure(&ApiError::scripted(status, retry_after))
}

async fn answer(
    shared: &Arc<Shared>,
    request: &Request,
    body: Body,
    token: &str,
    method: &str,
) -> Result<Value, ApiError> {
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return Err(ApiError::new(405, "Method Not Allowed".to_owned()));
    }
    let token = percent_decoded(token);
    let well_formed = token
        .split_once(':')
        .is_some_and(|(id, secret)| id.parse::<i64>().is_ok() && !secret.is_empty());
    if !well_formed {
        return Err(ApiError::new(401, "Unauthorized: invalid token specified".to_owned()));
    }
    let bot = shared.world().bot(&token).cloned();
    let bot = bot.ok_or_else(|| ApiError::new(401, "Unauthorized".to_owned()))?;
    let params = params::Params::read(request, body).await?;
    methods::call(shared, &bot, method, &params).await
}

/// Some clients write the colon of the token as `%3A`.
fn percent_decoded(token: &str) -> String {
    token.replace("%3A", ":").replace("%3a", ":")
}

fn success(result: &Value) -> Response {
    Response::builder()
        .content_type("application/json")
        .body(json!({ "ok": true, "result": result }).to_string())
}

fn failure(error: &ApiError) -> Response {
    let mut body = json!({ "ok": false, "error_code": error.code, "description": error.description });
    let mut response = Response::builder()
        .status(StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        .content_type("application/json");
    if let Some(seconds) = error.retry_after {
        body["parameters"] = json!({ "retry_after": seconds });
        response = response.header("Retry-After", seconds.to_string());
    }
    response.body(body.to_string())
}
