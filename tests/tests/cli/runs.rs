//! `potok runs`: the runs of a server, from the command line.

use serde_json::{Value, json};

use crate::rig::{Potok, Ran, Running, client};

/// A server, and the binary that talks to it.
struct Operated {
    potok: Potok,
    base: String,
    server: Running,
}

impl Operated {
    async fn start() -> Self {
        let potok = Potok::new();
        let mut server = potok.start(&["serve", "--listen", "127.0.0.1:0", "--data-dir", "data"]);
        let line = server.told("listening on").await;
        let mut words = line.split_whitespace();
        let base = words.find(|word| word.starts_with("http://")).unwrap().to_owned();
        Self { potok, base, server }
    }

    async fn deploy(&self, name: &str, version: &str, tasks: &str) {
        let header =
            format!("document: {{ dsl: '1.0.3', namespace: tests, name: {name}, version: '{version}' }}\ndo:\n");
        let put = client().put(format!("{}/api/v1/workflows", self.base));
        let put = put.header("content-type", "application/yaml");
        let answer = put.body(format!("{header}{tasks}\n")).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{:?}", answer.text().await);
    }

    /// Starts a run and waits a moment for its end; gives its id.
    async fn begin(&self, name: &str, input: &Value) -> String {
        let post = client().post(format!("{}/api/v1/workflows/tests/{name}/runs?wait=1s", self.base));
        let run: Value = post.json(input).send().await.unwrap().json().await.unwrap();
        run["id"].as_str().unwrap().to_owned()
    }

    async fn runs(&self, arguments: &[&str]) -> Ran {
        let server = ["--server", &self.base];
        self.potok.run(&[&["runs"], arguments, &server].concat()).await
    }
}

const SLEEP: &str = "  - sleep: { wait: { hours: 1 } }";

/// Faults unless it gets a number.
const PRICE: &str = "  - ask: { set: { price: '${ .price * 2 }' } }\n  - told: { set: { told: '${ .price }' } }";

#[tokio::test]
async fn runs_are_found_looked_at_and_steered() {
    let operated = Operated::start().await;
    operated.deploy("rest", "1.0.0", SLEEP).await;
    let run = operated.begin("rest", &json!({ "a": 1 })).await;
    let listed = operated
        .runs(&["list", "--workflow", "tests/rest:1.0.0"])
        .await
        .success();
    assert!(
        listed.starts_with(&format!("{run}  waiting    ")) && listed.ends_with("tests/rest:1.0.0\n"),
        "{listed}"
    );
    let json = operated.runs(&["list", "--status", "waiting", "--json"]).await.json();
    assert_eq!((json.as_array().unwrap().len(), &json[0]["id"]), (1, &json!(run)));
    assert_eq!(operated.runs(&["list", "--status", "faulted"]).await.success(), "");

    let shown = operated.runs(&["show", &run]).await.success();
    assert!(
        shown.contains("status     waiting\n") && shown.contains("started     /do/0/sleep"),
        "{shown}"
    );
    assert_eq!(
        operated.runs(&["show", &run, "--json"]).await.json()["input"],
        json!({ "a": 1 })
    );

    for (command, status) in [("suspend", "suspended"), ("resume", "waiting"), ("cancel", "cancelled")] {
        let said = operated.runs(&[command, &run]).await.success();
        assert!(said.starts_with(&format!("{run}  {status}")), "{said}");
    }
    // It has ended.
    let said = operated.runs(&["cancel", &run]).await.refused(1);
    assert!(said.contains("the run is cancelled"), "{said}");
}

#[tokio::test]
async fn runs_are_made_of_runs_and_compared() {
    let operated = Operated::start().await;
    operated.deploy("price", "1.0.0", PRICE).await;
    let run = operated.begin("price", &json!({ "price": {} })).await;
    // What has faulted faults again, as a run of its own.
    let ran = operated.runs(&["retry", &run, "--wait"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    assert!(
        ran.err.contains("potok: run ") && ran.err.contains("\"instance\": \"/do/0/ask\""),
        "{ran:?}"
    );
    let made = operated.runs(&["list", "--origin", &run, "--json"]).await.json();
    assert_eq!(made[0]["origin"], json!({ "run": run, "path": "/do/0/ask" }));

    let input = r#"{"price": 4}"#;
    let restart = ["restart", &run, "--from", "/do/0/ask", "--input", input];
    assert_eq!(
        operated.runs(&[&restart[..], &["--wait"]].concat()).await.json(),
        json!({ "told": 8 })
    );
    let once = [&restart[..], &["--key", "k-1", "--json"]].concat();
    let first = operated.runs(&once).await.json();
    assert_eq!(operated.runs(&once).await.json()["id"], first["id"]);

    operated
        .deploy("price", "2.0.0", "  - ask: { set: { price: 1 } }")
        .await;
    let forked = operated.runs(&["fork", &run, "--on", "2.0.0", "--json"]).await.json();
    assert_eq!(forked["workflow"]["version"], "2.0.0");

    let made = first["id"].as_str().unwrap();
    let diff = operated.runs(&["diff", made]).await.success();
    assert!(
        diff.starts_with(&format!("- run {run}\n+ run {made}\n"))
            && diff.contains("status\n  - \"faulted\"\n  + \"completed\"\n"),
        "{diff}"
    );
    let forked = forked["id"].as_str().unwrap();
    let json = operated.runs(&["diff", forked, made, "--json"]).await.json();
    assert_eq!((&json["run"], &json["with"]), (&json!(forked), &json!(made)));
}

#[tokio::test]
async fn many_are_counted_before_they_are_steered() {
    let operated = Operated::start().await;
    operated.deploy("rest", "1.0.0", SLEEP).await;
    operated.deploy("other", "1.0.0", SLEEP).await;
    let post = client();
    let mut other = String::new();
    for (name, many) in [("rest", 103), ("other", 1)] {
        for _ in 0..many {
            let started = post.post(format!("{}/api/v1/workflows/tests/{name}/runs", operated.base));
            let run: Value = started.json(&json!({})).send().await.unwrap().json().await.unwrap();
            run["id"].as_str().unwrap().clone_into(&mut other);
        }
    }
    let all = ["cancel", "--all", "--workflow", "rest", "--status", "waiting"];
    let said = operated.runs(&all).await.success();
    assert_eq!(
        said,
        "cancel: 103 runs pass the filters; nothing was done yet: --yes does it\n"
    );
    assert_eq!(
        operated.runs(&[&all[..], &["--json"]].concat()).await.json()["left"],
        103
    );
    let done = operated
        .runs(&[&all[..], &["--yes", "--reason", "too old"]].concat())
        .await;
    assert_eq!((done.code, done.out.lines().count()), (Some(0), 103), "{}", done.err);
    assert_eq!(done.err, "potok: cancel: 103 done, 0 refused\n");
    let left = operated.runs(&["list", "--status", "waiting", "--json"]).await.json();
    assert_eq!((left.as_array().unwrap().len(), &left[0]["id"]), (1, &json!(other)));
    let cancelled = operated.runs(&["list", "--status", "cancelled", "--limit", "5"]).await;
    assert_eq!(cancelled.out.lines().count(), 5);
    assert!(cancelled.err.contains("there are more"), "{}", cancelled.err);
    assert_eq!(
        operated.runs(&[&all[..], &["--yes", "--json"]].concat()).await.json(),
        json!({ "done": [], "refused": [], "left": 0 })
    );
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let mut operated = Operated::start().await;
    let nobody = "01900000-0000-7000-8000-000000000000";
    for (arguments, said) in [
        (&["show", nobody][..], "there is no run"),
        (&["retry", nobody], "there is no run"),
        (&["show", "7"], "'7'"),
        (&["cancel"], "RUNS"),
        (&["cancel", "--all"], "--all needs a filter"),
        (&["cancel", nobody, "--status", "faulted"], "they need --all"),
        (&["list", "--workflow", "no name"], "a name of letters"),
        (&["restart", nobody, "--input", "{"], "--input is not JSON"),
    ] {
        let told = operated.runs(arguments).await.refused(3);
        assert!(told.contains(said), "{arguments:?}: {told}");
    }
    operated.server.signal("TERM");
    operated.server.ended().await;
    let told = operated.runs(&["list"]).await.refused(1);
    assert!(
        told.contains(&format!("no server is to be reached at {}", operated.base))
            && told.contains("Connection refused"),
        "{told}"
    );
    let told = operated
        .potok
        .run(&["runs", "list", "--server", "ftp://x"])
        .await
        .refused(3);
    assert!(told.contains("'ftp://x' is no address of a server"), "{told}");
}

/// Something in front of a server that wants to know who asks, as the page on the API advises; it answers on every connection once.
async fn gate(token: &'static str) -> String {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/potok", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let (mut known, mut path) = (false, String::new());
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                if path.is_empty() {
                    path.clone_from(&line);
                }
                known |= line
                    .trim()
                    .eq_ignore_ascii_case(&format!("authorization: bearer {token}"));
                if line.trim().is_empty() {
                    break;
                }
            }
            let (status, body) = match known {
                true if path.starts_with("GET /potok/api/v1/runs?") => ("200 OK", r#"{"runs":[]}"#),
                true => ("502 Bad Gateway", "<html>"),
                false => ("401 Unauthorized", "who?"),
            };
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_token_is_shown_to_whatever_stands_before_the_server() {
    let base = gate("t0ken").await;
    let potok = Potok::new().with("POTOK_SERVER", &base);
    let told = potok.run(&["runs", "list"]).await.refused(1);
    assert!(
        told.contains("wants to know who asks (401)") && told.contains("POTOK_TOKEN"),
        "{told}"
    );
    let told = potok.run(&["runs", "list", "--token", "other"]).await.refused(1);
    assert!(told.contains("does not take the token (401)"), "{told}");
    assert_eq!(potok.run(&["runs", "list", "--token", "t0ken"]).await.success(), "");
    let potok = potok.with("POTOK_TOKEN", "t0ken");
    assert_eq!(potok.run(&["runs", "list", "--json"]).await.json(), json!([]));
    let nobody = "01900000-0000-7000-8000-000000000000";
    let told = potok.run(&["runs", "show", nobody]).await.refused(1);
    assert!(
        told.contains("answers 502 Bad Gateway, and not as a server of Potok does"),
        "{told}"
    );
    assert!(!potok.run(&["config"]).await.success().contains("t0ken"));
}
