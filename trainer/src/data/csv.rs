//! Points in a `.csv` file: a line for each, numbers separated by commas, after an optional line of
//! names.
//!
//! What other programs write is told apart as far as it can be: names that are numbers (pandas' 0, 1, …), a column
//! of row numbers without a name (pandas' index), missing values, decimal commas and other separators.

use super::memory;
use super::npy::{self, Array};
use crate::console::say;
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
fn rows(
    path: &Path,
    warn: &mut dyn FnMut(&str),
    mut take: impl FnMut(&[f32]) -> Result<bool>,
) -> Result<usize> {
    let cannot = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(cannot)?;
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(file);
    let (mut record, mut second) = (StringRecord::new(), StringRecord::new());
    let mut row = Vec::new();
    if !reader.read_record(&mut record).with_context(cannot)? {
        bail!("{} holds no points", path.display());
    }
    let mut more = reader.read_record(&mut second).with_context(cannot)?;
    if are_names(&record, more.then_some(&second), path, warn)? {
        std::mem::swap(&mut record, &mut second);
        ensure!(more, "{} holds no points", path.display());
        let (names, columns) = (second.len(), record.len());
        ensure!(
            names == columns,
            "{} has names for {names} columns, and {columns} columns in the line below; decimals are written with a point",
            path.display()
        );
        more = false;
    }
    loop {
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
                    let hint = hint(field);
                    bail!("{}, column {}: `{field}` is not {what}{hint}", place(path, &record)?, column + 1)
                }
            }
        }
        if !take(&row)? {
            break;
        }
        // The second line has been read already, unless it has taken the place of the names.
        if std::mem::take(&mut more) {
            std::mem::swap(&mut record, &mut second);
        } else if !reader.read_record(&mut record).with_context(cannot)? {
            break;
        }
    }
    Ok(row.len())
}

/// What programs write where a value is missing.
const MISSING: [&str; 8] = ["", "na", "n/a", "nan", "null", "none", "-", "?"];

fn is_missing(field: &str) -> bool {
    MISSING.contains(&field.to_lowercase().as_str())
}

fn is_whole(field: &str) -> bool {
    field.parse::<i64>().is_ok()
}

/// Whether the first line holds names: no numbers, or pandas' own, 0, 1, and so on, where the values below are not
/// whole.
///
/// # Errors
/// If a column has no name, as pandas writes the numbers of its rows.
fn are_names(
    first: &StringRecord,
    second: Option<&StringRecord>,
    path: &Path,
    warn: &mut dyn FnMut(&str),
) -> Result<bool> {
    let fields: Vec<&str> = first.iter().collect();
    let numbered = |fields: &[&str]| fields.iter().enumerate().all(|(i, field)| *field == i.to_string());
    let no_numbers = |fields: &[&str]| {
        fields.iter().all(|field| field.parse::<f32>().is_err() && separator(field).is_none())
    };
    let unnamed = fields.len() > 1
        && matches!(fields[0], "" | "Unnamed: 0")
        && fields[1..].iter().all(|field| !is_missing(field));
    if unnamed && (numbered(&fields[1..]) || no_numbers(&fields[1..])) {
        bail!(
            "the first column of {} has no name: such columns hold the numbers of the rows; leave them out (in \
             pandas: to_csv(…, index=False))",
            path.display()
        );
    }
    if no_numbers(&fields) {
        // A line of missing values is a point that cannot be used, not a line of names.
        return Ok(!first.iter().all(is_missing));
    }
    let Some(second) = second.filter(|second| second.len() == first.len()) else { return Ok(false) };
    if numbered(&fields) {
        if !second.iter().all(is_whole) {
            return Ok(true);
        }
        warn(
            "the first line is taken for a point; if its numbers are names, leave them out (in pandas: to_csv(…, \
             header=False))",
        );
    }
    let halves = |record: &StringRecord| {
        let mut behind = record.iter().skip(1).step_by(2);
        record.len().is_multiple_of(2) && record.iter().all(is_whole) && behind.any(|digits| digits.len() > 1)
    };
    if (halves(first) || halves(second)) && first.iter().chain(second).all(is_whole) {
        warn(&format!(
            "taken for points of {} whole numbers; decimals are written with a point",
            first.len()
        ));
    }
    Ok(false)
}

/// What may be meant by something that is no number.
fn hint(field: &str) -> &'static str {
    match separator(field) {
        _ if is_missing(field) => "; leave out rows with missing values",
        Some(',') => "; decimals are written with a point",
        Some(_) => "; numbers are separated by commas",
        None => "",
    }
}

/// What separates the numbers that a field holds, if it holds several.
fn separator(field: &str) -> Option<char> {
    [';', '\t', ' ', ','].into_iter().find(|&separator| {
        let mut numbers = field.split(separator).map(str::trim).filter(|part| !part.is_empty());
        field.contains(separator) && numbers.all(|number| number.replace(',', ".").parse::<f32>().is_ok())
    })
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
