//! The project's own chores, `cargo xtask …`. A library as well, so that the tests build and serve
//! the page exactly as `cargo xtask lab` does.
//!
//! * [`tools`]: what building and testing the page needs, found or installed;
//! * [`packages`]: what only the system's package manager can install, after asking;
//! * [`page`]: the page, its size, and its list of models;
//! * [`lab`], [`install`], [`site`], [`npm`], [`cards`], [`suites`]: the chores;
//! * [`process`]: how programs are run.

pub mod bench_browser;
pub mod cards;
pub mod install;
pub mod lab;
pub mod npm;
pub mod packages;
pub mod page;
pub mod process;
pub mod site;
pub mod suites;
pub mod tools;

pub use dual_mcmc_site::serve;
