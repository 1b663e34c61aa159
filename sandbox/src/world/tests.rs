//! The rules of the world: who may post where, and what it says to those who may not.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::text::Formatted;

const BOT: UserId = 1_000_001;
const OWNER: UserId = 11;

fn world() -> World {
    World::new(WorldSeed::default(), RateLimits::off(), 1_700_000_000_000)
}

fn post(text: &str) -> Post {
    Post {
        content: Formatted {
            text: text.to_owned(),
            entities: Vec::new(),
        },
        ..Post::default()
    }
}

#[test]
fn posting_needs_the_right_to_post() {
    let mut world = world();
    assert_eq!(world.send(BOT, DEFAULT_CHANNEL, post("a"), 1).unwrap().id, 1);
    assert_eq!(world.send(BOT, "-1001000000004", post("a"), 1).unwrap().id, 1);
    assert_eq!(
        world.send(BOT, READ_ONLY_CHANNEL, post("a"), 1),
        Err(Refusal::NeedAdministratorRights)
    );
    assert_eq!(
        world.send(BOT, ELSEWHERE_CHANNEL, post("a"), 1),
        Err(Refusal::NotMember(ChatKind::Channel))
    );
    assert_eq!(world.send(BOT, "@nowhere", post("a"), 1), Err(Refusal::ChatNotFound));
    assert_eq!(
        world.send(12, DEFAULT_CHANNEL, post("a"), 1),
        Err(Refusal::NeedAdministratorRights)
    );
}

#[test]
fn numbers_are_never_used_again() {
    let mut world = world();
    let first = world.send(BOT, DEFAULT_CHANNEL, post("a"), 1).unwrap();
    world.delete(BOT, DEFAULT_CHANNEL, first.id, 2).unwrap();
    assert_eq!(
        world.delete(BOT, DEFAULT_CHANNEL, first.id, 2),
        Err(Refusal::MessageNotFound("delete"))
    );
    assert_eq!(world.send(BOT, DEFAULT_CHANNEL, post("b"), 3).unwrap().id, 2);
}

#[test]
fn editing_is_for_authors_and_for_those_with_the_right() {
    let mut world = world();
    let own = world.send(BOT, DEFAULT_CHANNEL, post("a"), 1).unwrap();
    assert_eq!(
        world.edit(BOT, DEFAULT_CHANNEL, own.id, post("a"), 2),
        Err(Refusal::NotModified)
    );
    let edited = world.edit(BOT, DEFAULT_CHANNEL, own.id, post("b"), 2).unwrap();
    assert_eq!((edited.content.text.as_str(), edited.edited_at), ("b", Some(2)));
    let others = world.send(OWNER, "@potok_group", post("a"), 1).unwrap();
    assert_eq!(
        world.edit(BOT, "@potok_group", others.id, post("b"), 2),
        Err(Refusal::CannotEdit)
    );
    assert_eq!(
        world.edit(BOT, DEFAULT_CHANNEL, 99, post("b"), 2),
        Err(Refusal::MessageNotFound("edit"))
    );
}

#[test]
fn own_messages_can_be_deleted_for_two_days() {
    let mut world = world();
    let message = world.send(BOT, "@potok_group", post("a"), 0).unwrap();
    let two_days = 48 * 3_600 * 1_000;
    assert_eq!(
        world.delete(BOT, "@potok_group", message.id, two_days),
        Err(Refusal::CannotDelete)
    );
    assert_eq!(world.delete(BOT, "@potok_group", message.id, two_days - 1), Ok(()));
}

#[test]
fn forwards_name_their_origin_and_protected_messages_stay() {
    let mut world = world();
    let source = world.send(BOT, DEFAULT_CHANNEL, post("a"), 1).unwrap();
    let forwarded = world
        .resend(BOT, "@potok_group", (DEFAULT_CHANNEL, source.id), true, false, 2)
        .unwrap();
    assert_eq!(
        forwarded
            .forwarded
            .as_ref()
            .map(|origin| (origin.chat, origin.message_id)),
        Some((-1_001_000_000_001, 1))
    );
    let again = world
        .resend(BOT, DEFAULT_CHANNEL, ("@potok_group", forwarded.id), true, false, 2)
        .unwrap();
    assert_eq!(again.forwarded, forwarded.forwarded);
    let copy = world
        .resend(BOT, "@potok_group", (DEFAULT_CHANNEL, source.id), false, true, 2)
        .unwrap();
    assert_eq!(copy.forwarded, None);
    let refused = world.resend(BOT, DEFAULT_CHANNEL, ("@potok_group", copy.id), false, false, 3);
    assert_eq!(refused, Err(Refusal::CannotCopy));
    let missing = world.resend(BOT, DEFAULT_CHANNEL, (DEFAULT_CHANNEL, 77), true, false, 3);
    assert_eq!(missing, Err(Refusal::MessageNotFound("forward")));
}

#[test]
fn bots_hear_others_not_themselves() {
    let mut world = world();
    world.send(BOT, DEFAULT_CHANNEL, post("mine"), 1).unwrap();
    assert_eq!(world.waiting_updates(BOT), 0);
    world.send(OWNER, DEFAULT_CHANNEL, post("one"), 1).unwrap();
    world.send(OWNER, DEFAULT_CHANNEL, post("two"), 1).unwrap();
    let updates = world.updates(BOT, 0, 100, None);
    assert_eq!(
        updates
            .iter()
            .map(|u| u.message.content.text.as_str())
            .collect::<Vec<_>>(),
        ["one", "two"]
    );
    assert_eq!(
        world
            .updates(BOT, updates[1].id, 100, Some(vec!["message".to_owned()]))
            .len(),
        1
    );
    world.send(OWNER, DEFAULT_CHANNEL, post("not wanted"), 1).unwrap();
    assert_eq!(world.updates(BOT, updates[1].id + 1, 100, None), []);
}

#[test]
fn limits_refuse_with_the_time_to_wait() {
    let mut world = World::new(WorldSeed::default(), RateLimits::documented(), 0);
    for _ in 0..5 {
        world.send(BOT, DEFAULT_CHANNEL, post("a"), 0).unwrap();
    }
    assert_eq!(
        world.send(BOT, DEFAULT_CHANNEL, post("a"), 0),
        Err(Refusal::TooFast { seconds: 1 })
    );
    assert_eq!(
        world.send(BOT, "-1001000000004", post("other chat"), 0).map(|m| m.id),
        Ok(1)
    );
    assert_eq!(
        world.send(BOT, DEFAULT_CHANNEL, post("a"), 999),
        Err(Refusal::TooFast { seconds: 1 })
    );
    assert!(world.send(BOT, DEFAULT_CHANNEL, post("a"), 1_000).is_ok());
    let mut now = 1_000;
    let mut sent = 0;
    while now < 31_000 {
        sent += u32::from(world.send(BOT, "@potok_group", post("a"), now).is_ok());
        now += 100;
    }
    assert!(
        (28..=31).contains(&sent),
        "20 at once and one every three seconds, got {sent}"
    );
}

#[test]
fn a_world_can_be_told_again() {
    let mut world = world();
    let first = world.send(BOT, DEFAULT_CHANNEL, post("a"), 1).unwrap();
    let second = world.send(BOT, DEFAULT_CHANNEL, post("b"), 2).unwrap();
    world.edit(BOT, DEFAULT_CHANNEL, first.id, post("c"), 3).unwrap();
    world.delete(BOT, DEFAULT_CHANNEL, second.id, 4).unwrap();
    let changes = world.take_changes();
    let lines: Vec<String> = changes
        .iter()
        .map(|change| serde_json::to_string(change).unwrap())
        .collect();
    let mut again = super::tests::world();
    lines
        .iter()
        .for_each(|line| again.replay(serde_json::from_str(line).unwrap()));
    assert_eq!(again.find_chat(DEFAULT_CHANNEL), world.find_chat(DEFAULT_CHANNEL));
    assert!(again.take_changes().is_empty());
}
