//! The capability as a plugin's calls see it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::Duration;

use potok_blob::BlobProvider;
use potok_dsl::{ErrorType, Problem};
use potok_testing::{MemoryTables, context};
use potok_wasm::{Provider, Unavailable};
use serde_json::{Value, json};

struct Blobs {
    provider: BlobProvider,
    tables: Arc<MemoryTables>,
}

impl Blobs {
    fn new() -> Self {
        Self {
            provider: BlobProvider::default(),
            tables: MemoryTables::new(&[]),
        }
    }

    async fn call(&self, function: &str, args: Value) -> Result<Value, Problem> {
        let cx = context(self.tables.clone(), "key", Duration::from_secs(5));
        self.provider.call(&cx, "potok:blob/blobs", function, args).await
    }
}

#[tokio::test]
async fn what_was_written_is_read_piece_by_piece() {
    let blobs = Blobs::new();
    let id = blobs.call("write", json!({ "bytes": "aGVsbG8=" })).await.unwrap();
    assert_eq!(
        id,
        "blob:sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    );
    assert_eq!(blobs.call("size", json!({ "id": id })).await.unwrap(), 5);
    let read = async |offset: u64, length: u32| {
        blobs
            .call("read", json!({ "id": id, "offset": offset, "length": length }))
            .await
            .unwrap()
    };
    assert_eq!(read(0, 5).await, "aGVsbG8=");
    assert_eq!(read(1, 3).await, "ZWxs");
    assert_eq!(read(3, 262_144).await, "bG8=");
    assert_eq!(read(5, 1).await, "");
    assert_eq!(read(u64::MAX, 1).await, "");
    assert_eq!(read(0, 0).await, "");
    assert_eq!(blobs.tables.blob_reads(), 1, "the store was asked once");
}

#[tokio::test]
async fn the_same_bytes_have_the_same_id() {
    let blobs = Blobs::new();
    let first = blobs.call("write", json!({ "bytes": "AAEC" })).await.unwrap();
    assert_eq!(blobs.call("write", json!({ "bytes": "AAEC" })).await.unwrap(), first);
}

#[tokio::test]
async fn what_cannot_be_done_says_why() {
    let blobs = Blobs::new();
    let nothing = format!("blob:sha256:{}", "0".repeat(64));
    for (function, args, status) in [
        ("size", json!({ "id": nothing }), 404),
        ("size", json!({ "id": "../etc/passwd" }), 400),
        ("size", json!({ "id": "blob:sha256:abc" }), 400),
        ("read", json!({ "id": nothing, "offset": 0, "length": 262_145 }), 400),
        ("read", json!({ "id": nothing, "offset": -1, "length": 1 }), 400),
        ("write", json!({ "bytes": "not base64!" }), 400),
        ("write", json!({ "bytes": "", "more": 1 }), 400),
        ("erase", json!({}), 500),
    ] {
        let problem = blobs.call(function, args.clone()).await.unwrap_err();
        assert_eq!(problem.status, status, "{function} {args}: {problem}");
    }
    let cx = context(Arc::new(Unavailable), "key", Duration::from_secs(5));
    let problem = blobs
        .provider
        .call(&cx, "potok:blob/blobs", "size", json!({ "id": nothing }))
        .await
        .unwrap_err();
    assert_eq!(problem.status, 503);
    assert!(problem.is(ErrorType::Runtime));
    assert!(blobs.provider.pure());
}
