//! A plane through latent space by three corners, and walks on it.

/// A place on the plane: (0, 0) is the first corner, (1, 0) the second, (0, 1) the third.
pub type Place = [f32; 2];

/// The place that words stand for: two numbers with a space between them, each at most 100 from zero.
pub fn from_words(words: &str) -> Option<Place> {
    let mut numbers =
        words.split_whitespace().map(|word| word.parse::<f32>().ok().filter(|v| v.abs() <= 100.0));
    let place = [numbers.next()??, numbers.next()??];
    numbers.next().is_none().then_some(place)
}

/// The words for a place, of at most three decimals.
pub fn words([x, y]: Place) -> String {
    let rounded = |v: f32| (v * 1000.0).round() / 1000.0 + 0.0;
    format!("{} {}", rounded(x), rounded(y))
}

/// Latents on a grid of `side` × `side` places, row by row, the first at `from` and the last one unit farther in both
/// directions. Between the corners latents are mixed linearly, and given the corners' mean length: in many dimensions a
/// mean of two samples of the prior is far shorter than any sample.
pub fn latents(corners: &[Vec<f32>; 3], side: usize, from: Place) -> Vec<f32> {
    let length = |z: &[f32]| z.iter().map(|v| v * v).sum::<f32>().sqrt();
    let mean = corners.iter().map(|corner| length(corner)).sum::<f32>() / 3.0;
    let mut all = Vec::with_capacity(side * side * corners[0].len());
    let share = |i: usize| i as f32 / (side.max(2) - 1) as f32;
    for row in 0..side {
        for column in 0..side {
            let (a, b) = (from[0] + share(column), from[1] + share(row));
            let [z0, z1, z2] = corners;
            let mixed: Vec<f32> =
                z0.iter().zip(z1).zip(z2).map(|((z0, z1), z2)| z0 + a * (z1 - z0) + b * (z2 - z0)).collect();
            let scale = mean / length(&mixed).max(1e-6);
            all.extend(mixed.iter().map(|v| v * scale));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corners_are_where_they_belong_and_lengths_stay() {
        let corners = [vec![2.0, 0.0, 0.0], vec![0.0, 2.0, 0.0], vec![0.0, 0.0, 2.0]];
        let all = latents(&corners, 3, [0.0, 0.0]);
        assert_eq!(all.len(), 27);
        for (place, corner) in [(0, &corners[0]), (2, &corners[1]), (6, &corners[2])] {
            assert!(all[3 * place..3 * place + 3].iter().zip(corner).all(|(a, b)| (a - b).abs() < 1e-6));
        }
        for z in all.chunks(3) {
            assert!((z.iter().map(|v| v * v).sum::<f32>().sqrt() - 2.0).abs() < 1e-5, "{z:?}");
        }
        // One unit on is where the next grid begins.
        let next = latents(&corners, 3, [1.0, 0.0]);
        assert!(next[..3].iter().zip(&all[6..9]).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn places_are_written_as_two_numbers() {
        assert_eq!(from_words("0.5 -1"), Some([0.5, -1.0]));
        assert_eq!(words([0.123_45, -0.0]), "0.123 0");
        for wrong in ["", "1", "1 2 3", "a b", "1e9 0", "NaN 0"] {
            assert_eq!(from_words(wrong), None, "{wrong}");
        }
    }
}
