//! The order of long spectra of single signals, undone tile by tile.
//!
//! Neighbours on a grid lie far apart in a spectrum, at distances that are multiples of a power of two: read one by one,
//! they drive each other out of the first-level cache, and every number costs a line of it. A tile of W registers, W numbers
//! each, is the remedy: W registers of the spectrum that hold the i-th of W neighbours, one neighbourhood a lane, become
//! by a transposition W registers of neighbours.

use super::super::isa::{Isa, lanes, lanes_mut};
use crate::Scalar;

/// Where the numbers of a spectrum belong, in an order that has these properties: W² numbers are a *tile*, number
/// `kW + l` of which has the index `base + row_k + lane_l`; the bases of all tiles come in runs of W neighbours; and the
/// reflection of an index, `last − index`, reflects base, row and lane.
#[derive(Debug)]
pub(super) struct Tiles {
    /// Tiles in the order of their bases.
    tiles: Vec<u32>,
    /// The base of each run of W tiles.
    bases: Vec<u32>,
    rows: Vec<Row>,
    /// `lane_l`.
    lanes: Vec<usize>,
}

/// A row of the upper half circle and its reflection.
#[derive(Debug)]
struct Row {
    /// k.
    row: usize,
    reflected: usize,
    /// `row_k`.
    offset: usize,
}

impl Tiles {
    /// The tiles of an order, in which position p holds index `order[p]`; `None` where it lacks one of the properties.
    pub fn new(order: &[usize], w: usize) -> Option<Self> {
        let (tiles, rest) = (order.chunks_exact(w * w), order.chunks_exact(w * w).remainder());
        let first = order.get(..w * w).filter(|_| rest.is_empty())?;
        let offset = |at: usize| first[at].checked_sub(first[0]);
        let lanes: Vec<usize> = (0..w).map(offset).collect::<Option<_>>()?;
        let offsets: Vec<usize> = (0..w).map(|k| offset(k * w)).collect::<Option<_>>()?;
        let mut by_base: Vec<(usize, usize)> = Vec::with_capacity(tiles.len());
        for (tile, indices) in tiles.enumerate() {
            let base = indices[0];
            let mut expected = offsets.iter().flat_map(|row| lanes.iter().map(move |lane| base + row + lane));
            if !indices.iter().all(|&index| expected.next() == Some(index)) {
                return None;
            }
            by_base.push((base, tile));
        }
        by_base.sort_unstable();
        let runs = by_base.chunks_exact(w);
        let consecutive = |run: &[(usize, usize)]| run.iter().enumerate().all(|(i, &(base, _))| base == run[0].0 + i);
        if !runs.remainder().is_empty() || !runs.clone().all(consecutive) {
            return None;
        }
        let (low, high) = (by_base.first()?.0, by_base.last()?.0);
        let (widest, last) = (*lanes.last()?, *offsets.iter().max()?);
        let mut reflected = by_base.iter().zip(by_base.iter().rev());
        if !reflected.all(|(a, b)| a.0 + b.0 == low + high)
            || !lanes.iter().zip(lanes.iter().rev()).all(|(a, b)| a + b == widest)
            || low + high + widest + last + 1 != order.len()
        {
            return None;
        }
        let upper = |&k: &usize| 2 * offsets[k] < last;
        let row = |k: usize| {
            let reflected = offsets.iter().position(|o| o + offsets[k] == last)?;
            Some(Row { row: k, reflected, offset: offsets[k] })
        };
        let rows: Vec<_> = (0..w).filter(upper).map(row).collect::<Option<_>>()?;
        let is_upper = |row: &Row| 2 * (high + row.offset + widest) < order.len();
        if 2 * rows.len() != w || !rows.iter().all(is_upper) {
            return None;
        }
        let bases = runs.map(|run| run[0].0 as u32).collect();
        Some(Self { tiles: by_base.iter().map(|t| t.1 as u32).collect(), bases, rows, lanes })
    }

    /// One plane of a spectrum to one of the upper half circle: index j belongs to point 2j, and its reflection, times
    /// `sign`, to the point behind.
    #[inline(always)]
    pub fn unfold<T: Scalar, I: Isa<T>>(&self, isa: I, sign: T, spectrum: &[T], grid: &mut [T]) {
        let (w, spectrum, sign) = (T::LANES, lanes::<T>(spectrum), isa.splat(sign));
        for (run, &base) in self.bases.iter().enumerate() {
            let [tiles, reflected] = self.run(run, w);
            for row in &self.rows {
                let mut parts = [T::tile(isa.splat(T::zero())); 2];
                for i in 0..w {
                    let (tile, other) = (tiles[i] as usize, reflected[w - 1 - i] as usize);
                    let pair = &mut parts[2 * i / w].as_mut()[2 * i % w..][..2];
                    pair[0] = isa.load(&spectrum[tile * w + row.row]);
                    pair[1] = isa.mul(sign, isa.reverse(isa.load(&spectrum[other * w + row.reflected])));
                }
                // No closures here: they would be compiled without the instruction set.
                isa.transpose(&mut parts[0]);
                isa.transpose(&mut parts[1]);
                for (lane, offset) in self.lanes.iter().enumerate() {
                    let out = lanes_mut::<T>(&mut grid[2 * (base as usize + row.offset + offset)..][..2 * w]);
                    isa.store(&mut out[0], parts[0].as_ref()[lane]);
                    isa.store(&mut out[1], parts[1].as_ref()[lane]);
                }
            }
        }
    }

    /// The transpose of [`Self::unfold`], which is its inverse.
    #[inline(always)]
    pub fn fold<T: Scalar, I: Isa<T>>(&self, isa: I, sign: T, grid: &[T], spectrum: &mut [T]) {
        let (w, spectrum, sign) = (T::LANES, lanes_mut::<T>(spectrum), isa.splat(sign));
        for (run, &base) in self.bases.iter().enumerate() {
            let [tiles, reflected] = self.run(run, w);
            for row in &self.rows {
                let mut parts = [T::tile(isa.splat(T::zero())); 2];
                for (lane, offset) in self.lanes.iter().enumerate() {
                    let from = lanes::<T>(&grid[2 * (base as usize + row.offset + offset)..][..2 * w]);
                    parts[0].as_mut()[lane] = isa.load(&from[0]);
                    parts[1].as_mut()[lane] = isa.load(&from[1]);
                }
                // No closures here: they would be compiled without the instruction set.
                isa.transpose(&mut parts[0]);
                isa.transpose(&mut parts[1]);
                for i in 0..w {
                    let (tile, other) = (tiles[i] as usize, reflected[w - 1 - i] as usize);
                    let pair = &parts[2 * i / w].as_ref()[2 * i % w..][..2];
                    isa.store(&mut spectrum[tile * w + row.row], pair[0]);
                    isa.store(&mut spectrum[other * w + row.reflected], isa.mul(sign, isa.reverse(pair[1])));
                }
            }
        }
    }

    /// The tiles of a run, and those of its reflection, whose order is the reverse.
    #[inline(always)]
    fn run(&self, run: usize, w: usize) -> [&[u32]; 2] {
        [&self.tiles[run * w..][..w], &self.tiles[self.tiles.len() - (run + 1) * w..][..w]]
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::isa::PORTABLE_ONLY;
    use super::super::super::{Form, RealTransform, Wrap};
    use super::*;
    use crate::transform::isa::Kernel;

    fn order<T: Scalar>(len: usize) -> Vec<usize> {
        RealTransform::<T>::new(len, Wrap::Negacyclic).order(Form::Single)
    }

    #[test]
    fn long_spectra_consist_of_tiles() {
        for len in [2048, 4096, 8192, 1 << 14, 1 << 15, 1 << 16, 1 << 17, 3 << 11, 9 << 11, 9 << 13] {
            assert!(Tiles::new(&order::<f32>(len), 8).is_some(), "f32 {len}");
            assert!(Tiles::new(&order::<f64>(len), 4).is_some(), "f64 {len}");
        }
    }

    #[test]
    fn any_other_order_is_refused() {
        let tiled = order::<f64>(1 << 10);
        assert!(Tiles::new(&tiled, 4).is_some());
        assert!(Tiles::new(&tiled[..(1 << 9) - 1], 4).is_none());
        assert!(Tiles::new(&[], 4).is_none());
        let natural: Vec<usize> = (0..1 << 9).collect();
        assert!(Tiles::new(&natural, 4).is_none());
        for at in [0, 1, 5, 100, 511] {
            let mut swapped = tiled.clone();
            swapped.swap(at, 300);
            assert!(Tiles::new(&swapped, 4).is_none(), "{at}");
        }
    }

    #[test]
    fn points_go_where_their_index_says_and_back() {
        fn check<T: Scalar>(len: usize) {
            let order = order::<T>(len);
            let half = order.len();
            let tiles = Tiles::new(&order, T::LANES).unwrap();
            let spectrum: Vec<T> = order.iter().map(|&j| T::of(j as f64)).collect();
            let (mut grid, mut back) = (vec![T::zero(); half], vec![T::zero(); half]);
            let expected: Vec<T> = (0..half)
                .map(|q| T::of(if q % 2 == 0 { (q / 2) as f64 } else { q as f64 / 2.0 + 0.5 - half as f64 }))
                .collect();
            struct Both<'a, T>(&'a Tiles, &'a [T], &'a mut [T], &'a mut [T]);
            impl<T: Scalar> Kernel<T> for Both<'_, T> {
                fn run<I: Isa<T>>(self, isa: I) {
                    self.0.unfold(isa, -T::one(), self.1, self.2);
                    self.0.fold(isa, -T::one(), self.2, self.3);
                }
            }
            for portable in [false, true] {
                PORTABLE_ONLY.set(portable);
                T::run(Both(&tiles, &spectrum, &mut grid, &mut back));
                PORTABLE_ONLY.set(false);
                assert!(grid == expected && back == spectrum, "{} {len}", T::NAME);
                grid.fill(T::zero());
                back.fill(T::zero());
            }
        }
        for len in [2048, 4096, 3 << 11, 9 << 11] {
            check::<f32>(len);
            check::<f64>(len);
        }
    }
}
