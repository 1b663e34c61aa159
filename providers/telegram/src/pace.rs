//! How fast a bot posts to a chat, and when it rests.
//!
//! A post waits for its turn before its intent is recorded, so that a crash while it waits leaves nothing to be
//! settled. What
//! would have to wait longer than its call may take is told so at once, with the time after which to come again. A
//! flood signal
//! rests the whole bot: nothing is sent before Telegram's time is over, whatever other chat it would go to.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use potok_dsl::{ErrorType, Problem};
use tokio::time::Instant;

use crate::config::Pacing;

const MINUTE: Duration = Duration::from_secs(60);

/// Above this many chats those that have been quiet for a minute are forgotten.
const SLACK: usize = 1024;

/// The turns that were given.
#[derive(Debug)]
pub(crate) struct Pacer {
    pacing: Pacing,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The turns of each bot and chat, oldest first; none that is over a minute old is needed.
    turns: HashMap<(String, String), VecDeque<Instant>>,
    /// Until when a bot rests.
    resting: HashMap<String, Instant>,
}

impl Pacer {
    pub(crate) fn new(pacing: Pacing) -> Self {
        Self {
            pacing,
            state: Mutex::default(),
        }
    }

    /// Waits for this post's turn.
    pub(crate) async fn wait(&self, bot: &str, channel: &str, deadline: Instant) -> Result<(), Problem> {
        let turn = self.reserve(bot, channel, Instant::now(), deadline)?;
        tokio::time::sleep_until(turn).await;
        // While it waited, another post may have been told that there is a flood.
        self.check_rest(bot, Instant::now())
    }

    /// Telegram has asked for a rest.
    pub(crate) fn rest(&self, bot: &str, seconds: u64, now: Instant) {
        // A year is more than Telegram asks for, and keeps the sum from overflowing.
        let until = now + Duration::from_secs(seconds.min(366 * 24 * 3600));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let resting = state.resting.entry(bot.to_owned()).or_insert(until);
        *resting = until.max(*resting);
    }

    fn check_rest(&self, bot: &str, now: Instant) -> Result<(), Problem> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(until) = state.resting.get(bot).copied() else {
            return Ok(());
        };
        if until <= now {
            state.resting.remove(bot);
            return Ok(());
        }
        let detail = format!("Telegram has asked the bot '{bot}' to pause; nothing was sent");
        Err(busy("the bot rests", detail, until - now))
    }

    fn reserve(&self, bot: &str, channel: &str, now: Instant, deadline: Instant) -> Result<Instant, Problem> {
        self.check_rest(bot, now)?;
        if self.pacing == Pacing::OFF {
            return Ok(now);
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.turns.len() >= SLACK {
            state
                .turns
                .retain(|_, turns| turns.back().is_some_and(|turn| *turn + MINUTE > now));
        }
        let turns = state.turns.entry((bot.to_owned(), channel.to_owned())).or_default();
        while turns.front().is_some_and(|turn| *turn + MINUTE <= now) {
            turns.pop_front();
        }
        let turn = self.next(turns, now);
        if turn > deadline {
            let detail = format!("{channel} is being posted to faster than the bot may; nothing was sent");
            return Err(busy("too many posts", detail, turn - now));
        }
        turns.push_back(turn);
        Ok(turn)
    }

    fn next(&self, turns: &VecDeque<Instant>, now: Instant) -> Instant {
        let Some(last) = turns.back() else { return now };
        let spaced = *last + self.pacing.interval;
        let limit = self.pacing.per_minute as usize;
        let nth = (limit > 0)
            .then(|| turns.len().checked_sub(limit))
            .flatten()
            .and_then(|index| turns.get(index));
        let in_minute = nth.map_or(now, |turn| *turn + MINUTE);
        now.max(spaced).max(in_minute)
    }
}

fn busy(title: &str, detail: String, wait: Duration) -> Problem {
    let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
    Problem::new(ErrorType::Communication, title, detail)
        .with_status(429)
        .with_retry_after(wait)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn pacer(interval: u64, per_minute: u32) -> Pacer {
        Pacer::new(Pacing {
            interval: Duration::from_secs(interval),
            per_minute,
        })
    }

    #[test]
    fn posts_to_one_chat_are_spaced_and_those_to_another_are_not() {
        let pacer = pacer(1, 0);
        let now = Instant::now();
        let deadline = now + Duration::from_secs(100);
        for number in 0..3 {
            let turn = pacer.reserve("bot", "@one", now, deadline).unwrap();
            assert_eq!(turn - now, Duration::from_secs(number));
        }
        assert_eq!(pacer.reserve("bot", "@two", now, deadline).unwrap(), now);
        assert_eq!(pacer.reserve("other", "@one", now, deadline).unwrap(), now);
    }

    #[tokio::test]
    async fn a_turn_is_waited_for() {
        let pacer = Pacer::new(Pacing {
            interval: Duration::from_millis(30),
            per_minute: 0,
        });
        let begin = Instant::now();
        for _ in 0..3 {
            pacer
                .wait("bot", "@one", begin + Duration::from_secs(60))
                .await
                .unwrap();
        }
        assert!(begin.elapsed() >= Duration::from_millis(60));
    }

    #[test]
    fn never_more_than_the_limit_in_any_minute() {
        let pacer = pacer(1, 20);
        let now = Instant::now();
        let far = now + Duration::from_secs(3600);
        let turns: Vec<_> = (0..100)
            .map(|_| pacer.reserve("bot", "@one", now, far).unwrap())
            .collect();
        for window in turns.windows(21) {
            assert!(window[20] - window[0] >= MINUTE);
        }
        for pair in turns.windows(2) {
            assert!(pair[1] - pair[0] >= Duration::from_secs(1));
        }
    }

    #[test]
    fn what_cannot_wait_is_told_when_to_come_again() {
        let pacer = pacer(10, 0);
        let now = Instant::now();
        pacer.reserve("bot", "@one", now, now).unwrap();
        let problem = pacer
            .reserve("bot", "@one", now, now + Duration::from_secs(9))
            .unwrap_err();
        assert_eq!((problem.status, problem.retry_after_ms), (429, Some(10_000)));
        // The refused one has taken no turn.
        assert_eq!(
            pacer
                .reserve("bot", "@one", now, now + Duration::from_secs(10))
                .unwrap(),
            now + Duration::from_secs(10)
        );
    }

    #[test]
    fn a_flood_rests_the_bot_everywhere_and_only_that_bot() {
        let pacer = Pacer::new(Pacing::OFF);
        let now = Instant::now();
        let later = |seconds| now + Duration::from_secs(seconds);
        pacer.rest("bot", 37, now);
        pacer.rest("bot", 5, now);
        let problem = pacer.reserve("bot", "@two", now, later(100)).unwrap_err();
        assert_eq!((problem.status, problem.retry_after_ms), (429, Some(37_000)));
        pacer.reserve("other", "@two", now, later(100)).unwrap();
        pacer.reserve("bot", "@two", later(36), later(100)).unwrap_err();
        pacer.reserve("bot", "@two", later(37), later(100)).unwrap();
    }

    #[test]
    fn chats_that_are_quiet_are_forgotten() {
        let pacer = pacer(1, 20);
        let mut now = Instant::now();
        for number in 0..3 * SLACK {
            now += Duration::from_secs(1);
            pacer.reserve("bot", &number.to_string(), now, now).unwrap();
        }
        assert!(pacer.state.lock().unwrap().turns.len() <= SLACK);
    }
}
