//! The document as a whole: who it is, what it refers to, when it runs.

use croner::parser::{CronParser, Seconds, Year};

use super::{Reader, clip, events::READS, fields::Fields, format, task::Scope};
use crate::{
    Millis, SecretName,
    model::{
        At, Catalog, Document, Duration, Evaluate, EvaluateMode, Extended, Extension, Schedule, Text, Use, UseSection,
        Workflow,
    },
    yaml::{Member, Node},
};

/// The versions of the language that are understood.
const VERSIONS: [&str; 4] = ["1.0.0", "1.0.1", "1.0.2", "1.0.3"];

const SECTIONS: [(&str, UseSection); 8] = [
    ("authentications", UseSection::Authentications),
    ("errors", UseSection::Errors),
    ("extensions", UseSection::Extensions),
    ("functions", UseSection::Functions),
    ("retries", UseSection::Retries),
    ("secrets", UseSection::Secrets),
    ("timeouts", UseSection::Timeouts),
    ("catalogs", UseSection::Catalogs),
];

const MODES: [(&str, EvaluateMode); 2] = [("strict", EvaluateMode::Strict), ("loose", EvaluateMode::Loose)];

impl Reader {
    pub fn workflow(&mut self, node: &Node) -> Option<Workflow> {
        let mut fields = Fields::of(self, node, "the workflow")?;
        let scheduled = fields.peek("schedule").is_some();
        let document = fields
            .require("document")
            .and_then(|node| self.document(node, scheduled));
        let input = fields.get("input").and_then(|node| self.input(node));
        let uses = fields.get("use").and_then(|node| self.uses(node));
        let tasks = fields.require("do").and_then(|node| self.task_list(node, "do"));
        let timeout = fields.get("timeout").and_then(|node| self.timeout_ref(node));
        let output = fields.get("output").and_then(|node| self.output(node));
        let schedule = fields.get("schedule").and_then(|node| self.schedule(node));
        let evaluate = fields.get("evaluate").and_then(|node| self.evaluate(node));
        fields.finish(self);
        Some(Workflow {
            document: document?,
            input,
            uses: uses.unwrap_or_default(),
            tasks: tasks?,
            timeout,
            output,
            schedule,
            evaluate,
        })
    }

    fn document(&mut self, node: &Node, scheduled: bool) -> Option<Document> {
        let mut fields = Fields::of(self, node, "'document'")?;
        let dsl = fields.require("dsl").and_then(|node| self.dsl(node));
        let namespace = fields
            .require("namespace")
            .and_then(|node| self.label(node, "namespace"));
        let name = fields.require("name").and_then(|node| self.label(node, "name"));
        let version = fields.require("version").and_then(|node| self.version(node));
        let title = fields.text(self, "title");
        let summary = fields.text(self, "summary");
        let tags = fields.object(self, "tags");
        let metadata = fields.object(self, "metadata");
        let potok = fields.peek("metadata").and_then(|member| member.value.get("potok"));
        let potok = potok
            .and_then(|node| self.document_potok(node, scheduled))
            .unwrap_or_default();
        fields.finish(self);
        Some(Document {
            dsl: dsl?,
            namespace: namespace?,
            name: name?,
            version: version?,
            title,
            summary,
            tags,
            metadata,
            potok,
        })
    }

    fn dsl(&mut self, node: &Node) -> Option<Text> {
        let text = self.text(node, "dsl")?;
        if VERSIONS.contains(&text.value.as_str()) {
            return Some(text);
        }
        let message = format!("version '{}' of the language is not known", clip(&text.value));
        self.wrong_help(text.at, message, format!("it is one of {}", VERSIONS.join(", ")));
        None
    }

    fn label(&mut self, node: &Node, name: &str) -> Option<Text> {
        let text = self.text(node, name)?;
        if format::is_label(&text.value) {
            return Some(text);
        }
        let message = format!("'{name}' cannot be '{}'", clip(&text.value));
        self.wrong_help(
            text.at,
            message,
            "it has 1 to 63 letters, digits and '-', and begins and ends with a letter or a digit",
        );
        None
    }

    fn version(&mut self, node: &Node) -> Option<Text> {
        let text = self.text(node, "version")?;
        if format::is_semver(&text.value) {
            return Some(text);
        }
        let message = format!("'version' cannot be '{}'", clip(&text.value));
        self.wrong_help(
            text.at,
            message,
            "it is a semantic version such as 1.0.0 or 2.1.0-beta.1",
        );
        None
    }

    fn uses(&mut self, node: &Node) -> Option<Use> {
        let mut fields = Fields::of(self, node, "'use'")?;
        let mut uses = Use {
            at: Some(node.at),
            ..Use::default()
        };
        for (name, section) in SECTIONS {
            if let Some(node) = fields.get(name) {
                self.section(node, name, section, &mut uses);
            }
        }
        let order = |section: &UseSection| {
            let name = SECTIONS
                .iter()
                .find(|(_, known)| known == section)
                .map(|(name, _)| *name);
            name.and_then(|name| fields.peek(name)).map(|member| member.key_at)
        };
        uses.sections.sort_by_key(order);
        fields.finish(self);
        Some(uses)
    }

    fn secret(&mut self, node: &Node) -> Option<Text> {
        if node.text().is_none() {
            self.expected(node, "an entry of 'secrets'", "text");
            return None;
        }
        let name = self.text(node, "secrets")?;
        if let Err(error) = name.value.parse::<SecretName>() {
            let message = format!("a secret cannot be called '{}'", clip(&name.value));
            self.wrong_help(name.at, message, error.why);
        }
        Some(name)
    }

    fn section(&mut self, node: &Node, name: &str, section: UseSection, uses: &mut Use) {
        uses.sections.push(section);
        if section == UseSection::Extensions {
            return self.extensions(node, uses);
        }
        if section == UseSection::Secrets {
            match node.items() {
                Some(items) => {
                    uses.secrets = items.iter().filter_map(|node| self.secret(node)).collect();
                }
                None => {
                    let message = format!("'secrets' must be a list of names, not {}", node.kind());
                    self.wrong_help(
                        node.at,
                        message,
                        "write '- ' before each name; values are kept outside of the file",
                    );
                }
            }
            return;
        }
        let Some(members) = node.members() else {
            let message = format!("'{name}' must be an object, not {}", node.kind());
            let help = format!("under '{name}' stands the name of each, ':', and what it is");
            return self.wrong_help(node.at, message, help);
        };
        for Member { key, value: node, .. } in members {
            let key = key.clone();
            match section {
                UseSection::Authentications => uses
                    .authentications
                    .extend(self.authentication(node).map(|policy| (key, policy))),
                UseSection::Errors => uses.errors.extend(self.error(node).map(|error| (key, error))),
                UseSection::Retries => uses.retries.extend(self.retry(node).map(|policy| (key, policy))),
                UseSection::Timeouts => uses.timeouts.extend(self.timeout(node).map(|timeout| (key, timeout))),
                UseSection::Catalogs => uses.catalogs.extend(self.catalog(node).map(|catalog| (key, catalog))),
                UseSection::Functions => {
                    let scope = Scope::alone("a function is one task");
                    uses.functions
                        .extend(self.task(node, &key, &scope).map(|task| (key, task)));
                }
                UseSection::Extensions | UseSection::Secrets => {}
            }
        }
    }

    fn extensions(&mut self, node: &Node, uses: &mut Use) {
        let Some(items) = node.items() else {
            let message = format!("'extensions' must be a list, not {}", node.kind());
            return self.wrong_help(node.at, message, "write '- ' before the name of each extension");
        };
        if items.is_empty() {
            return;
        }
        for Member { key, value: node, .. } in self.entries(node, "extensions", "extension").unwrap_or_default() {
            let Some(mut fields) = Fields::of(self, node, format!("extension '{}'", clip(key))) else {
                continue;
            };
            let extend = fields
                .require("extend")
                .and_then(|node| self.word(node, "extend", &Extended::WORDS));
            let when = fields.text(self, "when");
            let before = fields.get("before").and_then(|node| self.task_list(node, "before"));
            let after = fields.get("after").and_then(|node| self.task_list(node, "after"));
            fields.finish(self);
            let extension = extend.map(|extend| Extension {
                extend: extend.value,
                when,
                before,
                after,
            });
            uses.extensions
                .extend(extension.map(|value| (key.clone(), At { value, at: node.at })));
        }
    }

    fn catalog(&mut self, node: &Node) -> Option<At<Catalog>> {
        let mut fields = Fields::of(self, node, "a catalog")?;
        let endpoint = fields
            .require("endpoint")
            .and_then(|node| self.endpoint(node, "endpoint"));
        fields.finish(self);
        Some(At {
            value: Catalog { endpoint: endpoint? },
            at: node.at,
        })
    }

    fn schedule(&mut self, node: &Node) -> Option<Schedule> {
        let mut fields = Fields::of(self, node, "'schedule'")?;
        let every = fields.get("every").and_then(|node| self.duration(node, "every"));
        let cron = fields.get("cron").and_then(|node| self.cron(node));
        let after = fields.get("after").and_then(|node| self.duration(node, "after"));
        let on = fields.get("on").and_then(|node| self.consumption(node, "on", true));
        let read = fields.get("read").and_then(|node| self.word(node, "read", &READS));
        if let Some(read) = &read
            && fields.peek("on").is_none()
        {
            self.wrong(
                read.at,
                "'read' needs 'on': it says how the events that start the workflow are read",
            );
        }
        let none = ["every", "cron", "after", "on"]
            .iter()
            .all(|key| fields.peek(key).is_none());
        if none && read.is_none() && !fields.has_unknown() {
            self.wrong(
                node.at,
                "'schedule' starts nothing: it needs 'every', 'cron', 'after' or 'on'",
            );
        }
        fields.finish(self);
        for (name, duration) in [("every", &every), ("after", &after)] {
            self.check_interval(name, duration.as_ref());
        }
        Some(Schedule {
            at: node.at,
            every,
            cron,
            after,
            on,
            read,
        })
    }

    fn check_interval(&mut self, name: &str, duration: Option<&At<Duration>>) {
        let Some(duration) = duration else { return };
        if name == "every" && duration.value.fixed() == Some(Millis(0)) {
            self.wrong_help(
                duration.at,
                "'every' must be longer than nothing",
                "it would start runs without end; write PT1M, say",
            );
        }
    }

    fn cron(&mut self, node: &Node) -> Option<Text> {
        const FIELDS: &str =
            "five fields are expected (minute, hour, day, month, weekday), or six with the seconds first";
        let text = self.text(node, "cron")?;
        let message = || format!("'cron' cannot be '{}'", clip(&text.value));
        if !matches!(text.value.split_whitespace().count(), 5 | 6) {
            self.wrong_help(text.at, message(), FIELDS);
            return None;
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .build();
        match parser.parse(&text.value) {
            Ok(cron) if cron.find_next_occurrence(&chrono::DateTime::UNIX_EPOCH, true).is_err() => {
                let message = format!("'cron' is '{}', a time that never comes", clip(&text.value));
                self.wrong_help(text.at, message, "no month has that day: look at the day and the month");
                None
            }
            Ok(_) => Some(text),
            Err(error) => {
                let why = error.to_string().to_lowercase();
                let why = why.trim_start_matches("component error: ").trim_end_matches('.');
                let ranges = "minute 0-59, hour 0-23, day 1-31, month 1-12, weekday 0-7";
                self.wrong_help(text.at, message(), format!("{why} ({ranges})"));
                None
            }
        }
    }

    fn evaluate(&mut self, node: &Node) -> Option<Evaluate> {
        let mut fields = Fields::of(self, node, "'evaluate'")?;
        let language = fields.text(self, "language");
        if let Some(language) = language.as_ref().filter(|language| language.value != "jq") {
            let message = format!("expressions in '{}' are not understood", clip(&language.value));
            self.wrong_help(language.at, message, "write them in jq");
        }
        let mode = fields.get("mode").and_then(|node| self.word(node, "mode", &MODES));
        fields.finish(self);
        Some(Evaluate { language, mode })
    }
}
