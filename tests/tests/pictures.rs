//! What figures show is what their twins paint: the picture that `toBlob` writes, in both themes and on both devices; and the
//! pictures in tests/fixtures/pictures, one of each view.
//!
//! `DUAL_MCMC_KEEP_PICTURES=true cargo test --package dual-mcmc-tests --test pictures` writes those anew.
#![allow(clippy::unwrap_used)]

use dual_mcmc_tests::browser::{Browser, WebGpu};
use dual_mcmc_tests::page;
use image::{RgbImage, imageops};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use xtask::serve::{Reply, Server};

/// Views with a model, and the part of the figure whose picture is taken: its content is 400 pixels wide.
const VIEWS: [(&str, &str, &str); 2] = [
    ("landscape", "ring", "[data-ref=landscape-panel]"),
    ("sample", "fashion-mnist", "[data-ref=refined-panel]"),
];

/// A page with one figure. The landscape's panel has a border; a panel of samples is as wide as its canvas then.
fn serve(view: &str, model: &str, device: &str) -> Server {
    let width = if view == "landscape" { "402px" } else { "calc(2 * 388px + 1.1rem)" };
    let chains = if view == "landscape" { 256 } else { 9 };
    let html = format!(
        "<!doctype html><title>t</title><link rel=icon href='data:,'><meta name=color-scheme content='light dark'>
         <body style='margin:0'><script type=module src=/dual-mcmc.js></script>
         <dual-mcmc style='width:{width}' src=models/{model}.safetensors view={view} chains={chains} seed=3 device={device}></dual-mcmc>"
    );
    let answer: page::Answer = Arc::new(move || Reply::of("text/html", html.clone()));
    page::serve_with(HashMap::from([("/figure.html".to_string(), answer)]))
}

/// The figure's own picture after five steps.
fn own_picture(browser: &Browser) -> RgbImage {
    browser.wait_for("a figure", page::STATE);
    let bytes = browser
        .run("await figure.step(5); return [...new Uint8Array(await (await figure.toBlob()).arrayBuffer())]");
    let bytes: Vec<u8> = bytes.as_array().unwrap().iter().map(|b| b.as_u64().unwrap() as u8).collect();
    let picture = image::load_from_memory(&bytes).unwrap().into_rgba8();
    // Between images there is nothing, and the page's own colour is seen.
    let paper = browser.run("return getComputedStyle(figure).backgroundColor.match(/[0-9]+/g).map(Number)");
    let paper = [0, 1, 2].map(|i| paper[i].as_u64().unwrap() as u8);
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [r, g, b, a] = picture.get_pixel(x, y).0;
        image::Rgb(if a == 0 { paper } else { [r, g, b] })
    })
}

/// How many pixels are apart by more than `by` of 255.
fn apart(a: &RgbImage, b: &RgbImage, by: u8) -> usize {
    assert_eq!(a.dimensions(), b.dimensions());
    let far =
        |(a, b): &(&image::Rgb<u8>, &image::Rgb<u8>)| a.0.iter().zip(b.0).any(|(a, b)| a.abs_diff(b) > by);
    a.pixels().zip(b.pixels()).filter(far).count()
}

#[test]
fn what_is_seen_is_what_the_twins_paint() {
    for (view, model, panel) in VIEWS {
        for device in ["cpu", "gpu"] {
            let server = serve(view, model, device);
            for scheme in ["light", "dark"] {
                let browser = Browser::start(WebGpu::Software, &[]);
                browser.resize(900, 700);
                browser.prefer("prefers-color-scheme", scheme);
                browser.open(&format!("{}figure.html", server.url()));
                let own = own_picture(&browser);
                assert_eq!(browser.run("return (await figure.state()).device"), device);
                let seen = browser.picture_of(panel);
                let (seen, own) = if view == "landscape" {
                    // Without the border and its round corners.
                    let inside = |image: &RgbImage, from: u32| {
                        imageops::crop_imm(image, from, from, 392, 392).to_image()
                    };
                    (inside(&seen, 5), inside(&own, 4))
                } else {
                    let (width, height) = seen.dimensions();
                    let left = own.width() - width;
                    (seen, imageops::crop_imm(&own, left, 0, width, height).to_image())
                };
                let all = (seen.width() * seen.height()) as usize;
                let (far, worst) = (apart(&seen, &own, 2), apart(&seen, &own, 16));
                println!("{view}, {device}, {scheme}: {far} of {all} pixels are apart");
                // The browser's software adapter interpolates so coarsely that the edges of discs show it; the shaders themselves
                // are held against their twins in web/src/draw/tests.rs.
                let allowed = if device == "gpu" { all / 100 } else { all / 1000 };
                assert!(
                    far <= allowed && worst * 10_000 <= all,
                    "{view}, {device}, {scheme}: {far} of {all} pixels are apart"
                );
            }
        }
    }
}

#[test]
fn every_view_looks_as_it_did() {
    let kept = |view: &str| -> PathBuf {
        xtask::process::root().join(format!("tests/fixtures/pictures/{view}.png"))
    };
    for (view, model, _) in VIEWS {
        let server = serve(view, model, "cpu");
        let browser = Browser::start(WebGpu::Off, &[]);
        browser.resize(900, 700);
        browser.open(&format!("{}figure.html", server.url()));
        let own = own_picture(&browser);
        if std::env::var("DUAL_MCMC_KEEP_PICTURES").is_ok_and(|v| v == "true") {
            std::fs::create_dir_all(kept(view).parent().unwrap()).unwrap();
            own.save(kept(view)).unwrap();
        }
        let before = image::open(kept(view)).unwrap().into_rgb8();
        // The axes' numbers are in the machine's own font.
        let (far, all) = (apart(&own, &before, 8), (own.width() * own.height()) as usize);
        println!("{view}: {far} of {all} pixels have changed");
        assert!(far * 200 <= all, "{view}: {far} of {all} pixels have changed");
    }
}
