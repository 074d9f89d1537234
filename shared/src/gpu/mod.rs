//! The GPU executor: networks, their input gradients and the Langevin chains in WGSL, on wgpu,
//! natively and in the browser.
//!
//! Everything is allocated when an object is made: buffers, parameters and bind groups. A chain
//! then runs any number of steps without the CPU: steps are recorded into few submissions, the
//! step counter lives on the GPU, and the values along the way go into a ring there. Only
//! WebGPU's default limits and no optional features are needed.
//!
//! Reading is asynchronous. A method that reads submits its work when it is called; the future it
//! returns borrows nothing and only waits, so in a browser a chain can go on meanwhile. Natively
//! the future blocks its thread until the GPU is done.
//!
//! A row of a batch is one sample, row-major as on the CPU.

mod chains;
mod device;
mod dispatch;
mod error;
mod forward;
mod fused;
mod gradient;
mod layers;
mod parts;
#[cfg(not(target_arch = "wasm32"))]
mod plain;
#[cfg(not(target_arch = "wasm32"))]
mod profile;
mod program;
mod read;
mod walk;

pub use chains::{XChain, ZChain};
pub use device::{Gpu, GpuChoice};
pub use error::GpuError;
pub use forward::Forward;
pub use fused::{Choice, Size, Tiling};
pub use gradient::{EnergyGradient, InputGradient};
#[cfg(not(target_arch = "wasm32"))]
pub use profile::{KernelTime, Peaks};
#[cfg(not(target_arch = "wasm32"))]
pub use program::kernels;
