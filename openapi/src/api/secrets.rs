//! Secrets that are kept in the store: setting, listing names, removing. No answer ever holds a value.

use poem_openapi::{ApiResponse, OpenApi, param::Path, payload::Json};
use potok_dsl::Timestamp;
use potok_node::SecretsError;

use super::{Room, State};
use crate::{
    failure::{BODY, CHANGES, Failure, MALFORMED, MISSING, UNUSABLE, refusal, unavailable},
    params::SecretName,
    payload::SecretText,
    time::{Time, now},
    types::{Secret, Secrets as List},
};

#[derive(Clone)]
pub(super) struct Secrets(pub State);

#[derive(ApiResponse)]
enum Set {
    /// It took the place of the former value.
    #[oai(status = 204)]
    Replaced,
    /// It is kept.
    #[oai(status = 201)]
    Created,
}

#[derive(ApiResponse)]
enum Gone {
    /// It is removed.
    #[oai(status = 204)]
    Done,
}

#[OpenApi(tag = "Room::Secrets")]
impl Secrets {
    /// List secrets.
    ///
    /// The names of those that are kept in the store; secrets of the environment and of files are not among them. Values are never told.
    #[oai(path = "/secrets", method = "get", operation_id = "listSecrets")]
    async fn list(&self) -> Result<Json<List>, Failure> {
        let secrets = self.0.node.secrets().list().await.map_err(failed)?;
        let secret = |view: potok_node::SecretView| Secret {
            name: view.name,
            version: view.version,
            updated_at: Time(Timestamp(view.updated_at)),
        };
        Ok(Json(List {
            secrets: secrets.into_iter().map(secret).collect(),
        }))
    }

    /// Set a secret.
    ///
    /// The body is the secret: text, or a JSON object whose fields workflows read by name. It is kept sealed. Calls from now on use it.
    #[oai(path = "/secrets/:name", method = "put", operation_id = "setSecret")]
    async fn set(
        &self,
        name: Path<SecretName>,
        value: SecretText,
    ) -> Result<Set, Failure<{ MALFORMED | CHANGES | BODY | UNUSABLE }>> {
        let new = self.0.node.secrets().set(&name.0.0, &value.0, now()).await;
        Ok(if new.map_err(failed)? {
            Set::Created
        } else {
            Set::Replaced
        })
    }

    /// Remove a secret.
    ///
    /// Calls that need it fault from now on, unless the environment or a file has one of the same name.
    #[oai(path = "/secrets/:name", method = "delete", operation_id = "removeSecret")]
    async fn remove(&self, name: Path<SecretName>) -> Result<Gone, Failure<{ MALFORMED | CHANGES | MISSING }>> {
        let name = name.0.0;
        match self.0.node.secrets().remove(&name).await.map_err(failed)? {
            true => Ok(Gone::Done),
            false => Err(Failure::not_found(format!("there is no secret '{name}' in the store"))),
        }
    }
}

fn failed<const KINDS: u16>(error: SecretsError) -> Failure<KINDS> {
    let message = error.to_string();
    Failure(match error {
        SecretsError::Empty => refusal(422, "Unusable", message),
        SecretsError::TooLarge { .. } => refusal(413, "Too large", message),
        SecretsError::Store(error) => return potok_node::NodeError::Store(error).into(),
        _ => unavailable(message),
    })
}
