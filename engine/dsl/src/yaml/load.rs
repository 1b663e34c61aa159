//! Events of the YAML parser into nodes. The stack is our own, so depth costs memory, not the thread's stack.

use std::collections::HashMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag, options};

use super::{
    Data, MAX_BYTES, MAX_DEPTH, MAX_NODES, MAX_TEXT, Member, Node,
    scalar::{self, clip},
    syntax::syntax_error,
    tag::{check_tag, typed_scalar},
};
use crate::{diagnostic::Diagnostic, model::Location};

pub(super) fn load(text: &str, list: &mut Vec<Diagnostic>) -> Option<Node> {
    match Loader::new(list).run(text) {
        Ok(root) => Some(root),
        Err(diagnostic) => {
            list.push(diagnostic);
            None
        }
    }
}

/// A collection that has begun and not ended.
struct Open {
    at: Location,
    anchor: usize,
    content: Content,
    size: Size,
}

enum Content {
    List(Vec<Node>),
    Map {
        members: Vec<Member>,
        lines: HashMap<String, u32>,
        key: Option<Key>,
    },
}

/// A key that waits for its value.
struct Key {
    text: String,
    at: Location,
    /// False for a key whose member is left out, because something is wrong with it.
    keep: bool,
}

/// What a value costs.
#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

impl Size {
    /// Takes a part in.
    fn add(&mut self, part: Self) {
        self.nodes = self.nodes.saturating_add(part.nodes);
        self.bytes = self.bytes.saturating_add(part.bytes);
        self.depth = self.depth.max(part.depth + 1);
    }
}

struct Loader<'a> {
    list: &'a mut Vec<Diagnostic>,
    stack: Vec<Open>,
    anchors: HashMap<usize, (Node, Size)>,
    spent: Size,
    root: Option<Node>,
}

impl<'a> Loader<'a> {
    fn new(list: &'a mut Vec<Diagnostic>) -> Self {
        Self {
            list,
            stack: Vec::new(),
            anchors: HashMap::new(),
            spent: Size::default(),
            root: None,
        }
    }

    fn run(mut self, text: &str) -> Result<Node, Diagnostic> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        check_text(text)?;
        let options = options! {
            emit_comments: false,
            flow_nesting_limit: MAX_DEPTH,
            block_nesting_limit: MAX_DEPTH,
        };
        let mut documents = 0_usize;
        let mut end = Location::new(1, 1);
        for next in Parser::new_from_str_with_options(text, options) {
            let (event, span) = next.map_err(|error| syntax_error(&error, text))?;
            let at = place(&span.start);
            match event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(Diagnostic::new(at, "a second document begins here")
                            .with_help("a file holds one workflow: put the other into a file of its own"));
                    }
                }
                Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref(), at)?,
                Event::SequenceStart(_, anchor, tag) => {
                    check_tag(tag.as_deref(), "seq", at)?;
                    self.open(at, anchor, Content::List(Vec::new()))?;
                }
                Event::MappingStart(_, anchor, tag) => {
                    check_tag(tag.as_deref(), "map", at)?;
                    self.open(
                        at,
                        anchor,
                        Content::Map {
                            members: Vec::new(),
                            lines: HashMap::new(),
                            key: None,
                        },
                    )?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.close()?,
                Event::Alias(anchor) => self.alias(anchor, at, &span, text)?,
                Event::StreamEnd => end = at,
                _ => {}
            }
        }
        self.root.ok_or_else(|| {
            Diagnostic::new(end, "there is no document here").with_help("a workflow begins with 'document:'")
        })
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        at: Location,
    ) -> Result<(), Diagnostic> {
        if self.expects_key() {
            return self.key(text, style, anchor, at);
        }
        no_noncharacters(text, at)?;
        let data = match typed_scalar(text, style, tag, at)? {
            Ok(data) => data,
            Err(unfit) => {
                self.list.push(Diagnostic::new(at, unfit.message).with_help(unfit.help));
                Data::Null
            }
        };
        let size = Size {
            nodes: 1,
            bytes: text.len(),
            depth: 0,
        };
        self.spend(size, at)?;
        self.value(Node { at, data }, size, anchor)
    }

    fn open(&mut self, at: Location, anchor: usize, content: Content) -> Result<(), Diagnostic> {
        if self.expects_key() {
            return Err(Diagnostic::new(at, "a key must be text, not a list or an object")
                .with_help("put text that begins with '[' or '{' in quotes"));
        }
        if self.stack.len() >= MAX_DEPTH {
            return Err(too_deep(at));
        }
        let size = Size {
            nodes: 1,
            bytes: 0,
            depth: 0,
        };
        self.spend(size, at)?;
        self.stack.push(Open {
            at,
            anchor,
            content,
            size,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Diagnostic> {
        let Some(open) = self.stack.pop() else { return Ok(()) };
        let data = match open.content {
            Content::List(items) => Data::List(items),
            Content::Map { members, .. } => Data::Map(members),
        };
        self.value(Node { at: open.at, data }, open.size, open.anchor)
    }

    fn alias(&mut self, anchor: usize, at: Location, span: &Span, text: &str) -> Result<(), Diagnostic> {
        let name = span.slice(text).unwrap_or("*");
        let Some((node, size)) = self.anchors.get(&anchor) else {
            return Err(Diagnostic::new(
                at,
                format!("'{}' stands for something that contains it", clip(name)),
            ));
        };
        let size = *size;
        if self.expects_key() {
            let Some(text) = node.text().map(str::to_owned) else {
                return Err(Diagnostic::new(
                    at,
                    format!("a key must be text, and '{}' is not", clip(name)),
                ));
            };
            return self.key(&text, ScalarStyle::DoubleQuoted, 0, at);
        }
        if self.stack.len() + size.depth > MAX_DEPTH {
            return Err(too_deep(at));
        }
        // Paid before the copy is made: a few aliases of aliases would otherwise fill the memory.
        self.spend(size, at)?;
        let data = self
            .anchors
            .get(&anchor)
            .map_or(Data::Null, |(node, _)| node.data.clone());
        self.value(Node { at, data }, size, 0)
    }

    /// Puts a finished value where it belongs.
    fn value(&mut self, node: Node, size: Size, anchor: usize) -> Result<(), Diagnostic> {
        if anchor != 0 {
            // The copy that is kept under the anchor costs as much as the value itself.
            self.spend(size, node.at)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.size.add(size);
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map { members, key, .. } => {
                if let Some(key) = key.take()
                    && key.keep
                {
                    members.push(Member {
                        key: key.text,
                        key_at: key.at,
                        value: node,
                    });
                }
            }
        }
        Ok(())
    }

    fn expects_key(&self) -> bool {
        matches!(
            self.stack.last(),
            Some(Open {
                content: Content::Map { key: None, .. },
                ..
            })
        )
    }

    fn key(&mut self, text: &str, style: ScalarStyle, anchor: usize, at: Location) -> Result<(), Diagnostic> {
        no_noncharacters(text, at)?;
        let plain = style == ScalarStyle::Plain;
        if plain && matches!(scalar::word(text), Some(Data::Null)) {
            return Err(Diagnostic::new(at, "a key is missing before ':'")
                .with_help("quote it if the key is meant to be text such as \"~\""));
        }
        self.spend(
            Size {
                nodes: 0,
                bytes: text.len(),
                depth: 0,
            },
            at,
        )?;
        if anchor != 0 {
            let node = Node {
                at,
                data: Data::Text(text.to_owned()),
            };
            self.anchors.insert(
                anchor,
                (
                    node,
                    Size {
                        nodes: 1,
                        bytes: text.len(),
                        depth: 0,
                    },
                ),
            );
        }
        let mut keep = true;
        if plain && text == "<<" {
            self.list.push(
                Diagnostic::new(at, "merge keys ('<<') are not part of YAML 1.2")
                    .with_help("write the members out, or put '<<' in quotes if it is meant as a key"),
            );
            keep = false;
        }
        let Some(Open {
            content: Content::Map { lines, key, .. },
            ..
        }) = self.stack.last_mut()
        else {
            return Ok(());
        };
        if let Some(first) = lines.get(text) {
            self.list.push(
                Diagnostic::new(
                    at,
                    format!("the key '{}' is already there, on line {first}", clip(text)),
                )
                .with_help("remove one of the two"),
            );
            keep = false;
        } else {
            lines.insert(text.to_owned(), at.line);
        }
        *key = Some(Key {
            text: text.to_owned(),
            at,
            keep,
        });
        Ok(())
    }

    fn spend(&mut self, size: Size, at: Location) -> Result<(), Diagnostic> {
        self.spent.add(size);
        if self.spent.nodes > MAX_NODES {
            return Err(Diagnostic::new(
                at,
                format!("the document has more than {MAX_NODES} values here, aliases counted as what they stand for"),
            )
            .with_help("pass large data as the run's input or as a blob"));
        }
        if self.spent.bytes > MAX_BYTES {
            return Err(Diagnostic::new(
                at,
                format!(
                    "the document has more than {MAX_BYTES} bytes of text here, aliases counted as what they stand for"
                ),
            )
            .with_help("pass large data as the run's input or as a blob"));
        }
        Ok(())
    }
}

/// Characters that mean nothing in text that is exchanged. Two of them mark the placeholders of secrets, which no text may forge.
fn no_noncharacters(text: &str, at: Location) -> Result<(), Diagnostic> {
    match text.chars().find(|c| ('\u{FDD0}'..='\u{FDEF}').contains(c)) {
        None => Ok(()),
        Some(found) => Err(Diagnostic::new(
            at,
            format!(
                "the character U+{:04X} is no text: Unicode keeps it for programs' own use",
                u32::from(found)
            ),
        )
        .with_help("remove it")),
    }
}

pub(super) fn too_deep(at: Location) -> Diagnostic {
    Diagnostic::new(at, format!("values nest deeper than {MAX_DEPTH} here"))
        .with_help("move inner tasks to 'use.functions', or flatten the data")
}

pub(super) fn place(mark: &Marker) -> Location {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Location::new(number(mark.line()), number(mark.col() + 1))
}

/// Refuses text that is too long, and characters that YAML does not allow (section 5.1): some of them would end the text early.
fn check_text(text: &str) -> Result<(), Diagnostic> {
    if text.len() > MAX_TEXT {
        return Err(Diagnostic::new(
            Location::new(1, 1),
            format!(
                "the text has {} bytes, more than the {MAX_TEXT} that a workflow may have",
                text.len()
            ),
        )
        .with_help("pass large data as the run's input or as a blob"));
    }
    let allowed = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{85}' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        c => !c.is_control(),
    };
    let Some((offset, found)) = text.char_indices().find(|(_, c)| !allowed(*c)) else {
        return Ok(());
    };
    Err(Diagnostic::new(
        end_of(&text[..offset]),
        format!("the character U+{:04X} is not allowed in YAML", u32::from(found)),
    )
    .with_help("is this a text file in UTF-8? Inside double quotes such a character is written as an escape, \"\\u…\""))
}

/// The place right after a text.
pub(crate) fn end_of(text: &str) -> Location {
    let line = text.replace("\r\n", "\n").matches(['\n', '\r']).count() + 1;
    let column = text.rsplit(['\n', '\r']).next().map_or(0, |last| last.chars().count()) + 1;
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Location::new(number(line), number(column))
}
