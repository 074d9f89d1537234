//! Points in files: `.csv`, by the program's own rules, and NumPy's `.npy`.

use crate::lesson::{LessonError, MOST};
use dual_mcmc_trainer::table::{Source, rows};
use npyz::{DType, NpyFile, Order, TypeChar, WriterBuilder};
use std::io::Read;

/// The points, in pairs of numbers, in a file of this name.
///
/// # Errors
/// A sentence on what is wrong with it.
pub fn read(name: &str, file: &[u8]) -> Result<Vec<f32>, LessonError> {
    let found = if file.starts_with(b"\x93NUMPY") { npy(name, file) } else { text(name, file) };
    found.map_err(LessonError::Points)
}

fn text(name: &str, file: &[u8]) -> Result<Vec<f32>, String> {
    if !name.to_lowercase().ends_with(".csv") {
        return Err(format!("{name} is no file of points: a .csv file or NumPy's .npy is meant."));
    }
    let open = || Ok(Box::new(file) as Box<dyn Read>);
    let mut points = Vec::new();
    let columns = rows(&Source { name: name.into(), open: &open }, &mut |_| (), |row| {
        points.extend_from_slice(row);
        // One more than there may be tells that there are too many.
        Ok(points.len() <= 2 * MOST)
    });
    match columns.map_err(|error| format!("{error:#}."))? {
        2 => Ok(points),
        columns => Err(format!("{name} has {columns} columns; points of the plane have two.")),
    }
}

fn npy(name: &str, file: &[u8]) -> Result<Vec<f32>, String> {
    let damaged = |_| format!("{name} is damaged.");
    let array = NpyFile::new(file).map_err(damaged)?;
    let &[count, 2] = array.shape() else {
        return Err(format!("{name} has the shape {:?}; points of the plane are [N, 2].", array.shape()));
    };
    if count > MOST as u64 {
        return Err(format!(
            "{count} points are too many for a page, which takes {MOST}; the program takes any number."
        ));
    }
    if array.order() != Order::C {
        return Err(format!("{name} is in Fortran order; save it with numpy.ascontiguousarray."));
    }
    let DType::Plain(kind) = array.dtype() else {
        return Err(format!("{name} holds records; save it as a plain float32 array."));
    };
    match (kind.type_char(), kind.size_field()) {
        (TypeChar::Float, 4) => array.into_vec::<f32>().map_err(damaged),
        (TypeChar::Float, 8) => {
            Ok(array.into_vec::<f64>().map_err(damaged)?.into_iter().map(|value| value as f32).collect())
        }
        _ => Err(format!("{name} has dtype {kind}; save it with .astype(numpy.float32).")),
    }
}

/// Points, in pairs of numbers, as NumPy's `.npy`, `[N, 2]`.
///
/// # Errors
/// None that is known.
pub fn write(points: &[f32]) -> Result<Vec<u8>, String> {
    let mut file = Vec::new();
    let failed = |error: std::io::Error| error.to_string();
    let options = npyz::WriteOptions::new().default_dtype().shape(&[points.len() as u64 / 2, 2]);
    let mut writer = options.writer(&mut file).begin_nd().map_err(failed)?;
    writer.extend(points.iter().copied()).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn points_come_back_as_they_were_written() {
        let points: Vec<f32> = (0..30).map(|i| i as f32 * 0.3 - 4.0).collect();
        let file = write(&points).unwrap();
        assert_eq!(read("mine.npy", &file).unwrap(), points);
        // And the program reads them.
        let array = NpyFile::new(&file[..]).unwrap();
        assert_eq!((array.shape(), array.order()), (&[15, 2][..], Order::C));
    }

    #[test]
    fn text_is_read_by_the_programs_rules() {
        assert_eq!(read("a.CSV", b"x,y\n1,2\n-0.5,3e0\n").unwrap(), [1.0, 2.0, -0.5, 3.0]);
        for (name, file, words) in [
            (
                "a.csv",
                &b"1,2\n3,nan\n"[..],
                "a.csv line 2, column 2: `nan` is not finite; leave out rows with missing values.",
            ),
            ("a.csv", b"1,2\n3\n", "a.csv line 2 has 1 columns, but those before it have 2."),
            ("a.csv", b"1,2,3\n", "a.csv has 3 columns; points of the plane have two."),
            ("a.csv", b"", "a.csv holds no points."),
            ("a.txt", b"1,2\n", "a.txt is no file of points: a .csv file or NumPy's .npy is meant."),
            ("a.npy", b"\x93NUMPY\x01", "a.npy is damaged."),
        ] {
            assert_eq!(read(name, file).unwrap_err().to_string(), words);
        }
    }
}
