//! Live progress of a run on stderr: bars on a terminal, plain lines elsewhere.
//!
//! What is shown comes from the run's durable news, as it comes to anyone who follows a run.

use std::{
    collections::HashMap,
    io::{IsTerminal, Write},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use potok_node::TaskEvent;

/// Lines of nested tasks are shown down to this depth; what is deeper shows in its parent's bar.
const DEPTH: usize = 2;

/// Shows a run's progress until it is dropped.
pub enum Progress {
    /// Bars that move.
    Bars(Bars),
    /// A line for each task that ends.
    Lines,
}

impl Progress {
    /// Bars when stderr is a terminal, lines when it is not.
    pub fn new() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Bars(Bars::default())
        } else {
            Self::Lines
        }
    }

    /// Shows what a task did.
    pub fn show(&mut self, event: &TaskEvent) {
        match self {
            Self::Bars(bars) => bars.show(event),
            Self::Lines => {
                if let Some(line) = line(event) {
                    // Nobody reads it: then nobody misses it.
                    let _ = writeln!(std::io::stderr(), "{line}");
                }
            }
        }
    }

    /// Takes the bars away.
    pub fn finish(&mut self) {
        if let Self::Bars(bars) = self {
            bars.finish();
        }
    }
}

/// One bar a task near the root, with a count of what has ended below it.
#[derive(Default)]
pub struct Bars {
    screen: MultiProgress,
    bars: HashMap<String, ProgressBar>,
}

impl Bars {
    fn show(&mut self, event: &TaskEvent) {
        let top = top(&event.path);
        if event.path != top {
            if let (Some(bar), "completed") = (self.bars.get(top), event.event.as_str()) {
                bar.inc(1);
                bar.set_message(title(event).to_owned());
            }
            return;
        }
        match event.event.as_str() {
            "started" => {
                let style = ProgressStyle::with_template("{spinner} {prefix:<32} {pos:>5}  {elapsed:>4}  {msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner());
                let bar = self.screen.add(ProgressBar::new_spinner().with_style(style));
                bar.set_prefix(title(event).to_owned());
                bar.enable_steady_tick(Duration::from_millis(100));
                self.bars.insert(event.path.clone(), bar);
            }
            "completed" | "cancelled" | "skipped" => self.end(event, event.event.as_str()),
            "faulted" => {
                let why = event.error.as_ref().map_or_else(String::new, ToString::to_string);
                self.end(event, &format!("faulted: {why}"));
            }
            _ => {}
        }
    }

    fn end(&mut self, event: &TaskEvent, message: &str) {
        if let Some(bar) = self.bars.remove(&event.path) {
            bar.finish_with_message(if message == "completed" {
                String::new()
            } else {
                message.to_owned()
            });
        }
    }

    fn finish(&mut self) {
        for (_, bar) in self.bars.drain() {
            bar.abandon();
        }
    }
}

/// The execution near the root that a path lies in: `/do/2/summarise` of `/do/2/summarise[3]/do/0/ask`.
fn top(path: &str) -> &str {
    let end = path.match_indices('/').nth(3).map_or(path.len(), |(at, _)| at);
    let head = &path[..end];
    head.find('[').map_or(head, |at| &path[..at])
}

fn title(event: &TaskEvent) -> &str {
    event.label.as_deref().unwrap_or(&event.name)
}

/// A plain line for a task event near the root or one that people must see.
fn line(event: &TaskEvent) -> Option<String> {
    let depth = event.path.matches("/do/").count();
    let why = event.error.as_ref().map(ToString::to_string).unwrap_or_default();
    match event.event.as_str() {
        "completed" if depth <= DEPTH => Some(format!("  done     {}  {}", title(event), event.path)),
        "skipped" if depth <= DEPTH => Some(format!("  skipped  {}  {}", title(event), event.path)),
        "delayed" => {
            let until = event.until.map(potok_dsl::Timestamp::rfc3339).unwrap_or_default();
            Some(format!(
                "  waits    {}  {}: for its rate, until {until}",
                title(event),
                event.path
            ))
        }
        "retrying" => Some(format!("  retry    {}  {}: {why}", title(event), event.path)),
        "faulted" => Some(format!("  faulted  {}  {}: {why}", title(event), event.path)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_of_a_path_is_its_task_near_the_root() {
        assert_eq!(top("/do/2/summarise[3]/do/0/ask"), "/do/2/summarise");
        assert_eq!(top("/do/2/summarise"), "/do/2/summarise");
        assert_eq!(top("/do/2/a/try/0/b"), "/do/2/a");
    }
}
