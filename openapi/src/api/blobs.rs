//! Blobs: bytes by their hash.

use poem_openapi::{
    ApiResponse, OpenApi,
    param::Path,
    payload::{Binary, Json},
};
use potok_wasm::TableError;

use super::{Room, State};
use crate::{
    failure::{BODY, CHANGES, Failure, MALFORMED, MISSING, refusal, unavailable},
    params::BlobId,
    payload::Bytes,
    types::Blob,
};

#[derive(Clone)]
pub(super) struct Blobs(pub State);

#[derive(ApiResponse)]
enum Stored {
    /// It is stored.
    #[oai(status = 201)]
    Stored(
        Json<Blob>,
        /// Where it is.
        #[oai(header = "Location")]
        String,
    ),
}

#[derive(ApiResponse)]
enum Found {
    /// Its bytes.
    #[oai(status = 200)]
    Bytes(
        Binary<Vec<u8>>,
        /// Its id, quoted.
        #[oai(header = "ETag")]
        String,
        /// `attachment`: whatever the bytes are, they are not to be shown as a page of this site.
        #[oai(header = "Content-Disposition")]
        String,
    ),
}

#[OpenApi(tag = "Room::Blobs")]
impl Blobs {
    /// Store a blob.
    ///
    /// The same bytes have the same id, whoever stores them and however often.
    #[oai(path = "/blobs", method = "post", operation_id = "storeBlob")]
    async fn store(&self, bytes: Bytes<false>) -> Result<Stored, Failure<{ MALFORMED | CHANGES | BODY }>> {
        let size = bytes.0.len() as u64;
        let hash = self.0.node.tables().put_blob(bytes.0).await.map_err(refused)?;
        let id = blob_id(hash);
        let place = format!("/api/v1/blobs/{id}");
        Ok(Stored::Stored(Json(Blob { id, size }), place))
    }

    /// Read a blob.
    #[oai(path = "/blobs/:id", method = "get", operation_id = "readBlob")]
    async fn read(
        &self,
        /// Its id, as storing it gave it.
        id: Path<BlobId>,
    ) -> Result<Found, Failure<{ MALFORMED | MISSING }>> {
        let id = id.0.0;
        let bytes = self.0.node.tables().get_blob(&id).await.map_err(refused)?;
        let Some(bytes) = bytes else {
            return Err(Failure::not_found(format!("there is no blob '{id}'")));
        };
        let bytes = std::sync::Arc::unwrap_or_clone(bytes);
        Ok(Found::Bytes(
            Binary(bytes),
            format!("\"{id}\""),
            "attachment".to_owned(),
        ))
    }
}

/// A blob by its hash.
pub(crate) fn blob_id(hash: String) -> String {
    if hash.starts_with("blob:") {
        hash
    } else {
        format!("blob:{hash}")
    }
}

/// What the store has against a blob.
pub(crate) fn refused<const KINDS: u16>(error: TableError) -> Failure<KINDS> {
    let message = error.to_string();
    Failure(match error {
        TableError::TooLarge { .. } => refusal(413, "Too large", message),
        TableError::Unavailable(_) => unavailable(message),
        _ => return Failure::internal(message),
    })
}
