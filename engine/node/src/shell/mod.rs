//! The thin shell around the core: it owns the clock, the store, the calls and the clients, and does what the core says.
//!
//! One thread drives the core, so a run's machine is never shared. Everything that takes time (a write, a call, a read) is a task that
//! reports back through one bounded channel; the core waits for nothing, so the channel always drains.

mod arrive;
mod calls;
mod children;
mod confidential;
mod events;
mod exec;
mod inbox;
mod ledger;
mod rates;
mod store;
mod triggers;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use potok_bus::Bus;
use potok_dsl::{RunId, Timestamp};
use potok_journal::Store;
use tokio::sync::{mpsc, oneshot};

use crate::{
    core::{Answer, Client, Core, Input, Output},
    deploy::Deployments,
    metrics::Metrics,
    schedule::{Act, Scheduler, TriggerKey},
};
pub(crate) use arrive::{Watch, Watchers};
pub(crate) use events::{Incoming, Stream};
pub(crate) use exec::Executor;
use inbox::{Heard, Inbox};
pub(crate) use store::word;
pub(crate) use triggers::trigger_state;

/// What is sent to the core's thread.
pub(crate) enum Message {
    /// Something happened.
    Happened(Input),
    /// Short calls have had their turn on another thread.
    Turns(calls::Turns),
    /// A client asks; the answer goes there.
    Ask(Client, Input, oneshot::Sender<Answer>),
    /// A trigger is to be watched from now on.
    Watch(
        TriggerKey,
        Box<crate::schedule::Plan>,
        Option<crate::schedule::TriggerState>,
    ),
    /// A trigger is no longer to be watched.
    Unwatch(TriggerKey),
    /// A trigger's run is durable, or could not be started.
    Triggered(TriggerKey, Option<RunId>),
}

/// How long the store is left alone after it was not to be had.
const RETRY: std::time::Duration = std::time::Duration::from_secs(1);

/// The way to the core's thread.
#[derive(Clone)]
pub(crate) struct Shell {
    inbox: mpsc::Sender<Message>,
    next_client: Arc<AtomicU64>,
}

/// The core is gone: the node has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node has stopped")]
pub struct Stopped;

/// What the shell needs.
pub(crate) struct Parts {
    pub core: Core,
    pub scheduler: Scheduler,
    pub store: Arc<dyn Store>,
    pub executor: Executor,
    pub deployments: Arc<Deployments>,
    pub bus: Arc<dyn Bus>,
    pub metrics: Arc<Metrics>,
    pub stream: Arc<Stream>,
}

impl Shell {
    /// Starts the core's thread. The receiver resolves when it has stopped.
    pub fn start(parts: Parts) -> std::io::Result<(Self, oneshot::Receiver<()>)> {
        let (sender, inbox) = Inbox::new();
        let shell = Self {
            inbox: sender,
            next_client: Arc::new(AtomicU64::new(1)),
        };
        let (done, stopped) = oneshot::channel();
        let driver = Driver::new(parts, shell.clone(), inbox);
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name("potok-core".to_owned())
            .spawn(move || {
                runtime.block_on(driver.run());
                let _ = done.send(());
            })?;
        Ok((shell, stopped))
    }

    /// Sends a message; waits while too many are on their way.
    pub async fn send(&self, message: Message) -> Result<(), Stopped> {
        self.inbox.send(message).await.map_err(|_| Stopped)
    }

    /// Says what happened.
    pub async fn happened(&self, input: Input) {
        // A node that has stopped needs no news.
        let _ = self.send(Message::Happened(input)).await;
    }

    /// Asks; the receiver gets the answer.
    pub async fn ask(
        &self,
        input: impl FnOnce(Client) -> Input,
    ) -> Result<(Client, oneshot::Receiver<Answer>), Stopped> {
        let client = Client(self.next_client.fetch_add(1, Ordering::Relaxed));
        let (reply, answer) = oneshot::channel();
        self.send(Message::Ask(client, input(client), reply)).await?;
        Ok((client, answer))
    }
}

/// The wall clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The core's thread.
struct Driver {
    core: Core,
    scheduler: Scheduler,
    clients: HashMap<Client, oneshot::Sender<Answer>>,
    calls: calls::Calls,
    io: store::Io,
    metrics: Arc<Metrics>,
    out: Vec<Output>,
    acts: Vec<Act>,
    inbox: Inbox,
    /// What came of short calls, to be told to the core next.
    ended: Vec<Input>,
    stopping: bool,
}

impl Driver {
    fn new(parts: Parts, shell: Shell, inbox: Inbox) -> Self {
        let Parts {
            core,
            scheduler,
            store,
            executor,
            deployments,
            bus,
            metrics,
            stream,
        } = parts;
        Self {
            core,
            scheduler,
            clients: HashMap::new(),
            calls: calls::Calls::new(
                executor,
                children::Children::new(Arc::clone(&store), Arc::clone(&deployments)),
                rates::Rates::new(Arc::clone(&store)),
                shell.clone(),
            ),
            io: store::Io::new(store, stream, deployments, bus, Arc::clone(&metrics), shell),
            metrics,
            out: Vec::new(),
            acts: Vec::new(),
            inbox,
            ended: Vec::new(),
            stopping: false,
        }
    }

    async fn run(mut self) {
        let mut heard = Vec::new();
        // The first thing that a core wants is to know what is due: nobody may have to speak first.
        self.step(Input::Tick);
        if self.perform() {
            return;
        }
        loop {
            // Where there is work, whoever has something to say now is heard before it goes on.
            let works = !self.ended.is_empty() || self.core.busy();
            let wait = (!works).then(|| self.wait());
            match self.inbox.hear(wait, &mut heard).await {
                Heard::Word => {}
                Heard::Silence => self.step(Input::Tick),
                Heard::Nobody => return,
            }
            for message in heard.drain(..) {
                self.take(message);
            }
            for input in std::mem::take(&mut self.ended) {
                self.happened(input);
            }
            if self.core.busy() {
                self.step(Input::Tick);
            }
            if self.perform() {
                return;
            }
        }
    }

    /// How long nothing needs to be done, if nobody says anything.
    fn wait(&self) -> Duration {
        let next = self.core.wakeup().into_iter().chain(self.scheduler.wakeup()).min();
        next.map_or(Duration::from_secs(60), |at| {
            Duration::from_millis(at.since(now()).0).min(Duration::from_secs(60))
        })
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Happened(input) => self.happened(input),
            Message::Turns(turns) => self.calls.had(turns, &mut self.ended),
            Message::Ask(client, input, reply) => {
                self.clients.insert(client, reply);
                if let Input::Forget { client: other, .. } = &input {
                    self.clients.remove(other);
                    self.clients.remove(&client);
                }
                self.step(input);
            }
            Message::Watch(key, plan, state) => self.scheduler.set(key, *plan, state, now(), &mut self.acts),
            Message::Unwatch(key) => self.scheduler.remove(&key),
            Message::Triggered(key, run) => self.scheduler.started(&key, run, &mut self.acts),
        }
    }

    fn happened(&mut self, input: Input) {
        match &input {
            Input::CallDone { run, call, .. } => self.calls.done(*run, *call),
            Input::Child { parent, call, .. } | Input::ChildThere { parent, call, .. } => {
                self.calls.done(*parent, *call);
            }
            _ => {}
        }
        self.stopping |= matches!(input, Input::Stop);
        self.step(input);
    }

    fn step(&mut self, input: Input) {
        let now = now();
        self.core.handle(now, input, &mut self.out);
        if !self.stopping {
            self.scheduler.tick(now, &mut self.acts);
        }
    }

    /// Does what the core and the scheduler want; true when the node has stopped.
    fn perform(&mut self) -> bool {
        let (mut stopped, mut loads) = (false, Vec::new());
        for output in self.out.drain(..) {
            match output {
                Output::Save(save) => {
                    let save = self.io.save(save);
                    // One is written from here, which is the shortest way; several are work enough to be shared.
                    if self.inbox.is_writing() {
                        self.io.save_away(save);
                    } else {
                        self.inbox.write(save);
                    }
                }
                Output::StartCall { run, effect, again } => self.calls.start(run, effect, again),
                Output::CancelCall { run, call } => self.calls.cancel(run, call),
                Output::Silence(run) => self.io.silence(run),
                Output::Load(run) => loads.push(run),
                Output::LoadWhole(run) => self.io.load_whole(run),
                Output::QueryDue { until, after, limit } => self.io.query_due(until, after, limit),
                Output::Look { run, wanted, limit } => self.io.look(run, wanted, limit),
                Output::QueryBehind { after, limit } => self.io.query_behind(after, limit),
                Output::Answer(client, answer) => {
                    if let Some(reply) = self.clients.remove(&client) {
                        // Whoever asked may have gone away.
                        let _ = reply.send(answer);
                    }
                }
                Output::Publish(update) => {
                    if let (Some(trigger), Some(_)) = (&update.trigger, &update.outcome) {
                        self.scheduler.ended(trigger, update.run, now(), &mut self.acts);
                    }
                    self.io.publish(update);
                }
                Output::Stopped => stopped = true,
            }
        }
        self.io.load(&loads);
        self.calls.turn(&mut self.ended);
        self.metrics.stands(self.core.loaded_runs(), self.calls.under_way());
        for act in self.acts.drain(..) {
            match act {
                Act::Fire(key, at) => self.io.fire(key, at),
                Act::Save(key, state) => self.io.save_trigger(key, state),
            }
        }
        stopped
    }
}
