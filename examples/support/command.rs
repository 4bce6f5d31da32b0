//! Command lines of examples, and how examples end.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Termination};

use lexopt::Parser;
use lexopt::prelude::*;

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// What every example on images in a framework is asked for.
#[derive(Debug, PartialEq)]
pub struct Options {
    pub data: PathBuf,
    pub quick: bool,
    pub rank: usize,
}

/// Reads a command line; `None` is a call for help. Options of one example alone are for `own`, which says whether it knows
/// the name.
#[allow(dead_code, reason = "not every example works on images")]
pub fn options(
    arguments: impl IntoIterator<Item = OsString>,
    rank: usize,
    mut own: impl FnMut(&str, &mut Parser) -> Result<bool, lexopt::Error>,
) -> Result<Option<Options>, lexopt::Error> {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let mut options = Options { data, quick: false, rank };
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("data") => options.data = parser.value()?.into(),
            Long("quick") => options.quick = true,
            Long("rank") => options.rank = parser.value()?.parse()?,
            Long("help") | Short('h') => return Ok(None),
            Long(name) => {
                let name = name.to_string();
                if !own(&name, &mut parser)? {
                    return Err(lexopt::Error::UnexpectedOption(format!("--{name}")));
                }
            }
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Some(options))
}

/// The main function of an example that trains a network and keeps it in a file, `out` unless another is asked for.
#[allow(dead_code, reason = "not every example keeps what it trains")]
pub fn train(name: &str, help: &str, out: &str, work: impl FnOnce(&Options, &Path) -> Outcome<()>) -> ExitCode {
    let mut out = PathBuf::from(out);
    let options = options(std::env::args_os().skip(1), 4, |name, parser| {
        if name == "out" {
            out = parser.value()?.into();
        }
        Ok(name == "out")
    });
    let outcome = match options {
        Ok(Some(options)) => work(&options, &out),
        Ok(None) => write!(stdout(), "{help}").map_err(Into::into),
        Err(error) => Err(error.into()),
    };
    end(name, outcome)
}

/// Ends an example: with code 2 and one line about what went wrong, be it the command line, a file or the work itself.
/// Output that nobody reads any more, as behind `| head`, is no failure.
pub fn end(name: &str, outcome: Outcome<impl Termination>) -> ExitCode {
    match outcome {
        Ok(value) => value.report(),
        Err(error) if nobody_reads(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::from(2)
        }
    }
}

fn nobody_reads(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
