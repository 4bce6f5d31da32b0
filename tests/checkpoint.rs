//! Layers go to a file and come back as they were; a file that is damaged, or cannot be written, harms nothing.
#![cfg(feature = "safetensors")]

#[path = "common/families.rs"]
#[allow(dead_code, reason = "a part of what the tests of products need")]
mod common;
#[path = "common/largest_allocation.rs"]
mod largest_allocation;

use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

use common::{builders, random};
use displace::checkpoint::{CheckpointError, Precision, Reader, Writer};
use displace::displacement::ShiftOperator::{Plain, Transposed};
use displace::displacement::ShiftPair;
use displace::ldr::{CauchyLike, CircleVandermondeLike, HankelLike, ToeplitzLike, VandermondeLike};
use displace::structured::{Cauchy, CauchyNodes, Toeplitz};
use displace::{Builder, Description, Error, Family, Init, Linear, Matrix, PathChoice, Scalar, Structure};
use largest_allocation::largest_allocation;

fn bytes(writer: &Writer) -> Vec<u8> {
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes).unwrap();
    bytes
}

fn open(bytes: &[u8]) -> Reader<Cursor<&[u8]>> {
    Reader::new(Cursor::new(bytes)).unwrap()
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("displace-{name}-{}", std::process::id()))
}

/// Every family at a number of ranks, and those whose entries are not linear in each parameter.
fn every_builder(rows: usize, cols: usize, seed: u64) -> Vec<Builder> {
    let others = Family::ALL.into_iter().filter(|family| !common::is_multilinear(family));
    let other = |family: Family| {
        let builder = Builder::new(family, rows, cols).seed(seed);
        if family.has_rank() { builder.rank(rows.min(cols).min(2)) } else { builder }
    };
    builders(rows, cols, seed).into_iter().chain(others.map(other)).collect()
}

#[track_caller]
fn comes_back<T: Scalar>(matrix: &Matrix<T>) {
    let file = bytes(&Writer::new().matrix("a", matrix));
    let read: Matrix<T> = open(&file).matrix("a").unwrap();
    assert_eq!(read.parameters(), matrix.parameters(), "{matrix:?}");
    assert_eq!(read.to_dense().unwrap(), matrix.to_dense().unwrap(), "{matrix:?}");
    assert_eq!(Description::of(&**read.structure()), Description::of(&**matrix.structure()), "{matrix:?}");
}

#[test]
fn every_family_comes_back() {
    for (rows, cols) in [(1, 1), (5, 4), (3, 8)] {
        for builder in every_builder(rows, cols, 3) {
            comes_back(&builder.build::<f32>().unwrap());
            comes_back(&builder.build::<f64>().unwrap());
        }
    }
}

/// Structures with an order of their own, and those with nodes that are fixed, free or kept in another order.
fn that_no_builder_makes<T: Scalar>() -> Vec<Matrix<T>> {
    fn random_matrix<T: Scalar>(structure: impl Structure<T> + 'static) -> Matrix<T> {
        let mut parameters = vec![T::zero(); structure.layout().len()];
        structure.initialise(Init::Glorot, &mut fastrand::Rng::with_seed(5), &mut parameters).unwrap();
        Matrix::new(Arc::new(structure), parameters).unwrap().into_dyn()
    }
    let (s, t) = ([0.5, -3.0, 0.25].map(T::of), [2.0, -1.0 / 3.0, 10.0, 0.75].map(T::of));
    let (nodes, angles) = ([0.5, -1.0 / 3.0, 1.0].map(T::of), [0.5, -2.0].map(T::of));
    let mut all = vec![
        random_matrix(ToeplitzLike::<T>::with_order(3, 4, 2, 7).unwrap()),
        random_matrix(HankelLike::with_order::<T>(3, 4, 2, 9).unwrap()),
        random_matrix(VandermondeLike::<T>::with_order(3, 4, 1, 8).unwrap()),
        random_matrix(VandermondeLike::<T>::new(3, 4, 2).unwrap().fix_nodes(&nodes).unwrap()),
        random_matrix(CircleVandermondeLike::<T>::with_order(4, 4, 1, 8).unwrap()),
        random_matrix(CircleVandermondeLike::<T>::new(4, 4, 2).unwrap().fix_angles(&angles).unwrap()),
    ];
    for nodes in [
        CauchyNodes::free(3, 4).unwrap(),
        CauchyNodes::apart(3, 4).unwrap(),
        CauchyNodes::in_order_of(&s, &t, T::of(0.01)).unwrap(),
        CauchyNodes::fixed(&s, &t).unwrap(),
    ] {
        all.push(random_matrix(Cauchy::with_nodes(nodes.clone())));
        all.push(random_matrix(CauchyLike::with_nodes(nodes, 2).unwrap()));
    }
    all
}

#[test]
fn structures_that_no_builder_makes_come_back() {
    that_no_builder_makes::<f32>().iter().for_each(comes_back);
    that_no_builder_makes::<f64>().iter().for_each(comes_back);
}

/// Rebuilds the matrices of a file and compares each with the tensor that has its entries.
const CHECK: &str = "
import sys
sys.path.insert(0, 'examples')
import numpy as np, rebuild
from safetensors import safe_open
with safe_open(sys.argv[1], 'np') as file:
    for name, layer, M in rebuild.layers(sys.argv[1]):
        expected = file.get_tensor('entries of ' + name)
        error = np.linalg.norm(M - expected) / max(np.linalg.norm(expected), 1e-300)
        assert M.shape == expected.shape and error < 1e-12, (name, layer, error)
        print(name)
";

#[test]
fn numpy_rebuilds_every_matrix_from_the_file_alone() {
    let python = |arguments: &[&str]| {
        let here = env!("CARGO_MANIFEST_DIR");
        std::process::Command::new("python3")
            .args(arguments)
            .current_dir(here)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
    };
    let version = "import sys, numpy, safetensors; assert sys.version_info >= (3, 10)";
    if !python(&["-c", version]).is_ok_and(|output| output.status.success()) {
        eprintln!("there is no Python with numpy and safetensors here: not checked");
        return;
    }
    let mut matrices = Vec::new();
    for (rows, cols) in [(5, 4), (3, 8), (6, 6)] {
        let pairs = [(1.0, -1.0), (0.0, 0.0), (0.5, -2.0)];
        let shift_like = pairs.into_iter().flat_map(|(f, e)| {
            let (a, b) = ([Plain(f), Transposed(f)], [Plain(e), Transposed(e)]);
            a.into_iter().flat_map(move |a| b.map(|b| Family::ShiftLike(ShiftPair::stein(a, b).unwrap())))
        });
        let f_circulant = Builder::new(Family::FCirculant(0.25), rows, cols);
        let others = shift_like.map(|family| Builder::new(family, rows, cols).rank(2)).chain([f_circulant]);
        for builder in every_builder(rows, cols, 3).into_iter().chain(others) {
            matrices.push(builder.build::<f64>().unwrap());
        }
    }
    matrices.extend(that_no_builder_makes::<f64>());
    let entries: Vec<_> = matrices.iter().map(|matrix| matrix.to_dense().unwrap()).collect();
    let names: Vec<_> = (0..matrices.len()).map(|k| format!("{k:03}")).collect();
    let mut writer = Writer::new();
    for ((name, matrix), entries) in names.iter().zip(&matrices).zip(&entries) {
        let shape = [matrix.rows(), matrix.cols()];
        writer = writer.matrix(name, matrix).tensor(&format!("entries of {name}"), &shape, entries);
    }
    let path = scratch("python.safetensors");
    writer.save(&path).unwrap();
    let output = python(&["-c", CHECK, path.to_str().unwrap()]).unwrap();
    std::fs::remove_file(&path).unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.lines().eq(&names), "{out}{err}");
}

#[test]
fn a_set_of_layers_shares_a_file() {
    let first = Builder::new(Family::HankelLike, 7, 9).rank(2).seed(1).build_layer::<f32>().unwrap();
    let second = Linear::new(Builder::new(Family::Dense, 3, 7).seed(2).build().unwrap(), None).unwrap();
    let alone = Builder::new(Family::Circulant, 4, 4).seed(3).build_layer::<f64>().unwrap();
    let file =
        bytes(&Writer::new().layer("net.0", &first).layer("net.1", &second).layer("", &alone).metadata("k", "v"));

    let reader = open(&file);
    assert_eq!(reader.layers().map(|(name, _)| name).collect::<Vec<_>>(), ["", "net.0", "net.1"]);
    assert_eq!(reader.metadata()["k"], "v");
    let (a, b): (Linear<f32>, Linear<f32>) = (reader.layer("net.0").unwrap(), reader.layer("net.1").unwrap());
    assert_eq!((a.weight().parameters(), a.bias()), (first.weight().parameters(), first.bias()));
    assert_eq!((b.weight().parameters(), b.bias().len()), (second.weight().parameters(), 0));
    assert_eq!(reader.layer::<f64>("").unwrap().weight().parameters(), alone.weight().parameters());
    assert_eq!(reader.tensor("net.0.G").unwrap().shape(), [2, 7]);
    assert!(matches!(reader.layer::<f32>("net.2"), Err(CheckpointError::MissingLayer { name }) if name == "net.2"));
}

#[test]
fn every_precision_rounds_to_nearest() {
    let matrix = Builder::new(Family::LowRank, 6, 5).rank(3).seed(4).build::<f64>().unwrap();
    let largest = matrix.parameters().iter().fold(0.0_f64, |a, b| a.max(b.abs()));
    for (precision, half_ulp) in [
        (Precision::F64, 0.0),
        (Precision::F32, 2.0_f64.powi(-24)),
        (Precision::F16, 2.0_f64.powi(-11)),
        (Precision::Bf16, 2.0_f64.powi(-8)),
    ] {
        let file = bytes(&Writer::new().matrix("m", &matrix).precision(precision));
        let read: Matrix<f64> = open(&file).matrix("m").unwrap();
        assert_eq!(open(&file).tensor("m.G").unwrap().precision(), Some(precision));
        for (a, b) in read.parameters().iter().zip(matrix.parameters()) {
            assert!((a - b).abs() <= half_ulp * largest, "{precision}: {a} {b}");
        }
        // What has been rounded once is not rounded again.
        let again = bytes(&Writer::new().matrix("m", &read).precision(precision));
        assert!(open(&again).matrix::<f64>("m").unwrap().parameters() == read.parameters() && again == file);
    }
}

#[test]
fn numbers_that_a_precision_cannot_hold_are_refused() {
    let big = [1.0, 65_519.0, -65_520.0];
    let stored = |precision| Writer::new().tensor("w", &[3], &big).precision(precision).write_to(&mut std::io::sink());
    let refused = stored(Precision::F16).unwrap_err();
    let named = matches!(refused, CheckpointError::Overflow { index: 2, value: -65_520.0, .. });
    assert!(named, "{refused}");
    stored(Precision::Bf16).unwrap();
    let refused = Writer::new().tensor("w", &[1], &[1e39]).precision(Precision::F32).write_to(&mut std::io::sink());
    assert!(matches!(refused, Err(CheckpointError::Overflow { .. })));
}

#[test]
fn a_file_of_a_framework_is_read_into_a_known_structure() {
    let (g, h, bias) = (random::<f32>(10, 1), random::<f32>(8, 2), random::<f32>(5, 3));
    let weight = random::<f32>(20, 4);
    let file = bytes(
        &Writer::new()
            .tensor("fc1.G", &[2, 5], &g)
            .tensor("fc1.H", &[2, 4], &h)
            .tensor("fc1.bias", &[5], &bias)
            .tensor("fc2.weight", &[5, 4], &weight),
    );
    let reader = open(&file);
    assert_eq!(reader.layers().count(), 0);
    let structure = Builder::new(Family::ToeplitzLike, 5, 4).rank(2).structure().unwrap();
    let layer = reader.layer_of("fc1", structure).unwrap();
    assert_eq!((layer.weight().parameters(), layer.bias()), (&[g, h].concat()[..], &bias[..]));
    let dense = reader.matrix_of("fc2", Builder::new(Family::Dense, 5, 4).structure::<f32>().unwrap()).unwrap();
    assert_eq!(dense.parameters(), weight);
}

#[test]
fn tensors_that_do_not_fit_are_refused_by_name() {
    let g = [1.0_f32; 10];
    let file = bytes(&Writer::new().tensor("a.G", &[2, 5], &g).tensor("a.H", &[10], &g));
    let reader = open(&file);
    let refusal = |rows, cols| {
        let structure = Builder::new(Family::ToeplitzLike, rows, cols).rank(2).structure::<f32>().unwrap();
        reader.matrix_of("a", structure).unwrap_err()
    };
    assert!(
        matches!(refusal(4, 5), CheckpointError::WrongShape { name, expected, .. } if name == "a.G" && expected == [2, 4])
    );
    assert!(
        matches!(refusal(5, 5), CheckpointError::WrongShape { name, actual, .. } if name == "a.H" && actual == [10])
    );
    let structure = Builder::new(Family::Toeplitz, 5, 6).structure::<f32>().unwrap();
    assert!(matches!(reader.matrix_of("a", structure), Err(CheckpointError::MissingTensor { name }) if name == "a.t"));

    let toeplitz = Toeplitz::from_column_and_row(&[1.0_f32], &[1.0, f32::MAX]).unwrap();
    let mut broken = bytes(&Writer::new().matrix("t", &toeplitz));
    let end = broken.len() - 4;
    broken[end..].copy_from_slice(&f32::NAN.to_le_bytes());
    let refused = open(&broken).matrix::<f32>("t").unwrap_err();
    assert!(matches!(refused, CheckpointError::Layer(Error::NotFinite { index: 1, .. })), "{refused}");
    let position = broken.windows(3).position(|three| three == b"F32").unwrap();
    broken[position] = b'I';
    let refused = open(&broken).matrix::<f32>("t").unwrap_err();
    assert!(matches!(refused, CheckpointError::WrongDtype { dtype, .. } if dtype == "I32"));
}

#[test]
fn a_flipped_bit_in_the_header_never_gives_another_layer() {
    let layer = Builder::new(Family::FCirculant(0.5), 6, 6).build_layer::<f32>().unwrap();
    let other = Builder::new(Family::ToeplitzLike, 6, 4).rank(1).build_layer::<f32>().unwrap();
    let file = bytes(&Writer::new().layer("layer", &layer).layer("other", &other));
    let header = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let (mut refused, mut harmless) = (0, 0);
    for bit in 0..8 * header {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let mut read = None;
        let largest = largest_allocation(|| {
            read = Some(Reader::new(Cursor::new(&flipped[..])).and_then(|reader| {
                // A bias whose name is not there any more cannot be missed.
                let bias = reader.tensor("layer.bias").is_some() && reader.tensor("other.bias").is_some();
                Ok((reader.layer::<f32>("layer")?, reader.layer::<f32>("other")?, bias))
            }));
        });
        assert!(largest < 1 << 16, "bit {bit}: {largest} bytes");
        match read {
            Some(Ok((a, b, bias))) => {
                harmless += 1;
                for (read, original) in [(a, &layer), (b, &other)] {
                    assert_eq!(read.weight().to_dense().unwrap(), original.weight().to_dense().unwrap(), "bit {bit}");
                    assert!(!bias || read.bias() == original.bias(), "bit {bit}");
                }
            }
            _ => refused += 1,
        }
    }
    assert!(refused > 9 * harmless, "{refused} refused, {harmless} harmless");
}

#[test]
fn descriptions_that_make_no_sense_are_refused_without_a_large_allocation() {
    let file = |manifest: &str| bytes(&Writer::new().metadata("displace", manifest).tensor("a.c", &[1], &[1.0_f32]));
    let layer = |layer: &str| file(&format!(r#"{{"version":1,"layers":{{"a":{layer}}}}}"#));
    for manifest in ["", "7", "{}", r#"{"version":2,"layers":{}}"#, r#"{"version":1,"layers":{"a":{}}}"#] {
        let refused = Reader::new(Cursor::new(&file(manifest)[..])).unwrap_err();
        assert!(matches!(refused, CheckpointError::Manifest { .. }), "{manifest}: {refused}");
    }
    for unknown in [
        r#"{"family":"pascal","rows":1,"cols":1}"#,
        r#"{"family":{"other":"x"},"rows":1,"cols":1}"#,
        r#"{"family":"circulant","rows":-1,"cols":1}"#,
        r#"{"family":"circulant","rows":1,"cols":1,"colour":1}"#,
    ] {
        let refused = Reader::new(Cursor::new(&layer(unknown)[..])).unwrap_err();
        assert!(matches!(refused, CheckpointError::Manifest { .. }), "{unknown}: {refused}");
    }
    for impossible in [
        r#"{"family":"circulant","rows":1000000000,"cols":1000000000}"#,
        r#"{"family":"vandermonde","rows":1,"cols":1000000000000}"#,
        r#"{"family":"toeplitz-like","rows":1099511627776,"cols":3,"rank":0}"#,
        r#"{"family":"toeplitz-like","rows":3,"cols":3,"rank":4}"#,
        r#"{"family":"toeplitz-like","rows":3,"cols":3}"#,
        r#"{"family":"toeplitz-like","rows":3,"cols":3,"constants":{"order":[3]}}"#,
        r#"{"family":"toeplitz-like","rows":3,"cols":3,"rank":1,"constants":{"order":[2]}}"#,
        r#"{"family":"toeplitz-like","rows":3,"cols":3,"rank":1,"constants":{"order":[3.5]}}"#,
        r#"{"family":"toeplitz-like","rows":3,"cols":3,"rank":1,"constants":{"order":[]}}"#,
        r#"{"family":"toeplitz-like","rows":3,"cols":3,"rank":1,"constants":{"orders":[3]}}"#,
        r#"{"family":"circulant","rows":1,"cols":1,"constants":{"order":[1]}}"#,
        r#"{"family":"cauchy","rows":1,"cols":1,"constants":{"order":[0,0],"gap":[0]}}"#,
        r#"{"family":"cauchy","rows":1,"cols":1,"constants":{"order":[0,2],"gap":[0]}}"#,
        r#"{"family":"cauchy","rows":1,"cols":1,"constants":{"order":[0,1]}}"#,
        r#"{"family":"cauchy","rows":2,"cols":1,"constants":{"s":[0],"t":[0]}}"#,
        r#"{"family":{"f-circulant":1e999},"rows":1,"cols":1}"#,
    ] {
        let file = layer(impossible);
        let mut read = None;
        let largest =
            largest_allocation(|| read = Some(Reader::new(Cursor::new(&file[..])).and_then(|r| r.matrix::<f32>("a"))));
        assert!(matches!(read, Some(Err(_))), "{impossible}");
        assert!(largest < 1 << 16, "{impossible}: {largest} bytes");
    }
}

#[test]
fn names_and_shapes_that_cannot_be_written_are_refused() {
    let w = [1.0_f32; 4];
    let refusal = |writer: Writer| writer.write_to(&mut std::io::sink()).unwrap_err();
    let twice = refusal(Writer::new().tensor("w", &[4], &w).tensor("w", &[4], &w));
    assert!(matches!(twice, CheckpointError::DuplicateName { name } if name == "w"));
    let reserved = refusal(Writer::new().tensor("__metadata__", &[4], &w));
    assert!(matches!(reserved, CheckpointError::DuplicateName { .. }));
    for shape in [&[3][..], &[], &[usize::MAX, 2]] {
        assert!(matches!(refusal(Writer::new().tensor("w", shape, &w)), CheckpointError::WrongLength { len: 4, .. }));
    }
}

#[test]
fn the_safetensors_crate_reads_what_is_written() {
    let layer = Builder::new(Family::Toeplitz, 3, 2).build_layer::<f32>().unwrap();
    let doubles = [1.0_f64, 2.0];
    let file = bytes(&Writer::new().layer("a", &layer).tensor("b", &[2], &doubles));
    let read = safetensors::SafeTensors::deserialize(&file).unwrap();
    let tensor = read.tensor("a.t").unwrap();
    assert_eq!((tensor.dtype(), tensor.shape()), (safetensors::Dtype::F32, &[4][..]));
    let numbers: Vec<u8> = layer.weight().parameters().iter().flat_map(|p| p.to_le_bytes()).collect();
    assert_eq!(tensor.data(), numbers);
    assert!(read.tensor("b").unwrap().data().as_ptr() as usize - file.as_ptr() as usize >= 8);
}

#[test]
fn saving_replaces_a_file_and_follows_links() {
    let path = scratch("replace.safetensors");
    std::fs::write(&path, "something else").unwrap();
    let matrix = Builder::new(Family::Toeplitz, 3, 2).build::<f32>().unwrap();
    let writer = Writer::new().matrix("a", &matrix);
    #[cfg(unix)]
    {
        let link = scratch("link.safetensors");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        writer.save(&link).unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        std::fs::remove_file(link).unwrap();
    }
    #[cfg(not(unix))]
    writer.save(&path).unwrap();
    assert_eq!(Reader::open(&path).unwrap().matrix::<f32>("a").unwrap().parameters(), matrix.parameters());
    std::fs::remove_file(&path).unwrap();

    let directory = scratch("directory");
    std::fs::create_dir(&directory).unwrap();
    assert!(matches!(writer.save(&directory), Err(CheckpointError::File { .. })));
    assert!(matches!(writer.save(directory.join("no/such/file")), Err(CheckpointError::File { .. })));
    std::fs::remove_dir(&directory).unwrap();
}

/// The size of the file that the tests of failing writes replace, and of the limit that they run into.
#[cfg(target_os = "linux")]
const LARGE: usize = 1 << 16;

/// Runs in a process of its own, under a limit on the size of files, when asked to by an environment variable.
#[test]
#[cfg(target_os = "linux")]
fn helper_that_writes_too_large_a_file() {
    let Some(path) = std::env::var_os("DISPLACE_TEST_PATH") else { return };
    let refused = Writer::new().tensor("w", &[LARGE], &vec![2.0_f32; LARGE]).save(path);
    assert!(matches!(refused, Err(CheckpointError::Io { .. } | CheckpointError::File { .. })), "{refused:?}");
}

/// Replaces a file under a size limit, in a process of its own that first runs `prepare`; returns whether that process
/// came to a good end, and what is left in the directory.
#[cfg(target_os = "linux")]
fn replace_under_limit(name: &str, prepare: &str) -> (bool, Vec<String>) {
    let directory = scratch(name);
    std::fs::create_dir(&directory).unwrap();
    let path = directory.join("model.safetensors");
    Writer::new().tensor("w", &[3], &[1.0_f32; 3]).save(&path).unwrap();
    // Half of what the file needs, in blocks of 512 or 1024 bytes as the shell may have it.
    let script = format!(
        "ulimit -c 0; ulimit -f {}; {prepare} exec \"$0\" --exact helper_that_writes_too_large_a_file",
        LARGE / 1024
    );
    let status = std::process::Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env("DISPLACE_TEST_PATH", &path)
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    let mut read = [0.0_f32; 3];
    Reader::open(&path).unwrap().read_into("w", &mut read).unwrap();
    assert_eq!(read, [1.0; 3]);
    let names = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = names.collect();
    std::fs::remove_dir_all(directory).unwrap();
    (status.success(), names)
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_leaves_the_old_file_and_nothing_else() {
    // A write beyond the limit fails, where its signal is ignored.
    let (success, names) = replace_under_limit("full", "trap '' XFSZ;");
    assert!(success);
    assert_eq!(names, ["model.safetensors"]);

    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let refused = Writer::new().tensor("w", &[1], &[1.0_f32]).write_to(full);
    assert!(matches!(refused, Err(CheckpointError::Io { .. })));
}

#[test]
#[cfg(target_os = "linux")]
fn a_crash_while_writing_leaves_the_old_file() {
    // The signal kills the process in the middle of the write.
    let (success, names) = replace_under_limit("crash", "");
    assert!(!success);
    assert!(names.contains(&"model.safetensors".to_string()) && names.len() == 2, "{names:?}");
}

#[test]
fn configurations_are_written_as_they_are_read() {
    let text =
        r#"{"family":"toeplitz-like","rows":3,"cols":4,"rank":2,"init":{"variance":0.5},"seed":7,"path":"fast"}"#;
    let builder: Builder = serde_json::from_str(text).unwrap();
    let same =
        Builder::new(Family::ToeplitzLike, 3, 4).rank(2).init(Init::Variance(0.5)).seed(7).path(PathChoice::Fast);
    assert_eq!(builder, same);
    assert_eq!(serde_json::to_string(&builder).unwrap(), text);
    let short: Builder = serde_json::from_str(r#"{"family":{"f-circulant":0.5},"rows":3,"cols":3}"#).unwrap();
    assert_eq!(short, Builder::new(Family::FCirculant(0.5), 3, 3));
    for family in Family::ALL {
        let text = serde_json::to_string(&family).unwrap();
        assert_eq!(serde_json::from_str::<Family>(&text).unwrap(), family);
    }
    assert!(serde_json::to_string(&Family::Other("mine")).is_err());
    assert!(serde_json::from_str::<Builder>(r#"{"family":"toeplitz","rows":3,"cols":3,"colour":1}"#).is_err());
}
