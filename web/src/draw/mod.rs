//! Pictures of chains: grids of images and points of the plane, on WebGPU and on a plain canvas.

mod paint;
#[cfg(target_arch = "wasm32")]
mod surface;

pub use paint::{ImageGrid, Scatter};
#[cfg(target_arch = "wasm32")]
pub use surface::Canvas;
