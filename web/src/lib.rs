//! The lab page and the embedded figure: chains of dual-MCMC models in a web browser.
//!
//! Plain logic, tested anywhere: [`state`] (the address), [`pacing`] (steps per frame), [`history`]
//! (energies over steps), [`heat`] (the landscape's map), [`draw`] (layouts), [`explain`] and
//! [`problem`] (words). In a browser, `engine` has the chains, and `session` runs the loop that brings
//! what runs in line with what `controls` and the address ask for.

pub mod draw;
pub mod explain;
pub mod heat;
pub mod history;
pub mod pacing;
pub mod problem;
pub mod state;

#[cfg(target_arch = "wasm32")]
mod about;
#[cfg(target_arch = "wasm32")]
mod api;
#[cfg(all(target_arch = "wasm32", feature = "bench"))]
mod bench;
#[cfg(target_arch = "wasm32")]
mod controls;
#[cfg(target_arch = "wasm32")]
mod dom;
#[cfg(target_arch = "wasm32")]
mod embed;
#[cfg(target_arch = "wasm32")]
mod engine;
#[cfg(target_arch = "wasm32")]
mod lab;
#[cfg(target_arch = "wasm32")]
mod loading;
#[cfg(target_arch = "wasm32")]
mod page;
#[cfg(target_arch = "wasm32")]
mod plot;
#[cfg(target_arch = "wasm32")]
mod session;
#[cfg(target_arch = "wasm32")]
mod theme;
#[cfg(target_arch = "wasm32")]
mod views;
