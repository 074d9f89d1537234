//! A longer run takes no more memory. In a file of its own: nothing else runs in the process.

#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::unwrap_used)]

mod small;

use burn::tensor::Device;
use dual_mcmc::executor::Executor;
use dual_mcmc_trainer::run::device::{DeviceChoice, training};
use dual_mcmc_trainer::teaching::Teacher;
use std::process::Command;

/// glibc's own variable.
const ONE_HEAP: &str = "MALLOC_ARENA_MAX";

/// Resident memory in bytes. A software GPU's memory is resident, too.
fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
}

fn check(what: &str, device: &Device, executor: Executor, overrides: &[(&str, &str)]) {
    let recipe = small::recipe(small::IMAGES, overrides);
    let mut teacher = Teacher::new(&recipe, device, executor, 3).unwrap();
    let mut early = 0.0;
    for t in 1..=2000 {
        teacher.step(&small::batch(&recipe, t)).unwrap();
        if t == 200 {
            early = resident();
        }
    }
    let late = resident();
    eprintln!(
        "{what}: {:.1} MiB after 200 iterations, {:.1} after 2,000",
        early / 1048576.0,
        late / 1048576.0
    );
    assert!(late <= 1.02 * early, "{what}: {early} bytes have become {late}");
}

/// With the chains on the executor, and in burn, whose Langevin loops could leak graphs.
#[test]
#[ignore = "6,000 iterations take ten minutes. cargo xtask test --long"]
fn two_thousand_iterations_take_the_memory_of_two_hundred() {
    // glibc gives threads heaps of their own, up to 13 MiB more here, at an iteration that differs from run to
    // run: with one heap for all, what is measured is what the program keeps.
    if std::env::var_os(ONE_HEAP).is_none() {
        let mut again = Command::new(std::env::current_exe().unwrap());
        assert!(again.args(std::env::args_os().skip(1)).env(ONE_HEAP, "1").status().unwrap().success());
        return;
    }
    let in_burn = [("z_chain.batch_norm", "batch"), ("x_chain.spectral_iteration", "each_step")];
    for overrides in [&[][..], &in_burn] {
        check("CPU", &Device::flex(), Executor::Cpu { threads: 2 }, overrides);
    }
    match training(DeviceChoice::Gpu) {
        Ok(gpu) => check("GPU", &gpu.parameters, gpu.executor, &[]),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none_or(|v| v != "true"), "no GPU: {error:#}");
            eprintln!("not on a GPU, there is none: {error:#}");
        }
    }
}
