//! `metadata.potok`: what the language lacks. Closed, so that a slip of the pen is not taken for someone else's metadata.
//! Its JSON Schema is `docs/metadata.potok.schema.json`; a test holds the two together.

use std::str::FromStr;

use super::{Reader, clip, fields::Fields};
use crate::{
    model::{
        At, Bind, CatchUp, Concurrency, Delivery, DocumentPotok, OnConflict, Overlap, Rate, RatePer, RunProcess,
        SchedulePotok, TaskKind, TaskPotok,
    },
    yaml::Node,
};

/// The most iterations of a `for` at once.
pub(super) const MAX_PARALLEL: i64 = 1000;

/// The highest limit of a rate or of a concurrency: so many are looked at for each one more.
const MAX_LIMIT: i64 = 10_000;

const OVERLAPS: [(&str, Overlap); 3] = [
    ("skip", Overlap::Skip),
    ("queue", Overlap::Queue),
    ("allow", Overlap::Allow),
];
const CATCH_UPS: [(&str, CatchUp); 3] = [
    ("none", CatchUp::None),
    ("latest", CatchUp::Latest),
    ("all", CatchUp::All),
];
const CONFLICTS: [(&str, OnConflict); 3] = [
    ("queue", OnConflict::Queue),
    ("reject", OnConflict::Reject),
    ("replace", OnConflict::Replace),
];
const SPANS: [(&str, RatePer); 4] = [
    ("second", RatePer::Second),
    ("minute", RatePer::Minute),
    ("hour", RatePer::Hour),
    ("day", RatePer::Day),
];
const DELIVERIES: [(&str, Delivery); 2] = [
    ("atLeastOnce", Delivery::AtLeastOnce),
    ("atMostOnce", Delivery::AtMostOnce),
];

const BINDS: [(&str, Bind); 2] = [("deploy", Bind::Deploy), ("start", Bind::Start)];

impl Reader {
    pub fn document_potok(&mut self, node: &Node, scheduled: bool) -> Option<DocumentPotok> {
        let mut fields = Fields::of(self, node, "'metadata.potok' of a document")?;
        let schedule = fields.member("schedule");
        if let Some(member) = schedule.filter(|_| !scheduled) {
            self.wrong_help(
                member.key_at,
                "'metadata.potok.schedule' has no effect",
                "the workflow has no 'schedule'",
            );
        }
        let schedule = schedule.and_then(|member| self.schedule_potok(&member.value));
        let concurrency = fields.get("concurrency").and_then(|node| self.concurrency(node));
        fields.finish(self);
        Some(DocumentPotok { schedule, concurrency })
    }

    fn schedule_potok(&mut self, node: &Node) -> Option<At<SchedulePotok>> {
        let mut fields = Fields::of(self, node, "'metadata.potok.schedule'")?;
        let timezone = fields.text(self, "timezone");
        if let Some(zone) = &timezone
            && chrono_tz::Tz::from_str(&zone.value).is_err()
        {
            let message = format!("there is no time zone '{}'", clip(&zone.value));
            let known = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
            // There are some six hundred.
            let help = match self.suggest(&zone.value, known) {
                Some(near) => format!("did you mean '{near}'?"),
                None => "write an IANA name such as Europe/Moscow".to_owned(),
            };
            self.wrong_help(zone.at, message, help);
        }
        let overlap = fields
            .get("overlap")
            .and_then(|node| self.word(node, "overlap", &OVERLAPS));
        let catch_up = fields
            .get("catchUp")
            .and_then(|node| self.word(node, "catchUp", &CATCH_UPS));
        fields.finish(self);
        let value = SchedulePotok {
            timezone,
            overlap: overlap.map(|o| o.value),
            catch_up: catch_up.map(|c| c.value),
        };
        Some(At { value, at: node.at })
    }

    fn concurrency(&mut self, node: &Node) -> Option<At<Concurrency>> {
        let mut fields = Fields::of(self, node, "'metadata.potok.concurrency'")?;
        let key = fields.text(self, "key");
        let limit = fields
            .require("limit")
            .and_then(|node| self.count(node, "limit", MAX_LIMIT));
        let on_conflict = fields
            .get("onConflict")
            .and_then(|node| self.word(node, "onConflict", &CONFLICTS));
        fields.finish(self);
        let on_conflict = on_conflict.map_or(OnConflict::Queue, |conflict| conflict.value);
        Some(At {
            value: Concurrency {
                key,
                limit: limit?.value,
                on_conflict,
            },
            at: node.at,
        })
    }

    pub fn task_potok(&mut self, node: &Node, kind: Option<&TaskKind>) -> Option<TaskPotok> {
        let mut fields = Fields::of(self, node, "'metadata.potok' of a task")?;
        let potok = TaskPotok {
            parallel: fields
                .get("parallel")
                .and_then(|node| self.count(node, "parallel", MAX_PARALLEL)),
            collect: fields.boolean(self, "collect"),
            rate: fields.get("rate").and_then(|node| self.rate(node)),
            idempotency_key: fields.text(self, "idempotencyKey"),
            delivery: fields
                .get("delivery")
                .and_then(|node| self.word(node, "delivery", &DELIVERIES)),
            bind: fields.get("bind").and_then(|node| self.word(node, "bind", &BINDS)),
            label: fields.text(self, "label"),
        };
        let runs_workflow = matches!(kind, Some(TaskKind::Run(run)) if run.process == RunProcess::Workflow);
        for (key, belongs, to) in [
            ("parallel", matches!(kind, Some(TaskKind::For(_))), "'for'"),
            ("collect", matches!(kind, Some(TaskKind::For(_))), "'for'"),
            ("idempotencyKey", matches!(kind, Some(TaskKind::Call(_))), "'call'"),
            ("delivery", matches!(kind, Some(TaskKind::Call(_))), "'call'"),
            ("bind", runs_workflow, "'run: workflow'"),
        ] {
            if let Some(member) = fields.peek(key).filter(|_| kind.is_some() && !belongs) {
                self.wrong(
                    member.key_at,
                    format!("'{key}' has no effect here: it belongs on a {to} task"),
                );
            }
        }
        if let (Some(TaskKind::For(task)), Some(parallel)) = (kind, &potok.parallel)
            && let Some(condition) = &task.condition
        {
            let message = format!("'while' cannot be combined with 'parallel' (line {})", parallel.at.line);
            self.wrong_help(
                condition.at,
                message,
                "iterations that run at once have no order in which to stop; remove one of the two",
            );
        }
        fields.finish(self);
        Some(potok)
    }

    fn rate(&mut self, node: &Node) -> Option<At<Rate>> {
        let mut fields = Fields::of(self, node, "'metadata.potok.rate'")?;
        let limit = fields
            .require("limit")
            .and_then(|node| self.count(node, "limit", MAX_LIMIT));
        let per = fields.require("per").and_then(|node| self.word(node, "per", &SPANS));
        let key = fields.text(self, "key");
        fields.finish(self);
        Some(At {
            value: Rate {
                limit: limit?.value,
                per: per?.value,
                key,
            },
            at: node.at,
        })
    }

    /// A number of things, at least one.
    fn count(&mut self, node: &Node, name: &str, max: i64) -> Option<At<u32>> {
        let count = self.integer(node, name, 1, max)?;
        Some(At {
            value: u32::try_from(count.value).ok()?,
            at: count.at,
        })
    }
}
