//! The lab page in a real browser: it runs models, on WebGPU and without it, and its numbers are
//! those of the library.
#![allow(clippy::unwrap_used)]

use dual_mcmc::cpu::Evaluator;
use dual_mcmc::model::Model;
use dual_mcmc_tests::browser::{Browser, WebGpu, colours, numbers};
use dual_mcmc_tests::{models, page};
use image::RgbImage;
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use xtask::serve::{Reply, Server};

/// The page with models that are made here, beside the shipped ones.
fn serve(files: Vec<(String, Vec<u8>)>) -> Server {
    let answers = files.into_iter().map(|(name, bytes)| {
        let answer: page::Answer = Arc::new(move || Reply::of("application/octet-stream", bytes.clone()));
        (format!("/models/{name}"), answer)
    });
    page::serve_with(answers.collect::<HashMap<_, _>>())
}

fn state(browser: &Browser) -> Value {
    browser.wait_for("running model", page::STATE)
}

/// How far energies are apart, as a share of the larger of |E| and the batch's root mean square.
fn disagreement(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let rms = (expected.iter().map(|e| e * e).sum::<f32>() / expected.len() as f32).sqrt();
    let apart = found.iter().zip(expected).map(|(f, e)| (f - e).abs() / e.abs().max(rms));
    apart.fold(0.0, |worst, d| if d.is_nan() { f32::INFINITY } else { worst.max(d) })
}

fn differing(a: &RgbImage, b: &RgbImage) -> usize {
    assert_eq!(a.dimensions(), b.dimensions());
    a.pixels().zip(b.pixels()).filter(|(a, b)| a != b).count()
}

/// Open a model, take 30 steps, and check everything that a reader relies on.
fn runs(browser: &Browser, server: &Server, name: &str, model: &Model, device: &str) {
    runs_with(browser, server, name, model, device, 64);
}

fn runs_with(browser: &Browser, server: &Server, name: &str, model: &Model, device: &str, chains: usize) {
    let plane = model.data_shape() == [2];
    // A well-trained model's points are at home already, so on the plane the chains start from noise.
    let start = if plane { "noise" } else { "generator" };
    // On a software adapter the page would choose the processor.
    let asked = if device == "gpu" { "&device=gpu" } else { "" };
    let query = format!("model=models/{name}&play=0&seed=7&chains={chains}&start={start}{asked}");
    browser.open(&format!("{}?{query}", server.url()));
    let before = state(browser);
    assert_eq!(before["device"], device, "{name} runs on {}: {}", before["device"], before["adapter"]);
    assert_eq!(before["step"], 0, "{name}");
    let panel =
        if before["view"] == "landscape" { "[data-ref=landscape-panel]" } else { "[data-ref=refined-panel]" };
    let first = browser.picture_of(panel);
    browser.run("await figure.step(30)");
    let after = state(browser);
    assert_eq!(after["step"], 30, "{name}");

    let energy = model.energy.as_ref().unwrap();
    let x = numbers(&after["x"]);
    assert_eq!(x.len(), chains * energy.network.input_len(), "{name}");
    let energies = numbers(&after["energies"]);
    let expected = Evaluator::<f32>::new(&energy.network, &energy.weights).unwrap().forward(&x);
    let apart = disagreement(&energies, &expected);
    assert!(apart < 1e-3, "{name} on {device}: energies are {apart} apart\n{energies:?}\n{expected:?}");
    let on_page = browser.run_with("return [...(await figure.energies(arguments[0]))]", &[x.into()]);
    let on_page: Vec<f32> = on_page.as_array().unwrap().iter().map(|e| e.as_f64().unwrap() as f32).collect();
    let apart = disagreement(&on_page, &expected);
    assert!(apart < 1e-3, "{name} on {device}: energies of given samples are {apart} apart");

    let said = browser.run("return figure.energies([]).catch(e => e.message)");
    assert!(said.as_str().unwrap().contains("x must hold whole samples"), "{name}: {said}");

    let trace = numbers(&after["trace"]);
    assert_eq!(trace.len(), 31, "{name}: a mean energy before each step and one after the last");
    assert!(trace[30] < trace[0], "{name}: energies do not fall: {trace:?}");

    let last = browser.picture_of(panel);
    assert!(colours(&last) > 8, "{name}: {panel} shows {} colours", colours(&last));
    assert!(differing(&first, &last) > 50, "{name}: 30 steps changed {} pixels", differing(&first, &last));
    let shown = browser.run("return ref('step-count').textContent");
    assert_eq!(shown, "30", "{name}");
    assert_eq!(browser.errors(), Vec::<String>::new(), "{name} on {device}");
}

/// WebGPU in software is slower than the page's own code; the address may choose it all the same.
#[test]
fn on_a_software_adapter_the_page_takes_the_processor() {
    let server = page::serve();
    let browser = Browser::start(WebGpu::Software, &[]);
    let address = format!("{}?model=models/ring.safetensors&play=1", server.url());
    let on_page = |address: &str| {
        browser.open(address);
        let device = state(&browser)["device"].as_str().unwrap().to_string();
        let text = browser.run("return ref('device-line').innerText.toLowerCase()");
        (device, text.as_str().unwrap().to_string())
    };
    let (device, text) = on_page(&address);
    assert!(device == "cpu" && text.contains("in software only"), "{device}: {text}");
    let (device, text) = on_page(&format!("{address}&device=gpu"));
    assert!(device == "gpu" && text.contains("in software"), "{device}: {text}");
    assert_eq!(browser.errors(), Vec::<String>::new());
}

/// Models made here, and one of images that was written by PyTorch.
fn made() -> Vec<(String, Model, Vec<u8>)> {
    let fixture = xtask::process::root().join("tests/fixtures/reference_image.safetensors");
    let pytorch = fs::read(fixture).unwrap();
    let plane = models::plane();
    let bytes = models::bytes(&plane);
    vec![
        ("plane.safetensors".into(), plane, bytes),
        ("pytorch.safetensors".into(), Model::from_bytes(&pytorch).unwrap(), pytorch),
    ]
}

fn made_models_run(webgpu: WebGpu, device: &str) {
    let made = made();
    let server = serve(made.iter().map(|(name, _, bytes)| (name.clone(), bytes.clone())).collect());
    let browser = Browser::start(webgpu, &[]);
    for (name, model, _) in &made {
        runs(&browser, &server, name, model, device);
    }
}

fn shipped_models_run(webgpu: WebGpu, device: &str) {
    let server = page::serve();
    let browser = Browser::start(webgpu, &[]);
    for (name, model) in models::shipped() {
        runs(&browser, &server, &name, &model, device);
    }
}

#[test]
fn small_models_run_on_webgpu() {
    made_models_run(WebGpu::Software, "gpu");
}

#[test]
fn small_models_run_without_webgpu() {
    made_models_run(WebGpu::Off, "cpu");
}

#[test]
fn every_shipped_model_runs_on_webgpu() {
    shipped_models_run(WebGpu::Software, "gpu");
}

#[test]
fn every_shipped_model_runs_without_webgpu() {
    shipped_models_run(WebGpu::Off, "cpu");
}

/// A browser whose software adapter passes for a graphics processor, which gets other kernels.
#[test]
fn the_kernels_of_graphics_processors_run_in_a_browser() {
    let server = page::serve();
    let browser = Browser::start(WebGpu::Software, &[]);
    browser.before_pages(
        "Object.defineProperty(GPUAdapterInfo.prototype, 'isFallbackAdapter', { get: () => false });
         const make = GPUDevice.prototype.createShaderModule;
         window.kernels = [];
         GPUDevice.prototype.createShaderModule = function (it) {
             window.kernels.push(it.code);
             return make.call(this, it);
         };",
    );
    let count = |word: &str| {
        browser.run(&format!("return window.kernels.filter((k) => k.includes('{word}')).length"))
    };
    let (name, model) = models::shipped().into_iter().find(|(name, _)| name.starts_with("fashion")).unwrap();
    runs_with(&browser, &server, &name, &model, "gpu", 16);
    assert_eq!(count("quadSwap"), 0);
    assert!(count("tile_w").as_u64().unwrap() >= 2);
    assert!(count("parts[").as_u64().unwrap() >= 1);
}

#[test]
fn the_page_opens_by_itself_and_plays() {
    let server = page::serve();
    let browser = Browser::start(WebGpu::Software, &[]);
    browser.open(&server.url());
    browser.wait_for("running chains", "Number(ref('step-count').textContent) > 5");
    let listed =
        browser.run("return [...document.querySelectorAll('#model option')].map(o => o.textContent)");
    let titles = xtask::page::list(&page::folder().join("models")).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), titles.len(), "{listed}");
    browser.click("[data-ref=play]");
    let paused = state(&browser);
    assert_eq!(paused["playing"], false);
    browser.click("[data-ref=step]");
    let step = paused["step"].as_u64().unwrap() + 1;
    browser.wait_for("one more step", &format!("(await figure.state()).step === {step}"));
    browser.click("[data-ref=reset]");
    browser.wait_for("a new start", "(await figure.state()).step === 0");
    assert_eq!(browser.errors(), Vec::<String>::new());
}

#[test]
fn a_seed_repeats_and_another_does_not() {
    let server = serve(vec![("plane.safetensors".into(), models::bytes(&models::plane()))]);
    let browser = Browser::start(WebGpu::Software, &[]);
    let run = |seed: u32| {
        browser.open(&format!(
            "{}?model=models/plane.safetensors&play=0&chains=16&seed={seed}&device=gpu",
            server.url()
        ));
        state(&browser);
        browser.run("await figure.step(10)");
        numbers(&state(&browser)["x"])
    };
    let first = run(3);
    assert_eq!(first, run(3), "bit for bit");
    assert_ne!(first, run(4));
}

#[test]
fn the_page_says_why_it_computes_on_the_cpu() {
    let server = serve(vec![("plane.safetensors".into(), models::bytes(&models::plane()))]);
    let address = |query: &str| format!("{}?model=models/plane.safetensors&play=0{query}", server.url());
    let cases = [
        (WebGpu::Off, address(""), "no webgpu"),
        (WebGpu::NoAdapter, address(""), "no graphics adapter"),
        (WebGpu::Software, address("&device=cpu"), "as was chosen"),
        // Plain http away from localhost: the browser itself hides WebGPU there.
        (WebGpu::Software, address("").replace("localhost", "lab.test"), "https"),
    ];
    for (webgpu, url, says) in cases {
        let browser = Browser::start(webgpu, &["--host-resolver-rules=MAP lab.test 127.0.0.1"]);
        browser.open(&url);
        assert_eq!(state(&browser)["device"], "cpu", "{url}");
        let text = browser.run("return ref('device-line').innerText.toLowerCase()");
        assert!(text.as_str().unwrap().contains(says), "{url}: {text}");
        assert_eq!(browser.errors(), Vec::<String>::new(), "{url}");
    }
}

#[test]
fn a_graphics_device_that_is_lost_again_and_again_gives_way_to_the_processor() {
    let server = serve(vec![("plane.safetensors".into(), models::bytes(&models::plane()))]);
    let browser = Browser::start(WebGpu::Lost, &[]);
    browser.open(&format!("{}?model=models/plane.safetensors&play=0&device=gpu", server.url()));
    browser.wait_for("the processor", &format!("((s) => s && s.device === 'cpu')({})", page::STATE));
    let text = browser.run("return ref('remarks').innerText.toLowerCase()");
    assert!(text.as_str().unwrap().contains("device was lost"), "{text}");
    assert_eq!(browser.run("return ref('notice').hidden"), true);
}

#[test]
fn the_page_fits_a_phone() {
    let server = serve(vec![("plane.safetensors".into(), models::bytes(&models::plane()))]);
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.resize(360, 740);
    browser.open(&format!("{}?model=models/plane.safetensors&play=0", server.url()));
    state(&browser);
    let overflow = browser.run("return document.documentElement.scrollWidth - innerWidth");
    assert!(overflow.as_i64().unwrap() <= 0, "the page is {overflow} pixels too wide");
    let picture = browser.picture_of("[data-ref=landscape-panel]");
    assert!(picture.width() > 250, "the picture is {} pixels wide", picture.width());
}
