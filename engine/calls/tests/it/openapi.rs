//! `call: openapi`: documents, operations, and the requests that parameters make.

use potok_calls::openapi::{Documents, Manner, OpenApiError, Operation};
use potok_calls::{HttpRequest, Url, parse_document};
use potok_dsl::ErrorType;
use potok_dsl::model::HttpOutput;
use potok_testing::{Reply, Request, Server, nobody};
use serde_json::{Map, Value, json};

use super::{call, caller, full};

const PETS: &str = r"
openapi: 3.0.3
info: { title: Pets, version: '1' }
servers:
  - url: 'https://{region}.example.com/{base}/'
    variables: { region: { default: eu }, base: { default: v1 } }
security: [{ key: [] }, { person: [read] }]
paths:
  /pets/{petId}:
    parameters:
      - $ref: '#/components/parameters/petId'
      - { name: verbose, in: query, schema: { type: boolean } }
    get:
      operationId: getPet
      parameters:
        - { name: verbose, in: query, required: true }
        - { name: X-Trace, in: header }
        - { name: Accept, in: header }
        - { name: session, in: cookie }
        - { name: filter, in: query, style: deepObject, explode: true }
        - { name: raw, in: query, allowReserved: true }
        - { name: where, in: query, content: { application/json: {} } }
      responses:
        200: { content: { text/plain: {}, application/json: {} } }
        404: { content: { application/problem+json: {} } }
  /pets:
    get:
      operationId: findPets
      parameters: [{ name: status, in: query, schema: { type: array } }, { name: tags, in: query, explode: false }]
      servers: [{ url: /elsewhere }]
    post:
      operationId: addPet
      security: []
      requestBody:
        required: true
        content:
          application/xml: {}
          application/json: { schema: { $ref: '#/components/schemas/Pet' } }
    put:
      operationId: putForm
      requestBody: { content: { multipart/form-data: {}, application/x-www-form-urlencoded: {} } }
    patch:
      operationId: upload
      requestBody: { content: { multipart/mixed: {} } }
    delete:
      operationId: circle
      parameters: [{ $ref: '#/components/parameters/a' }]
    head:
      operationId: away
      parameters: [{ $ref: 'other.yaml#/x' }]
components:
  parameters:
    petId: { name: petId, in: path, required: true }
    a: { $ref: '#/components/parameters/b' }
    b: { $ref: '#/components/parameters/a' }
  schemas:
    Pet: { type: object, properties: { name: {}, tag: {} } }
  securitySchemes:
    key: { type: apiKey, name: X-Key, in: header }
    person: { type: oauth2 }
";

fn document() -> Value {
    parse_document("pets.yaml", PETS).unwrap()
}

/// The place of a document that is a file.
fn file() -> Url {
    Url::parse("file:///home/me/pets.yaml").unwrap()
}

fn find(id: &str) -> Operation {
    let at = Url::parse("https://docs.example.com/api/pets.yaml").unwrap();
    Operation::find(&Documents::new(document(), at), id).unwrap()
}

fn request(id: &str, parameters: Value) -> Result<HttpRequest, potok_dsl::Problem> {
    let Value::Object(parameters) = parameters else {
        panic!()
    };
    let manner = Manner {
        output: HttpOutput::Content,
        redirect: false,
        authentication: None,
    };
    find(id).request(&parameters, manner)
}

#[test]
fn parameters_go_where_the_document_says() {
    let parameters = json!({
        "petId": "a/1", "verbose": true, "X-Trace": "t", "session": "s 1", "filter": { "a": 1, "b": "x" }, "raw": "a/b&c",
        "where": { "n": [1] }, "X-Key": "hush",
    });
    let made = request("getPet", parameters).unwrap();
    assert_eq!(
        made.uri,
        "https://eu.example.com/v1/pets/a%2F1?verbose=true&filter%5Ba%5D=1&filter%5Bb%5D=x&raw=a/b%26c&where=%7B%22n%22%3A%5B1%5D%7D"
    );
    let headers =
        json!({ "X-Trace": "t", "X-Key": "hush", "cookie": "session=s%201", "accept": "application/json, text/plain" });
    assert_eq!(json!(made.headers), headers);
    assert_eq!((made.method.as_str(), made.body), ("get", None));
    // A server's address may be relative to the document.
    let made = request("findPets", json!({ "status": ["a", "b"], "tags": ["x", "y"] })).unwrap();
    assert_eq!(
        made.uri,
        "https://docs.example.com/elsewhere/pets?status=a&status=b&tags=x,y"
    );
    let made = request("findPets", json!({ "status": [], "tags": null })).unwrap();
    assert_eq!(made.uri, "https://docs.example.com/elsewhere/pets");
}

#[test]
fn the_body_is_given_whole_or_by_its_members() {
    for parameters in [json!({ "body": { "name": "Rex" } }), json!({ "name": "Rex" })] {
        let made = request("addPet", parameters).unwrap();
        assert_eq!(made.body, Some(json!({ "name": "Rex" })));
        assert_eq!(made.headers["content-type"], "application/json");
    }
    let made = request("putForm", json!({ "any": 1 })).unwrap();
    assert_eq!(made.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(request("putForm", json!({})).unwrap().body, None);
    assert!(request("addPet", json!({})).unwrap_err().is(ErrorType::Validation));
}

#[test]
fn what_is_wrong_with_parameters_is_said_before_the_call() {
    let check = |id: &str, names: &[&str]| find(id).check(names.iter().copied());
    assert_eq!(check("getPet", &["petId", "verbose", "X-Key"]), Ok(()));
    assert_eq!(check("addPet", &["name", "tag"]), Ok(()));
    assert_eq!(check("addPet", &["body"]), Ok(()));
    assert_eq!(check("putForm", &["whatever"]), Ok(()));
    for (id, names, said) in [
        ("getPet", vec!["verbose"], "needs the parameter 'petId' (in the path)"),
        ("getPet", vec!["petId"], "needs the parameter 'verbose' (in the query)"),
        (
            "getPet",
            vec!["petId", "verbose", "body"],
            "no parameter 'body'; it has 'verbose', ",
        ),
        (
            "findPets",
            vec!["statsu"],
            "no parameter 'statsu'; it has 'status', 'tags', 'X-Key'",
        ),
        ("addPet", vec![], "needs a body"),
        ("addPet", vec!["nam"], "no parameter 'nam'; it has 'name', 'tag'"),
        ("addPet", vec!["body", "name"], "and members of it besides"),
    ] {
        let message = check(id, &names).unwrap_err();
        assert!(message.contains(said), "{message}");
    }
    let problem = request("getPet", json!({ "petId": null, "verbose": true })).unwrap_err();
    assert!(problem.is(ErrorType::Validation) && problem.detail.unwrap().contains("'petId'"));
    let problem = request("getPet", json!({ "petId": [[1]], "verbose": true })).unwrap_err();
    assert!(problem.detail.unwrap().contains("lists or objects inside others"));
    let problem = request("getPet", json!({ "petId": 1, "verbose": true, "filter": 1 })).unwrap_err();
    assert!(problem.detail.unwrap().contains("deep object"));
}

#[test]
fn documents_that_cannot_be_called_by_say_why() {
    let find = |document: &Value, id: &str| {
        Operation::find(&Documents::new(document.clone(), file()), id)
            .unwrap_err()
            .to_string()
    };
    let mut with = document();
    let missing = find(&with, "getPets");
    assert!(
        missing.starts_with("the document has no operation 'getPets'; it has 'getPet', 'findPets'"),
        "{missing}"
    );
    assert!(find(&with, "upload").contains("not supported yet: bodies of several parts"));
    assert!(find(&with, "circle").contains("round in a circle"));
    assert_eq!(find(&with, "away"), "file:///home/me/other.yaml is needed too");
    assert!(find(&with, "findPets").contains("relative to a document that has no address"));
    with["paths"]["/pets"]["get"]["operationId"] = json!("getPet");
    assert!(find(&with, "getPet").contains("several operations"));
    for (document, said) in [
        (json!({ "swagger": "2.0" }), "not supported yet: OpenAPI 2.0 documents"),
        (
            json!({ "openapi": "4.0.0" }),
            "not supported yet: OpenAPI 4.0.0 documents",
        ),
        (json!({ "openapi": 3 }), "no OpenAPI document"),
        (json!([]), "no OpenAPI document"),
        (json!("text"), "no OpenAPI document"),
        (json!({ "openapi": "3.1.0" }), "no operation 'x', nor any other"),
        (
            json!({ "openapi": "3.1.0", "paths": { "/": { "$ref": "#/none" } } }),
            "leads nowhere",
        ),
    ] {
        let message = find(&document, "x");
        assert!(message.contains(said), "{message}");
    }
    let server = |server: Value| {
        let document =
            json!({ "openapi": "3.1.0", "servers": [server], "paths": { "/": { "get": { "operationId": "x" } } } });
        Operation::find(&Documents::new(document.clone(), file()), "x")
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    assert!(server(json!({ "url": "ftp://x" })).contains("no http or https URI"));
    assert!(server(json!({ "url": "https://{a}", "variables": { "a": {} } })).contains("has no default"));
}

#[test]
fn an_operation_is_what_it_was_once_it_was_kept() {
    for id in ["getPet", "findPets", "addPet", "putForm"] {
        let operation = find(id);
        let kept = serde_json::to_value(&operation).unwrap();
        assert_eq!(serde_json::from_value::<Operation>(kept).unwrap(), operation);
    }
}

#[tokio::test]
async fn an_operation_is_called() {
    let server = Server::start(|request: &Request| Reply::Json(200, json!({ "asked": request.target }))).await;
    let document = json!({
        "openapi": "3.1.0", "servers": [{ "url": server.url() }],
        "paths": { "/pets/{id}": { "get": { "operationId": "get", "parameters": [{ "name": "id", "in": "path" }] } } },
    });
    let operation = Operation::find(&Documents::new(document.clone(), file()), "get").unwrap();
    let manner = Manner {
        output: HttpOutput::Content,
        redirect: false,
        authentication: None,
    };
    let parameters: Map<String, Value> = [("id".to_owned(), json!("a b"))].into_iter().collect();
    let output = call(&operation.request(&parameters, manner).unwrap()).await.unwrap();
    assert_eq!(output, json!({ "asked": "/pets/a%20b" }));
}

#[tokio::test]
async fn documents_are_fetched() {
    let server = Server::start(|request: &Request| match request.target.as_str() {
        "/old" => Reply::Full(301, vec![("Location", "/new".into())], vec![]),
        "/new" => Reply::Json(200, json!({ "by": request.header("authorization") })),
        "/large" => Reply::Endless(vec![b' '; 1 << 20]),
        "/bytes" => full(200, "application/json", vec![0xff, 0xfe]),
        _ => full(404, "text/plain", ""),
    })
    .await;
    let at = |path: &str| format!("{}{path}", server.url());
    let allowed = caller("127.0.0.1");
    let policy = json!({ "bearer": { "token": "t" } });
    let found = allowed.fetch(&at("/old"), Some(&policy)).await.unwrap();
    assert_eq!(
        (found.url.as_str(), found.text.as_str()),
        (at("/new").as_str(), r#"{"by":"Bearer t"}"#)
    );
    for (path, said) in [
        ("/large", "more than"),
        ("/bytes", "no text in UTF-8"),
        ("/none", "status 404"),
    ] {
        let problem = allowed.fetch(&at(path), None).await.unwrap_err();
        assert!(problem.detail.as_deref().unwrap().contains(said), "{problem}");
    }
    assert_eq!(allowed.fetch(&nobody(), None).await.unwrap_err().status, 503);
    assert!(
        caller("")
            .fetch(&at("/new"), None)
            .await
            .unwrap_err()
            .is(ErrorType::Authorization)
    );
}

#[test]
fn documents_are_json_or_yaml() {
    assert_eq!(parse_document("x", "\u{feff}{\"a\": 1}").unwrap(), json!({ "a": 1 }));
    assert_eq!(
        parse_document("x", "a: [1, {200: b}]").unwrap(),
        json!({ "a": [1, { "200": "b" }] })
    );
    assert_eq!(parse_document("x", "{ a: 1 }").unwrap(), json!({ "a": 1 }));
    let said = parse_document("x.yaml", "a: [").unwrap_err().to_string();
    assert!(said.contains("x.yaml is neither JSON nor YAML"), "{said}");
    let deep = "[".repeat(100_000);
    assert!(parse_document("x", &deep).is_err());
}

#[test]
fn a_document_goes_on_in_others() {
    let at = Url::parse("https://docs.example.com/api/pets.yaml").unwrap();
    let document = json!({
        "openapi": "3.1.0", "servers": [{ "url": "/v1" }],
        "paths": { "/pets": { "$ref": "paths/pets.yaml#/all" } },
        "components": { "parameters": { "page": { "name": "page", "in": "query" } } },
    });
    let mut documents = Documents::new(document, at);
    let place = Url::parse("https://docs.example.com/api/paths/pets.yaml").unwrap();
    assert_eq!(
        Operation::find(&documents, "list").unwrap_err(),
        OpenApiError::Elsewhere(place.clone())
    );
    let other = json!({
        "all": { "get": { "operationId": "list", "parameters": [
            { "$ref": "#/size" },
            { "$ref": "../pets.yaml#/components/parameters/page" },
        ] } },
        "size": { "name": "size", "in": "query" },
    });
    documents.add(place, other);
    let operation = Operation::find(&documents, "list").unwrap();
    operation.check(["size", "page"].into_iter()).unwrap();
    assert!(operation.check(["other"].into_iter()).is_err());
}

#[test]
fn a_form_of_several_parts_has_files() {
    let document = json!({
        "openapi": "3.0.3", "servers": [{ "url": "https://api.example.com" }],
        "paths": { "/photos": { "post": { "operationId": "upload", "requestBody": { "content": {
            "multipart/form-data": { "schema": { "properties": {
                "caption": { "type": "string" },
                "photo": { "type": "string", "format": "binary" },
            } } },
        } } } } },
    });
    let operation = Operation::find(&Documents::new(document, file()), "upload").unwrap();
    let parameters = json!({ "caption": "hello", "photo": "cGljdHVyZQ==" });
    let manner = Manner {
        output: HttpOutput::Content,
        redirect: false,
        authentication: None,
    };
    let request = operation.request(parameters.as_object().unwrap(), manner).unwrap();
    assert_eq!(request.headers["content-type"], "multipart/form-data");
    let photo = json!({ "base64": "cGljdHVyZQ==", "filename": "photo" });
    assert_eq!(request.body, Some(json!({ "caption": "hello", "photo": photo })));
}

#[test]
fn operations_of_other_methods() {
    let document = json!({
        "openapi": "3.2.0", "servers": [{ "url": "https://api.example.com" }],
        "paths": { "/pets": {
            "query": { "operationId": "search" },
            "additionalOperations": { "COPY": { "operationId": "copy" } },
        } },
    });
    let documents = Documents::new(document, file());
    assert!(Operation::find(&documents, "search").is_ok());
    assert!(Operation::find(&documents, "copy").is_ok());
}
