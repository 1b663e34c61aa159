//! How much a file may be, and become.

/// The largest file that is read, in bytes.
pub const FILE: u64 = 64 << 20;

/// The most that one part of an archive or one stream of a PDF may expand to, in bytes.
pub const PART: u64 = 64 << 20;

/// The most that all parts together may expand to, in bytes.
pub const TOTAL: u64 = 256 << 20;

/// How many times larger than its compressed form a part may become, once it is over [`RATIO_FROM`]. Text gets five times smaller,
/// hardly ever twenty times.
pub const RATIO: u64 = 200;

/// Below this, in bytes, a part may be compressed however well.
pub const RATIO_FROM: u64 = 1 << 20;

/// The most parts an archive may have.
pub const PARTS: usize = 20_000;

/// The deepest nesting of elements.
pub const DEPTH: usize = 200;

/// The most that what paints one page of a PDF may expand to, in bytes.
pub const PAGE: usize = 16 << 20;
