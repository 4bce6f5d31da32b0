//! Command lines of examples, and how examples end.

use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
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
