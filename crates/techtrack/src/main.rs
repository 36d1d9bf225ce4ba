mod cli;
mod config;
mod logging;
mod terminal;
fn main() {}
