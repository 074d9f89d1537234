//! What the page cannot use: each time the reader is told why, on a page that goes on working.
#![allow(clippy::unwrap_used)]

use dual_mcmc_tests::browser::{Browser, WebGpu};
use dual_mcmc_tests::{models, page};
use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;
use xtask::serve::{Reply, Server};

const BINARY: &str = "application/octet-stream";

/// The page with these further files.
fn serve(files: Vec<(&str, Reply)>) -> Server {
    let answers = files.into_iter().map(|(path, reply)| {
        let answer: page::Answer = Arc::new(move || reply.clone());
        (path.to_string(), answer)
    });
    page::serve_with(answers.collect::<HashMap<_, _>>())
}

/// The message that the page shows, in lower case. The page around it must still be there.
fn message(browser: &Browser, what: &str) -> String {
    let text = browser.wait_for(&format!("message for {what}"), page::NOTICE);
    let whole = browser.run(
        "return [document.querySelector('h1').getBoundingClientRect().height > 0, \
                 ref('breakdown').hidden, \
                 !document.getElementById('model').disabled || document.getElementById('open').disabled === false]",
    );
    assert_eq!(whole, serde_json::json!([true, true, true]), "{what}: heading, no breakdown, a way on");
    text.as_str().unwrap().to_lowercase()
}

fn is_told(browser: &Browser, server: &Server, model: &str, says: &[&str]) {
    browser.open(&format!("{}?model={model}", server.url()));
    let text = message(browser, model);
    for part in says {
        assert!(text.contains(part), "{model}: {text:?} lacks {part:?}");
    }
    assert!(!browser.errors().iter().any(|error| error.contains("panicked")), "{model}");
}

#[test]
fn every_damaged_model_is_refused_with_the_reason() {
    let damaged = models::damaged();
    let names: Vec<String> = (0..damaged.len()).map(|i| format!("/models/damaged-{i}.safetensors")).collect();
    let files =
        names.iter().zip(&damaged).map(|(name, d)| (name.as_str(), Reply::of(BINARY, d.bytes.clone())));
    let server = serve(files.collect());
    let browser = Browser::start(WebGpu::Off, &[]);
    for (name, damage) in names.iter().zip(&damaged) {
        println!("a model {}", damage.name);
        is_told(&browser, &server, &name[1..], &["not a model", damage.says]);
    }
}

#[test]
fn a_damaged_model_is_refused_with_webgpu_too() {
    let damaged = models::damaged().swap_remove(0);
    let server = serve(vec![("/models/damaged.safetensors", Reply::of(BINARY, damaged.bytes))]);
    let browser = Browser::start(WebGpu::Software, &[]);
    is_told(&browser, &server, "models/damaged.safetensors", &["not a model", damaged.says]);
}

#[test]
fn an_address_without_a_model_is_refused_with_the_reason() {
    let html = "<!doctype html><title>Sign in</title>";
    let server = serve(vec![
        ("/models/page.safetensors", Reply::of("text/html", html)),
        ("/models/disguised.safetensors", Reply::of(BINARY, html)),
        ("/models/private.safetensors", Reply::of("text/plain", "no").status(403)),
        ("/models/broken.safetensors", Reply::of("text/plain", "no").status(500)),
    ]);
    let browser = Browser::start(WebGpu::Off, &[]);
    is_told(&browser, &server, "models/nowhere.safetensors", &["no model at this address", "404"]);
    is_told(&browser, &server, "models/page.safetensors", &["web page"]);
    is_told(&browser, &server, "models/disguised.safetensors", &["web page"]);
    is_told(&browser, &server, "models/private.safetensors", &["403"]);
    is_told(&browser, &server, "models/broken.safetensors", &["500"]);
    is_told(&browser, &server, "http://localhost:9/closed.safetensors", &["no answer"]);
}

#[test]
fn another_site_must_allow_its_models_to_be_read() {
    let model = models::bytes(&models::plane());
    let elsewhere = Server::start(0, move |path| {
        let reply = Reply::of(BINARY, model.clone());
        if path.starts_with("/open/") { reply.header("Access-Control-Allow-Origin", "*") } else { reply }
    })
    .unwrap();
    let server = page::serve();
    let browser = Browser::start(WebGpu::Off, &[]);
    let closed = format!("{}closed/plane.safetensors", elsewhere.url());
    is_told(&browser, &server, &closed, &["access-control-allow-origin"]);
    browser.open(&format!("{}?play=0&model={}open/plane.safetensors", server.url(), elsewhere.url()));
    let state = browser.wait_for("model of another site", page::STATE);
    assert_eq!(state["step"], 0);
    assert_eq!(state["shape"], serde_json::json!([2]));
}

#[test]
fn files_are_opened_and_a_bad_one_is_refused() {
    let file = |bytes: &[u8]| {
        let mut file = tempfile::Builder::new().suffix(".safetensors").tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    };
    let good = file(&models::bytes(&models::plane()));
    let damaged = models::damaged().pop().unwrap();
    let bad = file(&damaged.bytes);
    let server = page::serve();
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.open(&format!("{}?model=models/nowhere.safetensors&play=0", server.url()));
    message(&browser, "an address without a model");
    // A bad start is no end: the reader opens a file of their own.
    let name =
        |file: &tempfile::NamedTempFile| file.path().file_name().unwrap().to_string_lossy().into_owned();
    browser.send_keys("#file", good.path().to_str().unwrap());
    let running = |name: &str| {
        let state = browser.wait_for(
            &format!("running {name}"),
            &format!("(s => s && s.model === '{name}' && s)({})", page::STATE),
        );
        assert_eq!(browser.run("return ref('notice').hidden"), true);
        state
    };
    running(&name(&good));
    browser.send_keys("#file", bad.path().to_str().unwrap());
    let text = message(&browser, "a damaged file");
    assert!(text.contains(damaged.says), "{text}");
    browser.send_keys("#file", good.path().to_str().unwrap());
    running(&name(&good));
}

#[test]
fn an_impossible_setting_in_the_address_is_named_and_the_rest_runs() {
    let server =
        serve(vec![("/models/plane.safetensors", Reply::of(BINARY, models::bytes(&models::plane())))]);
    let browser = Browser::start(WebGpu::Off, &[]);
    let query = "model=models/plane.safetensors&play=0&chains=-3&noise=NaN&view=cinema&seed=2";
    browser.open(&format!("{}?{query}", server.url()));
    let state = browser.wait_for("running model", page::STATE);
    assert_eq!(state["seed"], 2);
    let remarks = browser.run("return ref('remarks').innerText");
    for name in ["chains=\"-3\"", "noise=\"NaN\"", "view=\"cinema\""] {
        assert!(remarks.as_str().unwrap().contains(name), "{name}: {remarks}");
    }
}

#[test]
fn without_its_wasm_the_page_says_so() {
    let server = serve(vec![("/dual-mcmc-web_bg.wasm", Reply::of("application/wasm", "no wasm"))]);
    let browser = Browser::start(WebGpu::Off, &[]);
    for page in ["", "embed.html"] {
        browser.open(&format!("{}{page}", server.url()));
        let text = browser.wait_for("message", page::NOTICE);
        assert!(text.as_str().unwrap().contains("could not be loaded"), "{page}: {text}");
    }
}
