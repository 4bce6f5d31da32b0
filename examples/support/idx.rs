//! Data sets in IDX format, gzipped or not: MNIST, Fashion-MNIST and their kin.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

/// Images and their labels.
pub struct Images {
    /// Grey levels, one image after the other.
    pub pixels: Vec<u8>,
    /// One label an image.
    pub labels: Vec<u8>,
    /// Pixels of an image.
    pub size: usize,
}

/// A data set: images to train on and images to test on.
pub struct DataSet {
    pub train: Images,
    pub test: Images,
}

/// What is wrong with which file.
#[derive(Debug)]
pub struct DataError {
    path: PathBuf,
    reason: String,
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)
    }
}

impl std::error::Error for DataError {}

type Result<T> = std::result::Result<T, DataError>;

/// The largest side of an image, and the largest number of images, that a header may announce.
const MAX_SIDE: usize = 1 << 12;
const MAX_IMAGES: usize = 1 << 24;

/// Reads the four files of a data set out of a directory.
pub fn read(directory: &Path) -> Result<DataSet> {
    let train = read_images(directory, "train")?;
    let test = read_images(directory, "t10k")?;
    if train.size != test.size {
        let reason = format!("training images have {} pixels, test images {}", train.size, test.size);
        return Err(DataError { path: directory.to_path_buf(), reason });
    }
    Ok(DataSet { train, test })
}

fn read_images(directory: &Path, part: &str) -> Result<Images> {
    let (image_path, [count, rows, cols], pixels) = read_file(directory, part, "images", 3)?;
    let (label_path, [labels_count, ..], labels) = read_file(directory, part, "labels", 1)?;
    let refuse = |path: &Path, reason: String| Err(DataError { path: path.to_path_buf(), reason });
    if count != labels_count {
        return refuse(&label_path, format!("{labels_count} labels for {count} images"));
    }
    if count == 0 || rows * cols == 0 {
        return refuse(&image_path, "holds no images".into());
    }
    if let Some(label) = labels.iter().find(|&&label| label > 9) {
        return refuse(&label_path, format!("label {label} is not one of the ten classes"));
    }
    Ok(Images { pixels, labels, size: rows * cols })
}

/// Finds a file under its usual names, reads it and checks that its length is what its header says.
fn read_file(directory: &Path, part: &str, kind: &str, dimensions: usize) -> Result<(PathBuf, [usize; 3], Vec<u8>)> {
    let path = find(directory, part, kind, dimensions)?;
    let fail = |reason: String| DataError { path: path.clone(), reason };
    let mut reader = open(&path).map_err(|e| fail(e.to_string()))?;

    let mut header = vec![0; 4 + 4 * dimensions];
    reader.read_exact(&mut header).map_err(|_| fail("too short for an IDX header".into()))?;
    let number = |i: usize| u32::from_be_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]);
    let magic = 0x0800 + dimensions as u32;
    if number(0) != magic {
        return Err(fail(format!("starts with {:#010x}, an IDX file of {kind} with {magic:#010x}", number(0))));
    }
    let mut shape = [1; 3];
    for (d, size) in shape.iter_mut().take(dimensions).enumerate() {
        *size = number(4 + 4 * d) as usize;
    }
    if shape[0] > MAX_IMAGES || shape[1] > MAX_SIDE || shape[2] > MAX_SIDE {
        return Err(fail(format!("announces {} × {} × {} bytes, which is absurd", shape[0], shape[1], shape[2])));
    }
    let announced: usize = shape.iter().product();
    // Read what is there, whatever the header says, so that a false header allocates nothing.
    let mut data = Vec::new();
    reader.take(announced as u64 + 1).read_to_end(&mut data).map_err(|e| fail(format!("cannot be read: {e}")))?;
    match data.len() {
        len if len < announced => Err(fail(format!("truncated: {len} of {announced} bytes"))),
        len if len > announced => Err(fail(format!("longer than the {announced} bytes that its header announces"))),
        _ => Ok((path, shape, data)),
    }
}

fn find(directory: &Path, part: &str, kind: &str, dimensions: usize) -> Result<PathBuf> {
    let names = ["-idx", ".idx"].map(|infix| format!("{part}-{kind}{infix}{dimensions}-ubyte"));
    let paths = names.iter().flat_map(|name| [format!("{name}.gz"), name.clone()]).map(|name| directory.join(name));
    let reason = format!("no {}[.gz] here", names[0]);
    paths.into_iter().find(|path| path.is_file()).ok_or(DataError { path: directory.to_path_buf(), reason })
}

fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let reader = BufReader::new(File::open(path)?);
    Ok(match path.extension().is_some_and(|extension| extension == "gz") {
        true => Box::new(MultiGzDecoder::new(reader)),
        false => Box::new(reader),
    })
}
