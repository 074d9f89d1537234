//! From data to a live sampler: the program trains a model, a site is made of it, a browser samples
//! it, and the program measures the browser's samples.
#![allow(clippy::unwrap_used)]

use dual_mcmc_tests::browser::{Browser, WebGpu, numbers};
use dual_mcmc_tests::page;
use npyz::WriterBuilder;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use xtask::serve::{Server, file};

/// The program that `cargo test --workspace` has built beside this test; alone, the test builds it.
fn program() -> Command {
    let tests = std::env::current_exe().unwrap();
    let beside = tests.ancestors().nth(2).unwrap().join(format!("dual-mcmc{}", std::env::consts::EXE_SUFFIX));
    if beside.is_file() {
        return xtask::process::command(beside);
    }
    let mut cargo = xtask::process::cargo();
    cargo.args(["run", "--quiet", "--package", "dual-mcmc-trainer", "--bin", "dual-mcmc", "--"]);
    cargo
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{command:?}\n{said}");
}

fn write_rows(file: &Path, values: &[f32], len: usize) {
    let shape = [(values.len() / len) as u64, len as u64];
    let file = File::create(file).unwrap();
    let mut npy = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(file).begin_nd().unwrap();
    npy.extend(values).unwrap();
    npy.finish().unwrap();
}

#[test]
fn a_model_goes_from_its_data_to_a_live_sampler_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut train = program();
    train.arg("train").arg(xtask::process::root().join("recipes/ring.toml")).arg("--out").arg(at("run"));
    run(train.args(["--device", "cpu", "--steps", "30", "--seed", "11"]));
    let model = at("run").join("model.safetensors");
    xtask::site::write(&model, &at("site"), None).unwrap();

    let site = at("site");
    let server = Server::start(0, move |path| file(&site, path)).unwrap();
    let browser = Browser::start(WebGpu::Software, &[]);
    browser.open(&format!("{}?play=0&chains=64&start=noise&device=gpu", server.url()));
    browser.wait_for("running model", page::STATE);
    browser.run("await figure.step(30)");
    let state = browser.run("const s = await figure.state(); return { ...s, x: [...s.x] }");
    assert_eq!((&state["device"], &state["step"]), (&"gpu".into(), &30.into()));

    write_rows(&at("x.npy"), &numbers(&state["x"]), 2);
    let mut energy = program();
    run(energy.arg("energy").arg(&model).arg("--input").arg(at("x.npy")).arg("--out").arg(at("e.npy")));
    let found = numbers(&state["energies"]);
    let measured =
        npyz::NpyFile::new(&fs::read(at("e.npy")).unwrap()[..]).unwrap().into_vec::<f32>().unwrap();
    assert_eq!(found.len(), measured.len());
    let rms = (measured.iter().map(|e| e * e).sum::<f32>() / measured.len() as f32).sqrt();
    for (found, measured) in found.iter().zip(&measured) {
        assert!((found - measured).abs() <= 1e-3 * measured.abs().max(rms), "{found} and {measured}");
    }
    assert_eq!(browser.errors(), Vec::<String>::new());
}
