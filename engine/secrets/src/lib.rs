//! Secrets: where they are kept, how they are put into a call that leaves, and how what comes back is rid of them.
//!
//! A [`Vault`] asks its [`Source`]s. What a call needs is [`Opened`] for that call alone: it turns placeholders into secrets, and its
//! [`Scrubber`] turns secrets into marks in everything that the call gives back. A [`SealKey`] seals what is kept in a store, a [`Keeper`] has one
//! when it is needed.
//!
//! This crate knows no store, no run and no network. What holds a secret says nothing of it in its `Debug`, and is overwritten when it
//! is dropped; what was put into a call is beyond its reach.

mod keeper;
mod opened;
mod scrub;
mod seal;
mod secret;
mod sources;
mod vault;
mod views;

pub use keeper::{IN_FLIGHT, Keeper, KeyPlace};
pub use opened::{Opened, used};
pub use scrub::{SHORTEST, Scrubber};
pub use seal::{SealError, SealKey};
pub use secret::{LARGEST, Secret};
pub use sources::{Environment, Files, Source, SourceError};
pub use vault::Vault;
