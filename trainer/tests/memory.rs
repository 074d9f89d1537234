//! A longer run takes no more memory. Each test measures a process in which nothing else runs.

#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::unwrap_used)]

mod small;

use burn::tensor::Device;
use dual_mcmc::executor::Executor;
use dual_mcmc_trainer::teaching::Teacher;
use std::path::Path;
use std::process::Command;

/// glibc's own variable.
const ONE_HEAP: &str = "MALLOC_ARENA_MAX";

/// A figure of a process's memory in bytes, as the kernel counts it.
fn memory(process: &str, figure: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0
}

/// Resident memory in bytes, but for the pages of the program's own file, which the kernel brings and drops as it
/// likes. A software GPU's memory is resident, too.
fn resident() -> f64 {
    memory("self", "RssAnon") + memory("self", "RssShmem")
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
        again.args(["two_thousand_iterations_take_the_memory_of_two_hundred", "--exact"]);
        again.args(["--include-ignored", "--nocapture"]).env(ONE_HEAP, "1");
        assert!(again.status().unwrap().success());
        return;
    }
    let in_burn = [("z_chain.batch_norm", "batch"), ("x_chain.spectral_iteration", "each_step")];
    for overrides in [&[][..], &in_burn] {
        check("CPU", &Device::flex(), Executor::Cpu { threads: 2 }, overrides);
    }
    if let Some(gpu) = small::gpu() {
        check("GPU", &gpu.parameters, gpu.executor, &[]);
    }
}

/// How many lines a run has logged.
fn lines(metrics: &Path) -> usize {
    std::fs::read_to_string(metrics).map_or(0, |text| text.lines().count())
}

/// The program itself: with its checkpoints, measurements, pictures and reports, whose own needs come and go, so
/// that it is the peak that counts.
#[test]
#[ignore = "2,000 iterations with a hundred measurements take minutes. cargo xtask test --long"]
fn a_run_with_checkpoints_and_measurements_keeps_its_peak() {
    use dual_mcmc::noise::{Noise, Stream};
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("images.toml"), small::IMAGES).unwrap();
    let values = Noise::new(1, Stream::Data).normal_rows(0, 400, 64, 0);
    let values: Vec<f32> = values.iter().map(|v| (0.5 * v).clamp(-1.0, 1.0)).collect();
    let data = folder.path().join("images.npy");
    dual_mcmc_trainer::data::npy::write(&data, &[400, 1, 8, 8], &values).unwrap();
    // Reports are drawn from all of the metrics, which a long run has at most 5,000 lines of. This schedule logs every
    // tenth iteration, so that those do not count beside what an iteration, a checkpoint or a measurement might leave.
    let line = "train images.toml --device cpu --data images.npy --out run --steps 2100 --checkpoint-every 10 \
                --measure-every 20 --set schedule.iterations=50000";
    let mut child = Command::new(env!("CARGO_BIN_EXE_dual-mcmc"))
        .args(line.split_whitespace())
        .current_dir(folder.path())
        .env(ONE_HEAP, "1")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let metrics = folder.path().join("run/metrics.jsonl");
    let [early, late] = [200, 2000].map(|iteration| {
        while 10 * lines(&metrics) < iteration {
            assert!(child.try_wait().unwrap().is_none(), "it ended before iteration {iteration}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        memory(&child.id().to_string(), "VmHWM")
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let measured = std::fs::read_to_string(folder.path().join("run/measurements.jsonl")).unwrap();
    assert!(measured.lines().count() >= 99);
    eprintln!(
        "a run: {:.1} MiB at most in 200 iterations, {:.1} in 2,000",
        early / 1048576.0,
        late / 1048576.0
    );
    assert!(late <= 1.02 * early, "{early} bytes have become {late}");
}
