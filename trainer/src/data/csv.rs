//! Points in a `.csv` file, read as [`crate::table`] says.

use super::memory;
use super::npy::{self, Array};
use crate::console::say;
use crate::table::{self, Source};
use anyhow::Result;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Read all points: `[N, D]`.
///
/// # Errors
/// If the file cannot be read or holds no points; else names the line and the column of what is no
/// finite number, or the line that is longer or shorter than those before it.
pub fn read(path: &Path) -> Result<Array> {
    let mut values = Vec::new();
    // A number takes two bytes of text at least, and four in memory.
    let size = path.metadata().map_or(0, |metadata| metadata.len()) as usize;
    memory::ask(size.saturating_mul(2), || path.display().to_string())?;
    let columns = each_row(path, |row| {
        values.extend_from_slice(row);
        Ok(true)
    })?;
    Ok(Array { shape: vec![values.len() / columns, columns], values })
}

/// Number of columns, from the first line of numbers.
///
/// # Errors
/// As [`read`], as far as that line.
pub fn columns(path: &Path) -> Result<usize> {
    rows(path, &mut |_| (), |_| Ok(false))
}

/// Write all points to the `.npy` file `out`, `[N, D]`, without ever holding all of them. Returns N and D.
///
/// # Errors
/// As [`read`]; and if `out` cannot be written.
pub fn to_npy(path: &Path, out: &Path) -> Result<[usize; 2]> {
    let columns = columns(path)?;
    let count =
        npy::write_rows(out, &[columns], |rows| each_row(path, |row| rows(row).map(|()| true)).map(|_| ()))?;
    Ok([count, columns])
}

/// Hand every point to `take`, until it has enough and says false. Returns the number of columns.
///
/// # Errors
/// As [`read`], and those of `take`.
pub fn each_row(path: &Path, take: impl FnMut(&[f32]) -> Result<bool>) -> Result<usize> {
    rows(path, &mut |warning| say!("warning: {}: {warning}", path.display()), take)
}

/// Hand every point to `take`, as [`each_row`] does; `warn` hears what may be meant otherwise.
fn rows(path: &Path, warn: &mut dyn FnMut(&str), take: impl FnMut(&[f32]) -> Result<bool>) -> Result<usize> {
    let open = || Ok(Box::new(File::open(path)?) as Box<dyn Read>);
    table::rows(&Source { name: path.display().to_string(), open: &open }, warn, take)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_may_be_meant_otherwise_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("points.csv");
        for (text, expected) in [
            ("0,1\n5,2\n", Some("the first line is taken for a point")),
            ("0,12\n0,13\n", Some("points of 2 whole numbers")),
            ("0,12\n0,5\n", Some("points of 2 whole numbers")),
            ("0,1\n0.5,2\n", None),
            ("0.5,12\n0.7,13\n", None),
            ("3,5\n2,1\n", None),
        ] {
            std::fs::write(&path, text).unwrap();
            let mut said = Vec::new();
            rows(&path, &mut |warning| said.push(warning.to_string()), |_| Ok(true)).unwrap();
            assert_eq!(said.len(), usize::from(expected.is_some()), "{text:?}: {said:?}");
            assert!(expected.is_none_or(|expected| said[0].contains(expected)), "{text:?}: {said:?}");
        }
    }

    fn read_text(text: &str) -> Result<Array> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("points.csv");
        std::fs::write(&path, text).unwrap();
        let array = read(&path)?;
        let out = folder.path().join("points.npy");
        assert_eq!(to_npy(&path, &out).unwrap()[..], array.shape);
        assert_eq!(npy::read(&out).unwrap(), array);
        Ok(array)
    }

    #[test]
    fn numbers_are_read_with_and_without_names() {
        let expected = Array { shape: vec![2, 3], values: vec![1.0, -2.5, 3e4, 0.0, 5.0, 6.0] };
        for text in [
            "1,-2.5,3e4\n0,5,6\n",
            "a,b,c\n1, -2.5 ,3e4\r\n0,5,6",
            "\u{feff}x,\"y, m\",\n\n1,-2.5,30000\n\n+0,5.,\"6\"\n\n",
        ] {
            assert_eq!(read_text(text).unwrap(), expected, "{text:?}");
        }
        assert_eq!(read_text("7\n8\n").unwrap().shape, [2, 1]);
        // What pandas writes for an array without names, and points that only look like it.
        assert_eq!(read_text("0,1\n0.5,2.5\n3,4\n").unwrap().values, [0.5, 2.5, 3.0, 4.0]);
        assert_eq!(read_text("0,1\n5,2\n").unwrap().values, [0.0, 1.0, 5.0, 2.0]);
        assert_eq!(read_text("0\n1.5\n").unwrap().values, [1.5]);
        assert_eq!(read_text("1,0\n1.5,2\n").unwrap().values, [1.0, 0.0, 1.5, 2.0]);
    }

    #[test]
    fn what_is_wrong_is_named_by_line_and_column() {
        for (text, expected) in [
            ("x,y\n1,2\n3,abc\n", "line 3, column 2: `abc` is not a number"),
            ("1,2\n\n3,\n", "line 3, column 2: `` is not a number"),
            ("1,y\n1,2\n", "line 1, column 2: `y` is not a number"),
            ("x,y\n1,2\nx,y\n", "line 3, column 1: `x` is not a number"),
            ("1,2\nnan,4\n", "line 2, column 1: `nan` is not finite"),
            ("1,2\n3,1e99\n", "line 2, column 2: `1e99` is not finite"),
            ("1,2\n3,4,5\n", "line 2 has 3 columns, but those before it have 2"),
            ("1,2\r\n\r\n\r\n3,4\r\n\r\n5,b\r\n", "line 6, column 2: `b` is not a number"),
            ("1;2\n3;4\n", "line 1, column 1: `1;2` is not a number; numbers are separated by commas"),
            ("x,y\n", "holds no points"),
            ("", "holds no points"),
            ("NA,NA\n1,2\n", "line 1, column 1: `NA` is not a number; leave out rows with missing values"),
            (",x,y\n0,1.5,2.5\n", "index=False"),
            (",0,1\n0,1.5,2.5\n", "index=False"),
            ("1\t2\n3\t4\n", "`1\t2` is not a number; numbers are separated by commas"),
            ("1 2\n3 4\n", "separated by commas"),
            ("\"0,12\",\"1,5\"\n", "decimals are written with a point"),
            ("x\n0,12\n1,5\n", "names for 1 columns, and 2 columns"),
        ] {
            let error = format!("{:#}", read_text(text).unwrap_err());
            assert!(error.contains(expected), "{text:?}: {error}");
            assert!(error.contains("points.csv"), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("binary.csv");
        std::fs::write(&path, [b'1', b'\n', 0xff, 0xfe, b'\n']).unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("cannot read") && error.contains("binary.csv"), "{error}");
    }
}
