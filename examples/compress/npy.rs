//! Reading and writing .npy files: little-endian floating-point numbers, row-major.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::input::{Problem, Tensor};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Reads a file.
pub fn read(path: &Path) -> Result<Tensor, Problem> {
    let fail = |reason: String| Problem { path: path.to_path_buf(), reason };
    let bytes = fs::read(path).map_err(|error| fail(error.to_string()))?;
    let (shape, kind, data) = parse(&bytes).map_err(|reason| fail(reason.to_string()))?;
    let count = shape.iter().try_fold(1_usize, |count, &side| count.checked_mul(side));
    let expected = count.and_then(|count| count.checked_mul(kind.bytes()));
    if expected != Some(data.len()) {
        return Err(fail(format!("{} bytes of numbers do not make the shape {shape:?}", data.len())));
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Tensor { name, shape, numbers: data.chunks_exact(kind.bytes()).map(|bytes| kind.number(bytes)).collect() })
}

#[derive(Clone, Copy)]
enum Kind {
    Half,
    Single,
    Double,
}

impl Kind {
    fn bytes(self) -> usize {
        match self {
            Self::Half => 2,
            Self::Single => 4,
            Self::Double => 8,
        }
    }

    fn number(self, bytes: &[u8]) -> f32 {
        match *bytes {
            [a, b] => from_half(u16::from_le_bytes([a, b])),
            [a, b, c, d] => f32::from_le_bytes([a, b, c, d]),
            [a, b, c, d, e, f, g, h] => f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32,
            _ => f32::NAN,
        }
    }
}

/// Shape, kind and bytes of the numbers.
fn parse(bytes: &[u8]) -> Result<(Vec<usize>, Kind, &[u8]), &'static str> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("not a .npy file")?;
    let truncated = "truncated header";
    let (header_at, length) = match rest.first().ok_or(truncated)? {
        1 => (4, rest.get(2..4).map(|b| usize::from(b[0]) | usize::from(b[1]) << 8)),
        2 | 3 => (6, rest.get(2..6).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize)),
        _ => return Err("a version of the .npy format that is not known"),
    };
    let end = length.and_then(|length| length.checked_add(header_at)).ok_or(truncated)?;
    let header =
        std::str::from_utf8(rest.get(header_at..end).ok_or(truncated)?).map_err(|_| "a header that is not text")?;
    let field = |name: &str| header.split_once(&format!("'{name}':")).map(|(_, value)| value.trim_start());
    let descr = field("descr").ok_or("no 'descr' in the header")?;
    let kind = [("'<f2'", Kind::Half), ("'<f4'", Kind::Single), ("'<f8'", Kind::Double)]
        .into_iter()
        .find(|(text, _)| descr.starts_with(text))
        .ok_or("numbers that are not little-endian floating-point ones")?
        .1;
    if !field("fortran_order").ok_or("no 'fortran_order' in the header")?.starts_with("False") {
        return Err("column-major order");
    }
    let shape = field("shape").and_then(|text| text.strip_prefix('(')).and_then(|text| text.split_once(')'));
    let sides = shape.ok_or("no 'shape' in the header")?.0.split(',').map(str::trim).filter(|side| !side.is_empty());
    let shape = sides.map(|side| side.parse().map_err(|_| "a shape that cannot be read")).collect::<Result<_, _>>()?;
    Ok((shape, kind, &rest[end..]))
}

/// Writes numbers in single or half precision.
pub fn write(path: &Path, shape: &[usize], numbers: &[f32], half: bool) -> std::io::Result<()> {
    let sides: String = shape.iter().map(|side| format!("{side}, ")).collect();
    let descr = if half { "<f2" } else { "<f4" };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sides}), }}");
    // The numbers begin at a multiple of 64 bytes, after a line feed.
    let padding = (64 - (MAGIC.len() + 4 + header.len() + 1) % 64) % 64;
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let mut file = std::io::BufWriter::new(fs::File::create(path)?);
    file.write_all(MAGIC)?;
    file.write_all(&[1, 0])?;
    file.write_all(&(header.len() as u16).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    for &number in numbers {
        match half {
            true => file.write_all(&to_half(number).to_le_bytes())?,
            false => file.write_all(&number.to_le_bytes())?,
        }
    }
    file.flush()
}

fn from_half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2_f32.powi(exponent - 15),
    }
}

/// The nearest half-precision number; what is too large becomes infinite.
fn to_half(number: f32) -> u16 {
    let sign = if number.is_sign_negative() { 0x8000 } else { 0 };
    let size = f64::from(number.abs());
    if size.is_nan() {
        return sign | 0x7e00;
    }
    let exponent = (size.max(f64::MIN_POSITIVE).log2().floor() as i32).clamp(-14, 16);
    let steps = (size * 2_f64.powi(10 - exponent)).round_ties_even();
    // Steps count from the smallest normal number of this exponent; a carry moves to the next one by itself.
    let bits = (f64::from(exponent + 14) * 1024.0 + steps).min(f64::from(0x7c00));
    sign | bits as u16
}
