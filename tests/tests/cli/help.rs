//! The help texts.

use crate::rig::Potok;

const COMMANDS: [&[&str]; 20] = [
    &[],
    &["serve"],
    &["run"],
    &["retry"],
    &["runs"],
    &["runs", "list"],
    &["runs", "retry"],
    &["runs", "restart"],
    &["call"],
    &["validate"],
    &["graph"],
    &["plugin"],
    &["plugin", "inspect"],
    &["plugin", "add"],
    &["plugin", "list"],
    &["journal", "show"],
    &["functions"],
    &["sandbox"],
    &["bench"],
    &["config"],
];

#[tokio::test]
async fn every_command_explains_itself() {
    let potok = Potok::new();
    let mut texts = String::new();
    for command in COMMANDS {
        let arguments = [command, &["--help"]].concat();
        let ran = potok.run(&arguments).await;
        assert_eq!(ran.err, "", "{ran:?}");
        texts.push_str(&format!("$ potok {}\n{}\n", arguments.join(" "), ran.success()));
    }
    insta::assert_snapshot!("help", texts);
}

#[tokio::test]
async fn the_version_is_that_of_the_crate() {
    let potok = Potok::new();
    let version = format!("potok {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(potok.run(&["--version"]).await.success(), version);
    assert_eq!(potok.run(&["-V"]).await.success(), version);
}
