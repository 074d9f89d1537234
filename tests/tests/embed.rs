//! The embedded figure on a page of someone else's, and the folder that `cargo xtask site` writes.
#![allow(clippy::unwrap_used)]

use dual_mcmc_tests::browser::{Browser, WebGpu, colours};
use dual_mcmc_tests::{models, page};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use xtask::serve::{Reply, Server, file};

/// A page with a figure far below its first screen.
const ARTICLE: &str = "<!doctype html><title>Article</title><link rel=icon href='data:,'><body style='margin:0'><div style='height:4000px'></div>\
    <iframe id=figure style='width:600px;height:700px;border:0' \
    src='/embed.html?model=models/plane.safetensors&view=landscape&play=1'></iframe>";

const STEPS: &str = "((f) => f?.state ? f.state().then((s) => s.step, () => 0) : 0)\
    (document.getElementById('figure').contentDocument.querySelector('dual-mcmc'))";

#[test]
fn a_figure_runs_only_while_it_can_be_seen() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let model = models::bytes(&models::plane());
    let folder = page::folder();
    let server = Server::start(0, move |path| {
        log.lock().unwrap().push(path.to_string());
        match path {
            "/article.html" => Reply::of("text/html", ARTICLE),
            "/models/plane.safetensors" => Reply::of("application/octet-stream", model.clone()),
            _ => file(folder, path),
        }
    })
    .unwrap();
    let fetched = |what: &str| asked.lock().unwrap().iter().any(|path| path.contains(what));
    let browser = Browser::start(WebGpu::Software, &[]);
    browser.open(&format!("{}article.html", server.url()));
    std::thread::sleep(Duration::from_secs(2));
    assert!(fetched("/embed.html"), "the figure itself is there");
    assert!(
        !fetched(".wasm") && !fetched(".safetensors"),
        "fetched before it can be seen: {:?}",
        asked.lock().unwrap()
    );

    browser.run("document.getElementById('figure').scrollIntoView()");
    browser.wait_for("running figure", &format!("(await {STEPS}) > 10"));
    let picture = browser.picture_of("#figure");
    assert!(colours(&picture) > 8, "the figure shows {} colours", colours(&picture));

    browser.run("scrollTo(0, 0)");
    // The browser tells the figure with the next frames that it is off screen.
    std::thread::sleep(Duration::from_millis(500));
    let steps = || browser.run(&format!("return await {STEPS}")).as_u64().unwrap();
    let paused = steps();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(steps(), paused, "steps off screen");
    browser.run("document.getElementById('figure').scrollIntoView()");
    browser.wait_for("going on", &format!("(await {STEPS}) > {paused}"));
    assert_eq!(browser.errors(), Vec::<String>::new());
}

#[test]
fn a_figure_without_webgpu_and_one_with_a_bad_model() {
    let server = page::serve();
    let name = &models::shipped()[0].0;
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.open(&format!("{}embed.html?model=models/{name}&play=1", server.url()));
    browser.wait_for("running figure", &format!("(s => s && s.step > 3)({})", page::STATE));
    browser.open(&format!("{}embed.html?model=models/nowhere.safetensors&play=1", server.url()));
    let text = browser.wait_for("message", page::NOTICE);
    assert!(text.as_str().unwrap().contains("404"), "{text}");
}

/// A wish to start over that another change grants as well must not be granted a second time.
#[test]
fn chains_that_started_over_go_on_when_they_are_paused_or_asked() {
    let server = page::serve();
    let name = &models::shipped()[0].0;
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.open(&format!("{}embed.html?model=models/{name}&play=1", server.url()));
    let steps = || browser.run("return (await figure.state()).step").as_u64().unwrap();
    let seed = || browser.run("return (await figure.state()).seed");
    let beyond = |step: u64| {
        browser.wait_for("steps", &format!("(s => s && s.step > {step})({})", page::STATE));
    };
    beyond(20);
    let before = seed();
    browser.click("[data-ref=bar-reset]");
    browser.wait_for("another seed", &format!("(await figure.state()).seed != {before}"));
    beyond(5);
    let (reached, first) = (steps(), seed());
    browser.click("[data-ref=bar-play]");
    std::thread::sleep(Duration::from_millis(500));
    let paused = steps();
    assert!(paused >= reached, "at step {reached} when it was paused, and then at {paused}");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!((steps(), seed()), (paused, first), "a question changes nothing");
}

#[test]
fn a_site_is_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("site");
    let left = || {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let damaged = models::damaged().swap_remove(3);
    let bad = folder.path().join("bad.safetensors");
    std::fs::write(&bad, &damaged.bytes).unwrap();
    let error = xtask::site::write(&bad, &out, None).unwrap_err().to_string().to_lowercase();
    assert!(error.contains(damaged.says), "{error}");
    assert_eq!(left(), ["bad.safetensors"], "nothing half-written");

    let good = folder.path().join("good.safetensors");
    std::fs::write(&good, models::bytes(&models::plane())).unwrap();
    xtask::site::write(&good, &out, Some("A & B")).unwrap();
    assert_eq!(left(), ["bad.safetensors", "good.safetensors", "site"]);
    let listed = xtask::page::list(&out.join("models")).unwrap();
    let expected =
        xtask::page::Listed { file: "good.safetensors".into(), title: "A & B".into(), thumbnail: None };
    assert_eq!(listed, [expected]);

    let error = xtask::site::write(&good, &good.join("site"), None).unwrap_err();
    assert!(format!("{error:#}").contains("cannot write"), "{error:#}");
    assert_eq!(left(), ["bad.safetensors", "good.safetensors", "site"]);

    // In a folder below the root, as project pages are.
    let base = folder.path().to_path_buf();
    let server = Server::start(0, move |path| file(&base, path)).unwrap();
    let browser = Browser::start(WebGpu::Off, &[]);
    for page in ["index.html", "embed.html"] {
        browser.open(&format!("{}site/{page}?play=0", server.url()));
        if page == "embed.html" {
            // Asked not to play, the figure waits for its reader.
            browser.wait_for("the element", "ref('begin')");
            browser.click("[data-ref=begin]");
        }
        let state = browser.wait_for(&format!("running model on {page}"), page::STATE);
        assert_eq!(state["model"], "models/good.safetensors", "{page}");
        assert_eq!(browser.errors(), Vec::<String>::new(), "{page}");
    }
    browser.open(&format!("{}site/example/index.html", server.url()));
    let state = browser.wait_for("running example", page::STATE);
    assert_eq!(state["model"], "../models/good.safetensors");

    // Everything that the pages name is there.
    for page in ["index.html", "embed.html", "example/index.html"] {
        browser.open(&format!("{}site/{page}?play=0", server.url()));
        let missing = browser.run(
            "const named = [...document.querySelectorAll('[href], [src]')].map((it) => it.href || it.src || new URL(it.getAttribute('src'), location).href);
             const own = [...new Set(named)].filter((url) => url.startsWith(location.origin));
             const answers = await Promise.all(own.map(async (url) => [url, (await fetch(url)).status]));
             return answers.filter(([, status]) => status !== 200)",
        );
        assert_eq!(missing, serde_json::json!([]), "{page}");
    }

    // Again over the earlier site, and never over anything else.
    xtask::site::write(&good, &out, Some("Again")).unwrap();
    assert_eq!(xtask::page::list(&out.join("models")).unwrap()[0].title, "Again");
    let error = xtask::site::write(&good, folder.path(), None).unwrap_err().to_string();
    assert!(error.contains("no site"), "{error}");
}
