//! Graphs: every construct is in them, and they are what Mermaid reads.

use std::{collections::HashSet, fmt::Write};

use super::files;

#[test]
fn graphs_show_every_construct() {
    let [(name, text)] = files("graph").try_into().unwrap();
    let parsed = potok_dsl::parse(&name, &text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let graph = potok_dsl::graph(&parsed.workflow);
    is_sound(&name, &graph);
    insta::assert_snapshot!(graph);
}

#[test]
fn nothing_in_a_title_means_anything_to_mermaid() {
    let text = "document: { dsl: 1.0.3, namespace: a, name: b, version: 1.0.0, title: '%%{init: {}}%% \"' }\ndo: [ { c: { wait: PT1S } } ]";
    let graph = potok_dsl::graph(&potok_dsl::parse("w", text).unwrap().workflow);
    assert!(
        graph.starts_with("---\ntitle: \"\\u0025\\u0025{init: {}}\\u0025\\u0025 \\\"\"\n---\nflowchart TD\n"),
        "{graph}"
    );
}

/// What goes wrong in Mermaid is an edge to a node that is not there, an edge from within a subgraph to it, and a label that ends early.
fn is_sound(name: &str, graph: &str) {
    let (_, body) = graph.split_once("flowchart TD\n").unwrap();
    let (mut open, mut nodes, mut within) = (Vec::new(), HashSet::new(), HashSet::new());
    for line in body.lines().map(str::trim) {
        let quotes = line.matches('"').count();
        assert!(quotes == 0 || quotes == 2, "{name}: {line}");
        if line == "end" {
            assert!(open.pop().is_some(), "{name}: one end too many");
            continue;
        }
        let id: String = line
            .trim_start_matches("subgraph ")
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        let edge = line.strip_prefix(&id).filter(|rest| rest.starts_with(" -"));
        match edge {
            Some(rest) => {
                let to = rest.rsplit(' ').next().unwrap().to_owned();
                assert!(open.is_empty(), "{name}: an edge inside a subgraph: {line}");
                assert!(nodes.contains(&id) && nodes.contains(&to), "{name}: {line}");
                assert!(id != to && !within.contains(&(id, to)), "{name}: {line}");
            }
            None => {
                assert!(nodes.insert(id.clone()), "{name}: {id} twice");
                within.extend(open.iter().map(|outer: &String| (id.clone(), outer.clone())));
                if line.starts_with("subgraph ") {
                    open.push(id);
                }
            }
        }
    }
    assert!(open.is_empty(), "{name}: {open:?} never end");
}

#[test]
fn every_example_is_drawn() {
    let mut all = String::new();
    for (name, text) in files("examples") {
        let parsed = potok_dsl::parse(&name, &text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        let graph = potok_dsl::graph(&parsed.workflow);
        is_sound(&name, &graph);
        let _ = writeln!(all, "%% {name}\n{graph}");
    }
    insta::assert_snapshot!(all);
}
