use super::activation::Activate;
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
    /// A sum of products, as fast as it gets.
    fn multiply(product: Product<Self>);
    /// An activation or its gradient, as fast as it gets.
    fn activate(activate: Activate<Self>);
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
    fn multiply(product: Product<f64>) {
        product.plain();
    }
    fn activate(activate: Activate<f64>) {
        activate.plain();
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
    fn multiply(product: Product<f32>) {
        product.in_vectors();
    }
    fn activate(activate: Activate<f32>) {
        activate.in_vectors();
    }
}
