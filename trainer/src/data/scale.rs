//! Whether data suit what recipes are made for: step sizes, noise and references are absolute numbers.

use std::ops::RangeInclusive;

/// Standard deviations of a vector's values that recipes are made for.
const DEVIATIONS: RangeInclusive<f64> = 0.1..=10.0;

/// How far from zero the mean of a value may lie, in standard deviations, and at least in absolute terms: a chain
/// that starts at standard normal noise must get there, and a Gaussian reference of width 3 must not forbid it.
const OFF_CENTRE: f64 = 3.0;

/// Pixels of images that use less than the lower half of [-1, 1].
const LOWEST: f32 = -0.001;

/// What is wrong with samples of `shape`, flat, in a line each.
pub fn warnings(samples: &[f32], shape: &[usize]) -> Vec<String> {
    match shape {
        [_] => of_vectors(samples, shape[0]),
        _ => of_images(samples),
    }
}

fn of_images(samples: &[f32]) -> Vec<String> {
    let lowest = samples.iter().copied().fold(f32::INFINITY, f32::min);
    let wrong = lowest >= LOWEST && !samples.is_empty();
    let warning =
        "no pixel is below 0, so these look like images in [0, 1]; [-1, 1] is meant: rescale by 2x - 1";
    if wrong { vec![warning.into()] } else { Vec::new() }
}

fn of_vectors(samples: &[f32], len: usize) -> Vec<String> {
    let columns: Vec<[f64; 2]> = (0..len).map(|i| moments(samples.iter().skip(i).step_by(len))).collect();
    let off = |&[mean, deviation]: &[f64; 2]| mean.abs() > OFF_CENTRE.max(OFF_CENTRE * deviation);
    let narrow = |[_, deviation]: &[f64; 2]| !DEVIATIONS.contains(deviation);
    let mut warnings = Vec::new();
    if let Some((column, others)) = named(&columns, off) {
        let [mean, _] = columns[column];
        warnings.push(format!(
            "the mean of value {column}{others} is {mean:.3}; recipes are made for data about 0: centre them (subtract the means)"
        ));
    }
    if let Some((column, others)) = named(&columns, narrow) {
        let [_, deviation] = columns[column];
        warnings.push(format!(
            "the standard deviation of value {column}{others} is {deviation:.3}; recipes are made for about 1: rescale them"
        ));
    }
    warnings
}

/// The first column that is meant, counted from 0, and how many more there are.
fn named(columns: &[[f64; 2]], wrong: impl Fn(&[f64; 2]) -> bool) -> Option<(usize, String)> {
    let all: Vec<usize> = (0..columns.len()).filter(|&i| wrong(&columns[i])).collect();
    let others = match all.len() {
        0 | 1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    Some((*all.first()?, others))
}

/// Mean and standard deviation.
fn moments<'a>(values: impl Iterator<Item = &'a f32> + Clone) -> [f64; 2] {
    let n = values.clone().count() as f64;
    let mean = values.clone().map(|&v| f64::from(v)).sum::<f64>() / n;
    let variance = values.map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
    [mean, variance.sqrt()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_off_centre_too_wide_or_of_half_the_range_are_told() {
        // Values 0 and 1 of mean 0 and deviation 1; 2 about 100; 3 with deviation 50 about 0.
        let row = |sign: f32| [sign, -sign, 100.0 + sign, 50.0 * sign];
        let samples: Vec<f32> = [1.0, -1.0].repeat(20).into_iter().flat_map(row).collect();
        let found = warnings(&samples, &[4]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("the mean of value 2 is 100.000") && found[0].contains("centre them"));
        assert!(found[1].starts_with("the standard deviation of value 3 is 50.000"), "{found:?}");
        let far: Vec<f32> = samples.iter().map(|v| v + 1000.0).collect();
        assert!(warnings(&far, &[4])[0].contains("value 0 (and 3 more)"));
        assert!(warnings(&samples[..2], &[2]).len() == 1, "one sample has no spread");
        assert_eq!(warnings(&[1.0, -1.0, -1.0, 1.0], &[2]), Vec::<String>::new());
        assert!(warnings(&[0.0, 1.0, 0.5, 0.25], &[1, 2, 2])[0].contains("2x - 1"));
        assert_eq!(warnings(&[-1.0, 1.0, 0.5, 0.25], &[1, 2, 2]), Vec::<String>::new());
    }
}
