//! Every view on windows from a phone's to a wall's, in both themes, on both devices: nothing sticks out, nothing moves while it
//! loads, and every picture has something in it.
#![allow(clippy::unwrap_used)]

use dual_mcmc_tests::browser::{Browser, WebGpu, colours};
use dual_mcmc_tests::page;
use serde_json::{Value, json};

/// A model, a view of it, and the pictures that are there to be seen.
const VIEWS: [(&str, &str, &[&str]); 11] = [
    ("ring", "landscape&overlay=field+density+generator+trails", &["landscape-panel"]),
    ("ring", "sample&start=generator+noise+data&chain=2", &["start-panel", "refined-panel-3", "close-panel"]),
    ("ring", "reconstruct", &["target-panel", "prior-panel", "latent-panel"]),
    ("ring", "energy&subject=noise", &["subject-panel", "chain-panel"]),
    ("ring", "latent", &["start-panel", "refined-panel"]),
    ("ring", "train&training=slow=1", &["plane-0", "latents-0"]),
    ("ring", "train&training=set=moons+compare=energy", &["plane-0", "plane-1", "latents-1"]),
    (
        "fashion-mnist",
        "sample&start=generator+noise+data&chain=3",
        &["start-panel", "refined-panel-3", "close-panel", "film-panel"],
    ),
    (
        "fashion-mnist",
        "reconstruct&mask=lower&fill=energy",
        &["target-panel", "prior-panel", "examples-panel"],
    ),
    ("fashion-mnist", "energy", &["subject-panel", "slope-panel", "chain-panel"]),
    ("fashion-mnist", "latent", &["start-panel", "refined-panel"]),
];

/// A phone's, a small phone's, a page at 400%, a laptop's, a wall's.
const SIZES: [(u32, u32); 5] = [(390, 844), (360, 640), (320, 256), (1280, 800), (3840, 2160)];

fn look(
    server: &str,
    browser: &Browser,
    device: &str,
    (width, height): (u32, u32),
    views: &[(&str, &str, &[&str])],
) {
    browser.resize(width, height);
    for (model, view, panels) in views {
        let what = format!("{model}, {view} on {device} at {width} by {height}");
        println!("{what}");
        browser
            .open(&format!("{server}?model=models/{model}.safetensors&play=0&device={device}&view={view}"));
        browser.wait_for(&what, page::STATE);
        browser.run("await figure.step(2)");
        let wide = browser.run("return [document.documentElement.scrollWidth, innerWidth]");
        let wide: [u64; 2] = serde_json::from_value(wide).unwrap();
        assert!(wide[0] <= wide[1], "{what}: {} pixels of {} are used", wide[0], wide[1]);
        // A control that cannot be hit is none.
        let small = browser.run(
            "return [...figure.shadowRoot.querySelectorAll('button, select, input:not([type=checkbox], [type=radio])')]
                .filter((it) => it.checkVisibility() && it.getBoundingClientRect().height < 24).map((it) => it.outerHTML)",
        );
        assert_eq!(small, json!([]), "{what}");
        for panel in *panels {
            let seen = colours(&browser.picture_of(&format!("[data-ref={panel}]")));
            assert!(seen > 3, "{what}: {seen} colours in {panel}");
        }
    }
    assert_eq!(browser.errors(), Vec::<String>::new(), "{device} at {width} by {height}");
}

#[test]
fn every_view_fits_a_phone() {
    let server = page::serve();
    look(&server.url(), &Browser::start(WebGpu::Off, &[]), "cpu", SIZES[0], &VIEWS);
}

#[test]
#[ignore = "210 pages take a quarter of an hour; a phone's are in every run. cargo xtask test --long"]
fn every_view_fits_every_window_in_both_themes_on_both_devices() {
    let server = page::serve();
    for (webgpu, device) in [(WebGpu::Off, "cpu"), (WebGpu::Software, "gpu")] {
        let browser = Browser::start(webgpu, &[]);
        // Chromium's software adapter compiles the kernels of a generator of images for minutes and takes gigabytes for it, where
        // Mesa's and graphics drivers take a second; who asks for that adapter has asked for it by name (`device=gpu`).
        let too_long =
            |view: &&(_, &str, _)| device == "gpu" && view.0 != "ring" && view.1.starts_with("reconstruct");
        let views: Vec<_> = VIEWS.iter().filter(|view| !too_long(view)).copied().collect();
        for scheme in ["light", "dark"] {
            browser.prefer("prefers-color-scheme", scheme);
            for size in SIZES {
                look(&server.url(), &browser, device, size, &views);
            }
        }
    }
}

/// The browser's own measure of what moves while a page loads (Cumulative Layout Shift): 0.1 is called good.
#[test]
fn nothing_moves_while_a_page_loads() {
    let server = page::serve();
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.before_pages(
        "window.moved = [];
         new PerformanceObserver((list) => {
             for (const { value, hadRecentInput, sources } of list.getEntries()) {
                 const names = sources.map(({ node }) => node?.dataset?.ref ?? node?.id ?? node?.nodeName);
                 if (!hadRecentInput) window.moved.push([value, names]);
             }
         }).observe({ type: 'layout-shift', buffered: true });",
    );
    for (width, height) in [(1280, 900), (390, 844)] {
        browser.resize(width, height);
        for path in [
            "",
            "?model=models/fashion-mnist.safetensors",
            "?model=models/fashion-mnist.safetensors&view=reconstruct",
            "?model=models/mnist.safetensors&view=energy",
            "?model=models/ring.safetensors&view=sample",
            "embed.html?model=models/ring.safetensors&play=1",
            "embed.html?model=models/mnist.safetensors&play=1",
            "example/index.html",
        ] {
            browser.open(&format!("{}{path}", server.url()));
            // On a phone an article's first figure may lie below what is seen, where chains rest.
            browser.run("const { top } = figure?.getBoundingClientRect() ?? { top: 0 }; if (top > innerHeight / 2) scrollTo(0, top - innerHeight / 2)");
            browser.wait_for(
                "chains on their way",
                "((s) => s?.step > 5)(await figure?.state?.().catch(() => null))",
            );
            // All of it is scrolled through, as it is read.
            let steps = "document.documentElement.scrollHeight / innerHeight";
            browser.run(&format!(
                "for (let i = 0; i < {steps}; i += 1) {{ scrollTo(0, i * innerHeight); await new Promise((done) => setTimeout(done, 250)); }}"
            ));
            std::thread::sleep(std::time::Duration::from_millis(400));
            let moved = browser.run("return window.moved");
            let sum: f64 = moved.as_array().unwrap().iter().filter_map(|entry| entry[0].as_f64()).sum();
            println!("{path} at {width}: {sum:.4}");
            assert!(
                sum < 0.01,
                "{path} at {width}: {sum}: {:#}",
                Value::Array(moved.as_array().unwrap().clone())
            );
        }
    }
}
