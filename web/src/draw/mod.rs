//! Pictures of chains on canvases, by the device that runs them.

mod painters;
#[cfg(target_arch = "wasm32")]
mod surface;
#[cfg(test)]
mod tests;

#[cfg(target_arch = "wasm32")]
pub use painters::Painters;
#[cfg(target_arch = "wasm32")]
pub use surface::{Canvas, put};
