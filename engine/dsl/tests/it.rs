//! The crate from outside: examples, invalid files, hostile text.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{fs, path::PathBuf};

fn files(folder: &str) -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    files.sort();
    files
}

#[test]
fn every_example_is_read_and_written_back() {
    let files = files("examples");
    assert_eq!(files.len(), 68);
    for (name, text) in files {
        let parsed = potok_dsl::parse(&name, &text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        assert_eq!(parsed.workflow.to_value(), *parsed.document, "{name}");
        for item in &parsed.workflow.tasks.0 {
            assert_eq!(item.task.to_value(), item.task.source, "{name}: {}", item.name.value);
        }
    }
}

#[test]
fn what_is_not_executed_is_named_with_its_line() {
    let [(name, text)] = files("unsupported").try_into().unwrap();
    let parsed = potok_dsl::parse(&name, &text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let list: Vec<String> = potok_dsl::unsupported(&parsed.workflow)
        .iter()
        .map(ToString::to_string)
        .collect();
    insta::assert_snapshot!(list.join("\n"));
}

#[test]
fn examples_that_use_what_is_executed_are_supported() {
    let supported: Vec<String> = files("examples")
        .into_iter()
        .filter(|(name, text)| potok_dsl::unsupported(&potok_dsl::parse(name, text).unwrap().workflow).is_empty())
        .map(|(name, _)| name)
        .collect();
    insta::assert_snapshot!(supported.join("\n"));
}

/// What people read when a file is wrong: each message says what, where and, where that is known, what to do.
#[test]
fn invalid_files_are_explained() {
    let files = files("invalid");
    assert!(files.len() >= 20);
    for (name, text) in files {
        let Err(diagnostics) = potok_dsl::parse(&name, &text) else {
            panic!("{name} was accepted")
        };
        assert!(!diagnostics.list.is_empty(), "{name}");
        insta::with_settings!({ snapshot_path => "invalid", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name.trim_end_matches(".yaml"), diagnostics.to_string());
        });
    }
}
