//! Plugins: what is installed, and installing.

use poem_openapi::{ApiResponse, OpenApi, param::Query, payload::Json};
use potok_journal::{hash, hex};
use potok_wasm::Grants;

use super::{Room, State};
use crate::{
    failure::{BODY, CHANGES, CONFLICT, Failure, MALFORMED, UNUSABLE},
    params::Grant,
    payload::Bytes,
    types::{Plugin, Plugins as List},
};

#[derive(Clone)]
pub(super) struct Plugins(pub State);

#[derive(ApiResponse)]
enum Installed {
    /// It was installed already.
    #[oai(status = 200)]
    Known(Json<Plugin>),
    /// It is installed.
    #[oai(status = 201)]
    New(Json<Plugin>),
}

#[OpenApi(tag = "Room::Plugins")]
impl Plugins {
    /// List plugins.
    #[oai(path = "/plugins", method = "get", operation_id = "listPlugins")]
    async fn list(&self) -> Result<Json<List>, Failure> {
        let plugins = self.0.node.host().plugins();
        Ok(Json(List {
            plugins: plugins.iter().map(|info| (&**info).into()).collect(),
        }))
    }

    /// Install a plugin.
    ///
    /// The body is a WebAssembly component. What it imports beyond pure computation must be granted by name, or it is refused.
    #[oai(path = "/plugins", method = "post", operation_id = "installPlugin")]
    async fn install(
        &self,
        /// A capability that it may use, such as `ai` or `http:api.example.com`; may be given several times.
        #[oai(validator(max_items = 100))]
        grant: Query<Option<Vec<Grant>>>,
        component: Bytes<true>,
    ) -> Result<Installed, Failure<{ MALFORMED | CHANGES | CONFLICT | BODY | UNUSABLE }>> {
        let grants = Grants(grant.0.unwrap_or_default().into_iter().map(|grant| grant.0).collect());
        let installed = self.0.heavy(move |node| async move {
            let identity = hex(&hash(&component.0));
            let known = node.host().plugins().iter().any(|plugin| plugin.hash == identity);
            node.install_plugin(&component.0, &grants)
                .await
                .map(|info| (info, known))
        });
        let (info, known) = installed.await.map_err(|failure| Failure(failure.0))??;
        let plugin = Json(Plugin::from(&*info));
        Ok(if known {
            Installed::Known(plugin)
        } else {
            Installed::New(plugin)
        })
    }
}
