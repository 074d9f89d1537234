//! Energy-based models and generators as data, with two executors that give their outputs and
//! their gradients in the input, and the Langevin chains of dual-MCMC teaching on both.
//!
//! * [`network`]: layers, shapes, parameters, and the plan every executor runs;
//! * [`model`]: model files (`.safetensors`);
//! * [`cpu`]: the CPU executor, plain twins of the GPU kernels and a fast path;
//! * [`gpu`]: the GPU executor in WGSL on wgpu, native and in the browser;
//! * [`executor`]: either of the two, chosen at run time;
//! * [`jobs`]: sampling, reconstructing, decoding and energies, with a model on either executor;
//! * [`chain`]: the x-chain and the z-chain;
//! * [`noise`]: counter-based random numbers, the same on every executor;
//! * `pictures` (a feature): pictures of any size as samples;
//! * [`points`]: the synthetic 2-D data sets and their densities.

pub mod chain;
pub mod cpu;
pub mod executor;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod jobs;
pub mod model;
pub mod network;
pub mod noise;
#[cfg(feature = "pictures")]
pub mod pictures;
pub mod points;
