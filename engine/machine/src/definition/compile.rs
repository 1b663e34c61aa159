//! From the language's model to the arena. Task lists wait in a queue, so nesting costs no native stack.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use potok_dsl::{
    Diagnostic, WorkflowId,
    model::{self, Location, Task, TaskItem, TaskKind, TaskList, Workflow},
};
use potok_expr::{Evaluator, SecretPath};
use serde_json::Value;

use super::{
    Definition, Intake, Kind, List, ListId, Next, Node, NodeId, Shaping, escape,
    variables::{Place, Variables, is_argument},
};
use crate::{digest, lock::Lock};

/// Compiles a workflow; see [`Definition::compile`].
pub(super) fn compile(workflow: &Workflow, lock: &Lock, evaluator: &Evaluator) -> Result<Definition, Vec<Diagnostic>> {
    let unsupported = potok_dsl::unsupported(workflow);
    if !unsupported.is_empty() {
        return Err(unsupported);
    }
    let mut compiler = Compiler {
        workflow,
        lock,
        evaluator,
        diagnostics: Vec::new(),
        nodes: Vec::new(),
        lists: Vec::new(),
        pending: VecDeque::new(),
        secrets: BTreeSet::new(),
        authorized: false,
    };
    compiler.functions();
    let extensions = compiler.extensions();
    let root = compiler.list("/do", &workflow.tasks, "/do".to_owned(), &Variables::default());
    compiler.drain();
    let scope = Variables::default();
    let input = compiler.intake(workflow.input.as_ref(), Place::WorkflowInput, &scope);
    let output = match &workflow.output {
        Some(output) => compiler.shaping(
            output.shape.as_ref(),
            output.schema.as_ref(),
            Place::WorkflowOutput,
            &scope,
        ),
        None => Shaping::default(),
    };
    let timeout = compiler.timeout(workflow.timeout.as_ref(), Place::WorkflowOutput, &scope);
    let concurrency = workflow.document.potok.concurrency.as_ref();
    let concurrency = concurrency.map(|concurrency| compiler.concurrency(&concurrency.value));
    if !compiler.diagnostics.is_empty() {
        compiler.diagnostics.sort_by_key(|diagnostic| diagnostic.at);
        return Err(compiler.diagnostics);
    }
    let source = workflow.to_value();
    let mut text = Vec::new();
    digest::canonical(&source, &mut text);
    let fingerprint = digest::short([text.as_slice()]);
    let document = &workflow.document;
    Ok(Definition {
        id: WorkflowId {
            namespace: document.namespace.value.clone(),
            name: document.name.value.clone(),
            version: document.version.value.clone(),
        },
        fingerprint,
        nodes: compiler.nodes,
        lists: compiler.lists,
        extensions,
        root,
        input,
        output,
        timeout,
        concurrency,
        secrets: compiler.secrets.into_iter().collect(),
        source: Arc::new(source),
    })
}

/// A list that has its number but not yet its tasks.
struct Pending<'a> {
    id: ListId,
    tasks: &'a [TaskItem],
    /// The number of the first task: branches of a `fork` are lists of one task, numbered among their siblings.
    first: u32,
    /// The reference of the list: `/do/0/outer/do`.
    reference: String,
    scope: Variables,
}

/// The work in progress. On an error a diagnostic is noted and compiling goes on, so that all errors are found at once;
/// what was built is thrown away then.
pub(super) struct Compiler<'a> {
    pub(super) workflow: &'a Workflow,
    pub(super) lock: &'a Lock,
    pub(super) evaluator: &'a Evaluator,
    diagnostics: Vec<Diagnostic>,
    nodes: Vec<Node>,
    lists: Vec<List>,
    pending: VecDeque<Pending<'a>>,
    /// What is read of secrets, anywhere.
    pub(super) secrets: BTreeSet<SecretPath>,
    /// Whether an expression of the task that is being compiled reads `$authorization`.
    pub(super) authorized: bool,
}

impl<'a> Compiler<'a> {
    pub(super) fn complain(&mut self, at: Location, message: impl Into<String>) {
        self.diagnostics.push(Diagnostic::new(at, message));
    }

    pub(super) fn complain_with(&mut self, at: Location, message: impl Into<String>, help: impl Into<String>) {
        self.diagnostics.push(Diagnostic::new(at, message).with_help(help));
    }

    /// Compiles `use.functions`: the task of the function at position `i` is node `i`, so that calls can refer to it before.
    fn functions(&mut self) {
        let functions = &self.workflow.uses.functions;
        let scope = Variables::default();
        for (name, task) in functions {
            let place = Position {
                siblings: &HashMap::new(),
                index: 0,
            };
            let name: Arc<str> = Arc::from(name.as_str());
            let reference = format!("/use/functions/{}", escape(&name));
            let segment = format!("/{}", escape(&name));
            let node = self.node(task, name, segment, reference, &place, &scope).0;
            self.nodes.push(node);
        }
    }

    /// Compiles `use.extensions`. What they do sees no variables of the loops and catches around the tasks that they extend.
    fn extensions(&mut self) -> Vec<super::Extension> {
        let workflow = self.workflow;
        let scope = Variables::default();
        let mut extensions = Vec::with_capacity(workflow.uses.extensions.len());
        for (index, (name, extension)) in workflow.uses.extensions.iter().enumerate() {
            let name = escape(name);
            let list = |compiler: &mut Self, tasks: &'a Option<TaskList>, which: &str| {
                let tasks = tasks.as_ref()?;
                let segment = format!("/extensions/{index}/{name}/{which}");
                let reference = format!("/use/extensions/{index}/{name}/{which}");
                Some(compiler.list(segment, tasks, reference, &scope))
            };
            let before = list(self, &extension.value.before, "before");
            let after = list(self, &extension.value.after, "after");
            let when = extension.value.when.as_ref();
            extensions.push(super::Extension {
                when: when.and_then(|when| self.expression(when, Place::Task, &scope)),
                before,
                after,
            });
        }
        extensions
    }

    /// Gives a list its number and puts it in the queue.
    pub(super) fn list(
        &mut self,
        segment: impl Into<Cow<'static, str>>,
        tasks: &'a TaskList,
        reference: String,
        scope: &Variables,
    ) -> ListId {
        self.part(segment.into(), &tasks.0, 0, reference, scope)
    }

    fn part(
        &mut self,
        segment: Cow<'static, str>,
        tasks: &'a [TaskItem],
        first: u32,
        reference: String,
        scope: &Variables,
    ) -> ListId {
        let id = ListId(u32::try_from(self.lists.len()).unwrap_or(u32::MAX));
        self.lists.push(List {
            segment,
            nodes: Vec::new(),
            revisits: false,
        });
        self.pending.push_back(Pending {
            id,
            tasks,
            first,
            reference,
            scope: scope.clone(),
        });
        id
    }

    fn drain(&mut self) {
        while let Some(Pending {
            id,
            tasks,
            first,
            reference,
            scope,
        }) = self.pending.pop_front()
        {
            let mut siblings = HashMap::new();
            for (index, item) in (0u32..).zip(tasks) {
                siblings.entry(item.name.value.as_str()).or_insert(index);
            }
            let mut nodes = Vec::with_capacity(tasks.len());
            let mut revisits = false;
            for (index, item) in (0u32..).zip(tasks) {
                let name: Arc<str> = Arc::from(item.name.value.as_str());
                let segment = format!("/{}/{}", first + index, escape(&name));
                let reference = format!("{reference}{segment}");
                let place = Position {
                    siblings: &siblings,
                    index,
                };
                let (node, back) = self.node(&item.task, name, segment, reference, &place, &scope);
                revisits |= back;
                nodes.push(NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)));
                self.nodes.push(node);
            }
            let list = &mut self.lists[id.0 as usize];
            list.nodes = nodes;
            list.revisits = revisits;
        }
    }

    /// Compiles a task; also whether one of its directives leads back in its list.
    fn node(
        &mut self,
        task: &'a Task,
        name: Arc<str>,
        segment: String,
        reference: String,
        place: &Position<'_>,
        scope: &Variables,
    ) -> (Node, bool) {
        let mut flow = FlowReader { place, back: false };
        self.authorized = false;
        let then = task.then.as_ref().map_or(Next::Continue, |then| flow.read(self, then));
        let kind = self.kind(task, &reference, &mut flow, scope);
        let mut node = Node {
            name,
            segment,
            condition: task
                .condition
                .as_ref()
                .and_then(|text| self.expression(text, Place::If, scope)),
            input: self.intake(task.input.as_ref(), Place::InputFrom, scope),
            output: match &task.output {
                Some(output) => self.shaping(output.shape.as_ref(), output.schema.as_ref(), Place::OutputAs, scope),
                None => Shaping::default(),
            },
            export: match &task.export {
                Some(export) => self.shaping(export.shape.as_ref(), export.schema.as_ref(), Place::ExportAs, scope),
                None => Shaping::default(),
            },
            timeout: self.timeout(task.timeout.as_ref(), Place::Task, scope),
            rate: task.potok.rate.as_ref().map(|rate| self.rate(&rate.value, scope)),
            then,
            label: task
                .potok
                .label
                .as_ref()
                .and_then(|label| self.text(label, Place::If, scope)),
            // Without a kind there is a diagnostic, and the definition is thrown away.
            kind: kind.unwrap_or(Kind::Do(ListId(0))),
            extensions: self.extensions_of(&task.kind),
            authorized: false,
            source: Arc::new(task.source.clone()),
            reference: Arc::from(reference),
        };
        node.authorized = self.authorized;
        if node.authorized {
            self.authorization(&node);
        }
        (node, flow.back)
    }

    /// `$authorization` reads the secret that an authentication is from, a field at a time.
    fn authorization(&mut self, node: &Node) {
        let Kind::Call(call) = &node.kind else { return };
        let Some((policy, _)) = call.authentication() else {
            return;
        };
        let (_, members) = policy.known().unwrap_or_default();
        self.secrets
            .extend(members.iter().filter_map(|member| policy.field(member)));
    }

    fn extensions_of(&self, kind: &TaskKind) -> Vec<u32> {
        let extensions = (0u32..).zip(&self.workflow.uses.extensions);
        let extensions = extensions.filter(|(_, (_, extension))| extension.value.extend.includes(kind));
        extensions.map(|(number, _)| number).collect()
    }

    fn kind(&mut self, task: &'a Task, reference: &str, flow: &mut FlowReader<'_>, scope: &Variables) -> Option<Kind> {
        match &task.kind {
            TaskKind::Do(tasks) => Some(Kind::Do(self.list("/do", tasks, format!("{reference}/do"), scope))),
            TaskKind::For(each) => self.for_each(each, task, reference, scope),
            TaskKind::Set(value) => self.shape(value, Place::Task, scope).map(Kind::Set),
            TaskKind::Switch(cases) => self.switch(cases, flow, scope),
            TaskKind::Try(tried) => self.try_catch(tried, reference, flow, scope),
            TaskKind::Raise(error) => self.raise(error, scope),
            TaskKind::Wait(duration) => self.span(duration, Place::Task, scope).map(Kind::Wait),
            TaskKind::Call(call) => self.call(call, task, scope).map(|call| Kind::Call(Box::new(call))),
            TaskKind::Fork(fork) => Some(self.fork(fork, reference, scope)),
            TaskKind::Emit(emit) => self.emit(emit, task.kind_at, scope),
            TaskKind::Listen(listen) => self.listen(listen, reference, scope),
            TaskKind::Run(run) => self.run(run, task, scope).map(|call| Kind::Call(Box::new(call))),
        }
    }

    /// Each branch is a list of its own, so that nothing in it leads to another.
    fn fork(&mut self, fork: &'a model::Fork, reference: &str, scope: &Variables) -> Kind {
        let branches = (0u32..).zip(fork.branches.0.chunks(1));
        let branches = branches.map(|(index, branch)| {
            self.part(
                "/fork/branches".into(),
                branch,
                index,
                format!("{reference}/fork/branches"),
                scope,
            )
        });
        Kind::Fork(Box::new(super::Fork {
            branches: branches.collect(),
            compete: fork.compete,
        }))
    }

    pub(super) fn refuse<T>(&mut self, at: Location, message: String) -> Option<T> {
        self.complain(at, message);
        None
    }

    fn switch(&mut self, cases: &'a [model::SwitchCase], flow: &mut FlowReader<'_>, scope: &Variables) -> Option<Kind> {
        let mut compiled = Vec::with_capacity(cases.len());
        let mut default = None;
        for case in cases {
            let then = flow.read(self, &case.then);
            match &case.when {
                Some(when) => compiled.push((self.expression(when, Place::Task, scope)?, then)),
                None if default.is_none() => default = Some(then),
                None => self.complain(case.name.at, "a switch has at most one case without 'when'"),
            }
        }
        Some(Kind::Switch {
            cases: compiled,
            default,
        })
    }

    /// The variable that a `for` or a `catch` adds.
    pub(super) fn variable(&mut self, name: Option<&model::Text>, default: &str) -> String {
        let Some(name) = name else { return default.to_owned() };
        if is_argument(&name.value) {
            self.complain_with(
                name.at,
                format!(
                    "'{}' cannot be a variable's name: ${} means something else already",
                    name.value, name.value
                ),
                "choose another name",
            );
        }
        name.value.clone()
    }

    /// The task of the function of that name in `use.functions`.
    pub(super) fn function(&self, name: &str) -> Option<NodeId> {
        let position = self.workflow.uses.functions.get_index_of(name)?;
        u32::try_from(position).ok().map(NodeId)
    }

    pub(super) fn intake(&mut self, input: Option<&model::Input>, place: Place, scope: &Variables) -> Intake {
        let Some(input) = input else { return Intake::default() };
        Intake {
            schema: input.schema.as_ref().and_then(|schema| self.schema(schema)),
            from: input.from.as_ref().and_then(|from| self.shape(from, place, scope)),
        }
    }

    pub(super) fn shaping(
        &mut self,
        shape: Option<&model::Json>,
        schema: Option<&model::Schema>,
        place: Place,
        scope: &Variables,
    ) -> Shaping {
        Shaping {
            shape: shape.and_then(|shape| self.shape(shape, place, scope)),
            schema: schema.and_then(|schema| self.schema(schema)),
        }
    }

    fn schema(&mut self, schema: &model::Schema) -> Option<super::Schema> {
        if let Some(format) = schema
            .format
            .as_ref()
            .filter(|format| !matches!(format.value.as_str(), "json" | "json:2020-12"))
        {
            let message = format!("not supported yet: schemas in the format '{}'", format.value);
            self.complain_with(format.at, message, "the format 'json' is supported");
        }
        match &schema.source {
            model::SchemaSource::Document(document) => match super::Schema::compile(&document.value) {
                Ok(schema) => Some(schema),
                Err(message) => self.refuse(document.at, message),
            },
            model::SchemaSource::Resource(resource) => {
                let uri = &resource.value.endpoint.uri;
                let lock = self.lock;
                match lock
                    .schemas
                    .get(&uri.value)
                    .map(|locked| super::Schema::compile(&locked.schema))
                {
                    Some(Ok(schema)) => Some(schema),
                    Some(Err(message)) => self.refuse(uri.at, format!("{}: {message}", uri.value)),
                    None => self.refuse(uri.at, format!("the schema {} is not known", uri.value)),
                }
            }
        }
    }
}

/// Where a task stands in its list.
struct Position<'p> {
    siblings: &'p HashMap<&'p str, u32>,
    index: u32,
}

/// Resolves the directives of one task.
pub(super) struct FlowReader<'p> {
    place: &'p Position<'p>,
    /// Whether one of them leads back.
    back: bool,
}

impl FlowReader<'_> {
    pub(super) fn read(&mut self, compiler: &mut Compiler<'_>, flow: &model::At<model::Flow>) -> Next {
        match &flow.value {
            model::Flow::Continue => Next::Continue,
            model::Flow::Exit => Next::Exit,
            model::Flow::End => Next::End,
            model::Flow::To(name) => match self.place.siblings.get(name.as_str()) {
                Some(&position) => {
                    self.back |= position <= self.place.index;
                    Next::To(position)
                }
                None => {
                    let mut known: Vec<_> = self.place.siblings.iter().collect();
                    known.sort_by_key(|(_, position)| **position);
                    let known: Vec<String> = known.iter().map(|(name, _)| format!("'{name}'")).collect();
                    let message = format!("there is no task '{name}' in this list");
                    if known.is_empty() {
                        compiler.complain(flow.at, message);
                    } else {
                        compiler.complain_with(flow.at, message, format!("its tasks are {}", known.join(", ")));
                    }
                    Next::Continue
                }
            },
        }
    }
}

/// Calls `f` for every string in a value.
pub(super) fn for_each_string<'v>(value: &'v Value, f: &mut dyn FnMut(&'v str)) {
    let mut stack = vec![value];
    while let Some(value) = stack.pop() {
        match value {
            Value::String(text) => f(text),
            Value::Array(items) => stack.extend(items),
            Value::Object(map) => stack.extend(map.values()),
            _ => {}
        }
    }
}
