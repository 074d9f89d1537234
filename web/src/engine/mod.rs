//! The chains of the page, on whichever device there is.

#[cfg(target_arch = "wasm32")]
pub mod cpu;
#[cfg(target_arch = "wasm32")]
pub mod gpu;
pub mod hand;
#[cfg(target_arch = "wasm32")]
mod run;
pub mod start;

#[cfg(all(target_arch = "wasm32", feature = "bench"))]
pub use run::open;
#[cfg(target_arch = "wasm32")]
pub use run::{Device, Engine, Picture};
