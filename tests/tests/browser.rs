//! The browser itself, before any page of ours: what the other tests rely on.

#![allow(clippy::unwrap_used)]

use dual_mcmc_tests::browser::{Browser, WebGpu, colours};
use serde_json::json;
use xtask::serve::{Reply, Server};

const PAGE: &str = "<!doctype html><title>t</title><body style='margin:0'>\
    <div id=a style='width:9px;height:9px;background:red'></div><script>console.error('seen')</script>";

#[test]
fn webgpu_is_there_only_where_it_is_asked_for() {
    let server = Server::start(0, |_| Reply::of("text/html", PAGE)).unwrap();
    for (webgpu, gpu, adapter) in
        [(WebGpu::Software, true, true), (WebGpu::NoAdapter, true, false), (WebGpu::Off, false, false)]
    {
        let browser = Browser::start(webgpu, &[]);
        browser.open(&server.url());
        let found = browser
            .run("return [!!navigator.gpu, !!(navigator.gpu && await navigator.gpu.requestAdapter())]");
        assert_eq!(found, json!([gpu, adapter]), "{webgpu:?}");
    }
}

#[test]
fn errors_and_pixels_are_seen() {
    let server = Server::start(0, |_| Reply::of("text/html", PAGE)).unwrap();
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.open(&server.url());
    let errors = browser.errors();
    assert!(errors.iter().any(|error| error.contains("seen")), "{errors:?}");
    let square = browser.picture_of("#a");
    assert_eq!((square.dimensions(), colours(&square)), ((9, 9), 1));
    assert_eq!(square.get_pixel(4, 4).0, [255, 0, 0]);
    assert_eq!(colours(&browser.screenshot()), 2, "a red square on white");
}

/// The browser's own compiler accepts every kernel, also those that no shipped model needs. (naga has
/// compiled them for the native tests; the two do not accept the same WGSL.) Those with subgroups are left out, which wgpu
/// cannot ask a browser for. The two hundred variants of the
/// correlation are parsed and checked, but not translated to machine code: that would take minutes.
#[test]
fn the_browser_compiles_every_kernel() {
    let server = Server::start(0, |_| Reply::of("text/html", PAGE)).unwrap();
    let browser = Browser::start(WebGpu::Software, &[]);
    browser.open(&server.url());
    let kernels: Vec<(String, String)> =
        dual_mcmc::gpu::kernels().filter(|(_, code)| !code.contains("quadSwap")).collect();
    assert!(kernels.len() >= 20);
    for (name, code) in kernels {
        let script = format!(
            "window.device ??= await (await navigator.gpu.requestAdapter()).requestDevice();
            device.pushErrorScope('validation');
            const module = device.createShaderModule({{ code: {} }});
            if ({}) device.createComputePipeline({{ layout: 'auto', compute: {{ module, entryPoint: 'main' }} }});
            const error = await device.popErrorScope();
            const said = (await module.getCompilationInfo()).messages.map((m) => m.message);
            return error ? [...said, error.message] : said;",
            json!(code),
            !name.starts_with("fused/correlate"),
        );
        assert_eq!(browser.run(&script), json!([]), "{name}");
    }
}
