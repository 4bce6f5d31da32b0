//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;

pub const HELP: &str = "\
Trains a network with a Toeplitz-like hidden layer that starts at rank 1 and grows until the validation error stops improving.

Usage: grow [--data DIR] [--quick] [--seed N]

  --data DIR  a data set in IDX format, gzipped or not (default: the subset of Fashion-MNIST in examples/data)
  --quick     less patience and fewer ranks: under 40 seconds
  --seed N    seed of all random numbers (default 1)
  --help      this text
";

pub struct Options {
    pub data: PathBuf,
    pub quick: bool,
    pub seed: u64,
    pub help: bool,
}

impl Options {
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, lexopt::Error> {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let mut options = Self { data: here.join("examples/data"), quick: false, seed: 1, help: false };
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Long("data") => options.data = parser.value()?.into(),
                Long("quick") => options.quick = true,
                Long("seed") => options.seed = parser.value()?.parse()?,
                Long("help") | Short('h') => options.help = true,
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(options)
    }
}
