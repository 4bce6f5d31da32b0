//! What there is no memory for is refused with an error, where the process would be aborted otherwise.
#![cfg(target_os = "linux")]

use displace::Error;
use displace::displacement::{OperatorMatrix, Shift, Transposed};
use displace::ldr::{CircleVandermondeLike, LearnedOperators, VandermondeLike};

/// Tells the tests below that the process may use little memory.
const LIMITED: &str = "DISPLACE_TEST_LIMITED_MEMORY";

/// Runs a test in a process of its own with 2 GiB.
#[track_caller]
fn assert_passes_with_little_memory(test: &str) {
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -c 0; ulimit -v 2097152; exec \"$0\" --exact \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(LIMITED, "")
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && report.contains("1 passed"), "{report}");
}

fn is_limited() -> bool {
    std::env::var_os(LIMITED).is_some()
}

#[test]
fn plans_of_learned_operators_are_refused() {
    if !is_limited() {
        return assert_passes_with_little_memory("plans_of_learned_operators_are_refused");
    }
    let refusal = |numbers| Some(Error::Memory { what: "the plan and a matrix of learned operators", numbers });
    let tridiagonal = 1 << 24;
    assert_eq!(LearnedOperators::<f64>::tridiagonal(tridiagonal, 1, 1).err(), refusal(110 * tridiagonal));
    assert_eq!(LearnedOperators::<f32>::tridiagonal(1, tridiagonal, 0).err(), refusal(100 * tridiagonal));
    let subdiagonal = 1 << 26;
    assert_eq!(LearnedOperators::<f64>::subdiagonal(subdiagonal, 1, 1).err(), refusal(25 * subdiagonal));
    assert_eq!(LearnedOperators::<f32>::subdiagonal(1, subdiagonal, 0).err(), refusal(20 * subdiagonal));
}

#[test]
fn lists_of_what_a_long_shift_consists_of_are_refused() {
    if !is_limited() {
        return assert_passes_with_little_memory("lists_of_what_a_long_shift_consists_of_are_refused");
    }
    let order = 1 << 40;
    let shift = Shift::new(order, -2.0).unwrap();
    let weights = Some(Error::Memory { what: "the weights", numbers: order });
    assert_eq!(shift.cycle().err(), weights);
    assert_eq!(Transposed(shift).cycle().err(), weights);
    let eigenvalues = Some(Error::Memory { what: "the eigenvalues", numbers: order });
    assert_eq!(shift.eigenvalues().err(), eigenvalues);
    assert_eq!(Transposed(shift).norm_bound(), Ok(2.0));
}

#[test]
fn vandermonde_matrices_of_more_columns_than_there_is_memory_for_are_refused() {
    if !is_limited() {
        let test = "vandermonde_matrices_of_more_columns_than_there_is_memory_for_are_refused";
        return assert_passes_with_little_memory(test);
    }
    let cols = (1 << 31) - 1;
    let refused = Some(Error::Memory { what: "H", numbers: cols });
    assert_eq!(VandermondeLike::from_nodes(&[0.5], cols).err(), refused);
    assert_eq!(CircleVandermondeLike::from_angles(&[0.5], cols).err(), refused);
}
