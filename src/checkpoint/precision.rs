//! The number types of stored tensors, and their bytes.

use std::fmt;
use std::io::{self, Read, Write};

use half::{bf16, f16};

use crate::Scalar;

/// A type of real numbers in a file. All are read as `f32` or `f64`, whichever is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 64 bits.
    F64,
    /// 32 bits.
    F32,
    /// 16 bits: 11 of significand, up to 65,504.
    F16,
    /// 16 bits: 8 of significand, the range of `f32`.
    Bf16,
}

/// Numbers that are converted at a time.
const PIECE: usize = 1 << 14;

impl Precision {
    /// The type itself: what stores numbers of type T without loss.
    pub fn of<T: Scalar>() -> Self {
        if size_of::<T>() == 8 { Self::F64 } else { Self::F32 }
    }

    /// The name in a safetensors file.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "F64",
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }

    /// Bytes that a number takes.
    pub fn bytes(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::F64, Self::F32, Self::F16, Self::Bf16].into_iter().find(|precision| precision.name() == name)
    }

    /// Fills `out` with numbers, in little-endian order as the format has them, in memory that does not depend on how many.
    pub(super) fn read<T: Scalar>(self, source: &mut impl Read, out: &mut [T]) -> io::Result<()> {
        if self == Self::of::<T>() && cfg!(target_endian = "little") {
            return source.read_exact(bytemuck::cast_slice_mut(out));
        }
        let mut bytes = vec![0; out.len().min(PIECE) * self.bytes()];
        for piece in out.chunks_mut(PIECE) {
            let bytes = &mut bytes[..piece.len() * self.bytes()];
            source.read_exact(bytes)?;
            self.decode(bytes, piece);
        }
        Ok(())
    }

    /// Writes numbers, rounded to nearest, in memory that does not depend on how many.
    pub(super) fn write<T: Scalar>(self, numbers: &[T], sink: &mut impl Write) -> io::Result<()> {
        if self == Self::of::<T>() && cfg!(target_endian = "little") {
            return sink.write_all(bytemuck::cast_slice(numbers));
        }
        let mut bytes = Vec::with_capacity(numbers.len().min(PIECE) * self.bytes());
        for piece in numbers.chunks(PIECE) {
            bytes.clear();
            self.encode(piece, &mut bytes);
            sink.write_all(&bytes)?;
        }
        Ok(())
    }

    /// The first number that is finite but would be rounded to an infinite one.
    pub(super) fn first_too_large<T: Scalar>(self, numbers: &[T]) -> Option<(usize, f64)> {
        let rounded = |x: f64| match self {
            Self::F64 => x,
            Self::F32 => (x as f32).into(),
            Self::F16 => f16::from_f64(x).into(),
            Self::Bf16 => bf16::from_f64(x).into(),
        };
        if self.bytes() >= size_of::<T>() {
            return None;
        }
        let index = numbers.iter().position(|x| x.is_finite() && rounded(x.wide()).is_infinite())?;
        Some((index, numbers[index].wide()))
    }

    fn encode<T: Scalar>(self, numbers: &[T], bytes: &mut Vec<u8>) {
        let wide = numbers.iter().map(|x| x.wide());
        match self {
            Self::F64 => bytes.extend(wide.flat_map(f64::to_le_bytes)),
            Self::F32 => bytes.extend(wide.flat_map(|x| (x as f32).to_le_bytes())),
            Self::F16 => bytes.extend(wide.flat_map(|x| f16::from_f64(x).to_le_bytes())),
            Self::Bf16 => bytes.extend(wide.flat_map(|x| bf16::from_f64(x).to_le_bytes())),
        }
    }

    fn decode<T: Scalar>(self, bytes: &[u8], out: &mut [T]) {
        match self {
            Self::F64 => decode(bytes, out, f64::from_le_bytes),
            Self::F32 => decode(bytes, out, |bytes| f32::from_le_bytes(bytes).into()),
            Self::F16 => decode(bytes, out, |bytes| f16::from_le_bytes(bytes).to_f32().into()),
            Self::Bf16 => decode(bytes, out, |bytes| bf16::from_le_bytes(bytes).to_f32().into()),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

fn decode<const N: usize, T: Scalar>(bytes: &[u8], out: &mut [T], number: impl Fn([u8; N]) -> f64) {
    let (numbers, _) = bytes.as_chunks();
    out.iter_mut().zip(numbers).for_each(|(out, &bytes)| *out = T::of(number(bytes)));
}
