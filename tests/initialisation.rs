//! Initialisation gives the entries the variance that was asked for, whatever the family, the shape and the rank.

use displace::{Builder, Family, Init};

/// The mean square of the entries over many seeds.
fn mean_square(builder: &Builder, seeds: u64) -> f64 {
    let square = |seed| {
        let dense = builder.clone().seed(seed).build::<f64>().unwrap().to_dense().unwrap();
        dense.iter().map(|m| m * m).sum::<f64>() / dense.len() as f64
    };
    (0..seeds).map(square).sum::<f64>() / seeds as f64
}

/// 200 seeds leave a deviation of at most about 8% (rank 1, whose square has heavy tails): five of them.
const TOLERANCE: f64 = 0.4;

/// Whether the entries follow from nodes alone, so that there is nothing to scale.
fn is_all_nodes(family: &Family) -> bool {
    matches!(
        family,
        Family::Vandermonde
            | Family::TransposedVandermonde
            | Family::CircleVandermonde
            | Family::TransposedCircleVandermonde
            | Family::Cauchy
    )
}

#[test]
fn the_variance_of_the_entries_does_not_depend_on_family_shape_or_rank() {
    for (rows, cols) in [(16, 16), (12, 31), (31, 12), (5, 40), (1, 9)] {
        let families = Family::ALL.into_iter().filter(|family| !is_all_nodes(family));
        for family in families.chain([Family::FCirculant(0.5)]) {
            for rank in [1, 2, 4] {
                if !family.has_rank() && rank > 1 || rank > rows.min(cols) {
                    continue;
                }
                let builder = Builder::new(family, rows, cols).init(Init::Variance(0.25));
                let builder = if family.has_rank() { builder.rank(rank) } else { builder };
                let ratio = mean_square(&builder, 200) / 0.25;
                assert!((ratio - 1.0).abs() < TOLERANCE, "{family} r={rank} {rows}×{cols}: {ratio}");
            }
        }
    }
}

#[test]
fn he_keeps_the_mean_square_of_activations_through_relu_layers() {
    for (family, rank) in [(Family::ToeplitzLike, Some(4)), (Family::Circulant, None), (Family::HankelLike, Some(16))] {
        let mut rng = fastrand::Rng::with_seed(5);
        let (mut total, seeds) = (0.0, 40);
        for seed in 0..seeds {
            let builder = Builder::new(family, 64, 64).init(Init::He).seed(seed);
            let builder = rank.into_iter().fold(builder, Builder::rank);
            let x: Vec<f64> = (0..64 * 50).map(|_| (2.0 * rng.f64() - 1.0) * 3f64.sqrt()).collect();
            let y = builder.build::<f64>().unwrap().apply(&x).unwrap();
            total += y.iter().map(|y| y.max(0.0).powi(2)).sum::<f64>() / y.len() as f64;
        }
        let mean_square = total / seeds as f64;
        assert!((mean_square - 1.0).abs() < 0.25, "{family}: {mean_square}");
    }
}

#[test]
fn the_same_seed_gives_the_same_parameters_and_another_seed_others() {
    let build = |seed| Builder::new(Family::ToeplitzLike, 7, 9).rank(3).seed(seed).build::<f32>().unwrap();
    assert_eq!(build(3).parameters(), build(3).parameters());
    assert_ne!(build(3).parameters(), build(4).parameters());
}
