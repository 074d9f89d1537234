//! Fast kernels: linear layers and convolutions as matrix products (im2col and the `gemm` crate),
//! smooth activations with an exponential that vectorises. Everything else is the plain twin,
//! whose loops the compiler vectorises as they are.

#[cfg(target_arch = "wasm32")]
pub(super) use super::product::multiply_add;
use super::{Real, twin};
use crate::network::{Activation, Conv2d, Kernel};

/// As [`twin::forward`]. `columns` is scratch memory.
pub fn forward<T: Real>(
    kernel: &Kernel,
    weights: &[T],
    x: &[T],
    y: &mut [T],
    batch: usize,
    columns: &mut Vec<T>,
) {
    match *kernel {
        Kernel::Linear { inputs, outputs, weight, bias } => {
            match bias {
                Some(bias) => {
                    for row in y.chunks_mut(outputs) {
                        row.copy_from_slice(&weights[bias..bias + outputs]);
                    }
                }
                None => y.fill(T::from_f32(0.0)),
            }
            let w = Matrix::rows(&weights[weight..], outputs, inputs).transposed();
            multiply_add(Matrix::rows(x, batch, inputs), w, y);
        }
        Kernel::Conv2d(ref c) => conv2d(c, weights, x, y, columns),
        Kernel::ConvTranspose2d(ref c) => {
            conv2d_input_gradient(c, weights, x, y, columns);
            twin::add_bias(c, weights, y);
        }
        Kernel::Activation(Activation::Silu) => {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = x * sigmoid(x);
            }
        }
        Kernel::Activation(Activation::Tanh) => {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = tanh(x);
            }
        }
        Kernel::Activation(Activation::LeakyRelu(slope)) => {
            let slope = T::from_f32(slope);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = if x < T::from_f32(0.0) { x * slope } else { x };
            }
        }
        _ => twin::forward(kernel, weights, x, y, batch),
    }
}

/// As [`twin::input_gradient`]. `columns` is scratch memory.
pub fn input_gradient<T: Real>(
    kernel: &Kernel,
    weights: &[T],
    x: &[T],
    grad_y: &[T],
    grad_x: &mut [T],
    batch: usize,
    columns: &mut Vec<T>,
) {
    let (zero, one) = (T::from_f32(0.0), T::from_f32(1.0));
    match *kernel {
        Kernel::Linear { inputs, outputs, weight, .. } => {
            grad_x.fill(zero);
            let w = Matrix::rows(&weights[weight..], outputs, inputs);
            multiply_add(Matrix::rows(grad_y, batch, outputs), w, grad_x);
        }
        Kernel::Conv2d(ref c) => conv2d_input_gradient(c, weights, grad_y, grad_x, columns),
        Kernel::ConvTranspose2d(ref c) => {
            conv2d(&Conv2d { bias: None, ..*c }, weights, grad_y, grad_x, columns);
        }
        Kernel::Activation(Activation::Silu) => {
            for ((gx, &x), &gy) in grad_x.iter_mut().zip(x).zip(grad_y) {
                let s = sigmoid(x);
                *gx = gy * s * (one + x * (one - s));
            }
        }
        Kernel::Activation(Activation::Tanh) => {
            for ((gx, &x), &gy) in grad_x.iter_mut().zip(x).zip(grad_y) {
                let t = tanh(x);
                *gx = gy * (one - t * t);
            }
        }
        Kernel::Activation(Activation::LeakyRelu(slope)) => {
            let slope = T::from_f32(slope);
            for ((gx, &x), &gy) in grad_x.iter_mut().zip(x).zip(grad_y) {
                *gx = if x > zero { gy } else { gy * slope };
            }
        }
        _ => twin::input_gradient(kernel, weights, x, grad_y, grad_x, batch),
    }
}

#[inline(always)]
fn sigmoid<T: Real>(x: T) -> T {
    let one = T::from_f32(1.0);
    one / (one + (-x).exp_in_loops())
}

/// `2·sigmoid(2x) - 1`, and the series near 0, where that difference would cancel.
#[inline(always)]
fn tanh<T: Real>(x: T) -> T {
    if size_of::<T>() == 8 {
        return x.tanh();
    }
    let [one, two, three, fifteen] = [1.0, 2.0, 3.0, 15.0].map(T::from_f32);
    let z = x * x;
    // The series' next term is 0.054·x⁷, at |x| = 1/16 below f32's rounding.
    let near = x * (one - z / three + two / fifteen * z * z);
    let far = two * sigmoid(two * x) - one;
    if z < T::from_f32(1.0 / 256.0) { near } else { far }
}

/// One convolution a sample: weight `[out, window]` times the input's windows `[window, positions]`.
fn conv2d<T: Real>(c: &Conv2d, weights: &[T], x: &[T], y: &mut [T], columns: &mut Vec<T>) {
    let (window, positions) = (c.in_channels * c.kernel * c.kernel, c.out_height * c.out_width);
    columns.resize(window * positions, T::from_f32(0.0));
    let weight = Matrix::rows(&weights[c.weight..], c.out_channels, window);
    let samples = x.chunks(c.in_channels * c.height * c.width).zip(y.chunks_mut(c.out_channels * positions));
    for (x, y) in samples {
        im2col(c, x, columns);
        match c.bias {
            Some(bias) => {
                for (row, &b) in y.chunks_mut(positions).zip(&weights[bias..]) {
                    row.fill(b);
                }
            }
            None => y.fill(T::from_f32(0.0)),
        }
        multiply_add(weight, Matrix::rows(columns, window, positions), y);
    }
}

fn conv2d_input_gradient<T: Real>(
    c: &Conv2d,
    weights: &[T],
    grad_y: &[T],
    grad_x: &mut [T],
    columns: &mut Vec<T>,
) {
    let (window, positions) = (c.in_channels * c.kernel * c.kernel, c.out_height * c.out_width);
    let weight = Matrix::rows(&weights[c.weight..], c.out_channels, window).transposed();
    let samples =
        grad_y.chunks(c.out_channels * positions).zip(grad_x.chunks_mut(c.in_channels * c.height * c.width));
    for (grad_y, grad_x) in samples {
        columns.clear();
        columns.resize(window * positions, T::from_f32(0.0));
        multiply_add(weight, Matrix::rows(grad_y, c.out_channels, positions), columns);
        col2im(c, columns, grad_x);
    }
}

/// The output columns whose tap `kx` lies inside the input's `width`.
fn inside(c: &Conv2d, k: usize, input: usize, outputs: usize) -> std::ops::Range<usize> {
    let first = c.padding.saturating_sub(k).div_ceil(c.stride);
    let end = (input + c.padding).saturating_sub(k).div_ceil(c.stride).min(outputs);
    first..end.max(first)
}

/// Rows of `columns` are window elements `(channel, ky, kx)`, its columns output positions.
fn im2col<T: Real>(c: &Conv2d, x: &[T], columns: &mut [T]) {
    let mut rows = columns.chunks_mut(c.out_height * c.out_width);
    for plane in x.chunks(c.height * c.width) {
        for ky in 0..c.kernel {
            for (kx, row) in (0..c.kernel).zip(&mut rows) {
                let valid = inside(c, kx, c.width, c.out_width);
                for (oy, line) in row.chunks_mut(c.out_width).enumerate() {
                    let iy = (oy * c.stride + ky).checked_sub(c.padding).filter(|iy| *iy < c.height);
                    let Some(iy) = iy.filter(|_| !valid.is_empty()) else {
                        line.fill(T::from_f32(0.0));
                        continue;
                    };
                    line[..valid.start].fill(T::from_f32(0.0));
                    line[valid.end..].fill(T::from_f32(0.0));
                    let from = &plane[iy * c.width + valid.start * c.stride + kx - c.padding..];
                    if c.stride == 1 {
                        line[valid.clone()].copy_from_slice(&from[..valid.len()]);
                    } else {
                        for (to, from) in line[valid.clone()].iter_mut().zip(from.iter().step_by(c.stride)) {
                            *to = *from;
                        }
                    }
                }
            }
        }
    }
}

/// The transpose of [`im2col`]: add every window element to the input it came from.
fn col2im<T: Real>(c: &Conv2d, columns: &[T], x: &mut [T]) {
    x.fill(T::from_f32(0.0));
    let mut rows = columns.chunks(c.out_height * c.out_width);
    for plane in x.chunks_mut(c.height * c.width) {
        for ky in 0..c.kernel {
            for (kx, row) in (0..c.kernel).zip(&mut rows) {
                let valid = inside(c, kx, c.width, c.out_width);
                for (oy, line) in row.chunks(c.out_width).enumerate() {
                    let iy = (oy * c.stride + ky).checked_sub(c.padding).filter(|iy| *iy < c.height);
                    let Some(iy) = iy.filter(|_| !valid.is_empty()) else { continue };
                    let to = &mut plane[iy * c.width + valid.start * c.stride + kx - c.padding..];
                    if c.stride == 1 {
                        for (to, from) in to.iter_mut().zip(&line[valid.clone()]) {
                            *to += *from;
                        }
                    } else {
                        for (to, from) in to.iter_mut().step_by(c.stride).zip(&line[valid.clone()]) {
                            *to += *from;
                        }
                    }
                }
            }
        }
    }
}

/// A matrix view: `rows` × `columns` with a stride for each.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, T> {
    pub(super) data: &'a [T],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// The first `rows` × `columns` elements of `data`, row-major.
    pub(super) fn rows(data: &'a [T], rows: usize, columns: usize) -> Self {
        Matrix { data: &data[..rows * columns], rows, columns, row_stride: columns, column_stride: 1 }
    }

    pub(super) fn transposed(self) -> Self {
        Matrix {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// `c += a · b`, with `c` row-major.
#[cfg(not(target_arch = "wasm32"))]
#[allow(unsafe_code)]
pub(super) fn multiply_add<T: Real>(a: Matrix<T>, b: Matrix<T>, c: &mut [T]) {
    assert_eq!(a.columns, b.rows);
    assert_eq!(c.len(), a.rows * b.columns);
    let one = T::from_f32(1.0);
    // SAFETY: `Matrix::rows` bounds both views by their slices, transposing keeps the bound, and
    // `c` holds exactly the product; `c` is a unique borrow, so nothing aliases.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            c.as_mut_ptr(),
            1,
            b.columns as isize,
            true,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            one,
            one,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
