//! Canaries: secrets are planted in all places that they come from, used wherever a call can hold one, echoed by whoever is called, and
//! then looked for in everything that is left behind.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use potok_tests::{PATIENCE, potok_binary};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

/// From the environment, from a file, from the store by the command line and by the API; what a webhook signs with.
const CANARIES: [&str; 6] = [
    "canary-of-the-environment-7f3a",
    "p4ssword/of+the \"environment\"&9c1e",
    "canary/of+the \"file\" & é%41 b2d8",
    "canary-of-the-store-5e6f7a8b",
    "canary-of-the-api-0a1b2c3d",
    "canary-of-the-webhook-4c5d6e7f",
];

/// Uses every secret in every place, and keeps all that comes back.
const WORKFLOW: &str = r#"
document: { dsl: '1.0.3', namespace: tests, name: canary, version: '1.0.0' }
use:
  secrets: [envkey, filekey, storekey, apikey]
  authentications:
    fromSecret: { basic: { use: envkey } }
input: { from: '. + { first: $secrets.storekey }' }
do:
  - kept: { set: { server: '${ .server }', first: '${ .first }', list: ['${ $secrets.filekey }', '${ "x" + $secrets.envkey.token }'] } }
  - address:
      call: http
      with: { method: get, endpoint: '${ .server + "/address/" + $secrets.storekey + "?k=" + $secrets.apikey }', output: response }
      output: { as: '{ address: . }' }
      export: { as: '$context + .' }
  - expanded:
      input: { from: '{ server: $workflow.input.server, k: $secrets.filekey }' }
      call: http
      with: { method: get, endpoint: '${ .server + "/expanded" }', query: { q: '${ .k }' }, headers: { x-key: '${ "Key " + $secrets.apikey }' }, output: response }
      output: { as: '{ expanded: . }' }
      export: { as: '$context + .' }
  - body:
      call: http
      with:
        method: post
        endpoint: '${ $workflow.input.server + "/body" }'
        body: { deep: [{ token: '${ $secrets.envkey.token }' }], whole: '${ $secrets.envkey }', text: '${ "a\($secrets.filekey)b" }' }
        headers: { content-type: application/json }
      output: { as: '{ body: . }' }
      export: { as: '$context + .' }
  - raw:
      call: http
      with: { method: post, endpoint: '${ $workflow.input.server + "/raw" }', body: { k: '${ $secrets.storekey }' }, output: raw }
      output: { as: '{ raw: . }' }
      export: { as: '$context + .' }
  - basic:
      call: http
      with: { method: get, endpoint: { uri: '${ $workflow.input.server + "/basic" }', authentication: { use: fromSecret } }, headers: { x-mine: '${ $authorization.scheme + " " + $authorization.parameter }' }, output: response }
      output: { as: '{ basic: . }' }
      export: { as: '$context + .' }
  - bearer:
      call: http
      with: { method: get, endpoint: { uri: '${ $workflow.input.server + "/bearer" }', authentication: { bearer: { token: '${ $secrets.apikey }' } } }, query: { mine: '${ $authorization.parameter }' }, output: response }
      output: { as: '{ bearer: ., authorization: $authorization }' }
      export: { as: '$context + .' }
  - later:
      call: http
      with: { method: get, endpoint: '${ $workflow.input.server + "/remembered" }' }
      output: { as: '{ later: . }' }
      export: { as: '$context + .' }
  - joined:
      call: demo.join
      with: { texts: ['${ $secrets.apikey }', '${ $secrets.filekey }'], separator: '-' }
      output: { as: '{ joined: . }' }
      export: { as: '$context + .' }
  - refused:
      try:
        - ask:
            call: http
            with: { method: post, endpoint: '${ $workflow.input.server + "/refuse" }', body: { k: '${ $secrets.filekey }', l: '${ $secrets.storekey }' } }
      catch: { as: problem, do: [{ keep: { set: { refused: '${ $problem }' } } }] }
      export: { as: '$context + .' }
  - failed:
      try:
        - ask: { call: demo.fail, with: { kind: canary, status: 500, title: '${ $secrets.apikey }', detail: '${ "at " + $secrets.apikey }', data: '${ $secrets.apikey }' } }
      catch: { as: problem, do: [{ keep: { set: { failed: '${ $problem }' } } }] }
      export: { as: '$context + .' }
  - trapped:
      try: [{ ask: { call: demo.trap, with: { message: '${ $secrets.apikey }' } } }]
      catch: { as: problem, do: [{ keep: { set: { trapped: '${ $problem }' } } }] }
      export: { as: '$context + .' }
  - ungranted:
      try: [{ ask: { call: demo.join, with: { texts: ['${ $secrets.storekey }'] } } }]
      catch: { as: problem, do: [{ keep: { set: { ungranted: '${ $problem.detail }' } } }] }
      export: { as: '$context + .' }
  - hang:
      call: http
      with: { method: post, endpoint: '${ $workflow.input.server + "/hang" }', body: { k: '${ $secrets.envkey.token }' } }
      output: { as: '{ hang: . }' }
      export: { as: '$context + .' }
output: { as: '$context + { mine: $secrets.envkey.token }' }
"#;

#[tokio::test]
async fn no_canary_is_left_anywhere() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let echo = Echo::start().await;
    plant(root).await;
    let server = Server::start(root, "first.log").await;
    let put = server.ask(Method::PUT, "/api/v1/secrets/apikey").body(CANARIES[4]);
    assert_eq!(put.send().await.unwrap().status(), 201);
    let secret = format!("whsec_{}", STANDARD.encode(CANARIES[5]));
    let hook = json!({ "url": format!("{}/hook", echo.url), "types": ["io.serverlessworkflow.*"], "secret": secret });
    let hook = server.post("/api/v1/webhooks", &hook).await;
    assert_eq!(hook["secret"], secret, "shown this once: {hook}");
    let deploy = server.ask(Method::PUT, "/api/v1/workflows").body(WORKFLOW);
    let deployed = deploy.header("content-type", "application/yaml").send().await.unwrap();
    assert_eq!(deployed.status(), 201, "{}", deployed.text().await.unwrap());
    let run = server
        .post("/api/v1/workflows/tests/canary/runs", &json!({ "server": echo.url }))
        .await;
    let run = run["id"].as_str().unwrap().to_owned();
    echo.wait_for("/hang").await;
    server.kill().await;
    // What a crash leaves behind is all that there is of the run.
    let crashed = left_behind(&root.join("data"));
    assert!(!crashed.is_empty());
    for (file, bytes) in &crashed {
        hunt(&file.display().to_string(), bytes);
    }
    echo.answer_everything();

    let server = Server::start(root, "second.log").await;
    let mut answers = Vec::new();
    let view = server.ended(&run).await;
    assert_eq!(view["status"], "completed", "{view:#}");
    echo.saw_everything();
    let output = &view["output"];
    assert_eq!(output["mine"], "[secret:envkey.token]");
    assert_eq!(output["joined"], "[secret:apikey]-[secret:filekey]", "{output:#}");
    assert!(
        output["ungranted"].as_str().unwrap().contains("secret:storekey"),
        "{output:#}"
    );
    assert!(output["later"].to_string().contains("[secret:storekey]"), "{output:#}");
    assert_eq!(
        output["authorization"],
        json!({ "scheme": "Bearer", "parameter": "[secret:apikey]" })
    );
    assert_eq!(output["failed"]["detail"], "at [secret:apikey]", "{output:#}");
    assert!(output["trapped"].to_string().contains("[secret:apikey]"), "{output:#}");
    assert!(
        output["refused"]["data"].to_string().contains("[secret:filekey]"),
        "{output:#}"
    );
    answers.push(view.to_string());
    for path in [
        format!("/api/v1/runs/{run}/history"),
        format!("/api/v1/runs/{run}/stream"),
        "/api/v1/runs?limit=10".to_owned(),
        "/api/v1/secrets".to_owned(),
        "/api/v1/webhooks".to_owned(),
        format!("/api/v1/webhooks/{}/dead-letters", hook["id"].as_str().unwrap()),
        "/metrics".to_owned(),
        "/openapi.json".to_owned(),
    ] {
        answers.push(
            server
                .ask(Method::GET, &path)
                .send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap(),
        );
    }
    assert!(
        answers.iter().any(|answer| answer.contains("\"apikey\"")),
        "the list of secrets has names"
    );
    assert!(
        answers.iter().any(|answer| answer.contains("/hook\"")),
        "the list of webhooks has addresses"
    );
    server.terminate().await;

    // The same from the command line, with a trace.
    std::fs::write(root.join("canary.yaml"), WORKFLOW).unwrap();
    let input = json!({ "server": echo.url }).to_string();
    let arguments = [
        "run",
        "canary.yaml",
        "--data-dir",
        "data",
        "--input",
        &input,
        "--trace",
        "trace.jsonl",
    ];
    let ran = potok(root).args(arguments).output().await.unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    answers.extend([ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
    for (index, answer) in answers.iter().enumerate() {
        hunt(&format!("answer {index}"), answer.as_bytes());
    }
    // Everything but where the secrets were planted.
    for (file, bytes) in left_behind(root) {
        if !file.starts_with(root.join("planted")) {
            hunt(&file.display().to_string(), &bytes);
        }
    }
}

/// Would the hunt find what it hunts?
#[test]
fn the_hunt_finds_every_form() {
    for canary in CANARIES {
        let encoded = |text: &str| STANDARD.encode(text);
        for text in [
            canary.to_owned(),
            encoded(canary),
            encoded(&format!("a{canary}")),
            encoded(&format!("ab{canary}c")),
            urlencoded(canary),
            lower_escapes(&urlencoded(canary)),
            serde_json::to_string(canary).unwrap(),
        ] {
            assert!(found_in(text.as_bytes()).is_some(), "{text}");
        }
    }
    assert_eq!(found_in(b"nothing of the kind"), None);
}

/// Puts the secrets where they come from, and installs a plugin that may see two of them.
async fn plant(root: &Path) {
    let planted = root.join("planted");
    std::fs::create_dir_all(planted.join("files")).unwrap();
    std::fs::create_dir_all(root.join("data")).unwrap();
    std::fs::write(planted.join("files/filekey"), format!("{}\n", CANARIES[2])).unwrap();
    std::fs::write(planted.join("stored"), CANARIES[3]).unwrap();
    let demo = potok_plugins::fixtures()
        .iter()
        .find(|component| component.name == "demo")
        .unwrap();
    std::fs::write(root.join("demo.wasm"), demo.decompress().unwrap()).unwrap();
    let config = "log = 'warn,potok=trace,potok_node=trace,potok_wasm=trace,potok_calls=trace,potok_journal=trace,\
                  hyper=trace,hyper_util=trace,reqwest=trace,poem=trace'\n\
                  [secrets]\npath = 'planted/files'\nkey_file = 'planted/key'\n\
                  [egress]\nallow = ['127.0.0.1']\n";
    std::fs::write(root.join("potok.toml"), config).unwrap();
    for arguments in [
        &[
            "secret",
            "set",
            "storekey",
            "--from-file",
            "planted/stored",
            "--data-dir",
            "data",
        ][..],
        &[
            "plugin",
            "add",
            "demo.wasm",
            "--grant",
            "secret:apikey",
            "--grant",
            "secret:filekey",
            "--data-dir",
            "data",
        ],
    ] {
        let output = potok(root).args(arguments).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The binary, with the secrets of its environment and nothing else of Potok's in it.
fn potok(root: &Path) -> Command {
    let mut command = Command::new(potok_binary());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("POTOK")) {
        command.env_remove(name);
    }
    let secret = json!({ "token": CANARIES[0], "username": "someone", "password": CANARIES[1] });
    command
        .current_dir(root)
        .env("POTOK_SECRETS_ENVKEY", secret.to_string())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

struct Server {
    child: Child,
    url: String,
    client: Client,
}

impl Server {
    /// Serves, with all of its log in a file.
    async fn start(root: &Path, log: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let log = root.join(log);
        let mut command = potok(root);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir", "data"])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let url = eventually("the server listens", || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            assert!(child.try_wait().unwrap().is_none(), "the server has ended: {text}");
            let (_, rest) = text.split_once("listening on ")?;
            rest.split_once(char::is_whitespace).map(|(url, _)| url.to_owned())
        })
        .await;
        let client = Client::builder().timeout(PATIENCE).build().unwrap();
        Self { child, url, client }
    }

    fn ask(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.ask(Method::POST, path).json(body).send().await.unwrap();
        answer.json().await.unwrap()
    }

    async fn ended(&self, run: &str) -> Value {
        loop {
            let path = format!("/api/v1/runs/{run}");
            let view: Value = self.ask(Method::GET, &path).send().await.unwrap().json().await.unwrap();
            if ["completed", "faulted", "cancelled"].contains(&view["status"].as_str().unwrap()) {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    async fn terminate(mut self) {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
        assert!(sent.success() && self.child.wait().await.unwrap().success());
    }
}

/// Whoever is called: it tells everything back, in all forms that it knows.
struct Echo {
    url: String,
    heard: Arc<Mutex<String>>,
    open: Arc<Mutex<bool>>,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (heard, open) = (Arc::new(Mutex::new(String::new())), Arc::new(Mutex::new(false)));
        let echo = Self {
            url,
            heard: Arc::clone(&heard),
            open: Arc::clone(&open),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Self::serve(stream, Arc::clone(&heard), Arc::clone(&open)));
            }
        });
        echo
    }

    async fn serve(mut stream: TcpStream, heard: Arc<Mutex<String>>, open: Arc<Mutex<bool>>) {
        let mut bytes = Vec::new();
        let request = loop {
            let mut chunk = [0; 4096];
            match stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return,
                Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head
                .to_lowercase()
                .split_once("content-length: ")
                .map_or(0, |(_, rest)| {
                    rest.split("\r\n").next().unwrap().parse::<usize>().unwrap()
                });
            if body.len() >= length {
                break text;
            }
        };
        let before = heard.lock().unwrap().clone();
        heard.lock().unwrap().push_str(&request);
        if request.contains(" /hang") && !*open.lock().unwrap() {
            tokio::time::sleep(PATIENCE).await;
        }
        let told = if request.contains(" /remembered") {
            before
        } else {
            request.clone()
        };
        let status = if request.contains(" /refuse") {
            "418 Teapot"
        } else {
            "200 OK"
        };
        let answer = json!({
            "plain": told,
            "base64": [STANDARD.encode(&told), STANDARD.encode(format!("a{told}")), STANDARD.encode(format!("ab{told}"))],
            "urlencoded": urlencoded(&told),
            "json": json!({ "inside": told }).to_string(),
        })
        .to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-told: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            urlencoded(&told[..told.len().min(2_000)]),
            answer.len()
        );
        let _ = stream.write_all(format!("{head}{answer}").as_bytes()).await;
        let _ = stream.shutdown().await;
    }

    async fn wait_for(&self, path: &str) {
        eventually(path, || {
            self.heard.lock().unwrap().contains(&format!(" {path}")).then_some(())
        })
        .await;
    }

    fn answer_everything(&self) {
        *self.open.lock().unwrap() = true;
    }

    /// Secrets that never left would never be found either.
    fn saw_everything(&self) {
        let heard = self.heard.lock().unwrap();
        let basic = STANDARD.encode(format!("someone:{}", CANARIES[1]));
        let json = |text: &str| serde_json::to_string(text).unwrap();
        for left in [
            format!("GET /address/{}?k={} ", CANARIES[3], CANARIES[4]),
            format!("x-key: Key {}\r\n", CANARIES[4]),
            format!("\"token\":{}", json(CANARIES[0])),
            format!("\"password\":{}", json(CANARIES[1])),
            format!("\"text\":{}", json(&format!("a{}b", CANARIES[2]))),
            format!("authorization: Basic {basic}\r\n"),
            format!("authorization: Bearer {}\r\n", CANARIES[4]),
            format!("x-mine: Basic {basic}\r\n"),
            format!("GET /bearer?mine={} ", CANARIES[4]),
            // Signed, so the secret was opened.
            "webhook-signature: v1,".to_owned(),
        ] {
            assert!(heard.contains(&left), "{left} was not sent:\n{heard}");
        }
        assert!(
            !heard.contains('\u{FDD0}') && !heard.contains("%EF%B7%90"),
            "a placeholder was sent:\n{heard}"
        );
    }
}

async fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = std::time::Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Every file below a directory.
fn left_behind(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                files.push((path, bytes));
            }
        }
    }
    files
}

fn hunt(whence: &str, bytes: &[u8]) {
    if let Some(form) = found_in(bytes) {
        let at = find(bytes, form.as_bytes()).unwrap();
        let around = String::from_utf8_lossy(&bytes[at.saturating_sub(300)..bytes.len().min(at + 100)]);
        panic!("{whence} holds {form:?}: …{around}…");
    }
}

/// The form of a canary that some bytes hold.
fn found_in(bytes: &[u8]) -> Option<String> {
    let forms = CANARIES.iter().flat_map(|canary| forms(canary));
    forms.into_iter().find(|form| find(bytes, form.as_bytes()).is_some())
}

fn find(bytes: &[u8], form: &[u8]) -> Option<usize> {
    let first = *form.first()?;
    let mut at = 0;
    while let Some(next) = bytes[at..].iter().position(|byte| *byte == first) {
        if bytes[at + next..].starts_with(form) {
            return Some(at + next);
        }
        at += next + 1;
    }
    None
}

/// The forms in which a canary would be found: as it is, in base64 at every alignment, in URLs, in JSON once and twice.
fn forms(canary: &str) -> Vec<String> {
    let json = |text: &str| serde_json::to_string(text).unwrap().trim_matches('"').to_owned();
    let mut forms = vec![
        canary.to_owned(),
        json(canary),
        json(&json(canary)),
        urlencoded(canary),
        lower_escapes(&urlencoded(canary)),
        urlencoded(canary).replace("%20", "+"),
    ];
    for before in 0..3 {
        let padded = format!("{}{canary}", &"   "[..before]);
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let mut encoded = engine.encode(&padded);
            encoded.truncate(padded.len() * 8 / 6);
            forms.push(encoded.split_off((before * 8).div_ceil(6)));
        }
    }
    forms
}

fn urlencoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

fn lower_escapes(text: &str) -> String {
    let mut pieces = text.split('%');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| {
        let (escape, rest) = piece.split_at(2.min(piece.len()));
        format!("{text}%{}{rest}", escape.to_lowercase())
    })
}
