//! What enters a block and leaves it, and which of its series meet at a junction.

/// The source before the first place.
pub const ALPHA: usize = 0;
/// The source behind the last place, if there is a way back.
pub const BETA: usize = 1;

/// The ways through blocks, and what enters them. With two ways the ends of a block are its first and its last place; with one
/// there is the last place only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    pub ways: usize,
    /// The ways in, and the generators.
    pub sources: usize,
}

impl Ports {
    /// Series of a block: those at an end from all sources, and then those at the other one.
    pub fn each(self) -> usize {
        self.ways * self.sources
    }

    /// Where a series is among those of a block.
    pub fn at(self, end: usize, source: usize) -> usize {
        end * self.sources + source
    }

    /// Whether a series comes from a generator.
    pub fn is_from_generator(self, at: usize) -> bool {
        at % self.sources >= self.ways
    }

    /// Of two blocks and the ways into them the one that something goes through at a junction, left to right last: the place
    /// among the ways of both blocks.
    pub fn way(self, end: usize) -> usize {
        // What enters the left block comes from behind it, what enters the right one from before.
        if end + 1 == self.ways { self.ways + ALPHA } else { BETA }
    }

    /// Among the series of one of two blocks, those that their junction needs, in their order: of each source to the end where
    /// the blocks meet, and from there to the other end.
    pub fn meeting(self, block: usize) -> impl Iterator<Item = usize> {
        let both = self.ways == 2;
        let (here, there) = if both { (1 - block, block) } else { (0, 0) };
        // Behind the left block is β, before the right one α.
        let across = self.at(there, if block == 0 { BETA } else { ALPHA });
        let arriving = if both || block == 0 { self.sources } else { 0 };
        let across = (both || block == 1).then_some(across);
        (0..arriving).map(move |source| self.at(here, source)).chain(across)
    }

    /// Series that meet at a junction, of the left block and of both.
    pub fn met(self) -> [usize; 2] {
        if self.ways == 2 { [self.sources + 1, 2 * (self.sources + 1)] } else { [self.sources, self.sources + 1] }
    }

    /// Which of two blocks contributes to a series at an end of the joined one without crossing the junction.
    pub fn direct(self, at: usize) -> Option<usize> {
        let (end, source) = (at / self.sources, at % self.sources);
        let block = if end + 1 == self.ways { 1 } else { 0 };
        // α is before the left block, β behind the right one.
        let elsewhere = if block == 1 { ALPHA } else { BETA };
        (source != elsewhere).then_some(block)
    }
}
