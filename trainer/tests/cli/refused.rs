//! What is refused, and what the program says to do.

use super::*;

#[test]
fn wrong_recipes_are_refused_before_anything_starts() {
    let sandbox = Sandbox::new();
    let ring = std::fs::read_to_string(recipes().join("ring.toml")).unwrap();
    sandbox.write("unknown.toml", ring.replace("lambda_inf", "lambda_info"));
    sandbox.write("shapes.toml", ring.replacen("in_features = 128", "in_features = 127", 1));
    sandbox.write("negative.toml", ring.replace("batch = 256", "batch = -256"));
    sandbox.write("broken.toml", "name = ");
    for (line, expected) in [
        ("train unknown.toml", "unknown key `lambda_info`; did you mean `lambda_inf`?"),
        ("train shapes.toml", "[energy] layer"),
        ("train negative.toml", "-256"),
        ("train broken.toml", "broken.toml"),
        ("train missing.toml", "missing.toml"),
        ("train . --device cpu", "cannot read the recipe"),
    ] {
        sandbox.fails(line, expected);
    }
    let recipe = recipes().join("ring.toml");
    let ring = format!("train {}", recipe.display());
    sandbox.fails(&format!("{ring} --set teaching.batch=0"), "[teaching] batch");
    sandbox.fails(&format!("{ring} --set nonsense.key=1"), "nonsense");
    sandbox.fails(&format!("{ring} --set x_chain.step=1"), "`step` in `x_chain`; did you mean `steps`?");
    sandbox.fails("train unknown.toml --set x_chain.steps=1", "not valid at line");
    sandbox.fails(&format!("{ring} --set x_chain.noise=-1"), "[x_chain] noise");
    sandbox.fails(&format!("{ring} --data spirals"), "spirals");
    sandbox.fails(&format!("{ring} --data mnist"), "data fetch mnist");
}

#[test]
fn missing_and_damaged_data_are_refused() {
    let sandbox = Sandbox::new();
    let fashion = recipes().join("fashion-mnist.toml");
    sandbox.fails(&format!("train {} --device cpu", fashion.display()), "data fetch fashion-mnist");

    let train =
        |data: &str| format!("train {} --device cpu --data {data}", recipes().join("ring.toml").display());
    sandbox.write("text.npy", "no array");
    sandbox.fails(&train("text.npy"), "no .npy file");
    write_array(&sandbox.path("shape.npy"), &[20, 3], &[0.0; 60]);
    sandbox.fails(&train("shape.npy"), "[3]");
    write_array(&sandbox.path("few.npy"), &[4, 2], &[0.0; 8]);
    sandbox.fails(&train("few.npy"), "too few");
    let whole = std::fs::read(sandbox.path("shape.npy")).unwrap();
    sandbox.write("short.npy", &whole[..whole.len() - 9]);
    sandbox.fails(&train("short.npy"), "short.npy");

    std::fs::create_dir(sandbox.path("idx")).unwrap();
    sandbox.write("idx/train-images-idx3-ubyte", [0, 0, 8, 3, 0, 0]);
    let line = format!("train {} --device cpu --data idx", fashion.display());
    sandbox.fails(&line, "damaged");

    // A fetched set with one wrong byte.
    std::fs::create_dir_all(sandbox.path("no-data/mnist")).unwrap();
    sandbox.write("no-data/mnist/train-images-idx3-ubyte", [0; 100]);
    sandbox
        .fails(&format!("train {} --device cpu", recipes().join("mnist.toml").display()), "data fetch mnist");

    std::fs::create_dir(sandbox.path("empty")).unwrap();
    sandbox.fails("data import empty --size 32 --out i.npy", "no .png");
    sandbox.fails("data import nowhere --size 32 --out i.npy", "nowhere");
    sandbox.fails(
        "data import text.npy --size 32 --out i.npy",
        "text.npy is a file; images are imported from a folder",
    );
    let images = format!("train {} --device cpu --data", recipes().join("images.toml").display());
    sandbox.fails(&format!("{images} empty"), "no .png");
    std::fs::create_dir(sandbox.path("small")).unwrap();
    image::RgbImage::new(40, 31).save(sandbox.path("small/a.png")).unwrap();
    sandbox.fails(&format!("{images} small"), "40 by 31 pixels, smaller than 32 by 32");
    sandbox.fails("data import small --size 32 --out i.npy --strict", "40 by 31");
    let line = "data import small --size 32 --out i.npy";
    let output = sandbox.command(line).output().unwrap();
    check_failure(line, &output, "small holds no image that can be used");
    assert!(!sandbox.path("i.npy").exists());
    std::fs::create_dir(sandbox.path("damaged")).unwrap();
    sandbox.write("damaged/a.png", "no image");
    sandbox.fails(&format!("{images} damaged"), "a.png");
    sandbox.fails("data import empty --out i.npy", "--size");
    sandbox.fails("data import empty --size 0 --out i.npy", "not 0");
}

/// Tests may run as root, whom permissions do not stop; a folder below a file stops everyone.
#[test]
fn outputs_that_cannot_be_written_are_refused_before_the_work() {
    let sandbox = Sandbox::new();
    sandbox.train("--out run --steps 1");
    sandbox.write("file", "");
    let ring = recipes().join("ring.toml");
    sandbox.fails(&format!("train {} --device cpu --out file/run", ring.display()), "file/run");
    for (line, expected) in [
        ("sample run/model.safetensors --out file/s.npy", "file/s.npy"),
        ("sample run/model.safetensors --out s.npy --trace file/t.csv", "file/t.csv"),
        ("sample run/model.safetensors --out s.txt", ".npy or .png"),
        ("export run --out file/m.safetensors", "file/m.safetensors"),
        ("export file --out m.safetensors", "holds no run"),
        ("evaluate run/model.safetensors --data ring --json file/e.json", "file/e.json"),
        ("evaluate run/model.safetensors --data fashion-mnist", "fashion-mnist"),
    ] {
        sandbox.fails(line, expected);
    }
}

#[test]
fn damaged_models_and_inputs_are_refused() {
    let sandbox = Sandbox::new();
    sandbox.train("--out run --steps 1");
    let whole = std::fs::read(sandbox.path("run/model.safetensors")).unwrap();
    sandbox.write("half.safetensors", &whole[..whole.len() / 2]);
    sandbox.write("text.safetensors", "not a model");
    sandbox.write("empty.safetensors", "");
    let mut flipped = whole.clone();
    let near_end = flipped.len() - 40;
    flipped[near_end] ^= 1;
    sandbox.write("flipped.safetensors", &flipped);
    write_array(&sandbox.path("good.npy"), &[4, 2], &[0.5; 8]);
    write_array(&sandbox.path("shape.npy"), &[4, 3], &[0.5; 12]);
    sandbox.write("text.npy", "no array");
    for model in ["half", "text", "empty", "flipped", "missing"] {
        let name = format!("{model}.safetensors");
        sandbox.fails(&format!("sample {name} --out s.npy --device cpu"), &name);
        sandbox.fails(&format!("energy {name} --input good.npy --out e.npy --device cpu"), &name);
        sandbox.fails(&format!("reconstruct {name} --input good.npy --out r.npy --device cpu"), &name);
        sandbox.fails(&format!("evaluate {name} --data ring --device cpu"), &name);
    }
    let model = "run/model.safetensors";
    for (line, expected) in [
        (format!("energy {model} --input shape.npy --out e.npy --device cpu"), "[4, 3]"),
        (format!("energy {model} --input text.npy --out e.npy --device cpu"), "no .npy file"),
        (format!("energy {model} --input good.npy --out e.txt --device cpu"), ".npy"),
        (format!("reconstruct {model} --input shape.npy --out r.npy --device cpu"), "[4, 3]"),
        (format!("reconstruct {model} --input good.npy --out r.npy --mask shape.npy --device cpu"), "zeros"),
        (format!("evaluate {model} --data nowhere --device cpu"), "nowhere"),
    ] {
        sandbox.fails(&line, expected);
    }
}

/// Models without an energy, without an encoder, without a generator: what needs the absent one says so, and the
/// rest works.
#[test]
fn an_absent_network_is_named_by_what_needs_it() {
    let sandbox = Sandbox::new();
    write_array(&sandbox.path("x.npy"), &[4, 2], &[0.5; 8]);
    let sample = "sample MODEL --out s.npy --count 4";
    let chain = "sample MODEL --out s.npy --count 4 --steps 3 --step-size 0.1 --noise 0.1";
    let of_generator = "sample MODEL --out s.npy --count 4 --init generator --steps 0";
    let chain_of_generator = "sample MODEL --out s.npy --count 4 --init generator";
    let reconstruct = "reconstruct MODEL --input x.npy --out r.npy";
    let energy = "energy MODEL --input x.npy --out e.npy";
    let evaluate = "evaluate MODEL --data ring --count 50";
    for (name, works, absent, fails) in [
        ("ring-vae", &[sample, of_generator, reconstruct, evaluate][..], "energy", &[chain, energy][..]),
        ("ring-cooperative", &[sample, chain, energy, evaluate], "encoder", &[reconstruct]),
        (
            "ring-noise",
            &[sample, chain, energy, evaluate],
            "generator",
            &[of_generator, chain_of_generator, reconstruct],
        ),
    ] {
        let recipe = recipes().join(format!("{name}.toml"));
        sandbox.run(&format!("train {} --device cpu --out {name} --steps 2", recipe.display()));
        let on = |line: &str| line.replace("MODEL", &format!("{name}/model.safetensors --device cpu"));
        for line in works {
            sandbox.run(&on(line));
        }
        for line in fails {
            sandbox.fails(&on(line), &format!("the model has no {absent} network"));
        }
    }
}

#[test]
fn features_of_the_wrong_kind_are_refused() {
    let sandbox = Sandbox::new();
    let model = images(&sandbox);
    let model = model.display();
    sandbox.write("text.safetensors", "no features");
    let classifier = recipes().join("../models/features/mnist.safetensors");
    let whole = std::fs::read(classifier).unwrap();
    sandbox.write("half.safetensors", &whole[..whole.len() / 2]);
    sandbox.write("mnist.safetensors", &whole);
    write_array(&sandbox.path("colour.npy"), &[2, 3, 32, 32], &[0.5; 2 * 3 * 1024]);
    let with =
        |features: &str| format!("evaluate {model} --data images.npy --device cpu --features {features}");
    for (line, expected) in [
        (with(&model.to_string()), "a model, not a feature network"),
        (with("text.safetensors"), "text.safetensors"),
        (with("half.safetensors"), "half.safetensors"),
        (with("nowhere.safetensors"), "nowhere.safetensors"),
        (format!("evaluate {model} --data images.npy --inception nowhere.pth --device cpu"), "nowhere.pth"),
        ("features extract mnist --input colour.npy --out f.npy --device cpu".into(), "other colours"),
        ("sample mnist.safetensors --out s.npy --device cpu".into(), "a feature network, not a model"),
        ("features train mnist --out f.safetensors --device cpu".into(), "data fetch mnist"),
    ] {
        sandbox.fails(&line, expected);
    }
    sandbox.run("features extract mnist.safetensors --input images.npy --out f.npy --device cpu");
    assert_eq!(array(&sandbox.path("f.npy")).0, [40, 64]);
}

/// Drivers are found through these variables, so an empty value hides them.
#[test]
fn without_an_adapter_a_gpu_is_refused_and_auto_takes_the_cpu() {
    let sandbox = Sandbox::new();
    let blind = |line: &str| {
        let mut command = sandbox.command(line);
        for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES"] {
            command.env(variable, "/nonexistent/driver.json");
        }
        command.env("WGPU_BACKEND", "vulkan").output().unwrap()
    };
    let ring = recipes().join("ring.toml");
    let train = format!("train {} --out run --steps 1", ring.display());
    for device in ["gpu", "gpu:7"] {
        let line = format!("{train} --device {device}");
        check_failure(&line, &blind(&line), &format!("--device {device}"));
    }
    let output = blind(&format!("{train} --device auto --set x_chain.steps=2"));
    assert!(output.status.success() && text(&output).contains("CPU"), "{}", text(&output));
    let line = "sample run/model.safetensors --out s.npy --device gpu";
    check_failure(line, &blind(line), "--device gpu");
    assert!(!sandbox.path("s.npy").exists());
}
