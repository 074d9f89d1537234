//! Points in a `.csv` file: a line for each, numbers separated by commas, after an optional line of
//! names.

use super::npy::{self, Array};
use ::csv::{ReaderBuilder, StringRecord, Trim};
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// Read all points: `[N, D]`.
///
/// # Errors
/// If the file cannot be read or holds no points; else names the line and the column of what is no
/// finite number, or the line that is longer or shorter than those before it.
pub fn read(path: &Path) -> Result<Array> {
    let mut values = Vec::new();
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
    each_row(path, |_| Ok(false))
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
pub fn each_row(path: &Path, mut take: impl FnMut(&[f32]) -> Result<bool>) -> Result<usize> {
    let cannot = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(cannot)?;
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(file);
    let mut record = StringRecord::new();
    let (mut row, mut first) = (Vec::new(), true);
    while reader.read_record(&mut record).with_context(cannot)? {
        let names = std::mem::take(&mut first) && record.iter().all(|field| field.parse::<f32>().is_err());
        if names {
            continue;
        }
        if !row.is_empty() && row.len() != record.len() {
            let (place, columns) = (place(path, &record)?, row.len());
            bail!("{place} has {} columns, but those before it have {columns}", record.len());
        }
        row.clear();
        for (column, field) in record.iter().enumerate() {
            match field.parse::<f32>() {
                Ok(value) if value.is_finite() => row.push(value),
                parsed => {
                    let what = if parsed.is_ok() { "finite" } else { "a number" };
                    bail!("{}, column {}: `{field}` is not {what}", place(path, &record)?, column + 1)
                }
            }
        }
        if !take(&row)? {
            break;
        }
    }
    ensure!(!row.is_empty(), "{} holds no points", path.display());
    Ok(row.len())
}

/// File and line of a record. The reader's own count does not know of the empty lines before it.
fn place(path: &Path, record: &StringRecord) -> Result<String> {
    let start = record.position().map_or(0, |position| position.byte());
    let mut line = 1;
    for (i, byte) in BufReader::new(File::open(path)?).bytes().enumerate() {
        let byte = byte?;
        if i as u64 >= start && !byte.is_ascii_whitespace() {
            break;
        }
        line += u64::from(byte == b'\n');
    }
    Ok(format!("{} line {line}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
            ("1;2\n3;4\n", "line 2, column 1: `3;4` is not a number"),
            ("x,y\n", "holds no points"),
            ("", "holds no points"),
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
