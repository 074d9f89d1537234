//! Sums of products, which linear layers and convolutions come down to:
//!
//! `out[m][p] = Σ_k weight[k][m] · source[place_k + p] + bias[m]`
//!
//! For a linear layer the places are the rows of the transposed batch. For a convolution they are
//! where a tap of the kernel falls in the padded image, so that no matrix of windows is ever written
//! out. Positions p are consecutive, so they fill vectors whatever the layer's shape.

use super::Real;
use pulp::{Arch, Simd, WithSimd};

/// Outputs m that are computed together. Their sums, two or three vectors each, stay in registers.
pub const ROWS: usize = 4;

/// Most vectors of positions at once. A browser leaves fifteen registers of the sixteen that three would need.
const MOST: usize = if cfg!(target_arch = "wasm32") { 2 } else { 3 };

/// Positions are a multiple of this, and so of the lanes of every vector unit in use.
const LANES: usize = 8;

/// `positions` rounded up to what a product computes.
pub fn rounded(positions: usize) -> usize {
    positions.next_multiple_of(LANES)
}

/// Weights of this many bytes stay in the processor's cache while positions move on; with more, the
/// weights are gone through once, panel by panel.
const CACHED: usize = 1 << 18;

/// Weights `[out, terms]` in the order in which they are used: panels of [`ROWS`] outputs, term by
/// term. Missing outputs of the last panel are zero.
#[derive(Clone, Debug)]
pub struct Panels<T> {
    rows: usize,
    terms: usize,
    weights: Vec<[T; ROWS]>,
}

impl<T: Real> Panels<T> {
    /// `weight(output, term)` for all `outputs` and `terms`.
    pub fn new(outputs: usize, terms: usize, weight: &dyn Fn(usize, usize) -> T) -> Panels<T> {
        let mut weights = Vec::with_capacity(outputs.div_ceil(ROWS) * terms);
        for first in (0..outputs).step_by(ROWS) {
            for term in 0..terms {
                let mut four = [T::from_f32(0.0); ROWS];
                for (slot, output) in four.iter_mut().zip(first..outputs) {
                    *slot = weight(output, term);
                }
                weights.push(four);
            }
        }
        Panels { rows: outputs.next_multiple_of(ROWS), terms, weights }
    }

    /// Rows that [`Panels::multiply`] writes: the outputs, rounded up.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Write `out`, [`Panels::rows`] rows of `positions`, a number that [`rounded`] gave. `places`
    /// holds where in `source` each term begins; `bias` is that of each output, or empty.
    ///
    /// # Panics
    /// If a term does not lie within `source`, or `out` is too short.
    pub fn multiply(&self, places: &[usize], source: &[T], bias: &[T], positions: usize, out: &mut [T]) {
        assert_eq!(places.len(), self.terms);
        assert!(positions.is_multiple_of(LANES));
        if places.is_empty() {
            for (m, row) in out.chunks_exact_mut(positions).enumerate() {
                row.fill(bias.get(m).copied().unwrap_or(T::from_f32(0.0)));
            }
            return;
        }
        T::multiply(Product { panels: self, places, source, bias, positions, out });
    }
}

/// One call of [`Panels::multiply`].
pub struct Product<'a, T> {
    panels: &'a Panels<T>,
    places: &'a [usize],
    source: &'a [T],
    bias: &'a [T],
    positions: usize,
    out: &'a mut [T],
}

impl<T: Real> Product<'_, T> {
    /// The biases of a panel's outputs; 0 where there is none.
    #[inline(always)]
    fn biases(&self, panel: usize) -> [T; ROWS] {
        std::array::from_fn(|m| self.bias.get(panel * ROWS + m).copied().unwrap_or(T::from_f32(0.0)))
    }

    /// Position by position: for f64, and for processors without vectors.
    pub fn plain(self) {
        let panels = 0..self.panels.rows() / ROWS;
        let biases: Vec<_> = panels.map(|panel| self.biases(panel)).collect();
        let Product { panels, places, source, positions, out, .. } = self;
        let four = out.chunks_exact_mut(ROWS * positions).zip(panels.weights.chunks_exact(places.len()));
        for ((out, weights), biases) in four.zip(biases) {
            out.fill(T::from_f32(0.0));
            for (four, &place) in weights.iter().zip(places) {
                let source = &source[place..place + positions];
                for (row, &weight) in out.chunks_exact_mut(positions).zip(four) {
                    row.iter_mut().zip(source).for_each(|(sum, &x)| *sum += weight * x);
                }
            }
            for (row, bias) in out.chunks_exact_mut(positions).zip(biases) {
                row.iter_mut().for_each(|sum| *sum += bias);
            }
        }
    }
}

/// Do `work` with the vectors of the processor that this runs on, or plainly where it has none.
#[inline(always)]
pub fn dispatch<W: WithSimd<Output = ()>>(work: W, plain: impl FnOnce(W)) {
    match Arch::new() {
        // Wasm that was compiled for vectors does not start without them.
        Arch::Scalar if cfg!(target_feature = "simd128") => unreachable!(),
        Arch::Scalar => plain(work),
        arch => arch.dispatch(work),
    }
}

impl Product<'_, f32> {
    /// With the vectors of the processor that this runs on.
    pub fn in_vectors(self) {
        dispatch(self, Product::plain);
    }

    #[inline(always)]
    fn block<S: Simd>(&mut self, simd: S, panel: usize, first: usize, vectors: usize) {
        let (terms, biases) = (self.places.len(), self.biases(panel));
        let weights = &self.panels.weights[panel * terms..(panel + 1) * terms];
        let rows = &mut self.out[panel * ROWS * self.positions..(panel + 1) * ROWS * self.positions];
        let at = first * S::F32_LANES;
        match vectors {
            // Shorter ones come in pairs.
            1 if S::F32_LANES == LANES => {
                one_vector(simd, weights, biases, self.places, self.source, at, rows)
            }
            _ if MOST == 2 || vectors == 2 => {
                two_vectors(simd, weights, biases, self.places, self.source, at, rows);
            }
            _ => three_vectors(simd, weights, biases, self.places, self.source, at, rows),
        }
    }
}

impl WithSimd for Product<'_, f32> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        const { assert!(LANES.is_multiple_of(S::F32_LANES)) };
        let vectors = self.positions / S::F32_LANES;
        let panels = self.panels.rows() / ROWS;
        // No single one where two pairs will do.
        let width = |first: usize| if vectors - first == 4 { 2 } else { (vectors - first).min(MOST) };
        let cached = self.panels.weights.len() * size_of::<[f32; ROWS]>() <= CACHED;
        let together = if cached { panels.max(1) } else { 1 };
        for start in (0..panels).step_by(together) {
            let mut first = 0;
            while first < vectors {
                for panel in start..start + together {
                    self.block(simd, panel, first, width(first));
                }
                first += width(first);
            }
        }
    }
}

/// The sums of four outputs over so many vectors of positions, written out so that they stay in
/// registers also where the compiler is told to unroll nothing.
macro_rules! block {
    ($name:ident, $($vector:literal)*) => {
        #[inline(always)]
        fn $name<S: Simd>(
            simd: S,
            weights: &[[f32; ROWS]],
            biases: [f32; ROWS],
            places: &[usize],
            source: &[f32],
            at: usize,
            rows: &mut [f32],
        ) {
            const VECTORS: usize = [$($vector),*].len();
            let zero = simd.splat_f32s(0.0);
            let mut a = [$({ let _ = $vector; zero }),*];
            let (mut b, mut c, mut d) = (a, a, a);
            for (w, &place) in weights.iter().zip(places) {
                // Indexing with a range is a function that is not inlined where code is to be small, and a call in this
                // loop would send all sums through memory.
                let from = place + at;
                let Some(x) = source.get(from..from + VECTORS * S::F32_LANES) else { beyond() };
                let x = S::as_simd_f32s(x).0;
                let x = [$(x[$vector]),*];
                // One weight at a time: with all four in registers, sums would be in memory.
                let weight = simd.splat_f32s(w[0]);
                a = [$(simd.mul_add_e_f32s(weight, x[$vector], a[$vector])),*];
                let weight = simd.splat_f32s(w[1]);
                b = [$(simd.mul_add_e_f32s(weight, x[$vector], b[$vector])),*];
                let weight = simd.splat_f32s(w[2]);
                c = [$(simd.mul_add_e_f32s(weight, x[$vector], c[$vector])),*];
                let weight = simd.splat_f32s(w[3]);
                d = [$(simd.mul_add_e_f32s(weight, x[$vector], d[$vector])),*];
            }
            let positions = rows.len() / ROWS;
            for ((row, sums), bias) in rows.chunks_exact_mut(positions).zip([a, b, c, d]).zip(biases) {
                let Some(out) = row.get_mut(at..at + VECTORS * S::F32_LANES) else { beyond() };
                let out = S::as_mut_simd_f32s(out).0;
                let bias = simd.splat_f32s(bias);
                $(out[$vector] = simd.add_f32s(sums[$vector], bias);)*
            }
        }
    };
}

#[cold]
fn beyond() -> ! {
    panic!("a term or a sum does not lie within its memory")
}

block!(one_vector, 0);
block!(two_vectors, 0 1);
block!(three_vectors, 0 1 2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{Noise, Stream};

    #[test]
    fn vectors_give_what_plain_sums_give() {
        let noise = Noise::new(3, Stream::Data);
        for (case, &(outputs, terms, positions)) in [
            (1, 1, 1),
            (4, 7, 8),
            (5, 1, 9),
            (3, 20, 17),
            (9, 3, 33),
            (6, 50, 24),
            (2, 4, 64),
            (300, 300, 41),
        ]
        .iter()
        .enumerate()
        {
            let mut values = vec![0.0; outputs * terms + outputs + 3 * terms + rounded(positions)];
            noise.normals(case as u32, 0, &mut values);
            let (weights, values) = values.split_at(outputs * terms);
            let (bias, source) = values.split_at(outputs);
            // Some outputs have one.
            let bias = &bias[..outputs / 2];
            let panels = Panels::new(outputs, terms, &|m, k| weights[m * terms + k]);
            // Terms that overlap, as the taps of a convolution do.
            let places: Vec<usize> = (0..terms).map(|k| (3 * k) % (3 * terms)).collect();
            let mut out = vec![f32::NAN; panels.rows() * rounded(positions)];
            panels.multiply(&places, source, bias, rounded(positions), &mut out);
            for (m, row) in out.chunks(rounded(positions)).take(outputs).enumerate() {
                for (p, &sum) in row.iter().take(positions).enumerate() {
                    let term =
                        |k: usize| f64::from(weights[m * terms + k]) * f64::from(source[places[k] + p]);
                    let bias = bias.get(m).map_or(0.0, |&bias| f64::from(bias));
                    let expected: f64 = bias + (0..terms).map(term).sum::<f64>();
                    let scale: f64 = bias.abs() + (0..terms).map(|k| term(k).abs()).sum::<f64>();
                    assert!((f64::from(sum) - expected).abs() <= 1e-6 * scale, "{sum} {expected}");
                }
            }
        }
    }
}
