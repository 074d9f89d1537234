//! Samples of the reader's own, from NumPy's `.npy` files (format 1 to 3). The crate npyz, with its parser of Python's literals, would take
//! a tenth of the page's whole size for it; the tests hold this against what it writes.

/// Most samples that are taken from a file.
pub const MOST: usize = 64;

/// How far beyond -1 and 1 the values of images may lie, by rounding.
const ROUNDING: f32 = 1e-3;

/// What a file's header says, and the bytes after it.
struct Array<'a> {
    /// As in NumPy: `<f4`, `>f8`, `|u1`.
    kind: &'a str,
    fortran_order: bool,
    shape: Vec<usize>,
    bytes: &'a [u8],
}

impl Array<'_> {
    fn open(file: &[u8]) -> Option<Array<'_>> {
        let rest = file.strip_prefix(b"\x93NUMPY")?;
        let (version, rest) = rest.split_first_chunk::<2>()?;
        let (length, rest) = match version[0] {
            1 => rest.split_first_chunk().map(|(n, rest)| (u16::from_le_bytes(*n).into(), rest))?,
            2 | 3 => rest.split_first_chunk().map(|(n, rest)| (u32::from_le_bytes(*n), rest))?,
            _ => return None,
        };
        let (header, bytes) = rest.split_at_checked(length as usize)?;
        let header = std::str::from_utf8(header).ok()?;
        let after = |key: &str| Some(header.split_once(&format!("'{key}':"))?.1.trim_start());
        let shape = after("shape")?.strip_prefix('(')?.split_once(')')?.0;
        let numbers = shape.split(',').map(str::trim).filter(|number| !number.is_empty());
        Some(Array {
            kind: after("descr")?.strip_prefix('\'')?.split_once('\'')?.0,
            fortran_order: after("fortran_order")?.starts_with("True"),
            shape: numbers.map(|number| number.parse().ok()).collect::<Option<_>>()?,
            bytes,
        })
    }

    /// The first `count` values, or why they cannot be had.
    fn values(&self, count: usize, image: bool) -> Result<Vec<f32>, String> {
        let read: fn(&[u8]) -> f32 = match self.kind {
            "<f4" => |b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
            ">f4" => |b| f32::from_be_bytes([b[0], b[1], b[2], b[3]]),
            "<f8" => |b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32,
            ">f8" => |b| f64::from_be_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32,
            "|u1" if image => |b| f32::from(b[0]) / 127.5 - 1.0,
            _ => return Err("Its numbers must be floats of 32 or 64 bits, or bytes for images.".into()),
        };
        let size = usize::from(self.kind.as_bytes()[2] - b'0');
        let bytes = self.bytes.get(..count * size).ok_or("It ends before its last value.")?;
        Ok(bytes.chunks_exact(size).map(read).collect())
    }
}

/// The first samples of `shape` in a file: an array of one of them or of many, of floats, or of bytes for images, 0 to 255.
///
/// # Errors
/// A sentence on what is wrong with it.
pub fn read(file: &[u8], shape: &[usize]) -> Result<Vec<f32>, String> {
    let array = Array::open(file).ok_or("It is no .npy file that this page can read.")?;
    let (found, image, len) = (&array.shape[..], shape.len() == 3, shape.iter().product::<usize>());
    // Grey images may come without their one channel.
    let bare = shape.strip_prefix(&[1]).filter(|rest| rest.len() == 2);
    let fits = |of: &[usize]| found == of || found.len() == of.len() + 1 && found[1..] == *of;
    let count = found.iter().try_fold(1usize, |all, &n| all.checked_mul(n)).unwrap_or(0);
    if !(fits(shape) || bare.is_some_and(fits)) || count == 0 {
        let words = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ");
        return Err(format!("It holds {}; this model's samples are n × {}.", words(found), words(shape)));
    }
    if array.fortran_order {
        return Err("Its values stand in Fortran's order; save it with numpy.ascontiguousarray.".into());
    }
    let values = array.values(count.min(MOST * len), image)?;
    if values.iter().any(|value| !value.is_finite()) {
        return Err("It holds values that are no finite numbers.".into());
    }
    if image && values.iter().any(|value| value.abs() > 1.0 + ROUNDING) {
        return Err("Images must lie in -1 to 1; or save them as bytes, 0 to 255.".into());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use npyz::WriterBuilder;

    fn file<T: npyz::AutoSerialize + Copy>(shape: &[u64], values: &[T]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer =
            npyz::WriteOptions::new().default_dtype().shape(shape).writer(&mut bytes).begin_nd().unwrap();
        writer.extend(values.iter().copied()).unwrap();
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn one_sample_or_many_of_floats_or_bytes() {
        assert_eq!(read(&file(&[2], &[0.5f32, -3.0]), &[2]).unwrap(), [0.5, -3.0]);
        assert_eq!(read(&file(&[2, 2], &[0.5f64, -3.0, 1.0, 2.0]), &[2]).unwrap(), [0.5, -3.0, 1.0, 2.0]);
        let image = [1, 2, 2];
        assert_eq!(read(&file(&[1, 2, 2], &[0u8, 255, 0, 255]), &image).unwrap(), [-1.0, 1.0, -1.0, 1.0]);
        assert_eq!(read(&file(&[2, 2], &[0.1f32; 4]), &image).unwrap(), [0.1; 4]);
        assert_eq!(read(&file(&[3, 2, 2], &[0.1f32; 12]), &image).unwrap(), [0.1; 12]);
        assert_eq!(read(&file(&[100, 2], &[1.0f32; 200]), &[2]).unwrap().len(), 2 * MOST);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let says = |bytes: Vec<u8>, shape: &[usize]| read(&bytes, shape).unwrap_err();
        assert!(says(b"GIF89a".to_vec(), &[2]).contains("no .npy"));
        assert_eq!(
            says(file(&[2, 3], &[0.0f32; 6]), &[2]),
            "It holds 2 × 3; this model's samples are n × 2."
        );
        assert!(says(file(&[0, 2], &[0.0f32; 0]), &[2]).contains("0 × 2"));
        assert!(says(file(&[2], &[0i32; 2]), &[2]).contains("floats"));
        assert!(says(file(&[2], &[0u8; 2]), &[2]).contains("floats"));
        assert!(says(file(&[2], &[f32::NAN, 0.0]), &[2]).contains("finite"));
        assert!(says(file(&[1, 1, 2], &[0.0f32, 7.0]), &[1, 1, 2]).contains("bytes"));
        let mut short = file(&[2], &[0.0f32; 2]);
        short.pop();
        assert!(says(short, &[2]).contains("ends before"));
        let text = |header: &str| {
            [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), &[0; 16]]
                .concat()
        };
        let turned = text("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }");
        assert!(says(turned, &[2]).contains("ascontiguousarray"));
        for odd in
            ["{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", "nothing", ""]
        {
            assert!(says(text(odd), &[2]).contains("no .npy"), "{odd}");
        }
        let huge = text("{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551615, 2), }");
        assert!(says(huge, &[2]).contains("this model's samples"));
    }
}
