//! `telegram.post` and its like: the capability as functions that a workflow can call.
//!
//! There is nothing to decide here. That nothing is posted twice is the promise of the capability's provider.

#![cfg(target_family = "wasm")]

use exports::potok::telegram::telegram::Guest;
use potok::host::fault::Fault;
use potok::telegram::bot::{self, PostRequest, Posted, SettleRequest, UnknownPost, Verified, VerifyRequest};

wit_bindgen::generate!({ path: "../wit", world: "potok:plugins/telegram", generate_all });
potok_guest::describe!("../../wit/deps/telegram.wit", "../../wit/deps/host.wit");

struct Plugin;
export!(Plugin);

impl Guest for Plugin {
    fn post(request: PostRequest) -> Result<Posted, Fault> {
        bot::post(&request)
    }

    fn unknown_posts() -> Result<Vec<UnknownPost>, Fault> {
        bot::unknown_posts()
    }

    fn settle_post(request: SettleRequest) -> Result<Posted, Fault> {
        bot::settle_post(&request)
    }

    fn verify(request: VerifyRequest) -> Result<Verified, Fault> {
        bot::verify(&request)
    }
}
