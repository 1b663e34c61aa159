//! How these functions fail.

/// An error in the terms of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A URI that names the kind of error.
    pub kind: String,
    /// An HTTP status code.
    pub status: u16,
    /// A short summary.
    pub title: String,
    /// What happened, and what to do about it.
    pub detail: Option<String>,
    /// How long to wait before trying again.
    pub retry_after_ms: Option<u64>,
    /// Anything a program may want to know of it, as JSON text.
    pub data: Option<String>,
}

impl Fault {
    fn new(kind: &str, status: u16, title: &str, detail: String) -> Self {
        Self {
            kind: format!("urn:potok:content:{kind}"),
            status,
            title: title.to_owned(),
            detail: Some(detail),
            retry_after_ms: None,
            data: None,
        }
    }

    /// The request asks for what cannot be.
    pub(crate) fn invalid(detail: String) -> Self {
        Self::new("invalid", 400, "The request cannot be fulfilled", detail)
    }

    /// The model said nothing that could be used; another try may help.
    pub(crate) fn empty_answer(model: &str) -> Self {
        let detail = format!("the model {model} answered without a text; try again, or ask another model");
        Self::new("empty-answer", 502, "The model answered with nothing", detail)
    }

    /// Everything that could be said was said before.
    pub(crate) fn repeats(chunk: &str) -> Self {
        let detail = format!("all that the summary of chunk {chunk} says is in earlier posts; take another summary");
        Self::new("repeats", 422, "The post would repeat earlier posts", detail)
    }
}
