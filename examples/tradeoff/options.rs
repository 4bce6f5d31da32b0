//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;

pub const HELP: &str = "\
Trains a network with one structured n×n hidden layer, once per method, and compares test error with parameters.

Usage: tradeoff [--data DIR] [--quick] [--seed N] [--out PREFIX]

  --data DIR    a data set in IDX format, gzipped or not (default: the subset of Fashion-MNIST in examples/data)
  --quick       fewer images and epochs: under a minute
  --seed N      seed of all random numbers (default 1)
  --out PREFIX  where the plot goes, PREFIX.svg and PREFIX.png (default: tradeoff)
  --help        this text
";

pub struct Options {
    pub data: PathBuf,
    pub quick: bool,
    pub seed: u64,
    pub out: PathBuf,
    pub help: bool,
}

impl Options {
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, lexopt::Error> {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let mut options = Self {
            data: here.join("examples/data"),
            quick: false,
            seed: 1,
            out: PathBuf::from("tradeoff"),
            help: false,
        };
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Long("data") => options.data = parser.value()?.into(),
                Long("quick") => options.quick = true,
                Long("seed") => options.seed = parser.value()?.parse()?,
                Long("out") => options.out = parser.value()?.into(),
                Long("help") | Short('h') => options.help = true,
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(options)
    }
}
