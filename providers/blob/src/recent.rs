//! The blobs that were read last: a plugin reads a file piece by piece, and each piece would fetch the whole file
//! again.
//!
//! What is kept can never be wrong, since a blob's name is the hash of its content; it is bounded by bytes and by
//! number.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// The most bytes that are kept: one blob of the largest size.
const MAX_BYTES: usize = 64 << 20;

/// The most blobs that are kept.
const MAX_BLOBS: usize = 16;

/// The blobs that were read last, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<VecDeque<(String, Arc<Vec<u8>>)>>);

impl Recent {
    pub(crate) fn get(&self, hash: &str) -> Option<Arc<Vec<u8>>> {
        let mut blobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = blobs.iter().position(|blob| blob.0 == hash)?;
        let blob = blobs.remove(index)?;
        let bytes = blob.1.clone();
        blobs.push_back(blob);
        Some(bytes)
    }

    pub(crate) fn put(&self, hash: &str, bytes: Arc<Vec<u8>>) {
        if bytes.len() > MAX_BYTES {
            return;
        }
        let mut blobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.retain(|blob| blob.0 != hash);
        blobs.push_back((hash.to_owned(), bytes));
        while blobs.len() > MAX_BLOBS || blobs.iter().map(|blob| blob.1.len()).sum::<usize>() > MAX_BYTES {
            blobs.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn blob(size: usize) -> Arc<Vec<u8>> {
        Arc::new(vec![0; size])
    }

    #[test]
    fn the_oldest_go_first_and_what_is_read_is_young_again() {
        let recent = Recent::default();
        for number in 0..MAX_BLOBS {
            recent.put(&number.to_string(), blob(1));
        }
        assert!(recent.get("0").is_some());
        recent.put("new", blob(1));
        assert!(recent.get("0").is_some());
        assert!(recent.get("1").is_none());
    }

    #[test]
    fn no_more_bytes_are_kept_than_the_largest_blob_has() {
        let recent = Recent::default();
        recent.put("a", blob(MAX_BYTES / 2));
        recent.put("b", blob(MAX_BYTES / 2));
        assert!(recent.get("a").is_some());
        recent.put("c", blob(1));
        assert!(recent.get("b").is_none());
        recent.put("huge", blob(MAX_BYTES + 1));
        assert!(recent.get("huge").is_none());
        assert!(recent.get("c").is_some());
    }
}
