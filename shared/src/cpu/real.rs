use super::product::Product;
use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// The floating-point types the executor runs on: f32 and f64.
pub trait Real:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + 'static
{
    /// Convert, rounding nothing.
    fn from_f32(x: f32) -> Self;
    /// Convert, rounding to f32.
    fn to_f32(self) -> f32;
    /// eˣ.
    fn exp(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// eˣ by arithmetic alone, so that loops over it vectorise; relative error a few ulp.
    fn exp_in_loops(self) -> Self;
    /// A sum of products, as fast as it gets.
    fn multiply(product: Product<Self>);
}

impl Real for f64 {
    fn from_f32(x: f32) -> f64 {
        f64::from(x)
    }
    fn to_f32(self) -> f32 {
        self as f32
    }
    fn exp(self) -> f64 {
        f64::exp(self)
    }
    fn tanh(self) -> f64 {
        f64::tanh(self)
    }
    fn exp_in_loops(self) -> f64 {
        f64::exp(self)
    }
    fn multiply(product: Product<f64>) {
        product.plain();
    }
}

impl Real for f32 {
    fn from_f32(x: f32) -> f32 {
        x
    }
    fn to_f32(self) -> f32 {
        self
    }
    fn exp(self) -> f32 {
        f32::exp(self)
    }
    fn tanh(self) -> f32 {
        f32::tanh(self)
    }
    /// Cephes' `expf` without its branches: x = n·ln 2 + r, eʳ by a polynomial, 2ⁿ by the exponent
    /// bits. Saturates at ±87; NaN stays NaN through `r`.
    #[inline(always)]
    fn exp_in_loops(self) -> f32 {
        const ROUND: f32 = 12_582_912.0; // 1.5·2²³: adding it rounds to an integer
        let x = if self > 87.0 { 87.0 } else { self };
        let x = if x < -87.0 { -87.0 } else { x };
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
        let mut p = 1.987_569_2e-4;
        p = p * r + 1.398_2e-3;
        p = p * r + 8.333_452e-3;
        p = p * r + 4.166_579_6e-2;
        p = p * r + 1.666_666_5e-1;
        p = p * r + 0.5;
        let e = p * r * r + r + 1.0;
        let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
        e * f32::from_bits(power)
    }
    fn multiply(product: Product<f32>) {
        product.in_vectors();
    }
}

#[cfg(test)]
mod tests {
    use super::Real;

    #[test]
    fn exp_in_loops_is_exp() {
        for i in -8600..8600 {
            let x = i as f32 * 0.01;
            let exact = f64::from(x).exp();
            let error = (f64::from(x.exp_in_loops()) - exact).abs() / exact;
            assert!(error < 3e-7, "exp({x}): relative error {error:e}");
        }
        assert!(f32::NAN.exp_in_loops().is_nan());
        assert!(f32::INFINITY.exp_in_loops() > 1e37);
        assert!(f32::NEG_INFINITY.exp_in_loops() < 1e-37);
    }
}
