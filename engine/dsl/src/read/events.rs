//! Events: `emit`, `listen`, and the strategy by which events are consumed.

use indexmap::IndexMap;

use super::{
    Reader, clip,
    fields::Fields,
    json,
    shape::ObjectShape,
    shapes::{EMITTED, FILTERED},
};
use crate::{
    model::{At, Attributes, Consumption, Correlate, Emit, EventFilter, EventRead, Foreach, Listen, Until},
    yaml::Node,
};

pub(super) const READS: [(&str, EventRead); 3] = [
    ("data", EventRead::Data),
    ("envelope", EventRead::Envelope),
    ("raw", EventRead::Raw),
];

impl Reader {
    pub fn emit(&mut self, node: &Node) -> Option<Emit> {
        let mut fields = Fields::of(self, node, "'emit'")?;
        let event = fields.require("event");
        fields.finish(self);
        // The schema leaves an event open beside its `with`; what stands there would do nothing.
        let mut fields = Fields::of(self, event?, "'event'")?;
        let with = fields.require("with");
        fields.finish(self);
        let with = with?;
        self.check_attributes(with, &EMITTED);
        if let Some(version) = with.get("specversion").filter(|node| node.text() != Some("1.0")) {
            self.wrong_help(version.at, "'specversion' is always '1.0'", "remove it");
        }
        Some(Emit {
            with: self.attributes(with)?,
        })
    }

    pub fn listen(&mut self, node: &Node, task: &mut Fields) -> Option<Listen> {
        let foreach = task.get("foreach").map(|node| self.foreach(node));
        let mut fields = Fields::of(self, node, "'listen'")?;
        let to = fields.require("to").and_then(|node| self.consumption(node, "to", true));
        let read = fields.get("read").and_then(|node| self.word(node, "read", &READS));
        fields.finish(self);
        Some(Listen {
            to: to?,
            read,
            foreach: match foreach {
                Some(foreach) => Some(foreach?),
                None => None,
            },
        })
    }

    fn foreach(&mut self, node: &Node) -> Option<Foreach> {
        let mut fields = Fields::of(self, node, "'foreach'")?;
        let item = fields.get("item").and_then(|node| self.variable(node, "item"));
        let index = fields.get("at").and_then(|node| self.variable(node, "at"));
        let tasks = fields.get("do").map(|node| self.task_list(node, "do"));
        let output = fields.get("output").and_then(|node| self.output(node));
        let export = fields.get("export").and_then(|node| self.export(node));
        fields.finish(self);
        let name = |given: &Option<At<String>>, default: &str| {
            given.as_ref().map_or(default.to_owned(), |given| given.value.clone())
        };
        if name(&item, "item") == name(&index, "index") {
            self.wrong_help(
                node.at,
                "the item and the index have the same name in 'foreach'",
                "give one of them another with 'item' or 'at'",
            );
        }
        Some(Foreach {
            at: node.at,
            item,
            index,
            tasks: match tasks {
                Some(tasks) => Some(tasks?),
                None => None,
            },
            output,
            export,
        })
    }

    /// How events are consumed: `all`, `any` (with `until`) or `one`.
    pub fn consumption(&mut self, node: &Node, name: &str, may_have_until: bool) -> Option<At<Consumption>> {
        let mut fields = Fields::of(self, node, format!("'{name}'"))?;
        let Some(member) = fields.one_of(self, &["all", "any", "one"]) else {
            fields.member("until");
            fields.finish(self);
            return None;
        };
        let value = match member.key.as_str() {
            "one" => {
                let filter = self.event_filter(&member.value, "one");
                filter.map(|filter| Consumption::One(Box::new(filter)))
            }
            "all" => self.event_filters(&member.value, "all").map(Consumption::All),
            _ => {
                let filters = self.event_filters(&member.value, "any");
                let until = match may_have_until.then(|| fields.get("until")).flatten() {
                    Some(node) => self.until(node).map(Some),
                    None => Some(None),
                };
                filters
                    .zip(until)
                    .map(|(filters, until)| Consumption::Any { filters, until })
            }
        };
        fields.finish(self);
        Some(At {
            value: value?,
            at: node.at,
        })
    }

    fn until(&mut self, node: &Node) -> Option<Until> {
        if node.text().is_some() {
            return self.text(node, "until").map(Until::Condition);
        }
        if node.members().is_none() {
            let message = format!("'until' must be an expression or events, not {}", node.kind());
            let help = "write until: .done, or until: { one: { with: { type: com.example.done } } }";
            self.wrong_help(node.at, message, help);
            return None;
        }
        let events = self.consumption(node, "until", false)?;
        Some(Until::Events(Box::new(events)))
    }

    fn event_filters(&mut self, node: &Node, name: &str) -> Option<Vec<At<EventFilter>>> {
        let Some(items) = node.items() else {
            self.expected(node, &format!("'{name}'"), "a list");
            return None;
        };
        let filters: Vec<_> = items.iter().map(|node| self.event_filter(node, name)).collect();
        filters.into_iter().collect()
    }

    fn event_filter(&mut self, node: &Node, name: &str) -> Option<At<EventFilter>> {
        let mut fields = Fields::of(self, node, format!("'{name}'"))?;
        let with = fields.require("with").and_then(|node| {
            self.check_attributes(node, &FILTERED);
            self.attributes(node)
        });
        let correlate = fields.get("correlate").map(|node| self.correlations(node));
        fields.finish(self);
        Some(At {
            value: EventFilter {
                with: with?,
                correlate: match correlate {
                    Some(correlate) => Some(correlate?),
                    None => None,
                },
            },
            at: node.at,
        })
    }

    fn correlations(&mut self, node: &Node) -> Option<IndexMap<String, Correlate>> {
        let Some(members) = node.members() else {
            self.expected(node, "'correlate'", "an object");
            return None;
        };
        let mut correlations = IndexMap::with_capacity(members.len());
        let mut sound = true;
        for member in members {
            match self.correlation(&member.value, &member.key) {
                Some(correlation) => drop(correlations.insert(member.key.clone(), correlation)),
                None => sound = false,
            }
        }
        sound.then_some(correlations)
    }

    fn correlation(&mut self, node: &Node, name: &str) -> Option<Correlate> {
        if node.members().is_none() {
            let message = format!("'{}' in 'correlate' must be an object, not {}", clip(name), node.kind());
            let given = node.text().map_or_else(|| ".data.order".to_owned(), clip);
            self.wrong_help(node.at, message, format!("write {}: {{ from: {given} }}", clip(name)));
            return None;
        }
        let mut fields = Fields::of(self, node, format!("'{}' in 'correlate'", clip(name)))?;
        let from = fields.require_text(self, "from");
        let expect = fields.text(self, "expect");
        fields.finish(self);
        Some(Correlate {
            at: node.at,
            from: from?,
            expect,
        })
    }

    fn check_attributes(&mut self, node: &Node, shape: &ObjectShape) {
        if node.members().is_none() {
            let message = format!("'with' must be an object, not {}", node.kind());
            let given = node.text().map_or_else(|| "com.example.done".to_owned(), clip);
            return self.wrong_help(node.at, message, format!("write with: {{ type: {given} }}"));
        }
        self.check_object(node, "with", shape);
    }

    /// The attributes of an event, whose names are those of `CloudEvents`: lower-case letters and digits.
    fn attributes(&mut self, node: &Node) -> Option<Attributes> {
        let members = node.members()?;
        for member in members {
            let sound =
                |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            if sound(&member.key) {
                continue;
            }
            let message = format!("no event has an attribute '{}'", clip(&member.key));
            let lower: String = member
                .key
                .to_lowercase()
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .collect();
            let known = [
                "id",
                "source",
                "type",
                "time",
                "subject",
                "datacontenttype",
                "dataschema",
                "data",
            ];
            let help = match self.suggest(&lower, known) {
                Some(near) => format!("did you mean '{near}'?"),
                None => {
                    "its name has lower-case letters and digits alone; whatever else there is to say goes under 'data'"
                        .to_owned()
                }
            };
            self.wrong_help(member.key_at, message, help);
        }
        Some(
            members
                .iter()
                .map(|member| (member.key.clone(), json(&member.value)))
                .collect(),
        )
    }
}
