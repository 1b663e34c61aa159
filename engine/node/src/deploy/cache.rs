//! Definitions by their hashes: compiled once, kept while they are used.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use potok_dsl::{Timestamp, WorkflowId, model::WORKFLOW_LATEST};
use potok_journal::{DefinitionFilter, DefinitionRow, Store, StoreError, Write, Written};
use potok_machine::{Lock, LockedWorkflow};
use potok_wasm::FunctionInfo;

use super::{Binder, DeployError, Prepared, diff, needs::Needs, one_step};
use crate::{Deployment, WorkflowView};

/// How many compiled definitions are kept.
const KEPT: usize = 1_000;

/// How many definitions are read at once.
const PAGE: usize = 500;

/// Functions called on their own are workflows of one step in this namespace; it is not listed.
pub(crate) const FUNCTIONS: &str = "functions";

/// Deployed definitions.
pub struct Deployments {
    store: Arc<dyn Store>,
    binder: Binder,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    compiled: HashMap<String, Arc<Prepared>>,
    /// The newest draft of each workflow that this process deployed: it goes before what is deployed for good.
    drafts: HashMap<(String, String), (Arc<Prepared>, Timestamp)>,
    /// The workflows of one step, by canonical function name and component.
    steps: HashMap<String, Arc<Prepared>>,
}

impl Deployments {
    pub(crate) fn new(store: Arc<dyn Store>, binder: Binder) -> Self {
        Self {
            store,
            binder,
            known: Mutex::default(),
        }
    }

    /// What prepares texts; nothing is kept of it.
    pub(crate) fn binder(&self) -> &Binder {
        &self.binder
    }

    /// Prepares a text, bound to the workflows that are deployed now; nothing is kept.
    pub(crate) async fn prepare(&self, binder: Binder, file: &str, text: &str) -> Result<Prepared, DeployError> {
        let parsed = potok_dsl::parse(file, text).map_err(DeployError::Invalid)?;
        let mut known = BTreeMap::new();
        for target in Needs::of(&parsed.workflow).workflows() {
            let version = Some(target.version.as_str()).filter(|version| *version != WORKFLOW_LATEST);
            if let Some((view, _)) = self.find(&target.namespace, &target.name, version).await? {
                let locked = LockedWorkflow {
                    definition: view.definition,
                    version: view.id.version,
                };
                known.insert(target.to_string(), locked);
            }
        }
        let prepared = binder.knowing(known).prepare(file, text).await;
        prepared.map_err(DeployError::Invalid)
    }

    /// A deployed workflow that is locked to a version of another one, if there is one.
    pub(crate) async fn user(&self, id: &WorkflowId) -> Result<Option<WorkflowId>, StoreError> {
        let Some((view, _)) = self.find(&id.namespace, &id.name, Some(&id.version)).await? else {
            return Ok(None);
        };
        let everything = DefinitionFilter {
            drafts: true,
            ..DefinitionFilter::default()
        };
        let rows = self.rows(&everything).await?;
        let user = rows.into_iter().find(|row| {
            let lock = serde_json::from_value::<Lock>(row.lock.clone()).unwrap_or_default();
            lock.workflows
                .values()
                .any(|locked| locked.definition == view.definition)
        });
        Ok(user.map(|row| row.id))
    }

    /// The definition that is deployed for good with this very text, which is bound as it was then.
    pub(crate) async fn known(&self, text: &str) -> Result<Option<Arc<Prepared>>, StoreError> {
        let Ok(parsed) = potok_dsl::parse("text", text) else {
            return Ok(None);
        };
        let document = &parsed.workflow.document;
        let id = WorkflowId {
            namespace: document.namespace.value.clone(),
            name: document.name.value.clone(),
            version: document.version.value.clone(),
        };
        match self.store.definition_by_id(&id).await? {
            Some(row) if row.source == text => self.compile(&row).map(Some),
            _ => Ok(None),
        }
    }

    /// Stores a prepared definition.
    pub(crate) async fn put(
        &self,
        prepared: Prepared,
        draft: bool,
        now: Timestamp,
    ) -> Result<(Deployment, Arc<Prepared>), DeployError> {
        let row = DefinitionRow {
            hash: prepared.deployed.hash.to_string(),
            id: prepared.id().clone(),
            source: prepared.parsed.source.to_string(),
            lock: serde_json::to_value(&prepared.lock).unwrap_or_default(),
            draft,
            created_at: now.0,
        };
        let warnings = prepared.warnings.clone();
        let (hash, created) = match self.store.commit(Write::Definition(Box::new(row))).await {
            Ok(Written::Definition { hash, created }) => (hash, created),
            Ok(_) => (prepared.deployed.hash.to_string(), true),
            Err(StoreError::DefinitionConflict { id, source_text, .. }) => {
                return Err(DeployError::Conflict {
                    id: *id,
                    diff: diff(&source_text, &prepared.parsed.source),
                });
            }
            Err(error) => return Err(error.into()),
        };
        let same = *hash == *prepared.deployed.hash;
        let prepared = if same {
            self.keep(prepared)
        } else {
            self.by_hash(&hash).await?.unwrap_or_else(|| self.keep(prepared))
        };
        let id = prepared.id().clone();
        let mut created = created;
        if draft && id.namespace != FUNCTIONS {
            let key = (id.namespace.clone(), id.name.clone());
            let before = self.lock().drafts.insert(key, (Arc::clone(&prepared), now));
            created |= before.is_none_or(|(old, _)| old.deployed.hash != prepared.deployed.hash);
        }
        Ok((
            Deployment {
                id,
                definition: hash,
                created,
                warnings,
            },
            prepared,
        ))
    }

    /// The workflow of one step that calls a function.
    pub(crate) async fn step(&self, function: &FunctionInfo, now: Timestamp) -> Result<Arc<Prepared>, DeployError> {
        let key = format!("{}@{}", function.canonical, function.component);
        if let Some(known) = self.lock().steps.get(&key) {
            return Ok(Arc::clone(known));
        }
        let text = one_step(function);
        let prepared = self.binder.prepare(&function.canonical, &text).await;
        let prepared = prepared.map_err(DeployError::Invalid)?;
        let (_, prepared) = self.put(prepared, true, now).await?;
        let mut known = self.lock();
        if known.steps.len() >= KEPT {
            known.steps.clear();
        }
        known.steps.insert(key, Arc::clone(&prepared));
        Ok(prepared)
    }

    /// A definition by its hash, compiled as it was deployed.
    ///
    /// # Errors
    /// When the store cannot be read, or this version cannot run the definition.
    pub(crate) async fn by_hash(&self, hash: &str) -> Result<Option<Arc<Prepared>>, StoreError> {
        if let Some(known) = self.lock().compiled.get(hash) {
            return Ok(Some(Arc::clone(known)));
        }
        match self.store.definition(hash).await? {
            Some(row) => self.compile(&row).map(Some),
            None => Ok(None),
        }
    }

    fn compile(&self, row: &DefinitionRow) -> Result<Arc<Prepared>, StoreError> {
        if let Some(known) = self.lock().compiled.get(&row.hash) {
            return Ok(Arc::clone(known));
        }
        let damaged = |why: String| StoreError::Corrupt(format!("definition {} of {}: {why}", row.hash, row.id));
        let lock: Lock = serde_json::from_value(row.lock.clone()).map_err(|e| damaged(e.to_string()))?;
        let prepared = Prepared::stored(&row.source, lock, self.binder.evaluator()).map_err(damaged)?;
        Ok(self.keep(prepared))
    }

    fn keep(&self, prepared: Prepared) -> Arc<Prepared> {
        let prepared = Arc::new(prepared);
        let mut known = self.lock();
        if known.compiled.len() >= KEPT {
            // What runs hold its own reference; the rest is compiled again when it is wanted.
            known.compiled.retain(|_, kept| Arc::strong_count(kept) > 1);
        }
        known
            .compiled
            .insert(prepared.deployed.hash.to_string(), Arc::clone(&prepared));
        prepared
    }

    /// A deployed workflow: the version named, else the draft of this process, else the active one.
    pub(crate) async fn find(
        &self,
        namespace: &str,
        name: &str,
        version: Option<&str>,
    ) -> Result<Option<(WorkflowView, Arc<Prepared>)>, StoreError> {
        let draft = self
            .lock()
            .drafts
            .get(&(namespace.to_owned(), name.to_owned()))
            .cloned();
        if let Some((prepared, at)) = draft
            && version.is_none_or(|version| prepared.id().version == version)
        {
            return Ok(Some((view(&prepared, true, true, at), prepared)));
        }
        let active = self.store.active_definition(namespace, name).await?;
        let row = match version {
            None => active.clone(),
            Some(version) => {
                let id = WorkflowId {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                    version: version.to_owned(),
                };
                self.store.definition_by_id(&id).await?
            }
        };
        let Some(row) = row else { return Ok(None) };
        let is_active = active.is_some_and(|active| active.hash == row.hash);
        let prepared = self.compile(&row)?;
        Ok(Some((
            view(&prepared, is_active, false, Timestamp(row.created_at)),
            prepared,
        )))
    }

    /// All deployed workflows, the drafts of this process among them.
    pub(crate) async fn list(&self) -> Result<Vec<WorkflowView>, StoreError> {
        let drafts: Vec<_> = self.lock().drafts.values().cloned().collect();
        let mut views: Vec<_> = drafts
            .iter()
            .map(|(prepared, at)| view(prepared, true, true, *at))
            .collect();
        let active: Vec<String> = self
            .store
            .active_definitions()
            .await?
            .into_iter()
            .map(|row| row.hash)
            .collect();
        for row in self.rows(&DefinitionFilter::default()).await? {
            let drafted = views
                .iter()
                .any(|v| v.draft && v.id.namespace == row.id.namespace && v.id.name == row.id.name);
            let is_active = active.contains(&row.hash) && !drafted;
            // A definition that this version cannot run is still there to be seen and removed.
            views.push(match self.compile(&row) {
                Ok(prepared) => view(&prepared, is_active, false, Timestamp(row.created_at)),
                Err(_) => WorkflowView {
                    id: row.id,
                    definition: row.hash,
                    active: is_active,
                    draft: false,
                    title: None,
                    summary: None,
                    deployed_at: Timestamp(row.created_at),
                },
            });
        }
        views.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(views)
    }

    /// The definitions whose triggers live.
    pub(crate) async fn active(&self) -> Result<Vec<Arc<Prepared>>, StoreError> {
        let mut active = Vec::new();
        for row in self.store.active_definitions().await? {
            match self.compile(&row) {
                Ok(prepared) => active.push(prepared),
                Err(error) => tracing::error!(workflow = %row.id, %error, "a deployed workflow cannot be started"),
            }
        }
        Ok(active)
    }

    /// The hashes of all versions and drafts of a workflow.
    pub(crate) async fn hashes(&self, namespace: &str, name: &str) -> Result<Vec<String>, StoreError> {
        let filter = DefinitionFilter {
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
            drafts: true,
        };
        Ok(self.rows(&filter).await?.into_iter().map(|row| row.hash).collect())
    }

    async fn rows(&self, filter: &DefinitionFilter) -> Result<Vec<DefinitionRow>, StoreError> {
        let mut rows: Vec<DefinitionRow> = Vec::new();
        loop {
            let page = self.store.definitions(filter, rows.last(), PAGE).await?;
            let last = page.len() < PAGE;
            rows.extend(page);
            if last {
                return Ok(rows);
            }
        }
    }

    /// Makes a version the active one; false when there is none.
    pub(crate) async fn activate(&self, id: &WorkflowId) -> Result<bool, StoreError> {
        if self.store.definition_by_id(id).await?.is_none() {
            return Ok(false);
        }
        let WorkflowId {
            namespace,
            name,
            version,
        } = id.clone();
        self.store
            .commit(Write::Activate {
                namespace,
                name,
                version: Some(version),
            })
            .await?;
        Ok(true)
    }

    /// Removes a version; false when there is none.
    pub(crate) async fn remove(&self, id: &WorkflowId) -> Result<bool, StoreError> {
        let key = (id.namespace.clone(), id.name.clone());
        let draft = {
            let mut known = self.lock();
            let drafted = known.drafts.get(&key).is_some_and(|(prepared, _)| prepared.id() == id);
            if drafted { known.drafts.remove(&key) } else { None }
        };
        let stored = self.store.definition_by_id(id).await?;
        let hash = match (&draft, stored) {
            (Some((prepared, _)), _) => prepared.deployed.hash.to_string(),
            (None, Some(row)) => row.hash,
            (None, None) => return Ok(false),
        };
        self.store
            .commit(Write::RemoveDefinition { hash: hash.clone() })
            .await?;
        self.lock().compiled.remove(&hash);
        Ok(true)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        // Every change leaves the maps whole, so one that panicked has broken nothing.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn view(prepared: &Prepared, active: bool, draft: bool, deployed_at: Timestamp) -> WorkflowView {
    let document = prepared.document();
    WorkflowView {
        id: prepared.id().clone(),
        definition: prepared.deployed.hash.to_string(),
        active,
        draft,
        title: document.title.as_ref().map(|t| t.value.clone()),
        summary: document.summary.as_ref().map(|t| t.value.clone()),
        deployed_at,
    }
}
