//! What a run leaves behind: the way of a chosen chain, what was before it started over, a file that moves, tables; and what of the
//! panel is left out.
#![allow(clippy::unwrap_used)]

use base64::Engine;
use dual_mcmc::cpu::Evaluator;
use dual_mcmc::executor::Executor;
use dual_mcmc::jobs::{Filler, Observed, Reconstructor};
use dual_mcmc::model::Model;
use dual_mcmc_tests::browser::{Browser, WebGpu, numbers};
use dual_mcmc_tests::models::{self, IMAGE_LEN, IMAGE_SIGMA};
use dual_mcmc_tests::page;
use image::AnimationDecoder;
use image::codecs::png::PngDecoder;
use npyz::WriterBuilder;
use serde_json::{Value, json};

fn state(browser: &Browser) -> Value {
    browser.wait_for("chains", page::STATE)
}

fn near(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= 1e-4 * b.abs().max(1.0), "{a}, and {b}");
    }
}

fn energies(model: &Model, x: &[f32]) -> Vec<f32> {
    let energy = model.energy.as_ref().unwrap();
    Evaluator::new(&energy.network, &energy.weights).unwrap().forward(x)
}

/// By pointer, by keys and by the address; scrubbed back and forth. What is told is what the states say.
#[test]
fn a_chosen_chain_opens_large_and_can_be_scrubbed_back() {
    let (image, plane) = (models::images(), models::plane());
    let server = page::serve_models(vec![("images", image.clone()), ("plane", plane.clone())]);
    for (webgpu, device) in [(WebGpu::Off, "cpu"), (WebGpu::Software, "gpu")] {
        let browser = Browser::start(webgpu, &[]);
        let open = |query: &str| {
            browser.open(&format!("{}?play=0&device={device}&{query}", server.url()));
            state(&browser)
        };
        let look = |model: &Model, len: usize, chain: usize, step: u64, start: &[f32]| {
            let found = state(&browser)["look"].clone();
            assert_eq!((&found["chain"], &found["step"]), (&json!(chain), &json!(step)), "{found}");
            let x = numbers(&found["x"]);
            near(&[found["energy"].as_f64().unwrap() as f32], &energies(model, &x));
            let start = &start[(chain - 1) * len..chain * len];
            let far = x.iter().zip(start).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
            near(&[found["distance"].as_f64().unwrap() as f32], &[far]);
            x
        };
        let scrub = |place: usize| {
            browser.run(&format!(
                "ref('film').value = {place}; ref('film').dispatchEvent(new Event('input')); await figure.state()"
            ));
        };

        // The third image of four, by a click.
        let begin = open("model=models/images.safetensors&chains=4");
        let starts = numbers(&begin["x"]);
        assert_eq!(browser.run("return ref('close-up').hidden"), true);
        browser.run("const box = ref('refined-panel').getBoundingClientRect();
            ref('refined-panel').dispatchEvent(new MouseEvent('click', { clientX: box.left + box.width / 4, clientY: box.top + box.height * 0.75 }))");
        browser.wait_for("a large picture", "!ref('close-up').hidden && figure.chain === 3");
        assert_eq!(browser.run("return location.search.includes('chain=3')"), true);
        browser.run("for (let i = 0; i < 7; i += 1) await figure.step(1)");
        let after = state(&browser);
        assert_eq!(after["film"], json!([0, 1, 2, 3, 4, 5, 6, 7]));
        let now = look(&image, IMAGE_LEN, 3, 7, &starts);
        near(&now, &numbers(&after["x"])[2 * IMAGE_LEN..3 * IMAGE_LEN]);
        scrub(0);
        assert_eq!(look(&image, IMAGE_LEN, 3, 0, &starts), starts[2 * IMAGE_LEN..3 * IMAGE_LEN]);
        assert_eq!(
            browser.run(
                "return ref('close-caption').textContent.startsWith('Chain 3 where it started, energy')"
            ),
            true
        );
        scrub(4);
        let middle = look(&image, IMAGE_LEN, 3, 4, &starts);
        assert_ne!(middle, now);
        // While one looks back, the chains go on.
        browser.run("await figure.step(1)");
        look(&image, IMAGE_LEN, 3, 4, &starts);
        assert_eq!(state(&browser)["step"], 8);
        // The last picture on the strip is now.
        browser.run("const box = ref('film-panel').getBoundingClientRect(), canvas = ref('film-panel').querySelector('canvas');
            ref('film-panel').dispatchEvent(new MouseEvent('click', { clientX: box.left + canvas.getBoundingClientRect().width * 0.01, clientY: box.top + 5 })); await figure.state()");
        look(&image, IMAGE_LEN, 3, 0, &starts);
        scrub(8);
        look(&image, IMAGE_LEN, 3, 8, &starts);
        // By keys to another one, and away.
        browser.run("for (const key of ['ArrowRight', 'Escape']) ref('refined-panel').dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))");
        browser.wait_for("no large picture", "ref('close-up').hidden && figure.chain === null");

        // The address brings it; one that is not there is said.
        let begin = open("model=models/plane.safetensors&chains=5&view=sample&chain=2");
        let starts = numbers(&begin["x"]);
        browser.run("await figure.step(3)");
        look(&plane, 2, 2, 3, &starts);
        let said = browser.run("return ref('close-caption').textContent");
        assert!(said.as_str().unwrap().contains("Chain 2 after 3 steps at ("), "{said}");
        open("model=models/images.safetensors&chains=4&chain=9");
        let said = browser.run("return ref('remarks').innerText");
        assert!(said.as_str().unwrap().contains("Chain 9 is not there: 4 run."), "{said}");
        assert_eq!(browser.run("return ref('close-up').hidden"), true);
        assert_eq!(browser.errors(), Vec::<String>::new());
    }
}

/// To the last bit: the chains go on as if they had never started over. Settings come back, too.
#[test]
fn what_started_over_can_be_undone() {
    let ring = Model::from_bytes(include_bytes!("../../models/ring.safetensors")).unwrap();
    let server = page::serve_models(vec![("images", models::images()), ("plane", ring)]);
    for (webgpu, device) in [(WebGpu::Off, "cpu"), (WebGpu::Software, "gpu")] {
        let browser = Browser::start(webgpu, &[]);
        for (model, view) in [("plane", "reconstruct"), ("images", "sample"), ("images", "reconstruct")] {
            let line = format!(
                "{}?model=models/{model}.safetensors&play=0&device={device}&view={view}",
                server.url()
            );
            browser.open(&line);
            state(&browser);
            browser.run("await figure.step(9)");
            let straight = state(&browser);

            browser.open(&line);
            state(&browser);
            assert_eq!(browser.run("return ref('undo').hidden"), true);
            browser.run("await figure.step(4)");
            let before = state(&browser);
            browser.click("[data-ref=reset]");
            browser.wait_for("a new start", "(await figure.state()).step === 0 && !ref('undo').hidden");
            browser.run("await figure.step(2)");
            browser.click("[data-ref=undo]");
            browser.wait_for("what was before", "(await figure.state()).step === 4");
            let after = state(&browser);
            for key in ["x", "z", "energies", "errors", "trace", "film", "seed"] {
                assert_eq!(after[key], before[key], "{key} of {view}");
            }
            browser.run("await figure.step(5)");
            assert_eq!(state(&browser)["x"], straight["x"], "{view}");
            assert_eq!(browser.run("return ref('undo').hidden"), true);

            // By key, after a new start with another seed.
            browser.run("await figure.reset(17); await figure.step(1)");
            assert_eq!(browser.run("return figure.seed"), 17);
            browser.run("ref('reset').focus(); ref('reset').dispatchEvent(new KeyboardEvent('keydown', { key: 'z', ctrlKey: true, bubbles: true }))");
            browser.wait_for("what was before", "(await figure.state()).step === 9");
            assert_eq!(state(&browser)["x"], straight["x"]);
        }
        // Of what starts elsewhere, nothing is kept.
        browser.run("await figure.reset(); await figure.step(2); figure.mask = 'lower'");
        browser
            .wait_for("another start", "((s) => s.mask === 'lower' && s.step === 0)(await figure.state())");
        assert_eq!(browser.run("return ref('undo').hidden"), true);
        browser.run("figure.fill = 'energy'; await figure.step(12)");
        assert_eq!(state(&browser)["fills"], true);
        browser.run("figure.fill = null");
        browser.wait_for("the z-chain alone", "((s) => !s.fills && s.step === 0)(await figure.state())");
        assert_eq!(browser.run("return ref('undo').hidden"), true);
        // The settings as they were before they became the model's own.
        browser.run("figure.view = 'sample'; figure.stepSize = 0.3; figure.start = 'noise'");
        browser.wait_for("other settings", "(await figure.state()).stepSize === 0.3");
        browser.click("[data-ref=defaults]");
        browser.wait_for("the model's own", "(await figure.state()).stepSize === 0.1 && !ref('undo').hidden");
        browser.click("[data-ref=undo]");
        let back =
            browser.wait_for("other settings", "((s) => s.stepSize === 0.3 && s)(await figure.state())");
        assert_eq!(back["starts"], json!(["noise"]));
        assert_eq!(browser.errors(), Vec::<String>::new());
    }
}

#[test]
fn a_run_is_saved_as_a_file_that_moves() {
    let server = page::serve_models(vec![("images", models::images())]);
    let browser = Browser::start(WebGpu::Off, &[]);
    for view in ["sample", "reconstruct", "energy", "latent"] {
        browser.open(&format!("{}?model=models/images.safetensors&play=0&view={view}", server.url()));
        state(&browser);
        let bytes = |kind: &str| {
            let base64 = browser.run(&format!(
                "const blob = await figure.toBlob('{kind}');
                 if (blob.type !== '{kind}') throw new Error(blob.type);
                 return btoa(Array.from(new Uint8Array(await blob.arrayBuffer()), (byte) => String.fromCharCode(byte)).join(''))"
            ));
            base64::engine::general_purpose::STANDARD.decode(base64.as_str().unwrap()).unwrap()
        };
        let first = image::load_from_memory(&bytes("image/png")).unwrap().into_rgba8();
        browser.run("for (let i = 0; i < 3; i += 1) await figure.step(3)");
        let last = image::load_from_memory(&bytes("image/png")).unwrap().into_rgba8();
        assert_ne!(first, last, "{view}");
        let file = bytes("image/apng");
        let decoder = PngDecoder::new(std::io::Cursor::new(&file)).unwrap();
        let frames = decoder.apng().unwrap().into_frames().collect_frames().unwrap();
        // A frame for each of the steps that are kept.
        let kept = state(&browser)["film"].as_array().unwrap().len();
        assert!(kept >= 4 && frames.len() == kept, "{view}: {} frames of {kept}", frames.len());
        assert_eq!(frames[0].buffer(), &first, "{view}: the start");
        assert_eq!(frames[kept - 1].buffer(), &last, "{view}: the end");
    }
    assert_eq!(browser.errors(), Vec::<String>::new());
}

#[test]
fn what_is_drawn_is_a_table_too() {
    let server = page::serve_models(vec![("plane", models::plane())]);
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.open(&format!(
        "{}?model=models/plane.safetensors&play=0&view=sample&chains=3&start=generator+noise",
        server.url()
    ));
    state(&browser);
    browser.run("await figure.step(6)");
    browser.click("[data-ref=numbers] summary");
    let rows = |table: usize| {
        let rows = browser.wait_for("a table", &format!(
            "[...ref('number-tables').querySelectorAll('table')[{table}]?.rows ?? []].map((row) => [...row.cells].map((cell) => cell.textContent))"
        ));
        serde_json::from_value::<Vec<Vec<String>>>(rows).unwrap()
    };
    let number = |text: &str| text.replace('−', "-").parse::<f32>().unwrap();
    let found = state(&browser);
    let (x, energies) = (numbers(&found["x"]), numbers(&found["energies"]));
    let chains = rows(0);
    assert_eq!(chains[0], ["chain", "energy", "from", "x₁", "x₂"]);
    assert_eq!(chains.len(), 7);
    for (chain, row) in chains[1..].iter().enumerate() {
        assert_eq!(row[0], (chain + 1).to_string());
        assert_eq!(row[2], if chain < 3 { "generator" } else { "noise" });
        let shown = [&row[1], &row[3], &row[4]].map(|text| number(text));
        // To three digits.
        for (shown, exact) in shown.iter().zip([energies[chain], x[2 * chain], x[2 * chain + 1]]) {
            assert!((shown - exact).abs() <= 6e-3 * exact.abs() + 1e-5, "{row:?}: {exact}");
        }
    }
    let steps = rows(1);
    let trace = numbers(&found["trace"]);
    assert_eq!(steps.len(), trace.len() + 1);
    assert!((number(&steps[7][1]) - trace[6]).abs() <= 6e-3 * trace[6].abs());
    // They follow the chains.
    browser.run("await figure.step(1)");
    browser.wait_for("another row", "ref('number-tables').querySelectorAll('table')[1].rows.length === 9");
    assert_eq!(browser.errors(), Vec::<String>::new());
}

/// Every word hides something that is there without it.
#[test]
fn what_an_author_hides_is_not_there() {
    let server = page::serve();
    let browser = Browser::start(WebGpu::Off, &[]);
    let words: Vec<&str> = match dual_mcmc_web::choices::row("hide").unwrap().takes {
        dual_mcmc_web::choices::Takes::Words(words) => words.to_vec(),
        other => panic!("{other:?}"),
    };
    let mut hidden = Vec::new();
    for query in [
        "ring.safetensors&view=landscape",
        "fashion-mnist.safetensors&view=reconstruct",
        "fashion-mnist.safetensors&view=latent",
    ] {
        browser.open(&format!("{}?play=0&model=models/{query}", server.url()));
        state(&browser);
        let seen = "[...figure.shadowRoot.querySelectorAll('[data-ref], figcaption')].filter((it) => it.checkVisibility()).length";
        let all = browser.run(&format!("return {seen}")).as_u64().unwrap();
        for word in &words {
            browser.run(&format!("figure.hide = '{word}'"));
            if browser.run(&format!("return {seen}")).as_u64().unwrap() < all {
                hidden.push(*word);
            }
        }
        browser.run(&format!("figure.hide = '{}'", words.join(" ")));
        assert_eq!(browser.run("return [...figure.shadowRoot.querySelectorAll('input, select, button')].filter((it) => it.checkVisibility()).length"), 0);
        browser.run("figure.hide = null");
        assert_eq!(browser.run(&format!("return {seen}")).as_u64().unwrap(), all);
    }
    let missing: Vec<_> = words.iter().filter(|word| !hidden.contains(word)).collect();
    assert!(missing.is_empty(), "{missing:?} hide nothing");
    assert_eq!(browser.errors(), Vec::<String>::new());
}

/// After the z-chain the x-chain goes on, on the hidden pixels alone; both are the library's.
#[test]
fn what_is_hidden_is_filled_in_by_the_energy() {
    let model = models::images();
    let server = page::serve_models(vec![("images", model.clone())]);
    let lower: Vec<f32> = [[1.0; IMAGE_LEN / 2], [0.0; IMAGE_LEN / 2]].concat();
    for (webgpu, device) in [(WebGpu::Off, "cpu"), (WebGpu::Software, "gpu")] {
        let browser = Browser::start(webgpu, &[]);
        let line =
            "?model=models/images.safetensors&view=reconstruct&play=0&mask=lower&fill=energy&chains=6&seed=3";
        browser.open(&format!("{}{line}&device={device}", server.url()));
        state(&browser);
        let (z, x) = (model.chains.z.unwrap(), model.chains.x.unwrap());
        browser.run(&format!("await figure.step({})", z.steps + 4));
        let found = state(&browser);
        assert_eq!(
            (&found["fills"], &found["step"], &found["errors"]),
            (&json!(true), &json!(4), &json!([]))
        );

        let one = Executor::Cpu { threads: 1 };
        let target = numbers(&found["target"]);
        let mut reconstructor = Reconstructor::new(&one, &model, 6).unwrap();
        let observed = Observed { x: &target, mask: Some(&lower), sigma: IMAGE_SIGMA };
        pollster::block_on(reconstructor.start_from(0, 3, &observed, 3)).unwrap();
        pollster::block_on(reconstructor.advance(z.steps, &z.langevin)).unwrap();
        let mut filler = Filler::new(&one, &model, 6).unwrap();
        filler.start_at(0, reconstructor.states(), [&target, &lower], 3).unwrap();
        pollster::block_on(filler.advance(4, &x.langevin)).unwrap();
        let shown = numbers(&found["x"]);
        near(&shown, filler.states());
        for image in shown.chunks(IMAGE_LEN) {
            assert_eq!(image[..IMAGE_LEN / 2], target[..IMAGE_LEN / 2], "what is known stays");
        }
        near(&numbers(&found["energies"]), &energies(&model, &shown));
        let said = browser.run("return ref('prior-caption').textContent");
        assert!(
            said.as_str().unwrap().contains("whose hidden pixels the x-chain has filled in for 4 steps"),
            "{said}"
        );

        // Played, it comes to the end of both.
        browser.run("await figure.reset(); await figure.play()");
        let end = x.steps;
        browser.wait_for(
            "the end",
            &format!("((s) => s.fills && s.step === {end} && !s.playing)(await figure.state())"),
        );
        // The z-chain alone starts over.
        browser.run("ref('fill').value = 'posterior'; ref('fill').dispatchEvent(new Event('change'))");
        let back = browser.wait_for("the z-chain alone", "((s) => !s.fills && s)(await figure.state())");
        assert_eq!((&back["step"], &back["energies"]), (&json!(0), &json!([])));
        assert_eq!(browser.errors(), Vec::<String>::new());
    }
}

/// Where latents are points of the plane, they are shown there.
#[test]
fn latents_of_the_plane_are_shown_on_their_own() {
    let ring = Model::from_bytes(include_bytes!("../../models/ring.safetensors")).unwrap();
    let server = page::serve();
    for (webgpu, device) in [(WebGpu::Off, "cpu"), (WebGpu::Software, "gpu")] {
        let browser = Browser::start(webgpu, &[]);
        browser.open(&format!(
            "{}?model=models/ring.safetensors&view=reconstruct&play=0&chains=6&device={device}",
            server.url()
        ));
        state(&browser);
        browser.run("await figure.step(12)");
        let found = state(&browser);
        let generator = ring.generator.as_ref().unwrap();
        let made =
            Evaluator::new(&generator.network, &generator.weights).unwrap().forward(&numbers(&found["z"]));
        near(&numbers(&found["x"]), &made);
        assert_eq!(browser.run("return ref('latent-figure').hidden"), false);
        assert_eq!(browser.errors(), Vec::<String>::new());
    }
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.open(&format!("{}?model=models/fashion-mnist.safetensors&view=reconstruct&play=0", server.url()));
    assert_eq!(numbers(&state(&browser)["z"]), [0.0; 0]);
    assert_eq!(browser.run("return ref('latent-figure').hidden"), true);
}

#[test]
fn a_long_run_says_what_it_means() {
    let server = page::serve();
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.open(&format!(
        "{}?model=models/mnist.safetensors&view=sample&play=0&chains=4&rate=240",
        server.url()
    ));
    let steps = state(&browser);
    assert_eq!((&steps["step"], browser.run("return ref('play').textContent")), (&json!(0), json!("Play")));
    browser.run("await figure.play()");
    browser.wait_for("the end of the model's own chain", "ref('play').textContent === 'Long run'");
    assert_eq!(browser.run("return ref('long-run').textContent"), "");
    browser.click("[data-ref=play]");
    let said = browser.wait_for("words", "ref('long-run').textContent");
    assert!(said.as_str().unwrap().contains("the model recommends"), "{said}");
    assert_eq!(browser.errors(), Vec::<String>::new());
}

/// As examples are: chosen, explained, and started at.
#[test]
fn samples_of_ones_own_take_the_examples_place() {
    let model = models::images();
    let server = page::serve_models(vec![("images", model.clone())]);
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.open(&format!("{}?model=models/images.safetensors&play=0", server.url()));
    assert_eq!(state(&browser)["view"], "sample");
    let values: Vec<f32> = (0..5 * IMAGE_LEN).map(|i| (i % 89) as f32 / 44.0 - 1.0).collect();
    let file = |shape: &[u64]| {
        let mut bytes = Vec::new();
        let options = npyz::WriteOptions::new().default_dtype().shape(shape);
        let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
        writer.extend(values[..shape.iter().product::<u64>() as usize].iter().copied()).unwrap();
        writer.finish().unwrap();
        bytes
    };
    let give = |bytes: Vec<u8>| {
        browser.run(&format!("figure.image = new File([new Uint8Array({bytes:?})], 'mine.npy')"))
    };
    give(file(&[5, 12, 12]));
    let found = browser.wait_for(
        "the first of them",
        "((s) => s.view === 'reconstruct' && s.example === 1 && s)(await figure.state())",
    );
    assert_eq!(numbers(&found["target"]), values[..IMAGE_LEN]);
    assert_eq!(
        browser.run("return [ref('target-caption').textContent, ref('examples-caption').textContent]"),
        json!(["Your sample 1", "Your samples"])
    );
    browser.run("figure.example = 5");
    let found = browser.wait_for("the last of them", "((s) => s.example === 5 && s)(await figure.state())");
    assert_eq!(numbers(&found["target"]), values[4 * IMAGE_LEN..]);
    browser.run("figure.view = 'energy'");
    let found = browser.wait_for("its energy", "((s) => s.view === 'energy' && s)(await figure.state())");
    near(&numbers(&found["energies"]), &energies(&model, &values[4 * IMAGE_LEN..]));
    browser.run("figure.view = 'sample'; figure.start = 'data'; figure.chains = 5");
    let found = browser.wait_for(
        "chains from them",
        "((s) => s.starts[0] === 'data' && s.chains === 5 && s)(await figure.state())",
    );
    assert_eq!(numbers(&found["x"]), values);
    // What does not fit is said, and what there was stays.
    give(file(&[2, 9, 9]));
    let said = browser.wait_for("a remark", "!ref('remarks').hidden && ref('remarks').innerText");
    assert!(said.as_str().unwrap().contains("“mine.npy” cannot be used: It holds 2 × 9 × 9"), "{said}");
    assert_eq!(numbers(&state(&browser)["x"]), values);
    assert_eq!(browser.errors(), Vec::<String>::new());
}

/// Vectors that are neither images nor points of the plane are strips, in every view that a model of them has.
#[test]
fn vectors_of_any_length_have_their_views() {
    let lengths = [1usize, 3, 64];
    let names = lengths.map(|length| format!("of-{length}"));
    let models = names.iter().zip(lengths).map(|(name, length)| (name.as_str(), models::vectors(length)));
    let server = page::serve_models(models.collect());
    let browser = Browser::start(WebGpu::Off, &[]);
    for (name, length) in names.iter().zip(lengths) {
        for view in ["sample", "reconstruct", "energy", "latent", "landscape"] {
            let query =
                format!("?play=0&model=models/{name}.safetensors&view={view}&chain=2&start=generator+noise");
            browser.open(&format!("{}{query}", server.url()));
            state(&browser);
            browser.run("await figure.step(3)");
            let found = state(&browser);
            let shown = if view == "landscape" { "sample" } else { view };
            assert_eq!((&found["shape"], &found["view"]), (&json!([length]), &json!(shown)), "{query}");
            assert!(numbers(&found["x"]).iter().all(|value| value.is_finite()), "{query}");
            let of_one = ["reconstruct", "energy"].contains(&view);
            assert_eq!(found["look"].is_object(), !of_one, "{query}: {found}");
            let said = browser.run("return ref('remarks').innerText");
            assert_eq!(
                said.as_str().unwrap().contains("landscape needs"),
                view == "landscape",
                "{query}: {said}"
            );
        }
    }
    assert_eq!(browser.errors(), Vec::<String>::new());
}
