//! How alike two images are: PSNR and SSIM.

/// Values span [-1, 1].
const RANGE: f64 = 2.0;

/// Side of SSIM's window, and the deviation of its Gaussian weights.
const WINDOW: usize = 11;
const SIGMA: f64 = 1.5;

/// Peak signal-to-noise ratio in dB, 10 log₁₀(range²/mean squared error); infinite for equal images.
pub fn psnr(a: &[f32], b: &[f32]) -> f64 {
    let squares: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    10.0 * (RANGE * RANGE * a.len() as f64 / squares).log10()
}

/// Structural similarity (Wang, Bovik, Sheikh & Simoncelli, 2004) of two images `[C, H, W]`: Gaussian
/// windows of 11 × 11 with σ = 1.5 inside the image, K₁ = 0.01, K₂ = 0.03, mean over places and
/// channels. None for images smaller than a window.
pub fn ssim(a: &[f32], b: &[f32], [channels, height, width]: [usize; 3]) -> Option<f64> {
    if height < WINDOW || width < WINDOW {
        return None;
    }
    let plane = height * width;
    let of = |c: usize| {
        let [a, b] = [a, b].map(|image| -> Vec<f64> {
            image[c * plane..(c + 1) * plane].iter().map(|&v| f64::from(v)).collect()
        });
        let product = |x: &[f64], y: &[f64]| -> Vec<f64> { x.iter().zip(y).map(|(x, y)| x * y).collect() };
        let [a_mean, b_mean, aa, bb, ab] =
            [a.clone(), b.clone(), product(&a, &a), product(&b, &b), product(&a, &b)]
                .map(|image| blurred(&image, width));
        let (c1, c2) = ((0.01 * RANGE).powi(2), (0.03 * RANGE).powi(2));
        let places = a_mean.len();
        let similar = (0..places).map(|i| {
            let (ma, mb) = (a_mean[i], b_mean[i]);
            let (va, vb, cov) = (aa[i] - ma * ma, bb[i] - mb * mb, ab[i] - ma * mb);
            (2.0 * ma * mb + c1) * (2.0 * cov + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2))
        });
        similar.sum::<f64>() / places as f64
    };
    Some((0..channels).map(of).sum::<f64>() / channels as f64)
}

/// Weighted means of every window inside the image.
fn blurred(image: &[f64], width: usize) -> Vec<f64> {
    let mut weights = [0.0; WINDOW];
    for (i, w) in weights.iter_mut().enumerate() {
        *w = (-(i as f64 - (WINDOW / 2) as f64).powi(2) / (2.0 * SIGMA * SIGMA)).exp();
    }
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= sum);
    let across: Vec<f64> = image
        .chunks(width)
        .flat_map(|row| row.windows(WINDOW).map(|w| w.iter().zip(&weights).map(|(v, w)| v * w).sum::<f64>()))
        .collect();
    let narrow = width - WINDOW + 1;
    let rows = across.len() / narrow;
    let down = |row: usize, column: usize| -> f64 {
        weights.iter().enumerate().map(|(k, w)| w * across[(row + k) * narrow + column]).sum()
    };
    (0..=rows - WINDOW)
        .flat_map(|row| (0..narrow).map(move |column| (row, column)))
        .map(|(r, c)| down(r, c))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Images and figures of scikit-image: structural_similarity(data_range=2, gaussian_weights=True,
    /// sigma=1.5, use_sample_covariance=False), and the PSNR by its definition, in NumPy.
    #[test]
    fn figures_are_scikit_images() {
        const SHAPE: [usize; 3] = [1, 17, 14];
        let image = |k: f64| -> Vec<f32> {
            let at = |i: usize| {
                let (y, x) = ((i / 14) as f64, (i % 14) as f64);
                ((0.7 * x + 0.3 * k * y).sin() * (0.2 * k * x - 0.5 * y).cos()) as f32
            };
            (0..17 * 14).map(at).collect()
        };
        let (a, b, c) = (image(1.0), image(2.0), image(3.0));
        let mixed: Vec<f32> = a.iter().zip(&b).map(|(a, b)| (a + 0.3 * b).clamp(-1.0, 1.0)).collect();
        for (other, expected_ssim, expected_psnr) in
            [(&mixed, 0.7290233844124352, 22.645586), (&c, 0.06098492547538679, 9.012231)]
        {
            let (s, p) = (ssim(&a, other, SHAPE).unwrap(), psnr(&a, other));
            assert!((s - expected_ssim).abs() < 1e-6, "{s} {expected_ssim}");
            assert!((p - expected_psnr).abs() < 1e-4, "{p} {expected_psnr}");
        }
        assert!((ssim(&a, &a, SHAPE).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(psnr(&a, &a), f64::INFINITY);
        assert_eq!(ssim(&[0.0; 64], &[0.0; 64], [1, 8, 8]), None);
        // Two channels are judged one by one.
        let two = [a.clone(), a.clone()].concat();
        let others = [mixed.clone(), c.clone()].concat();
        let mean = ssim(&two, &others, [2, 17, 14]).unwrap();
        assert!((mean - (0.7290233844124352 + 0.06098492547538679) / 2.0).abs() < 1e-6);
    }
}
