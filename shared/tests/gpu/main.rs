//! The GPU executor against the plain CPU kernels, against itself, and against laws that are known
//! exactly. Without an adapter these tests fail, unless DUAL_MCMC_NO_GPU=true says that there is none.
#![allow(clippy::unwrap_used)]

mod chains;
mod drawing;
mod jobs;
mod kernels;
mod laws;
mod networks;
mod noise;
mod parts;
#[path = "../random_network/mod.rs"]
mod random_network;
mod refusals;

use dual_mcmc::gpu::{Gpu, GpuChoice};
use pollster::block_on;
use std::io::Write;
use std::sync::OnceLock;

/// The adapter that all tests share, or `None` where the environment says that there is none.
fn gpu() -> Option<&'static Gpu> {
    static GPU: OnceLock<Option<Gpu>> = OnceLock::new();
    let gpu = GPU.get_or_init(|| match block_on(Gpu::request(GpuChoice::Any)) {
        Ok(gpu) => {
            eprintln!("running on {}", gpu.name());
            Some(gpu)
        }
        Err(error) => {
            let none = std::env::var("DUAL_MCMC_NO_GPU").is_ok_and(|v| v == "true");
            assert!(none, "{error} (a software one will do; DUAL_MCMC_NO_GPU=true leaves these tests out)");
            // Past the test harness, which would keep it from whoever runs the tests.
            let _ = writeln!(std::io::stderr(), "NOT TESTED on a GPU: {error}");
            None
        }
    });
    gpu.as_ref()
}

/// Euclidean norm.
fn norm(x: &[f32]) -> f64 {
    x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

/// ‖a - b‖.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>().sqrt()
}

/// How many rows of `a` are within `tolerance` of the norm of their row in `b`.
fn agreeing_rows(a: &[f32], b: &[f32], len: usize, tolerance: f64) -> usize {
    assert_eq!(a.len(), b.len());
    a.chunks(len).zip(b.chunks(len)).filter(|(a, b)| distance(a, b) <= tolerance * norm(b)).count()
}
