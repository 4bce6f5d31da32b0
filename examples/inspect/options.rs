//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;

pub const HELP: &str = "\
Shows what is in the matrices of a safetensors file, and what training changed in them.

Usage: inspect [BASE [TUNED]] [options]

  BASE            the checkpoint, f64, f32, f16 or bf16
  TUNED           the same model after fine-tuning; without it, BASE is shown by itself
                  without either, a small network is trained and fine-tuned here
  --tolerance T   parameters that move by no more count as unchanged (default 1e-5)
  --k K           singular directions that are compared at either end (default min(m, n)/8, at most 16)
  --rank R        structures are fitted with R(m + n) parameters (default min(m, n)/32, at least 1)
  --svd-limit N   no decomposition of matrices whose smaller side is above N (default 1024); 0: none at all
  --no-fit        do not fit structures
  --json          print JSON instead of tables
  --out PREFIX    where the plot goes, PREFIX.svg and PREFIX.png (default: inspect)
  --data DIR      images for the network, in IDX format (default: the subset of Fashion-MNIST in examples/data)
  --rate R        learning rate of the network's fine-tuning (default 0.001)
  --quick         fewer images and epochs for the network: under a minute
  --seed N        seed of all random numbers (default 1)
  --help          this text

Exit code 2: files that cannot be read, tensors that do not match or cannot be read; all others are analysed.
";

pub struct Options {
    pub files: Vec<PathBuf>,
    pub tolerance: f64,
    pub k: Option<usize>,
    pub rank: Option<usize>,
    pub svd_limit: usize,
    pub fit: bool,
    pub json: bool,
    pub out: PathBuf,
    pub data: PathBuf,
    pub rate: f32,
    pub quick: bool,
    pub seed: u64,
    pub help: bool,
}

impl Options {
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, lexopt::Error> {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let mut options = Self {
            files: Vec::new(),
            tolerance: 1e-5,
            k: None,
            rank: None,
            svd_limit: 1024,
            fit: true,
            json: false,
            out: PathBuf::from("inspect"),
            data: here.join("examples/data"),
            rate: 0.001,
            quick: false,
            seed: 1,
            help: false,
        };
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Value(file) if options.files.len() < 2 => options.files.push(file.into()),
                Long("tolerance") => options.tolerance = parser.value()?.parse()?,
                Long("k") => options.k = Some(parser.value()?.parse()?),
                Long("rank") => options.rank = Some(parser.value()?.parse()?),
                Long("svd-limit") => options.svd_limit = parser.value()?.parse()?,
                Long("no-fit") => options.fit = false,
                Long("json") => options.json = true,
                Long("out") => options.out = parser.value()?.into(),
                Long("data") => options.data = parser.value()?.into(),
                Long("rate") => options.rate = parser.value()?.parse()?,
                Long("quick") => options.quick = true,
                Long("seed") => options.seed = parser.value()?.parse()?,
                Long("help") | Short('h') => options.help = true,
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(options)
    }

    /// The directions that are compared at either end of p.
    pub fn directions(&self, p: usize) -> usize {
        self.k.unwrap_or((p / 8).clamp(1, 16)).min(p.saturating_sub(1))
    }

    /// The rank of structures that are fitted to a matrix with p singular values.
    pub fn fit_rank(&self, p: usize) -> usize {
        self.rank.unwrap_or(p / 32).clamp(1, p)
    }
}
