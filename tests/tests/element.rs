//! `<dual-mcmc>` on pages of others: its attributes, methods and events, several at once, and its whole life.
#![allow(clippy::unwrap_used)]

use dual_mcmc_tests::browser::{Browser, WebGpu};
use dual_mcmc_tests::{models, page};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use xtask::serve::{Reply, Server};

/// A page with these elements, and a list of everything that they tell it.
fn article(body: &str) -> String {
    format!(
        "<!doctype html><title>Article</title><link rel=icon href='data:,'><body style='margin:0'>
         <script>
           window.told = [];
           window.errors = [];
           for (const name of ['load', 'progress', 'change', 'step', 'problem', 'visibility']) {{
             document.addEventListener(name, (event) => {{
               const of = event.target.id ?? '', {{ detail }} = event;
               if (detail !== undefined) window.told.push({{ of, name, detail }});
             }}, true);
           }}
           addEventListener('unhandledrejection', (event) => window.errors.push(String(event.reason)));
           // The next time that a figure draws, our own code is left in the middle of its work.
           window.breakDown = () => {{
             const clear = CanvasRenderingContext2D.prototype.clearRect;
             CanvasRenderingContext2D.prototype.clearRect = function () {{
               CanvasRenderingContext2D.prototype.clearRect = clear;
               throw new Error('the canvas is on fire');
             }};
           }};
           window.tells = (of, name) => window.told.filter((it) => it.of === of && it.name === name);
         </script>
         <script type=module src=/dual-mcmc.js></script>{body}"
    )
}

/// The built page, with the plane's model, an article and further answers.
fn serve_with(body: &str, further: Vec<(&str, Reply)>) -> Server {
    let model = models::bytes(&models::plane());
    let mut all = vec![
        ("/article.html", Reply::of("text/html", article(body))),
        ("/models/plane.safetensors", Reply::of("application/octet-stream", model)),
    ];
    all.extend(further);
    let answers = all.into_iter().map(|(path, reply)| {
        let answer: page::Answer = Arc::new(move || reply.clone());
        (path.to_string(), answer)
    });
    page::serve_with(answers.collect::<HashMap<_, _>>())
}

fn open(browser: &Browser, body: &str) -> Server {
    let server = serve_with(body, Vec::new());
    browser.open(&format!("{}article.html", server.url()));
    server
}

const PLANE: &str = "src=models/plane.safetensors";

fn quiet(browser: &Browser) {
    assert_eq!(browser.errors(), Vec::<String>::new());
    assert_eq!(browser.run("return window.errors"), json!([]));
}

#[test]
fn attributes_properties_methods_and_events_go_together() {
    let browser = Browser::start(WebGpu::Off, &[]);
    let _server =
        open(&browser, &format!("<dual-mcmc id=a {PLANE} chains=32 seed=3>No scripts.</dual-mcmc>"));
    let loaded = browser.wait_for("load", "window.tells('a', 'load')[0]?.detail");
    assert_eq!(loaded["model"], "models/plane.safetensors");
    assert_eq!(
        (&loaded["shape"], &loaded["chains"], &loaded["device"]),
        (&json!([2]), &32.into(), &"cpu".into())
    );
    let order = browser.run("return [...new Set(window.told.map((it) => it.name))]");
    assert_eq!(order.as_array().unwrap()[..2], [json!("visibility"), json!("progress")], "{order}");

    // Without autoplay the chains wait.
    let state = browser.run("return figure.state()");
    assert_eq!((&state["step"], &state["playing"], &state["seed"]), (&0.into(), &false.into(), &3.into()));
    assert_eq!(
        browser.run("return [figure.chains, figure.seed, figure.noise, figure.reveal]"),
        json!([32, 3, null, "auto"])
    );
    // Attributes and properties are observed live.
    browser
        .run("figure.chains = 16; figure.setAttribute('step-size', '0.05'); figure.removeAttribute('seed')");
    let other = "(s => s.chains === 16 && s.stepSize === 0.05 && s.seed === 0)(await figure.state())";
    browser.wait_for("other settings", other);
    assert_eq!(browser.run("return [figure.getAttribute('chains'), figure.stepSize]"), json!(["16", 0.05]));

    browser.run("await figure.step(7)");
    assert_eq!(browser.run("return window.tells('a', 'step').at(-1).detail.step"), 7);
    browser.run("await figure.play()");
    browser.wait_for("running chains", "(await figure.state()).step > 12");
    browser.run("await figure.pause(); await figure.reset(9)");
    let state = browser.run("return figure.state()");
    assert_eq!((&state["step"], &state["seed"], &state["playing"]), (&0.into(), &9.into(), &false.into()));
    // A choice at the figure is in its attribute, and told.
    assert_eq!(browser.run("return figure.getAttribute('seed')"), "9");
    let told = browser.run("return window.tells('a', 'change').map((it) => it.detail)");
    assert!(told.as_array().unwrap().contains(&json!({ "name": "seed", "value": "9" })), "{told}");

    let blob = browser.run(
        "const blob = await figure.toBlob(), bytes = new Uint8Array(await blob.arrayBuffer());
         const image = await createImageBitmap(blob);
         return [blob.type, [...bytes.slice(0, 4)], image.width > 200]",
    );
    assert_eq!(blob, json!(["image/png", [137, 80, 78, 71], true]));
    for (call, says) in [
        ("toBlob('image/tiff')", "image/tiff"),
        ("step(-1)", "whole number"),
        ("step(1.5)", "whole number"),
        ("reset(-4)", "seed"),
        ("energies([1, 2, 3])", "whole samples"),
    ] {
        let said = browser.run(&format!("return figure.{call}.then(() => 'done', (error) => error.message)"));
        assert!(said.as_str().unwrap().contains(says), "{call}: {said}");
    }
    // None of that has stopped the figure.
    browser.run("await figure.step(1)");
    quiet(&browser);
}

/// A model file of a script's own, set before the element was defined, and a figure that is made by a script.
#[test]
fn models_come_as_files_too_and_elements_may_be_defined_late() {
    let browser = Browser::start(WebGpu::Off, &[]);
    let late = "<!doctype html><title>Late</title><link rel=icon href='data:,'><dual-mcmc id=a></dual-mcmc>";
    let server = serve_with("", vec![("/late.html", Reply::of("text/html", late))]);
    browser.open(&format!("{}late.html", server.url()));
    browser.run(
        "const file = await (await fetch('/models/plane.safetensors')).arrayBuffer();
         figure.model = file;
         figure.chains = 12;
         await import('/dual-mcmc.js');",
    );
    let state = browser.wait_for("a model from a file", page::STATE);
    assert_eq!((&state["chains"], &state["model"]), (&12.into(), &"the model".into()));
    browser.run(
        "const made = document.createElement('dual-mcmc');
         made.src = 'models/plane.safetensors';
         made.id = 'made';
         document.body.append(made);",
    );
    browser.wait_for("a figure by a script", "(await document.getElementById('made').state()).step === 0");
    let said = browser.run("try { figure.model = 7 } catch (error) { return error.message }");
    assert!(said.as_str().unwrap().contains("Blob"), "{said}");
    assert_eq!(browser.errors(), Vec::<String>::new());
}

/// Bit for bit, with other figures beside it or alone.
#[test]
fn two_figures_side_by_side_give_what_each_gives_alone() {
    let figure = |id: &str, seed: u32, model: &str, device: &str| {
        format!(
            "<dual-mcmc id={id} src={model} chains=24 seed={seed} device={device} loading=eager></dual-mcmc>"
        )
    };
    let image = "models/fashion-mnist.safetensors";
    let plane = "models/plane.safetensors";
    let x = |browser: &Browser, ids: &[&str]| -> Value {
        let ids = json!(ids);
        browser.run_with(
            "const figures = arguments[0].map((id) => document.getElementById(id));
             await Promise.all(figures.map((it) => it.step(4)));
             return Promise.all(figures.map(async (it) => [...(await it.state()).x]))",
            &[ids],
        )
    };
    for device in ["gpu", "cpu"] {
        let browser = Browser::start(WebGpu::Software, &[]);
        let both = figure("a", 1, plane, device) + &figure("b", 2, image, device);
        let server = open(&browser, &both);
        browser.wait_for("the element", "customElements.get('dual-mcmc')");
        let together = x(&browser, &["a", "b"]);
        drop(server);
        for (i, (id, seed, model)) in [("a", 1, plane), ("b", 2, image)].into_iter().enumerate() {
            let _server = open(&browser, &figure(id, seed, model, device));
            browser.wait_for("the element", "customElements.get('dual-mcmc')");
            let alone = x(&browser, &[id]);
            assert_eq!(alone[0].as_array().unwrap().len(), 24 * if i == 0 { 2 } else { 1024 });
            assert!(alone[0] == together[i], "{device}, {model}: other numbers beside another figure");
        }
        quiet(&browser);
    }
}

/// Counts what the page asks of the browser.
const COUNTING: &str = "
    window.devices = 0; window.workers = 0; window.buffers = [];
    if (globalThis.GPUAdapter) {
        const ask = GPUAdapter.prototype.requestDevice;
        GPUAdapter.prototype.requestDevice = function (it) { window.devices++; return ask.call(this, it); };
        const make = GPUDevice.prototype.createBuffer;
        GPUDevice.prototype.createBuffer = function (it) {
            const buffer = make.call(this, it);
            window.buffers.push(new WeakRef(buffer));
            return buffer;
        };
        const destroy = GPUBuffer.prototype.destroy;
        GPUBuffer.prototype.destroy = function () { this.gone = true; return destroy.call(this); };
    }
    const Thread = window.Worker;
    if (Thread) window.Worker = class extends Thread { constructor(...it) { super(...it); window.workers++; } };
    window.alive = () => window.buffers.filter((ref) => { const it = ref.deref(); return it && !it.gone; }).length;";

/// Twenty figures, four of which can be seen.
#[test]
fn many_figures_share_one_device_and_one_pool() {
    for device in ["gpu", "cpu"] {
        let browser = Browser::start(WebGpu::Software, &[]);
        browser.before_pages(COUNTING);
        browser.resize(1000, 700);
        let figures: String = (0..20)
            .map(|i| {
                format!(
                    "<dual-mcmc id=f{i} {PLANE} chains=64 seed={i} device={device} autoplay=always rate=20
                       style='width:{}px;display:block;float:left'></dual-mcmc>{}",
                    if i < 4 { 240 } else { 300 },
                    if i == 3 { "<div style='clear:both;height:4000px'></div>" } else { "" },
                )
            })
            .collect();
        let _server = open(&browser, &figures);
        browser.wait_for(
            "four running figures",
            "[0, 1, 2, 3].every((i) => (window.tells('f' + i, 'step').at(-1)?.detail.step ?? 0) > 20)",
        );
        assert_eq!(
            browser.run("return window.told.filter((it) => it.name === 'load').length"),
            4,
            "nothing beyond the view"
        );
        let [devices, workers, cores] = ["devices", "workers", "navigator.hardwareConcurrency"]
            .map(|it| browser.run(&format!("return window.{it}")).as_u64().unwrap());
        assert_eq!(devices, u64::from(device == "gpu"), "{device}: devices");
        assert!(workers <= cores.min(8), "{workers} workers on {cores} cores");
        // The page answers while they run.
        let away = browser.run(
            "let last = performance.now(), longest = 0;
             const end = last + 2000;
             while (last < end) {
                 await new Promise((next) => setTimeout(next, 1));
                 const now = performance.now();
                 [longest, last] = [Math.max(longest, now - last), now];
             }
             return longest",
        );
        println!("{device}: the page was away for {away} ms at most");
        // All of them, asked at once.
        let steps = browser.run(
            "const all = [...document.querySelectorAll('dual-mcmc')];
             await Promise.all(all.map((it) => it.step(3)));
             return Promise.all(all.map(async (it) => (await it.state()).step))",
        );
        assert!(steps.as_array().unwrap().iter().all(|step| step.as_u64().unwrap() >= 3), "{steps}");
        assert_eq!(browser.run("return window.devices").as_u64(), Some(devices));
        assert!(browser.run("return window.workers").as_u64().unwrap() <= cores.min(8));
        quiet(&browser);
    }
}

/// Mount and remove a figure so often; what is left after each.
fn comes_and_goes(times: usize) {
    for device in ["gpu", "cpu"] {
        let browser =
            Browser::start(WebGpu::Software, &["--js-flags=--expose-gc", "--enable-precise-memory-info"]);
        browser.before_pages(COUNTING);
        let _server = open(&browser, "");
        browser.wait_for("the element", "customElements.get('dual-mcmc')");
        let mut left = Vec::new();
        for i in 0..times {
            browser.run(&format!(
                "const it = document.createElement('dual-mcmc');
                 it.setAttribute('src', 'models/plane.safetensors');
                 it.setAttribute('controls', '');
                 it.setAttribute('device', '{device}');
                 document.body.append(it);
                 await it.step(3);
                 await it.play();
                 it.remove();"
            ));
            if i % 5 == 4 {
                std::thread::sleep(Duration::from_millis(100));
                browser.run("for (let i = 0; i < 4; i++) { gc(); await new Promise((next) => setTimeout(next, 20)); }");
                let now = browser.run("return [performance.memory.usedJSHeapSize / 1024, window.alive()]");
                left.push([0, 1].map(|k| now[k].as_f64().unwrap() as u64));
            }
        }
        println!("{device}: kB of JavaScript and GPU buffers after every five: {left:?}");
        let (early, late) = (left[1], left[left.len() - 1]);
        assert!(late[0] <= early[0] + early[0] / 20 + 64, "{device}: JavaScript's heap grows: {left:?}");
        assert!(late[1] <= early[1] + 4, "{device}: buffers stay: {left:?}");
        assert_eq!(browser.run("return window.devices").as_u64().unwrap(), u64::from(device == "gpu"));
        quiet(&browser);
    }
}

#[test]
fn figures_that_come_and_go_leave_nothing_behind() {
    comes_and_goes(30);
}

#[test]
#[ignore = "two hundred figures on two devices take minutes; thirty are in every run. cargo xtask test --long"]
fn two_hundred_figures_leave_nothing_behind() {
    comes_and_goes(200);
}

#[test]
fn what_is_shared_is_given_back_after_the_last_figure() {
    let browser = Browser::start(WebGpu::Software, &[]);
    let _server = open(
        &browser,
        &format!(
            "<dual-mcmc id=a {PLANE} device=cpu></dual-mcmc><dual-mcmc id=b {PLANE} device=gpu></dual-mcmc>"
        ),
    );
    browser.wait_for("two figures", "window.told.filter((it) => it.name === 'load').length === 2");
    let shared = "return [...(await import('/dual-mcmc-web.js')).shared()]";
    let both = browser.run(shared);
    assert!(both[0].as_u64().unwrap() >= 1 && both[1] == 1, "{both}");
    browser.run("document.getElementById('a').remove()");
    std::thread::sleep(Duration::from_secs(11));
    assert_eq!(browser.run(shared), both, "one figure is left");
    browser.run("document.getElementById('b').remove()");
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(browser.run(shared), both, "another may come");
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(browser.run(shared), json!([0, 0]));
    quiet(&browser);
}

/// An exception in the middle of our own code, after which none of it can go on.
#[test]
fn figures_start_anew_after_a_breakdown_with_their_choices() {
    let browser = Browser::start(WebGpu::Off, &[]);
    let _server = open(
        &browser,
        &format!(
            "<dual-mcmc id=a {PLANE} chains=20 seed=4 autoplay=always controls></dual-mcmc><dual-mcmc id=b {PLANE} seed=5></dual-mcmc>"
        ),
    );
    browser.wait_for("two figures", "window.told.filter((it) => it.name === 'load').length === 2");
    let breakdown = "window.told.length = 0; window.breakDown(); figure.noise = 0.1 + Math.random() / 100;";
    for time in 0..3 {
        browser.run(breakdown);
        let again = "['a', 'b'].every((id) => window.tells(id, 'load').length) && await figure.state()";
        let state = browser.wait_for(&format!("new starts, {time}"), again);
        assert_eq!(
            (&state["seed"], &state["chains"], &state["playing"]),
            (&4.into(), &20.into(), &true.into())
        );
        let words = browser.run("return ref('breakdown').innerText");
        assert!(words.as_str().unwrap().contains("on fire"), "{words}");
    }
    browser.run(breakdown);
    let text = browser.wait_for("message", page::NOTICE);
    assert!(text.as_str().unwrap().contains("reload the page"), "{text}");
    assert!(browser.run("return window.tells('a', 'problem').length").as_u64().unwrap() > 0);
    let said = browser.run("return figure.state().then(() => '', (error) => error.message)");
    assert_ne!(said, "");
}

/// What fails in the page's own scripts, or is not caught there, is no breakdown of the figure.
#[test]
fn exceptions_of_the_page_are_its_own() {
    let browser = Browser::start(WebGpu::Off, &[]);
    let _server = open(
        &browser,
        &format!(
            "<script>document.addEventListener('step', () => {{ throw new Error('a fault of the page'); }}, true)</script>
             <dual-mcmc id=a {PLANE} seed=4 autoplay=always></dual-mcmc>"
        ),
    );
    browser.wait_for("steps", "(window.tells('a', 'step').at(-1)?.detail.step ?? 0) > 20");
    browser.run(
        "figure.energies([1]); figure.toBlob('image/tiff'); setTimeout(() => { throw new Error('another') })",
    );
    std::thread::sleep(Duration::from_millis(500));
    browser.wait_for("more steps", "window.tells('a', 'step').at(-1).detail.step > 40");
    assert_eq!(
        browser.run("return [window.tells('a', 'load').length, ref('breakdown').hidden]"),
        json!([1, true])
    );
    assert_eq!(
        browser.run("return window.errors.length"),
        2,
        "the browser tells the page of what it has not caught"
    );
}

#[test]
fn what_cannot_be_used_is_told_and_the_rest_runs() {
    let browser = Browser::start(WebGpu::Off, &[]);
    let server = serve_with(
        "<dual-mcmc id=a src=models/plane.safetensors chains=many view=cinema seed=2 controls></dual-mcmc>
         <dual-mcmc id=b src=models/nowhere.safetensors></dual-mcmc>
         <dual-mcmc id=c src=models/page.safetensors><p slot=error>Ask the authors.</p></dual-mcmc>
         <dual-mcmc id=d src=http://localhost:9/x.safetensors></dual-mcmc>
         <dual-mcmc id=e src=models/fashion-mnist.safetensors view=landscape controls></dual-mcmc>
         <dual-mcmc id=f></dual-mcmc>",
        vec![("/models/page.safetensors", Reply::of("text/html", "<!doctype html><title>Sign in</title>"))],
    );
    browser.open(&format!("{}article.html", server.url()));
    let problem = |id: &str, says: &str| {
        browser.run(&format!("document.getElementById('{id}').scrollIntoView()"));
        let what = format!("({id}: {says})");
        let told = format!(
            "window.tells('{id}', 'problem').map((it) => it.detail.message).find((it) => it.includes({}))",
            json!(says)
        );
        browser.wait_for(&what, &told);
    };
    problem("a", "chains=\"many\" is not used: it takes a whole number");
    problem(
        "a",
        "view=\"cinema\" is not used: it takes sample, landscape, reconstruct, energy, latent or train",
    );
    problem("b", "404");
    problem("c", "web page");
    problem("d", "Access-Control-Allow-Origin");
    problem("e", "The landscape needs an energy on points of the plane");
    let state = browser.run("return figure.state()");
    assert_eq!((&state["seed"], &state["chains"]), (&2.into(), &256.into()), "the rest runs");
    let said =
        "return document.getElementById(arguments[0]).state().then(() => '', (error) => error.message)";
    let of = |id: &str| browser.run_with(said, &[id.into()]).as_str().unwrap().to_string();
    assert!(of("b").contains("404"), "{}", of("b"));
    assert!(of("f").contains("No model is chosen"), "{}", of("f"));
    assert_eq!(of("e"), "", "shown as samples");
    let slot = "return getComputedStyle(document.querySelector('#c p')).display !== 'none' && document.querySelector('#c p').getBoundingClientRect().height > 0";
    assert_eq!(browser.run(slot), true, "the author's own words for a failure");
    // It takes a right value at any time.
    browser.run("document.getElementById('b').src = 'models/plane.safetensors'");
    browser.wait_for(
        "a model after all",
        "(await document.getElementById('b').state().catch(() => null))?.step === 0",
    );
    assert_eq!(browser.run("return window.errors"), json!([]));
}

/// Removed while it loads, moved in the tree, and asked where it is not on a page.
#[test]
fn a_figure_may_leave_and_move_at_any_time() {
    let browser = Browser::start(WebGpu::Off, &[]);
    let _server =
        open(&browser, &format!("<div id=one></div><div id=two></div><dual-mcmc id=a {PLANE}></dual-mcmc>"));
    browser.wait_for("a figure", "window.tells('a', 'load').length");
    // Moved, and in the middle of its work: the chains go on.
    browser.run("const steps = figure.step(200); document.getElementById('two').append(figure); await steps");
    assert_eq!(browser.run("return (await figure.state()).step"), 200);
    assert_eq!(browser.run("return window.tells('a', 'load').length"), 1);
    // Removed: what it was asked is answered, and what it loads changes nothing.
    let said = browser.run(
        "const steps = figure.step(100000).then(() => 'done', (error) => error.message);
         await new Promise((next) => setTimeout(next, 200));
         window.kept = figure;
         figure.remove();
         return steps",
    );
    assert!(said.as_str().unwrap().contains("no longer on the page"), "{said}");
    let said = browser.run("return window.kept.state().then(() => '', (error) => error.message)");
    assert!(said.as_str().unwrap().contains("not on a page"), "{said}");
    browser.run("document.body.append(window.kept)");
    assert_eq!(browser.run("return (await window.kept.state()).step"), 0, "a new life");
    for wait in [0, 5, 30, 120] {
        browser.run_with(
            "const it = document.createElement('dual-mcmc');
             it.id = 'late';
             it.src = 'models/fashion-mnist.safetensors?' + arguments[0];
             document.body.prepend(it);
             await new Promise((next) => setTimeout(next, arguments[0]));
             it.remove();",
            &[wait.into()],
        );
    }
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(browser.run("return window.tells('late', 'problem').length"), 0);
    quiet(&browser);
}

/// The element's script twice, one that was there before, and a browser without WebAssembly.
#[test]
fn other_pages_and_browsers_are_no_surprise() {
    let browser = Browser::start(WebGpu::Off, &[]);
    let _server = open(&browser, &format!("<dual-mcmc id=a {PLANE}></dual-mcmc>"));
    browser.wait_for("a figure", "window.tells('a', 'load').length");
    browser.run("await import('/dual-mcmc.js?again')");
    assert_eq!(browser.run("return (await figure.state()).step"), 0, "the first definition stays");
    quiet(&browser);
    drop(browser);

    let browser = Browser::start(WebGpu::Off, &[]);
    browser.before_pages("customElements.define('dual-mcmc', class extends HTMLElement {})");
    let _server = open(&browser, "<dual-mcmc>Another element of that name.</dual-mcmc>");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(browser.run("return figure.shadowRoot"), Value::Null);
    quiet(&browser);
    drop(browser);

    let browser = Browser::start(WebGpu::Off, &[]);
    browser.before_pages("delete globalThis.WebAssembly");
    let _server = open(&browser, &format!("<dual-mcmc id=a {PLANE}></dual-mcmc>"));
    let text = browser.wait_for("message", page::NOTICE);
    assert!(text.as_str().unwrap().contains("no webassembly"), "{text}");
    let said = browser.run("return window.tells('a', 'problem')[0].detail.title");
    assert_eq!(said, "The sampler could not be loaded");
}

/// The element's files on another site, which allows it: also its workers, of which a page has none from elsewhere.
#[test]
fn the_element_may_come_from_another_site() {
    let folder = page::folder();
    let elsewhere = Server::start(0, move |path| {
        xtask::serve::file(folder, path).header("Access-Control-Allow-Origin", "*")
    });
    let elsewhere = elsewhere.unwrap();
    let html = format!(
        "<!doctype html><title>Here</title><link rel=icon href='data:,'>
         <script type=module src={}dual-mcmc.js></script><dual-mcmc {PLANE} autoplay=always></dual-mcmc>",
        elsewhere.url()
    );
    let server = serve_with("", vec![("/here.html", Reply::of("text/html", html))]);
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.before_pages(COUNTING);
    browser.open(&format!("{}here.html", server.url()));
    browser.wait_for("running chains", &format!("(s => s && s.step > 3)({})", page::STATE));
    let glue = format!("return (await import('{}dual-mcmc-web.js')).shared()[0]", elsewhere.url());
    assert!(browser.run(&glue).as_u64().unwrap() >= 1);
    assert!(browser.run("return window.workers").as_u64().unwrap() >= 1);
    assert_eq!(browser.errors(), Vec::<String>::new());
}

/// A page that allows its own files and nothing else.
#[test]
fn a_strict_policy_is_kept() {
    let policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; \
                  style-src 'self'; img-src data:";
    let html = format!(
        "<!doctype html><title>Strict</title><link rel=icon href='data:,'>
         <meta http-equiv=Content-Security-Policy content=\"{policy}\"><script type=module src=/dual-mcmc.js></script>
         <dual-mcmc src=models/fashion-mnist.safetensors chains=4 controls autoplay=always></dual-mcmc>"
    );
    let server = serve_with("", vec![("/strict.html", Reply::of("text/html", html))]);
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.open(&format!("{}strict.html", server.url()));
    browser.wait_for("running chains", &format!("(s => s && s.step > 3)({})", page::STATE));
    browser.click("[data-ref=refined-panel]");
    let frame = "ref('refined-panel').querySelector('.chosen')?.getBoundingClientRect().width > 0";
    browser.wait_for("a chain that is set off", frame);
    assert_eq!(browser.errors(), Vec::<String>::new());
}

/// A model's own words are shown as words.
#[test]
fn text_from_a_model_never_becomes_html() {
    let mut model = models::plane();
    model.provenance.license = "<img src=x onerror='window.hit = 1'><b>free</b>".into();
    model.provenance.data = "<script>window.hit = 2</script>".into();
    let bytes = models::bytes(&model);
    let server = serve_with(
        "<dual-mcmc id=a src=models/named.safetensors controls></dual-mcmc>",
        vec![("/models/named.safetensors", Reply::of("application/octet-stream", bytes))],
    );
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.open(&format!("{}article.html", server.url()));
    browser.wait_for("a figure", "window.tells('a', 'load').length");
    let text = browser.run("ref('about').open = true; return ref('about-list').innerText");
    assert!(
        text.as_str().unwrap().contains("<b>free</b>") && text.as_str().unwrap().contains("<script>"),
        "{text}"
    );
    assert_eq!(
        browser.run("return [ref('about-list').querySelectorAll('img, b, script').length, window.hit ?? 0]"),
        json!([0, 0])
    );
    quiet(&browser);
}

#[test]
fn posters_wait_for_the_reader_and_scripts_may_do_without() {
    let dot = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
    let browser = Browser::start(WebGpu::Off, &[]);
    let _server = open(
        &browser,
        &format!(
            "<dual-mcmc id=a {PLANE} reveal=interaction poster='{dot}' alt='Eight heaps of points'></dual-mcmc>
             <dual-mcmc id=b {PLANE} reveal=manual></dual-mcmc>"
        ),
    );
    browser.wait_for("the element", "customElements.get('dual-mcmc')");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(
        browser.run(
            "return performance.getEntriesByType('resource').filter((it) => it.name.includes('wasm')).length"
        ),
        0
    );
    assert_eq!(
        browser.run("return [ref('poster').alt, ref('stage').getAttribute('aria-label'), ref('lab').hidden]"),
        json!(["Eight heaps of points", "Eight heaps of points", true])
    );
    browser.click("[data-ref=begin]");
    browser.wait_for("running chains", "(window.tells('a', 'step').at(-1)?.detail.step ?? 0) > 3");
    assert_eq!(browser.run("return [ref('cover').hidden, ref('lab').hidden]"), json!([true, false]));
    assert_eq!(
        browser
            .run("return document.getElementById('b').shadowRoot.querySelector('[data-ref=begin]').hidden"),
        true
    );
    browser.run("await document.getElementById('b').step(2)");
    assert_eq!(browser.run("return (await document.getElementById('b').state()).step"), 2);
    quiet(&browser);
}

/// Without motion where the reader prefers none, and never behind another tab or off screen.
#[test]
fn a_figure_rests_where_motion_is_unwelcome() {
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.prefer("prefers-reduced-motion", "reduce");
    let _server = open(
        &browser,
        &format!(
            "<dual-mcmc id=a {PLANE} autoplay></dual-mcmc><dual-mcmc id=b {PLANE} autoplay=always></dual-mcmc>"
        ),
    );
    browser.wait_for("two figures", "window.told.filter((it) => it.name === 'load').length === 2");
    browser.wait_for("steps of one", "(window.tells('b', 'step').at(-1)?.detail.step ?? 0) > 10");
    assert_eq!(browser.run("return (await figure.state()).step"), 0);
    browser.run("await figure.play()");
    browser.wait_for("steps of both", "(window.tells('a', 'step').at(-1)?.detail.step ?? 0) > 10");
    quiet(&browser);
}
