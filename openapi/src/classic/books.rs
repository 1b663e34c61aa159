//! Books: uploaded, summarised, written about, and posted to channels on a schedule.

use poem_openapi::{
    Enum, Multipart, Object, OpenApi,
    param::{Header, Query},
    payload::Json,
    types::{ToJSON, multipart::Upload},
};
use potok_journal::RunFilter;
use potok_node::core::Command;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Desk, Room, given, page,
    tasks::task,
    text, unusable,
    words::{Task, Text, Word, read},
};
use crate::{
    failure::{BODY, CHANGES, CONFLICT, CROWDED, Failure, MALFORMED, MISSING, TYPED, UNUSABLE, refusal},
    params::{BlobId, IdempotencyKey},
    payload::{self, VALUE},
};

/// What an operation that begins a task may answer.
const BEGINNING: u16 = MALFORMED | CHANGES | MISSING | CONFLICT | UNUSABLE | CROWDED | BODY | TYPED;

/// The workflow behind a book that is posted by itself.
const AUTOPOST: &str = "book-autopost";

/// A book.
#[derive(Debug, Multipart)]
pub(super) struct NewBook {
    /// TXT, EPUB, FB2, FB2 in ZIP, or PDF; at most 64 MiB.
    file: Upload,
}

/// A book that is kept.
#[derive(Debug, Object)]
pub(super) struct Book {
    /// What to call it by. The same file has the same one.
    book_id: String,
    /// How the file was called.
    filename: Option<String>,
    /// In bytes.
    size: u64,
}

/// A book that is kept.
#[derive(Debug, Object)]
pub(super) struct OneBook {
    /// `ok`.
    status: Word,
    data: Book,
}

/// A book to summarise.
#[derive(Debug, Object)]
pub(super) struct Analyze {
    /// As uploading it gave it.
    #[oai(validator(pattern = "^blob:sha256:[0-9a-f]{64}$"))]
    book_id: Text,
    /// How many chunks to summarise at most; all without one.
    #[oai(validator(minimum(value = "1"), maximum(value = "10000")))]
    chunks: Option<i64>,
    /// The language to write in, such as `ru`; that of the book without one.
    language: Option<Text>,
    /// The language model; the configured one without one.
    model: Option<Text>,
}

/// A post to write.
#[derive(Debug, Object)]
pub(super) struct Generate {
    /// As uploading it gave it.
    #[oai(validator(pattern = "^blob:sha256:[0-9a-f]{64}$"))]
    book_id: Text,
    /// Earlier posts: what they say is not said again.
    #[oai(validator(max_items = "100"))]
    previous: Option<Vec<Text>>,
    /// The language to write in, such as `ru`; that of the book without one.
    language: Option<Text>,
    /// The language model; the configured one without one.
    model: Option<Text>,
}

/// A book to post, at an interval or on a schedule.
#[derive(Debug, Object)]
pub(super) struct Autopost {
    /// As uploading it gave it.
    #[oai(validator(pattern = "^blob:sha256:[0-9a-f]{64}$"))]
    book_id: Text,
    /// The channel, `@name`, or its numeric id as text.
    #[oai(validator(min_length = "1", max_length = "64"))]
    channel: Text,
    /// How many minutes are between two posts. Either this or `schedule` is needed.
    #[oai(validator(minimum(value = "1"), maximum(value = "10080")))]
    every_minutes: Option<i64>,
    /// A cron expression of five fields, such as `0 10,18 * * *`.
    #[oai(validator(min_length = "1", max_length = "200"))]
    schedule: Option<Text>,
    /// The time zone of the schedule, such as `Europe/Moscow`; UTC without one.
    #[oai(validator(min_length = "1", max_length = "64"))]
    timezone: Option<Text>,
    /// How many posts to make at most; 100 without one.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
    posts: Option<i64>,
    /// Whether to begin anew once the whole book was posted.
    repeat: Option<bool>,
    /// The language to write in, such as `ru`; that of the book without one.
    language: Option<Text>,
    /// The language model; the configured one without one.
    model: Option<Text>,
}

/// Where nothing more is to be posted.
#[derive(Debug, Object)]
pub(super) struct Stop {
    /// As it was written when it was started.
    #[oai(validator(min_length = "1", max_length = "64"))]
    channel: Text,
}

/// A summary of a chunk of a book.
#[derive(Debug, Object)]
pub(super) struct Summary {
    id: String,
    book_id: String,
    chunk: String,
    text: String,
    /// Empty for the configured one.
    model: String,
    /// Whether a post was made from it.
    used: bool,
    created_at: String,
}

/// A page of summaries.
#[derive(Debug, Object)]
pub(super) struct Summaries {
    /// `ok`.
    status: Word,
    data: Vec<Summary>,
    /// How many there are on all pages.
    total: i64,
}

/// What became of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum PostState {
    /// About to be sent.
    Intent,
    /// In the channel.
    Sent,
    /// Nobody knows: Telegram's answer was lost.
    Unknown,
    /// Definitely not sent.
    Failed,
    /// To be sent again, because somebody has looked.
    ToSend,
}

/// A post.
#[derive(Debug, Object)]
pub(super) struct Post {
    channel: String,
    bot: String,
    text: String,
    state: PostState,
    /// Why it was not sent, or why that is not known.
    reason: Option<String>,
    message_id: Option<i64>,
    url: Option<String>,
    book_id: Option<String>,
    /// The prompt that it was made with.
    prompt: Option<String>,
    model: Option<String>,
    attempts: i64,
    published_at: Option<String>,
    created_at: String,
    updated_at: String,
}

/// A page of posts.
#[derive(Debug, Object)]
pub(super) struct Posts {
    /// `ok`.
    status: Word,
    data: Vec<Post>,
    /// How many there are on all pages.
    total: i64,
}

#[derive(Clone)]
pub(super) struct Books(pub Desk);

#[OpenApi(tag = "Room::Telegram")]
impl Books {
    /// Upload a book.
    #[oai(
        path = "/api/book_analyzer/upload_book",
        method = "post",
        operation_id = "uploadBook"
    )]
    async fn upload(
        &self,
        book: payload::Form<NewBook, VALUE>,
    ) -> Result<Json<OneBook>, Failure<{ MALFORMED | CHANGES | UNUSABLE | BODY | TYPED }>> {
        let file = book.0.file;
        let filename = file.file_name().map(str::to_owned);
        let bytes = file.into_vec().await;
        let bytes = bytes.map_err(|error| Failure::internal(format!("the file cannot be read: {error}")))?;
        if bytes.is_empty() {
            return Err(Failure(refusal(422, "The book cannot be used", "the file is empty")));
        }
        let size = bytes.len() as u64;
        let kept = self.0.state.node.tables().put_blob(bytes).await;
        let hash = kept.map_err(crate::api::refused)?;
        Ok(Json(OneBook {
            status: Word::Ok,
            data: Book {
                book_id: crate::api::blob_id(hash),
                filename,
                size,
            },
        }))
    }

    /// Summarise a book.
    ///
    /// Chunk by chunk; one that has a summary is not summarised again. The task's result is `{book, title, author, language, summaries}`.
    #[oai(
        path = "/api/book_analyzer/analyze_book",
        method = "post",
        operation_id = "analyzeBook"
    )]
    async fn analyze(
        &self,
        /// The same key again starts nothing and answers with the task that it started.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        wanted: payload::Json<Analyze>,
    ) -> Result<Json<Task>, Failure<BEGINNING>> {
        let wanted = wanted.0;
        let input = given([
            ("book", Value::String(wanted.book_id.0)),
            ("chunks", json!(wanted.chunks)),
            ("language", text(wanted.language)),
            ("model", text(wanted.model)),
        ]);
        self.begin("analyze-book", input, key.0).await
    }

    /// Write a post about a book.
    ///
    /// From the next summary that no post was made from. Nothing is sent. The task's result is `{text, length, summary, chunk, prompt, model}`.
    #[oai(
        path = "/api/book_analyzer/generate_post",
        method = "post",
        operation_id = "generatePost"
    )]
    async fn generate(
        &self,
        /// The same key again starts nothing and answers with the task that it started.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        wanted: payload::Json<Generate>,
    ) -> Result<Json<Task>, Failure<BEGINNING>> {
        let wanted = wanted.0;
        let previous = wanted
            .previous
            .map(|posts| posts.into_iter().map(|post| post.0).collect::<Vec<_>>());
        let input = given([
            ("book", Value::String(wanted.book_id.0)),
            ("previous", json!(previous)),
            ("language", text(wanted.language)),
            ("model", text(wanted.model)),
        ]);
        self.begin("generate-post", input, key.0).await
    }

    /// Post a book to a channel by itself.
    ///
    /// One post after each interval, or at each time of a schedule, until the book has been gone through. A channel has one such task: a second one is
    /// refused. Started again, it goes on with what was not posted yet.
    #[oai(
        path = "/api/book_analyzer/start_autopost",
        method = "post",
        operation_id = "startAutopost"
    )]
    async fn start(
        &self,
        /// The same key again starts nothing and answers with the task that it started.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        wanted: payload::Json<Autopost>,
    ) -> Result<Json<Task>, Failure<BEGINNING>> {
        let wanted = wanted.0;
        if wanted.every_minutes.is_some() == wanted.schedule.is_some() {
            let detail = "say either every_minutes or a schedule";
            return Err(Failure(refusal(422, "It is not clear when to post", detail)));
        }
        let schedule = text(wanted.schedule);
        if let Some(schedule) = schedule.as_str() {
            // A schedule that is none is told now and not by a task that fails.
            let asked = json!({ "schedule": schedule, "timezone": wanted.timezone.as_ref().map(|zone| &zone.0), "after": "2026-01-01T00:00:00Z" });
            let next: Result<Value, Failure> = self.0.look("time.next", asked).await;
            next.map_err(unusable::<BEGINNING>)?;
        }
        let input = given([
            ("book", Value::String(wanted.book_id.0)),
            ("channel", Value::String(wanted.channel.0)),
            ("every_minutes", json!(wanted.every_minutes)),
            ("schedule", schedule),
            ("timezone", text(wanted.timezone)),
            ("posts", json!(wanted.posts)),
            ("repeat", json!(wanted.repeat)),
            ("language", text(wanted.language)),
            ("model", text(wanted.model)),
        ]);
        self.begin(AUTOPOST, input, key.0).await
    }

    /// Stop posting a book to a channel.
    ///
    /// The answer is the task that was stopped.
    #[oai(
        path = "/api/book_analyzer/stop_autopost",
        method = "post",
        operation_id = "stopAutopost"
    )]
    async fn stop(&self, wanted: payload::Json<Stop>) -> Result<Json<Task>, Failure<BEGINNING>> {
        let channel = wanted.0.channel.0;
        let id = self.posting_to(&channel).await?;
        let stopped = Command::Cancel(Some("stopped over /api/book_analyzer/stop_autopost".to_owned()));
        let run = self.0.state.node.command(potok_dsl::RunId(id), stopped).await?;
        Ok(Json(task(&self.0, run).await?))
    }

    /// List summaries.
    ///
    /// Newest first.
    #[oai(
        path = "/api/book_analyzer/summaries",
        method = "get",
        operation_id = "listSummaries"
    )]
    async fn summaries(
        &self,
        /// Those of this book.
        book_id: Query<Option<BlobId>>,
        /// Those that a post was made from, or was not.
        used: Query<Option<bool>>,
        /// At most so many.
        #[oai(validator(minimum(value = "0"), maximum(value = "1000")), default = "page")]
        limit: Query<i64>,
        /// After so many.
        #[oai(validator(minimum(value = "0"), maximum(value = "4294967295")), default)]
        offset: Query<i64>,
    ) -> Result<Json<Summaries>, Failure<MALFORMED>> {
        let book = book_id.0.map(|book| book.0);
        let request = json!({ "book": book, "used": used.0, "limit": limit.0, "offset": offset.0 });
        let mut page = self.0.look("content.summaries", request).await?;
        for row in page["summaries"].as_array_mut().into_iter().flatten() {
            row["book_id"] = row["book"].take();
        }
        Ok(Json(Summaries {
            status: Word::Ok,
            data: read(page["summaries"].take())?,
            total: read(page["total"].take())?,
        }))
    }

    /// List posts.
    ///
    /// All that were begun, newest first, with what became of each.
    #[oai(path = "/api/book_analyzer/posts_log", method = "get", operation_id = "listPosts")]
    async fn posts(
        &self,
        /// Those to this channel, as it was written when they were posted.
        #[oai(validator(max_length = "64"))]
        channel: Query<Option<String>>,
        /// Those made from this book.
        book_id: Query<Option<BlobId>>,
        /// Those of which this became.
        state: Query<Option<PostState>>,
        /// At most so many.
        #[oai(validator(minimum(value = "0"), maximum(value = "1000")), default = "page")]
        limit: Query<i64>,
        /// After so many.
        #[oai(validator(minimum(value = "0"), maximum(value = "4294967295")), default)]
        offset: Query<i64>,
    ) -> Result<Json<Posts>, Failure<MALFORMED>> {
        let state = state
            .0
            .to_json()
            .and_then(|state| Some(state.as_str()?.replace('_', "-")));
        let request = json!({
            "channel": channel.0,
            "book": book_id.0.map(|book| book.0),
            "state": state,
            "limit": limit.0,
            "offset": offset.0,
        });
        let mut page = self.0.look("telegram.posts", request).await?;
        for row in page["posts"].as_array_mut().into_iter().flatten() {
            let mut source = row["source"].take();
            row["book_id"] = source["book"].take();
            row["prompt"] = source["prompt"].take();
            row["model"] = source["model"].take();
            row["state"] = json!(row["state"].as_str().unwrap_or_default().replace('-', "_"));
        }
        Ok(Json(Posts {
            status: Word::Ok,
            data: read(page["posts"].take())?,
            total: read(page["total"].take())?,
        }))
    }
}

impl Books {
    async fn begin(
        &self,
        workflow: &str,
        input: Value,
        key: Option<IdempotencyKey>,
    ) -> Result<Json<Task>, Failure<BEGINNING>> {
        let run = self.0.start(workflow, input, key.map(|key| key.0)).await?;
        Ok(Json(task(&self.0, run).await?))
    }

    /// The run that posts a book to a channel.
    async fn posting_to(&self, channel: &str) -> Result<Uuid, Failure<BEGINNING>> {
        let filter = RunFilter {
            namespace: Some("telegram".to_owned()),
            name: Some(AUTOPOST.to_owned()),
            status: ["pending", "running", "waiting", "suspended"]
                .map(str::to_owned)
                .to_vec(),
            ..RunFilter::default()
        };
        let mut after = None;
        loop {
            let (runs, next) = self.0.state.node.runs(&filter, after, 200).await?;
            if let Some(run) = runs.iter().find(|run| run.input["channel"] == channel) {
                return Ok(run.id.0);
            }
            if next.is_none() {
                return Err(Failure::not_found(format!("no book is posted to {channel}")));
            }
            after = next;
        }
    }
}
