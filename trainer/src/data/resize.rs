//! Images of another size.

use image::imageops::FilterType;
use image::{ImageBuffer, Luma};

/// Planes of `[height, width]` in [-1, 1] as planes of another size: linear between pixels' centres, over
/// more of them where the planes shrink, as images of a folder are resized.
pub fn resize(planes: &[f32], [height, width]: [usize; 2], to: [usize; 2]) -> Vec<f32> {
    let plane = |values: &[f32]| {
        // The image crate keeps floating-point pixels in [0, 1].
        let light = values.iter().map(|v| 0.5 * (v + 1.0)).collect();
        let image = ImageBuffer::<Luma<f32>, Vec<f32>>::from_raw(width as u32, height as u32, light)?;
        let resized = image::imageops::resize(&image, to[1] as u32, to[0] as u32, FilterType::Triangle);
        Some(resized.into_raw().into_iter().map(|v| 2.0 * v - 1.0))
    };
    planes.chunks_exact(height * width).filter_map(plane).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_near_means_and_doubles_lie_between() {
        // A slope from left to right, in two planes.
        let slope: Vec<f32> = (0..2 * 64).map(|i| (i % 8) as f32 / 4.0 - 1.0).collect();
        let half = resize(&slope, [8, 8], [4, 4]);
        assert_eq!(half.len(), 2 * 16);
        for (i, v) in half.iter().enumerate().filter(|(i, _)| (1..3).contains(&(i % 4))) {
            let mean = (2.0 * (i % 4) as f32 + 0.5) / 4.0 - 1.0;
            assert!((v - mean).abs() < 1e-5, "{i}: {v} {mean}");
        }
        let double = resize(&slope, [8, 8], [16, 8]);
        assert_eq!(double.len(), 2 * 128);
        assert!(double.iter().enumerate().all(|(i, v)| (v - slope[i % 8]).abs() < 1e-5));
    }
}
