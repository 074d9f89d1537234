//! Dual-MCMC teaching: an energy-based model, a generator and an encoder, learned together.
//!
//! * [`recipe`]: everything that a training run is, as one TOML file;
//! * [`networks`]: the three networks in burn, with what only training has;
//! * [`optimiser`] is Adam, for each of them;
//! * [`teaching`]: the training iteration: both chains, the three losses, the three updates;
//! * `table` (feature `table`): points in text.
//!
//! Without the feature `gpu` the program trains and samples on the CPU alone, and compiles in half the time.
//! Without the feature `cli` nothing here touches files, clocks, threads or a terminal, and
//! everything compiles for wasm32.

// What is printed goes through `console`, which no reader that goes away can stop.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
pub mod console;
#[cfg(feature = "cli")]
pub mod data;
#[cfg(feature = "gpu")]
pub mod lending;
pub mod networks;
pub mod optimiser;
pub mod recipe;
#[cfg(feature = "cli")]
pub mod run;
#[cfg(feature = "table")]
pub mod table;
pub mod teaching;
