//! Lifecycle events of workflows and tasks, as the language's standard names them.
//!
//! They are derived from what a run writes and go into the stream of events in the same write: in order, each once, none without its cause
//! being durable. Their ids follow from the run, so what is derived again after a crash is the same event. Only who names their type gets
//! them, and as long as nobody does, none is made.

use potok_dsl::{RunId, Timestamp, WorkflowId};
use potok_expr::secret;
use potok_machine::{Entry, Event, Status, Trace, TraceKind};
use serde_json::{Value, json};

use crate::{cloudevent, core::Save, shell::Incoming};

/// What all their types begin with.
pub(crate) const PREFIX: &str = "io.serverlessworkflow.";

/// Whether a type is one of theirs: nobody else may send such events.
pub(crate) fn is_ours(kind: &str) -> bool {
    let rest = kind.strip_prefix(PREFIX).unwrap_or_default();
    rest.starts_with("workflow.") || rest.starts_with("task.")
}

/// Those of workflows are wanted.
pub(crate) const WORKFLOWS: u8 = 1;

/// Those of tasks are wanted.
pub(crate) const TASKS: u8 = 2;

/// Which of them someone asks for who names a type, or the beginning of one and `*`.
pub(crate) fn asked(kind: &str) -> u8 {
    let Some(rest) = kind.strip_prefix(PREFIX) else {
        return 0;
    };
    match rest {
        _ if rest.starts_with("workflow.") => WORKFLOWS,
        _ if rest.starts_with("task.") => TASKS,
        _ if rest.ends_with('*') => WORKFLOWS | TASKS,
        _ => 0,
    }
}

/// The events of what a run writes.
pub(crate) fn of(save: &Save, wanted: u8) -> Vec<Incoming> {
    let mut story = Story {
        run: save.run,
        workflow: save.definition.id(),
        events: Vec::new(),
    };
    if wanted & WORKFLOWS != 0 {
        story.workflow(save);
    }
    if wanted & TASKS != 0 {
        for (number, trace) in (save.first_trace..).zip(save.traces.iter()) {
            story.task(number, trace);
        }
    }
    story.events.sort_by_key(|(at, place, _)| (*at, *place));
    let events = story.events.into_iter().map(|(_, _, event)| Incoming {
        event: event.into(),
        quiet: true,
    });
    events.collect()
}

/// The place of an event among those of one moment: the workflow starts, is halted or goes on, its tasks live in the order of their traces,
/// the workflow ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Start,
    Entry(u64),
    Trace(u64),
    End,
}

/// The events of one write.
struct Story<'s> {
    run: RunId,
    workflow: &'s WorkflowId,
    events: Vec<(Timestamp, Place, Value)>,
}

impl Story<'_> {
    fn name(&self) -> String {
        format!("{}-{}.{}", self.workflow.name, self.run, self.workflow.namespace)
    }

    /// Adds an event. Placeholders of secrets stay inside: whoever is told sees marks.
    fn tell(&mut self, at: Timestamp, place: Place, id: &str, kind: &str, mut data: Value) {
        secret::shown(&mut data);
        let WorkflowId {
            namespace,
            name,
            version,
        } = self.workflow;
        let event = cloudevent::event(
            &format!("{}/{id}", self.run),
            &format!("/{namespace}/{name}/{version}"),
            &format!("{PREFIX}{kind}.v1"),
            &self.run.to_string(),
            &at.rfc3339(),
            data,
        );
        self.events.push((at, place, event));
    }

    /// The run has begun: when it was accepted, or admitted where it had to wait for that.
    fn begun(&mut self, at: Timestamp) {
        let WorkflowId {
            namespace,
            name: called,
            version,
        } = self.workflow;
        let definition = json!({ "name": called, "namespace": namespace, "version": version });
        let data = json!({ "name": self.name(), "definition": definition, "startedAt": at.rfc3339() });
        self.tell(at, Place::Start, "started", "workflow.started", data);
    }

    fn workflow(&mut self, save: &Save) {
        let name = self.name();
        if let Some(opening) = save.opening.as_ref().filter(|opening| opening.admission.is_none()) {
            self.begun(opening.at);
        }
        for (seq, entry) in (save.after + 1..).zip(&save.entries) {
            let Entry::Event(recorded) = entry else { continue };
            if recorded.event == Event::Admitted {
                self.begun(recorded.at);
            }
            let (kind, when) = match recorded.event {
                Event::Suspend { .. } => ("workflow.suspended", "suspendedAt"),
                Event::Resume => ("workflow.resumed", "resumedAt"),
                _ => continue,
            };
            let data = json!({ "name": name, when: recorded.at.rfc3339() });
            self.tell(recorded.at, Place::Entry(seq), &format!("entry/{seq}"), kind, data);
        }
        for (number, trace) in (save.first_trace..).zip(save.traces.iter()) {
            let (kind, when, keys) = match &trace.kind {
                TraceKind::Listening => ("started", "startedAt", None),
                TraceKind::Correlated { keys } => ("completed", "completedAt", Some(keys)),
                _ => continue,
            };
            let mut data = json!({ "name": name, when: trace.at.rfc3339() });
            if let Some(keys) = keys.filter(|keys| !keys.is_empty()) {
                data["correlationKeys"] = json!(keys);
            }
            let kind = format!("workflow.correlation-{kind}");
            let id = format!("correlation/{number}");
            self.tell(trace.at, Place::Trace(number), &id, &kind, data);
        }
        let Some(outcome) = &save.outcome else { return };
        let (kind, when) = match outcome.status {
            Status::Faulted => ("workflow.faulted", "faultedAt"),
            Status::Cancelled => ("workflow.cancelled", "cancelledAt"),
            _ => ("workflow.completed", "completedAt"),
        };
        let mut data = json!({ "name": name, when: save.at.rfc3339() });
        if let Some(error) = &outcome.error {
            data["error"] = json!(error);
        }
        self.tell(save.at, Place::End, "ended", kind, data);
    }

    fn task(&mut self, number: u64, trace: &Trace) {
        let name = self.name();
        let data = |when: &str| json!({ "workflow": name, "task": trace.reference, when: trace.at.rfc3339() });
        let id = format!("task/{number}");
        let (kind, mut data) = match &trace.kind {
            TraceKind::Started { .. } => {
                let created = format!("{id}/created");
                self.tell(
                    trace.at,
                    Place::Trace(number),
                    &created,
                    "task.created",
                    data("createdAt"),
                );
                ("task.started", data("startedAt"))
            }
            TraceKind::Completed { .. } => ("task.completed", data("completedAt")),
            TraceKind::Faulted { .. } => ("task.faulted", data("faultedAt")),
            TraceKind::Retrying { .. } => ("task.retried", data("retriedAt")),
            TraceKind::Suspended => ("task.suspended", data("suspendedAt")),
            TraceKind::Resumed => ("task.resumed", data("resumedAt")),
            TraceKind::Cancelled => ("task.cancelled", data("cancelledAt")),
            TraceKind::Skipped
            | TraceKind::Delayed { .. }
            | TraceKind::Called { .. }
            | TraceKind::Listening
            | TraceKind::Consumed { .. }
            | TraceKind::Correlated { .. }
            | TraceKind::Emitted { .. } => return,
        };
        if let TraceKind::Faulted { error } = &trace.kind {
            data["error"] = json!(error);
        }
        self.tell(trace.at, Place::Trace(number), &id, kind, data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_or_its_beginning_is_asked_for() {
        assert_eq!(asked("io.serverlessworkflow.workflow.started.v1"), WORKFLOWS);
        assert_eq!(asked("io.serverlessworkflow.task.*"), TASKS);
        assert_eq!(asked("io.serverlessworkflow.*"), WORKFLOWS | TASKS);
        assert_eq!((asked("order.paid"), asked("*"), asked("")), (0, 0, 0));
    }
}
