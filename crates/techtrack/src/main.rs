//! TechTrack's program: reads the command line and the configuration, puts the crates together, and runs.
//!
//! - [`cli`] holds the words of the command line, [`commands`] what they do, [`failure`] how they fail.
//! - [`config`] holds the one table of settings and judges what was set.
//! - [`compose`] is the only place that knows every adapter; [`serve`] runs what it put together.
//! - [`address`] knows where a server on this machine is reached; [`logging`] and [`terminal`] are the two ways to say something.
//!
//! What the product does is in the crate `domain`; how it looks over HTTP is in `api-http`.

mod address;
mod cli;
mod commands;
mod compose;
mod config;
mod failure;
mod logging;
mod serve;
mod terminal;

use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let line = cli::CommandLine::parse();
    match commands::run(line, &config::Environment::of_this_process()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell();
            failure.exit_code()
        }
    }
}
