//! Fast kernels: linear layers and convolutions as sums of products ([`super::product`]), activations in
//! vectors ([`super::activation`]). Everything else is the plain twin.

use super::activation::Activate;
use super::convolution::Convolution;
use super::product::{Panels, rounded};
use super::{Real, twin, upsampled};
use crate::network::{Op, Operator};

/// The weights of an operation as its fast kernel wants them.
#[derive(Clone, Debug)]
pub(super) enum Packed<T> {
    /// The operation has none.
    Nothing,
    /// `Wx`, and the gradient's `Wᵀ`.
    Linear(Box<[Panels<T>; 2]>),
    /// The convolution, and its gradient's.
    Convolution(Box<[Convolution<T>; 2]>),
}

impl<T: Real> Packed<T> {
    /// The weights of `op`, of all that a network has.
    pub fn new(op: &Op, weights: &[T]) -> Packed<T> {
        let Op::Apply { operator, .. } = op else { return Packed::Nothing };
        let both = |c, w: &[T]| [Convolution::forward(c, w), Convolution::transpose(c, w)];
        let swapped = |[a, b]: [Convolution<T>; 2]| [b, a];
        match operator {
            &Operator::Linear { inputs, outputs, weight, .. } => {
                let w = &weights[weight..];
                let there = Panels::new(outputs, inputs, &|m, k| w[m * inputs + k]);
                let back = Panels::new(inputs, outputs, &|m, k| w[k * inputs + m]);
                Packed::Linear(Box::new([there, back]))
            }
            Operator::UpsampledConv2d(c) => {
                let (wide, kernels) = upsampled::transposed(c, weights);
                Packed::Convolution(Box::new(swapped(both(&wide, &kernels))))
            }
            Operator::Conv2d(c) => Packed::Convolution(Box::new(both(c, &weights[c.weight..]))),
            Operator::ConvTranspose2d(c) => {
                Packed::Convolution(Box::new(swapped(both(c, &weights[c.weight..]))))
            }
            _ => Packed::Nothing,
        }
    }
}

/// Computes one operation forward, as [`twin::forward`] does, with packed weights. `scratch` is memory for it.
pub(super) fn forward<T: Real>(
    operator: &Operator,
    packed: &Packed<T>,
    weights: &[T],
    x: &[T],
    y: &mut [T],
    batch: usize,
    scratch: &mut Vec<T>,
) {
    match (operator, packed) {
        (Operator::Linear { bias, .. }, Packed::Linear(w)) => {
            linear(&w[0], bias.map(|bias| &weights[bias..]), x, y, batch, scratch);
        }
        (
            Operator::Conv2d(c) | Operator::ConvTranspose2d(c) | Operator::UpsampledConv2d(c),
            Packed::Convolution(w),
        ) => w[0].apply(c.bias.map(|bias| &weights[bias..]), x, y, scratch),
        (&Operator::Activation(activation), _) => {
            T::activate(Activate { activation, x, gradient: None, out: y });
        }
        (&Operator::AveragePool { width, kernel: [2, 2], .. }, _) => halved(width, x, y),
        _ => twin::forward_simple(operator, weights, x, y, batch),
    }
}

/// Computes the gradient in an operation's input, as [`twin::input_gradient`] does, with packed weights.
/// `scratch` is memory for it.
#[expect(clippy::too_many_arguments, reason = "the twin's, the packed weights and the scratch memory")]
pub(super) fn input_gradient<T: Real>(
    operator: &Operator,
    packed: &Packed<T>,
    weights: &[T],
    x: &[T],
    grad_y: &[T],
    grad_x: &mut [T],
    batch: usize,
    scratch: &mut Vec<T>,
) {
    match (operator, packed) {
        (_, Packed::Linear(w)) => linear(&w[1], None, grad_y, grad_x, batch, scratch),
        (_, Packed::Convolution(w)) => w[1].apply(None, grad_y, grad_x, scratch),
        (&Operator::Activation(activation), _) => {
            T::activate(Activate { activation, x, gradient: Some(grad_y), out: grad_x });
        }
        (&Operator::AveragePool { width, kernel: [2, 2], .. }, _) => {
            halved_input_gradient(width, grad_y, grad_x);
        }
        _ => twin::input_gradient_simple(operator, weights, grad_y, grad_x, batch),
    }
}

/// Rows of `x` to rows of `y`. The positions of the product are the samples.
fn linear<T: Real>(
    w: &Panels<T>,
    bias: Option<&[T]>,
    x: &[T],
    y: &mut [T],
    batch: usize,
    scratch: &mut Vec<T>,
) {
    let (inputs, outputs, positions) = (x.len() / batch, y.len() / batch, rounded(batch));
    scratch.clear();
    scratch.resize((inputs + w.rows()) * positions, T::from_f32(0.0));
    let (source, product) = scratch.split_at_mut(inputs * positions);
    for (sample, row) in x.chunks_exact(inputs).enumerate() {
        for (column, &value) in source.chunks_exact_mut(positions).zip(row) {
            column[sample] = value;
        }
    }
    let places: Vec<usize> = (0..inputs).map(|k| k * positions).collect();
    w.multiply(&places, source, positions, product);
    for (sample, row) in y.chunks_exact_mut(outputs).enumerate() {
        for (value, column) in row.iter_mut().zip(product.chunks_exact(positions)) {
            *value = column[sample];
        }
        if let Some(bias) = bias {
            row.iter_mut().zip(bias).for_each(|(value, &bias)| *value += bias);
        }
    }
}

/// Means of 2×2 pixels, over the rows of all planes at once.
fn halved<T: Real>(width: usize, x: &[T], y: &mut [T]) {
    let quarter = T::from_f32(0.25);
    for (rows, y) in x.chunks_exact(2 * width).zip(y.chunks_exact_mut(width / 2)) {
        let (upper, lower) = rows.split_at(width);
        let pairs = upper.chunks_exact(2).zip(lower.chunks_exact(2));
        for (y, (a, b)) in y.iter_mut().zip(pairs) {
            *y = (a[0] + a[1] + b[0] + b[1]) * quarter;
        }
    }
}

fn halved_input_gradient<T: Real>(width: usize, grad_y: &[T], grad_x: &mut [T]) {
    let quarter = T::from_f32(0.25);
    for (rows, grad_y) in grad_x.chunks_exact_mut(2 * width).zip(grad_y.chunks_exact(width / 2)) {
        let (upper, lower) = rows.split_at_mut(width);
        for (pair, &gradient) in upper.chunks_exact_mut(2).zip(grad_y) {
            pair.fill(gradient * quarter);
        }
        lower.copy_from_slice(upper);
    }
}
