//! What a workflow keeps elsewhere: fetched when it is deployed, and never again.

use std::path::{Path, PathBuf};

use potok_testing::{Reply, Request, Server, nobody};
use serde_json::{Value, json};

use crate::rig::Rig;

/// A server with an API, its document, and a schema.
async fn pets() -> Server {
    Server::start(|request: &Request| match request.target.as_str() {
        "/openapi.json" => Reply::Json(
            200,
            json!({
                "openapi": "3.0.0",
                "paths": { "/pets": { "get": { "operationId": "findPetsByStatus", "parameters": [{ "name": "status", "in": "query" }] } } },
            }),
        ),
        "/schema.yaml" => Reply::Full(200, vec![("Content-Type", "application/yaml".into())], b"required: [id]".to_vec()),
        "/old.json" => Reply::Json(200, json!({ "swagger": "2.0" })),
        "/secured.json" if request.header("authorization") != Some("Basic YTpi") => Reply::Json(401, json!(null)),
        "/secured.json" => Reply::Json(200, json!({ "required": ["id"] })),
        other => Reply::Json(200, json!({ "asked": other })),
    })
    .await
}

fn workflow(body: &str) -> String {
    format!("document: {{ dsl: '1.0.3', namespace: test, name: elsewhere, version: '1.0.0' }}\n{body}")
}

fn find(document: &str, operation: &str, parameters: &str) -> String {
    workflow(&format!(
        "do:\n  - find:\n      call: openapi\n      with:\n        document: {{ endpoint: '{document}' }}\n        operationId: {operation}\n        parameters: {parameters}\n"
    ))
}

async fn run(rig: &Rig, input: Value) -> Value {
    let started = rig.post("/workflows/test/elsewhere/runs?wait=30s", &input).await;
    started.json
}

#[tokio::test]
async fn an_operation_is_locked_when_it_is_deployed() {
    let rig = Rig::empty().await;
    let server = pets().await;
    let text = find(
        &format!("{}/openapi.json", server.url()),
        "findPetsByStatus",
        "{ status: '${ .status }' }",
    );
    let first = rig.deploy(&text).await.ok(201);
    let view = run(&rig, json!({ "status": "a b" })).await;
    assert_eq!(view["output"], json!({ "asked": "/pets?status=a%20b" }), "{view}");
    // Deployed again it is what it was, and nothing is fetched.
    let again = rig.deploy(&text).await.ok(200);
    assert_eq!(again["definition"], first["definition"]);
    let fetched = server
        .requests()
        .iter()
        .filter(|request| request.target == "/openapi.json")
        .count();
    assert_eq!(fetched, 1);
}

#[tokio::test]
async fn what_cannot_be_bound_is_said_with_its_place() {
    let rig = Rig::empty().await;
    let server = pets().await;
    let at = |path: &str| format!("{}{path}", server.url());
    for (text, line, said) in [
        (
            find(&at("/openapi.json"), "findPets", "{}"),
            7,
            "no operation 'findPets'; it has 'findPetsByStatus'",
        ),
        (
            find(&at("/openapi.json"), "findPetsByStatus", "{ statsu: x }"),
            8,
            "no parameter 'statsu'; it has 'status'",
        ),
        (
            find(&at("/old.json"), "findPetsByStatus", "{}"),
            7,
            "not supported yet: OpenAPI 2.0 documents",
        ),
        (find(&nobody(), "x", "{}"), 6, "cannot be fetched"),
        (
            find("http://169.254.169.254/openapi.json", "x", "{}"),
            6,
            "the egress policy does not allow",
        ),
        (find("openapi.json", "x", "{}"), 6, "is a file"),
        (
            find("ftp://example.com/openapi.json", "x", "{}"),
            6,
            "neither http nor https",
        ),
        (
            find("https://example.com/{version}.json", "x", "{}"),
            6,
            "not supported yet: an OpenAPI document at a place that only a run knows",
        ),
    ] {
        let answer = rig.deploy(&text).await;
        let detail = answer.problem(422);
        assert!(
            detail.contains(said) && detail.contains(&format!("workflow:{line}:")),
            "{detail}"
        );
    }
}

#[tokio::test]
async fn schemas_that_are_kept_elsewhere_are_held_to() {
    let rig = Rig::empty().await;
    let server = pets().await;
    let text = workflow(&format!(
        "input: {{ schema: {{ resource: {{ endpoint: {}/schema.yaml }} }} }}
do:
  - task:
      output: {{ schema: {{ resource: {{ endpoint: {{ uri: {}/secured.json, authentication: {{ basic: {{ username: a, password: b }} }} }} }} }} }}
      set: {{ id: 1 }}
",
        server.url(),
        server.url()
    ));
    rig.deploy(&text).await.ok(201);
    assert_eq!(run(&rig, json!({ "id": 1 })).await["output"], json!({ "id": 1 }));
    let view = run(&rig, json!({})).await;
    assert!(view.to_string().contains("required"), "{view}");
}

#[tokio::test]
async fn files_are_read_in_the_directory_of_a_draft_and_nowhere_else() {
    let rig = Rig::empty().await;
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret.json"), r#"{"required": ["id"]}"#).unwrap();
    let inside = outside.path().join("here");
    std::fs::create_dir_all(inside.join("sub dir")).unwrap();
    std::fs::write(inside.join("sub dir/pet.yaml"), "required: [id]").unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret.json"), inside.join("link.json")).unwrap();
    let deploy = async |uri: &str| {
        let text = workflow(&format!(
            "input: {{ schema: {{ resource: {{ endpoint: '{uri}' }} }} }}\ndo: [{{ t: {{ set: {{ a: 1 }} }} }}]"
        ));
        let deployed = rig.node.deploy_draft(&inside, "w.yaml", &text).await;
        deployed
            .map(|deployment| deployment.id.to_string())
            .map_err(|error| error.to_string())
    };
    let whole = Path::new(&inside).canonicalize().unwrap().join("sub%20dir/pet.yaml");
    for uri in [
        "sub%20dir/pet.yaml",
        "./sub%20dir/pet.yaml",
        &format!("file://{}", whole.display()),
    ] {
        assert_eq!(deploy(uri).await.unwrap(), "test/elsewhere:1.0.0", "{uri}");
    }
    let secret = format!("file://{}", outside.path().join("secret.json").display());
    for (uri, said) in [
        ("../secret.json", "outside of the workflow's directory"),
        (
            "sub%20dir/%2e%2e/%2e%2e/secret.json",
            "outside of the workflow's directory",
        ),
        ("link.json", "outside of the workflow's directory"),
        (secret.as_str(), "outside of the workflow's directory"),
        ("file:///etc/passwd", "outside of the workflow's directory"),
        ("sub%20dir", "is no file"),
        ("none.json", "cannot be read"),
        ("pet.yaml?x=1", "has no query"),
    ] {
        let error = deploy(uri).await.unwrap_err();
        assert!(error.contains(said), "{uri}: {error}");
    }
}

/// The crate's folder, as it is now: a build in a shared cache may be of another checkout.
fn here() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// The specification's examples that call over HTTP, with its documents at a server of ours.
#[tokio::test]
async fn the_examples_of_the_specification_can_be_deployed() {
    let rig = Rig::empty().await;
    let server = pets().await;
    let examples = here().join("../engine/dsl/tests/examples");
    let mut deployed = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let ours = ["call-http", "call-openapi", "authentication", "star-wars"]
            .iter()
            .any(|kind| name.starts_with(kind));
        // Secrets come from elsewhere.
        if !ours || name.contains("secret") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace(
            "https://petstore.swagger.io/v2/swagger.json",
            &format!("{}/openapi.json", server.url()),
        );
        rig.node
            .check(&name, &text)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        deployed += 1;
    }
    assert_eq!(deployed, 13);
}
