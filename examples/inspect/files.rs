//! Tensors of one or two files, matched by name.

use displace::checkpoint::{Precision, Reader, StoredTensor};
use indicatif::{ProgressBar, ProgressStyle};

use crate::options::Options;
use crate::report::{Header, Report, Stored};

/// What came of it.
#[derive(Default)]
pub struct Found {
    pub reports: Vec<Report>,
    /// What does not match or cannot be read.
    pub problems: Vec<String>,
    /// What does not hold real numbers, or holds none.
    pub skipped: Vec<String>,
}

/// Analyses the files of the command line, as far as that can be done.
pub fn inspect(options: &Options) -> Found {
    let mut found = Found::default();
    let mut readers = Vec::new();
    for path in &options.files {
        match Reader::open(path) {
            Ok(reader) => readers.push(reader),
            Err(error) => {
                let error = error.to_string();
                let path = path.display().to_string();
                found.problems.push(if error.contains(&path) { error } else { format!("{path}: {error}") });
            }
        }
    }
    let Some((base, tuned)) = readers.split_first() else {
        return found;
    };
    if tuned.is_empty() && options.files.len() > 1 {
        found.problems.push("one file is left: it is shown by itself".into());
    }
    let tuned = tuned.first();
    let pairs = matched(base, tuned, &mut found);
    let bar = bar(pairs.iter().map(|(tensor, ..)| tensor.len()).sum());
    for (tensor, precision) in pairs {
        bar.set_message(tensor.name().to_string());
        let report = match precision {
            Precision::F64 => report::<f64>(tensor, base, tuned, options, &bar),
            _ => report::<f32>(tensor, base, tuned, options, &bar),
        };
        match report {
            Ok(report) => found.reports.push(report),
            Err(error) => found.problems.push(format!("{}: {error}", tensor.name())),
        }
    }
    bar.finish_and_clear();
    found
}

fn report<T: displace::Scalar>(
    tensor: &StoredTensor,
    base: &Reader,
    tuned: Option<&Reader>,
    options: &Options,
    bar: &ProgressBar,
) -> Result<Report, Box<dyn std::error::Error>> {
    let header =
        Header { name: tensor.name().into(), shape: tensor.shape().to_vec(), dtype: tensor.dtype().to_string() };
    let stored = |reader| Stored { reader, name: tensor.name() };
    let after = tuned.map(stored);
    let after = after.as_ref().map(|after| after as &dyn crate::report::Source<T>);
    Report::new(header, &stored(base), after, options, &|count| bar.inc(count as u64))
}

/// The tensors of the base that can be analysed; what cannot is noted.
fn matched<'a>(base: &'a Reader, tuned: Option<&Reader>, found: &mut Found) -> Vec<(&'a StoredTensor, Precision)> {
    let mut pairs = Vec::new();
    for tensor in base.tensors() {
        let name = tensor.name();
        if let Some(tuned) = tuned {
            let Some(other) = tuned.tensor(name) else {
                found.problems.push(format!("{name}: only in BASE"));
                continue;
            };
            if other.shape() != tensor.shape() {
                found.problems.push(format!(
                    "{name}: shape {:?} in BASE, {:?} in TUNED",
                    tensor.shape(),
                    other.shape()
                ));
                continue;
            }
            if other.dtype() != tensor.dtype() {
                found.problems.push(format!("{name}: {} in BASE, {} in TUNED", tensor.dtype(), other.dtype()));
                continue;
            }
        }
        match tensor.precision() {
            None => found.skipped.push(format!("{name} holds {}", tensor.dtype())),
            Some(_) if tensor.is_empty() => found.skipped.push(format!("{name} is empty")),
            Some(precision) => pairs.push((tensor, precision)),
        }
    }
    let others = tuned.iter().flat_map(|tuned| tuned.tensors());
    found.problems.extend(
        others
            .filter(|other| base.tensor(other.name()).is_none())
            .map(|other| format!("{}: only in TUNED", other.name())),
    );
    pairs
}

fn bar(count: usize) -> ProgressBar {
    let bar = ProgressBar::new(count as u64);
    match ProgressStyle::with_template("{bar:40} {percent}%, {eta} to go, {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
