//! Upsampling by two: bilinear, and nearest with the 3×3 convolution that follows it.
//!
//! Bilinear: burn's has no backward pass on wgpu, so it is two products with constant matrices.
//!
//! Nearest and a 3×3 convolution need no upsampled image. Every output of one parity (row, column) sees the same 2×2 pixels of the small image, each as
//! often as the upsampled copies of it fall under the kernel. So the layer is four 2×2 convolutions
//! of the small image, one for each parity, whose kernels are sums of the 3×3 kernel's taps: 4/9 of
//! the multiplications and a ninth of the memory, half the time of the two layers together.

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};

/// Bilinear upsampling with aligned corners: `[B, C, H, W]` → `[B, C, 2H, 2W]`.
pub(super) fn upsample_bilinear(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let device = x.device().inner();
    let wide = x.reshape([batch * channels * height, width]).matmul(interpolation(width, &device));
    let wide = wide.reshape([batch * channels, height, 2 * width]).swap_dims(1, 2);
    let rows = wide.reshape([batch * channels * 2 * width, height]);
    let tall = rows.matmul(interpolation(height, &device));
    let tall = tall.reshape([batch * channels, 2 * width, 2 * height]).swap_dims(1, 2);
    tall.reshape([batch, channels, 2 * height, 2 * width])
}

/// `[n, 2n]`: the share of each of n pixels in each of 2n, corners on corners.
fn interpolation(n: usize, device: &Device) -> Tensor<2> {
    let mut shares = vec![0.0f32; n * 2 * n];
    for i in 0..2 * n {
        let place = i * (n - 1);
        let spacing = 2 * n - 1;
        let (first, share) = (place / spacing, (place % spacing) as f32 / spacing as f32);
        shares[first * 2 * n + i] = 1.0 - share;
        if share > 0.0 {
            shares[(first + 1) * 2 * n + i] = share;
        }
    }
    Tensor::from_data(TensorData::new(shares, [n, 2 * n]), device)
}

/// `conv2d(upsample_nearest(x))` with stride 1 and padding 1: `x` is `[B, in, H, W]`, `weight`
/// `[out, in, 3, 3]`, the result `[B, out, 2H, 2W]`.
pub(super) fn upsampled_conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>) -> Tensor<4> {
    let [batch, _, height, width] = x.dims();
    let [out, inputs, _, _] = weight.dims();
    let kernels = parity_kernels(weight);
    let of_parity = |row: usize, column: usize| {
        let kernel = kernels.clone().narrow(0, 2 * row + column, 1).reshape([out, inputs, 2, 2]);
        // Even outputs see the pixel before them, odd ones the pixel after.
        let padding = [(1 - row, row), (1 - column, column)];
        let options = ConvOptions { stride: [1; 2], padding, dilation: [1; 2], groups: 1 };
        conv2d(x.clone(), kernel, bias.clone(), options)
    };
    let parities = vec![of_parity(0, 0), of_parity(0, 1), of_parity(1, 0), of_parity(1, 1)];
    let interleaved =
        Tensor::cat(parities, 1).reshape([batch, 2, 2, out, height, width]).permute([0, 3, 4, 1, 5, 2]);
    interleaved.reshape([batch, out, 2 * height, 2 * width])
}

/// The 2×2 kernels of the four parities, `[4, out, in, 2·2]`: a product with a constant matrix of
/// zeros and ones, so that gradients reach the 3×3 kernel.
fn parity_kernels(weight: Tensor<4>) -> Tensor<4> {
    let [out, inputs, _, _] = weight.dims();
    // Which of the two small pixels tap `t` of three falls on, for an even and an odd output.
    const PIXEL: [[usize; 3]; 2] = [[0, 1, 1], [0, 0, 1]];
    let mut sums = vec![0.0f32; 9 * 16];
    for (tap, row_of_sums) in sums.chunks_mut(16).enumerate() {
        for parity in 0..4 {
            let (y, x) = (PIXEL[parity / 2][tap / 3], PIXEL[parity % 2][tap % 3]);
            row_of_sums[4 * parity + 2 * y + x] = 1.0;
        }
    }
    let sums = Tensor::<2>::from_data(TensorData::new(sums, [9, 16]), &weight.device().inner());
    let kernels = weight.reshape([out * inputs, 9]).matmul(sums);
    kernels.reshape([out, inputs, 4, 4]).permute([2, 0, 1, 3])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use burn::tensor::module::interpolate;
    use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
    use dual_mcmc::noise::{Noise, Stream};

    fn tensor<const D: usize>(chain: u32, shape: [usize; D]) -> Tensor<D> {
        let mut values = vec![0.0; shape.iter().product()];
        Noise::new(1, Stream::Data).normals(chain, 0, &mut values);
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    fn two_layers(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>) -> Tensor<4> {
        let [_, _, h, w] = x.dims();
        let options = InterpolateOptions::new(InterpolateMode::Nearest).with_output_size([2 * h, 2 * w]);
        conv2d(interpolate(x, options), weight, bias, ConvOptions::new([1; 2], [1; 2], [1; 2], 1))
    }

    #[test]
    fn it_is_upsampling_and_convolution_with_their_gradients() {
        type Layer = fn(Tensor<4>, Tensor<4>, Option<Tensor<1>>) -> Tensor<4>;
        for (i, [channels, out, height, width]) in
            [[1, 1, 1, 1], [3, 2, 1, 4], [2, 5, 4, 4], [4, 3, 5, 3]].into_iter().enumerate()
        {
            let i = 10 * i as u32;
            let cotangent = tensor(i, [2, out, 2 * height, 2 * width]);
            let run = |layer: Layer| {
                let x = tensor(i + 1, [2, channels, height, width]).autodiff().require_grad();
                let weight = tensor(i + 2, [out, channels, 3, 3]).autodiff().require_grad();
                let bias = tensor(i + 3, [out]).autodiff().require_grad();
                let y = layer(x.clone(), weight.clone(), Some(bias.clone()));
                let mut gradients = (y.clone() * cotangent.clone()).sum().backward();
                let all = [
                    y.inner().flatten::<1>(0, 3),
                    x.grad_remove(&mut gradients).unwrap().flatten(0, 3),
                    weight.grad_remove(&mut gradients).unwrap().flatten(0, 3),
                    bias.grad_remove(&mut gradients).unwrap(),
                ];
                all.map(|t| t.try_into_vec_as::<f32>().unwrap())
            };
            for (a, b) in run(upsampled_conv2d).iter().zip(&run(two_layers)) {
                assert_eq!(a.len(), b.len());
                a.iter()
                    .zip(b)
                    .for_each(|(a, b)| assert!((a - b).abs() < 1e-4 * b.abs().max(1.0), "{a} {b}"));
            }
        }
    }
}
