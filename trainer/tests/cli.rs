//! The program as a user meets it: a small run from start to finish, and what it says when
//! something is wrong.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used)]

#[path = "cli/annotate.rs"]
mod annotate;
#[path = "cli/card.rs"]
mod card;
#[path = "cli/diverged.rs"]
mod diverged;
#[path = "cli/evaluate.rs"]
mod evaluate;
#[path = "cli/killed.rs"]
mod killed;
#[path = "cli/own_data.rs"]
mod own_data;
#[path = "cli/own_images.rs"]
mod own_images;
#[path = "cli/publish.rs"]
mod publish;
#[path = "cli/refused.rs"]
mod refused;
#[path = "cli/resume.rs"]
mod resume;
#[path = "cli/undisturbed.rs"]
mod undisturbed;
#[cfg(feature = "remote")]
#[path = "small/worker.rs"]
mod worker;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of its own for each test, and the program to run in it.
struct Sandbox {
    folder: tempfile::TempDir,
}

fn recipes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes")
}

impl Sandbox {
    fn new() -> Sandbox {
        Sandbox { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dual-mcmc"));
        command
            .args(line.split_whitespace())
            .current_dir(self.folder.path())
            // Neither what this machine has fetched nor its graphics card is part of a test.
            .env("DUAL_MCMC_DATA", self.path("no-data"));
        command
    }

    /// Run a line that must succeed; its stderr.
    fn run(&self, line: &str) -> String {
        let output = self.command(line).output().unwrap();
        let stderr = text(&output);
        assert!(output.status.success(), "{line}: {stderr}");
        stderr
    }

    /// Run a line that must fail with a message that holds `expected`, in one or two lines, and
    /// leave nothing behind.
    fn fails(&self, line: &str, expected: &str) {
        let before = self.files();
        let output = self.command(line).output().unwrap();
        check_failure(line, &output, expected);
        assert_eq!(self.files(), before, "{line}: files were left behind");
    }

    /// A short run of the ring.
    fn train(&self, options: &str) -> String {
        let recipe = recipes().join("ring.toml");
        self.run(&format!("train {} --device cpu --set x_chain.steps=5 {options}", recipe.display()))
    }

    /// All files below the folder.
    fn files(&self) -> Vec<PathBuf> {
        fn below(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { below(&path, found) } else { found.push(path) }
            }
        }
        let mut found = Vec::new();
        below(self.folder.path(), &mut found);
        found.sort();
        found
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }
}

fn text(output: &Output) -> String {
    text_of(&output.stderr)
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn check_failure(line: &str, output: &Output, expected: &str) {
    let stderr = text(output);
    assert!(!output.status.success(), "{line} must fail: {stderr}");
    assert!(output.status.code().is_some(), "{line} was killed: {stderr}");
    assert!(stderr.contains(expected), "{line}: {stderr}");
    assert!(!stderr.contains("panicked"), "{line}: {stderr}");
    assert!((1..=2).contains(&stderr.trim_end().lines().count()), "{line}: {stderr}");
}

fn array(path: &Path) -> (Vec<u64>, Vec<f32>) {
    let npy = npyz::NpyFile::new(std::fs::File::open(path).unwrap()).unwrap();
    (npy.shape().to_vec(), npy.into_vec().unwrap())
}

fn write_array(path: &Path, shape: &[usize], values: &[f32]) {
    dual_mcmc_trainer::data::npy::write(path, shape, values).unwrap();
}

/// Everything that the metrics say but the clock.
fn metrics(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("seconds");
    }
    lines
}

#[test]
fn a_run_from_training_to_its_samples() {
    let sandbox = Sandbox::new();
    let said = sandbox.train("--out run --steps 6 --seed 3 --license CC0 --measure-every 3");
    assert!(said.contains("CPU"), "it says where it runs: {said}");
    for file in
        ["recipe.toml", "metrics.jsonl", "model.safetensors", "checkpoints/last.tar", "checkpoints/best.tar"]
    {
        assert!(sandbox.path("run").join(file).is_file(), "{file}");
    }
    assert!(
        sandbox.path("run/samples/0000003.png").is_file()
            && sandbox.path("run/samples/0000006.png").is_file()
    );
    let lines = metrics(&sandbox.path("run/metrics.jsonl"));
    let iterations: Vec<u64> = lines.iter().map(|line| line["iteration"].as_u64().unwrap()).collect();
    assert_eq!(iterations, [1, 2, 3, 4, 5, 6]);

    // The model and what it knows of itself.
    let bytes = std::fs::read(sandbox.path("run/model.safetensors")).unwrap();
    let model = dual_mcmc::model::Model::from_bytes(&bytes).unwrap();
    let provenance = &model.provenance;
    assert_eq!((provenance.data.as_str(), provenance.iterations, provenance.seed), ("ring", 6, 3));
    assert_eq!(provenance.license, "CC0");
    assert!(provenance.metrics.contains_key("log_likelihood"));
    assert!(provenance.recipe.contains("name = \"ring\""));
    assert_eq!(model.chains.x.unwrap().steps, 5, "an override reaches the model");
    assert!(model.energy_quantiles.is_some());

    // Samples: the generator's own, and the chain's from them; one seed, one result.
    sandbox.run("sample run/model.safetensors --out g.npy --count 50 --steps 0 --device cpu");
    sandbox.run("sample run/model.safetensors --out x.npy --count 50 --device cpu --trace t.csv");
    sandbox.run("sample run/model.safetensors --out y.npy --count 50 --device cpu");
    sandbox.run("sample run/model.safetensors --out z.npy --count 50 --device cpu --seed 1");
    let (shape, generated) = array(&sandbox.path("g.npy"));
    assert_eq!(shape, [50, 2]);
    let refined = array(&sandbox.path("x.npy")).1;
    assert_ne!(generated, refined);
    assert_eq!(refined, array(&sandbox.path("y.npy")).1);
    assert_ne!(refined, array(&sandbox.path("z.npy")).1);
    let trace = std::fs::read_to_string(sandbox.path("t.csv")).unwrap();
    assert_eq!(trace.lines().count(), 1 + 6 * 50);

    // Energies: those that the trace ends with, and gradients that agree with their differences.
    sandbox.run("energy run/model.safetensors --input x.npy --out e.npy --gradient dx.npy --device cpu");
    let (shape, energies) = array(&sandbox.path("e.npy"));
    assert_eq!(shape, [50]);
    let last: Vec<f32> =
        trace.lines().rev().take(50).map(|l| l.rsplit(',').next().unwrap().parse().unwrap()).collect();
    for (energy, traced) in energies.iter().zip(last.iter().rev()) {
        assert!((energy - traced).abs() < 1e-4 * traced.abs().max(1.0), "{energy} {traced}");
    }
    let gradient = array(&sandbox.path("dx.npy")).1;
    let h = 1e-2;
    let moved: Vec<f32> =
        refined.iter().enumerate().map(|(i, x)| if i % 2 == 0 { x + h } else { *x }).collect();
    write_array(&sandbox.path("moved.npy"), &[50, 2], &moved);
    sandbox.run("energy run/model.safetensors --input moved.npy --out moved-e.npy --device cpu");
    for (i, energy) in array(&sandbox.path("moved-e.npy")).1.iter().enumerate() {
        let difference = (energy - energies[i]) / h;
        assert!((difference - gradient[2 * i]).abs() < 0.05 * gradient[2 * i].abs().max(1.0));
    }

    // Reconstructions, pictures, figures.
    sandbox.run("reconstruct run/model.safetensors --input x.npy --out r.npy --device cpu --trace r.csv");
    assert_eq!(array(&sandbox.path("r.npy")).0, [50, 2]);
    sandbox.run("sample run/model.safetensors --out s.png --device cpu");
    assert!(image::open(sandbox.path("s.png")).is_ok());

    // The same weights at half the size.
    sandbox.run("export run --out half.safetensors --f16");
    let half = std::fs::read(sandbox.path("half.safetensors")).unwrap();
    let exported = dual_mcmc::model::Model::from_bytes(&half).unwrap();
    assert!(half.len() < bytes.len() * 2 / 3);
    assert_eq!(exported.provenance.license, "CC0");
    assert_eq!(exported.provenance.metrics, provenance.metrics);
    let (a, b) = (&exported.energy.unwrap().weights, &model.energy.unwrap().weights);
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-3 * b.abs().max(1e-3)));
}

/// Changes that make the layers of recipes/images.toml eight wide, its batch eight, and its schedule short enough for
/// every iteration to be logged.
const NARROW_IMAGES: &[&str] = &[
    "energy.layers.0.out_channels=8",
    "energy.layers.3.in_channels=8",
    "energy.layers.3.out_channels=8",
    "energy.layers.6.in_channels=8",
    "energy.layers.6.out_channels=8",
    "energy.layers.9.in_channels=8",
    "energy.layers.9.out_channels=8",
    "energy.layers.13.in_features=32",
    "generator.input=[8]",
    "generator.layers.0.in_features=8",
    "generator.layers.0.out_features=128",
    "generator.layers.1.shape=[8,4,4]",
    "generator.layers.3.in_channels=8",
    "generator.layers.3.out_channels=8",
    "generator.layers.4.channels=8",
    "generator.layers.7.in_channels=8",
    "generator.layers.7.out_channels=8",
    "generator.layers.8.channels=8",
    "generator.layers.11.in_channels=8",
    "generator.layers.11.out_channels=8",
    "generator.layers.12.channels=8",
    "generator.layers.14.in_channels=8",
    "encoder.layers.0.out_channels=8",
    "encoder.layers.2.in_channels=8",
    "encoder.layers.2.out_channels=8",
    "encoder.layers.4.in_channels=8",
    "encoder.layers.4.out_channels=8",
    "encoder.layers.7.in_features=128",
    "encoder.layers.7.out_features=16",
    "x_chain.steps=5",
    "z_chain.steps=3",
    "teaching.batch=8",
    "schedule.iterations=200",
];

#[cfg(not(feature = "remote"))]
#[test]
fn a_program_without_remote_devices_says_so() {
    let sandbox = Sandbox::new();
    sandbox.fails("worker", "--features remote");
    let output = sandbox.command("train r.toml --device remote:ws://127.0.0.1:1").output().unwrap();
    assert!(!output.status.success() && text(&output).contains("--features remote"), "{}", text(&output));
}

/// Killed as a crash or a power cut would: no word to anyone.
#[cfg(feature = "remote")]
#[test]
fn a_worker_that_dies_ends_the_run_with_a_message_and_its_checkpoint() {
    use worker::Worker;
    let sandbox = Sandbox::new();
    let recipe = recipes().join("ring.toml");
    let mut worker = Worker::start(0, None);
    for (run, devices) in [
        ("second", format!("cpu,{}", worker.device)),
        ("first", format!("{},cpu", worker.device)),
        ("alone", worker.device.clone()),
    ] {
        let train =
            format!("train {} --set x_chain.steps=3 --out {run} --device {devices}", recipe.display());
        let child = sandbox
            .command(&format!("{train} --checkpoint-every 2"))
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let last = sandbox.path(run).join("checkpoints/last.tar");
        let done =
            |path: &Path| dual_mcmc_trainer::run::checkpoint::read(path).map_or(0, |(s, _)| s.iteration);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
        while done(&last) < 4 {
            assert!(std::time::Instant::now() < deadline, "{run}: not four iterations in two minutes");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        worker.kill();
        let killed = std::time::Instant::now();
        let output = child.wait_with_output().unwrap();
        let waited = killed.elapsed().as_secs();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{run}: {said}");
        assert!(waited < 30, "{run}: {waited} s until it ended");
        let errors: Vec<&str> = said.lines().skip_while(|line| !line.starts_with("error:")).collect();
        assert!((1..=2).contains(&errors.len()), "{run}: {said}");
        for part in [worker.device.as_str(), "start its worker again", "--resume"] {
            assert!(errors[0].contains(part), "{run}: {said}");
        }
        assert!(!said.contains("panicked"), "{run}: {said}");
        let reached = done(&last);
        assert!(errors[0].contains(&format!("iteration {reached}:")), "{run}, {reached}: {said}");

        // What the message says to do.
        worker = Worker::start(worker.port(), None);
        sandbox.run(&format!("{train} --steps {} --resume", reached + 2));
        let lines = metrics(&sandbox.path(run).join("metrics.jsonl"));
        let iterations: Vec<u64> = lines.iter().map(|line| line["iteration"].as_u64().unwrap()).collect();
        assert_eq!(iterations, (1..=reached + 2).collect::<Vec<_>>(), "{run}");
    }
}

#[cfg(feature = "remote")]
#[test]
fn strangers_cannot_use_a_worker() {
    use worker::Worker;
    let sandbox = Sandbox::new();
    let recipe = recipes().join("ring.toml");
    sandbox.fails("worker --bind 0.0.0.0 --port 0 --device cpu", "DUAL_MCMC_TOKEN");
    let mut short = sandbox.command("worker --port 0 --device cpu");
    check_failure(
        "a short token",
        &short.env("DUAL_MCMC_TOKEN", "secret").output().unwrap(),
        "16 characters",
    );
    let worker = Worker::start(0, Some("a token of one worker"));
    sandbox.fails(&format!("worker --port {} --device cpu", worker.port()), "cannot listen");
    let line =
        format!("train {} --set x_chain.steps=2 --steps 1 --device {}", recipe.display(), worker.device);
    let with = |token: &str| sandbox.command(&line).env("DUAL_MCMC_TOKEN", token).output().unwrap();
    check_failure("no token", &with(""), "set DUAL_MCMC_TOKEN");
    check_failure("a wrong token", &with("a token of another one"), "set DUAL_MCMC_TOKEN");
    let output = with("a token of one worker");
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn a_run_has_a_report_and_several_have_one_together() {
    let sandbox = Sandbox::new();
    sandbox.train("--out one --steps 3");
    let vae = recipes().join("ring-vae.toml");
    sandbox.run(&format!("train {} --device cpu --out two --steps 3", vae.display()));
    let page = std::fs::read_to_string(sandbox.path("one/report.html")).unwrap();
    for part in [
        "<svg",
        "data:image/png;base64,",
        "Energy gap",
        "Mean energy along",
        "log likelihood",
        "milliseconds of an iteration</th><td>data ",
        "samples at iteration 3",
        "Held-out data, the generator's samples, the same after the x-chain.",
        "reconstructions at iteration 3",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("src=\"http") && !page.contains("href="), "it stands alone");
    let noise = recipes().join("ring-noise.toml");
    sandbox.run(&format!("train {} --device cpu --out three --steps 1", noise.display()));
    let page = std::fs::read_to_string(sandbox.path("three/report.html")).unwrap();
    assert!(page.contains("the noise that x-chains start from") && !page.contains("generator's samples"));
    sandbox.run("report one two --out both.html");
    let both = std::fs::read_to_string(sandbox.path("both.html")).unwrap();
    assert!(both.contains("<td>one</td><td>two</td>") && both.contains("two ‖g(z̃) - x‖²"), "{both}");
    sandbox.fails("report nowhere", "nowhere holds no run");
    sandbox.fails("report one nowhere --out x.html", "nowhere holds no run");
    sandbox.fails("report one --out missing/x.html", "missing");
}

/// Vectors of any length, from both kinds of file, through everything that can be done with them.
#[test]
fn vectors_of_any_length_are_learned_and_sampled() {
    use dual_mcmc::noise::{Noise, Stream};
    let sandbox = Sandbox::new();
    let recipe = recipes().join("points.toml");
    let train =
        format!("train {} --device cpu --set x_chain.steps=5 --set teaching.batch=16", recipe.display());
    for (dimension, source) in [(1, "one.csv"), (5, "five.npy"), (64, "many.npy")] {
        let values = Noise::new(1, Stream::Data).normal_rows(0, 200, dimension, 0);
        if source.ends_with(".csv") {
            let lines: String = values.iter().map(|v| format!("{v}\n")).collect();
            sandbox.write(source, format!("x\n{lines}"));
        } else {
            write_array(&sandbox.path(source), &[200, dimension], &values);
        }
        let run = format!("run{dimension}");
        let said = sandbox.run(&format!("{train} --data {source} --out {run} --steps 3"));
        assert!(said.contains("180 training samples") && !said.contains("warning"), "{said}");
        let resolved = std::fs::read_to_string(sandbox.path(&run).join("recipe.toml")).unwrap();
        assert!(resolved.contains(&format!("input = [{dimension}]")) && !resolved.contains("\"data\""));
        sandbox.run(&format!("{train} --out {run} --steps 4 --resume"));
        let model = format!("{run}/model.safetensors");
        sandbox.run(&format!("sample {model} --out s.npy --count 30 --device cpu"));
        assert_eq!(array(&sandbox.path("s.npy")).0, [30, dimension as u64]);
        sandbox.run(&format!("evaluate {model} --data {source} --count 50 --json e.json --device cpu"));
        let figures: serde_json::Value =
            serde_json::from_slice(&std::fs::read(sandbox.path("e.json")).unwrap()).unwrap();
        let distances = &figures[format!("frechet_{dimension}_components")];
        assert!(distances["x_chain"].as_f64().is_some_and(|d| d >= 0.0), "{figures}");
    }
    sandbox.fails(
        &format!("{train} --out run5 --resume --data many.npy"),
        "started with other settings: data.set was",
    );
    write_array(&sandbox.path("five.npy"), &[100, 5], &[0.5; 500]);
    sandbox.fails(&format!("{train} --out run5 --resume --steps 9"), "the data have changed");

    sandbox.fails(&train, "--data");
    sandbox.fails(&format!("{train} --data mnist"), "vectors");
    sandbox.write("broken.csv", "1,2\n3,x\n");
    sandbox.fails("data import broken.csv --out b.npy", "line 2, column 2");
    sandbox.run("data import one.csv --out one.npy");
    assert_eq!(array(&sandbox.path("one.npy")).0, [200, 1]);
    sandbox.fails(&format!("{train} --data broken.csv"), "broken.csv line 2, column 2: `x` is not a number");
    let large: Vec<f32> =
        Noise::new(1, Stream::Data).normal_rows(0, 40, 3, 0).iter().map(|v| 20.0 * v).collect();
    write_array(&sandbox.path("large.npy"), &[40, 3], &large);
    let said = sandbox.run(&format!("{train} --data large.npy --out large --steps 1"));
    let expected = "warning: large.npy: the standard deviation of value 0 (and 2 more) is";
    assert!(said.contains(expected), "{said}");
}

/// Train on an array of zeros of so many MiB, which takes no space on disk; the largest resident memory
/// of the program in MiB, as the kernel counted it.
#[cfg(target_os = "linux")]
fn memory_for(sandbox: &Sandbox, megabytes: u64) -> u64 {
    let name = format!("{megabytes}.npy");
    let rows = (megabytes << 20) / 256;
    let dictionary = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, 64), }}");
    sandbox.write(&name, [b"\x93NUMPY\x01\0\x76\0", format!("{dictionary:117}\n").as_bytes()].concat());
    let file = std::fs::OpenOptions::new().write(true).open(sandbox.path(&name)).unwrap();
    file.set_len(128 + rows * 256).unwrap();
    let recipe = recipes().join("points.toml");
    let line = format!(
        "train {} --device cpu --data {name} --out run{megabytes} --steps 3 --set x_chain.steps=2",
        recipe.display()
    );
    let mut child = sandbox.command(&line).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(kilobytes.unwrap_or(0) / 1024);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let said = text_of(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&format!("{} training samples", rows - (rows / 10).min(10_000))), "{said}");
    assert!(peak > 0);
    peak
}

#[cfg(target_os = "linux")]
#[test]
fn data_stay_on_disk() {
    let sandbox = Sandbox::new();
    let (small, large) = (memory_for(&sandbox, 1), memory_for(&sandbox, 512));
    eprintln!("{small} MiB for 1 MiB of data, {large} MiB for 512");
    assert!(large < small + 128, "{small} MiB for 1 MiB of data, {large} MiB for 512");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "eight gibibytes are read several times; half a gibibyte is in every run. cargo xtask test --long"]
fn data_larger_than_memory_stay_on_disk() {
    let sandbox = Sandbox::new();
    let (small, large) = (memory_for(&sandbox, 1), memory_for(&sandbox, 8192));
    eprintln!("{small} MiB for 1 MiB of data, {large} MiB for 8 GiB");
    assert!(large < small + 128, "{small} MiB for 1 MiB of data, {large} MiB for 8 GiB");
}

#[test]
fn mala_samples_and_says_how_often_it_accepts() {
    let sandbox = Sandbox::new();
    let model = recipes().join("../models/ring.safetensors");
    let sample = |options: &str| {
        let said = sandbox
            .run(&format!("sample {} --out s.npy --count 200 --device cpu {options}", model.display()));
        let accepted = said.lines().find(|line| line.contains("of the proposals were accepted"));
        let percent = accepted.and_then(|line| line.split('%').next()?.parse::<f64>().ok());
        (percent, array(&sandbox.path("s.npy")).1)
    };
    let (none, plain) = sample("--steps 30");
    assert_eq!(none, None, "only MALA accepts or rejects");
    let (small, adjusted) = sample("--steps 30 --mala");
    let (large, _) = sample("--steps 30 --step-size 0.4 --noise 0.4 --mala");
    assert_ne!(plain, adjusted);
    // docs/training.md: 98.3% and 29.9% over a hundred steps of 4,096 chains.
    let (small, large) = (small.unwrap(), large.unwrap());
    assert!((95.0..=100.0).contains(&small) && (20.0..40.0).contains(&large), "{small} {large}");
    sandbox.fails(
        &format!(
            "train {} --set x_chain.mala=true --set x_chain.gradient_clamp=1",
            recipes().join("ring.toml").display()
        ),
        "MALA",
    );
}

/// A shipped model of images, and forty images for it.
fn images(sandbox: &Sandbox) -> PathBuf {
    let values: Vec<f32> = (0..40 * 1024).map(|i| ((i * i / 7 + i / 1024) as f32 * 0.37).sin()).collect();
    write_array(&sandbox.path("images.npy"), &[40, 1, 32, 32], &values);
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fashion-mnist.safetensors")
}

#[test]
fn figures_of_images_are_the_same_twice() {
    let sandbox = Sandbox::new();
    let model = images(&sandbox);
    let figures = |name: &str| {
        let line = format!("evaluate {} --data images.npy --features fashion-mnist", model.display());
        sandbox.run(&format!("{line} --count 6 --reference 20 --seed 3 --device cpu --json {name}"));
        std::fs::read_to_string(sandbox.path(name)).unwrap()
    };
    let first = figures("a.json");
    assert_eq!(first, figures("b.json"));
    let figures: serde_json::Value = serde_json::from_str(&first).unwrap();
    let distances = &figures["frechet_fashion-mnist-classifier_64"];
    for of in ["generator", "x_chain", "floor_of_held_out_data"] {
        assert!(distances[of].as_f64().unwrap() > 0.0, "{of}: {distances}");
    }
    assert_eq!(distances["training_samples"], 20);
    assert_ne!(distances["generator"], distances["x_chain"]);
}

#[test]
fn the_version_and_the_help_are_there() {
    let sandbox = Sandbox::new();
    let output = sandbox.command("--version").output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        concat!("dual-mcmc ", env!("CARGO_PKG_VERSION"))
    );
    let output = sandbox.command("train --help").output().unwrap();
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    for heading in ["Run:", "Budget:", "Device:"] {
        assert!(help.contains(heading), "{help}");
    }
}

/// Every recipe that is shipped can be read, and describes networks that fit together.
#[test]
fn every_recipe_is_valid() {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(recipes()).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        // Any number will do for sizes that come from the data.
        let recipe = dual_mcmc_trainer::recipe::Draft::parse(&text)
            .and_then(|draft| draft.resolve(Some(5)))
            .unwrap_or_else(|e| panic!("{path:?}: {e}"));
        assert_eq!(path.file_stem().unwrap().to_str(), Some(recipe.name.as_str()));
        names.push(recipe.name);
    }
    for name in
        ["ring", "moons", "spiral", "checkerboard", "mnist", "fashion-mnist", "cifar10", "images", "points"]
    {
        assert!(names.iter().any(|n| n == name), "{name}");
    }
}

#[test]
fn the_bench_measures_iterations_phases_and_chains() {
    let sandbox = Sandbox::new();
    sandbox.run("bench --device cpu --seconds 0.01 --chains 3 --json b.json");
    let figures: serde_json::Value =
        serde_json::from_slice(&std::fs::read(sandbox.path("b.json")).unwrap()).unwrap();
    for recipe in ["ring", "fashion-mnist"] {
        let measured = &figures["training"][recipe];
        let milliseconds = measured["iteration_milliseconds"].as_f64().unwrap();
        let phases: f64 =
            measured["phase_milliseconds"].as_object().unwrap().values().filter_map(|v| v.as_f64()).sum();
        assert!(milliseconds > 0.0 && phases > 0.3 * milliseconds, "{milliseconds} {phases}");
        assert!(measured["phase_milliseconds"]["data"].as_f64().unwrap() > 0.0, "{measured}");
        for chain in ["x-chain", "z-chain"] {
            let measured = &figures["chains"][format!("{recipe}, {chain}")]["3_chains"];
            assert!(measured["gigaflops"].as_f64().unwrap() > 0.0, "{measured}");
        }
    }
    sandbox.run("bench chains --device cpu --seconds 0.01 --networks wide --chains 1 --json w.json");
    let figures: serde_json::Value =
        serde_json::from_slice(&std::fs::read(sandbox.path("w.json")).unwrap()).unwrap();
    assert!(figures["training"].is_null() && !figures["chains"]["wide, x-chain"].is_null(), "{figures}");
    sandbox.run("bench chains --device cpu --kernels plain --networks ring --chains 3 --seconds 0.01");
    sandbox.fails("bench training --device cpu --networks wide", "ring and fashion-mnist");
    sandbox.fails("bench training --device cpu --set x_chain.engine=fast", "engine");
    sandbox.fails("bench --device cpu --json missing/b.json", "missing");
}
