//! The workflows that come with the binary, for the operations of the server that start them.

use potok_openapi::Shipped;

/// All of them.
pub fn workflows() -> Vec<Shipped> {
    let shipped = |name, text, with| Shipped {
        namespace: "telegram",
        name,
        text,
        with,
    };
    vec![
        shipped("post", include_str!("../../workflows/telegram/post.yaml"), None),
        // Whoever has channels wants to know when their bots may not post there any more.
        shipped(
            "add-channel",
            include_str!("../../workflows/telegram/add-channel.yaml"),
            Some("bot-admin-check"),
        ),
        shipped(
            "bot-admin-check",
            include_str!("../../workflows/telegram/bot-admin-check.yaml"),
            None,
        ),
    ]
}
