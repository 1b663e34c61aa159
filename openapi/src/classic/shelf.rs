//! The workflows that operations start. Their texts are in the binary; each is deployed when it is first needed, so that whoever needs none
//! has none. Which version runs is then up to the operator: a newer one that he deploys is the active one.

use potok_node::deploy::DeployError;
use tokio::sync::OnceCell;

use crate::{
    api::State,
    failure::{Failure, unavailable},
};

/// A workflow that comes with the binary.
#[derive(Debug, Clone, Copy)]
pub struct Shipped {
    /// The namespace that its text has.
    pub namespace: &'static str,
    /// The name that its text has.
    pub name: &'static str,
    /// The definition.
    pub text: &'static str,
    /// What else is to be there once it is used: the name of another one in the same namespace.
    pub with: Option<&'static str>,
}

/// All of them.
#[must_use]
pub fn shipped() -> Vec<Shipped> {
    let shipped = |name, text, with| Shipped {
        namespace: "telegram",
        name,
        text,
        with,
    };
    let text = include_str!("../../../workflows/telegram/post.yaml");
    let post = shipped("post", text, None);
    let text = include_str!("../../../workflows/telegram/bot-admin-check.yaml");
    let check = shipped("bot-admin-check", text, None);
    let text = include_str!("../../../workflows/telegram/add-channel.yaml");
    // Whoever has channels wants to know when their bots may not post there any more.
    let add_channel = shipped("add-channel", text, Some(check.name));
    let text = include_str!("../../../workflows/telegram/account-health.yaml");
    let health = shipped("account-health", text, None);
    let text = include_str!("../../../workflows/telegram/parse-members.yaml");
    let parse = shipped("parse-members", text, None);
    let text = include_str!("../../../workflows/telegram/bulk-invite.yaml");
    let invite = shipped("bulk-invite", text, None);
    let text = include_str!("../../../workflows/telegram/proxy-health.yaml");
    let proxies = shipped("proxy-health", text, None);
    let text = include_str!("../../../workflows/telegram/analyze-book.yaml");
    let analyze = shipped("analyze-book", text, None);
    let text = include_str!("../../../workflows/telegram/generate-post.yaml");
    let generate = shipped("generate-post", text, None);
    let text = include_str!("../../../workflows/telegram/book-autopost.yaml");
    let autopost = shipped("book-autopost", text, None);
    vec![
        post,
        add_channel,
        check,
        health,
        parse,
        invite,
        proxies,
        analyze,
        generate,
        autopost,
    ]
}

/// All of them, and which are known to be deployed.
pub(super) struct Shelf(Vec<(Shipped, OnceCell<()>)>);

impl Shelf {
    pub fn new(shipped: Vec<Shipped>) -> Self {
        let entry = |shipped| (shipped, OnceCell::new());
        Self(shipped.into_iter().map(entry).collect())
    }

    /// Sees to it that a workflow is deployed; gives its namespace and its name.
    pub async fn ready(&self, state: &State, name: &str) -> Result<(&'static str, &'static str), Failure> {
        let missing = || Failure(unavailable(format!("this server does not ship the workflow '{name}'")));
        let shipped = self.deployed(state, name).await?.ok_or_else(missing)?;
        if let Some(other) = shipped.with {
            self.deployed(state, other).await?;
        }
        Ok((shipped.namespace, shipped.name))
    }

    async fn deployed(&self, state: &State, name: &str) -> Result<Option<Shipped>, Failure> {
        let Some((shipped, done)) = self.0.iter().find(|(shipped, _)| shipped.name == name) else {
            return Ok(None);
        };
        done.get_or_try_init(|| deploy(state, *shipped)).await?;
        Ok(Some(*shipped))
    }
}

async fn deploy(state: &State, shipped: Shipped) -> Result<(), Failure> {
    let Shipped {
        namespace, name, text, ..
    } = shipped;
    let file = format!("{namespace}/{name}.yaml");
    let deployed = state
        .heavy(move |node| async move { node.deploy(&file, text, false).await })
        .await?;
    match deployed {
        // The operator's own text under this version is what he wants to run.
        Ok(_) | Err(DeployError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
