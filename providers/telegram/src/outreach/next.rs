//! One step of a campaign. All limits are kept here, whoever asks for steps and how often: opt-outs, the channel's and the
//! accounts' quotas of the day, the pause between two people, and the rests that Telegram asks for.

use potok_dsl::{Problem, Timestamp};
use potok_wasm::{CallContext, Tables};
use ring::digest::{SHA256, digest};

use super::campaigns::{self, Campaign, Effect, Invite, Mode, State, Status, Verdict};
use super::{people, unkept};
use crate::TelegramProvider;

/// How often an unknown row is looked at.
const LOOKS: i64 = 3;

/// How long an unknown row is left before it is looked at again, in milliseconds.
const LOOK_AGAIN: i64 = 60_000;

/// A row that another call works on is left to it for so long, in milliseconds.
const LEFT: i64 = 300_000;

/// What a step has done.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) campaign: Campaign,
    /// The person that it was about.
    pub(super) invite: Option<Invite>,
    /// Before then another step does nothing; none when it may be made at once, or none is needed.
    pub(super) again_at: Option<Timestamp>,
}

/// What is to be done next.
enum Next {
    /// Nothing before then.
    Wait(Timestamp),
    /// Nothing until people change something.
    Stop(String),
    Invite(Invite, Verdict, Effect),
    Done,
}

impl TelegramProvider {
    /// Does the next thing that a campaign has to do. The same call again gives what it gave before.
    pub(super) async fn step(&self, cx: &CallContext, id: i64) -> Result<Step, Problem> {
        let (tables, now, key) = (&*cx.tables, cx.now, cx.call_key());
        let _alone = self.locks.take(&format!("campaign/{id}")).await;
        let kept = |error: potok_wasm::TableError| unkept(&error);
        let campaign = self.campaign(tables, id).await?;
        let own = campaigns::taken_by(tables, id, &key).await.map_err(kept)?;
        if let Some(invite) = own.filter(|invite| invite.status != Status::Inviting) {
            return self.stepped(tables, id, Some(invite.line), now).await;
        }
        if campaign.state != State::Running {
            return self.stepped(tables, id, None, now).await;
        }
        if campaign.next_at > now {
            return self.stepped(tables, id, None, now).await;
        }
        let line = match self.next(tables, &campaign, &key, now).await? {
            Next::Invite(invite, verdict, effect) => {
                let line = invite.line;
                let next_at = Timestamp(now.0.saturating_add(jittered(&campaign, line)));
                let recorded = campaigns::record(tables, &invite, &verdict, &effect, next_at, now);
                recorded.await.map_err(kept)?;
                // Whoever was the last is not waited after.
                let left = campaigns::is_left(tables, id, LOOKS).await.map_err(kept)?;
                if !left && !matches!(effect, Effect::Stop(_)) {
                    campaigns::set_state(tables, id, State::Done, None, now)
                        .await
                        .map_err(kept)?;
                }
                Some(line)
            }
            Next::Wait(until) => {
                let step = Step {
                    campaign,
                    invite: None,
                    again_at: Some(until),
                };
                return Ok(step);
            }
            Next::Stop(why) => {
                campaigns::set_state(tables, id, State::Paused, Some(&why), now)
                    .await
                    .map_err(kept)?;
                None
            }
            Next::Done => {
                campaigns::set_state(tables, id, State::Done, None, now)
                    .await
                    .map_err(kept)?;
                None
            }
        };
        self.stepped(tables, id, line, now).await
    }

    /// The step as it is told.
    async fn stepped(&self, tables: &dyn Tables, id: i64, line: Option<i64>, now: Timestamp) -> Result<Step, Problem> {
        let campaign = self.campaign(tables, id).await?;
        let invite = match line {
            Some(line) => campaigns::line(tables, id, line)
                .await
                .map_err(|error| unkept(&error))?,
            None => None,
        };
        let again_at = (campaign.state == State::Running && campaign.next_at > now).then_some(campaign.next_at);
        Ok(Step {
            campaign,
            invite,
            again_at,
        })
    }

    async fn next(&self, tables: &dyn Tables, campaign: &Campaign, key: &str, now: Timestamp) -> Result<Next, Problem> {
        let kept = |error: potok_wasm::TableError| unkept(&error);
        if let Some(invite) = campaigns::next(tables, campaign.id, Status::Inviting)
            .await
            .map_err(kept)?
        {
            return self.go_on(tables, campaign, invite, key, now).await;
        }
        if let Some(invite) = campaigns::next(tables, campaign.id, Status::Queued)
            .await
            .map_err(kept)?
        {
            return self.begin(tables, campaign, invite, key, now).await;
        }
        match campaigns::next_unknown(tables, campaign.id, LOOKS)
            .await
            .map_err(kept)?
        {
            Some(invite) if campaign.mode != Mode::OnlyMessageBot => {
                self.clear_up(tables, campaign, invite, key, now).await
            }
            _ => Ok(Next::Done),
        }
    }

    /// A row that nobody has worked on.
    async fn begin(
        &self,
        tables: &dyn Tables,
        campaign: &Campaign,
        invite: Invite,
        key: &str,
        now: Timestamp,
    ) -> Result<Next, Problem> {
        let kept = |error: potok_wasm::TableError| unkept(&error);
        let skipped = |invite, why| {
            let verdict = Verdict {
                status: Status::Skipped,
                reason: Some(why),
            };
            Ok(Next::Invite(invite, verdict, Effect::None))
        };
        if let Some(why) = people::stands_against(tables, &invite.person).await.map_err(kept)? {
            return skipped(invite, why);
        }
        if campaign.mode != Mode::OnlyMessageBot {
            let before = campaigns::reached_before(tables, &campaign.channel, &invite.person);
            if let Some(before) = before.await.map_err(kept)? {
                return skipped(invite, format!("was reached before, by campaign {before}"));
            }
        }
        let limit = campaign.channel_limit;
        if !campaigns::channel_slot(tables, &campaign.channel, limit, now)
            .await
            .map_err(kept)?
        {
            let ends = campaigns::channel_day_ends(tables, &campaign.channel, now);
            return Ok(Next::Wait(ends.await.map_err(kept)?));
        }
        let account = if campaign.mode == Mode::OnlyMessageBot {
            None
        } else {
            let leased = self.accounts.lease_among(tables, &campaign.accounts, now).await?;
            let Some(account) = leased else {
                campaigns::give_slot_back(tables, &campaign.channel)
                    .await
                    .map_err(kept)?;
                let free = self.accounts.next_free(tables, &campaign.accounts, now).await?;
                return Ok(free.map_or_else(
                    || Next::Stop("no account works: sign one in, or make one active".to_owned()),
                    |at| Next::Wait(at.max(Timestamp(now.0 + 1_000))),
                ));
            };
            Some(account)
        };
        if !campaigns::claim(tables, &invite, account, key, now)
            .await
            .map_err(kept)?
        {
            // Opted out, or taken by another node, since it was looked at.
            return Ok(Next::Wait(Timestamp(now.0 + 1_000)));
        }
        let invite = Invite {
            status: Status::Inviting,
            account,
            ..invite
        };
        let (verdict, effect) = match account {
            Some(account) => self.act(tables, campaign, &invite, account, false, now).await?,
            None => self.message_by_bot(tables, campaign, &invite, now).await?,
        };
        Ok(Next::Invite(invite, verdict, effect))
    }

    /// A row that was being worked on when a crash came, or whose call was given up.
    async fn go_on(
        &self,
        tables: &dyn Tables,
        campaign: &Campaign,
        invite: Invite,
        key: &str,
        now: Timestamp,
    ) -> Result<Next, Problem> {
        let left = Timestamp(invite.updated_at.0.saturating_add(LEFT));
        if invite.taken_by.as_deref() != Some(key) && left > now {
            return Ok(Next::Wait(left));
        }
        let (_, Some(account)) = (campaign.mode, invite.account) else {
            let why =
                "the process ended while the bot was writing: whether it has is not known, and it is not done again";
            let verdict = Verdict {
                status: Status::Unknown,
                reason: Some(why.to_owned()),
            };
            return Ok(Next::Invite(invite, verdict, Effect::Pause));
        };
        self.again(tables, campaign, invite, (account, account), key, now).await
    }

    /// A row of which nobody knows what became of it.
    async fn clear_up(
        &self,
        tables: &dyn Tables,
        campaign: &Campaign,
        invite: Invite,
        key: &str,
        now: Timestamp,
    ) -> Result<Next, Problem> {
        let at = Timestamp(invite.last_retry.map_or(0, |at| at.0).saturating_add(LOOK_AGAIN));
        if at > now {
            return Ok(Next::Wait(at));
        }
        let Some(own) = invite.account else {
            return Ok(Next::Done);
        };
        let works = |account: &crate::accounts::Account| account.status.works();
        if self
            .accounts
            .get(tables, own)
            .await
            .is_ok_and(|account| works(&account))
        {
            return self.again(tables, campaign, invite, (own, own), key, now).await;
        }
        match self.accounts.any_working(tables, &campaign.accounts, now).await? {
            Some(other) => self.again(tables, campaign, invite, (own, other), key, now).await,
            None => Ok(Next::Stop(
                "no account works: sign one in, or make one active".to_owned(),
            )),
        }
    }

    /// Goes on with a row in the name of the account that it was begun by; another one only looks.
    async fn again(
        &self,
        tables: &dyn Tables,
        campaign: &Campaign,
        invite: Invite,
        (own, account): (i64, i64),
        key: &str,
        now: Timestamp,
    ) -> Result<Next, Problem> {
        let taken = campaigns::take_over(tables, &invite, key, now).await;
        if !taken.map_err(|error| unkept(&error))? {
            return Ok(Next::Wait(Timestamp(now.0 + 1_000)));
        }
        let invite = Invite {
            status: Status::Inviting,
            ..invite
        };
        let (verdict, effect) = if own == account {
            self.act(tables, campaign, &invite, account, true, now).await?
        } else {
            self.look(tables, campaign, &invite, account, now).await?
        };
        Ok(Next::Invite(invite, verdict, effect))
    }
}

/// The pause after a row, in milliseconds: the campaign's, more or less by up to a fifth. The same row has the same pause.
fn jittered(campaign: &Campaign, line: i64) -> i64 {
    let hash = digest(&SHA256, format!("potok pause\n{}\n{line}", campaign.id).as_bytes());
    let random = hash
        .as_ref()
        .first_chunk()
        .map_or(0, |bytes| u32::from_le_bytes(*bytes));
    // 800 to 1200 thousandths.
    let thousandths = 800 + i64::from(random % 401);
    campaign.pause_ms.saturating_mul(thousandths) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_differ_by_up_to_a_fifth() {
        let campaign = Campaign {
            id: 1,
            channel: "@news".to_owned(),
            mode: Mode::Invite,
            message: None,
            link_message: None,
            basis: String::new(),
            accounts: Vec::new(),
            channel_limit: 1,
            pause_ms: 60_000,
            state: State::Running,
            reason: None,
            next_at: Timestamp(0),
            run: None,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        };
        let pauses: std::collections::BTreeSet<_> = (0..1_000).map(|line| jittered(&campaign, line)).collect();
        assert!(pauses.len() > 200);
        assert!(pauses.iter().all(|pause| (48_000..=72_000).contains(pause)));
        assert_eq!(jittered(&campaign, 7), jittered(&campaign, 7));
    }
}
