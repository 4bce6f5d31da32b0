//! How a tree grows from its leaves, once for each set of parameters.

use super::Scattering;
use super::cascade::Cascade;
use super::field::Lane;
use super::junction::Junction;
use super::leaf::{Coefficients, Last, Leaf};
use super::passage::Pack;
use super::plan::{BLOCK_ROOMS, LANES, Level, Plan, interleave, separate};
use super::ports::{ALPHA, Ports};
use super::series::{self, TAIL};
use crate::transform::isa::Kernels;

/// What may come back through the places that a leaf looks ahead at: nothing that a sum of numbers up to the largest
/// growth that there is a tree for could tell from rounding errors.
const BACK: f64 = 1e-22;

/// The series of all blocks of a height, before they are cut.
struct Grown {
    series: Vec<f64>,
    /// Coefficients of each series.
    known: usize,
    /// Lanes in which the blocks lie.
    lanes: usize,
    /// Rooms that all series fit in, the smallest first.
    rooms: Vec<usize>,
}

impl Scattering {
    /// Goes up the tree. `None` where the series of a block are longer than there is room for, or grow too far to be added in
    /// double precision: the operator reflects or amplifies too much.
    pub fn new(plan: &Plan, entries: &[f64], generators: &[f64], growth: f64) -> Option<Self> {
        let mut scattering = Self {
            entries: entries.to_vec(),
            unit: generators.iter().fold(0.0, |m: f64, g| m.max(g.abs())),
            growth,
            leaves: Vec::new(),
            last: Vec::new(),
            rooms: Vec::new(),
            series: Vec::new(),
            entering: Vec::new(),
        };
        scattering.plant(plan, generators);
        let mut grown = plan.leaf_rooms().into_iter().find_map(|known| scattering.leaf_series(plan, known))?;
        for h in 0..plan.height() {
            // What enters may be longer than the series of the blocks, and need more room.
            grown = grown.rooms.iter().find_map(|&room| scattering.join(plan, h, &grown, room))?;
        }
        scattering.close(plan, grown)?;
        Some(scattering)
    }

    /// Takes the leaves out of the operator and the generators.
    fn plant(&mut self, plan: &Plan, generators: &[f64]) {
        let (groups, width) = (plan.blocks(0) / LANES, plan.leaf_width());
        let entries = (3 * width + 1) * LANES;
        let mut leaves = vec![0.0; groups * (entries + plan.rank * width * LANES)];
        let each = leaves.len() / groups;
        for (group, leaf) in leaves.chunks_exact_mut(each).enumerate() {
            let (lower, rest) = leaf.split_at_mut((width + 1) * LANES);
            let (diagonal, rest) = rest.split_at_mut(width * LANES);
            let (upper, to) = rest.split_at_mut(width * LANES);
            let band = self.band();
            for lane in 0..LANES {
                let (places, more) = Self::wide_places(plan, group, lane);
                let put = |to: &mut [f64], from: &[f64]| {
                    let from = from[places.clone()].iter().chain(&from[..more]);
                    to[lane..].iter_mut().step_by(LANES).zip(from).for_each(|(t, f)| *t = *f);
                };
                put(lower, band.lower);
                put(diagonal, band.diagonal);
                put(upper, band.upper);
                // What leads out of a leaf is not its own.
                lower[lane] = 0.0;
                upper[(places.len() + more - 1) * LANES + lane] = 0.0;
                for (to, from) in to.chunks_exact_mut(width * LANES).zip(generators.chunks_exact(plan.order)) {
                    put(to, from);
                }
            }
            let places: [_; LANES] = std::array::from_fn(|lane| Self::leaf_places(plan, group, lane).len());
            self.last.push([Last::new(places), Last::new(places.map(|count| count + plan.overlap))]);
        }
        self.leaves = leaves;
    }

    /// The series of the leaves, if they fit in a room, with all the smaller ones that they fit in.
    fn leaf_series(&self, plan: &Plan, largest: usize) -> Option<Grown> {
        let (known, Ports { ways, sources }) = (plan.len(0, largest), plan.ports);
        let each = known * LANES;
        let mut series = vec![0.0; plan.blocks(0) / LANES * plan.ports.each() * each];
        let mut w = vec![0.0; Leaf::vector_len(plan.leaf_width())];
        let mut rooms: Vec<usize> = (plan.first_room()..=largest).collect();
        let margins: Vec<usize> = rooms.iter().map(|&room| plan.margin(0, room, known)).collect();
        let (mut smallest, mut both) = (0, vec![0.0; 2 * each]);
        for (at, series) in series.chunks_exact_mut(sources * each).enumerate() {
            self.unit(plan, at / ways, at % ways, &mut w);
            let (to_ways, generators) = series.split_at_mut(ways * each);
            Leaf { ways: 2, ..self.leaf(plan, at / ways) }.expand(&mut w, &mut both, generators);
            to_ways.copy_from_slice(&both[..ways * each]);
            // Where there is no way back, nothing may come from behind what a leaf looks ahead at.
            if !both[ways * each..].iter().all(|back| back.abs() <= BACK) {
                return None;
            }
            for (source, series) in series.chunks_exact(each).enumerate() {
                smallest = smallest.max(self.fitting(series, LANES, &margins, 1.0, source >= ways)?);
            }
        }
        // What is inside the leaf must have died away as well, not only what is at its ends.
        let groups = plan.blocks(0) / LANES;
        let forgotten = |margin: &usize| (0..groups).all(|group| self.is_forgotten(plan, group, *margin));
        smallest += margins[smallest..].iter().position(forgotten)?;
        Some(Grown { series, known, lanes: LANES, rooms: rooms.split_off(smallest) })
    }

    /// Whether nothing is left of any source at the places of the leaves of a group after so many steps.
    fn is_forgotten(&self, plan: &Plan, group: usize, steps: usize) -> bool {
        let (leaf, width, ways) = (self.leaf(plan, group), plan.leaf_width(), plan.ports.ways);
        let mut w = vec![0.0; Leaf::vector_len(width)];
        let (none, generators) = (vec![0.0; ways * steps * LANES], vec![0.0; plan.rank * steps * LANES]);
        let t = Coefficients { ways: &none, generators: &generators };
        (0..plan.ports.sources).all(|source| {
            match source.checked_sub(ways) {
                Some(j) => w[..width * LANES].copy_from_slice(&leaf.generators[j * width * LANES..][..width * LANES]),
                None if source == ALPHA => {
                    w.fill(0.0);
                    w[..LANES].fill(1.0);
                }
                None => self.unit(plan, group, ways - 1, &mut w),
            }
            leaf.combine(t, &mut w);
            let size = if source >= ways { self.unit } else { 1.0 };
            series::largest(&w[..plan.width * LANES]) <= TAIL * size
        })
    }

    /// Joins the blocks of height h in pairs, with series cut to a room. `None` if what enters does not fit.
    fn join(&mut self, plan: &Plan, h: usize, grown: &Grown, room: usize) -> Option<Grown> {
        self.rooms.truncate(h);
        self.rooms.push(room);
        let ports = plan.ports;
        let (each, [_, met]) = (ports.each(), ports.met());
        let tree = self.tree(plan);
        let (level, lanes) = (tree.level(h), tree.lanes(h));
        let series = grown.cut(plan, h, room, lanes);
        let (n, len, gain) = (level.block(), tree.len(h) * lanes, level.gain().recip());
        let known = level.len();
        let mut rooms: Vec<usize> =
            (plan.first_room()..BLOCK_ROOMS).filter(|&room| plan.len(h + 1, room) <= known).collect();
        let margins: Vec<usize> = rooms.iter().map(|&room| plan.margin(h + 1, room, known)).collect();
        let mut smallest = 0;
        let joined_len = plan.len(h + 1, *rooms.last()?) * lanes;
        let mut scratch = vec![0.0; plan.transform_scratch()];
        let (mut blocks, mut ends) = (vec![0.0; met * n], vec![0.0; each * n]);
        let mut spectra = vec![0.0; each * n];
        let mut entering = vec![0.0; tree.groups(h) * each * n];
        let mut joined = vec![0.0; tree.groups(h) * each * joined_len];
        let groups = entering.chunks_exact_mut(each * n).zip(joined.chunks_exact_mut(each * joined_len));
        for (group, (entering, joined)) in groups.enumerate() {
            let series = &series[group * 2 * each * len..][..2 * each * len];
            let (left, right) = series.split_at(each * len);
            Self::blocks(level, [left, right], ports, &mut blocks, &mut scratch);
            Self::meet(level, self.bonds(tree, h, group), ports, &blocks, &mut spectra, &mut ends);
            f64::run(Pack { spectra: &spectra, count: each, factor: gain, packed: entering });
            // The spectra wrap around: what enters must be short enough for a correlation of the series' length.
            for (at, signal) in spectra.chunks_exact_mut(n).enumerate() {
                level.signal(signal, &mut scratch);
                self.fitting(signal, lanes, &[len / lanes + 1], gain, ports.is_from_generator(at))?;
            }
            for (at, (end, joined)) in ends.chunks_exact_mut(n).zip(joined.chunks_exact_mut(joined_len)).enumerate() {
                level.signal(end, &mut scratch);
                end.iter_mut().for_each(|e| *e *= gain);
                if let Some(block) = ports.direct(at) {
                    let series = &series[(block * each + at) * len..][..len];
                    end.iter_mut().zip(series).for_each(|(e, s)| *e += s);
                }
                smallest = smallest.max(self.fitting(end, lanes, &margins, 1.0, ports.is_from_generator(at))?);
                joined.copy_from_slice(&end[..joined_len]);
            }
        }
        self.entering.truncate(h);
        self.entering.push(entering);
        self.series.truncate(h);
        self.series.push(series);
        Some(Grown { series: joined, known: joined_len / lanes, lanes, rooms: rooms.split_off(smallest) })
    }

    /// What enters, and what it adds to the ends.
    fn meet(level: &Level, bonds: [Lane; 2], ports: Ports, blocks: &[f64], entering: &mut [f64], ends: &mut [f64]) {
        if ports.ways == 2 {
            return f64::run(Junction { z: &level.z, bonds, blocks, entering, ends });
        }
        f64::run(Cascade { z: &level.z, lambda: bonds[0], blocks, entering, ends });
    }

    /// Closes the ring: the last place is before the first.
    fn close(&mut self, plan: &Plan, grown: Grown) -> Option<()> {
        let (h, ports) = (plan.height(), plan.ports);
        let room = *grown.rooms.first()?;
        self.rooms.truncate(h);
        self.rooms.push(room);
        self.series.push(grown.cut(plan, h, room, 1));
        let tree = self.tree(plan);
        let level = tree.level(h);
        let (n, gain) = (level.block(), level.gain().recip());
        let mut scratch = vec![0.0; plan.transform_scratch()];
        let mut blocks = vec![0.0; ports.met()[1] * n];
        self.whole(tree, &mut blocks, &mut scratch);
        let (mut all, mut ends) = (vec![0.0; ports.each() * n], vec![0.0; ports.each() * n]);
        let bonds = self.bonds_at(plan, 0).map(|bond| [bond; LANES]);
        Self::meet(level, bonds, ports, &blocks, &mut all, &mut ends);
        let mut spectra = vec![0.0; ports.ways * plan.rank * n];
        let from_generators = all.chunks_exact_mut(n).enumerate().filter(|(at, _)| ports.is_from_generator(*at));
        for ((_, signal), spectrum) in from_generators.zip(spectra.chunks_exact_mut(n)) {
            level.signal(signal, &mut scratch);
            self.fitting(signal, 1, &[n - n / 8], gain, true)?;
            // Krylov sequences end after N vectors.
            level.replicated(&signal[..plan.order], gain, spectrum, &mut scratch);
        }
        let mut entering = vec![0.0; spectra.len()];
        let count = ports.ways * plan.rank;
        f64::run(Pack { spectra: &spectra, count, factor: gain, packed: &mut entering });
        self.entering.push(entering);
        Some(())
    }
}

impl Grown {
    /// The series cut to a room, in so many lanes.
    fn cut(&self, plan: &Plan, h: usize, room: usize, lanes: usize) -> Vec<f64> {
        let (known, len) = (self.known * self.lanes, plan.len(h, room) * self.lanes);
        let mut cut = Vec::with_capacity(self.series.len() / known * len);
        self.series.chunks_exact(known).for_each(|series| cut.extend_from_slice(&series[..len]));
        let mut rearranged = vec![0.0; if lanes == self.lanes { 0 } else { cut.len() }];
        let each = plan.ports.each() * plan.len(h, room);
        match (self.lanes, lanes) {
            (LANES, 1) => separate(&cut, &mut rearranged, each),
            (1, LANES) => interleave(&cut, &mut rearranged, each),
            _ => return cut,
        }
        rearranged
    }
}
