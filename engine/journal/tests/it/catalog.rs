//! Definitions, plugins, triggers, blobs: what every store must hold of them.

use std::sync::Arc;

use potok_dsl::WorkflowId;
use potok_journal::{
    BlobRow, DefinitionFilter, PluginRow, RunWrite, Store, StoreError, TriggerRow, Write, Written, hash,
};
use serde_json::json;

use crate::{commit_run, definition, opening, row, run_id};

pub(crate) async fn definitions_have_versions_and_drafts(store: Arc<dyn Store>) {
    let put = async |row| store.commit(Write::Definition(Box::new(row))).await;
    let done = |hash: &str, created| {
        Ok(Written::Definition {
            hash: hash.to_owned(),
            created,
        })
    };
    assert_eq!(put(definition("a", "1.0.0", "text", false)).await, done("a", true));
    assert_eq!(put(definition("a", "1.0.0", "text", false)).await, done("a", false));
    assert_eq!(
        put(definition("b", "1.0.0", "text", false)).await,
        done("a", false),
        "the same text under another lock"
    );
    let other = definition("c", "1.0.0", "changed", false);
    match put(other.clone()).await {
        Err(StoreError::DefinitionConflict { id, hash, source_text }) => {
            assert_eq!(
                (*id, hash.as_str(), source_text.as_str()),
                (other.id.clone(), "a", "text")
            );
        }
        result => panic!("{result:?}"),
    }
    assert_eq!(
        put(definition("c", "1.0.0", "changed", true)).await,
        done("c", true),
        "a draft may be anything"
    );
    assert_eq!(put(definition("d", "2.0.0", "next", true)).await, done("d", true));
    assert_eq!(
        put(definition("d", "2.0.0", "next", false)).await,
        done("d", true),
        "a draft that is deployed"
    );

    assert_eq!(
        store.definition("c").await.unwrap(),
        Some(definition("c", "1.0.0", "changed", true))
    );
    assert_eq!(store.definition_by_id(&other.id).await.unwrap().unwrap().hash, "a");
    let unknown = WorkflowId {
        namespace: "x".into(),
        ..other.id
    };
    assert_eq!(store.definition_by_id(&unknown).await.unwrap(), None);
    let hashes = async |filter: DefinitionFilter| {
        let mut rows = Vec::new();
        loop {
            let page = store.definitions(&filter, rows.last(), 2).await.unwrap();
            if page.is_empty() {
                return rows
                    .iter()
                    .map(|row: &potok_journal::DefinitionRow| row.hash.clone())
                    .collect::<String>();
            }
            rows.extend(page);
        }
    };
    assert_eq!(hashes(DefinitionFilter::default()).await, "ad");
    assert_eq!(
        hashes(DefinitionFilter {
            drafts: true,
            ..Default::default()
        })
        .await,
        "acd"
    );
    assert_eq!(
        hashes(DefinitionFilter {
            name: Some("none".into()),
            ..Default::default()
        })
        .await,
        ""
    );
}

pub(crate) async fn the_active_version_is_the_chosen_or_the_newest(store: Arc<dyn Store>) {
    let active = async || {
        store
            .active_definition("default", "book")
            .await
            .unwrap()
            .map(|row| row.id.version)
    };
    assert_eq!(active().await, None);
    for version in ["1.9.0", "1.10.0", "1.2.0", "not-semantic"] {
        store
            .commit(Write::Definition(Box::new(definition(
                version, version, version, false,
            ))))
            .await
            .unwrap();
    }
    store
        .commit(Write::Definition(Box::new(definition("draft", "9.0.0", "draft", true))))
        .await
        .unwrap();
    assert_eq!(active().await.as_deref(), Some("1.10.0"));
    let activate = async |version: Option<&str>| {
        let (namespace, name) = ("default".to_owned(), "book".to_owned());
        store
            .commit(Write::Activate {
                namespace,
                name,
                version: version.map(str::to_owned),
            })
            .await
    };
    assert!(
        matches!(activate(Some("9.0.0")).await, Err(StoreError::Missing(_))),
        "a draft is never active"
    );
    activate(Some("1.9.0")).await.unwrap();
    activate(Some("1.2.0")).await.unwrap();
    assert_eq!(active().await.as_deref(), Some("1.2.0"));
    let mut elsewhere = definition("elsewhere", "0.1.0", "elsewhere", false);
    elsewhere.id.namespace = "other".to_owned();
    store.commit(Write::Definition(Box::new(elsewhere))).await.unwrap();
    let all = store.active_definitions().await.unwrap();
    assert_eq!(
        all.iter().map(|row| row.hash.as_str()).collect::<Vec<_>>(),
        ["1.2.0", "elsewhere"]
    );
    activate(None).await.unwrap();
    assert_eq!(active().await.as_deref(), Some("1.10.0"));
    activate(Some("1.2.0")).await.unwrap();
    store
        .commit(Write::RemoveDefinition {
            hash: "1.2.0".to_owned(),
        })
        .await
        .unwrap();
    assert_eq!(
        active().await.as_deref(),
        Some("1.10.0"),
        "a removed version is not chosen any more"
    );
}

pub(crate) async fn used_definitions_stay(store: Arc<dyn Store>) {
    let remove = async || store.commit(Write::RemoveDefinition { hash: "d".to_owned() }).await;
    assert!(matches!(remove().await, Err(StoreError::Missing(_))));
    store
        .commit(Write::Definition(Box::new(definition("d", "1.0.0", "text", false))))
        .await
        .unwrap();
    let trigger = |definition: &str| TriggerRow {
        definition: definition.to_owned(),
        key: "cron".to_owned(),
        next_at: None,
        state: json!(1),
    };
    store.commit(Write::Trigger(trigger("d"))).await.unwrap();
    store.commit(Write::Trigger(trigger("e"))).await.unwrap();
    for number in [1, 2] {
        store.commit(opening(row(number))).await.unwrap();
    }
    assert_eq!(
        remove().await,
        Err(StoreError::InUse {
            what: "definition d".to_owned(),
            runs: 2
        })
    );
    assert_eq!(store.unfinished_runs("d").await.unwrap(), 2);
    for number in [1, 2] {
        let mut end = RunWrite::new(run_id(number), 1);
        end.finished = true;
        commit_run(&store, end).await.unwrap();
    }
    assert_eq!(remove().await, Ok(Written::Done));
    assert_eq!(store.definition("d").await.unwrap(), None);
    assert_eq!(
        store.triggers().await.unwrap(),
        [trigger("e")],
        "its triggers go with it"
    );
    assert!(store.run_row(run_id(1)).await.unwrap().is_some(), "its runs stay");
}

pub(crate) async fn plugins_are_known_by_hash_and_version(store: Arc<dyn Store>) {
    let plugin = |hash: &str, version: &str, grants: &[&str], installed_at| PluginRow {
        hash: hash.to_owned(),
        package: "potok:book".to_owned(),
        version: version.to_owned(),
        grants: grants.iter().map(|&grant| grant.to_owned()).collect(),
        wit: Some("package potok:book;".to_owned()),
        installed_at,
    };
    let put = async |row: PluginRow| {
        let bytes: Arc<[u8]> = row.hash.as_bytes().into();
        store
            .commit(Write::Plugin {
                row: Box::new(row),
                bytes,
            })
            .await
    };
    put(plugin("b", "1.0.0", &["ai"], 2)).await.unwrap();
    put(plugin("a", "1.1.0", &[], 3)).await.unwrap();
    put(plugin("b", "1.0.0", &["ai", "telegram"], 9)).await.unwrap();
    let expected = [
        plugin("b", "1.0.0", &["ai", "telegram"], 2),
        plugin("a", "1.1.0", &[], 3),
    ];
    assert_eq!(
        store.plugins().await.unwrap(),
        expected,
        "installing again changes the grants alone"
    );
    let conflict = put(plugin("c", "1.0.0", &[], 4)).await;
    assert!(matches!(conflict, Err(StoreError::PluginConflict { hash, .. }) if hash == "b"));
    assert_eq!(
        store.plugin("a").await.unwrap(),
        Some((expected[1].clone(), b"a".to_vec()))
    );
    store
        .commit(Write::RemovePlugin { hash: "a".to_owned() })
        .await
        .unwrap();
    assert_eq!(store.plugin("a").await.unwrap(), None);
    let missing = store.commit(Write::RemovePlugin { hash: "a".to_owned() }).await;
    assert!(matches!(missing, Err(StoreError::Missing(_))));
}

pub(crate) async fn triggers_keep_their_state(store: Arc<dyn Store>) {
    let trigger = |key: &str, next_at, state| TriggerRow {
        definition: "d".to_owned(),
        key: key.to_owned(),
        next_at,
        state,
    };
    for row in [
        trigger("b", Some(1), json!([])),
        trigger("a", None, json!({ "n": 1 })),
        trigger("b", Some(2), json!("x")),
    ] {
        store.commit(Write::Trigger(row)).await.unwrap();
    }
    let expected = [trigger("a", None, json!({ "n": 1 })), trigger("b", Some(2), json!("x"))];
    assert_eq!(store.triggers().await.unwrap(), expected);
    store
        .commit(Write::RemoveTriggers {
            definition: "d".to_owned(),
        })
        .await
        .unwrap();
    assert_eq!(store.triggers().await.unwrap(), []);
}

pub(crate) async fn blobs_are_listed(store: Arc<dyn Store>) {
    let put = async |text: &str, name: Option<&str>, media_type: Option<&str>, created_at| {
        let bytes: Arc<[u8]> = text.as_bytes().into();
        let (name, media_type) = (name.map(str::to_owned), media_type.map(str::to_owned));
        store
            .commit(Write::Blob {
                bytes,
                name,
                media_type,
                created_at,
            })
            .await
            .unwrap()
    };
    assert_eq!(put("one", None, None, 1).await, Written::Value { hash: hash(b"one") });
    put("two", Some("two.txt"), Some("text/plain"), 2).await;
    put("one", Some("one.txt"), None, 3).await;
    put("one", None, Some("text/plain"), 4).await;
    let blob = |text: &str, created_at| BlobRow {
        hash: hash(text.as_bytes()),
        name: Some(format!("{text}.txt")),
        media_type: Some("text/plain".to_owned()),
        size: 3,
        created_at,
    };
    let first = store.blobs(None, 1).await.unwrap();
    assert_eq!(first, [blob("two", 2)]);
    assert_eq!(store.blobs(first.last(), 5).await.unwrap(), [blob("one", 1)]);
    assert_eq!(store.blob(&hash(b"one")).await.unwrap(), Some(blob("one", 1)));
    assert_eq!(store.value(&hash(b"two")).await.unwrap(), Some(b"two".to_vec()));
    let bytes: Arc<[u8]> = b"only a value".to_vec().into();
    store.commit(Write::Value { bytes }).await.unwrap();
    assert_eq!(store.blob(&hash(b"only a value")).await.unwrap(), None);
}
