//! The embedded page and the page around it: events go out, requests come in, and states and pictures go only where they may.
#![allow(clippy::unwrap_used)]

use dual_mcmc_tests::browser::{Browser, WebGpu, numbers};
use dual_mcmc_tests::{models, page};
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};
use xtask::serve::{Reply, Server};

/// What docs/embedding.md gives a host, on a page with one frame: `ask(method, …arguments)`, and the `events` that have come.
fn host(frame: &str) -> String {
    format!(
        "<!doctype html><title>Host</title><link rel=icon href='data:,'>
         <iframe id=frame src='{frame}' width=600 height=600></iframe>
         <script>
           const frame = document.getElementById('frame'), origin = new URL(frame.src).origin;
           const events = [], waiting = new Map();
           let number = 0;
           addEventListener('message', ({{ source, origin: from, data }}) => {{
             if (source !== frame.contentWindow || from !== origin || data?.source !== 'dual-mcmc') return;
             if (data.event) return void events.push([data.event, data.detail]);
             const {{ resolve, reject }} = waiting.get(data.id);
             waiting.delete(data.id);
             if (data.error) reject(new Error(data.error));
             else resolve(data.value);
           }});
           window.ask = (method, ...given) => new Promise((resolve, reject) => {{
             waiting.set(++number, {{ resolve, reject }});
             frame.contentWindow.postMessage({{ target: 'dual-mcmc', id: number, method, arguments: given }}, origin);
           }});
           window.events = events;
         </script>"
    )
}

/// What the frame answers, or its reason why not.
fn ask(browser: &Browser, request: &str) -> Result<Value, String> {
    let answer = browser.run(&format!(
        "try {{ return {{ value: await ask({request}) ?? null }}; }} catch (error) {{ return {{ error: error.message }}; }}"
    ));
    match answer["error"].as_str() {
        Some(error) => Err(error.into()),
        None => Ok(answer["value"].clone()),
    }
}

fn opened(browser: &Browser, address: &str) {
    browser.open(address);
    browser.wait_for("the frame's event", "window.events?.some(([event]) => event === 'load')");
}

#[test]
fn a_page_around_it_asks_and_is_told() {
    let frames = page::serve_models(vec![("plane", models::plane())]);
    let query = "embed.html?model=models/plane.safetensors&chains=6&play=1&device=cpu";
    let [same, allowed, refused] = [
        format!("/{query}"),
        format!("{}{query}&allow=", frames.url()),
        format!("{}{query}&allow=https://example.org", frames.url()),
    ];
    // The host of the same origin is served with the frames; the others from another port.
    let (model, html) = (models::bytes(&models::plane()), host(&same));
    let answers: [(&str, page::Answer); 2] = [
        ("/models/plane.safetensors", Arc::new(move || Reply::of("application/octet-stream", model.clone()))),
        ("/host.html", Arc::new(move || Reply::of("text/html", html.clone()))),
    ];
    let with_host = page::serve_with(answers.map(|(path, answer)| (path.to_string(), answer)).into());
    let place = Arc::new(OnceLock::<String>::new());
    let known = place.clone();
    let elsewhere = Server::start(0, move |path| match path {
        "/refused.html" => Reply::of("text/html", host(&refused)),
        "/allowed.html" => Reply::of("text/html", host(&format!("{allowed}{}", known.get().unwrap()))),
        _ => Reply::not_found(),
    })
    .unwrap();
    place.set(elsewhere.url()).unwrap();
    let browser = Browser::start(WebGpu::Off, &[]);

    opened(&browser, &format!("{}host.html", with_host.url()));
    assert_eq!(ask(&browser, "'pause'"), Ok(Value::Null));
    ask(&browser, "'set', 'chains', 9").unwrap();
    ask(&browser, "'reset', 5").unwrap();
    ask(&browser, "'step', 4").unwrap();
    let state = ask(&browser, "'state'").unwrap();
    assert_eq!((&state["chains"], &state["step"], &state["seed"]), (&json!(9), &json!(4), &json!(5)));
    let energies = ask(&browser, "'energies', (await ask('state')).x").unwrap();
    assert_eq!(numbers(&energies), numbers(&state["energies"]));
    let kind = browser.run("return (await ask('toBlob')).type");
    assert_eq!(kind, "image/png");
    let told = browser.run("return [...new Set(events.map(([event]) => event))].sort()");
    for event in ["change", "load", "step", "visibility"] {
        assert!(told.as_array().unwrap().contains(&json!(event)), "{event}: {told}");
    }
    for (request, says) in [
        ("'destroy'", "no method"),
        ("'set', 'onclick', 'alert(1)'", "no choice"),
        ("'step', 1.5", "whole number"),
        ("'constructor'", "no method"),
    ] {
        let error = ask(&browser, request).unwrap_err();
        assert!(error.contains(says), "{request}: {error}");
    }
    // Another window than the parent is not heard, nor is what has another form.
    browser.run(
        "const other = document.createElement('iframe');
         document.body.append(other);
         const text = `parent.document.getElementById('frame').contentWindow.postMessage({ target: 'dual-mcmc', id: 1, method: 'set', arguments: ['chains', 3] }, '*')`;
         other.contentWindow.eval(text);
         frame.contentWindow.postMessage({ target: 'somebody', method: 'set', arguments: ['chains', 3] }, '*');
         frame.contentWindow.postMessage('dual-mcmc', '*');
         await new Promise((done) => setTimeout(done, 300))",
    );
    assert_eq!(ask(&browser, "'state'").unwrap()["chains"], 9);
    // A reader's own file stays where it is.
    browser.run(
        "const inside = frame.contentDocument.querySelector('dual-mcmc');
        inside.model = await (await fetch('/models/plane.safetensors')).blob(); await inside.state()",
    );
    assert!(ask(&browser, "'state'").unwrap_err().contains("reader’s own"));
    assert_eq!(ask(&browser, "'pause'"), Ok(Value::Null));
    assert_eq!(browser.errors(), Vec::<String>::new());

    // Another origin may steer, and sees states and pictures only where the frame's address names it.
    opened(&browser, &format!("{}refused.html", elsewhere.url()));
    assert_eq!(ask(&browser, "'pause'"), Ok(Value::Null));
    for request in ["'state'", "'toBlob'", "'energies', [0, 0]"] {
        let error = ask(&browser, request).unwrap_err();
        assert!(error.contains("allow="), "{request}: {error}");
    }
    opened(&browser, &format!("{}allowed.html", elsewhere.url()));
    assert_eq!(ask(&browser, "'state'").unwrap()["chains"], 6);
    assert_eq!(browser.errors(), Vec::<String>::new());
}
