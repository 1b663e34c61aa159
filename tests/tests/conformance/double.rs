//! Local doubles of the services that definitions call: each host a listener of its own on loopback, with the answers that a
//! scenario gives it. Whatever names such a host, definition, input or expectation, is rewritten to its double.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use poem::{
    Body, Request, Response, Server,
    endpoint::make,
    http::StatusCode,
    listener::{Acceptor, Listener, TcpListener},
};
use serde_json::{Map, Value, json};
use tokio::{task::AbortHandle, time::sleep};

use crate::yaml;

/// Hosts that are there without being asked for: those that the kit and the examples call.
const KNOWN: [(&str, &str); 2] = [
    (
        "petstore.swagger.io",
        include_str!("../../conformance/doubles/petstore.yaml"),
    ),
    ("httpbin.org", include_str!("../../conformance/doubles/httpbin.yaml")),
];

/// The doubles of one scenario.
#[derive(Default)]
pub struct Doubles(BTreeMap<String, Double>);

struct Double {
    address: SocketAddr,
    service: Arc<Mutex<Service>>,
    serving: AbortHandle,
}

/// What a service answers, and what it was asked.
#[derive(Default)]
struct Service {
    /// By method and path, in the order in which they are given; the last one stays.
    answers: BTreeMap<String, Vec<Value>>,
    received: Vec<Value>,
}

impl Drop for Double {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Doubles {
    /// A service with its answers: `METHOD /path: answer`, or a list of answers, one after the other.
    pub async fn answer(&mut self, host: &str, answers: &str) {
        self.open(host).await;
        let text = self.rewrite(answers).await;
        let Value::Object(answers) = yaml::value(&text) else {
            panic!("answers are an object: {text}")
        };
        let mut service = self.0[host].service.lock().unwrap();
        for (request, answer) in answers {
            let list = match answer {
                Value::Array(list) => list,
                one => vec![one],
            };
            service.answers.insert(request, list);
        }
    }

    /// The requests that a service got.
    pub fn received(&self, host: &str) -> Vec<Value> {
        let double = self.0.get(host).unwrap_or_else(|| panic!("there is no service {host}"));
        double.service.lock().unwrap().received.clone()
    }

    /// A text that names doubles instead of hosts.
    pub async fn rewrite(&mut self, text: &str) -> String {
        for (host, answers) in KNOWN {
            if text.contains(&format!("://{host}")) && !self.0.contains_key(host) {
                self.open(host).await;
                Box::pin(self.answer(host, answers)).await;
            }
        }
        let mut text = text.to_owned();
        for (host, double) in &self.0 {
            for scheme in ["https", "http"] {
                text = replace_host(
                    &text,
                    &format!("{scheme}://{host}"),
                    &format!("http://{}", double.address),
                );
            }
        }
        text
    }

    async fn open(&mut self, host: &str) {
        if self.0.contains_key(host) {
            return;
        }
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
        let address = acceptor
            .local_addr()
            .first()
            .and_then(|local| local.as_socket_addr().copied())
            .unwrap();
        let service = Arc::<Mutex<Service>>::default();
        let shared = service.clone();
        let endpoint = make(move |request| serve(shared.clone(), request));
        let serving = tokio::spawn(Server::new_with_acceptor(acceptor).run(endpoint)).abort_handle();
        let double = Double {
            address,
            service,
            serving,
        };
        self.0.insert(host.to_owned(), double);
    }
}

/// Replaces the host only where its name ends there too.
fn replace_host(text: &str, from: &str, to: &str) -> String {
    let mut parts = text.split(from);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let goes_on = part.starts_with(|c: char| c.is_ascii_alphanumeric() || "-.:".contains(c));
        out.push_str(if goes_on { from } else { to });
        out.push_str(part);
    }
    out
}

async fn serve(service: Arc<Mutex<Service>>, request: Request) -> Response {
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let seen = describe(request).await;
    let answer = {
        let mut service = service.lock().unwrap();
        service.received.push(seen.clone());
        let key = [format!("{method} {path}"), format!("* {path}")]
            .into_iter()
            .find(|key| service.answers.contains_key(key));
        let answers = key.and_then(|key| service.answers.get_mut(&key));
        answers.and_then(|list| {
            if list.len() > 1 {
                Some(list.remove(0))
            } else {
                list.first().cloned()
            }
        })
    };
    match answer {
        Some(answer) => respond(&answer, &seen).await,
        None => Response::builder()
            .status(StatusCode::NOT_FOUND)
            .body("there is no such thing"),
    }
}

/// A request as scenarios speak of it.
async fn describe(mut request: Request) -> Value {
    let headers: Map<String, Value> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    let query: Vec<(String, String)> = request.params().unwrap_or_default();
    let mut parameters = Map::new();
    for (name, value) in query {
        match parameters.get_mut(&name) {
            None => drop(parameters.insert(name, json!(value))),
            Some(Value::Array(list)) => list.push(json!(value)),
            Some(one) => *one = json!([one.clone(), value]),
        }
    }
    let bytes = request.take_body().into_vec().await.unwrap_or_default();
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
    let form = fields(&bytes);
    json!({
        "method": request.method().to_string(),
        "path": request.uri().path(),
        "query": parameters,
        "headers": headers,
        "body": body,
        "form": form,
    })
}

/// The fields of a form.
fn fields(bytes: &[u8]) -> Map<String, Value> {
    let form = reqwest::Url::parse(&format!("http://form/?{}", String::from_utf8_lossy(bytes)));
    let pairs = form.iter().flat_map(|form| form.query_pairs());
    pairs.map(|(name, value)| (name.into_owned(), json!(value))).collect()
}

/// An answer: `status`, `headers`, one of `json`, `text`, `base64`, `echo`; `delay` in milliseconds; `expects`, headers without
/// which it is 401.
async fn respond(answer: &Value, seen: &Value) -> Response {
    sleep(Duration::from_millis(answer["delay"].as_u64().unwrap_or_default())).await;
    let expected = answer["expects"].as_object().into_iter().flatten();
    if let Some((name, _)) = expected
        .into_iter()
        .find(|(name, value)| seen["headers"][name.as_str()] != **value)
    {
        return Response::builder()
            .status(StatusCode::UNAUTHORIZED)
            .body(format!("no such {name}"));
    }
    let status = answer["status"]
        .as_u64()
        .and_then(|status| u16::try_from(status).ok())
        .unwrap_or(200);
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        response = response.header(name, value.as_str().unwrap_or_default());
    }
    let json = answer.get("json").or_else(|| answer.get("echo").map(|_| seen));
    match (json, answer["text"].as_str(), answer["base64"].as_str()) {
        (Some(json), _, _) => {
            let typed = answer["headers"].get("content-type").is_none();
            let response = if typed {
                response.content_type("application/json")
            } else {
                response
            };
            response.body(Body::from_json(json).unwrap())
        }
        (_, Some(text), _) => response.body(text.to_owned()),
        (_, _, Some(text)) => response.body(STANDARD.decode(text).unwrap()),
        _ => response.finish(),
    }
}
