//! `potok runs`: the flags of what is asked of a server.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// List runs, the newest first
    List {
        #[command(flatten)]
        server: ServerArgs,
        #[command(flatten)]
        filter: FilterArgs,
        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Look at a run: its input, what came of it, what its tasks did
    Show {
        #[command(flatten)]
        server: ServerArgs,
        /// The run's id
        run: String,
        /// Print the run as JSON
        #[arg(long)]
        json: bool,
    },
    /// Cancel runs
    Cancel(SteerArgs<ReasonArgs>),
    /// Suspend runs: what is under way ends, nothing new begins
    Suspend(SteerArgs<ReasonArgs>),
    /// Resume suspended runs
    Resume(SteerArgs<NothingArgs>),
    /// Retry runs that have faulted, each as a new run that begins with the task that faulted
    Retry(SteerArgs<WaitArgs>),
    /// Make a run that begins at any task of one that has ended, or with the workflow
    Restart(MakeArgs),
    /// The same of a run that need not have ended: it goes on
    Fork(MakeArgs),
    /// See what differed between two runs
    Diff {
        #[command(flatten)]
        server: ServerArgs,
        /// The run's id
        run: String,
        /// The run to compare it with [default: the one that it was made from]
        with: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl RunsCommand {
    /// Where the server is.
    pub fn server(&self) -> &ServerArgs {
        match self {
            Self::List { server, .. } | Self::Show { server, .. } | Self::Diff { server, .. } => server,
            Self::Cancel(steer) | Self::Suspend(steer) => &steer.server,
            Self::Resume(steer) => &steer.server,
            Self::Retry(steer) => &steer.server,
            Self::Restart(make) | Self::Fork(make) => &make.server,
        }
    }
}

#[derive(Debug, Clone, Default, Args)]
pub struct ServerArgs {
    /// The server [default: the one that `potok serve` is here]
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// What to show to whatever stands before the server, as a bearer token
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
}

/// Which runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct FilterArgs {
    /// Of this workflow: NAME, NAMESPACE/NAME or NAMESPACE/NAME:VERSION
    #[arg(long, value_name = "WORKFLOW")]
    pub workflow: Option<String>,
    /// In this status; may be given several times
    #[arg(long, value_enum)]
    pub status: Vec<RunStatus>,
    /// Started by this trigger
    #[arg(long)]
    pub trigger: Option<String>,
    /// Started by this run
    #[arg(long, value_name = "RUN")]
    pub parent: Option<String>,
    /// Made from this run
    #[arg(long, value_name = "RUN")]
    pub origin: Option<String>,
    /// Accepted at this time or later
    #[arg(long, value_name = "TIME")]
    pub created_from: Option<String>,
    /// Accepted before this time
    #[arg(long, value_name = "TIME")]
    pub created_before: Option<String>,
}

/// What a run may be doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RunStatus {
    Pending,
    Running,
    Waiting,
    Suspended,
    Cancelled,
    Faulted,
    Completed,
}

/// What is asked of runs: of those that are named, or of all that pass a filter.
#[derive(Debug, Args)]
pub struct SteerArgs<T: Args> {
    #[command(flatten)]
    pub server: ServerArgs,
    /// The ids of the runs
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub runs: Vec<String>,
    /// All runs that pass the filters, of which at least one is needed; only counts them, unless --yes is there
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Do it
    #[arg(long, requires = "all")]
    pub yes: bool,
    #[command(flatten)]
    pub more: T,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ReasonArgs {
    /// Why, for the run's history
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

#[derive(Debug, Args)]
pub struct NothingArgs {}

#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Wait for the new run's end; its output goes to stdout as JSON
    #[arg(long)]
    pub wait: bool,
}

/// A run that is made from another one.
#[derive(Debug, Args)]
pub struct MakeArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    /// The id of the other run
    pub run: String,
    /// The task to begin with: its path, or its reference when it was executed once [default: the workflow]
    #[arg(long, value_name = "PATH")]
    pub from: Option<String>,
    /// What that task, or the workflow, gets instead of its input: JSON, or @FILE (@- for standard input)
    #[arg(long, value_name = "JSON|@FILE")]
    pub input: Option<String>,
    /// Go on with another version of the workflow
    #[arg(long, value_name = "VERSION")]
    pub on: Option<String>,
    /// The same key again, for the same workflow, starts nothing and gives the run that it started
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    #[command(flatten)]
    pub wait: WaitArgs,
    /// Print the new run as JSON
    #[arg(long, conflicts_with = "wait")]
    pub json: bool,
}
