//! The table of results.

use std::fmt::Write;

use crate::train::Outcome;

/// An aligned table, one line a method.
pub fn render(outcomes: &[Outcome], size: usize) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<23} {:>4} {:>10} {:>11} {:>10} {:>7} {:>6} {:>8} {:>10}",
        "method", "rank", "parameters", "compression", "test error", "rate", "epoch", "s/epoch", "µs/example"
    );
    for outcome in outcomes {
        let rank = outcome.method.rank.map_or("–".into(), |rank| rank.to_string());
        let _ = writeln!(
            text,
            "{:<23} {:>4} {:>10} {:>10.1}× {:>9.2}% {:>7.4} {:>6} {:>8.2} {:>10.2}",
            outcome.method.family.name(),
            rank,
            outcome.parameters,
            (size * size) as f64 / outcome.parameters as f64,
            100.0 * outcome.test_error,
            outcome.rate,
            outcome.epoch,
            outcome.seconds_per_epoch,
            outcome.micros_per_example,
        );
    }
    text.push_str(
        "parameters, compression and µs/example are the hidden layer's; methods share the cores while they train\n",
    );
    text
}
