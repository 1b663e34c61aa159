//! Content types: how a body of a kind is written and read.

/// What a content type says of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// There is no content type.
    Unsaid,
    /// JSON.
    Json,
    /// A form's members, `a=b&c=d`.
    Form,
    /// The parts of a form, of which each has its own type.
    Parts,
    /// Text of another kind.
    Text,
    /// Bytes.
    Binary,
}

impl Kind {
    pub(crate) fn of(content_type: Option<&str>) -> Self {
        let essence = content_type
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let (family, subtype) = essence.split_once('/').unwrap_or((&essence, ""));
        let suffix = subtype.rsplit('+').next().unwrap_or_default();
        match (family, suffix) {
            ("", _) => Self::Unsaid,
            ("application" | "text", "json") => Self::Json,
            (_, "json") if subtype.contains('+') => Self::Json,
            ("application", "x-www-form-urlencoded") => Self::Form,
            ("multipart", "form-data") => Self::Parts,
            ("text", _) | (_, "xml" | "yaml") => Self::Text,
            ("application", "javascript" | "graphql" | "x-yaml" | "x-ndjson" | "jsonl" | "toml" | "sql") => Self::Text,
            _ => Self::Binary,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        for (content_type, kind) in [
            (None, Kind::Unsaid),
            (Some(""), Kind::Unsaid),
            (Some("application/json"), Kind::Json),
            (Some("Application/JSON; charset=utf-8"), Kind::Json),
            (Some("text/json"), Kind::Json),
            (Some("application/problem+json"), Kind::Json),
            (Some("image/vnd.x+json"), Kind::Json),
            (Some("image/json"), Kind::Binary),
            (Some("application/x-www-form-urlencoded"), Kind::Form),
            (Some("multipart/form-data; boundary=x"), Kind::Parts),
            (Some("multipart/mixed"), Kind::Binary),
            (Some("text/plain"), Kind::Text),
            (Some("text/html; charset=utf-8"), Kind::Text),
            (Some("application/atom+xml"), Kind::Text),
            (Some("image/svg+xml"), Kind::Text),
            (Some("application/xml"), Kind::Text),
            (Some("application/yaml"), Kind::Text),
            (Some("application/octet-stream"), Kind::Binary),
            (Some("image/png"), Kind::Binary),
            (Some("nonsense"), Kind::Binary),
        ] {
            assert_eq!(Kind::of(content_type), kind, "{content_type:?}");
        }
    }
}
