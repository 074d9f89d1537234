//! Fast kernels: linear layers and convolutions as sums of products ([`super::product`]), activations in
//! vectors ([`super::activation`]). Everything else is the plain twin.

use super::activation::Activate;
use super::convolution::Convolution;
use super::product::{Panels, ROWS, rounded};
use super::{Real, twin, upsampled};
use crate::network::{Op, Operator, Plan};

/// How the samples of a batch lie in memory between operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// One after another.
    Rows,
    /// Element by element, beside each other, both filled up with what does not matter, as products want and give them. Where every
    /// operation is a linear layer or goes element by element, nothing is transposed between the first and the last.
    Columns,
}

impl Layout {
    /// The best for a network.
    pub fn of(plan: &Plan) -> Layout {
        let either = |op: &Op| match op {
            Op::Apply { operator, .. } => {
                matches!(operator, Operator::Linear { .. } | Operator::Activation(_))
            }
            Op::Add { .. } => true,
        };
        if plan.ops.iter().all(either) { Layout::Columns } else { Layout::Rows }
    }
}

/// So many samples, and how they lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    pub size: usize,
    pub layout: Layout,
}

impl Batch {
    /// What values of `n` elements a sample take.
    pub fn len(self, n: usize) -> usize {
        match self.layout {
            Layout::Rows => n * self.size,
            Layout::Columns => n.next_multiple_of(ROWS) * rounded(self.size),
        }
    }

    /// Lay out `rows`.
    pub fn put<T: Real>(self, rows: &[T], to: &mut Vec<T>) {
        to.clear();
        if self.layout == Layout::Rows || rows.is_empty() {
            return to.extend_from_slice(rows);
        }
        let n = rows.len() / self.size;
        to.resize(self.len(n), T::from_f32(0.0));
        for (sample, row) in rows.chunks_exact(n).enumerate() {
            for (column, &value) in to.chunks_exact_mut(rounded(self.size)).zip(row) {
                column[sample] = value;
            }
        }
    }

    /// Lay out as `rows` of `n` elements.
    pub fn take<T: Real>(self, from: &[T], n: usize, rows: &mut [T]) {
        if self.layout == Layout::Rows {
            return rows.copy_from_slice(from);
        }
        for (sample, row) in rows.chunks_exact_mut(n).enumerate() {
            for (value, column) in row.iter_mut().zip(from.chunks_exact(rounded(self.size))) {
                *value = column[sample];
            }
        }
    }
}

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
    batch: Batch,
    scratch: &mut [Vec<T>; 2],
) {
    let biases = |bias: Option<usize>, n: usize| bias.map_or(&[][..], |bias| &weights[bias..][..n]);
    match (operator, packed) {
        (&Operator::Linear { inputs, outputs, bias, .. }, Packed::Linear(w)) => {
            linear(&w[0], biases(bias, outputs), x, y, [inputs, outputs], batch, scratch);
        }
        (
            Operator::Conv2d(c) | Operator::ConvTranspose2d(c) | Operator::UpsampledConv2d(c),
            Packed::Convolution(w),
        ) => {
            let channels =
                if matches!(operator, Operator::ConvTranspose2d(_)) { c.in_channels } else { c.out_channels };
            w[0].apply(biases(c.bias, channels), x, y, &mut scratch[0]);
        }
        (&Operator::Activation(activation), _) => {
            T::activate(Activate { activation, x, gradient: None, out: y });
        }
        (&Operator::AveragePool { width, kernel: [2, 2], .. }, _) => halved(width, x, y),
        _ => twin::forward_simple(operator, weights, x, y, batch.size),
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
    batch: Batch,
    scratch: &mut [Vec<T>; 2],
) {
    match (operator, packed) {
        (&Operator::Linear { inputs, outputs, .. }, Packed::Linear(w)) => {
            linear(&w[1], &[], grad_y, grad_x, [outputs, inputs], batch, scratch);
        }
        (_, Packed::Convolution(w)) => w[1].apply(&[], grad_y, grad_x, &mut scratch[0]),
        (&Operator::Activation(activation), _) => {
            T::activate(Activate { activation, x, gradient: Some(grad_y), out: grad_x });
        }
        (&Operator::AveragePool { width, kernel: [2, 2], .. }, _) => {
            halved_input_gradient(width, grad_y, grad_x);
        }
        _ => twin::input_gradient_simple(operator, weights, grad_y, grad_x, batch.size),
    }
}

/// A linear layer from so many inputs to so many outputs. The positions of the product are the samples.
fn linear<T: Real>(
    w: &Panels<T>,
    bias: &[T],
    x: &[T],
    y: &mut [T],
    [inputs, outputs]: [usize; 2],
    batch: Batch,
    [source, product]: &mut [Vec<T>; 2],
) {
    let positions = rounded(batch.size);
    let places: Vec<usize> = (0..inputs).map(|k| k * positions).collect();
    if batch.layout == Layout::Columns {
        return w.multiply(&places, x, bias, positions, y);
    }
    let columns = Batch { layout: Layout::Columns, ..batch };
    columns.put(x, source);
    product.resize(columns.len(outputs), T::from_f32(0.0));
    w.multiply(&places, source, bias, positions, product);
    columns.take(product, outputs, y);
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
