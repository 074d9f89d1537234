//! Points in text: a line for each, numbers separated by commas, after an optional line of names.
//!
//! What other programs write is told apart as far as it can be: names that are numbers (pandas' 0, 1, …), a column
//! of row numbers without a name (pandas' index), missing values, decimal commas and other separators.

use anyhow::{Context, Result, bail, ensure};
use csv::{ReaderBuilder, StringRecord, Trim};
use std::io::{BufReader, Read};

/// Text that can be read from its beginning more than once.
pub struct Source<'a> {
    /// What messages call it.
    pub name: String,
    /// Opens it.
    pub open: &'a dyn Fn() -> std::io::Result<Box<dyn Read + 'a>>,
}

/// Hand every point to `take`, until it has enough and says false; `warn` hears what may be meant otherwise. Returns the
/// number of columns.
///
/// # Errors
/// If the text cannot be read or holds no points; else names the line and the column of what is no finite number, or the
/// line that is longer or shorter than those before it. And those of `take`.
pub fn rows(
    source: &Source,
    warn: &mut dyn FnMut(&str),
    mut take: impl FnMut(&[f32]) -> Result<bool>,
) -> Result<usize> {
    let name = &source.name;
    let cannot = || format!("cannot read {name}");
    let file = (source.open)().with_context(cannot)?;
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(file);
    let (mut record, mut second) = (StringRecord::new(), StringRecord::new());
    let mut row = Vec::new();
    if !reader.read_record(&mut record).with_context(cannot)? {
        bail!("{name} holds no points");
    }
    let mut more = reader.read_record(&mut second).with_context(cannot)?;
    if are_names(&record, more.then_some(&second), name, warn)? {
        std::mem::swap(&mut record, &mut second);
        ensure!(more, "{name} holds no points");
        let (names, columns) = (second.len(), record.len());
        ensure!(
            names == columns,
            "{name} has names for {names} columns, and {columns} columns in the line below; decimals are written with a point"
        );
        more = false;
    }
    loop {
        if !row.is_empty() && row.len() != record.len() {
            let (place, columns) = (place(source, &record)?, row.len());
            bail!("{place} has {} columns, but those before it have {columns}", record.len());
        }
        row.clear();
        for (column, field) in record.iter().enumerate() {
            match field.parse::<f32>() {
                Ok(value) if value.is_finite() => row.push(value),
                parsed => {
                    let what = if parsed.is_ok() { "finite" } else { "a number" };
                    let hint = hint(field);
                    bail!("{}, column {}: `{field}` is not {what}{hint}", place(source, &record)?, column + 1)
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
    name: &str,
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
            "the first column of {name} has no name: such columns hold the numbers of the rows; leave them out (in \
             pandas: to_csv(…, index=False))"
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
fn place(source: &Source, record: &StringRecord) -> Result<String> {
    let start = record.position().map_or(0, |position| position.byte());
    let mut line = 1;
    for (i, byte) in BufReader::new((source.open)()?).bytes().enumerate() {
        let byte = byte?;
        if i as u64 >= start && !byte.is_ascii_whitespace() {
            break;
        }
        line += u64::from(byte == b'\n');
    }
    Ok(format!("{} line {line}", source.name))
}
