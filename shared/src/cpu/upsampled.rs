//! A 3×3 convolution of a nearest-neighbour upsampled image, without upsampling it.
//!
//! Outputs of one parity (row, column) see the same 2×2 pixels of the small image, so the layer is a
//! transposed convolution of it, with stride 2 and 4×4 kernels whose elements are sums of the 3×3
//! kernel's: 4/9 of the multiplications.

use super::Real;
use crate::network::Conv2d;

/// Which elements of three make up each of four, in one dimension.
const SUMS: [&[usize]; 4] = [&[2], &[1, 2], &[0, 1], &[0]];

/// The convolution whose transpose computes `c` from the image that is not upsampled, and its kernels, `[in, out, 4, 4]`.
pub(super) fn transposed<T: Real>(c: &Conv2d, weights: &[T]) -> (Conv2d, Vec<T>) {
    let (inputs, outputs) = (c.in_channels, c.out_channels);
    let wide = Conv2d {
        in_channels: outputs,
        height: c.out_height,
        width: c.out_width,
        out_channels: inputs,
        out_height: c.height / 2,
        out_width: c.width / 2,
        kernel: 4,
        stride: 2,
        padding: 1,
        weight: 0,
        bias: None,
    };
    let weights = &weights[c.weight..][..9 * inputs * outputs];
    let mut kernels = Vec::with_capacity(16 * inputs * outputs);
    for input in 0..inputs {
        for output in 0..outputs {
            let three = &weights[9 * (output * inputs + input)..];
            for rows in SUMS {
                for columns in SUMS {
                    let mut sum = T::from_f32(0.0);
                    for row in rows {
                        columns.iter().for_each(|column| sum += three[3 * row + column]);
                    }
                    kernels.push(sum);
                }
            }
        }
    }
    (wide, kernels)
}
