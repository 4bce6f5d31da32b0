//! Command lines of the examples: what they read, and how the programs end.

#[path = "../examples/support/command.rs"]
#[allow(dead_code, reason = "the tests look at less than the examples")]
mod command;

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use command::Options;

/// The options that the examples in frameworks share, and one of an example's own.
fn parse(arguments: &[&str]) -> Result<Option<(Options, f64)>, String> {
    let mut own = 45.0;
    let options = command::options(arguments.iter().map(Into::into), 4, |name, parser| {
        use lexopt::ValueExt;
        if name == "degrees" {
            own = parser.value()?.parse()?;
        }
        Ok(name == "degrees")
    });
    options.map(|options| options.map(|options| (options, own))).map_err(|error| error.to_string())
}

#[test]
fn options_are_read() {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    assert_eq!(parse(&[]), Ok(Some((Options { data, quick: false, rank: 4 }, 45.0))));
    let all = ["--data", "elsewhere", "--quick", "--rank=7", "--degrees", "-30.5"];
    assert_eq!(parse(&all), Ok(Some((Options { data: "elsewhere".into(), quick: true, rank: 7 }, -30.5))));
    assert_eq!(parse(&["--quick", "-h"]), Ok(None));
    assert_eq!(parse(&["--help"]), Ok(None));
}

#[test]
fn options_that_make_no_sense_are_named() {
    for (arguments, name) in [
        (&["--colour"][..], "--colour"),
        (&["--rank", "many"], "many"),
        (&["--rank", "-1"], "-1"),
        (&["--rank"], "--rank"),
        (&["--quick=yes"], "--quick"),
        (&["file"], "file"),
        (&["-x"], "-x"),
    ] {
        let refused = parse(arguments).unwrap_err();
        assert!(refused.contains(name) && refused.lines().count() == 1, "{arguments:?}: {refused}");
    }
}

/// An example as a whole `cargo test` has built it beside this test; `None` where only this test was built.
fn example(name: &str) -> Option<Command> {
    let mut path = std::env::current_exe().ok()?;
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    path.is_file().then(|| Command::new(path))
}

fn run(name: &str, arguments: &[&str]) -> Option<Output> {
    Some(example(name)?.args(arguments).output().expect("the example should start"))
}

#[test]
fn what_an_example_cannot_do_is_said_in_one_line_with_exit_code_2() {
    let absent = std::env::temp_dir().join("displace-no-such-directory");
    let absent = absent.to_str().unwrap();
    let each_on_images = ["tradeoff", "grow", "mnist_candle", "mnist_burn", "adapter"];
    let mut cases: Vec<_> = each_on_images.map(|name| (name, vec!["--quick", "--data", absent])).into();
    for name in each_on_images.into_iter().chain(["speed", "framework_speed", "inspect", "compress"]) {
        cases.push((name, vec!["--no-such-option"]));
    }
    cases.extend(["inspect", "compress"].map(|name| (name, vec![absent])));
    for (name, arguments) in cases {
        let Some(output) = run(name, &arguments) else { continue };
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name} {arguments:?}: {said}");
        assert!(output.stdout.is_empty() && said.lines().count() == 1, "{name} {arguments:?}: {said}");
        assert!(said.contains(arguments.last().unwrap()), "{name} {arguments:?}: {said}");
    }
}

#[test]
fn help_is_no_failure() {
    for name in ["inspect", "mnist_candle", "mnist_burn", "adapter", "framework_speed"] {
        let Some(output) = run(name, &["--help"]) else { continue };
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("Usage: ") && output.stderr.is_empty(), "{name}");
    }
}

#[cfg(all(unix, feature = "safetensors"))]
#[test]
fn inspect_ends_quietly_when_nobody_reads_on() {
    use displace::checkpoint::Writer;

    let Some(mut inspect) = example("inspect") else { return };
    let place = std::env::temp_dir().join(format!("displace-pipe-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let path = place.join("many.safetensors");
    // More output than a pipe holds.
    let numbers: Vec<f32> = (0..16).map(|k| k as f32).collect();
    let names: Vec<String> = (0..200).map(|k| format!("{k:0500}")).collect();
    let writer = names.iter().fold(Writer::new(), |writer, name| writer.tensor(name, &[16], &numbers));
    writer.save(&path).unwrap();

    let mut inspect = inspect
        .args([path.as_os_str(), "--json".as_ref(), "--out".as_ref(), place.join("plot").as_os_str()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0];
    inspect.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = inspect.wait_with_output().unwrap();
    std::fs::remove_dir_all(&place).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(first == *b"{" && output.status.success() && !said.contains("panicked"), "{said}");
}
