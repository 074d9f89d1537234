//! Convolutions and batch norms for training on a GPU.
//!
//! burn computes the gradient in a convolution's weights as a convolution whose window is the whole image, and sums
//! over batch and image, for biases and batch norms, a channel at a time: on a GPU a few invocations with tens of
//! thousands of terms each. Here weights learn through a matrix product of all windows, and sums go over
//! the batch and over the image one after the other: the same gradients, in a fraction of the time. On burn's CPU,
//! whose own are faster, nothing changes.

use super::batch_norm::EPSILON;
use burn::tensor::module::conv2d as plain_conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Whether a tensor lives on a GPU, or on a device elsewhere, which is most likely one.
pub(super) fn on_gpu<const D: usize>(x: &Tensor<D>) -> bool {
    x.device().inner() != Device::flex()
}

/// `x` `[B, in, H, W]` by `weight` `[out, in, k, k]`.
pub(super) fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: usize,
    padding: usize,
) -> Tensor<4> {
    if on_gpu(&x) && weight.is_tracked() {
        return conv2d_by_products(x, weight, bias, stride, padding);
    }
    plain_conv2d(x, weight, bias, options(stride, padding))
}

fn options(stride: usize, padding: usize) -> ConvOptions<2> {
    ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1)
}

/// A convolution whose weights learn by a matrix product.
fn conv2d_by_products(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: usize,
    padding: usize,
) -> Tensor<4> {
    let [out, inputs, kernel, _] = weight.dims();
    let [batch, _, height, width] = x.dims();
    let places = |size: usize| (size + 2 * padding - kernel) / stride + 1;
    let (rows, columns) = (places(height), places(width));
    let windows = windows(x.clone().inner(), kernel, stride, padding, [rows, columns]);
    let matrix = weight.clone().reshape([1, out, inputs * kernel * kernel]);
    let mut y = matrix.matmul(windows).reshape([batch, out, rows, columns]);
    if x.is_tracked() {
        // Of the value zero, and the gradient in `x`.
        let of_x = plain_conv2d(x, weight.inner(), None, options(stride, padding));
        y = y + (of_x.clone() - of_x.inner());
    }
    match bias {
        Some(bias) => y + bias.reshape([1, out, 1, 1]),
        None => y,
    }
}

/// What each output of a convolution sees: `[B, in·k·k, rows·columns]`.
fn windows(
    x: Tensor<4>,
    kernel: usize,
    stride: usize,
    padding: usize,
    [rows, columns]: [usize; 2],
) -> Tensor<3> {
    let x = if padding > 0 { x.pad((padding, padding, padding, padding), 0.0) } else { x };
    let [batch, inputs, height, width] = x.dims();
    let mut places = Vec::with_capacity(kernel * kernel * rows * columns);
    for (ky, kx) in (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx))) {
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
            places.push(((row * stride + ky) * width + column * stride + kx) as i32);
        }
    }
    let count = places.len();
    let places = Tensor::<1, Int>::from_data(TensorData::new(places, [count]), &x.device());
    let seen = x.reshape([batch * inputs, height * width]).select(1, places);
    seen.reshape([batch, inputs * kernel * kernel, rows * columns])
}

/// What batch norm makes of a batch of images, and the batch's means and (biased) variances, `[channels]`.
pub(super) struct Normalised {
    pub(super) output: Tensor<4>,
    pub(super) mean: Tensor<1>,
    pub(super) variance: Tensor<1>,
}

/// Batch norm of `x` `[B, C, H, W]` by its own statistics, differentiated through them.
pub(super) fn batch_norm_in_stages(x: Tensor<4>, weight: Tensor<1>, bias: Tensor<1>) -> Normalised {
    let [batch, channels, height, width] = x.dims();
    let mean_of = |x: Tensor<4>| {
        let of_images = x.reshape([batch * channels, height * width]).mean_dim(1);
        of_images.reshape([batch, channels]).mean_dim(0).reshape([1, channels, 1, 1])
    };
    let mean = mean_of(x.clone());
    let centred = x - mean.clone();
    let variance = mean_of(centred.clone().square());
    let scale = weight.reshape([1, channels, 1, 1]) / variance.clone().add_scalar(EPSILON).sqrt();
    Normalised {
        output: centred * scale + bias.reshape([1, channels, 1, 1]),
        mean: mean.reshape([channels]),
        variance: variance.reshape([channels]),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use burn::tensor::module::batch_norm_train;
    use dual_mcmc::noise::{Noise, Stream};

    fn tensor<const D: usize>(chain: u32, shape: [usize; D]) -> Tensor<D> {
        let mut values = vec![0.0; shape.iter().product()];
        Noise::new(1, Stream::Data).normals(chain, 0, &mut values);
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.try_into_vec_as::<f32>().unwrap()
    }

    fn check(found: &[Vec<f32>], expected: &[Vec<f32>], what: &str) {
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert_eq!(a.len(), b.len(), "{what}");
            for (a, b) in a.iter().zip(b) {
                assert!((a - b).abs() < 1e-4 * b.abs().max(1.0), "{what}: {a}, not {b}");
            }
        }
    }

    #[test]
    fn a_convolution_by_products_is_a_convolution_with_its_gradients() {
        type Layer = fn(Tensor<4>, Tensor<4>, Option<Tensor<1>>, usize, usize) -> Tensor<4>;
        let plain: Layer = |x, w, b, stride, padding| plain_conv2d(x, w, b, options(stride, padding));
        for [inputs, out, kernel, stride, padding, size] in [
            [1, 3, 3, 1, 1, 5],
            [3, 2, 4, 2, 1, 8],
            [2, 4, 1, 1, 0, 3],
            [2, 3, 4, 1, 0, 4],
            [3, 1, 3, 2, 0, 7],
        ] {
            for (tracked, biased) in [(true, true), (false, false)] {
                let run = |layer: Layer| {
                    let x = tensor(1, [2, inputs, size, size]);
                    let x = if tracked { x.autodiff().require_grad() } else { x };
                    let weight = tensor(2, [out, inputs, kernel, kernel]).autodiff().require_grad();
                    let bias = biased.then(|| tensor(3, [out]).autodiff().require_grad());
                    let y = layer(x.clone(), weight.clone(), bias.clone(), stride, padding);
                    let cotangent = tensor(4, y.dims());
                    let mut gradients = (y.clone() * Tensor::from_inner(cotangent)).sum().backward();
                    let mut all =
                        vec![values(y.inner()), values(weight.grad_remove(&mut gradients).unwrap())];
                    all.extend(bias.map(|bias| values(bias.grad_remove(&mut gradients).unwrap())));
                    all.extend(tracked.then(|| values(x.grad_remove(&mut gradients).unwrap())));
                    all
                };
                check(&run(conv2d_by_products), &run(plain), &format!("kernel {kernel}, stride {stride}"));
            }
        }
    }

    #[test]
    fn a_batch_norm_in_stages_is_a_batch_norm_with_its_gradients() {
        let run = |in_stages: bool| {
            let x = tensor(1, [3, 2, 4, 5]).autodiff().require_grad();
            let weight = tensor(2, [2]).autodiff().require_grad();
            let bias = tensor(3, [2]).autodiff().require_grad();
            let (y, mean, variance) = if in_stages {
                let n = batch_norm_in_stages(x.clone(), weight.clone(), bias.clone());
                (n.output, n.mean, n.variance)
            } else {
                let n = batch_norm_train(x.clone(), weight.clone(), bias.clone(), f64::from(EPSILON));
                (n.output, n.mean, n.variance)
            };
            let cotangent = Tensor::from_inner(tensor(4, [3, 2, 4, 5]));
            let mut gradients = (y.clone() * cotangent).sum().backward();
            [
                values(y.inner()),
                values(mean.inner()),
                values(variance.inner()),
                values(x.grad_remove(&mut gradients).unwrap()),
                values(weight.grad_remove(&mut gradients).unwrap()),
                values(bias.grad_remove(&mut gradients).unwrap()),
            ]
        };
        check(&run(true), &run(false), "batch norm");
    }
}
