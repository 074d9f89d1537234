//! What the lab has around its figure: a text whose links set it, a link that gives the same chains again, code for other pages,
//! and files that other programs read.
#![allow(clippy::unwrap_used)]

use base64::Engine;
use dual_mcmc_tests::browser::{Browser, WebGpu, numbers};
use dual_mcmc_tests::{models, page};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use xtask::serve::{Reply, Server};

/// What is copied and what is saved, kept for the test: `shared.text`, and `shared.files`, name and bytes in base64.
const CATCH: &str = "window.shared = { text: null, files: {} };
    Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => {
        if (window.refuse) throw new Error('not allowed');
        window.shared.text = text;
    } } });
    HTMLAnchorElement.prototype.click = async function () {
        const bytes = new Uint8Array(await (await fetch(this.href)).arrayBuffer());
        window.shared.files[this.download] = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
    };";

fn serve() -> Server {
    page::serve_models(vec![("plane", models::plane())])
}

fn lab(server: &Server, query: &str) -> Browser {
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.before_pages(CATCH);
    browser.open(&format!("{}?model=models/plane.safetensors&play=0&{query}", server.url()));
    browser.wait_for("chains", page::STATE);
    browser.click("#share summary");
    browser
}

fn copied(browser: &Browser, button: &str) -> String {
    browser.run("window.shared.text = null");
    browser.click(button);
    browser.wait_for("something copied", "window.shared.text").as_str().unwrap().to_string()
}

fn saved(browser: &Browser, button: &str, name: &str) -> Vec<u8> {
    browser.click(button);
    let bytes = browser.wait_for("a file", &format!("window.shared.files['{name}']"));
    base64::engine::general_purpose::STANDARD.decode(bytes.as_str().unwrap()).unwrap()
}

#[test]
fn a_link_gives_the_same_chains_again_and_so_does_the_code_for_a_page() {
    let server = serve();
    let browser = lab(&server, "chains=8&start=noise&step-size=0.07&sampler=mala");
    browser.run("await figure.reset(41); await figure.step(7)");
    let there = browser.wait_for("chains", page::STATE);
    let [link, html, frame] =
        ["#copy-link", "#copy-element", "#copy-frame"].map(|button| copied(&browser, button));

    // Each beside the other's page, so that nothing is left of the first.
    let source = frame.split('"').find(|part| part.starts_with("http")).unwrap().replace("&amp;", "&");
    assert!(source.starts_with(&format!("{}embed.html?", server.url())), "{frame}");
    for address in [&link, &source] {
        browser.open("about:blank");
        browser.open(address);
        browser.wait_for("chains", page::STATE);
        browser.run("await figure.step(7)");
        let again = browser.wait_for("chains", page::STATE);
        for key in ["x", "energies", "starts", "sampler", "stepSize", "seed"] {
            assert_eq!(again[key], there[key], "{key} by {address}");
        }
    }

    assert!(html.contains(&format!(r#"src="{}dual-mcmc.js""#, server.url())), "{html}");
    browser.run_with(
        "document.querySelector('dual-mcmc').remove();
         const place = document.createElement('div');
         place.innerHTML = arguments[0];
         document.body.append(place)",
        &[html.as_str().into()],
    );
    browser.wait_for("chains", page::STATE);
    browser.run("await figure.step(7)");
    assert_eq!(browser.wait_for("chains", page::STATE)["x"], there["x"], "{html}");
}

/// A newcomer's way: open, play, compare starts, paint a mask, drop a picture, copy the link, open it again.
#[test]
fn a_newcomer_finds_the_way_and_the_link_leads_back() {
    let server = page::serve_models(vec![("images", models::images())]);
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.before_pages(CATCH);
    browser.open(&format!("{}?model=models/images.safetensors&play=0", server.url()));
    browser.wait_for("chains", page::STATE);
    browser.click("[data-ref=play]");
    browser.wait_for("steps", "(await figure.state()).step > 2");
    browser.click("input[name=start][value=noise]");
    browser.wait_for("two starts", "(await figure.state()).starts.join() === 'generator,noise'");
    browser.click("input[name=view][value=reconstruct]");
    browser.wait_for("a reconstruction", "(await figure.state()).view === 'reconstruct'");
    browser.run(
        "const panel = ref('target-panel'), box = panel.getBoundingClientRect();
         panel.setPointerCapture = () => {};
         for (const [type, x] of [['pointerdown', 0.3], ['pointermove', 0.5], ['pointermove', 0.7]]) {
             panel.dispatchEvent(new PointerEvent(type, { pointerId: 1, button: 0, buttons: 1,
                 clientX: box.left + box.width * x, clientY: box.top + box.height / 2 }));
             await figure.state();
         }",
    );
    let mask = browser.run("return (await figure.state()).mask");
    assert_ne!(mask, "none");
    browser.run("await figure.pause(); await figure.reset(3); await figure.step(4)");
    let there = browser.wait_for("chains", page::STATE);
    browser.click("#share summary");
    let link = copied(&browser, "#copy-link");

    // A picture of one's own is shown, and is in no link.
    browser.run(
        "const canvas = new OffscreenCanvas(20, 20);
         canvas.getContext('2d').fillRect(0, 0, 10, 20);
         const drop = new DataTransfer();
         drop.items.add(new File([await canvas.convertToBlob()], 'mine.png', { type: 'image/png' }));
         dispatchEvent(Object.assign(new Event('drop', { cancelable: true }), { dataTransfer: drop }))",
    );
    browser.wait_for("the picture", "ref('target-caption').textContent.startsWith('Your own picture')");

    browser.open("about:blank");
    browser.open(&link);
    browser.wait_for("chains", page::STATE);
    browser.run("await figure.pause(); await figure.reset(3); await figure.step(4)");
    let again = browser.wait_for("chains", page::STATE);
    for key in ["step", "x", "errors", "mask", "example", "seed", "chains", "view"] {
        assert_eq!(again[key], there[key], "{key}");
    }
    assert_eq!(browser.errors(), Vec::<String>::new());
}

/// As `dual-mcmc lab` serves it: each checkpoint has another address, and there is a report.
#[test]
fn a_run_that_trains_is_followed() {
    let at = Arc::new(AtomicU32::new(1));
    let (list, model) = (at.clone(), models::bytes(&models::plane()));
    let answers: [(&str, page::Answer); 2] = [
        (
            "/models/index.json",
            Arc::new(move || {
                let at = list.load(Ordering::Relaxed);
                let entry = serde_json::json!({
                    "file": format!("run.safetensors?at={at}"), "title": format!("run, {at} iterations"),
                    "live": true, "report": "reports/run.html",
                });
                Reply::of("application/json", serde_json::json!({ "models": [entry] }).to_string())
            }),
        ),
        ("/models/run.safetensors", Arc::new(move || Reply::of("application/octet-stream", model.clone()))),
    ];
    let server = page::serve_with(answers.map(|(path, answer)| (path.to_string(), answer)).into());
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.open(&format!("{}?play=0&view=sample", server.url()));
    browser
        .wait_for("the first checkpoint", "(await figure.state()).model === 'models/run.safetensors?at=1'");
    assert_eq!(
        browser.run("return document.getElementById('report').getAttribute('href')"),
        "reports/run.html"
    );
    browser.run("figure.chains = 7");
    at.store(2, Ordering::Relaxed);
    let next = browser.wait_for(
        "the next one",
        "((s) => s.model === 'models/run.safetensors?at=2' && s)(await figure.state().catch(() => ({})))",
    );
    // How its chains are looked at stays.
    assert_eq!((&next["chains"], &next["view"]), (&serde_json::json!(7), &serde_json::json!("sample")));
    assert_eq!(
        browser.run("return document.getElementById('model').selectedOptions[0].text"),
        "run, 2 iterations"
    );
    assert_eq!(browser.errors(), Vec::<String>::new());
}

#[test]
fn what_is_saved_is_what_is_shown() {
    let server = serve();
    let browser = lab(&server, "chains=6&start=generator+noise&seed=5");
    browser.run("await figure.step(3)");
    let state = browser.wait_for("chains", page::STATE);

    let file = saved(&browser, "#save-states", "plane.npy");
    let states = npyz::NpyFile::new(&file[..]).unwrap();
    assert_eq!(states.shape(), [12, 2]);
    assert_eq!(states.into_vec::<f32>().unwrap(), numbers(&state["x"]));

    let table = String::from_utf8(saved(&browser, "#save-energies", "plane.csv")).unwrap();
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("chain,start,energy"));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(
        [rows[0][1], rows[5][1], rows[6][1], rows[11][1]],
        ["generator", "generator", "noise", "noise"]
    );
    let energies: Vec<f32> = rows.iter().map(|row| row[2].parse().unwrap()).collect();
    assert_eq!(energies, numbers(&state["energies"]));

    assert_eq!(saved(&browser, "#save-model", "plane.safetensors"), models::bytes(&models::plane()));
    let picture = image::load_from_memory(&saved(&browser, "#save-picture", "plane.png")).unwrap();
    assert!(picture.width() >= 200);
    assert_eq!(browser.errors(), Vec::<String>::new());
}

#[test]
fn without_a_clipboard_the_text_is_shown_and_a_file_of_ones_own_has_no_link() {
    let server = serve();
    let browser = lab(&server, "seed=2");
    browser.run("window.refuse = true");
    browser.click("#copy-link");
    let text = browser.wait_for(
        "the link to copy",
        "((box) => !box.hidden && box.value)(document.getElementById('shared-text'))",
    );
    assert!(text.as_str().unwrap().contains("seed=2"), "{text}");

    browser.run(
        "const blob = await (await fetch('models/plane.safetensors')).blob();
         const drop = new DataTransfer();
         drop.items.add(new File([blob], 'my own.safetensors'));
         dispatchEvent(Object.assign(new Event('drop', { cancelable: true }), { dataTransfer: drop }))",
    );
    browser.wait_for("the file's chains", "(await figure.state()).model === 'my own.safetensors'");
    browser.click("#copy-link");
    browser.wait_for(
        "why there is no link",
        "document.getElementById('shared').textContent.includes('file of your own')",
    );
    assert_eq!(saved(&browser, "#save-model", "my own.safetensors"), models::bytes(&models::plane()));
}

#[test]
fn a_question_mark_lists_the_keys_except_where_one_types() {
    let server = serve();
    let browser = lab(&server, "");
    let open = "document.getElementById('keys').open";
    browser.send_keys("[data-ref=seed]", "?");
    assert_eq!(browser.run(&format!("return {open}")), false);
    browser.send_keys("#share summary", "?");
    browser.wait_for("the list of keys", open);
    browser.click("#keys button");
    browser.wait_for("the page again", &format!("!{open}"));
}

#[test]
fn every_link_of_the_text_sets_the_figure_and_every_symbol_marks_a_part_of_it() {
    let server = page::serve();
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.open(&server.url());
    browser.wait_for("chains", page::STATE);
    // Those to the training view, which needs no model, are followed in train.rs.
    browser
        .run("document.querySelectorAll('a.do[href*=train]').forEach((link) => link.classList.remove('do'))");
    let links = browser.run("return [...document.querySelectorAll('a.do')].map((link) => link.search)");
    let links = links.as_array().unwrap();
    assert!(links.len() >= 12, "{links:?}");
    for (i, link) in links.iter().enumerate() {
        browser.run_with("document.querySelectorAll('a.do')[arguments[0]].click()", &[i.into()]);
        let told = browser.wait_for(
            &format!("the figure of {link}"),
            &format!(
                "await (async () => {{
                    const wanted = new URLSearchParams({link}), state = await figure.state().catch(() => null);
                    const it = state && state.model === wanted.get('model') && state.view === wanted.get('view')
                        && (!wanted.has('start') || state.starts.join(' ') === wanted.get('start'))
                        && (!wanted.has('sampler') || state.sampler === wanted.get('sampler'))
                        && state.playing && state.step > 1 && ref('empty').hidden;
                    return it ? ref('notice').hidden + ' ' + ref('status').textContent : null;
                }})()"
            ),
        );
        assert!(told.as_str().unwrap().starts_with("true"), "{link}: {told}");
        // The link is an address as well, which says the same.
        let address = browser.run("return location.search");
        let [address, link] = [&address, link].map(|query| {
            let mut pairs: Vec<String> =
                query.as_str().unwrap().trim_start_matches('?').split('&').map(String::from).collect();
            pairs.sort();
            pairs.join("&").replace("%2F", "/")
        });
        assert_eq!(address, link);
    }
    browser.click("#back");
    let focused = browser.run("return document.activeElement.search");
    assert_eq!(&focused, links.last().unwrap());

    let marks =
        browser.run("return [...document.querySelectorAll('b[data-mark]')].map((b) => b.dataset.mark)");
    for mark in marks.as_array().unwrap() {
        browser.click(&format!("b[data-mark={}]", mark.as_str().unwrap()));
        let marked = browser.run(
            "return [...figure.shadowRoot.querySelectorAll('[part]')]
                .filter((it) => getComputedStyle(it).outlineWidth === '3px').length",
        );
        assert!(marked.as_u64().unwrap() >= 1, "{mark}");
    }
    assert_eq!(browser.errors(), Vec::<String>::new());
}
