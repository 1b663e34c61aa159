//! Following a run by server-sent events.
//!
//! What a slow reader has not taken yet is not kept for it: the run's news comes from the store when the reader is ready for it.

use std::{borrow::Cow, collections::VecDeque, time::Duration};

use futures::{Stream, stream::unfold};
use poem::{
    IntoResponse, Response,
    web::sse::{Event, SSE},
};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromParameter, ParseResult, ToJSON, Type},
};
use potok_dsl::RunId;
use potok_node::{Following, Node};
use tokio::sync::watch;

use crate::types;

/// How often a silent stream says that it is alive; shorter than what proxies wait.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The number of the last event that came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastEventId(pub u64);

impl Type for LastEventId {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        Cow::Borrowed("last-event-id")
    }

    fn schema_ref() -> MetaSchemaRef {
        let schema = MetaSchema {
            pattern: Some("^[0-9]{1,15}$".to_owned()),
            ..MetaSchema::new("string")
        };
        MetaSchemaRef::Inline(Box::new(schema))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromParameter for LastEventId {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        let number = (text.len() <= 15 && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse().ok())
            .flatten();
        number
            .map(Self)
            .ok_or_else(|| ParseError::custom("the number of an event is expected"))
    }
}

/// The events of a run.
pub(crate) struct Events(SSE);

impl Events {
    /// The events that are still to be told, until the run's end or the server's.
    pub fn new(node: Node, run: RunId, following: Following, stopping: watch::Receiver<bool>) -> Self {
        let teller = Teller {
            node,
            run,
            following,
            stopping,
            ready: VecDeque::new(),
            done: false,
        };
        Self(SSE::new(teller.events()).keep_alive(KEEP_ALIVE))
    }
}

struct Teller {
    node: Node,
    run: RunId,
    following: Following,
    stopping: watch::Receiver<bool>,
    /// What one piece of news has brought and was not told yet.
    ready: VecDeque<Event>,
    done: bool,
}

impl Teller {
    fn events(self) -> impl Stream<Item = Event> {
        unfold(self, |mut teller| async move {
            loop {
                if let Some(event) = teller.ready.pop_front() {
                    return Some((event, teller));
                }
                if teller.done || !teller.hear().await {
                    return None;
                }
            }
        })
    }

    /// Waits for news; false when there will be none.
    async fn hear(&mut self) -> bool {
        let news = tokio::select! {
            biased;
            // An error means that the server is gone.
            _ = self.stopping.wait_for(|stopping| *stopping) => return false,
            news = self.following.next() => news,
        };
        let Some(news) = news else {
            self.end().await;
            return true;
        };
        self.ready.extend(news.events.into_iter().map(task));
        true
    }

    /// Tells how the run ended.
    async fn end(&mut self) {
        self.done = true;
        match self.node.run(self.run).await {
            Ok(view) if view.status.is_final() => {
                let run = types::Run::from(view).to_json_string();
                self.ready.push_back(Event::message(run).event_type("run"));
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(run = %self.run, %error, "a run that was followed cannot be read"),
        }
    }
}

fn task(event: potok_node::TaskEvent) -> Event {
    let event = types::Event::from(event);
    Event::message(event.to_json_string())
        .event_type("task")
        .id(event.number.to_string())
}

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        // Proxies that buffer would hold events back.
        response
            .headers_mut()
            .insert("x-accel-buffering", poem::http::HeaderValue::from_static("no"));
        response
    }
}

impl ApiResponse for Events {
    fn meta() -> MetaResponses {
        let schema = MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")));
        let content = vec![MetaMediaType {
            content_type: "text/event-stream",
            schema,
        }];
        let description = "Events as they come; `data` of `task` is an Event, that of `run` a Run.";
        let response = MetaResponse {
            description,
            status: Some(200),
            status_range: None,
            content,
            headers: vec![],
        };
        MetaResponses {
            responses: vec![response],
        }
    }

    fn register(registry: &mut Registry) {
        types::Event::register(registry);
        types::Run::register(registry);
    }
}
