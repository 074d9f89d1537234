//! Plain kernels: one function for each WGSL kernel, of the same name and written the same way.
//! They are the oracle of the GPU executor and of the fast kernels.

use super::Real;
use crate::network::{Activation, Conv2d, Operator};

/// Apply `operator` to a batch.
pub fn forward<T: Real>(operator: &Operator, weights: &[T], x: &[T], y: &mut [T], batch: usize) {
    match *operator {
        Operator::Linear { inputs, outputs, weight, bias } => {
            linear(weights, [inputs, outputs], weight, bias, x, y, batch);
        }
        Operator::Conv2d(ref c) => conv2d(c, weights, x, y),
        Operator::ConvTranspose2d(ref c) => {
            conv2d_input_gradient(c, weights, x, y);
            add_bias(c, weights, y);
        }
        Operator::UpsampledConv2d(ref c) => {
            let mut upsampled = vec![zero(); 4 * x.len()];
            upsample_nearest(small_planes(c, batch), x, &mut upsampled);
            conv2d(c, weights, &upsampled, y);
        }
        Operator::Activation(a) => activation(a, x, y),
        _ => forward_simple(operator, weights, x, y, batch),
    }
}

/// [`forward`] of the operators that the fast kernels do not replace.
pub(super) fn forward_simple<T: Real>(
    operator: &Operator,
    weights: &[T],
    x: &[T],
    y: &mut [T],
    batch: usize,
) {
    match *operator {
        Operator::UpsampleNearest { channels, height, width } => {
            upsample_nearest([batch * channels, height, width], x, y);
        }
        Operator::UpsampleBilinear { channels, height, width } => {
            upsample_bilinear([batch * channels, height, width], x, y);
        }
        Operator::AveragePool { channels, height, width, kernel } => {
            average_pool([batch * channels, height, width], kernel, x, y);
        }
        Operator::ScaleShift { channels, positions, scale, shift } => {
            scale_shift([channels, positions], &weights[scale..], &weights[shift..], x, y);
        }
        Operator::Linear { .. }
        | Operator::Conv2d(_)
        | Operator::ConvTranspose2d(_)
        | Operator::UpsampledConv2d(_)
        | Operator::Activation(_) => unreachable!("it has two forms"),
    }
}

/// Gradient in the input of `operator`, given the input and the gradient in the output.
pub fn input_gradient<T: Real>(
    operator: &Operator,
    weights: &[T],
    x: &[T],
    grad_y: &[T],
    grad_x: &mut [T],
    batch: usize,
) {
    match *operator {
        Operator::Linear { inputs, outputs, weight, .. } => {
            linear_input_gradient(&weights[weight..], [inputs, outputs], grad_y, grad_x, batch);
        }
        Operator::Conv2d(ref c) => conv2d_input_gradient(c, weights, grad_y, grad_x),
        Operator::ConvTranspose2d(ref c) => conv2d(&Conv2d { bias: None, ..*c }, weights, grad_y, grad_x),
        Operator::UpsampledConv2d(ref c) => {
            let mut upsampled = vec![zero(); 4 * grad_x.len()];
            conv2d_input_gradient(c, weights, grad_y, &mut upsampled);
            upsample_nearest_input_gradient(small_planes(c, batch), &upsampled, grad_x);
        }
        Operator::Activation(a) => activation_input_gradient(a, x, grad_y, grad_x),
        _ => input_gradient_simple(operator, weights, grad_y, grad_x, batch),
    }
}

/// [`input_gradient`] of the operators that the fast kernels do not replace.
pub(super) fn input_gradient_simple<T: Real>(
    operator: &Operator,
    weights: &[T],
    grad_y: &[T],
    grad_x: &mut [T],
    batch: usize,
) {
    match *operator {
        Operator::UpsampleNearest { channels, height, width } => {
            upsample_nearest_input_gradient([batch * channels, height, width], grad_y, grad_x);
        }
        Operator::UpsampleBilinear { channels, height, width } => {
            upsample_bilinear_input_gradient([batch * channels, height, width], grad_y, grad_x);
        }
        Operator::AveragePool { channels, height, width, kernel } => {
            average_pool_input_gradient([batch * channels, height, width], kernel, grad_y, grad_x);
        }
        Operator::ScaleShift { channels, positions, scale, .. } => {
            scale_shift_input_gradient([channels, positions], &weights[scale..], grad_y, grad_x);
        }
        Operator::Linear { .. }
        | Operator::Conv2d(_)
        | Operator::ConvTranspose2d(_)
        | Operator::UpsampledConv2d(_)
        | Operator::Activation(_) => unreachable!("it has two forms"),
    }
}

/// Planes, height and width of a batch before it is upsampled for the convolution `c`.
fn small_planes(c: &Conv2d, batch: usize) -> [usize; 3] {
    [batch * c.in_channels, c.height / 2, c.width / 2]
}

fn zero<T: Real>() -> T {
    T::from_f32(0.0)
}

fn linear<T: Real>(
    weights: &[T],
    [inputs, outputs]: [usize; 2],
    weight: usize,
    bias: Option<usize>,
    x: &[T],
    y: &mut [T],
    batch: usize,
) {
    for b in 0..batch {
        for o in 0..outputs {
            let mut sum = bias.map_or(zero(), |bias| weights[bias + o]);
            for i in 0..inputs {
                sum += weights[weight + o * inputs + i] * x[b * inputs + i];
            }
            y[b * outputs + o] = sum;
        }
    }
}

fn linear_input_gradient<T: Real>(
    weight: &[T],
    [inputs, outputs]: [usize; 2],
    grad_y: &[T],
    grad_x: &mut [T],
    batch: usize,
) {
    for b in 0..batch {
        for i in 0..inputs {
            let mut sum: T = zero();
            for o in 0..outputs {
                sum += weight[o * inputs + i] * grad_y[b * outputs + o];
            }
            grad_x[b * inputs + i] = sum;
        }
    }
}

fn conv2d<T: Real>(c: &Conv2d, weights: &[T], x: &[T], y: &mut [T]) {
    let window = c.in_channels * c.kernel * c.kernel;
    for (index, y) in y.iter_mut().enumerate() {
        let column = index % c.out_width;
        let row = index / c.out_width % c.out_height;
        let out = index / (c.out_width * c.out_height) % c.out_channels;
        let b = index / (c.out_width * c.out_height * c.out_channels);
        let mut sum = c.bias.map_or(zero(), |bias| weights[bias + out]);
        for channel in 0..c.in_channels {
            for ky in 0..c.kernel {
                // Out-of-range rows and columns are the zero padding.
                let Some(iy) = (row * c.stride + ky).checked_sub(c.padding).filter(|i| *i < c.height) else {
                    continue;
                };
                for kx in 0..c.kernel {
                    let Some(ix) = (column * c.stride + kx).checked_sub(c.padding).filter(|i| *i < c.width)
                    else {
                        continue;
                    };
                    let w = weights[c.weight + out * window + (channel * c.kernel + ky) * c.kernel + kx];
                    sum += w * x[((b * c.in_channels + channel) * c.height + iy) * c.width + ix];
                }
            }
        }
        *y = sum;
    }
}

fn conv2d_input_gradient<T: Real>(c: &Conv2d, weights: &[T], grad_y: &[T], grad_x: &mut [T]) {
    let window = c.in_channels * c.kernel * c.kernel;
    for (index, grad_x) in grad_x.iter_mut().enumerate() {
        let ix = index % c.width;
        let iy = index / c.width % c.height;
        let channel = index / (c.width * c.height) % c.in_channels;
        let b = index / (c.width * c.height * c.in_channels);
        let mut sum: T = zero();
        for ky in 0..c.kernel {
            let Some(row) = window_start(iy + c.padding, ky, c.stride, c.out_height) else { continue };
            for kx in 0..c.kernel {
                let Some(column) = window_start(ix + c.padding, kx, c.stride, c.out_width) else { continue };
                for out in 0..c.out_channels {
                    let w = weights[c.weight + out * window + (channel * c.kernel + ky) * c.kernel + kx];
                    sum +=
                        w * grad_y[((b * c.out_channels + out) * c.out_height + row) * c.out_width + column];
                }
            }
        }
        *grad_x = sum;
    }
}

/// The window whose tap `k` lies on padded position `position`, if there is one.
fn window_start(position: usize, k: usize, stride: usize, windows: usize) -> Option<usize> {
    let start = position.checked_sub(k)?;
    (start.is_multiple_of(stride) && start / stride < windows).then_some(start / stride)
}

/// Add the bias of a transposed convolution to its output, the input of `c`.
pub(super) fn add_bias<T: Real>(c: &Conv2d, weights: &[T], y: &mut [T]) {
    let Some(bias) = c.bias else { return };
    for (plane, y) in y.chunks_mut(c.height * c.width).enumerate() {
        let b = weights[bias + plane % c.in_channels];
        y.iter_mut().for_each(|y| *y += b);
    }
}

/// `y ← x`, or `y ← y + x`.
pub(super) fn add<T: Real>(x: &[T], y: &mut [T], accumulate: bool) {
    if accumulate {
        y.iter_mut().zip(x).for_each(|(y, &x)| *y += x);
    } else {
        y.copy_from_slice(x);
    }
}

pub(super) fn upsample_nearest<T: Real>([planes, height, width]: [usize; 3], x: &[T], y: &mut [T]) {
    for plane in 0..planes {
        for row in 0..2 * height {
            for column in 0..2 * width {
                y[(plane * 2 * height + row) * 2 * width + column] =
                    x[(plane * height + row / 2) * width + column / 2];
            }
        }
    }
}

pub(super) fn upsample_nearest_input_gradient<T: Real>(
    [planes, height, width]: [usize; 3],
    grad_y: &[T],
    grad_x: &mut [T],
) {
    for plane in 0..planes {
        for row in 0..height {
            let top = &grad_y[(plane * 2 * height + 2 * row) * 2 * width..][..2 * width];
            let bottom = &grad_y[(plane * 2 * height + 2 * row + 1) * 2 * width..][..2 * width];
            for column in 0..width {
                grad_x[(plane * height + row) * width + column] =
                    top[2 * column] + top[2 * column + 1] + (bottom[2 * column] + bottom[2 * column + 1]);
            }
        }
    }
}

/// Where pixel `i` of twice `n` lies among the `n`, corners on corners: between a pixel and the
/// next (or the last), and the share of each.
fn between<T: Real>(i: usize, n: usize) -> ([usize; 2], [T; 2]) {
    let (place, spacing) = (i * (n - 1), 2 * n - 1);
    let (first, rest) = (place / spacing, place % spacing);
    let share = T::from_f32(rest as f32) / T::from_f32(spacing as f32);
    ([first, (first + 1).min(n - 1)], [T::from_f32(1.0) - share, share])
}

pub(super) fn upsample_bilinear<T: Real>([planes, height, width]: [usize; 3], x: &[T], y: &mut [T]) {
    for plane in 0..planes {
        for row in 0..2 * height {
            let (rows, down) = between::<T>(row, height);
            let [top, bottom] = rows.map(|row| &x[(plane * height + row) * width..][..width]);
            for column in 0..2 * width {
                let ([a, b], [left, right]) = between::<T>(column, width);
                y[(plane * 2 * height + row) * 2 * width + column] = down[0]
                    * (left * top[a] + right * top[b])
                    + down[1] * (left * bottom[a] + right * bottom[b]);
            }
        }
    }
}

pub(super) fn upsample_bilinear_input_gradient<T: Real>(
    [planes, height, width]: [usize; 3],
    grad_y: &[T],
    grad_x: &mut [T],
) {
    grad_x.fill(zero());
    for plane in 0..planes {
        for row in 0..2 * height {
            let (rows, down) = between::<T>(row, height);
            for column in 0..2 * width {
                let (columns, right) = between::<T>(column, width);
                let g = grad_y[(plane * 2 * height + row) * 2 * width + column];
                for (row, down) in rows.into_iter().zip(down) {
                    for (column, right) in columns.into_iter().zip(right) {
                        grad_x[(plane * height + row) * width + column] += down * right * g;
                    }
                }
            }
        }
    }
}

pub(super) fn average_pool<T: Real>(
    [planes, height, width]: [usize; 3],
    [kh, kw]: [usize; 2],
    x: &[T],
    y: &mut [T],
) {
    let (out_height, out_width) = (height / kh, width / kw);
    let share = T::from_f32(1.0) / T::from_f32((kh * kw) as f32);
    for plane in 0..planes {
        for row in 0..out_height {
            for column in 0..out_width {
                let mut sum: T = zero();
                for ky in 0..kh {
                    let line = &x[(plane * height + row * kh + ky) * width + column * kw..][..kw];
                    for &v in line {
                        sum += v;
                    }
                }
                y[(plane * out_height + row) * out_width + column] = sum * share;
            }
        }
    }
}

pub(super) fn average_pool_input_gradient<T: Real>(
    [planes, height, width]: [usize; 3],
    [kh, kw]: [usize; 2],
    grad_y: &[T],
    grad_x: &mut [T],
) {
    let (out_height, out_width) = (height / kh, width / kw);
    let share = T::from_f32(1.0) / T::from_f32((kh * kw) as f32);
    for plane in 0..planes {
        for row in 0..height {
            for column in 0..width {
                grad_x[(plane * height + row) * width + column] =
                    grad_y[(plane * out_height + row / kh) * out_width + column / kw] * share;
            }
        }
    }
}

fn sigmoid<T: Real>(x: T) -> T {
    let one = T::from_f32(1.0);
    one / (one + (-x).exp())
}

fn activation<T: Real>(activation: Activation, x: &[T], y: &mut [T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = match activation {
            Activation::LeakyRelu(slope) => {
                if x < zero() {
                    x * T::from_f32(slope)
                } else {
                    x
                }
            }
            Activation::Silu => x * sigmoid(x),
            Activation::Tanh => x.tanh(),
        };
    }
}

fn activation_input_gradient<T: Real>(activation: Activation, x: &[T], grad_y: &[T], grad_x: &mut [T]) {
    let one = T::from_f32(1.0);
    for ((grad_x, &x), &grad_y) in grad_x.iter_mut().zip(x).zip(grad_y) {
        let slope = match activation {
            // At the kink itself the slope is that of the negative side, as in PyTorch.
            Activation::LeakyRelu(slope) => {
                if x > zero() {
                    one
                } else {
                    T::from_f32(slope)
                }
            }
            Activation::Silu => {
                let s = sigmoid(x);
                s * (one + x * (one - s))
            }
            Activation::Tanh => {
                let t = x.tanh();
                one - t * t
            }
        };
        *grad_x = slope * grad_y;
    }
}

pub(super) fn scale_shift<T: Real>(
    [channels, positions]: [usize; 2],
    scale: &[T],
    shift: &[T],
    x: &[T],
    y: &mut [T],
) {
    for (plane, (x, y)) in x.chunks(positions).zip(y.chunks_mut(positions)).enumerate() {
        let c = plane % channels;
        for (x, y) in x.iter().zip(y) {
            *y = scale[c] * *x + shift[c];
        }
    }
}

pub(super) fn scale_shift_input_gradient<T: Real>(
    [channels, positions]: [usize; 2],
    scale: &[T],
    grad_y: &[T],
    grad_x: &mut [T],
) {
    for (plane, (grad_y, grad_x)) in grad_y.chunks(positions).zip(grad_x.chunks_mut(positions)).enumerate() {
        for (grad_y, grad_x) in grad_y.iter().zip(grad_x) {
            *grad_x = scale[plane % channels] * *grad_y;
        }
    }
}

/// ‖x‖² / 2τ².
pub(super) fn reference_energy<T: Real>(tau: f32, x: &[T]) -> T {
    let mut sum: T = zero();
    for &v in x {
        sum += v * v;
    }
    let tau = T::from_f32(tau);
    sum / (T::from_f32(2.0) * tau * tau)
}

/// Add `grad_energy` · x / τ² to `gradient`.
pub(super) fn reference_gradient<T: Real>(tau: f32, x: &[T], grad_energy: T, gradient: &mut [T]) {
    let tau = T::from_f32(tau);
    let a = grad_energy / (tau * tau);
    for (g, &x) in gradient.iter_mut().zip(x) {
        *g += a * x;
    }
}
