//! What can be typed: commands and their flags.

pub mod runs;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Durable YAML workflows whose steps are WebAssembly functions.
#[derive(Debug, Parser)]
#[command(name = "potok", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// The configuration file [default: potok.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server: deployed workflows, their schedules, the HTTP API
    Serve(ServeArgs),
    /// Run a workflow file to its end; its output goes to stdout as JSON
    Run(RunArgs),
    /// Retry a run of a data directory from the task that faulted, or from another one, as a new run to its end
    Retry(RetryArgs),
    /// Look at the runs of a server, steer them, make runs of them
    #[command(subcommand)]
    Runs(runs::RunsCommand),
    /// Call one function; its output goes to stdout as JSON
    Call(CallArgs),
    /// Check workflow files without running them
    Validate(ValidateArgs),
    /// Run the tests beside workflows, *.test.yaml, in virtual time
    Test(TestArgs),
    /// Draw a workflow as a Mermaid flowchart
    Graph {
        /// The workflow file
        file: PathBuf,
    },
    /// Print one JSON Schema for editors: the language, metadata.potok, and the installed functions
    Schema(SchemaArgs),
    /// Look at, add and list plugins
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Set, list and remove secrets of workflows
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Look into the journals of runs
    #[command(subcommand)]
    Journal(JournalCommand),
    /// List the functions that workflows can call
    Functions(FunctionsArgs),
    /// Run the local stand-ins for Telegram's Bot API and a language model
    Sandbox(SandboxArgs),
    /// Measure this machine and this build
    Bench(BenchArgs),
    /// Print the configuration in force, and where each value comes from
    Config,
}

#[derive(Debug, Clone, Default, Args)]
pub struct EngineArgs {
    /// Where everything durable is kept
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Use the local stand-ins instead of the configured language model and Telegram
    #[arg(long)]
    pub sandbox: bool,
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Deploy the workflow files of this directory as drafts, again whenever they change
    #[arg(long, value_name = "DIR")]
    pub dev: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub engine: EngineArgs,
    /// The workflow file
    pub file: PathBuf,
    /// The input: JSON, or @FILE (@- for standard input)
    #[arg(long, value_name = "JSON|@FILE")]
    pub input: Option<String>,
    /// Store a file as a blob and put its id into the input under this name
    #[arg(long = "file", value_name = "NAME=PATH")]
    pub files: Vec<String>,
    /// Another workflow file that this one runs; may be given several times
    #[arg(long = "with", value_name = "FILE")]
    pub with: Vec<PathBuf>,
    /// Write a JSON line for each task event
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct RetryArgs {
    #[command(flatten)]
    pub engine: EngineArgs,
    /// The id of the run that has ended
    pub run: String,
    /// The task to begin with instead of the one that faulted: its path, or its reference when it was executed once
    #[arg(long, value_name = "PATH")]
    pub from: Option<String>,
    /// What that task gets instead of its input: JSON, or @FILE (@- for standard input)
    #[arg(long, value_name = "JSON|@FILE", requires = "from")]
    pub input: Option<String>,
    /// Go on with another version of the workflow
    #[arg(long, value_name = "VERSION", requires = "from")]
    pub on: Option<String>,
}

#[derive(Debug, Args)]
pub struct CallArgs {
    #[command(flatten)]
    pub engine: EngineArgs,
    /// The function, such as book.extract or book.extract:1.0.0
    pub function: String,
    /// The arguments: JSON, or @FILE (@- for standard input)
    #[arg(long, value_name = "JSON|@FILE")]
    pub input: Option<String>,
    /// Store a file as a blob and put its id into the input under this name
    #[arg(long = "file", value_name = "NAME=PATH")]
    pub files: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ValidateArgs {
    #[command(flatten)]
    pub engine: EngineArgs,
    /// The workflow files
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Take warnings for errors
    #[arg(long)]
    pub strict: bool,
    /// For people, or JSON for editors
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,
}

#[derive(Debug, Args)]
pub struct TestArgs {
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Tests, or directories with tests in them [default: this one]
    pub paths: Vec<PathBuf>,
    /// For people, or JSON for programs
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,
    /// Print a test that goes as this run went
    #[arg(long, value_name = "RUN", conflicts_with = "paths")]
    pub from_run: Option<String>,
}

/// How something is reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ReportFormat {
    /// Lines for people
    #[default]
    Text,
    /// JSON for programs
    Json,
}

#[derive(Debug, Args)]
pub struct SchemaArgs {
    #[command(flatten)]
    pub engine: EngineArgs,
}

#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Show what a component exports, imports and would need to be granted
    Inspect {
        /// The component
        file: PathBuf,
        /// Its WIT, if the component does not carry it
        #[arg(long, value_name = "FILE")]
        wit: Option<PathBuf>,
    },
    /// Install a component
    Add {
        #[command(flatten)]
        engine: EngineArgs,
        /// The component
        file: PathBuf,
        /// Its WIT, if the component does not carry it
        #[arg(long, value_name = "FILE")]
        wit: Option<PathBuf>,
        /// A capability that it may use, such as ai; may be given several times
        #[arg(long = "grant", value_name = "CAPABILITY")]
        grants: Vec<String>,
    },
    /// List what is installed
    List(FunctionsArgs),
}

#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Keep a secret, sealed; it is read from standard input, or asked for at a terminal
    Set {
        #[command(flatten)]
        engine: EngineArgs,
        /// Its name: $secrets.NAME in workflows
        name: String,
        /// Read it from a file
        #[arg(long, value_name = "FILE")]
        from_file: Option<PathBuf>,
    },
    /// List the names of the secrets that are kept
    List {
        #[command(flatten)]
        engine: EngineArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a secret
    Remove {
        #[command(flatten)]
        engine: EngineArgs,
        /// Its name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Print what a run has consumed, in order; a server may have the data directory
    Show {
        #[command(flatten)]
        engine: EngineArgs,
        /// The run's id
        run: String,
        /// Print a JSON line for each entry, whole
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub struct FunctionsArgs {
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Print JSON, with the schemas
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// Where to listen (loopback only; port 0 takes a free one)
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    pub listen: String,
    /// Where the data centre for user accounts listens (loopback only) [default: the port after that of --listen]
    #[arg(long, value_name = "ADDRESS")]
    pub mtproto: Option<String>,
    /// Begin with the people, bots and chats of this file instead of the usual ones
    #[arg(long, value_name = "FILE")]
    pub world: Option<PathBuf>,
    /// Keep the world in this directory
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Only these: pure, b1, b2, b3, b4, b5, start; and, only when they are named: long, growth
    pub only: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// The number of sleeping workflows of B4
    #[arg(long, default_value_t = 10_000)]
    pub sleepers: u32,
    /// The number of iterations of the loop of `long`; a tenth of it are durable
    #[arg(long, default_value_t = 1_000_000)]
    pub iterations: u32,
}
