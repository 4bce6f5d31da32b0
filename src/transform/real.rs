//! Real cyclic and negacyclic transforms of any length, on blocks of signals side by side.
//!
//! * *Negacyclic*, n even: the real ring `x^n + 1` is the complex ring `x^{n/2} − i` under `z_k = x_k + i x_{k+n/2}`:
//!   the first half of the signal *is* the real part, the second half the imaginary part, and nothing moves.
//! * *Cyclic*, n even: `x^n − 1 = (x^{n/2} − 1)(x^{n/2} + 1)`, so sums and differences of the halves give a cyclic and a
//!   negacyclic signal of half the length; and so on down to twice an odd number q, where the two signals that are left
//!   share one complex transform of length q.
//! * n odd: one complex transform of length n with imaginary part zero; a negacyclic signal becomes a cyclic one by
//!   changing the sign of its odd elements.
//!
//! A transform works in place on [`RealTransform::width`] numbers a lane. What it leaves is a *spectrum*: complex
//! numbers in the order of [`RealTransform::segments`], such that the product of two signals in the ring is the
//! elementwise product of their spectra, and the transposed product is the product with the conjugate.

use super::form::{Form, Forms};
use super::isa::lanes_mut;
use super::library::LibraryTransform;
use super::pointwise::{Into, Multiply, Side};
use super::product::Values;
use super::ring::{Ring, Turn};
use super::single::SingleTransform;
use super::split;
use crate::Scalar;

/// Which ring the signals multiply in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrap {
    /// `x^n = 1`: circular convolution.
    Cyclic,
    /// `x^n = −1`: what wraps around changes sign.
    Negacyclic,
}

/// A run of complex numbers of a spectrum: `len` real parts from `start`, and the imaginary parts right behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub start: usize,
    pub len: usize,
}

impl Segment {
    /// Where its numbers are, of `lanes` signals.
    fn place(self, lanes: usize) -> std::ops::Range<usize> {
        self.start * lanes..(self.start + 2 * self.len) * lanes
    }

    /// Its real and its imaginary parts.
    fn parts<T>(self, numbers: &[T], lanes: usize) -> [&[T]; 2] {
        numbers[self.place(lanes)].split_at(self.len * lanes).into()
    }

    fn parts_mut<T>(self, numbers: &mut [T], lanes: usize) -> [&mut [T]; 2] {
        numbers[self.place(lanes)].split_at_mut(self.len * lanes).into()
    }
}

/// What becomes of the spectra of a block.
struct Times<'a, T> {
    into: Into,
    s: &'a [T],
    out: &'a mut [T],
}

/// What the spectra of a block are.
#[derive(Clone, Copy)]
struct Product<'a, T> {
    side: Side,
    a: &'a [T],
    s: &'a [T],
}

/// A real transform of one length and kind.
#[derive(Debug)]
pub struct RealTransform<T> {
    n: usize,
    wrap: Wrap,
    forms: Forms,
    segments: Vec<Segment>,
    rings: Vec<Ring<T>>,
    /// Pairs of positions of conjugate roots in the first segment of an even cyclic transform.
    conjugates: Vec<(usize, usize)>,
    single: Single<T>,
}

/// How single signals are transformed.
#[derive(Debug)]
enum Single<T> {
    Kernel(SingleTransform<T>),
    Library(LibraryTransform<T>),
}

impl<T: Scalar> Single<T> {
    /// The one place where the kind of transform is chosen: our own kernels wherever they exist.
    fn new(n: usize, wrap: Wrap) -> Self {
        match SingleTransform::new(n, wrap) {
            Some(kernel) => Self::Kernel(kernel),
            None => Self::Library(LibraryTransform::new(n, wrap)),
        }
    }
}

impl<T: Scalar> RealTransform<T> {
    /// Plans a transform of `n ≥ 1` real numbers.
    pub fn new(n: usize, wrap: Wrap) -> Self {
        let segments = segments(n, wrap);
        let odd = n % 2 == 1;
        let turn = |i: usize| if odd || (wrap == Wrap::Cyclic && i == 0) { Turn::ZERO } else { Turn::QUARTER };
        let single = Single::new(n, wrap);
        let forms = Forms::new::<T>(n);
        let mut transform = Self { n, wrap, forms, segments, rings: Vec::new(), conjugates: Vec::new(), single };
        if !forms.has(Form::Lanes) {
            return transform;
        }
        let rings = transform.segments.iter().enumerate();
        transform.rings = rings.filter_map(|(i, segment)| Ring::new(segment.len, turn(i))).collect();
        if wrap == Wrap::Cyclic && !odd {
            transform.conjugates = conjugates(&transform.rings[0].order());
        }
        transform
    }

    /// Numbers that a signal and its spectrum take: `n`; when n is odd, `2n` in lanes and `n + 1` alone.
    pub fn width(&self, form: Form) -> usize {
        match form {
            _ if self.n.is_multiple_of(2) => self.n,
            Form::Lanes => 2 * self.n,
            Form::Single => self.n + 1,
        }
    }

    /// The length n of the signals.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Numbers in a block of signals.
    pub fn block(&self, form: Form) -> usize {
        self.width(form) * form.signals::<T>()
    }

    /// Numbers in the largest block that any arrangement takes.
    pub fn largest_block(&self) -> usize {
        self.forms().each(self, 0).map(|(form, _)| self.block(form)).max().unwrap_or(0)
    }

    /// The arrangements of signals that this length uses.
    pub fn forms(&self) -> Forms {
        self.forms
    }

    /// Where the complex numbers of a spectrum are.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether the first complex number of a spectrum is really a pair of real ones, which multiply separately.
    pub fn starts_with_reals(&self) -> bool {
        self.n.is_multiple_of(2) && self.wrap == Wrap::Cyclic
    }

    /// For a negacyclic transform of even length n: position p of the spectrum holds the value at `e^{2πi(j + ¼)/(n/2)}` for
    /// the j returned at p.
    pub fn order(&self, form: Form) -> Vec<usize> {
        debug_assert!(self.wrap == Wrap::Negacyclic && self.n.is_multiple_of(2));
        match (form, &self.single) {
            (Form::Lanes, _) => self.rings[0].order(),
            (Form::Single, Single::Kernel(single)) => single.order(),
            (Form::Single, Single::Library(_)) => (0..self.n / 2).collect(),
        }
    }

    /// For a negacyclic transform of even length that has lanes: where a single spectrum has the real and imaginary
    /// parts of each complex number that one of lanes has.
    pub fn single_places(&self) -> Option<Vec<u32>> {
        if self.wrap != Wrap::Negacyclic || !self.n.is_multiple_of(2) || !self.forms.has(Form::Lanes) {
            return None;
        }
        let mut places = vec![0; self.n / 2];
        for (place, j) in (0..).zip(self.order(Form::Single)) {
            places[j] = place;
        }
        Some(self.order(Form::Lanes).into_iter().map(|j| places[j]).collect())
    }

    /// What an inverse after a forward transform multiplies a signal by.
    pub fn gain(&self) -> T {
        T::of(if self.n.is_multiple_of(2) { self.n / 2 } else { self.n } as f64)
    }

    /// Numbers of scratch that a transform needs.
    pub fn scratch_len(&self) -> usize {
        match &self.single {
            Single::Kernel(single) => single.scratch_len(),
            Single::Library(single) => single.scratch_len(),
        }
    }

    /// The spectra of the signals of a block, in place; only the first n elements of each signal count.
    pub fn forward(&self, form: Form, block: &mut [T], scratch: &mut [T]) {
        match (form, &self.single) {
            (Form::Lanes, _) => self.forward_lanes(block, None),
            (Form::Single, Single::Kernel(single)) => single.forward(block, scratch),
            (Form::Single, Single::Library(single)) => single.forward(block, scratch),
        }
    }

    /// [`Self::gain`] times the signals of the spectra of a block, in place.
    pub fn inverse(&self, form: Form, block: &mut [T], scratch: &mut [T]) {
        match (form, &self.single) {
            (Form::Lanes, _) => self.inverse_lanes(block, None),
            (Form::Single, Single::Kernel(single)) => single.inverse(block, scratch),
            (Form::Single, Single::Library(single)) => single.inverse(block, scratch),
        }
    }

    /// `out = S s` or `out += S s` for the spectra S of the signals of a block, which are lost.
    pub fn forward_times(&self, form: Form, into: Into, out: &mut [T], block: &mut [T], s: &[T], scratch: &mut [T]) {
        if form == Form::Single {
            self.forward(form, block, scratch);
            return self.multiply(form, into, Side::Plain, out, block, s);
        }
        self.forward_lanes(block, Some(Times { into, s, out }));
    }

    /// [`Self::gain`] times the signals of the spectra `a s`, with s conjugated for the transposed side.
    pub fn inverse_of_product(&self, form: Form, side: Side, out: &mut [T], a: &[T], s: &[T], scratch: &mut [T]) {
        if form == Form::Single {
            self.multiply(form, Into::Set, side, out, a, s);
            return self.inverse(form, out, scratch);
        }
        self.inverse_lanes(out, Some(Product { side, a, s }));
    }

    fn forward_lanes(&self, block: &mut [T], mut times: Option<Times<'_, T>>) {
        let lanes = T::LANES;
        if self.n % 2 == 1 {
            block[self.n * lanes..].fill(T::zero());
            if self.wrap == Wrap::Negacyclic {
                split::alternate_signs(&mut block[..self.n * lanes]);
            }
        }
        if !self.starts_with_reals() {
            return self.forward_ring(0, block, &mut times);
        }
        for (i, segment) in self.segments.iter().enumerate().skip(1).rev() {
            split::sum_and_difference::<T>(&mut block[..2 * segment.start * lanes]);
            self.forward_ring(i, block, &mut times);
        }
        let q = self.segments[0].len * lanes;
        split::sum_and_difference::<T>(&mut block[..2 * q]);
        split::alternate_signs(&mut block[q..2 * q]);
        let [re, im] = self.segments[0].parts_mut(block, lanes);
        self.rings[0].forward(re, im);
        self.untangle(lanes_mut::<T>(&mut block[..2 * q]));
        if let Some(Times { into, s, out }) = times {
            self.multiply_segment(0, into, Side::Plain, out, block, s);
        }
    }

    fn inverse_lanes(&self, block: &mut [T], product: Option<Product<'_, T>>) {
        let lanes = T::LANES;
        if !self.starts_with_reals() {
            self.inverse_ring(0, block, product);
            if self.n % 2 == 1 && self.wrap == Wrap::Negacyclic {
                split::alternate_signs(&mut block[..self.n * lanes]);
            }
            return;
        }
        if let Some(Product { side, a, s }) = product {
            self.multiply_segment(0, Into::Set, side, block, a, s);
        }
        let q = self.segments[0].len * lanes;
        self.tangle(lanes_mut::<T>(&mut block[..2 * q]));
        // The other rings gain a quarter of their length, these two signals half of it: make them the same.
        block[..2 * q].iter_mut().for_each(|x| *x *= T::of(0.5));
        let [re, im] = self.segments[0].parts_mut(block, lanes);
        self.rings[0].inverse(re, im);
        split::alternate_signs(&mut block[q..2 * q]);
        split::sum_and_difference::<T>(&mut block[..2 * q]);
        for (i, segment) in self.segments.iter().enumerate().skip(1) {
            self.inverse_ring(i, block, product);
            split::sum_and_difference::<T>(&mut block[..2 * segment.start * lanes]);
        }
    }

    /// Transforms the signal of a segment, and multiplies its values if asked.
    fn forward_ring(&self, i: usize, block: &mut [T], times: &mut Option<Times<'_, T>>) {
        let segment = self.segments[i];
        let [re, im] = segment.parts_mut(block, T::LANES);
        let Some(Times { into, s, out }) = times else { return self.rings[i].forward(re, im) };
        let (s, out) = (segment.parts(s, 1), segment.parts_mut(out, T::LANES));
        self.rings[i].forward_to(Values::Times { into: *into, s, out }, re, im);
    }

    /// Restores the signal of a segment, from a product if asked.
    fn inverse_ring(&self, i: usize, block: &mut [T], product: Option<Product<'_, T>>) {
        let segment = self.segments[i];
        let [re, im] = segment.parts_mut(block, T::LANES);
        let Some(Product { side, a, s }) = product else { return self.rings[i].inverse(re, im) };
        let (a, s) = (segment.parts(a, T::LANES), segment.parts(s, 1));
        self.rings[i].inverse_from(Values::Product { side, a, s }, re, im);
    }

    fn multiply_segment(&self, i: usize, into: Into, side: Side, out: &mut [T], a: &[T], s: &[T]) {
        let reals = i == 0 && self.starts_with_reals();
        T::multiply(Multiply { segments: &self.segments[i..=i], reals, into, side, out, a, s });
    }

    /// Takes the spectra U and W of two real signals out of that of `u + i w`: U goes to one position of each pair of
    /// conjugate roots, W to the other.
    fn untangle(&self, block: &mut [T::Lane]) {
        let (re, im) = block.split_at_mut(block.len() / 2);
        let half = T::of(0.5);
        for &(p, q) in &self.conjugates {
            for l in 0..T::LANES {
                let (a, b) = (re[p].as_ref()[l], im[p].as_ref()[l]);
                let (c, d) = (re[q].as_ref()[l], im[q].as_ref()[l]);
                re[p].as_mut()[l] = half * (a + c);
                im[p].as_mut()[l] = half * (b - d);
                re[q].as_mut()[l] = half * (b + d);
                im[q].as_mut()[l] = half * (c - a);
            }
        }
    }

    /// Undoes [`Self::untangle`].
    fn tangle(&self, block: &mut [T::Lane]) {
        let (re, im) = block.split_at_mut(block.len() / 2);
        for &(p, q) in &self.conjugates {
            for l in 0..T::LANES {
                let (ur, ui) = (re[p].as_ref()[l], im[p].as_ref()[l]);
                let (wr, wi) = (re[q].as_ref()[l], im[q].as_ref()[l]);
                re[p].as_mut()[l] = ur - wi;
                im[p].as_mut()[l] = ui + wr;
                re[q].as_mut()[l] = ur + wi;
                im[q].as_mut()[l] = wr - ui;
            }
        }
    }
}

fn segments(n: usize, wrap: Wrap) -> Vec<Segment> {
    if n % 2 == 1 {
        return vec![Segment { start: 0, len: n }];
    }
    if wrap == Wrap::Negacyclic {
        return vec![Segment { start: 0, len: n / 2 }];
    }
    let mut half = n >> n.trailing_zeros();
    let mut segments = vec![Segment { start: 0, len: half }];
    while 2 * half < n {
        half *= 2;
        segments.push(Segment { start: half, len: half / 2 });
    }
    segments
}

fn conjugates(order: &[usize]) -> Vec<(usize, usize)> {
    let q = order.len();
    let mut position = vec![0; q];
    for (p, &j) in order.iter().enumerate() {
        position[j] = p;
    }
    (1..q.div_ceil(2)).map(|j| (position[j], position[q - j])).collect()
}
