//! Safetensors files: what is in them is read as it was written, and broken ones are refused by name.
#![cfg(feature = "safetensors")]

#[path = "common/largest_allocation.rs"]
mod largest_allocation;

use std::io::Cursor;

use displace::checkpoint::{CheckpointError, MAX_HEADER, Precision, Reader};
use largest_allocation::largest_allocation;

/// A file of a header and some bytes.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn open(bytes: &[u8]) -> Result<Reader<Cursor<&[u8]>>, CheckpointError> {
    Reader::new(Cursor::new(bytes))
}

fn refusal(bytes: &[u8]) -> CheckpointError {
    open(bytes).expect_err("the file should have been refused")
}

/// A file of six tensors, written by the safetensors crate itself: 1, −2.5, 0.125 and 3 in each precision.
fn sample() -> Vec<u8> {
    use half::{bf16, f16};
    use safetensors::tensor::{Dtype, TensorView, serialize};

    let numbers = [1.0_f32, -2.5, 0.125, 3.0];
    let f64s: Vec<u8> = numbers.iter().flat_map(|&x| f64::from(x).to_le_bytes()).collect();
    let f32s: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    let f16s: Vec<u8> = numbers.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect();
    let bf16s: Vec<u8> = numbers.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect();
    let view = |dtype, shape: &[usize], data| TensorView::new(dtype, shape.to_vec(), data).unwrap();
    let tensors = [
        ("a.f64", view(Dtype::F64, &[2, 2], &f64s)),
        ("a.f32", view(Dtype::F32, &[4], &f32s)),
        ("a.f16", view(Dtype::F16, &[1, 4], &f16s)),
        ("a.bf16", view(Dtype::BF16, &[4, 1], &bf16s)),
        ("ids", view(Dtype::I64, &[4], &f64s)),
        ("none", view(Dtype::F32, &[0, 3], &[])),
    ];
    serialize(tensors, Some([("epoch".to_string(), "7".to_string())].into())).unwrap()
}

#[test]
fn tensors_are_listed_with_type_and_shape() {
    let bytes = sample();
    let reader = open(&bytes).unwrap();
    assert_eq!(reader.tensors().len(), 6);
    let tensor = reader.tensor("a.f16").unwrap();
    assert_eq!((tensor.shape(), tensor.len(), tensor.precision()), (&[1, 4][..], 4, Some(Precision::F16)));
    let ids = reader.tensor("ids").unwrap();
    assert_eq!((ids.dtype(), ids.precision()), ("I64", None));
    assert!(reader.tensor("none").unwrap().is_empty());
    assert_eq!(reader.tensor("absent"), None);
    assert_eq!(reader.metadata()["epoch"], "7");
}

#[test]
fn every_precision_is_read_as_either_type() {
    let bytes = sample();
    let reader = open(&bytes).unwrap();
    for name in ["a.f64", "a.f32", "a.f16", "a.bf16"] {
        let (mut single, mut double) = ([0.0_f32; 4], [0.0_f64; 4]);
        reader.read_into(name, &mut single).unwrap();
        reader.read_into(name, &mut double).unwrap();
        assert_eq!((single, double), ([1.0, -2.5, 0.125, 3.0], [1.0, -2.5, 0.125, 3.0]), "{name}");
    }
    reader.read_into::<f32>("none", &mut []).unwrap();
}

#[test]
fn pieces_join_into_the_whole() {
    let len = 50_000;
    for (dtype, bytes) in [("F32", 4), ("BF16", 2)] {
        let data: Vec<u8> = (0..len * bytes).map(|k| (k * 37 % 63) as u8).collect();
        let header = format!(r#"{{"w":{{"dtype":"{dtype}","shape":[{len}],"data_offsets":[0,{}]}}}}"#, data.len());
        let bytes = file(&header, &data);
        let reader = open(&bytes).unwrap();
        let mut whole = vec![0.0_f64; len];
        reader.read_into("w", &mut whole).unwrap();
        let mut pieces = vec![0.0_f64; len];
        for (k, piece) in pieces.chunks_mut(777).enumerate() {
            reader.read_range("w", k * 777, piece).unwrap();
        }
        assert!(whole == pieces && whole.iter().any(|&x| x != 0.0), "{dtype}");
    }
}

#[test]
fn a_piece_takes_memory_for_itself_only() {
    let len = 1 << 22;
    let header = format!(r#"{{"w":{{"dtype":"F16","shape":[{len}],"data_offsets":[0,{}]}}}}"#, 2 * len);
    let bytes = file(&header, &vec![0; 2 * len]);
    let reader = open(&bytes).unwrap();
    let mut piece = vec![1.0_f32; 1000];
    let largest = largest_allocation(|| reader.read_range("w", len - 1000, &mut piece).unwrap());
    assert!(largest <= 2000 && piece == [0.0; 1000], "{largest} bytes");
}

#[test]
fn a_reader_opens_files() {
    let path = std::env::temp_dir().join(format!("displace-reader-{}.safetensors", std::process::id()));
    std::fs::write(&path, sample()).unwrap();
    let reader = Reader::open(&path).unwrap();
    let mut out = [0.0_f32; 2];
    reader.read_range("a.f64", 1, &mut out).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(out, [-2.5, 0.125]);
    assert!(matches!(Reader::open(&path), Err(CheckpointError::File { path: refused, .. }) if refused == path));
}

#[test]
fn bad_requests_are_refused_and_write_nothing() {
    let bytes = sample();
    let reader = open(&bytes).unwrap();
    let mut out = [9.0_f32; 3];
    assert!(matches!(reader.read_into("b", &mut out), Err(CheckpointError::MissingTensor { name }) if name == "b"));
    assert!(
        matches!(reader.read_range("ids", 0, &mut out), Err(CheckpointError::WrongDtype { dtype, .. }) if dtype == "I64")
    );
    for start in [2, 4, usize::MAX] {
        let refused = reader.read_range("a.f32", start, &mut out);
        assert!(matches!(refused, Err(CheckpointError::OutOfBounds { len: 4, .. })), "{start}");
    }
    assert!(matches!(reader.read_into("a.f32", &mut out), Err(CheckpointError::OutOfBounds { end: 3, len: 4, .. })));
    assert_eq!(out, [9.0; 3]);
}

#[test]
fn every_truncation_and_extension_is_refused() {
    let bytes = sample();
    for len in 0..bytes.len() {
        let refused = refusal(&bytes[..len]);
        let named = matches!(refused, CheckpointError::Truncated { actual, .. } if actual == len as u64);
        assert!(named, "{len}: {refused}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(refusal(&longer), CheckpointError::TrailingBytes { .. }));
}

#[test]
fn a_flipped_bit_in_the_header_is_an_error_or_harmless_and_never_a_large_allocation() {
    let bytes = sample();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for bit in 0..8 * (8 + length) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let mut opened = None;
        let largest = largest_allocation(|| opened = Some(open(&flipped)));
        assert!(largest < 1 << 14, "bit {bit}: {largest} bytes");
        // What still opens covers the file without gap or overlap, whatever the names are.
        let Some(Ok(reader)) = opened else { continue };
        let mut out = [0.0_f64; 4];
        for tensor in reader.tensors().iter().filter(|tensor| tensor.precision().is_some()) {
            reader.read_into(tensor.name(), &mut out[..tensor.len()]).unwrap();
        }
    }
}

#[test]
fn headers_that_make_no_sense_are_refused() {
    let long = [&(MAX_HEADER + 1).to_le_bytes()[..], &[b'{'; 100]].concat();
    assert!(matches!(refusal(&long), CheckpointError::HeaderTooLong { length, .. } if length == MAX_HEADER + 1));
    let endless = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    assert!(matches!(refusal(&endless), CheckpointError::HeaderTooLong { .. }));
    let empty = open(&file("{}", &[])).is_ok_and(|reader| reader.tensors().is_empty());
    assert!(empty, "a file without tensors is fine");

    let f32 = |shape: &str, start: u64, end: u64| {
        format!(r#"{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{end}]}}"#)
    };
    let two = |first: String, second: String| format!(r#"{{"a":{first},"b":{second}}}"#);
    let bad = [
        ("no header", String::new()),
        ("not JSON", "{\"a\":".into()),
        ("not an object", "[]".into()),
        ("not text", "{\u{0}}".into()),
        ("another type", r#"{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}"#.into()),
        ("a negative side", two(f32("[-1]", 0, 4), f32("[1]", 4, 8))),
        ("overlap", two(f32("[2]", 0, 8), f32("[1]", 4, 8))),
        ("a gap", two(f32("[1]", 0, 4), f32("[1]", 8, 12))),
        ("not from the start", two(f32("[1]", 4, 8), f32("[1]", 8, 12))),
        ("backwards", two(f32("[1]", 0, 4), f32("[1]", 4, 0))),
        ("a shape of another size", two(f32("[1]", 0, 4), f32("[2]", 4, 8))),
        ("a shape that overflows", two(f32("[1]", 0, 4), f32("[4294967296,4294967296,4]", 4, 8))),
        ("a size that overflows", two(f32("[1]", 0, 4), f32("[4611686018427387905]", 4, 8))),
        ("the same tensor twice", format!(r#"{{"a":{},"a":{}}}"#, f32("[1]", 0, 4), f32("[1]", 4, 8))),
        ("nesting without end", "{\"a\":".to_string() + &"[".repeat(10_000)),
    ];
    for (what, header) in bad {
        let refused = refusal(&file(&header, &[0; 8]));
        assert!(matches!(refused, CheckpointError::Header { .. }), "{what}: {refused}");
    }
}
