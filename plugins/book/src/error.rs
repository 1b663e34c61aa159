//! Why a file gives no text.

use std::fmt;

/// What stands against it; each is a kind of fault of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The file is damaged or cut off.
    Broken,
    /// The file is protected.
    Encrypted,
    /// The file is, or becomes, larger than this plugin reads.
    TooLarge,
    /// The file is none of the formats, or says something of itself that is not supported.
    Unsupported,
    /// There is no text in it.
    Empty,
}

impl Kind {
    /// The last part of the fault's URI.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::Encrypted => "encrypted",
            Self::TooLarge => "too-large",
            Self::Unsupported => "unsupported",
            Self::Empty => "empty",
        }
    }

    /// The fault's summary.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Broken => "The book is broken",
            Self::Encrypted => "The book is encrypted",
            Self::TooLarge => "The book is too large",
            Self::Unsupported => "The file is not a supported book",
            Self::Empty => "The book has no text",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Broken => "get the file again from where it comes from",
            Self::Encrypted => "give a copy without protection",
            Self::TooLarge => "give the book in parts",
            Self::Unsupported => "give TXT, EPUB, FB2, FB2 in ZIP, or PDF",
            Self::Empty => "a book of scanned pages has to go through text recognition first",
        }
    }
}

/// Why a file gives no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What stands against it.
    pub kind: Kind,
    /// What exactly was found.
    pub reason: String,
}

impl Error {
    pub(crate) fn new(kind: Kind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.into(),
        }
    }

    pub(crate) fn broken(what: &str, error: impl fmt::Display) -> Self {
        Self::new(Kind::Broken, format!("{what}: {error}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.reason, self.kind.advice())
    }
}

impl std::error::Error for Error {}
