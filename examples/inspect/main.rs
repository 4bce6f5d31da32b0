//! What is in the matrices of a checkpoint, and what training changed in them.
//!
//! `cargo run --release --example inspect -- BASE [TUNED]` reads safetensors files, one tensor at a time. Without a file
//! it trains a pair of networks of its own and shows what can be said about them.

#[path = "../support"]
mod support {
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
use std::process::ExitCode;

use options::{HELP, Options};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            eprintln!("inspect: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether everything could be analysed.
fn run() -> Result<bool, Box<dyn Error>> {
    let options = Options::parse(std::env::args_os().skip(1))?;
    if options.help {
        print!("{HELP}");
        return Ok(true);
    }
    if options.files.is_empty() {
        pair::run(&options)?;
        return Ok(true);
    }
    let found = files::inspect(&options);
    if options.json {
        println!("{:#}", json::of_files(&options, &found));
    } else {
        print!("{}", table::render(&found.reports));
    }
    draw(&options, &found.reports)?;
    for note in &found.skipped {
        eprintln!("skipped: {note}");
    }
    for problem in &found.problems {
        eprintln!("problem: {problem}");
    }
    Ok(found.problems.is_empty())
}

/// Draws what there is to draw.
fn draw(options: &Options, reports: &[report::Report]) -> Result<(), Box<dyn Error>> {
    if reports.is_empty() {
        return Ok(());
    }
    let paths = plot::draw(reports, &options.out)?;
    eprintln!("plot: {} and {}", paths[0].display(), paths[1].display());
    Ok(())
}
