//! Products and gradients allocate nothing once the workspace has grown.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use displace::{Builder, Family, LinearGradient, PathChoice, Scalar, Workspace};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// Counts an allocation that changes by so many bytes what this thread holds.
fn count(bytes: isize) {
    ALLOCATIONS.with(|count| count.set(count.get() + 1));
    hold(bytes);
}

fn hold(bytes: isize) {
    let held = BYTES.with(|held| {
        held.set(held.get() + bytes);
        held.get()
    });
    PEAK.with(|peak| peak.set(peak.get().max(held)));
}

/// The system's allocator, and a count of the allocations and bytes of each thread.
struct Counting;

// Sound as the system's allocator is: every call is handed on as it came.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.cast_signed() - layout.size().cast_signed());
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        hold(-layout.size().cast_signed());
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> usize {
    ALLOCATIONS.with(Cell::get)
}

/// Runs a test without sharing work between threads: handing a job to another thread may allocate.
fn alone(test: impl FnOnce() + Send) {
    #[cfg(feature = "parallel")]
    rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(test);
    #[cfg(not(feature = "parallel"))]
    test();
}

const BATCHES: [usize; 4] = [1, 5, 64, 200];

#[track_caller]
fn allocates_nothing<T: Scalar>(family: Family, rows: usize, cols: usize) {
    let mut builder = Builder::new(family, rows, cols).path(PathChoice::Fast).seed(1);
    if family.has_rank() {
        builder = builder.rank(3);
    }
    let mut matrix = builder.build::<T>().unwrap();
    let most = *BATCHES.iter().max().unwrap();
    let x = vec![T::of(0.25); most * cols];
    let dy = vec![T::of(0.5); most * rows];
    let mut y = dy.clone();
    let mut dx = x.clone();
    let mut gradient = vec![T::zero(); matrix.parameters().len()];
    for batch in BATCHES {
        let mut workspace = Workspace::new();
        let (x, dy) = (&x[..batch * cols], &dy[..batch * rows]);
        let (y, dx) = (&mut y[..batch * rows], &mut dx[..batch * cols]);
        let what = || format!("{family:?} {rows}×{cols}, {}, batch {batch}", T::NAME);
        // The first round may grow the workspace; the second has all it needs.
        for warm in [false, true] {
            let before = allocations();
            matrix.apply_into(x, y, &mut workspace).unwrap();
            assert!(!warm || allocations() == before, "{}: the product allocates", what());
            let before = allocations();
            matrix.apply_transposed_into(dy, dx, &mut workspace).unwrap();
            assert!(!warm || allocations() == before, "{}: the transposed product allocates", what());
            let before = allocations();
            matrix.backward(x, dy, Some(&mut *dx), &mut gradient, &mut workspace).unwrap();
            matrix.backward(x, dy, None, &mut gradient, &mut workspace).unwrap();
            assert!(!warm || allocations() == before, "{}: the gradients allocate", what());
            let before = allocations();
            matrix.update(|parameters| parameters[0] += T::of(0.01)).unwrap();
            assert!(!warm || allocations() == before, "{}: a step of an optimiser allocates", what());
        }
    }
}

#[test]
fn the_count_works() {
    let before = allocations();
    drop(std::hint::black_box(vec![0_u8; 100]));
    assert!(allocations() > before);
}

#[test]
fn square_families() {
    alone(|| {
        // 251 is a prime: its transforms go through the general library.
        for n in [64, 251, 784] {
            for family in [Family::Circulant, Family::SkewCirculant] {
                allocates_nothing::<f32>(family, n, n);
                allocates_nothing::<f64>(family, n, n);
            }
        }
    });
}

#[test]
fn rectangular_families() {
    alone(|| {
        let families =
            [Family::Toeplitz, Family::Hankel, Family::ToeplitzPlusHankel, Family::ToeplitzLike, Family::HankelLike];
        for (m, n) in [(64, 64), (100, 37), (250, 251), (31, 200)] {
            for family in families {
                allocates_nothing::<f32>(family, m, n);
                allocates_nothing::<f64>(family, m, n);
            }
        }
    });
}

#[test]
fn orders_without_fast_transforms() {
    use displace::ldr::ToeplitzLike;
    use displace::{Matrix, Structure};
    use std::sync::Arc;

    alone(|| {
        let structure = Arc::new(ToeplitzLike::<f32>::with_order(40, 40, 2, 41).unwrap());
        let parameters = vec![0.5; Structure::layout(&*structure).len()];
        let mut matrix = Matrix::new(structure, parameters).unwrap();
        matrix.set_path(PathChoice::Fast);
        let (x, mut y, mut workspace) = ([1.0; 200], [0.0; 200], Workspace::new());
        matrix.apply_into(&x, &mut y, &mut workspace).unwrap();
        let before = allocations();
        matrix.apply_into(&x, &mut y, &mut workspace).unwrap();
        assert_eq!(allocations(), before);
    });
}

/// Gradients of one vector go on from what the product kept; those of a batch do not.
#[test]
fn learned_operators() {
    use displace::Matrix;

    fn check<T: Scalar>(family: Family, n: usize, batch: usize) {
        let builder = Builder::new(family, n, n).rank(1).path(PathChoice::Fast).seed(1);
        let mut matrix: Matrix<T> = builder.build().unwrap();
        // Where subdiagonal operators are no scaled shifts.
        if family == Family::LearnedSubdiagonal {
            matrix.update(|parameters| parameters[2 * n..].iter_mut().step_by(3).for_each(|p| *p = T::zero())).unwrap();
        }
        let (x, mut y, mut dx) = (vec![T::of(0.25); batch * n], vec![T::zero(); batch * n], vec![T::zero(); batch * n]);
        let (mut gradient, mut workspace) = (vec![T::zero(); matrix.parameters().len()], Workspace::new());
        for warm in [false, true, true] {
            let before = allocations();
            matrix.apply_into(&x, &mut y, &mut workspace).unwrap();
            matrix.backward(&x, &y, Some(&mut dx), &mut gradient, &mut workspace).unwrap();
            assert!(!warm || allocations() == before, "{family:?} {n}, {}, batch {batch}", T::NAME);
        }
    }

    alone(|| {
        for family in [Family::LearnedSubdiagonal, Family::LearnedTridiagonal] {
            for batch in [1, 3] {
                check::<f32>(family, 100, batch);
                check::<f64>(family, 100, batch);
            }
        }
    });
}

#[test]
fn what_is_built_for_the_fast_path_makes_no_dense_copy_on_the_way() {
    alone(|| {
        let n = 64;
        let [fast, auto] = [PathChoice::Fast, PathChoice::Auto].map(|path| {
            let before = BYTES.get();
            PEAK.set(before);
            let matrix = Builder::new(Family::ToeplitzLike, n, n).rank(4).path(path).build::<f64>().unwrap();
            assert_eq!(matrix.path(64) == displace::Path::Dense, path == PathChoice::Auto);
            PEAK.get() - before
        });
        let copy = (n * n * size_of::<f64>()).cast_signed();
        assert!(fast + copy / 2 < auto, "{fast} and {auto} bytes, {copy} of them for a dense copy");
    });
}

#[test]
fn a_layer_of_a_million_inputs_and_outputs_works_in_200_megabytes() {
    alone(|| {
        let n = 1 << 20;
        let (x, mut y, mut dx) = (vec![0.5_f32; n], vec![0.0_f32; n], vec![0.0_f32; n]);
        // The gradient is the optimiser's; all else is the layer's and its workspace's.
        let mut gradient = LinearGradient { weight: vec![0.0; 4 * 2 * n], bias: vec![0.0; n] };
        let before = BYTES.get();
        PEAK.set(before);
        let mut layer = Builder::new(Family::ToeplitzLike, n, n).rank(4).build_layer::<f32>().unwrap();
        let mut workspace = Workspace::new();
        layer.forward_into(&x, &mut y, &mut workspace).unwrap();
        layer.backward_into(&x, &y, Some(&mut dx), &mut gradient, &mut workspace).unwrap();
        layer.update(|weight, _| weight[0] += 0.1).unwrap();
        assert!(y.iter().chain(&dx).all(|v| v.is_finite()));
        let megabytes = (PEAK.get() - before) as f64 / 1e6;
        assert!(megabytes < 200.0, "{megabytes:.0} MB");
    });
}
