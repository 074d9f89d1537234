//! A 3×3 convolution of a nearest-neighbour upsampled image, without upsampling it.
//!
//! Outputs of one parity (row, column) see the same 2×2 pixels of the small image, so the layer is
//! four 2×2 convolutions of it whose kernels are sums of the 3×3 kernel's taps: 4/9 of the
//! multiplications, and a quarter of the scratch memory.
//!
//! The small image shifted by -1, 0 and 1 in both directions gives nine blocks of `[in, h·w]`; a
//! parity's output is the product of its kernels with four of them, two neighbours at a time.

use super::Real;
use super::fast::{Matrix, multiply_add};
use crate::network::{Conv2d, Kernel, Op, Plan};

/// Which of its two pixels tap `t` of three falls on, for an even and an odd output.
const PIXEL: [[usize; 3]; 2] = [[0, 1, 1], [0, 0, 1]];

/// The convolutions of a plan that can be computed from the small image: operation `i` of the plan
/// upsamples what operation `i + 1` alone reads.
pub(super) fn conv_after_upsampling(plan: &Plan, index: usize) -> Option<&Conv2d> {
    let before = plan.ops.get(index.checked_sub(1)?)?;
    let Op::Apply { kernel: Kernel::UpsampleNearest { .. }, output, .. } = before else { return None };
    let Op::Apply { kernel: Kernel::Conv2d(c), input, .. } = &plan.ops[index] else { return None };
    let reads = |op: &&Op| match op {
        Op::Apply { input, .. } => input == output,
        Op::Add { inputs, .. } => inputs.contains(output),
    };
    let alone = input == output && plan.ops.iter().filter(reads).count() == 1;
    (alone && (c.kernel, c.stride, c.padding) == (3, 1, 1)).then_some(c)
}

/// The summed kernels: for each parity (row, column) and row of its two, `[out, 2·in]`.
pub(super) fn kernels<T: Real>(c: &Conv2d, weights: &[T]) -> Vec<T> {
    let (inputs, outputs) = (c.in_channels, c.out_channels);
    let mut kernels = vec![T::from_f32(0.0); 16 * inputs * outputs];
    for (plane, taps) in weights[c.weight..][..9 * inputs * outputs].chunks(9).enumerate() {
        let (output, input) = (plane / inputs, plane % inputs);
        for parity in 0..4 {
            for (tap, &weight) in taps.iter().enumerate() {
                let row = PIXEL[parity / 2][tap / 3];
                let column = PIXEL[parity % 2][tap % 3];
                let matrix = (2 * parity + row) * outputs + output;
                kernels[(2 * matrix + column) * inputs + input] += weight;
            }
        }
    }
    kernels
}

/// `[in, h, w]` of each sample to `[out, 2h, 2w]`.
pub(super) fn forward<T: Real>(
    c: &Conv2d,
    kernels: &[T],
    bias: Option<&[T]>,
    x: &[T],
    y: &mut [T],
    scratch: &mut Vec<T>,
) {
    let s = Sizes::of(c);
    scratch.resize((9 * s.inputs + s.outputs) * s.positions, T::from_f32(0.0));
    let (shifted, plane) = scratch.split_at_mut(9 * s.inputs * s.positions);
    for (x, y) in x.chunks(s.inputs * s.positions).zip(y.chunks_mut(4 * s.outputs * s.positions)) {
        for (shift, block) in shifted.chunks_mut(s.inputs * s.positions).enumerate() {
            s.each_run(shift, |to, from, len| block[to..to + len].copy_from_slice(&x[from..from + len]));
            s.each_gap(shift, |at, len| block[at..at + len].fill(T::from_f32(0.0)));
        }
        for parity in 0..4 {
            for (row, values) in plane.chunks_mut(s.positions).enumerate() {
                values.fill(bias.map_or(T::from_f32(0.0), |bias| bias[row]));
            }
            for row in 0..2 {
                let blocks = &shifted[s.first_block(parity, row)..];
                let pixels = Matrix::rows(blocks, 2 * s.inputs, s.positions);
                multiply_add(s.kernel(kernels, parity, row), pixels, plane);
            }
            s.each_of_parity(parity, |large, small| y[large] = plane[small]);
        }
    }
}

/// The gradient in `x`, written over what is there.
pub(super) fn input_gradient<T: Real>(
    c: &Conv2d,
    kernels: &[T],
    grad_y: &[T],
    grad_x: &mut [T],
    scratch: &mut Vec<T>,
) {
    let s = Sizes::of(c);
    scratch.resize((9 * s.inputs + s.outputs) * s.positions, T::from_f32(0.0));
    let (shifted, plane) = scratch.split_at_mut(9 * s.inputs * s.positions);
    grad_x.fill(T::from_f32(0.0));
    let samples = grad_y.chunks(4 * s.outputs * s.positions).zip(grad_x.chunks_mut(s.inputs * s.positions));
    for (grad_y, grad_x) in samples {
        shifted.fill(T::from_f32(0.0));
        for parity in 0..4 {
            s.each_of_parity(parity, |large, small| plane[small] = grad_y[large]);
            for row in 0..2 {
                let first = s.first_block(parity, row);
                let blocks = &mut shifted[first..first + 2 * s.inputs * s.positions];
                let plane = Matrix::rows(plane, s.outputs, s.positions);
                multiply_add(s.kernel(kernels, parity, row).transposed(), plane, blocks);
            }
        }
        for (shift, block) in shifted.chunks(s.inputs * s.positions).enumerate() {
            s.each_run(shift, |to, from, len| {
                for (g, b) in grad_x[from..from + len].iter_mut().zip(&block[to..to + len]) {
                    *g += *b;
                }
            });
        }
    }
}

/// Sizes of the small image.
struct Sizes {
    inputs: usize,
    outputs: usize,
    height: usize,
    width: usize,
    positions: usize,
}

impl Sizes {
    fn of(c: &Conv2d) -> Sizes {
        let (height, width) = (c.height / 2, c.width / 2);
        Sizes { inputs: c.in_channels, outputs: c.out_channels, height, width, positions: height * width }
    }

    /// Where the blocks of a parity's row begin among the nine.
    fn first_block(&self, parity: usize, row: usize) -> usize {
        (3 * (parity / 2 + row) + parity % 2) * self.inputs * self.positions
    }

    fn kernel<'a, T>(&self, kernels: &'a [T], parity: usize, row: usize) -> Matrix<'a, T> {
        let len = 2 * self.inputs * self.outputs;
        Matrix::rows(&kernels[(2 * parity + row) * len..], self.outputs, 2 * self.inputs)
    }

    /// The rows of a shifted block that lie inside the image: `f(place in the block, in the image,
    /// length)`. Block `shift` holds at (row, column) the pixel at (row + shift/3 - 1, column +
    /// shift%3 - 1).
    fn each_run(&self, shift: usize, mut f: impl FnMut(usize, usize, usize)) {
        let (down, right) = (shift / 3, shift % 3);
        let (first, len) = (1usize.saturating_sub(right), self.width - usize::from(right != 1));
        for line in 0..self.inputs * self.height {
            let row = line % self.height + down;
            if (1..=self.height).contains(&row) {
                let to = line * self.width + first;
                f(to, (line + down - 1) * self.width + first + right - 1, len);
            }
        }
    }

    /// The places of a shifted block that lie outside.
    fn each_gap(&self, shift: usize, mut f: impl FnMut(usize, usize)) {
        let (down, right) = (shift / 3, shift % 3);
        for line in 0..self.inputs * self.height {
            let row = line % self.height + down;
            if !(1..=self.height).contains(&row) {
                f(line * self.width, self.width);
            } else if right != 1 {
                f(line * self.width + if right == 0 { 0 } else { self.width - 1 }, 1);
            }
        }
    }

    /// Every output of a parity: `f(place in the large image, place in the parity's plane)`.
    fn each_of_parity(&self, parity: usize, mut f: impl FnMut(usize, usize)) {
        for line in 0..self.outputs * self.height {
            let large = (2 * line + parity / 2) * 2 * self.width + parity % 2;
            for column in 0..self.width {
                f(large + 2 * column, line * self.width + column);
            }
        }
    }
}
