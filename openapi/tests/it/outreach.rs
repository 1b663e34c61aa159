//! Inviting as existing clients ask for it, with MTProto between the provider and the sandbox.

use potok_sandbox::{
    Fault, FaultKind, Sandbox, SandboxConfig, Target,
    world::{Account, Audience, User, WorldSeed},
};
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use crate::{
    rig::{Answer, answer},
    telegram::{Desk, refused},
};

const OLGA: &str = "+70000000011";
const GROUP: &str = "@potok_group";

/// A desk whose Telegram has six more people, 21 to 26; the last does not want to be added.
pub(super) async fn desk() -> Desk {
    let mut world = WorldSeed::default();
    for id in 21..=26 {
        world.people.push(User {
            id,
            is_bot: false,
            first_name: format!("Person {id}"),
            username: Some(format!("person_{id}")),
        });
        let account = json!({ "user": id, "phone": format!("799900000{id}") });
        let mut account: Account = serde_json::from_value(account).unwrap();
        if id == 26 {
            account.privacy.invites = Audience::Nobody;
        }
        world.accounts.push(account);
    }
    let settings = SandboxConfig {
        world,
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(settings).await.unwrap();
    let url = sandbox.bot_api_url();
    Desk::at(sandbox, &url).await
}

fn phone(id: i64) -> String {
    format!("+799900000{id}")
}

fn invitation(id: i64) -> Value {
    json!({ "channel": GROUP, "basis": "asked for it", "phone": phone(id) })
}

impl Desk {
    async fn upload(&self, file: impl Into<Vec<u8>>, fields: &[(&'static str, &str)]) -> Answer {
        let file = Part::bytes(file.into()).file_name("people.csv");
        let form = fields
            .iter()
            .fold(Form::new().part("file", file), |form, (name, value)| {
                form.text(*name, (*value).to_owned())
            });
        let url = format!("{}/api/bulk_invite", self.rig.server.url());
        answer(self.rig.client.request(Method::POST, url).multipart(form)).await
    }

    fn is_member(&self, id: i64) -> bool {
        self.sandbox.members(GROUP).contains(&id)
    }
}

#[tokio::test]
async fn one_person_is_invited_once() {
    let desk = desk().await;
    desk.signed_in(OLGA).await;
    let (status, result) = desk.task("/api/invite", &invitation(21)).await;
    assert_eq!(
        (status.as_str(), &result["state"]),
        ("SUCCESS", &json!("done")),
        "{result}"
    );
    assert_eq!(result["counts"]["invited"], 1);
    assert!(desk.is_member(21));
    // Again it is skipped, and Telegram is not asked.
    let asked = desk.sandbox.mtproto_calls("channels.inviteToChannel");
    let (_, result) = desk.task("/api/invite", &invitation(21)).await;
    assert_eq!(result["counts"]["skipped"], 1, "{result}");
    assert_eq!(desk.sandbox.mtproto_calls("channels.inviteToChannel"), asked);

    let nobody = json!({ "channel": GROUP, "basis": "b" });
    refused(&desk.post("/api/invite", &nobody).await, 422);
    let without_basis = json!({ "channel": GROUP, "phone": phone(22) });
    refused(&desk.post("/api/invite", &without_basis).await, 400);
}

#[tokio::test]
async fn a_file_is_invited_and_every_line_is_accounted_for() {
    let desk = desk().await;
    let olga = desk.signed_in(OLGA).await;
    let out = desk
        .post("/api/opt_out", &json!({ "person": phone(23), "reason": "said stop" }))
        .await
        .ok(200);
    assert_eq!(
        (&out["data"]["person"], &out["data"]["opt_out_reason"]),
        (&json!(phone(23)), &json!("said stop"))
    );
    let list = format!(
        "Имя;Телефон\nAnna;{}\nBoris;{}\nAnna again;{}\nnobody;12\nGleb;{}\n",
        phone(22),
        phone(23),
        phone(22),
        phone(26)
    );
    let fields = [
        ("channel", GROUP),
        ("basis", "asked for it on our site"),
        ("pause_seconds", "0"),
        ("mode", "invite_and_message"),
        ("message", "Hello, {{name}}!"),
        ("link_message", "{{name}}: {{link}}"),
    ];
    let started = desk.upload(list.clone(), &fields).await.ok(200);
    let (status, result) = desk.end_of(&started).await;
    assert_eq!(status, "SUCCESS", "{result}");
    assert_eq!(
        result["counts"],
        json!({ "queued": 0, "invited": 1, "link_sent": 1, "failed": 1, "skipped": 2, "unknown": 0 })
    );
    let task = started["task_id"].as_str().unwrap();
    let log = desk.get(&format!("/api/invite_log?task_id={task}")).await.ok(200);
    assert_eq!(log["total"], 5);
    let row = |line: usize| &log["data"][line];
    let shown: Vec<_> = (0..5).map(|line| row(line)["status"].as_str().unwrap()).collect();
    assert_eq!(shown, ["invited", "skipped", "skipped", "failed", "link_sent"], "{log}");
    assert!(row(1)["reason"].as_str().unwrap().contains("opted out"), "{log}");
    assert!(row(2)["reason"].as_str().unwrap().contains("line 2"), "{log}");
    assert_eq!(
        (
            &row(0)["account_id"],
            &row(0)["task_id"],
            &row(0)["line"],
            &row(0)["channel"]
        ),
        (&json!(olga), &json!(task), &json!(2), &json!(GROUP))
    );
    assert!(desk.is_member(22) && !desk.is_member(23) && !desk.is_member(26));
    assert_eq!(desk.sandbox.private_messages(22)[0].text, "Hello, Anna!");
    assert!(desk.sandbox.private_messages(23).is_empty());
    assert!(
        desk.sandbox.private_messages(26)[0]
            .text
            .starts_with("Gleb: https://t.me/+")
    );

    let page = desk
        .get("/api/invite_log?status=skipped&limit=1&offset=1")
        .await
        .ok(200);
    assert_eq!((&page["total"], &page["data"][0]["line"]), (&json!(2), &json!(4)));
    let future = desk.get("/api/invite_log?date_from=2100-01-01T00:00:00Z").await.ok(200);
    assert_eq!(future["total"], 0);
    refused(&desk.get("/api/invite_log?date_from=yesterday").await, 400);
    refused(&desk.get("/api/invite_log?status=odd").await, 400);

    // What no list can be made of is told at once, or by the task.
    refused(&desk.upload(b"\xff\xfe".to_vec(), &fields).await, 422);
    refused(&desk.upload(list.clone(), &fields[1..]).await, 400);
    refused(
        &desk
            .upload(list, &[("channel", GROUP), ("basis", "b"), ("pause_seconds", "-1")])
            .await,
        400,
    );
    let empty = desk.upload("phone\n", &fields).await.ok(200);
    let (status, why) = desk.end_of(&empty).await;
    assert_eq!(status, "FAILURE");
    assert!(why["message"].as_str().unwrap().contains("nobody is named"), "{why}");
}

#[tokio::test]
async fn a_report_stops_the_task_and_people_let_it_go_on() {
    let desk = desk().await;
    let olga = desk.signed_in(OLGA).await;
    assert!(desk.sandbox.inject(Fault {
        target: Target::Mtproto,
        method: Some("channels.inviteToChannel".to_owned()),
        after: 0,
        times: 1,
        kind: FaultKind::Rpc {
            code: 400,
            message: "PEER_FLOOD".to_owned()
        },
    }));
    let (status, result) = desk.task("/api/invite", &invitation(24)).await;
    assert_eq!((status.as_str(), &result["state"]), ("SUCCESS", &json!("paused")));
    assert!(
        result["reason"].as_str().unwrap().contains("reported for spam"),
        "{result}"
    );
    assert!(!desk.is_member(24));
    let path = format!("/accounts/{olga}");
    assert_eq!(desk.get(&path).await.ok(200)["data"]["status"], "disabled");

    desk.ask(Method::PATCH, &path, Some(&json!({ "status": "active" })))
        .await
        .ok(200);
    let campaign = &result["campaign"];
    let (_, result) = desk
        .task(&format!("/api/campaigns/{campaign}/resume"), &Value::Null)
        .await;
    assert_eq!(
        (&result["state"], desk.is_member(24)),
        (&json!("done"), true),
        "{result}"
    );
    let paused = desk
        .post(&format!("/api/campaigns/{campaign}/pause"), &Value::Null)
        .await
        .ok(200);
    assert_eq!(paused["data"]["state"], "done", "what is done stays so");
    refused(&desk.post("/api/campaigns/99/pause", &Value::Null).await, 404);
    refused(&desk.post("/api/campaigns/99/resume", &Value::Null).await, 404);
}

#[tokio::test]
async fn numbers_come_in_from_other_systems() {
    let desk = desk().await;
    desk.signed_in(OLGA).await;
    let kept = desk
        .get("/webhook?phone=%2B7%20999%20000-00-25&basis=form&name=Dina")
        .await
        .ok(200);
    assert_eq!(kept["data"], json!({ "kept": true, "task_id": null }));
    assert!(!desk.is_member(25), "nobody is contacted");
    refused(&desk.get("/webhook?phone=hello&basis=form").await, 422);
    refused(&desk.get("/webhook?phone=%2B79990000025").await, 400);
    let body = json!({ "phone": phone(25), "basis": "form", "channel": GROUP });
    let begun = desk.post("/webhook", &body).await.ok(200)["data"].clone();
    let (status, result) = desk.end_of(&begun).await;
    assert_eq!((status.as_str(), &result["counts"]["invited"]), ("SUCCESS", &json!(1)));
    assert!(desk.is_member(25));
    let only_kept = json!({ "phone": phone(24), "basis": "form" });
    assert_eq!(
        desk.post("/webhook", &only_kept).await.ok(200)["data"]["task_id"],
        Value::Null
    );
}

#[tokio::test]
async fn a_community_is_moved_into_another_channel() {
    let desk = desk().await;
    let olga = desk.signed_in(OLGA).await;
    for text in [
        include_str!("../../../workflows/telegram/parse-members.yaml"),
        include_str!("../../../workflows/telegram/bulk-invite.yaml"),
        include_str!("../../../workflows/telegram/parse-and-invite.yaml"),
    ] {
        desk.rig.deploy(text).await.ok(201);
    }
    let into = |id: i64| {
        desk.sandbox
            .set_member(GROUP, id, potok_sandbox::world::Membership::Member)
    };
    assert!(into(21).await && into(22).await);
    let input = json!({
        "account": olga, "from": GROUP, "to": "@potok_readonly", "basis": "members of our group", "pause_seconds": 0,
    });
    let run = desk
        .rig
        .post("/workflows/telegram/parse-and-invite/runs?wait=1m", &input)
        .await
        .ok(200);
    let output = &run["output"];
    // Pavel and Vera are in the channel already.
    assert_eq!(
        (
            &output["state"],
            &output["counts"]["invited"],
            &output["counts"]["skipped"]
        ),
        (&json!("done"), &json!(2), &json!(2)),
        "{run}"
    );
    assert!(desk.sandbox.members("@potok_readonly").contains(&21));
}
