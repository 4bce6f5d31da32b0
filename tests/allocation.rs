//! Products and gradients allocate nothing once the workspace has grown.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use displace::{Builder, Family, PathChoice, Scalar, Workspace};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, and a count of the allocations of each thread.
struct Counting;

// Sound as the system's allocator is: every call is handed on as it came.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
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
    let matrix = builder.build::<T>().unwrap();
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
