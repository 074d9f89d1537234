//! Runs the comparison of `web/bench` in a headless Chromium, for `cargo xtask bench-browser`: the page's address,
//! and a file for the figures.

use dual_mcmc_tests::browser::{Browser, WebGpu};
use serde_json::{Value, json};
use std::time::Duration;

fn main() {
    let mut args = std::env::args().skip(1);
    let url = args.next().unwrap_or_default();
    let browser = Browser::start(WebGpu::Software, &[]);
    browser.open(&url);
    println!(
        "{:14}{:8}{:>7}{:>12}{:>17}{:>15}{:>10}",
        "", "device", "chains", "ms a step", "chain-steps / s", "disagrees by", "ours is"
    );
    browser.click("#run");
    let mut rows = Vec::new();
    loop {
        let seen = browser.run("return [window.results, !!window.done]");
        let all = seen[0].as_array().cloned().unwrap_or_default();
        all.iter().skip(rows.len()).for_each(print);
        rows = all;
        if seen[1] == true {
            break;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    drop(browser);
    println!("\n{:27}{:>22}{:>12}", "cold start", "first refined sample", "kB sent");
    let base = url.split("bench/").next().unwrap_or_default();
    let cases = ["ring", "fashion-mnist"].into_iter().flat_map(|model| DEVICES.map(|device| (model, device)));
    let cold: Vec<Value> = cases.map(|(model, device)| cold_start(base, model, device)).collect();
    if let Some(file) = args.next() {
        let figures = json!({ "steps": rows, "cold_starts": cold });
        let written = std::fs::write(&file, format!("{figures:#}"));
        written.unwrap_or_else(|error| panic!("cannot write {file}: {error}"));
    }
    let failed = rows.is_empty() || rows.iter().any(|row| row["error"].is_string());
    std::process::exit(failed.into());
}

/// WebGPU in software, the page's own processor, and the one of the two that the page chooses.
const DEVICES: [&str; 3] = ["auto", "gpu", "cpu"];

/// From navigation to the first step that the page shows, in a browser that has seen nothing yet, and the bytes that
/// were sent for it (the server of the comparison does not compress).
fn cold_start(base: &str, model: &str, device: &str) -> Value {
    let browser = Browser::start(WebGpu::Software, &[]);
    browser.open(&format!("{base}?model=models/{model}.safetensors&play=1&device={device}"));
    let seen = browser.run(
        "const shown = () => Number(ref('step-count')?.textContent);
         while (!(shown() > 0)) await new Promise(done => setTimeout(done, 5));
         const now = performance.now(), kinds = ['navigation', 'resource'];
         const sent = kinds.flatMap(kind => performance.getEntriesByType(kind)).map(entry => entry.transferSize);
         return [now, sent.reduce((a, b) => a + b, 0)]",
    );
    let number = |i: usize| seen[i].as_f64().unwrap_or(f64::NAN);
    println!("{:27}{:>19.0} ms{:>12.0}", format!("{model}, {device}"), number(0), number(1) / 1e3);
    json!({ "model": model, "device": device, "milliseconds": number(0), "bytes": number(1) })
}

fn print(row: &Value) {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_string();
    let number = |name: &str| row[name].as_f64().unwrap_or(f64::NAN);
    let head = format!("{:14}{:8}{:>7}", text("library"), text("device"), number("chains"));
    if row["error"].is_string() {
        println!("{head}  {}", text("error"));
        return;
    }
    let (time, ratio) = (number("milliseconds_a_step"), number("ratio"));
    let ratio = if ratio == 1.0 { String::new() } else { format!("{ratio:.1} ×") };
    println!(
        "{head}{time:>12.2}{:>17.0}{:>15.0e}{ratio:>10}",
        1e3 * number("chains") / time,
        number("disagreement")
    );
}
