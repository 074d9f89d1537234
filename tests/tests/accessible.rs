//! The pages for everybody: axe finds nothing wrong with them, and the element's script may be imported where there is no page.
#![allow(clippy::unwrap_used)]

use dual_mcmc_tests::browser::{Browser, WebGpu};
use dual_mcmc_tests::page;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The folder `node_modules` of tests/package.json.
fn node_modules() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        std::env::var_os("DUAL_MCMC_NODE_MODULES").map(PathBuf::from).unwrap_or_else(|| {
            let package = xtask::process::root().join("tests/package.json");
            xtask::tools::node_modules(&package, "axe comes through it").unwrap()
        })
    })
}

#[test]
fn axe_finds_nothing_in_either_theme() {
    let axe = std::fs::read_to_string(node_modules().join("axe-core/axe.min.js")).unwrap();
    let server = page::serve();
    for scheme in ["light", "dark"] {
        let browser = Browser::start(WebGpu::Off, &[]);
        browser.prefer("prefers-color-scheme", scheme);
        for (path, ready) in [
            ("?play=0", page::STATE),
            (
                "?model=models/fashion-mnist.safetensors&play=0&chain=3&start=generator+noise+data",
                page::STATE,
            ),
            ("?model=models/mnist.safetensors&view=reconstruct&mask=lower&fill=energy&play=0", page::STATE),
            ("?model=models/fashion-mnist.safetensors&view=energy&play=0", page::STATE),
            ("?model=models/mnist.safetensors&view=latent&play=0", page::STATE),
            ("?model=models/ring.safetensors&view=reconstruct&play=0", page::STATE),
            ("?model=models/ring.safetensors&view=energy&play=0", page::STATE),
            ("?view=train&training=slow=1&play=0", page::STATE),
            ("?view=train&training=set=own+compare=energy&play=0", page::STATE),
            ("?model=models/nowhere.safetensors", page::NOTICE),
            ("embed.html?play=0", "ref('begin')"),
            ("embed.html?play=1", page::STATE),
            ("example/index.html", page::STATE),
        ] {
            browser.open(&format!("{}{path}", server.url()));
            browser.wait_for(path, ready);
            browser.run(
                "const all = [...document.querySelectorAll('details'), ...figure?.shadowRoot?.querySelectorAll('details') ?? []];
                 all.forEach((it) => { it.open = true; })",
            );
            browser.run(&axe);
            let found = browser.run(
                "const { violations } = await axe.run(document);
                 return violations.map((it) => [it.id, ...it.nodes.map((node) => node.target.flat().join(' '))])",
            );
            assert_eq!(found, json!([]), "{path}, {scheme}");
        }
    }
}

/// Where the reader's system says which colours there are, what is chosen still looks so, and the keys still have the
/// colours of the pictures.
#[test]
fn what_is_chosen_can_be_told_in_forced_colours() {
    let server = page::serve();
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.prefer("forced-colors", "active");
    let differ = |what: &str, chosen: &str, other: &str, property: &str| {
        let [a, b] =
            [chosen, other].map(|which| browser.run(&format!("return getComputedStyle({which}).{property}")));
        assert_ne!(a, b, "{what}");
    };
    browser.open(&format!("{}?play=0", server.url()));
    browser.wait_for("a figure", page::STATE);
    assert_eq!(browser.run("return matchMedia('(forced-colors: active)').matches"), true);
    let radio = |which: &str| format!("figure.shadowRoot.querySelector('.segmented input{which} + span')");
    differ("a choice", &radio(":checked"), &radio(":not(:checked)"), "backgroundColor");
    differ(
        "a key",
        "figure.shadowRoot.querySelector('.swatch.particle')",
        "document.body",
        "backgroundColor",
    );
    let button = |pressed: bool| format!("document.querySelector('.gallery button[aria-pressed={pressed}]')");
    differ("a model", &button(true), &button(false), "outlineStyle");
    browser.open(&format!("{}?view=train&training=slow%3D1&play=0", server.url()));
    browser.wait_for("a run", &format!("(s => s?.runs.length)({})", page::STATE));
    browser.run("ref('train-phase').click()");
    let phase = |which: &str| format!("ref('phases').querySelector('{which}')");
    browser.wait_for("a phase", &phase("[aria-current]"));
    differ("a phase", &phase("[aria-current]"), &phase("li:not([aria-current])"), "backgroundColor");
    assert_eq!(browser.errors(), Vec::<String>::new());
}

/// As on a server that renders pages.
#[test]
fn without_a_page_the_script_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["dual-mcmc.js", "code.js", "template.js", "style.js"] {
        std::fs::copy(page::folder().join(file), folder.path().join(file)).unwrap();
    }
    std::fs::write(folder.path().join("package.json"), r#"{ "type": "module" }"#).unwrap();
    node_modules();
    let script = "const { DualMcmc } = await import('./dual-mcmc.js'); console.log(typeof DualMcmc)";
    let mut node = xtask::process::command("node");
    let output =
        node.current_dir(folder.path()).args(["--input-type=module", "-e", script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "function", "{said}");
}
