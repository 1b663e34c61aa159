//! The data centre as an unmodified client of MTProto sees it.

use std::net::{SocketAddr, SocketAddrV6};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use grammers_client::client::Client;
use grammers_client::sender::{ConnectionParams, NoRetries, SenderPool};
use grammers_client::{InvocationError, SignInError};
use grammers_session::storages::MemorySession;
use grammers_session::types::DcOption;
use grammers_session::updates::UpdatesLike;
use grammers_session::{Session, SessionData};
use grammers_tl_types::{enums as e, functions as f, types as t};
use potok_sandbox::world::{Audience, DEFAULT_CHANNEL, ELSEWHERE_CHANNEL, WorldSeed};
use potok_sandbox::{DATA_CENTRES, Fault, FaultKind, RunningSandbox, Sandbox, SandboxConfig, Target};
use serde_json::json;
use tokio::task::JoinHandle;

const OLGA: &str = "+70000000011";
const PAVEL: &str = "+7 000 000-00-12";

struct Device {
    client: Client,
    session: Arc<MemorySession>,
    updates: tokio::sync::mpsc::Receiver<UpdatesLike>,
    running: JoinHandle<()>,
}

/// A client with keys of its own.
async fn device(sandbox: &RunningSandbox) -> Device {
    let mut data = SessionData::default();
    data.dc_options.clear();
    for id in DATA_CENTRES {
        let option = option(id, sandbox.mtproto_address(), sandbox.new_auth_key().await.unwrap());
        data.dc_options.insert(id, option);
    }
    connect(Arc::new(MemorySession::from(data)))
}

fn option(id: i32, address: SocketAddr, key: [u8; 256]) -> DcOption {
    let SocketAddr::V4(v4) = address else {
        panic!("loopback is {address}")
    };
    DcOption {
        id,
        ipv4: v4,
        ipv6: SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0),
        auth_key: Some(key),
    }
}

fn connect(session: Arc<MemorySession>) -> Device {
    let params = ConnectionParams {
        device_model: "test".into(),
        system_version: "1".into(),
        app_version: "1".into(),
        system_lang_code: "en".into(),
        lang_code: "en".into(),
        proxy_url: None,
        use_ipv6: false,
        retry_policy: Box::new(NoRetries),
        updates_channel_capacity: NonZeroUsize::MIN,
        __non_exhaustive: (),
    };
    let pool = SenderPool::with_configuration(session.clone(), 1, params);
    let running = tokio::spawn(pool.runner.run());
    Device {
        client: Client::new(pool.handle),
        session,
        updates: pool.updates,
        running,
    }
}

/// A client that a person is signed in with who has no password.
async fn signed_in(sandbox: &RunningSandbox, phone: &str) -> Client {
    let device = device(sandbox).await;
    let token = device.client.request_login_code(phone, "hash").await.unwrap();
    device.client.sign_in(&token, "12345").await.unwrap();
    device.client
}

async fn sandbox(change: impl FnOnce(&mut WorldSeed)) -> RunningSandbox {
    let mut world = WorldSeed::default();
    change(&mut world);
    let config = SandboxConfig {
        world,
        ..SandboxConfig::default()
    };
    Sandbox::start(config).await.unwrap()
}

fn named<T: std::fmt::Debug>(result: Result<T, InvocationError>) -> String {
    match result {
        Err(InvocationError::Rpc(error)) => match error.value {
            Some(value) => format!("{} {} {value}", error.code, error.name),
            None => format!("{} {}", error.code, error.name),
        },
        other => panic!("{other:?}"),
    }
}

fn script(method: &str, kind: FaultKind) -> Fault {
    Fault {
        target: Target::Mtproto,
        method: Some(method.to_owned()),
        after: 0,
        times: 1,
        kind,
    }
}

fn rpc(code: u16, message: &str) -> FaultKind {
    FaultKind::Rpc {
        code,
        message: message.to_owned(),
    }
}

/// A channel by its name, as the client then refers to it.
async fn channel(client: &Client, name: &str) -> t::InputChannel {
    let request = f::contacts::ResolveUsername {
        username: name.trim_start_matches('@').to_owned(),
        referer: None,
    };
    let e::contacts::ResolvedPeer::Peer(found) = client.invoke(&request).await.unwrap();
    match &found.chats[0] {
        e::Chat::Channel(channel) => t::InputChannel {
            channel_id: channel.id,
            access_hash: channel.access_hash.unwrap(),
        },
        other => panic!("{other:?}"),
    }
}

fn peer(channel: &t::InputChannel) -> e::InputPeer {
    t::InputPeerChannel {
        channel_id: channel.channel_id,
        access_hash: channel.access_hash,
    }
    .into()
}

async fn person(client: &Client, name: &str) -> e::InputUser {
    let request = f::contacts::ResolveUsername {
        username: name.to_owned(),
        referer: None,
    };
    let e::contacts::ResolvedPeer::Peer(found) = client.invoke(&request).await.unwrap();
    input(&found.users[0])
}

fn input(user: &e::User) -> e::InputUser {
    let e::User::User(user) = user else { panic!("{user:?}") };
    t::InputUser {
        user_id: user.id,
        access_hash: user.access_hash.unwrap(),
    }
    .into()
}

fn message(channel: &t::InputChannel, text: &str, random_id: i64) -> f::messages::SendMessage {
    f::messages::SendMessage {
        no_webpage: false,
        silent: false,
        background: false,
        clear_draft: false,
        noforwards: false,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer: peer(channel),
        reply_to: None,
        message: text.to_owned(),
        random_id,
        reply_markup: None,
        entities: None,
        schedule_date: None,
        schedule_repeat_period: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
        suggested_post: None,
        rich_message: None,
    }
}

#[tokio::test]
async fn a_phone_its_code_and_its_password_sign_in() {
    let sandbox = sandbox(|_| {}).await;
    let Device { client, session, .. } = device(&sandbox).await;
    assert!(!client.is_authorized().await.unwrap());
    sandbox.inject(script("auth.sendCode", rpc(303, "PHONE_MIGRATE_4")));
    let token = client.request_login_code(PAVEL, "hash").await.unwrap();
    assert_eq!(session.home_dc_id().unwrap(), 4, "the client has moved");
    let wrong = client.sign_in(&token, "11111").await;
    assert!(matches!(wrong, Err(SignInError::InvalidCode)), "{wrong:?}");
    let Err(SignInError::PasswordRequired(password)) = client.sign_in(&token, "12345").await else {
        panic!("a password is needed")
    };
    assert_eq!(password.hint(), Some("what this is"));
    assert!(!client.is_authorized().await.unwrap(), "half signed in");
    let Err(SignInError::InvalidPassword(_)) = client.check_password(password, "horse").await else {
        panic!("another password")
    };
    let e::account::Password::Password(again) = client.invoke(&f::account::GetPassword {}).await.unwrap();
    let password = grammers_client::client::PasswordToken::new(again);
    let me = client.check_password(password, "sandbox").await.unwrap();
    assert_eq!((me.first_name(), me.phone()), (Some("Pavel"), Some("70000000012")));
    client.sign_out().await.unwrap();
    assert!(!client.is_authorized().await.unwrap());
}

#[tokio::test]
async fn codes_expire_and_numbers_are_refused() {
    let sandbox = sandbox(|world| {
        world.accounts[0].code_seconds = 0;
        world.accounts[2].banned = true;
    })
    .await;
    let Device { client, .. } = device(&sandbox).await;
    let token = client.request_login_code(OLGA, "hash").await.unwrap();
    let expired = f::auth::SignIn {
        phone_number: OLGA.to_owned(),
        phone_code_hash: "unknown".to_owned(),
        phone_code: Some("12345".to_owned()),
        email_verification: None,
    };
    assert!(client.sign_in(&token, "12345").await.is_err());
    assert_eq!(named(client.invoke(&expired).await), "400 PHONE_CODE_EXPIRED");
    for (phone, error) in [("+70000000013", "PHONE_NUMBER_BANNED"), ("7", "PHONE_NUMBER_INVALID")] {
        let refused = client.request_login_code(phone, "hash").await.map(|_| ());
        assert_eq!(named(refused), format!("400 {error}"));
    }
}

#[tokio::test]
async fn a_scanned_code_signs_in() {
    let sandbox = sandbox(|_| {}).await;
    let Device {
        client, mut updates, ..
    } = device(&sandbox).await;
    let export = f::auth::ExportLoginToken {
        api_id: 1,
        api_hash: "hash".to_owned(),
        except_ids: Vec::new(),
    };
    let e::auth::LoginToken::Token(token) = client.invoke(&export).await.unwrap() else {
        panic!("nobody has scanned it")
    };
    sandbox.scan(&token.token, OLGA).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(10), updates.recv())
        .await
        .unwrap();
    assert!(matches!(told, Some(UpdatesLike::Updates(_))), "{told:?}");
    let signed_in = client.invoke(&export).await.unwrap();
    assert!(matches!(signed_in, e::auth::LoginToken::Success(_)), "{signed_in:?}");
    let me = client.get_me().await.unwrap();
    assert_eq!(me.first_name(), Some("Olga"));
    assert!(sandbox.scan(&[0; 32], OLGA).await.is_err());
    let (first, second) = (device(&sandbox).await, device(&sandbox).await);
    let e::auth::LoginToken::Token(token) = first.client.invoke(&export).await.unwrap() else {
        panic!("nobody has scanned it")
    };
    sandbox.scan(&token.token, OLGA).await.unwrap();
    let import = f::auth::ImportLoginToken { token: token.token };
    let taken_over = second.client.invoke(&import).await.unwrap();
    assert!(matches!(taken_over, e::auth::LoginToken::Success(_)), "{taken_over:?}");
    let again = named(first.client.invoke(&import).await);
    assert_eq!(again, "400 AUTH_TOKEN_INVALID");
}

#[tokio::test]
async fn sessions_are_ended_from_elsewhere_and_by_two_connections() {
    let sandbox = sandbox(|_| {}).await;
    let client = signed_in(&sandbox, OLGA).await;
    assert_eq!(sandbox.revoke_sessions(OLGA).await.unwrap(), 1);
    assert_eq!(
        named(client.invoke(&f::updates::GetState {}).await),
        "401 SESSION_REVOKED"
    );

    let first = device(&sandbox).await;
    let token = first.client.request_login_code(OLGA, "hash").await.unwrap();
    first.client.sign_in(&token, "12345").await.unwrap();
    let second = connect(first.session.clone());
    let refused = second.client.invoke(&f::updates::GetState {}).await;
    assert_eq!(named(refused), "406 AUTH_KEY_DUPLICATED");
    assert!(
        !first.client.is_authorized().await.unwrap(),
        "the first one is signed out too"
    );

    let first = device(&sandbox).await;
    let token = first.client.request_login_code(OLGA, "hash").await.unwrap();
    first.client.sign_in(&token, "12345").await.unwrap();
    first.client.disconnect();
    first.running.await.unwrap();
    let second = connect(first.session);
    assert!(
        second.client.is_authorized().await.unwrap(),
        "one after the other is no harm"
    );
}

#[tokio::test]
async fn a_message_is_taken_once_and_bots_see_it() {
    let sandbox = sandbox(|_| {}).await;
    let client = signed_in(&sandbox, OLGA).await;
    let news = channel(&client, DEFAULT_CHANNEL).await;
    client.invoke(&message(&news, "Привет 😀", 77)).await.unwrap();
    let again = client.invoke(&message(&news, "Привет 😀", 77)).await;
    assert_eq!(named(again), "500 RANDOM_ID_DUPLICATE");
    let seen = sandbox.messages(DEFAULT_CHANNEL);
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].content.text, "Привет 😀");
    let (_, updates) = super::post(&sandbox, "getUpdates", json!({})).await;
    assert_eq!(updates["result"][0]["channel_post"]["text"], "Привет 😀");
    let (_, posted) = super::post(
        &sandbox,
        "sendMessage",
        json!({ "chat_id": DEFAULT_CHANNEL, "text": "from a bot" }),
    )
    .await;
    assert_eq!(posted["result"]["message_id"], 2);
    let url = format!("{}/channels/{DEFAULT_CHANNEL}/messages/2/views", sandbox.admin_url());
    super::client()
        .post(url)
        .json(&json!({ "views": 40 }))
        .send()
        .await
        .unwrap();
    let history = f::messages::GetHistory {
        peer: peer(&news),
        offset_id: 0,
        offset_date: 0,
        add_offset: 0,
        limit: 10,
        max_id: 0,
        min_id: 0,
        hash: 0,
    };
    let e::messages::Messages::ChannelMessages(page) = client.invoke(&history).await.unwrap() else {
        panic!("a channel")
    };
    let shown: Vec<_> = page.messages.iter().map(shown).collect();
    assert_eq!(shown, [("from a bot", Some(40)), ("Привет 😀", Some(1))]);
    let wanted = f::channels::GetMessages {
        channel: news.into(),
        id: vec![t::InputMessageId { id: 2 }.into(), t::InputMessageId { id: 9 }.into()],
    };
    let e::messages::Messages::ChannelMessages(page) = client.invoke(&wanted).await.unwrap() else {
        panic!("a channel")
    };
    assert_eq!(shown_views(&page.messages[0]), Some(40));
    assert!(matches!(page.messages[1], e::Message::Empty(_)));
}

fn shown(message: &e::Message) -> (&str, Option<i32>) {
    match message {
        e::Message::Message(message) => (&message.message, message.views),
        other => panic!("{other:?}"),
    }
}

fn shown_views(message: &e::Message) -> Option<i32> {
    shown(message).1
}

#[tokio::test]
async fn members_and_rights_are_seen_by_administrators() {
    let sandbox = sandbox(|_| {}).await;
    let olga = signed_in(&sandbox, OLGA).await;
    let vera = signed_in(&sandbox, "+70000000013").await;
    let list = |channel: t::InputChannel, filter: e::ChannelParticipantsFilter| f::channels::GetParticipants {
        channel: channel.into(),
        filter,
        offset: 0,
        limit: 100,
        hash: 0,
    };
    let everybody = || e::ChannelParticipantsFilter::ChannelParticipantsRecent;
    let news = channel(&olga, DEFAULT_CHANNEL).await;
    let e::channels::ChannelParticipants::Participants(all) =
        olga.invoke(&list(news.clone(), everybody())).await.unwrap()
    else {
        panic!("a list")
    };
    assert_eq!((all.count, all.users.len()), (4, 4));
    let admins = list(news.clone(), e::ChannelParticipantsFilter::ChannelParticipantsAdmins);
    let e::channels::ChannelParticipants::Participants(admins) = olga.invoke(&admins).await.unwrap() else {
        panic!("a list")
    };
    assert_eq!(admins.count, 2);
    let rights = admins.participants.iter().find_map(|participant| match participant {
        e::ChannelParticipant::Admin(admin) => Some(admin.admin_rights.clone()),
        _ => None,
    });
    let Some(e::ChatAdminRights::Rights(rights)) = rights else {
        panic!("the bot is an administrator")
    };
    assert!(rights.post_messages && rights.invite_users && !rights.ban_users);
    let theirs = channel(&vera, DEFAULT_CHANNEL).await;
    assert_ne!(theirs.access_hash, news.access_hash);
    let refused = vera.invoke(&list(theirs.clone(), everybody())).await;
    assert_eq!(named(refused), "400 CHAT_ADMIN_REQUIRED");
    assert_eq!(
        named(vera.invoke(&list(news, everybody())).await),
        "400 CHANNEL_INVALID"
    );
    let own = f::channels::GetParticipant {
        channel: theirs.into(),
        participant: e::InputPeer::PeerSelf,
    };
    let e::channels::ChannelParticipant::Participant(own) = vera.invoke(&own).await.unwrap();
    assert!(matches!(own.participant, e::ChannelParticipant::ParticipantSelf(_)));
    let theirs = channel(&vera, ELSEWHERE_CHANNEL).await;
    let full = vera
        .invoke(&f::channels::GetFullChannel { channel: theirs.into() })
        .await
        .unwrap();
    let e::messages::ChatFull::Full(full) = full;
    assert!(matches!(full.full_chat, e::ChatFull::ChannelFull(full) if full.participants_count == Some(3)));
}

#[tokio::test]
async fn people_are_invited_as_their_privacy_and_the_limits_allow() {
    let sandbox = sandbox(|world| {
        world.accounts[0].invites_until_flood = Some(3);
        world.accounts[1].privacy.invites = Audience::Contacts;
        world.accounts[2].privacy.phone_search = Audience::Nobody;
        for chat in &mut world.chats {
            if chat.username.as_deref() == Some("potok_elsewhere") {
                chat.members.retain(|user, _| *user == 11);
            }
        }
    })
    .await;
    let olga = signed_in(&sandbox, OLGA).await;
    let there = channel(&olga, ELSEWHERE_CHANNEL).await;
    let contact = |phone: &str, client_id| {
        t::InputPhoneContact {
            client_id,
            phone: phone.to_owned(),
            first_name: "A".to_owned(),
            last_name: String::new(),
            note: None,
        }
        .into()
    };
    let import = f::contacts::ImportContacts {
        contacts: vec![contact(PAVEL, 1), contact("+70000000013", 2)],
    };
    let e::contacts::ImportedContacts::Contacts(imported) = olga.invoke(&import).await.unwrap();
    let [e::ImportedContact::Contact(found)] = &imported.imported[..] else {
        panic!("{imported:?}")
    };
    assert_eq!((found.user_id, found.client_id), (12, 1));
    let pavel = input(&imported.users[0]);
    let invite = |user: e::InputUser| f::channels::InviteToChannel {
        channel: there.clone().into(),
        users: vec![user],
    };
    let e::messages::InvitedUsers::Users(answer) = olga.invoke(&invite(pavel.clone())).await.unwrap();
    let [e::MissingInvitee::Invitee(missing)] = &answer.missing_invitees[..] else {
        panic!("{answer:?}")
    };
    assert_eq!(missing.user_id, 12);
    let vera = person(&olga, "vera_sandbox").await;
    let e::messages::InvitedUsers::Users(answer) = olga.invoke(&invite(vera.clone())).await.unwrap();
    assert!(answer.missing_invitees.is_empty());
    assert_eq!(
        named(olga.invoke(&invite(vera.clone())).await),
        "400 USER_ALREADY_PARTICIPANT"
    );
    olga.invoke(&invite(pavel.clone())).await.unwrap();
    assert_eq!(named(olga.invoke(&invite(vera)).await), "400 PEER_FLOOD");
    olga.invoke(&f::contacts::DeleteContacts { id: vec![pavel] })
        .await
        .unwrap();
    let link = f::messages::ExportChatInvite {
        legacy_revoke_permanent: false,
        request_needed: false,
        peer: peer(&there),
        expire_date: None,
        usage_limit: None,
        title: None,
        subscription_pricing: None,
    };
    let e::ExportedChatInvite::ChatInviteExported(link) = olga.invoke(&link).await.unwrap() else {
        panic!("a link")
    };
    assert!(link.link.starts_with("https://t.me/+"), "{}", link.link);
}

#[tokio::test]
async fn scripted_faults_and_unknown_methods_are_seen() {
    let sandbox = sandbox(|_| {}).await;
    let client = signed_in(&sandbox, OLGA).await;
    let state = f::updates::GetState {};
    sandbox.inject(script("updates.getState", rpc(420, "FLOOD_WAIT_37")));
    assert_eq!(named(client.invoke(&state).await), "420 FLOOD_WAIT 37");
    assert!(client.is_authorized().await.unwrap());
    assert_eq!(
        named(client.invoke(&f::help::GetNearestDc {}).await),
        "400 METHOD_NOT_IN_SANDBOX: help.getNearestDc"
    );
    sandbox.inject(script("updates.getState", FaultKind::CloseBeforeAnswer));
    assert!(matches!(client.invoke(&state).await, Err(InvocationError::Io(_))));
    assert!(client.is_authorized().await.unwrap(), "it connects again");
    sandbox.inject(script("updates.getState", FaultKind::Hang));
    let silent = tokio::time::timeout(Duration::from_millis(300), client.invoke(&state)).await;
    assert!(silent.is_err(), "{silent:?}");
    assert!(client.is_authorized().await.unwrap(), "a silent call holds up no other");
    assert_eq!(sandbox.mtproto_calls("help.getNearestDc"), 1);
}

#[tokio::test]
async fn an_unknown_key_is_refused() {
    let sandbox = sandbox(|_| {}).await;
    let stranger = device(&sandbox).await;
    let own = option(2, sandbox.mtproto_address(), [7; 256]);
    stranger.session.set_dc_option(&own).await.unwrap();
    let refused = tokio::time::timeout(Duration::from_secs(10), stranger.client.is_authorized())
        .await
        .unwrap();
    assert!(refused.is_err());
}

#[tokio::test]
async fn who_is_signed_in_is_so_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let config = || SandboxConfig {
        data_dir: Some(directory.path().to_owned()),
        ..SandboxConfig::default()
    };
    let first = Sandbox::start(config()).await.unwrap();
    let before = device(&first).await;
    let token = before.client.request_login_code(OLGA, "hash").await.unwrap();
    before.client.sign_in(&token, "12345").await.unwrap();
    let home = before.session.home_dc_id().unwrap();
    let key = before.session.dc_option(home).unwrap().unwrap().auth_key.unwrap();
    first.shutdown().await;
    let second = Sandbox::start(config()).await.unwrap();
    before
        .session
        .set_dc_option(&option(home, second.mtproto_address(), key))
        .await
        .unwrap();
    let after = connect(before.session);
    assert!(after.client.is_authorized().await.unwrap());
}
