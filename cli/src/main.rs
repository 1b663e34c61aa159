//! `potok`: the binary. It reads the command line and the configuration, puts the engine together from its rooms, and turns what
//! happened into an exit code.

/// Writes a line to stdout. Nobody who stops reading (`| head`) is an error.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout().lock(), $($text)*);
    }};
}

mod args;
mod commands;
mod config;
mod engine;
mod exit;
mod input;
mod progress;
mod providers;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let usage = error.use_stderr();
            // Printing help fails only when nobody reads it.
            let _ = error.print();
            return ExitCode::from(if usage { exit::USAGE } else { exit::COMPLETED });
        }
    };
    // One TLS provider, chosen before anyone asks for one. It can be installed once only, which is now.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("potok: the runtime cannot start: {error}");
            return ExitCode::from(exit::FAULTED);
        }
    };
    let code = runtime.block_on(commands::dispatch(cli));
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    ExitCode::from(code)
}
