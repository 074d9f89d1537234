//! Matrix products in WebAssembly, in f32. The `gemm` crate has kernels for every shape and for
//! processors without vectors; all of them would be a tenth of the page, where one will do.

use super::Real;
use super::fast::Matrix;

#[cfg(target_arch = "wasm32")]
mod lanes {
    use std::arch::wasm32::{f32x4, f32x4_add, f32x4_extract_lane, f32x4_mul, f32x4_splat, v128};

    pub type Lanes = v128;
    pub fn new(x: [f32; 4]) -> Lanes {
        f32x4(x[0], x[1], x[2], x[3])
    }
    pub fn splat(x: f32) -> Lanes {
        f32x4_splat(x)
    }
    pub fn multiply_add(sum: Lanes, a: Lanes, b: Lanes) -> Lanes {
        f32x4_add(sum, f32x4_mul(a, b))
    }
    pub fn get(x: Lanes) -> [f32; 4] {
        [
            f32x4_extract_lane::<0>(x),
            f32x4_extract_lane::<1>(x),
            f32x4_extract_lane::<2>(x),
            f32x4_extract_lane::<3>(x),
        ]
    }
}

/// The same without vectors, for the tests of everything else here.
#[cfg(not(target_arch = "wasm32"))]
mod lanes {
    pub type Lanes = [f32; 4];
    pub fn new(x: [f32; 4]) -> Lanes {
        x
    }
    pub fn splat(x: f32) -> Lanes {
        [x; 4]
    }
    pub fn multiply_add(sum: Lanes, a: Lanes, b: Lanes) -> Lanes {
        [0, 1, 2, 3].map(|i| sum[i] + a[i] * b[i])
    }
    pub fn get(x: Lanes) -> [f32; 4] {
        x
    }
}

use lanes::{Lanes, get, multiply_add as add, new, splat};

/// Rows and columns of one block of the product: eight vectors of sums, which stay in registers.
const ROWS: usize = 4;
const COLUMNS: usize = 8;
/// Terms of the sums taken at a time, so that a panel stays in the processor's cache.
const DEPTH: usize = 256;

/// `c += a · b`, with `c` row-major.
///
/// # Panics
/// If the shapes do not fit.
pub fn multiply_add<T: Real>(a: Matrix<T>, b: Matrix<T>, c: &mut [T]) {
    assert_eq!(a.columns, b.rows);
    assert_eq!(c.len(), a.rows * b.columns);
    let mut left = Vec::new();
    let mut right = Vec::new();
    for first in (0..a.columns).step_by(DEPTH) {
        let terms = first..a.columns.min(first + DEPTH);
        pack::<T, COLUMNS>(&b.transposed(), terms.clone(), &mut right);
        pack::<T, ROWS>(&a, terms.clone(), &mut left);
        let depth = terms.len();
        for (i, left) in left.chunks_exact(depth * ROWS).enumerate() {
            for (j, right) in right.chunks_exact(depth * COLUMNS).enumerate() {
                let sums = block(left.as_chunks().0, right.as_chunks().0);
                let rows = c.chunks_mut(b.columns).skip(i * ROWS);
                for (row, sums) in rows.zip(&sums) {
                    for (c, &sum) in row[j * COLUMNS..].iter_mut().zip(sums) {
                        *c += T::from_f32(sum);
                    }
                }
            }
        }
    }
}

/// The columns `terms` of `m`, `N` rows at a time, column by column; missing rows are zero.
fn pack<T: Real, const N: usize>(m: &Matrix<T>, terms: std::ops::Range<usize>, packed: &mut Vec<f32>) {
    packed.clear();
    packed.resize(m.rows.div_ceil(N) * N * terms.len(), 0.0);
    for (panel, first) in packed.chunks_exact_mut(N * terms.len()).zip((0..).step_by(N)) {
        for (column, term) in panel.chunks_exact_mut(N).zip(terms.clone()) {
            for (slot, row) in column.iter_mut().zip(first..m.rows) {
                *slot = m.data[row * m.row_stride + term * m.column_stride].to_f32();
            }
        }
    }
}

fn block(left: &[[f32; ROWS]], right: &[[f32; COLUMNS]]) -> [[f32; COLUMNS]; ROWS] {
    let zero = splat(0.0);
    let (mut a0, mut a1, mut b0, mut b1) = (zero, zero, zero, zero);
    let (mut c0, mut c1, mut d0, mut d1) = (zero, zero, zero, zero);
    for (l, r) in left.iter().zip(right) {
        let (r0, r1) = (new([r[0], r[1], r[2], r[3]]), new([r[4], r[5], r[6], r[7]]));
        let [a, b, c, d] = l.map(splat);
        (a0, a1) = (add(a0, a, r0), add(a1, a, r1));
        (b0, b1) = (add(b0, b, r0), add(b1, b, r1));
        (c0, c1) = (add(c0, c, r0), add(c1, c, r1));
        (d0, d1) = (add(d0, d, r0), add(d1, d, r1));
    }
    [row(a0, a1), row(b0, b1), row(c0, c1), row(d0, d1)]
}

fn row(low: Lanes, high: Lanes) -> [f32; COLUMNS] {
    let ([a, b, c, d], [e, f, g, h]) = (get(low), get(high));
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_all_shapes_are_sums_of_products() {
        let number = |i: usize| ((i * 37 + 11) % 23) as f32 / 8.0 - 1.4;
        for (m, n, k) in [(1, 1, 1), (4, 8, 3), (5, 9, 7), (13, 3, 300), (3, 17, 256), (64, 20, 513)] {
            let a: Vec<f32> = (0..m * k).map(number).collect();
            let b: Vec<f32> = (0..k * n).map(|i| number(i + 5)).collect();
            let mut exact = vec![0.0f64; m * n];
            for (i, exact) in exact.iter_mut().enumerate() {
                let (row, column) = (i / n, i % n);
                *exact = (0..k).map(|t| f64::from(a[row * k + t]) * f64::from(b[t * n + column])).sum();
            }
            let transposed: Vec<f32> = (0..n * k).map(|i| b[i % k * n + i / k]).collect();
            let plain = Matrix::rows(&b, k, n);
            let turned = Matrix::rows(&transposed, n, k).transposed();
            for b in [plain, turned] {
                let mut c = vec![1.0f32; m * n];
                multiply_add(Matrix::rows(&a, m, k), b, &mut c);
                for (c, exact) in c.iter().zip(&exact) {
                    assert!((f64::from(*c) - 1.0 - exact).abs() < 1e-3, "{m}×{k}·{k}×{n}: {c} {exact}");
                }
            }
        }
    }
}
