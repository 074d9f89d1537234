//! The chains of the page, on whichever device there is.

pub mod cpu;
#[cfg(target_arch = "wasm32")]
pub mod gpu;
#[cfg(target_arch = "wasm32")]
mod run;
pub mod start;

#[cfg(target_arch = "wasm32")]
pub use run::{Device, Engine, Picture, energies};

/// A clock in milliseconds.
pub trait Clock {
    /// The time now.
    fn now(&self) -> f64;
}
