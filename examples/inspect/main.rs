//! What is in the matrices of a checkpoint, and what training changed in them.
//!
//! `cargo run --release --example inspect -- BASE [TUNED]` reads safetensors files, one tensor at a time. Without a file
//! it trains a pair of networks of its own and shows what can be said about them.

#[path = "../support"]
mod support {
    pub mod command;
    pub mod idx;
    pub mod images;
    pub mod network;
    pub mod sgd;
}

mod files;
mod json;
mod options;
mod pair;
mod plot;
mod report;
mod table;
mod train;

use std::error::Error;
use std::io::{Write, stdout};
use std::process::ExitCode;

use options::{HELP, Options};

fn main() -> ExitCode {
    support::command::end("inspect", run())
}

/// Success, if everything could be analysed.
fn run() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse(std::env::args_os().skip(1))?;
    if options.help {
        write!(stdout(), "{HELP}")?;
        return Ok(ExitCode::SUCCESS);
    }
    if options.files.is_empty() {
        pair::run(&options)?;
        return Ok(ExitCode::SUCCESS);
    }
    let found = files::inspect(&options);
    let text = match options.json {
        true => format!("{:#}\n", json::of_files(&options, &found)),
        false => table::render(&found.reports),
    };
    let shown = show(&text, &options, &found.reports);
    for note in &found.skipped {
        eprintln!("skipped: {note}");
    }
    for problem in &found.problems {
        eprintln!("problem: {problem}");
    }
    shown?;
    Ok(if found.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// Prints a text and draws what there is to draw, whether or not the text was read to its end.
fn show(text: &str, options: &Options, reports: &[report::Report]) -> Result<(), Box<dyn Error>> {
    let shown = stdout().write_all(text.as_bytes());
    if !reports.is_empty() {
        let paths = plot::draw(reports, &options.out)?;
        eprintln!("plot: {} and {}", paths[0].display(), paths[1].display());
    }
    Ok(shown?)
}
