//! What the views show: their chains are the library's, and so are the numbers beside them; what is chosen by list, by pointer and
//! by keys stands in the address.
#![allow(clippy::unwrap_used)]

use dual_mcmc::cpu::Evaluator;
use dual_mcmc::executor::Executor;
use dual_mcmc::jobs::{Observed, Reconstructor, Sampler};
use dual_mcmc::model::{Annotations, Histogram, Model};
use dual_mcmc::noise::{Noise, Stream};
use dual_mcmc_tests::browser::{Browser, WebGpu, numbers};
use dual_mcmc_tests::models::{IMAGE_LATENT as LATENT, IMAGE_LEN as LEN, IMAGE_SIDE as SIDE, images};
use dual_mcmc_tests::page::{self, serve_models as serve};
use serde_json::{Value, json};

fn state(browser: &Browser) -> Value {
    browser.wait_for("running chains", page::STATE)
}

/// Distance as a share of the length.
fn apart(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
    norm(&mut found.iter().zip(expected).map(|(a, b)| a - b)) / norm(&mut expected.iter().copied())
}

/// The chains of the view are those of the library, with its seed; the errors are those of the states shown.
fn check(found: &Value, model: &Model, mask: Option<&[f32]>) {
    let shape = model.data_shape();
    let len: usize = shape.iter().product();
    let example = found["example"].as_u64().unwrap() as usize;
    let examples = model.annotations.examples.as_ref().unwrap().values();
    let target = numbers(&found["target"]);
    assert_eq!(target, examples[(example - 1) * len..example * len]);

    let (chains, steps) = (found["chains"].as_u64().unwrap() as usize, found["step"].as_u64().unwrap());
    let mut own = Reconstructor::new(&Executor::Cpu { threads: 1 }, model, chains).unwrap();
    let z = model.chains.z.unwrap();
    let observed = Observed { x: &target, mask, sigma: z.sigma };
    let encoded = if model.encoder.is_some() { chains.div_ceil(2) } else { 0 };
    pollster::block_on(own.start_from(0, encoded as u32, &observed, found["seed"].as_u64().unwrap()))
        .unwrap();
    pollster::block_on(own.advance(steps as u32, &z.langevin)).unwrap();
    let x = numbers(&found["x"]);
    assert!(apart(&x, own.states()) < 1e-4, "{}", apart(&x, own.states()));
    let known = |i: usize| mask.map_or(1.0, |mask| mask[i]);
    let errors: Vec<f32> = x
        .chunks(len)
        .map(|x| x.iter().zip(&target).enumerate().map(|(i, (a, b))| known(i) * (a - b).powi(2)).sum())
        .collect();
    let told = numbers(&found["errors"]);
    assert!(apart(&told, &errors) < 1e-4, "{told:?}, and {errors:?}");
    assert_eq!(found["energies"], json!([]));
    // What hovers over the chains is their mean.
    let trace = numbers(&found["trace"]);
    assert_eq!(trace.len(), steps as usize + 1);
    assert!((trace[trace.len() - 1] / (errors.iter().sum::<f32>() / chains as f32) - 1.0).abs() < 1e-4);
}

#[test]
fn the_chains_and_their_errors_are_the_librarys() {
    let model = images();
    let mut without = images();
    without.encoder = None;
    let ring = Model::from_bytes(include_bytes!("../../models/ring.safetensors")).unwrap();
    let server = serve(vec![("images", model.clone()), ("without", without.clone())]);
    let lower: Vec<f32> = [[1.0; LEN / 2], [0.0; LEN / 2]].concat();
    for (webgpu, device) in [(WebGpu::Off, "cpu"), (WebGpu::Software, "gpu")] {
        let browser = Browser::start(webgpu, &[]);
        for (name, model, query, mask) in [
            ("images", &model, "&example=2", None),
            ("images", &model, "&mask=lower&chains=5&seed=4", Some(&lower[..])),
            ("without", &without, "", None),
            ("ring", &ring, "&example=64", None),
        ] {
            let line =
                format!("?model=models/{name}.safetensors&view=reconstruct&play=0&device={device}{query}");
            browser.open(&format!("{}{line}", server.url()));
            let before = state(&browser);
            assert_eq!(
                (&before["view"], &before["device"]),
                (&json!("reconstruct"), &json!(device)),
                "{line}"
            );
            browser.run("await figure.step(7)");
            let after = state(&browser);
            assert_eq!(after["step"], 7);
            check(&after, model, mask);
            let shown = browser.run("return ref('encoder-figure').hidden").as_bool().unwrap();
            assert_eq!(shown, name == "without", "{line}");
        }
        assert_eq!(browser.errors(), Vec::<String>::new());
    }
}

#[test]
fn what_is_hidden_is_painted_chosen_and_kept_in_the_address() {
    let server = serve(vec![("images", images())]);
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.resize(1000, 1100);
    browser.open(&format!("{}?model=models/images.safetensors&view=reconstruct&play=0", server.url()));
    assert_eq!(state(&browser)["mask"], "none");
    let hidden = |browser: &Browser| {
        let mask = browser.run("return (await figure.state()).mask");
        let mask = mask.as_str().unwrap().to_string();
        (0..LEN)
            .filter(|i| u8::from_str_radix(&mask[i / 8 * 2..][..2], 16).unwrap() >> (7 - i % 8) & 1 == 1)
            .collect::<Vec<_>>()
    };
    // A drag from the upper left corner along the first row.
    let drag = "const panel = ref('target-panel'), box = panel.getBoundingClientRect();
        const send = (type, x, y, buttons) => panel.dispatchEvent(new PointerEvent(type, { pointerId: 1, button: 0, buttons,
          clientX: box.left + box.width * x, clientY: box.top + box.height * y }));
        panel.setPointerCapture = () => {};";
    let step = 1.0 / SIDE as f64;
    browser.run(&format!(
        "{drag} send('pointerdown', {0}, {0}, 1); for (let i = 1; i < 4; i++) {{ send('pointermove', (i + 0.5) * {step}, {0}, 1); await figure.state(); }} send('pointerup', 0, 0, 0);",
        0.5 * step
    ));
    assert_eq!(hidden(&browser), [0, 1, 2, 3]);
    // The brush shows where it begins on what is hidden.
    browser.run(&format!("{drag} send('pointerdown', {}, {}, 1)", 1.5 * step, 0.5 * step));
    assert_eq!(hidden(&browser), [0, 2, 3]);
    assert_eq!(browser.run("return ref('mask').value"), "painted");

    // By keys: into the middle, one to the right, and hide.
    browser.run("ref('target-panel').focus()");
    let press = |keys: &str| {
        browser.run(&format!(
            "for (const key of {keys}) ref('target-panel').dispatchEvent(new KeyboardEvent('keydown', {{ key, bubbles: true, cancelable: true }}))"
        ));
    };
    press("['ArrowRight', 'ArrowRight', ' ']");
    let middle = SIDE / 2 * SIDE + SIDE / 2 + 1;
    assert_eq!(hidden(&browser), [0, 2, 3, middle]);

    // The address brings all of it back.
    let address = browser.run("return location.href");
    let before = browser.run("return (await figure.state()).errors");
    browser.open("about:blank");
    browser.open(address.as_str().unwrap());
    state(&browser);
    assert_eq!(hidden(&browser), [0, 2, 3, middle]);
    assert_eq!(browser.run("return (await figure.state()).errors"), before);

    // From the list; another example by its field, its button and a click.
    browser.run("ref('mask').value = 'left'; ref('mask').dispatchEvent(new Event('change'))");
    browser.wait_for("a half", "(await figure.state()).mask === 'left'");
    browser.click("[data-ref=next-example]");
    browser.wait_for("the second example", "(await figure.state()).example === 2");
    browser.run(
        "const box = ref('examples-panel').getBoundingClientRect();
         ref('examples-panel').dispatchEvent(new MouseEvent('click', { clientX: box.left + box.width * 0.9, clientY: box.top + 5 }))",
    );
    browser.wait_for("the third example", "(await figure.state()).example === 3");
    assert_eq!(browser.run("return figure.getAttribute('example')"), "3");
    browser.click("[data-ref=next-example]");
    browser.wait_for("the first example", "(await figure.state()).example === 1");

    // What was chosen for z-chains is not asked of x-chains.
    browser.run("figure.stepSize = 0.01");
    browser.wait_for("another step size", "(await figure.state()).stepSize === 0.01");
    browser.run("const radio = ref('view-choice').querySelector('[value=sample]'); radio.checked = true; radio.dispatchEvent(new Event('change'))");
    let sample = browser.wait_for("samples", "((s) => s.view === 'sample' && s)(await figure.state())");
    assert!((sample["stepSize"].as_f64().unwrap() - 0.1).abs() < 1e-9, "{sample}");
    assert_eq!((&sample["errors"], &sample["chains"]), (&json!([]), &json!(16)));
    assert_eq!(browser.errors(), Vec::<String>::new());
}

#[test]
fn what_a_model_lacks_is_said_and_the_rest_runs() {
    let mut bare = images();
    bare.annotations = Annotations::default();
    bare.encoder = None;
    bare.chains.z = None;
    let mut energy = images();
    energy.encoder = None;
    energy.generator = None;
    let server = serve(vec![("bare", bare), ("energy", energy), ("images", images())]);
    let browser = Browser::start(WebGpu::Off, &[]);
    let open = |query: &str| {
        browser.open(&format!("{}?play=0&view=reconstruct&{query}", server.url()));
        let state = state(&browser);
        (state, browser.run("return ref('remarks').innerText").as_str().unwrap_or_default().to_string())
    };
    let (found, said) = open("model=models/bare.safetensors&example=3");
    assert_eq!((&found["view"], &found["example"]), (&json!("reconstruct"), &Value::Null));
    for expected in ["no held-out examples", "no encoder", "a sample of its own generator"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    browser.run("await figure.step(3)");
    assert!(numbers(&browser.run("return (await figure.state()).errors")).iter().all(|e| e.is_finite()));

    let (found, said) = open("model=models/energy.safetensors");
    assert_eq!(found["view"], "sample");
    assert!(said.contains("needs a generator"), "{said}");

    let (found, said) = open("model=models/images.safetensors&example=9&mask=ffff&chains=1000");
    assert_eq!(
        (&found["example"], &found["mask"], &found["chains"]),
        (&json!(3), &json!("none"), &json!(64))
    );
    for expected in ["Example 9 is not there", "of another size", "too many"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert_eq!(browser.errors(), Vec::<String>::new());
}

/// A picture file of the reader's own gives what `dual-mcmc data import` makes of it.
#[test]
fn a_picture_of_ones_own_is_read_as_the_command_line_reads_it() {
    use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
    use std::io::Cursor;
    let server = serve(vec![("images", images()), ("plane", dual_mcmc_tests::models::plane())]);
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.open(&format!("{}?model=models/images.safetensors&play=0", server.url()));
    assert_eq!(state(&browser)["view"], "sample");
    let encoded = |image: DynamicImage, format: ImageFormat| {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    let give = |name: &str, kind: &str, bytes: &[u8]| {
        browser.run(&format!(
            "figure.image = new File([new Uint8Array({bytes:?})], '{name}', {{ type: '{kind}' }})"
        ));
    };
    let target = |browser: &Browser| numbers(&browser.run("return (await figure.state()).target"));
    let expected = |image: DynamicImage| {
        let bytes = dual_mcmc::pictures::square(image, 1, SIDE, dual_mcmc::pictures::WHITE);
        bytes.into_iter().map(|v| f32::from(v) / 127.5 - 1.0).collect::<Vec<_>>()
    };
    let farthest =
        |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| 127.5 * (a - b).abs()).fold(0.0, f32::max);

    // Wider than high, so that it is cropped; larger, and then smaller than the model's images.
    for (width, height) in [(50, 31), (9, 7)] {
        let image =
            RgbImage::from_fn(width, height, |x, y| Rgb([(x * 5) as u8, (y * 8) as u8, (x * y) as u8]));
        give("a.png", "image/png", &encoded(image.clone().into(), ImageFormat::Png));
        browser.wait_for(
            "the picture",
            "((s) => s.view === 'reconstruct' && s.example === undefined)(await figure.state())",
        );
        let expected = expected(image.into());
        browser.wait_for(
            "its pixels",
            &format!("Math.abs((await figure.state()).target[0] - {}) < 0.02", expected[0]),
        );
        let apart = farthest(&target(&browser), &expected);
        assert!(apart <= 1.0, "{width} by {height}: {apart} of 255");
    }
    assert_eq!(browser.run("return ref('target-caption').textContent"), "Your own picture");
    // What is transparent lies in front of white.
    let clear = RgbaImage::from_fn(40, 40, |x, _| Rgba([0, 0, 0, if x < 20 { 255 } else { 0 }]));
    give("b.png", "image/png", &encoded(clear.into(), ImageFormat::Png));
    browser.wait_for("black and white", "((t) => t[0] === -1 && t[11] === 1)((await figure.state()).target)");

    // The chains run on it, and an example takes its place.
    browser.run("await figure.step(2)");
    let found = state(&browser);
    let own = target(&browser);
    let x = numbers(&found["x"]);
    let errors: Vec<f32> =
        x.chunks(LEN).map(|x| x.iter().zip(&own).map(|(a, b)| (a - b).powi(2)).sum()).collect();
    assert!(apart(&numbers(&found["errors"]), &errors) < 1e-4);
    browser.click("[data-ref=next-example]");
    browser.wait_for("an example", "(await figure.state()).example === 2");

    // What is no picture is named, and the rest goes on.
    give("c.png", "image/png", b"no picture at all");
    let said = browser.wait_for("a remark", "!ref('remarks').hidden && ref('remarks').innerText");
    assert!(said.as_str().unwrap().contains("“c.png” cannot be used: It is no picture"), "{said}");
    assert_eq!(state(&browser)["example"], 2);
    browser.run("figure.setAttribute('src', 'models/plane.safetensors')");
    browser.wait_for("points", "((s) => s.shape.length === 1)(await figure.state())");
    give("d.png", "image/png", &encoded(RgbImage::new(9, 9).into(), ImageFormat::Png));
    let said = browser.wait_for(
        "a remark",
        "!ref('remarks').hidden && ref('remarks').innerText.includes('d.png') && ref('remarks').innerText",
    );
    assert!(said.as_str().unwrap().contains("not one of grey or colour images"), "{said}");

    // Drawn by hand: a dot of light on black.
    browser.run(
        "figure.setAttribute('src', 'models/images.safetensors'); figure.setAttribute('view', 'reconstruct')",
    );
    browser.wait_for(
        "images",
        "((s) => s.shape.length === 3 && s.view === 'reconstruct')(await figure.state())",
    );
    browser.run(
        "const radio = ref('mask-choice').querySelector('[value=draw]'); radio.checked = true; radio.dispatchEvent(new Event('change'));
         const panel = ref('target-panel'), box = panel.getBoundingClientRect(); panel.setPointerCapture = () => {};
         panel.dispatchEvent(new PointerEvent('pointerdown', { pointerId: 1, button: 0, buttons: 1, clientX: box.left + box.width / 2 + 1, clientY: box.top + box.height / 2 + 1 }))",
    );
    browser.wait_for("a drawing", "(await figure.state()).example === undefined");
    let drawn = target(&browser);
    let lit: Vec<usize> = (0..LEN).filter(|&i| drawn[i] == 1.0).collect();
    assert_eq!(lit, [SIDE / 2 * SIDE + SIDE / 2]);
    assert!(drawn.iter().enumerate().all(|(i, v)| *v == -1.0 || lit.contains(&i)));
    assert_eq!(browser.errors(), Vec::<String>::new());
}

/// Energy, gradient and rank are the library's, and so is the chain from the sample; for an example, for noise and for a tone.
#[test]
fn an_energy_has_its_place_among_others() {
    let mut model = images();
    let energy = model.energy.clone().unwrap();
    let evaluator = Evaluator::new(&energy.network, &energy.weights).unwrap();
    let examples = model.annotations.examples.as_ref().unwrap().values();
    let around = evaluator.forward(&examples);
    let wide: Vec<f32> = (0..200).map(|i| around[i % 3] + (i as f32 - 100.0) / 20.0).collect();
    model.annotations.histograms = vec![
        Histogram::of("held_out_data", &wide, None).unwrap(),
        Histogram::of("x_chain", &wide, None).unwrap(),
        Histogram::of("uniform_noise", &[-50.0, -40.0], Some(0.02)).unwrap(),
        Histogram::of("mnist", &[50.0, 60.0], Some(1.0)).unwrap(),
    ];
    let ring = Model::from_bytes(include_bytes!("../../models/ring.safetensors")).unwrap();
    let mut bare = images();
    bare.annotations = Annotations::default();
    let server = serve(vec![("images", model.clone()), ("bare", bare)]);
    for (webgpu, device) in [(WebGpu::Off, "cpu"), (WebGpu::Software, "gpu")] {
        let browser = Browser::start(webgpu, &[]);
        for (name, model, query) in [
            ("images", &model, "&example=2"),
            ("images", &model, "&subject=noise&seed=5"),
            ("images", &model, "&subject=tone"),
            ("ring", &ring, "&subject=generator"),
        ] {
            let line = format!("?model=models/{name}.safetensors&view=energy&play=0&device={device}{query}");
            browser.open(&format!("{}{line}", server.url()));
            let before = state(&browser);
            assert_eq!(
                (&before["view"], &before["device"], &before["chains"]),
                (&json!("energy"), &json!(device), &json!(1))
            );
            let target = numbers(&before["target"]);
            let weighted = model.energy.as_ref().unwrap();
            let evaluator = Evaluator::new(&weighted.network, &weighted.weights).unwrap();
            let (energies, gradient) = evaluator.energy_and_gradient(&target);
            assert!(apart(&numbers(&before["energies"]), &energies) < 1e-4, "{line}");
            assert!(apart(&numbers(&before["gradient"]), &gradient) < 1e-4, "{line}");
            match before["example"].as_u64() {
                Some(2) => assert_eq!(target, examples[LEN..2 * LEN]),
                Some(other) => panic!("example {other}"),
                None if query.contains("tone") => assert!(target.iter().all(|v| *v == target[0])),
                None => assert!(target.iter().any(|v| *v != target[0])),
            }
            // The share of held-out energies below it, by the histogram in the file.
            let data = &model.annotations.histograms[0];
            let [low, high] = data.range;
            let at = ((energies[0] - low) / (high - low)).clamp(0.0, 1.0) * data.counts.len() as f32;
            let whole: u32 = data.counts.iter().take(at as usize).sum();
            let part = data.counts.get(at as usize).map_or(0.0, |n| at.fract() * *n as f32);
            let share = 100.0 * (whole as f32 + part) / data.total() as f32;
            let said = browser.run("return ref('rank').textContent");
            let said = said.as_str().unwrap();
            let told: Option<f32> =
                said.split("that of ").nth(1).and_then(|rest| rest.split('%').next()?.parse().ok());
            assert!(told.is_none_or(|told| (told - share).abs() <= 0.51), "{said}, and {share}");
            assert!(told.is_some() || !(1.0..=99.0).contains(&share), "{said}, and {share}");
            if name == "images" {
                let faults = browser.run("return ref('faults').hidden ? '' : ref('faults').textContent");
                assert_eq!(faults, "This energy prefers uniform noise to data (AUROC 0.02).");
            }

            browser.run("await figure.step(6)");
            let after = state(&browser);
            let mut own = Sampler::new(&Executor::Cpu { threads: 1 }, model, 1).unwrap();
            own.start_at(0, &target, after["seed"].as_u64().unwrap()).unwrap();
            own.advance(6, &model.chains.x.unwrap().langevin).unwrap();
            let states = pollster::block_on(own.read_states()).unwrap();
            assert!(apart(&numbers(&after["x"]), &states) < 1e-4, "{line}");
            assert!(apart(&numbers(&after["energies"]), &evaluator.forward(&states)) < 1e-3, "{line}");
        }
        browser.open(&format!("{}?model=models/bare.safetensors&view=energy&play=0", server.url()));
        state(&browser);
        let said = browser.run("return ref('rank').textContent + ref('remarks').textContent");
        for expected in ["does not say what energies data have", "no held-out examples"] {
            assert!(said.as_str().unwrap().contains(expected), "{expected}: {said}");
        }
        assert_eq!(browser.errors(), Vec::<String>::new());
    }
}

/// Starts stand beside each other under one energy; each chain is the library's, and so is what a row says of its energies.
#[test]
fn starts_stand_beside_each_other() {
    use dual_mcmc::chain::noise_start;
    use dual_mcmc::jobs;
    let model = images();
    let server = serve(vec![("images", model.clone())]);
    let cpu = Executor::Cpu { threads: 1 };
    for (webgpu, device) in [(WebGpu::Off, "cpu"), (WebGpu::Software, "gpu")] {
        let browser = Browser::start(webgpu, &[]);
        browser.resize(900, 1400);
        let line = format!(
            "?model=models/images.safetensors&view=sample&start=data%20noise%20generator&chains=4&seed=3&play=0&device={device}"
        );
        browser.open(&format!("{}{line}", server.url()));
        let before = state(&browser);
        assert_eq!(
            (&before["starts"], &before["chains"]),
            (&json!(["data", "noise", "generator"]), &json!(12))
        );
        let examples = model.annotations.examples.as_ref().unwrap().values();
        let data: Vec<f32> = examples.iter().cycle().take(4 * LEN).copied().collect();
        let noise = noise_start(3, &[1, SIDE, SIDE], 0, 4, 0);
        let latents = jobs::prior(3, 0, 4, LATENT);
        let generated = pollster::block_on(jobs::decode(&cpu, &model, &latents)).unwrap();
        let starts = [data, noise, generated].concat();
        assert!(apart(&numbers(&before["x"]), &starts) < 1e-5);

        browser.run("await figure.step(6)");
        let after = state(&browser);
        let mut own = Sampler::new(&cpu, &model, 12).unwrap();
        own.start_at(0, &starts, 3).unwrap();
        own.advance(6, &model.chains.x.unwrap().langevin).unwrap();
        assert!(apart(&numbers(&after["x"]), &pollster::block_on(own.read_states()).unwrap()) < 1e-4);
        let energies = numbers(&after["energies"]);
        let said =
            browser.run("return ['', '-2', '-3'].map((row) => ref('refined-caption' + row).textContent)");
        for (row, said) in said.as_array().unwrap().iter().enumerate() {
            let mean = energies[4 * row..4 * row + 4].iter().sum::<f32>() / 4.0;
            let told = said.as_str().unwrap().rsplit(' ').next().unwrap().replace('−', "-");
            let told: f32 = told.parse().unwrap();
            assert!((told - mean).abs() <= 0.006 * mean.abs().max(0.1), "{said}, and {mean}");
        }
        // A click in the second row sets a chain of its own off.
        browser.run(
            "const box = ref('refined-panel-2').getBoundingClientRect();
             ref('refined-panel-2').dispatchEvent(new MouseEvent('click', { clientX: box.right - 5, clientY: box.top + 5 }))",
        );
        browser.wait_for("a frame", "ref('refined-panel-2').querySelector('.chosen')");
        assert_eq!(browser.run("return ref('refined-panel').querySelector('.chosen')"), Value::Null);
        browser.wait_for("its number", "ref('trace-says').textContent.includes('chain 6')");

        // The controls choose them, and the last one stays.
        for (value, expected) in [
            ("data", json!(["noise", "generator"])),
            ("generator", json!(["noise"])),
            ("noise", json!(["noise"])),
            ("data", json!(["data", "noise"])),
        ] {
            browser.run(&format!("ref('start-choice').querySelector('[value={value}]').click()"));
            browser.wait_for(
                value,
                &format!("JSON.stringify((await figure.state()).starts.toSorted()) === '{}'", {
                    let mut words: Vec<String> =
                        expected.as_array().unwrap().iter().map(|w| w.as_str().unwrap().into()).collect();
                    words.sort();
                    json!(words)
                }),
            );
        }
        assert_eq!(browser.errors(), Vec::<String>::new());
    }
}

/// Methods change the steps; what is accepted is told.
#[test]
fn methods_are_the_librarys() {
    let ring = Model::from_bytes(include_bytes!("../../models/ring.safetensors")).unwrap();
    let cpu = Executor::Cpu { threads: 1 };
    let server = serve(Vec::new());
    for (webgpu, device) in [(WebGpu::Off, "cpu"), (WebGpu::Software, "gpu")] {
        let browser = Browser::start(webgpu, &[]);
        for sampler in ["mala", "descent", "langevin"] {
            let line = format!(
                "?model=models/ring.safetensors&view=sample&sampler={sampler}&step-size=0.4&noise=0.4&chains=64&start=noise&play=0&device={device}"
            );
            browser.open(&format!("{}{line}", server.url()));
            state(&browser);
            browser.run("await figure.step(5)");
            let found = state(&browser);
            assert_eq!(found["sampler"], sampler);
            let mut langevin = ring.chains.x.unwrap().langevin;
            (langevin.step_size, langevin.noise) = (0.4, if sampler == "descent" { 0.0 } else { 0.4 });
            langevin.mala = sampler == "mala";
            let mut own = Sampler::new(&cpu, &ring, 64).unwrap();
            pollster::block_on(own.start(dual_mcmc::jobs::Start::Noise, 0)).unwrap();
            own.advance(5, &langevin).unwrap();
            let states = pollster::block_on(own.read_states()).unwrap();
            // On another device a proposal near its threshold may be judged otherwise, which parts that chain alone.
            let x = numbers(&found["x"]);
            let parted = x.chunks(2).zip(states.chunks(2)).filter(|(a, b)| apart(a, b) > 1e-3).count();
            assert!(parted <= if sampler == "mala" { 3 } else { 0 }, "{sampler}: {parted} chains are apart");
            match pollster::block_on(own.acceptance()).unwrap() {
                Some(accepted) => {
                    let told = found["acceptance"].as_f64().unwrap() as f32;
                    assert!((told - accepted).abs() < 0.02 && accepted < 0.9, "{told}, and {accepted}");
                    let shown = browser
                        .run("return ref('acceptance-line').hidden ? '' : ref('acceptance').textContent");
                    assert_eq!(shown, format!("{:.0}%", 100.0 * told));
                }
                None => assert_eq!(found["acceptance"], Value::Null, "{sampler}"),
            }
        }
        assert_eq!(browser.errors(), Vec::<String>::new());
    }
}

/// A landscape holds the model to account, and a chain starts where one clicks.
#[test]
fn a_landscape_has_numbers_beside_the_truth() {
    use dual_mcmc::jobs::{self, Quadrature, quality};
    use dual_mcmc::points::PointSet;
    let model = Model::from_bytes(include_bytes!("../../models/moons.safetensors")).unwrap();
    let set = PointSet::Moons;
    let cpu = Executor::Cpu { threads: 2 };
    let mut quadrature = Quadrature::new(1.0);
    let grid = quadrature.next_points(usize::MAX);
    quadrature.add(&pollster::block_on(jobs::energies(&cpu, &model, &grid)).unwrap());
    let held_out = set.sample(Noise::new(0, Stream::Data), 60_000, 2_000);
    let expected = quadrature
        .log_likelihood(&pollster::block_on(jobs::energies(&cpu, &model, &held_out)).unwrap())
        .unwrap();
    let truth =
        held_out.chunks(2).map(|p| set.log_density([p[0].into(), p[1].into()])).sum::<f64>() / 2_000.0;

    let server = serve(Vec::new());
    for (webgpu, device) in [(WebGpu::Off, "cpu"), (WebGpu::Software, "gpu")] {
        let browser = Browser::start(webgpu, &[]);
        browser.resize(1000, 1200);
        let line = format!(
            "?model=models/moons.safetensors&view=landscape&chains=300&play=0&device={device}&overlay=field%20trails"
        );
        browser.open(&format!("{}{line}", server.url()));
        state(&browser);
        browser.run("await figure.step(5)");
        let found = browser.wait_for("a likelihood", "((s) => s.logLikelihood && s)(await figure.state())");
        let told = found["logLikelihood"].as_f64().unwrap();
        assert!((told - expected).abs() < 1e-3, "{told}, and {expected}");
        let good = quality(set, &numbers(&found["x"]));
        let [share, smallest] = ["goodShare", "smallestMode"].map(|key| found[key].as_f64().unwrap());
        // A point at the edge of the region may lie on either side of it on another device.
        assert!((share - good.good_share).abs() < 0.01 && (smallest - good.smallest_mode).abs() < 0.01);
        let shown = |name: &str| -> f64 {
            let text = browser.run(&format!("return ref('{name}').textContent"));
            text.as_str().unwrap().replace('−', "-").parse().unwrap()
        };
        assert!(
            (shown("log-likelihood") - told).abs() < 0.001
                && (shown("true-log-likelihood") - truth).abs() < 0.001
        );
        assert!((shown("good-share") - share).abs() < 0.001, "{}", shown("good-share"));

        // Without noise there is no density.
        browser.run("figure.noise = 0");
        browser.wait_for("no likelihood", "(await figure.state()).logLikelihood === undefined");
        browser.run("figure.noise = null");
        browser.wait_for("a likelihood again", "(await figure.state()).logLikelihood !== undefined");

        // A click in the middle of the map is the middle of the plane that it shows.
        let before = state(&browser);
        browser.run(
            "const panel = ref('landscape-panel'), box = panel.getBoundingClientRect();
             panel.dispatchEvent(new MouseEvent('click', { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 }))",
        );
        browser.wait_for("a chain there", "(await figure.state()).step === 0");
        let after = state(&browser);
        let [before, after] = [before, after].map(|state| numbers(&state["x"]));
        assert!(after[..2].iter().all(|v| v.abs() < 0.2), "{:?}", &after[..2]);
        assert_eq!(after[2..], before[2..], "the others stay where they are");
        browser.run("await figure.step(3)");
        assert_ne!(numbers(&state(&browser)["x"])[..2], after[..2]);

        // What is shown is chosen by its boxes, and stands in the address.
        browser.run("ref('overlay-choice').querySelector('[value=density]').click()");
        browser.wait_for("the address", "location.search.includes('overlay=field+density+trails')");
        browser.wait_for("a key", "!ref('density-key').hidden");
        assert_eq!(browser.errors(), Vec::<String>::new());
    }
}

/// A plane through latent space: what is drawn is what the generator makes of its latents, and a drag or a key walks on it.
#[test]
fn a_walk_through_latent_space_is_the_generators() {
    use dual_mcmc::jobs;
    use dual_mcmc_web::walk;
    let model = images();
    let cpu = Executor::Cpu { threads: 1 };
    let server = serve(vec![("images", model.clone())]);
    let examples = model.annotations.examples.as_ref().unwrap().values();
    for (webgpu, device) in [(WebGpu::Off, "cpu"), (WebGpu::Software, "gpu")] {
        let browser = Browser::start(webgpu, &[]);
        browser.resize(1000, 1100);
        for corners in ["prior", "examples"] {
            let line = format!(
                "?model=models/images.safetensors&view=latent&corners={corners}&chains=9&seed=2&walk=0.5%20-1&play=0&device={device}"
            );
            browser.open(&format!("{}{line}", server.url()));
            let latents = match corners {
                "prior" => jobs::prior(2, 0, 3, LATENT),
                _ => pollster::block_on(jobs::encode(&cpu, &model, &examples)).unwrap(),
            };
            let corner = |i: usize| latents[i * LATENT..(i + 1) * LATENT].to_vec();
            let shown = |from: [f32; 2]| {
                let plane = walk::latents(&[corner(0), corner(1), corner(2)], 3, from);
                pollster::block_on(jobs::decode(&cpu, &model, &plane)).unwrap()
            };
            let found = state(&browser);
            assert_eq!((&found["view"], &found["chains"]), (&json!("latent"), &json!(9)), "{line}");
            assert!(apart(&numbers(&found["x"]), &shown([0.5, -1.0])) < 1e-4, "{line}");

            // The chains refine what is there.
            browser.run("await figure.step(4)");
            let mut own = Sampler::new(&cpu, &model, 9).unwrap();
            own.start_at(0, &shown([0.5, -1.0]), 2).unwrap();
            own.advance(4, &model.chains.x.unwrap().langevin).unwrap();
            let states = pollster::block_on(own.read_states()).unwrap();
            assert!(apart(&numbers(&state(&browser)["x"]), &states) < 1e-4, "{line}");

            // A drag of half a picture's width to the left, then a key down by one of the three rows.
            browser.run(
                "const panel = ref('start-panel'), box = panel.getBoundingClientRect();
                 const send = (type, x) => panel.dispatchEvent(new PointerEvent(type, { pointerId: 1, button: 0, buttons: 1,
                   clientX: box.left + box.width * x, clientY: box.top + 20 }));
                 send('pointerdown', 0.75); send('pointermove', 0.25);",
            );
            browser.wait_for("a walk", "figure.getAttribute('walk') === '1 -1'");
            browser.run("ref('start-panel').dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowDown', bubbles: true }))");
            browser.wait_for("another", "figure.getAttribute('walk') === '1 -0.5'");
            let found = state(&browser);
            assert_eq!(found["step"], 0, "{line}");
            assert!(apart(&numbers(&found["x"]), &shown([1.0, -0.5])) < 1e-4, "{line}");
        }
        assert_eq!(browser.errors(), Vec::<String>::new());
    }
}
