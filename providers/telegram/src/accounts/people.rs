//! What an account does with people: finding them, adding them to a channel that it administers, writing to them.
//!
//! Each of these is one step for whoever puts them together; an account is taken once for all of them ([`Accounts::take`]).

use grammers_tl_types::{enums as e, functions as f, types as t};
use potok_dsl::Timestamp;
use potok_wasm::Tables;

use super::chats::{message, random_id};
use super::error::{AccountError, Noted};
use super::{Accounts, Held, rows};

/// How a person is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whom {
    /// By the phone number, `+` and digits.
    Phone(String),
    /// By the public name, without `@`.
    Name(String),
}

/// A person as one account sees it.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: i64,
    access_hash: i64,
    pub(crate) name: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) bot: bool,
    /// Whether the account keeps the person as a contact only to reach it.
    contact: bool,
}

/// A channel as one account sees it.
pub(crate) type Place = t::InputChannel;

/// What became of adding a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    /// It is in the channel now.
    Yes,
    /// Its privacy forbids it.
    Forbidden,
}

impl Accounts {
    /// Takes an account to work with, so that nobody else does meanwhile.
    ///
    /// # Errors
    /// When it is not signed in or rests.
    pub(crate) async fn take<'a>(
        &self,
        tables: &'a dyn Tables,
        id: i64,
        now: Timestamp,
    ) -> Result<Held<'a>, AccountError> {
        self.hold_working(tables, id, now).await
    }

    /// A channel or group by its `@name`, if the account administers it.
    ///
    /// # Errors
    /// [`AccountError::NotAdministered`] when it does not.
    pub(crate) async fn own_place(&self, held: &mut Held<'_>, chat: &str) -> Result<Place, AccountError> {
        let place = self.resolve(held, chat).await?;
        self.administers(held, chat, &place).await?;
        Ok(place)
    }

    /// Looks for a person; `None` when nobody is to be found so. Whoever is looked for by number is a contact until
    /// [`Accounts::let_go`].
    ///
    /// # Errors
    /// [`AccountError`].
    pub(crate) async fn find_person(
        &self,
        held: &mut Held<'_>,
        whom: &Whom,
        called: &str,
    ) -> Result<Option<Person>, AccountError> {
        match whom {
            Whom::Phone(phone) => {
                let contact = t::InputPhoneContact {
                    client_id: 1,
                    phone: phone.clone(),
                    first_name: Some(called).filter(|name| !name.is_empty()).unwrap_or(phone).to_owned(),
                    last_name: String::new(),
                    note: None,
                };
                let request = f::contacts::ImportContacts {
                    contacts: vec![contact.into()],
                };
                let e::contacts::ImportedContacts::Contacts(found) = self.ask(held, &request).await?;
                let id = found.imported.first().map(|imported| {
                    let e::ImportedContact::Contact(imported) = imported;
                    imported.user_id
                });
                Ok(id.and_then(|id| person(&found.users, id, true)))
            }
            Whom::Name(name) => {
                let request = f::contacts::ResolveUsername {
                    username: name.clone(),
                    referer: None,
                };
                match self.ask(held, &request).await {
                    Ok(e::contacts::ResolvedPeer::Peer(found)) => Ok(match found.peer {
                        e::Peer::User(peer) => person(&found.users, peer.user_id, false),
                        _ => None,
                    }),
                    Err(AccountError::Refused { name, .. })
                        if matches!(name.as_str(), "USERNAME_NOT_OCCUPIED" | "USERNAME_INVALID") =>
                    {
                        Ok(None)
                    }
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// Whether a person is in a channel.
    ///
    /// # Errors
    /// [`AccountError`].
    pub(crate) async fn belongs(
        &self,
        held: &mut Held<'_>,
        place: &Place,
        person: &Person,
    ) -> Result<bool, AccountError> {
        let request = f::channels::GetParticipant {
            channel: place.clone().into(),
            participant: person.peer(),
        };
        match self.ask(held, &request).await {
            Ok(e::channels::ChannelParticipant::Participant(found)) => Ok(!matches!(
                found.participant,
                e::ChannelParticipant::Banned(_) | e::ChannelParticipant::Left(_)
            )),
            Err(AccountError::Refused { name, .. }) if name == "USER_NOT_PARTICIPANT" => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Adds a person to a channel.
    ///
    /// # Errors
    /// [`AccountError`]; after [`AccountError::NoAnswer`] and its like the person may be in it.
    pub(crate) async fn add_person(
        &self,
        held: &mut Held<'_>,
        place: &Place,
        person: &Person,
    ) -> Result<Added, AccountError> {
        let request = f::channels::InviteToChannel {
            channel: place.clone().into(),
            users: vec![person.user()],
        };
        // The call succeeds for one who may not be added, too.
        let e::messages::InvitedUsers::Users(invited) = self.ask(held, &request).await?;
        let missing = invited.missing_invitees.iter().any(|missing| {
            let e::MissingInvitee::Invitee(missing) = missing;
            missing.user_id == person.id
        });
        Ok(if missing { Added::Forbidden } else { Added::Yes })
    }

    /// A new link into a channel, good for one person.
    ///
    /// # Errors
    /// [`AccountError`].
    pub(crate) async fn personal_link(&self, held: &mut Held<'_>, place: &Place) -> Result<String, AccountError> {
        let request = f::messages::ExportChatInvite {
            legacy_revoke_permanent: false,
            request_needed: false,
            peer: t::InputPeerChannel {
                channel_id: place.channel_id,
                access_hash: place.access_hash,
            }
            .into(),
            expire_date: None,
            usage_limit: Some(1),
            title: None,
            subscription_pricing: None,
        };
        match self.ask(held, &request).await? {
            e::ExportedChatInvite::ChatInviteExported(invite) => Ok(invite.link),
            _ => Err(AccountError::Odd("no invite link".to_owned())),
        }
    }

    /// Writes to a person. A second time under the same key writes nothing.
    ///
    /// # Errors
    /// [`AccountError`]; after [`AccountError::NoAnswer`] and its like it may be written.
    pub(crate) async fn write_to(
        &self,
        held: &mut Held<'_>,
        person: &Person,
        text: &str,
        key: &str,
    ) -> Result<(), AccountError> {
        let id = held.account.id;
        let request = message(person.peer(), text, random_id(id, key));
        match self.ask(held, &request).await {
            Ok(_) => rows::sent(held.tables, id, held.now).await,
            Err(AccountError::Refused { name, .. }) if name == "RANDOM_ID_DUPLICATE" => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Forgets a contact that was made only to reach the person. What goes wrong with it does not matter to anyone.
    pub(crate) async fn let_go(&self, held: &mut Held<'_>, person: &Person) {
        if !person.contact {
            return;
        }
        let request = f::contacts::DeleteContacts {
            id: vec![person.user()],
        };
        if let Err(error) = self.ask(held, &request).await {
            tracing::debug!(account = held.account.id, %error, "a contact could not be forgotten");
        }
    }

    /// Lets an account rest that cannot reach Telegram.
    ///
    /// # Errors
    /// When the store does not serve.
    pub(crate) async fn rest(
        &self,
        tables: &dyn Tables,
        id: i64,
        until: Timestamp,
        why: &str,
        now: Timestamp,
    ) -> Result<(), AccountError> {
        rows::note(tables, id, Noted::RestsUntil(until), why, now).await
    }

    /// [`Accounts::lease`] among these accounts; all when there are none.
    ///
    /// # Errors
    /// When the store does not serve.
    pub(crate) async fn lease_among(
        &self,
        tables: &dyn Tables,
        among: &[i64],
        now: Timestamp,
    ) -> Result<Option<i64>, AccountError> {
        rows::lease(tables, &listed(among), now).await
    }

    /// One of these accounts that works and does not rest.
    ///
    /// # Errors
    /// When the store does not serve.
    pub(crate) async fn any_working(
        &self,
        tables: &dyn Tables,
        among: &[i64],
        now: Timestamp,
    ) -> Result<Option<i64>, AccountError> {
        rows::any_working(tables, &listed(among), now).await
    }

    /// When the next of these accounts has something of its quota again; `None` when none of them works.
    ///
    /// # Errors
    /// When the store does not serve.
    pub(crate) async fn next_free(
        &self,
        tables: &dyn Tables,
        among: &[i64],
        now: Timestamp,
    ) -> Result<Option<Timestamp>, AccountError> {
        rows::next_free(tables, &listed(among), now).await
    }
}

/// Numbers as the statements look for them: `,1,2,`.
pub(crate) fn listed(ids: &[i64]) -> String {
    if ids.is_empty() {
        return String::new();
    }
    ids.iter().fold(",".to_owned(), |list, id| format!("{list}{id},"))
}

impl Person {
    fn user(&self) -> e::InputUser {
        t::InputUser {
            user_id: self.id,
            access_hash: self.access_hash,
        }
        .into()
    }

    fn peer(&self) -> e::InputPeer {
        t::InputPeerUser {
            user_id: self.id,
            access_hash: self.access_hash,
        }
        .into()
    }
}

fn person(users: &[e::User], id: i64, by_number: bool) -> Option<Person> {
    users.iter().find_map(|user| match user {
        e::User::User(user) if user.id == id => Some(Person {
            id,
            access_hash: user.access_hash?,
            name: user.first_name.clone(),
            username: user.username.clone(),
            phone: user.phone.clone(),
            bot: user.bot,
            // Whoever has the account as a contact too was one before.
            contact: by_number && !user.mutual_contact,
        }),
        _ => None,
    })
}
