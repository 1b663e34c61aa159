//! Events: sending them in, reading the stream.

use poem_openapi::{ApiResponse, OpenApi, param::Query, payload::Json};
use potok_journal::EventFilter;

use super::{Room, State};
use crate::{
    cloudevents::CloudEvents,
    failure::{BODY, CHANGES, Failure, MALFORMED, TYPED},
    types::{EventPage, StreamEvent, TakenEvent, TakenEvents},
};

#[derive(Clone)]
pub(super) struct Events(pub State);

#[derive(ApiResponse)]
enum Taken {
    /// They are durable, and whoever listens for them gets them.
    #[oai(status = 202)]
    Taken(Json<TakenEvents>),
}

#[OpenApi(tag = "Room::Events")]
impl Events {
    /// Publish events.
    ///
    /// CloudEvents 1.0 over HTTP: structured (`application/cloudevents+json`), a batch (`application/cloudevents-batch+json`), or binary
    /// (the attributes in headers `ce-…`, the data as the body). They are durable when the answer comes, all or none. An event whose
    /// `source` and `id` are known already is taken once: sending again is safe.
    #[oai(path = "/events", method = "post", operation_id = "publishEvents")]
    async fn publish(&self, events: CloudEvents) -> Result<Taken, Failure<{ MALFORMED | CHANGES | BODY | TYPED }>> {
        let taken = self.0.node.publish(events.list).await?;
        let events = taken.into_iter().map(|taken| TakenEvent {
            sequence: taken.sequence,
            duplicate: !taken.new,
        });
        Ok(Taken::Taken(Json(TakenEvents {
            events: events.collect(),
        })))
    }

    /// Read the stream of events.
    ///
    /// In the order in which they came. Lifecycle events of workflows and tasks are shown only when their type is asked for.
    #[oai(path = "/events", method = "get", operation_id = "listEvents")]
    async fn list(
        &self,
        /// Of this type; may be given several times.
        #[oai(name = "type", validator(max_items = "16"))]
        kind: Query<Option<Vec<String>>>,
        /// Of this source; may be given several times.
        #[oai(validator(max_items = "16"))]
        source: Query<Option<Vec<String>>>,
        /// With a number over this one: `next` of the page before.
        #[oai(default, validator(maximum(value = "9007199254740991")))]
        after: Query<u64>,
        /// How many at most.
        #[oai(
            default = "super::runs::fifty",
            validator(minimum(value = "1"), maximum(value = "500"))
        )]
        limit: Query<u32>,
    ) -> Result<Json<EventPage>, Failure<MALFORMED>> {
        let filter = EventFilter {
            kinds: kind.0.unwrap_or_default(),
            sources: source.0.unwrap_or_default(),
            quiet: false,
        };
        let events = self.0.node.events(&filter, after.0, limit.0 as usize).await?;
        let last = events.last().map(|event| event.sequence);
        // A page may be short because its events are large: only the store knows whether there is more.
        let next = match last {
            Some(last) if !self.0.node.events(&filter, last, 1).await?.is_empty() => Some(last),
            _ => None,
        };
        Ok(Json(EventPage {
            events: events.into_iter().map(StreamEvent::from).collect(),
            next,
        }))
    }
}
