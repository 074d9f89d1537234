//! What goes wrong while chains run, and how the reader gets on: a graphics device that fails in each of its ways,
//! chains that run away, a page that is hidden, and one that is used for long.
#![allow(clippy::unwrap_used)]

use dual_mcmc_tests::browser::{Browser, WebGpu};
use dual_mcmc_tests::{models, page};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use xtask::serve::{Reply, Server};

fn serve() -> Server {
    let bytes = models::bytes(&models::plane());
    let answer: page::Answer = Arc::new(move || Reply::of("application/octet-stream", bytes.clone()));
    page::serve_with(HashMap::from([("/models/plane.safetensors".to_string(), answer)]))
}

fn address(server: &Server, query: &str) -> String {
    format!("{}?model=models/plane.safetensors&{query}", server.url())
}

fn state(browser: &Browser) -> Value {
    browser.wait_for("running model", page::STATE)
}

/// What the page's message says, once there is one.
fn notice(browser: &Browser) -> String {
    browser.wait_for("message", page::NOTICE).as_str().unwrap().to_string()
}

/// After a graphics device has failed in this way the figure goes on on the processor, with the seed and the chains that were
/// chosen, and says so in these words.
fn fails(way: &str, says: &str) {
    let server = serve();
    let browser = Browser::start(WebGpu::Software, &[]);
    browser.before_pages(way);
    browser.open(&address(&server, "play=1&device=gpu&seed=5&chains=48"));
    let there = format!("(s => s && s.device === 'cpu' && s.step > 3)({})", page::STATE);
    browser.wait_for("steps on the processor", &there);
    let state = state(&browser);
    assert_eq!((&state["seed"], &state["chains"], &state["playing"]), (&5.into(), &48.into(), &true.into()));
    let text = browser.run("return ref('remarks').innerText.toLowerCase()");
    assert!(text.as_str().unwrap().contains(says), "{text}");
    assert_eq!(browser.run("return ref('notice').hidden"), true);
}

#[test]
fn a_shader_that_the_browser_refuses_is_told_of() {
    fails(
        "const make = GPUDevice.prototype.createShaderModule;
         GPUDevice.prototype.createShaderModule = function (it) {
             return make.call(this, it.code.includes('fn normals') ? { ...it, code: 'fn main( {' } : it);
         };",
        "the graphics device failed",
    );
}

#[test]
fn memory_that_runs_out_is_told_of() {
    fails(
        "const make = GPUDevice.prototype.createBuffer;
         let made = 0;
         GPUDevice.prototype.createBuffer = function (it) {
             const error = new GPUOutOfMemoryError('no memory is left');
             if (++made === 9) this.dispatchEvent(new GPUUncapturedErrorEvent('uncapturederror', { error }));
             return make.call(this, it);
         };",
        "out of memory",
    );
}

#[test]
fn a_device_lost_in_mid_run_is_told_of() {
    fails(
        "const ask = GPUAdapter.prototype.requestDevice;
         GPUAdapter.prototype.requestDevice = async function (it) {
             const device = await ask.call(this, it);
             setTimeout(() => device.destroy(), 3000);
             return device;
         };",
        "device was lost",
    );
}

/// Nothing is asked for beyond what every adapter has, and the smallest device runs every model.
#[test]
fn a_device_with_the_least_limits_will_do() {
    let server = page::serve();
    let browser = Browser::start(WebGpu::Software, &[]);
    browser.before_pages(
        "const ask = GPUAdapter.prototype.requestDevice;
         Object.defineProperty(GPUAdapter.prototype, 'features', { get: () => new Set() });
         window.asked = [];
         GPUAdapter.prototype.requestDevice = async function (it) {
             const device = await ask.call(this, {});
             const limits = Object.entries(it?.requiredLimits ?? {});
             // Alignments are met by what is larger, everything else by what is smaller.
             const beyond = ([name, value]) =>
                 name.includes('Alignment') ? value < device.limits[name] : value > device.limits[name];
             window.asked.push(limits.filter(beyond), [...(it?.requiredFeatures ?? [])]);
             return device;
         };",
    );
    for (name, _) in models::shipped() {
        browser.open(&format!("{}?model=models/{name}&play=0&device=gpu", server.url()));
        assert_eq!(state(&browser)["device"], "gpu");
        browser.run("await figure.step(3)");
        assert!(state(&browser)["energies"][0].as_f64().unwrap().is_finite(), "{name}");
        assert_eq!(browser.run("return window.asked.flat(9)"), Value::Array(Vec::new()), "{name}");
        assert_eq!(browser.errors(), Vec::<String>::new(), "{name}");
    }
}

/// A step size far beyond what is stable.
#[test]
fn chains_that_run_away_stop_and_can_start_over() {
    let server = serve();
    for device in ["gpu", "cpu"] {
        let browser = Browser::start(WebGpu::Software, &[]);
        browser.open(&address(&server, &format!("play=1&step-size=999&rate=240&device={device}")));
        let text = notice(&browser);
        assert!(text.contains("run away") && text.contains("smaller step size"), "{text}");
        browser.click("[data-ref=defaults]");
        browser.click("[data-ref=reset]");
        browser.wait_for("chains that can run", "!ref('play').disabled");
        browser.click("[data-ref=play]");
        browser.wait_for("steps again", "(await figure.state()).step > 5");
        let state = state(&browser);
        assert!(state["energies"][0].as_f64().unwrap().is_finite(), "{device}: {}", state["energies"]);
        assert_eq!(browser.run("return ref('notice').hidden"), true);
        assert_eq!(browser.errors(), Vec::<String>::new(), "{device}");
    }
}

fn hidden_for(time: Duration) {
    let server = serve();
    for device in ["gpu", "cpu"] {
        let browser = Browser::start(WebGpu::Software, &[]);
        browser.open(&address(&server, &format!("play=1&rate=60&device={device}")));
        browser.wait_for("running chains", "(await figure.state()).step > 5");
        browser.run(
            "window.seen = [];
             const steps = () => Number(ref('step-count').textContent);
             document.addEventListener('visibilitychange', () => window.seen.push([document.hidden, steps()]));",
        );
        browser.hide_for(time);
        let seen = browser.wait_for("the page again", "window.seen.length === 2 && window.seen");
        let at = |turn: usize| (seen[turn][0].as_bool().unwrap(), seen[turn][1].as_u64().unwrap());
        let ((hidden, left), (back, returned)) = (at(0), at(1));
        assert!(hidden && !back, "{seen}");
        // What was under way when the page went, and nothing to make up for.
        assert!(returned - left < 70, "{device}: {} steps while nobody looked", returned - left);
        browser.wait_for("going on", &format!("(await figure.state()).step > {}", returned + 5));
        assert_eq!(browser.run("return ref('notice').hidden"), true);
        assert_eq!(browser.errors(), Vec::<String>::new(), "{device}");
    }
}

#[test]
fn a_hidden_page_rests_and_goes_on() {
    hidden_for(Duration::from_secs(4));
}

#[test]
#[ignore = "three minutes behind another tab, on two devices; four seconds are in every run. cargo xtask test --long"]
fn a_page_hidden_for_minutes_goes_on() {
    hidden_for(Duration::from_secs(180));
}

/// The lab under a policy that forbids workers.
const STRICT: &str = "/strict.html";

fn strict_lab() -> Reply {
    let lab = std::fs::read_to_string(page::folder().join("index.html")).unwrap();
    let policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"worker-src 'none'\">";
    Reply::of("text/html", lab.replacen("<head>", &format!("<head>{policy}"), 1))
}

/// Steps of a second on the processor, and in the meantime a page that answers. Where a page may have no worker it
/// computes by itself, and stands still meanwhile.
#[test]
fn the_page_stays_alive_while_the_processor_computes() {
    let server = page::serve_with(HashMap::from([(STRICT.into(), Arc::new(strict_lab) as page::Answer)]));
    for (path, script, worker) in [("/", "", true), ("/", "delete self.Worker", false), (STRICT, "", false)] {
        let browser = Browser::start(WebGpu::Off, &[]);
        browser.before_pages(script);
        let address = format!("{}?model=models/fashion-mnist.safetensors&play=0&chains=512", &path[1..]);
        browser.open(&format!("{}{address}", server.url()));
        assert_eq!(state(&browser)["device"], "cpu");
        // A browser tells of a policy in the console.
        let told = browser.errors();
        assert_eq!(told.is_empty(), path != STRICT, "{told:?}");
        let times = browser.run(
            "let last = performance.now(), longest = 0, done = false;
             const begin = last;
             const step = figure.step(2).then(() => done = true);
             while (!done) {
                 await new Promise(next => setTimeout(next, 1));
                 const now = performance.now();
                 [longest, last] = [Math.max(longest, now - last), now];
             }
             await step;
             return [longest, last - begin, (await figure.state()).step]",
        );
        let [longest, all] = [0, 1].map(|i| times[i].as_f64().unwrap());
        assert_eq!(times[2], 2);
        println!("{path} {script}: two steps took {all:.0} ms, the page was away for {longest:.0} ms");
        assert_eq!(longest < 0.5 * all, worker, "{longest} of {all} ms");
        assert_eq!(browser.errors(), Vec::<String>::new());
    }
}

/// One after another, on either device, as a reader who tries everything.
#[test]
#[cfg(target_os = "linux")]
fn a_hundred_models_leave_nothing_behind() {
    let server = page::serve();
    let names: Vec<String> = models::shipped().into_iter().map(|(name, _)| name).collect();
    for (device, count) in [("gpu", 100), ("cpu", 100)] {
        let browser = Browser::start(WebGpu::Software, &["--js-flags=--expose-gc"]);
        browser.open(&format!("{}?play=1&device={device}", server.url()));
        browser.wait_for("the list of models", "document.querySelectorAll('#model option').length > 3");
        let mut after = Vec::new();
        for i in 0..count {
            let url = format!("models/{}", names[i % names.len()]);
            browser.run(&format!(
                "const models = document.getElementById('model');
                 models.value = '{url}';
                 models.dispatchEvent(new Event('change'))"
            ));
            browser.wait_for(
                "another model",
                &format!("(s => s && s.model === '{url}' && s.step > 0)({})", page::STATE),
            );
            if (i + 1) % 20 == 0 {
                browser.run("gc()");
                after.push(browser.memory() >> 20);
            }
        }
        println!("{device}: MiB after each twenty models: {after:?}");
        // Workers, which no script can tell to collect their garbage, keep tens of MiB of it for a while.
        let (early, late) = (after[0].max(after[1]), after[3].min(after[4]));
        assert!(late <= early + early / 10, "{device}: {after:?} MiB");
        assert_eq!(browser.errors(), Vec::<String>::new(), "{device}");
    }
}
