//! The examples' data loader reads what is there and refuses everything else in one line.

#[path = "../examples/support/idx.rs"]
#[allow(dead_code, reason = "the tests look at less than the examples")]
mod idx;

use std::fs;
use std::path::{Path, PathBuf};

struct Directory(PathBuf);

impl Directory {
    /// A data set of 3 training and 2 test images of 2×2 pixels, not gzipped.
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("displace-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let directory = Self(path);
        directory.write("train-images-idx3-ubyte", &images(3));
        directory.write("train-labels-idx1-ubyte", &labels(3));
        directory.write("t10k-images-idx3-ubyte", &images(2));
        directory.write("t10k-labels-idx1-ubyte", &labels(2));
        directory
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.0.join(name), bytes).unwrap();
    }

    fn refusal(&self) -> String {
        idx::read(&self.0).err().expect("refused").to_string()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn header(magic: u32, shape: &[u32]) -> Vec<u8> {
    [magic].iter().chain(shape).flat_map(|n| n.to_be_bytes()).collect()
}

fn images(count: u32) -> Vec<u8> {
    [header(0x803, &[count, 2, 2]), (0..4 * count as u8).collect()].concat()
}

fn labels(count: u32) -> Vec<u8> {
    [header(0x801, &[count]), (0..count as u8).collect()].concat()
}

#[test]
fn the_data_in_the_repository_is_balanced() {
    let data = idx::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data")).unwrap();
    assert_eq!((data.train.size, data.test.size), (784, 784));
    for class in 0..10 {
        let count = |labels: &[u8]| labels.iter().filter(|&&label| label == class).count();
        assert_eq!((count(&data.train.labels), count(&data.test.labels)), (1000, 200));
    }
}

#[test]
fn plain_files_and_names_with_a_dot_are_read() {
    let directory = Directory::new("plain");
    fs::rename(directory.0.join("train-images-idx3-ubyte"), directory.0.join("train-images.idx3-ubyte")).unwrap();
    let data = idx::read(&directory.0).unwrap();
    assert_eq!((data.train.pixels.len(), data.test.labels.len()), (12, 2));
}

#[test]
fn damaged_files_are_refused_with_their_name_and_the_reason() {
    let cases: [(&str, &str, Vec<u8>, &str); 8] = [
        ("short", "train-images-idx3-ubyte", vec![0, 0], "too short"),
        ("magic", "train-images-idx3-ubyte", labels(9), "starts with"),
        ("truncated", "t10k-images-idx3-ubyte", images(2)[..20].to_vec(), "truncated: 4 of 8 bytes"),
        ("long", "t10k-labels-idx1-ubyte", [labels(2), vec![0]].concat(), "longer than the 2 bytes"),
        ("count", "train-labels-idx1-ubyte", labels(2), "2 labels for 3 images"),
        ("class", "train-labels-idx1-ubyte", [header(0x801, &[3]), vec![1, 2, 10]].concat(), "label 10"),
        ("absurd", "train-images-idx3-ubyte", header(0x803, &[u32::MAX, 2, 2]), "absurd"),
        ("empty", "train-images-idx3-ubyte", header(0x803, &[3, 0, 2]), "holds no images"),
    ];
    for (name, file, bytes, reason) in cases {
        let directory = Directory::new(name);
        directory.write(file, &bytes);
        let refusal = directory.refusal();
        assert!(refusal.contains(file) && refusal.contains(reason) && !refusal.contains('\n'), "{name}: {refusal}");
    }
}

#[test]
fn missing_files_corrupted_gzip_and_unequal_sizes_are_refused() {
    let directory = Directory::new("missing");
    fs::remove_file(directory.0.join("train-images-idx3-ubyte")).unwrap();
    assert!(directory.refusal().contains("no train-images-idx3-ubyte"));
    directory.write("train-images-idx3-ubyte.gz", b"\x1f\x8bnonsense");
    assert!(directory.refusal().contains("train-images-idx3-ubyte.gz"));
    let directory = Directory::new("unequal");
    directory.write("t10k-images-idx3-ubyte", &[header(0x803, &[2, 1, 2]), vec![0; 4]].concat());
    assert!(directory.refusal().contains("training images have 4 pixels, test images 2"));
}
