//! Activations in vectors, also where code is made small and the compiler makes none. They have no matrix product's
//! reuse, so left to themselves they take as long as the layers between them.

use super::Real;
use super::product::dispatch;
use crate::network::Activation;
use pulp::{Simd, WithSimd};

/// `out = activation(x)`, or with a `gradient` of that the gradient of x.
pub struct Activate<'a, T> {
    pub activation: Activation,
    pub x: &'a [T],
    pub gradient: Option<&'a [T]>,
    pub out: &'a mut [T],
}

impl<T: Real> Activate<'_, T> {
    /// One by one: for f64, and for processors without vectors.
    pub fn plain(self) {
        let (zero, one) = (T::from_f32(0.0), T::from_f32(1.0));
        let sigmoid = |x: T| one / (one + (-x).exp());
        match (self.activation, self.gradient.is_some()) {
            (Activation::LeakyRelu(slope), _) => {
                self.each(|x, g| if x > zero { g } else { g * T::from_f32(slope) });
            }
            (Activation::Silu, false) => self.each(|x, _| x * sigmoid(x)),
            (Activation::Silu, true) => self.each(|x, g| {
                let s = sigmoid(x);
                g * s * (one + x * (one - s))
            }),
            (Activation::Tanh, false) => self.each(|x, _| x.tanh()),
            (Activation::Tanh, true) => self.each(|x, g| {
                let t = x.tanh();
                g * (one - t * t)
            }),
        }
    }

    fn each(self, f: impl Fn(T, T) -> T) {
        let gradient = self.gradient.unwrap_or(self.x);
        for ((out, &x), &gradient) in self.out.iter_mut().zip(self.x).zip(gradient) {
            *out = f(x, gradient);
        }
    }
}

/// A multiple of the lanes of every vector unit in use.
const LANES: usize = 16;

/// Elements that fill vectors.
fn whole(len: usize) -> usize {
    len / LANES * LANES
}

/// The elements that fill vectors, and what is left, filled up with zeros.
fn last(x: &[f32]) -> (&[f32], [f32; LANES]) {
    let (x, rest) = x.split_at(whole(x.len()));
    let mut all = [0.0; LANES];
    all[..rest.len()].copy_from_slice(rest);
    (x, all)
}

impl Activate<'_, f32> {
    /// With the vectors of the processor that this runs on. The last elements go through the same arithmetic as all
    /// others, so that a result does not depend on where it stands.
    pub fn in_vectors(self) {
        let Activate { activation, x, gradient, out } = self;
        let gradient = gradient.map(last).unzip();
        let ((x, x_last), (out, out_last)) = (last(x), out.split_at_mut(whole(out.len())));
        let mut all = [0.0; LANES];
        Activate { activation, x, gradient: gradient.0, out }.dispatch();
        Activate { activation, x: &x_last, gradient: gradient.1.as_ref().map(|g| &g[..]), out: &mut all }
            .dispatch();
        out_last.copy_from_slice(&all[..out_last.len()]);
    }

    #[inline(never)]
    fn dispatch(self) {
        dispatch(self, Activate::plain);
    }

    /// `f(x, gradient)` of every vector, without a gradient `f(x, x)`.
    #[inline(always)]
    fn each_vector<S: Simd>(self, f: impl Fn(S::f32s, S::f32s) -> S::f32s) {
        const { assert!(LANES.is_multiple_of(S::F32_LANES)) };
        let gradient = S::as_simd_f32s(self.gradient.unwrap_or(self.x)).0;
        let (x, out) = (S::as_simd_f32s(self.x).0, S::as_mut_simd_f32s(self.out).0);
        for ((out, &x), &gradient) in out.iter_mut().zip(x).zip(gradient) {
            *out = f(x, gradient);
        }
    }
}

impl WithSimd for Activate<'_, f32> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let one = simd.splat_f32s(1.0);
        let (add, sub) = (|a, b| simd.add_f32s(a, b), |a, b| simd.sub_f32s(a, b));
        let mul = |a, b| simd.mul_f32s(a, b);
        match (self.activation, self.gradient.is_some()) {
            (Activation::LeakyRelu(slope), _) => {
                let (zero, slope) = (simd.splat_f32s(0.0), simd.splat_f32s(slope));
                self.each_vector::<S>(|x, g| {
                    simd.select_f32s(simd.greater_than_f32s(x, zero), g, mul(g, slope))
                });
            }
            (Activation::Silu, false) => self.each_vector::<S>(|x, _| mul(x, sigmoid(simd, x))),
            (Activation::Silu, true) => self.each_vector::<S>(|x, g| {
                let s = sigmoid(simd, x);
                mul(mul(g, s), add(one, mul(x, sub(one, s))))
            }),
            (Activation::Tanh, false) => self.each_vector::<S>(|x, _| tanh(simd, x)),
            (Activation::Tanh, true) => self.each_vector::<S>(|x, g| {
                let t = tanh(simd, x);
                mul(g, sub(one, mul(t, t)))
            }),
        }
    }
}

#[inline(always)]
fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let minus_x = simd.sub_f32s(simd.splat_f32s(0.0), x);
    simd.div_f32s(one, simd.add_f32s(one, exp(simd, minus_x)))
}

/// `2·sigmoid(2x) - 1`, and the series near 0, where that difference would cancel.
#[inline(always)]
fn tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let number = |n: f32| simd.splat_f32s(n);
    let mul = |a, b| simd.mul_f32s(a, b);
    let z = mul(x, x);
    // The series' next term is 0.054·x⁷, at |x| = 1/16 below f32's rounding.
    let inner = simd.mul_add_e_f32s(z, number(2.0 / 15.0), number(-1.0 / 3.0));
    let near = mul(x, simd.mul_add_e_f32s(z, inner, number(1.0)));
    let twice = |v| simd.add_f32s(v, v);
    let far = simd.sub_f32s(twice(sigmoid(simd, twice(x))), number(1.0));
    simd.select_f32s(simd.greater_than_f32s(number(1.0 / 256.0), z), near, far)
}

/// Cephes' `expf` without its branches: x = n·ln 2 + r, eʳ by a polynomial, 2ⁿ by the exponent bits. Saturates at ±87;
/// NaN stays NaN through r.
#[inline(always)]
fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const ROUND: f32 = 12_582_912.0; // 1.5·2²³: adding it rounds to an integer
    let number = |n: f32| simd.splat_f32s(n);
    let mul_add = |a, b, c| simd.mul_add_e_f32s(a, b, c);
    let x = simd.select_f32s(simd.greater_than_f32s(x, number(87.0)), number(87.0), x);
    let x = simd.select_f32s(simd.greater_than_f32s(number(-87.0), x), number(-87.0), x);
    let shifted = mul_add(x, number(std::f32::consts::LOG2_E), number(ROUND));
    let n = simd.sub_f32s(shifted, number(ROUND));
    let r = mul_add(n, number(2.121_944_4e-4), mul_add(n, number(-0.693_359_4), x));
    // Line by line: a loop would stay one where code is made small.
    let p = number(1.987_569_2e-4);
    let p = mul_add(p, r, number(1.398_2e-3));
    let p = mul_add(p, r, number(8.333_452e-3));
    let p = mul_add(p, r, number(4.166_579_6e-2));
    let p = mul_add(p, r, number(1.666_666_5e-1));
    let p = mul_add(p, r, number(0.5));
    let e = mul_add(simd.mul_f32s(p, r), r, simd.add_f32s(r, number(1.0)));
    let exponent = simd.splat_u32s(127u32.wrapping_sub(ROUND.to_bits()));
    let power = simd.add_u32s(simd.transmute_u32s_f32s(shifted), exponent);
    // Not a shift: in a browser that is one lane after the other.
    let power = simd.mul_u32s(power, simd.splat_u32s(1 << 23));
    simd.mul_f32s(e, simd.transmute_f32s_u32s(power))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::Arch;

    struct Exp<'a>(&'a mut [f32]);

    impl WithSimd for Exp<'_> {
        type Output = ();
        fn with_simd<S: Simd>(self, simd: S) {
            let (vectors, rest) = S::as_mut_simd_f32s(self.0);
            vectors.iter_mut().for_each(|x| *x = exp(simd, *x));
            let last = exp(simd, simd.partial_load_f32s(rest));
            simd.partial_store_f32s(rest, last);
        }
    }

    #[test]
    fn exp_is_exp() {
        let all: Vec<f32> = (-8600..8600).map(|i| i as f32 * 0.01).collect();
        let mut found = all.clone();
        Arch::new().dispatch(Exp(&mut found));
        for (x, found) in all.iter().zip(found) {
            let exact = f64::from(*x).exp();
            let error = (f64::from(found) - exact).abs() / exact;
            assert!(error < 3e-7, "exp({x}): relative error {error:e}");
        }
        let mut ends = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        Arch::new().dispatch(Exp(&mut ends));
        assert!(ends[0].is_nan() && ends[1] > 1e37 && ends[2] < 1e-37, "{ends:?}");
    }

    /// Vectors agree with f64, and a result does not depend on where in a vector it stands.
    #[test]
    fn vectors_give_what_plain_loops_give() {
        let x: Vec<f32> = (-1000..1001).map(|i| i as f32 * 0.0123).collect();
        let gradient: Vec<f32> = x.iter().map(|x| 1.5 - x).collect();
        let exact = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<f64>>();
        let (x_exact, gradient_exact) = (exact(&x), exact(&gradient));
        for activation in [Activation::LeakyRelu(0.2), Activation::Silu, Activation::Tanh] {
            for carries in [false, true] {
                let mut expected = vec![0.0; x.len()];
                let gradients = carries.then_some(&gradient_exact[..]);
                Activate { activation, x: &x_exact, gradient: gradients, out: &mut expected }.plain();
                let found = |first: usize| {
                    let mut out = vec![0.0; x.len() - first];
                    let gradient = carries.then_some(&gradient[first..]);
                    Activate { activation, x: &x[first..], gradient, out: &mut out }.in_vectors();
                    out
                };
                let all = found(0);
                for ((&x, &found), &expected) in x.iter().zip(&all).zip(&expected) {
                    let error = (f64::from(found) - expected).abs() / expected.abs().max(1.0);
                    assert!(error < 3e-6, "{activation:?} of {x}: {found}, not {expected}");
                }
                for left in [0, 1, 15, 16, 17, x.len() - 3] {
                    let first = x.len() - left;
                    assert_eq!(found(first), all[first..], "{activation:?}, the last {left}");
                }
                let mut ends = [0.0; 3];
                let x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
                let gradient = carries.then_some(&[1.0; 3][..]);
                Activate { activation, x: &x, gradient, out: &mut ends }.in_vectors();
                let expected = match (activation, carries) {
                    (Activation::LeakyRelu(slope), false) => [f32::INFINITY, slope * f32::NEG_INFINITY],
                    (Activation::LeakyRelu(slope), true) => [1.0, slope],
                    (Activation::Tanh, false) => [1.0, -1.0],
                    (Activation::Tanh, true) => [0.0, 0.0],
                    // 0 times infinity.
                    (Activation::Silu, _) => continue,
                };
                let nan = carries && matches!(activation, Activation::LeakyRelu(_));
                assert!(ends[0].is_nan() != nan, "{activation:?}: {ends:?}");
                assert_eq!(ends[1..], expected, "{activation:?}");
            }
        }
    }
}
