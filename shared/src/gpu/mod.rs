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
mod choice;
mod choose;
mod device;
mod dispatch;
mod error;
mod forward;
mod fused;
mod gradient;
mod kernels;
mod layers;
mod parts;
#[cfg(feature = "workbench")]
mod plain;
#[cfg(feature = "workbench")]
mod profile;
mod read;
mod recording;
mod shader;
mod table;
mod trajectory;

pub use chains::{Chain, Energy, Posterior, XChain, ZChain};
pub use choice::{Choice, Size, Tiling};
pub use device::{Gpu, GpuChoice};
pub use error::GpuError;
pub use forward::Forward;
pub use gradient::{EnergyGradient, InputGradient};
#[cfg(feature = "workbench")]
pub use profile::{KernelTime, Peaks};

/// Every kernel as its label and complete WGSL, for tools that check shaders. Some need subgroups, which naga takes as
/// they are; no page runs those.
#[cfg(feature = "workbench")]
pub fn kernels() -> impl Iterator<Item = (String, String)> {
    use shader::Shader;
    let whole = kernels::Kernel::ALL.iter().filter(|kernel| !kernel.calls_finish());
    let whole = whole.map(|&kernel| Box::new(kernel) as Box<dyn Shader>);
    let all: Vec<Box<dyn Shader>> = whole.chain(fused::shaders()).collect();
    all.into_iter().map(|shader| (shader.label(), shader.source()))
}
