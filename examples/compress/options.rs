//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;

pub const HELP: &str = "\
Compresses trained dense matrices into structured ones.

Usage: compress [MODEL] [--budget SHARE] [--only TEXT] [--steps N] [--search] [--quick] [--out FILE] [--plot PREFIX]
       compress MODEL --each [--budget SHARE] [--only TEXT] [--steps N] [--search] [--quick]
       compress --train DIR

  MODEL           a safetensors file or a directory of .npy files; without it, the small trained network in
                  examples/models/tradeoff, whose accuracy is measured as well
  --budget SHARE  what share of the parameters to keep, such as 0.05 (default 0.05)
  --each          no shared budget: every tensor at this share of its own parameters, in every family, and which is best
  --only TEXT     only tensors whose name contains this text
  --steps N       steps of refinement at most (default 100)
  --search        also lets nodes move, and tries other pairs of shifts and orders of rows and columns: several times as long
  --quick         fewer families and steps: under a minute for the built-in network
  --out FILE      where the result goes: a .safetensors file, or a directory of .npy files
  --plot PREFIX   where the plot goes, PREFIX.svg and PREFIX.png (default: compress)
  --train DIR     trains the built-in network once more and writes it to a directory
  --help          this text
";

pub struct Options {
    pub model: Option<PathBuf>,
    pub budget: f64,
    pub each: bool,
    pub only: String,
    pub steps: usize,
    pub search: bool,
    pub quick: bool,
    pub out: Option<PathBuf>,
    pub plot: PathBuf,
    pub train: Option<PathBuf>,
    pub help: bool,
}

impl Options {
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, lexopt::Error> {
        let mut options = Self {
            model: None,
            budget: 0.05,
            each: false,
            only: String::new(),
            steps: 100,
            search: false,
            quick: false,
            out: None,
            plot: PathBuf::from("compress"),
            train: None,
            help: false,
        };
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Value(model) if options.model.is_none() => options.model = Some(model.into()),
                Long("budget") => options.budget = parser.value()?.parse()?,
                Long("only") => options.only = parser.value()?.parse()?,
                Long("steps") => options.steps = parser.value()?.parse()?,
                Long("each") => options.each = true,
                Long("search") => options.search = true,
                Long("quick") => options.quick = true,
                Long("out") => options.out = Some(parser.value()?.into()),
                Long("plot") => options.plot = parser.value()?.into(),
                Long("train") => options.train = Some(parser.value()?.into()),
                Long("help") | Short('h') => options.help = true,
                _ => return Err(argument.unexpected()),
            }
        }
        if !(options.budget > 0.0 && options.budget <= 1.0) {
            return Err(format!("--budget {} is not in (0, 1]", options.budget).as_str().into());
        }
        if options.each && options.model.is_none() {
            return Err("--each needs a MODEL".into());
        }
        if options.each && options.out.is_some() {
            return Err("--each compares, and writes no result: leave --out away".into());
        }
        Ok(options)
    }
}
