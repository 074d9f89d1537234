//! Dual-MCMC teaching on a page: a training run in a worker beside it, that can be watched, stopped between any two phases
//! of an iteration, and taken away as a model.
//!
//! [`settings`] is what a reader chooses, and the recipe that it makes; [`lesson`] is the run; `page` is what the worker's
//! JavaScript (`web/element/teach-worker.js`) sees of it.

pub mod lesson;
#[cfg(target_arch = "wasm32")]
mod page;
pub mod settings;
pub mod table;
