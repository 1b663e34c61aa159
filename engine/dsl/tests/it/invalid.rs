//! What people read when a file is wrong: what is wrong, where and, where that is known, what to do.
//!
//! `invalid/*.yaml` have several faults each, or faults of the text itself. In the folders beside them a file has one fault, named by
//! its first line: together they break every rule of the language's schema, and (`ours`) every rule that only this reader has.

use std::{collections::BTreeMap, fmt::Write, fs};

use serde_json::Value;

use super::files;

fn snapshot(folder: &str, name: &str, text: &str) {
    let folder = format!("../invalid/{folder}");
    insta::with_settings!({ snapshot_path => folder, prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, text);
    });
}

/// What is wrong with a text that is wrong.
fn diagnostics(name: &str, text: &str) -> potok_dsl::Diagnostics {
    match potok_dsl::parse(name, text) {
        Ok(_) => panic!("{name} was accepted"),
        Err(diagnostics) => diagnostics,
    }
}

#[test]
fn files_with_several_faults_are_explained() {
    for (name, text) in files("invalid") {
        snapshot(
            "",
            name.trim_end_matches(".yaml"),
            &diagnostics(&name, &text).to_string(),
        );
    }
}

/// The files with one fault, by folder.
pub fn corpus() -> BTreeMap<String, Vec<(String, String)>> {
    let folder = super::here().join("tests/invalid");
    let folders = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    folders
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .map(|area| (area.clone(), files(&format!("invalid/{area}"))))
        .collect()
}

/// One message for one fault, with a place: a second message would be about something that is not wrong.
#[test]
fn every_fault_is_explained_by_one_message() {
    let corpus = corpus();
    assert!(corpus.values().map(Vec::len).sum::<usize>() >= 400);
    let mut several = Vec::new();
    for (area, files) in corpus {
        let mut text = String::new();
        for (name, source) in files {
            let found = diagnostics(&name, &source);
            if found.list.len() != 1 {
                several.push(format!("{area}/{name}:\n{found}"));
            }
            let fault = source.lines().next().unwrap_or_default();
            let _ = writeln!(text, "{fault}\n{found}\n");
        }
        snapshot(&area, "messages", &text);
    }
    assert!(several.is_empty(), "{}", several.join("\n\n"));
}

/// The schema of the language refuses each of these files too; those under `ours` it lets through, and their first line says why we do not.
#[test]
fn the_schema_of_the_language_says_the_same() {
    let validator = jsonschema::validator_for(&potok_dsl::schema::language()).unwrap();
    for (area, files) in corpus() {
        for (name, source) in files {
            let document = data(&source);
            let ours = source.starts_with("# ours: ");
            assert_eq!(ours, area == "ours", "{area}/{name}");
            assert_eq!(validator.is_valid(&document), ours, "{area}/{name}");
        }
    }
}

pub fn data(source: &str) -> Value {
    potok_dsl::Placed::parse("w.yaml", source).unwrap().value()
}
