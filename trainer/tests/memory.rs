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

fn check(
    what: &str,
    device: &Device,
    executor: Executor,
    overrides: &[(&str, &str)],
    [early, late]: [u64; 2],
) {
    let recipe = small::recipe(small::IMAGES, overrides);
    let mut teacher = Teacher::new(&recipe, device, executor, 3).unwrap();
    let mut bytes = 0.0;
    for t in 1..=late {
        teacher.step(&small::batch(&recipe, t)).unwrap();
        if t == early {
            bytes = resident();
        }
    }
    let at_the_end = resident();
    eprintln!(
        "{what}: {:.1} MiB after {early} iterations, {:.1} after {late}",
        bytes / 1048576.0,
        at_the_end / 1048576.0
    );
    assert!(at_the_end <= 1.02 * bytes, "{what}: {bytes} bytes have become {at_the_end}");
}

/// Whether this process has one heap; else the test `name` is run in one that has. glibc gives threads heaps of their own, up to
/// 13 MiB more here, at an iteration that differs from run to run: with one heap for all, what is measured is what the program
/// keeps.
fn has_one_heap(name: &str) -> bool {
    if std::env::var_os(ONE_HEAP).is_some() {
        return true;
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args([name, "--exact", "--include-ignored", "--nocapture"]).env(ONE_HEAP, "1");
    assert!(again.status().unwrap().success());
    false
}

/// With the chains on the executor, and in burn, whose Langevin loops could leak graphs.
#[test]
#[ignore = "6,000 iterations take ten minutes; 500 are in every run. cargo xtask test --long"]
fn two_thousand_iterations_take_the_memory_of_two_hundred() {
    if !has_one_heap("two_thousand_iterations_take_the_memory_of_two_hundred") {
        return;
    }
    let iterations = [200, 2000];
    let in_burn = [("z_chain.batch_norm", "batch"), ("x_chain.spectral_iteration", "each_step")];
    for overrides in [&[][..], &in_burn] {
        check("CPU", &Device::flex(), Executor::Cpu { threads: 2 }, overrides, iterations);
    }
    if let Some(gpu) = small::gpu() {
        check("GPU", &gpu.parameters, gpu.executor, &[], iterations);
    }
}

#[test]
fn five_hundred_iterations_take_the_memory_of_two_hundred() {
    if has_one_heap("five_hundred_iterations_take_the_memory_of_two_hundred") {
        check("CPU", &Device::flex(), Executor::Cpu { threads: 2 }, &[], [200, 500]);
    }
}

/// How many lines a run has logged.
fn lines(metrics: &Path) -> usize {
    std::fs::read_to_string(metrics).map_or(0, |text| text.lines().count())
}

/// The program itself: with its checkpoints, measurements, pictures and reports, whose own needs come and go, so
/// that it is the peak that counts.
fn a_run_keeps_its_peak([early, late]: [usize; 2]) {
    use dual_mcmc::noise::{Noise, Stream};
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("images.toml"), small::IMAGES).unwrap();
    let values = Noise::new(1, Stream::Data).normal_rows(0, 400, 64, 0);
    let values: Vec<f32> = values.iter().map(|v| (0.5 * v).clamp(-1.0, 1.0)).collect();
    let data = folder.path().join("images.npy");
    dual_mcmc_trainer::data::npy::write(&data, &[400, 1, 8, 8], &values).unwrap();
    // Reports are drawn from all of the metrics, which a long run has at most 5,000 lines of. This schedule logs every
    // tenth iteration, so that those do not count beside what an iteration, a checkpoint or a measurement might leave.
    let line = "train images.toml --device cpu --data images.npy --out run --steps {} --checkpoint-every 10 \
                --measure-every 20 --set schedule.iterations=50000";
    let line = line.replace("{}", &(late + 100).to_string());
    let mut child = Command::new(env!("CARGO_BIN_EXE_dual-mcmc"))
        .args(line.split_whitespace())
        .current_dir(folder.path())
        .env(ONE_HEAP, "1")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let metrics = folder.path().join("run/metrics.jsonl");
    let [first, last] = [early, late].map(|iteration| {
        while 10 * lines(&metrics) < iteration {
            assert!(child.try_wait().unwrap().is_none(), "it ended before iteration {iteration}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        memory(&child.id().to_string(), "VmHWM")
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let measured = std::fs::read_to_string(folder.path().join("run/measurements.jsonl")).unwrap();
    assert!(measured.lines().count() >= late / 20 - 1);
    eprintln!(
        "a run: {:.1} MiB at most in {early} iterations, {:.1} in {late}",
        first / 1048576.0,
        last / 1048576.0
    );
    assert!(last <= 1.02 * first, "{first} bytes have become {last}");
}

#[test]
#[ignore = "2,000 iterations with a hundred measurements take minutes; 500 are in every run. cargo xtask test --long"]
fn a_run_of_two_thousand_iterations_keeps_its_peak() {
    a_run_keeps_its_peak([200, 2000]);
}

#[test]
fn a_run_of_five_hundred_iterations_keeps_its_peak() {
    a_run_keeps_its_peak([200, 500]);
}
