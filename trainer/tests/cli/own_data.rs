//! One's own files: what they are called, where they lie, what is wrong with them.

use super::*;

/// Points of a Gaussian, as text.
fn csv(count: usize, columns: usize, shift: f32) -> String {
    let x = dual_mcmc::noise::Noise::new(1, dual_mcmc::noise::Stream::Data).normal_rows(0, count, columns, 0);
    let line = |row: &[f32]| row.iter().map(|v| (v + shift).to_string()).collect::<Vec<_>>().join(",") + "\n";
    x.chunks(columns).map(line).collect()
}

fn points(options: &str) -> String {
    let recipe = recipes().join("points.toml");
    format!(
        "train {} --device cpu --set x_chain.steps=2 --set z_chain.steps=2 --steps 2 {options}",
        recipe.display()
    )
}

#[test]
fn a_set_is_what_was_asked_for_and_not_what_it_is_called() {
    let sandbox = Sandbox::new();
    sandbox.write("moons.csv", csv(40, 2, 0.0));
    sandbox.run(&points("--data moons.csv --out moons"));
    let model = sandbox.path("moons/model.safetensors");
    let known = dual_mcmc::model::Model::from_bytes(&std::fs::read(&model).unwrap()).unwrap();
    assert_eq!(known.provenance.data, "moons.csv");
    assert!(!known.provenance.metrics.contains_key("log_likelihood"), "{:?}", known.provenance.metrics);
    let evaluate = format!("evaluate {} --device cpu --count 20", model.display());
    sandbox.run(&format!("{evaluate} --data moons.csv --json own.json"));
    let own = std::fs::read_to_string(sandbox.path("own.json")).unwrap();
    assert!(!own.contains("likelihood") && !own.contains("good_share") && own.contains("frechet"), "{own}");

    // A model of three values whose data are called ring.
    let values: Vec<f32> = (0..600).map(|i| (i as f32 * 0.7).sin()).collect();
    write_array(&sandbox.path("ring.npy"), &[200, 3], &values);
    sandbox.run(&points("--data ring.npy --out ring3"));

    // A name that is also a file's: the known set is taken, and it is said.
    std::fs::create_dir(sandbox.path("ring")).unwrap();
    let said = sandbox.train("--out known --steps 1");
    assert!(
        said.contains("`ring` is taken for the known set of that name; the folder here is ./ring"),
        "{said}"
    );
    let said = sandbox.run(&format!("{evaluate} --data ring"));
    assert!(said.contains("the folder here is ./ring"), "{said}");
}

#[test]
fn a_run_knows_its_data_wherever_it_is_opened() {
    let sandbox = Sandbox::new();
    let array = |name: &str, scale: f32| {
        let values: Vec<f32> = (0..80).map(|i| scale * (i as f32 * 0.7).sin()).collect();
        write_array(&sandbox.path(name), &[40, 2], &values);
    };
    array("d.npy", 1.0);
    sandbox.run(&points("--data d.npy --out run --license CC0"));
    let from = |folder: &str, line: &str| {
        let mut command = sandbox.command(line);
        command.current_dir(sandbox.path(folder)).output().unwrap()
    };
    std::fs::create_dir_all(sandbox.path("elsewhere")).unwrap();
    array("elsewhere/d.npy", 5.0);
    let resume = points("--steps 4 --out ../run --resume").replace("--steps 2 ", "");
    let output = from("elsewhere", &resume);
    assert!(output.status.success(), "{}", text(&output));

    // What was given at the start holds, and is in the model.
    let model = |name: &str| {
        let bytes = std::fs::read(sandbox.path(name)).unwrap();
        dual_mcmc::model::Model::from_bytes(&bytes).unwrap()
    };
    let finished = model("run/model.safetensors");
    assert_eq!((finished.provenance.license.as_str(), finished.provenance.iterations), ("CC0", 4));

    // Other data of the same length, in the place of the first or named instead of them.
    let line = points("--data d.npy --steps 5 --out ../run --resume").replace("--steps 2 ", "");
    check_failure(&line, &from("elsewhere", &line), "the data have changed: d.npy has other values");
    std::fs::rename(sandbox.path("d.npy"), sandbox.path("moved.npy")).unwrap();
    array("d.npy", 1.5);
    sandbox.fails(&points("--out run --resume"), "the data have changed");

    // The same data elsewhere are the same data; and an export needs none.
    let line = points("--data moved.npy --steps 6 --out run --resume").replace("--steps 2 ", "");
    sandbox.run(&line);
    std::fs::remove_file(sandbox.path("moved.npy")).unwrap();
    sandbox.run("export run --out exported.safetensors");
    let (exported, finished) = (model("exported.safetensors"), model("run/model.safetensors"));
    assert_eq!(exported.energy_quantiles, finished.energy_quantiles);
    assert!(exported.energy_quantiles.is_some());
    assert_eq!(exported.provenance.license, "CC0");
    sandbox.fails(&points("--out run --resume"), "--data");
    sandbox.fails("export run --out run/recipe.toml", "also an input");
}

#[test]
fn ten_samples_are_enough() {
    let sandbox = Sandbox::new();
    for count in [10, 11, 19] {
        sandbox.write("few.csv", csv(count, 2, 0.0));
        sandbox.run(&points(&format!("--data few.csv --out few{count}")));
        sandbox.run(&format!("evaluate few{count}/model.safetensors --data few.csv --device cpu --count 10"));
    }
    sandbox.write("fewer.csv", csv(9, 2, 0.0));
    sandbox.fails(&points("--data fewer.csv --out fewer"), "9 samples are too few; at least 10 are needed");
    sandbox.fails("evaluate few10/model.safetensors --data few.csv --device cpu --count 1", "at least 2");
}

#[test]
fn data_that_do_not_suit_are_told_what_to_do() {
    let sandbox = Sandbox::new();
    sandbox.write("far.csv", csv(40, 2, 500.0));
    let output = sandbox.command(&points("--data far.csv --out far")).output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("warning: far.csv: the mean of value 0 (and 1 more) is 499.8"), "{said}");
    let advice = said.lines().last().unwrap();
    assert!(advice.contains("centre them") && !advice.contains("rate"), "{said}");

    // Images in [0, 255] and in [0, 1], wherever images are read.
    let model = images(&sandbox);
    let array = |name: &str, scale: f32| {
        let values: Vec<f32> = (0..40 * 1024).map(|i| (i % 7) as f32 / 6.0 * scale).collect();
        write_array(&sandbox.path(name), &[40, 1, 32, 32], &values);
    };
    array("bytes.npy", 255.0);
    array("half.npy", 1.0);
    let model = model.display();
    let recipe = recipes().join("fashion-mnist.toml");
    for line in [
        format!("energy {model} --out e.npy --device cpu --input bytes.npy"),
        format!("reconstruct {model} --out r.npy --device cpu --steps 1 --input bytes.npy"),
        "features extract fashion-mnist --out f.npy --device cpu --input bytes.npy".into(),
        format!("train {} --device cpu --out bytes --data bytes.npy", recipe.display()),
        format!("evaluate {model} --device cpu --data bytes.npy"),
    ] {
        sandbox.fails(&line, "images must lie in [-1, 1]");
    }
    let said = sandbox.run(&format!("energy {model} --out e.npy --device cpu --input half.npy"));
    assert!(said.contains("look like images in [0, 1]"), "{said}");
}

#[test]
fn numbers_that_run_away_are_errors_and_write_nothing() {
    let sandbox = Sandbox::new();
    sandbox.train("--out run --steps 1");
    write_array(&sandbox.path("x.npy"), &[4, 2], &[0.5; 8]);
    write_array(&sandbox.path("far.npy"), &[4, 2], &[1e30; 8]);
    let model = "run/model.safetensors --device cpu";
    for (line, expected) in [
        (format!("sample {model} --step-size 1000 --out s.npy"), "choose a smaller step size"),
        (format!("sample {model} --step-size 1000 --out s.png --trace t.csv"), "choose a smaller step size"),
        (
            format!("reconstruct {model} --step-size 1000 --input x.npy --out r.npy"),
            "choose a smaller step size",
        ),
        (
            format!("evaluate {model} --step-size 1000 --data ring --json e.json"),
            "choose a smaller step size",
        ),
        (format!("energy {model} --input far.npy --out e.npy"), "the energy of sample 0"),
    ] {
        let before = sandbox.files();
        let output = sandbox.command(&line).output().unwrap();
        let stderr = text(&output);
        assert_eq!(output.status.code(), Some(1), "{line}: {stderr}");
        assert!(stderr.contains(expected), "{line}: {stderr}");
        assert_eq!(sandbox.files(), before, "{line}");
    }
}

#[test]
fn memory_that_is_not_there_is_refused_before_it_is_taken() {
    let sandbox = Sandbox::new();
    sandbox.train("--out run --steps 1");
    let ring = format!("train {} --device cpu --out other", recipes().join("ring.toml").display());
    let wide = "--set energy.layers.0.out_features=2000000 --set energy.layers.2.in_features=2000000";
    for (line, expected) in [
        (format!("{ring} --set data.count=99999999999"), "count must be between 10 and"),
        (format!("{ring} --set teaching.batch=1048576 --set teaching.persistent.size=300000 {wide}"), "of memory, and"),
        (
            "sample run/model.safetensors --device cpu --count 16777216 --steps 4000000 --trace t.csv --out s.npy".into(),
            "16777216 samples of 2 values with the energies of 4000000 steps would take",
        ),
    ] {
        sandbox.fails(&line, expected);
    }
}

#[test]
fn an_output_that_is_an_input_is_refused_and_stays_as_it_is() {
    let sandbox = Sandbox::new();
    sandbox.train("--out run --steps 1");
    write_array(&sandbox.path("x.npy"), &[4, 2], &[0.5; 8]);
    let model = "run/model.safetensors --device cpu";
    let before = std::fs::read(sandbox.path("x.npy")).unwrap();
    for line in [
        format!("energy {model} --input x.npy --out x.npy"),
        format!("energy {model} --input x.npy --out e.npy --gradient ./x.npy"),
        format!("energy {model} --input x.npy --out e.npy --gradient e.npy"),
        format!("reconstruct {model} --input x.npy --out x.npy"),
        format!("evaluate {model} --data ring --count 10 --json run/model.safetensors"),
        "report run --out run/metrics.jsonl".into(),
    ] {
        sandbox.fails(&line, "write to another file");
    }
    assert_eq!(std::fs::read(sandbox.path("x.npy")).unwrap(), before);
    // Points as text are read wherever arrays of points are, and endings may be in capitals.
    sandbox.write("X.CSV", "x,y\n0.5,0.5\n0.5,0.5\n");
    sandbox.run(&format!("energy {model} --input x.npy --out E.NPY"));
    sandbox.run(&format!("energy {model} --input X.CSV --out e.npy"));
    assert_eq!(array(&sandbox.path("e.npy")).1[0], array(&sandbox.path("E.NPY")).1[0]);
    sandbox.fails(&format!("energy {model} --input run/metrics.jsonl --out f.npy"), "go into a .csv file");
}
