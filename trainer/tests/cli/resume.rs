//! A run that stops and goes on is the run that never stopped.

use super::*;

#[test]
fn a_resumed_run_is_the_run_that_was_never_interrupted() {
    let sandbox = Sandbox::new();
    sandbox.train("--out whole --steps 8 --checkpoint-every 3 --measure-every 4");
    sandbox.train("--out parts --steps 4");
    let recipe = recipes().join("ring.toml");
    let started = format!("train {} --device cpu --set x_chain.steps=5", recipe.display());
    let before = std::fs::read(sandbox.path("parts/checkpoints/last.tar")).unwrap();
    sandbox.fails(&format!("{started} --out parts --steps 8"), "--resume");
    sandbox.fails(&format!("{started} --out parts --resume --seed 9"), "seed 0");
    sandbox.fails(
        &format!("{started} --out parts --resume --set teaching.batch=9"),
        "other settings: teaching.batch was 256 and is now 9;",
    );
    sandbox.fails(&format!("{started} --out other --resume"), "holds no run");
    assert_eq!(std::fs::read(sandbox.path("parts/checkpoints/last.tar")).unwrap(), before);

    sandbox.train("--out parts --steps 8 --resume");
    assert_eq!(metrics(&sandbox.path("whole/metrics.jsonl")), metrics(&sandbox.path("parts/metrics.jsonl")));
    let model = |run: &str| {
        let bytes = std::fs::read(sandbox.path(run).join("model.safetensors")).unwrap();
        let model = dual_mcmc::model::Model::from_bytes(&bytes).unwrap();
        (model.energy, model.generator, model.encoder, model.energy_quantiles)
    };
    assert_eq!(model("whole"), model("parts"));

    // A damaged checkpoint is named, and nothing is trained on top of it.
    let checkpoint = sandbox.path("parts/checkpoints/last.tar");
    let mut bytes = std::fs::read(&checkpoint).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&checkpoint, bytes).unwrap();
    let line = format!("{started} --out parts --steps 9 --resume");
    let output = sandbox.command(&line).output().unwrap();
    let stderr = text(&output);
    assert!(
        !output.status.success() && stderr.contains("last.tar") && !stderr.contains("panicked"),
        "{stderr}"
    );
}

/// The ring as it is, and images with batch norm and spectral norm through nine epochs in their shuffled order:
/// all of the state, to the last bit.
#[test]
#[ignore = "four runs of 200 and 100 iterations take minutes; eight iterations are in every run. cargo xtask test --long"]
fn two_hundred_iterations_are_a_hundred_and_a_hundred_after_a_stop() {
    let sandbox = Sandbox::new();
    let pixels: Vec<f32> = (0..200 * 3072u64).map(|i| ((i * i / 7 + i / 3072) as f32 * 0.37).sin()).collect();
    write_array(&sandbox.path("images.npy"), &[200, 3, 32, 32], &pixels);
    let images: String = NARROW_IMAGES.iter().map(|change| format!(" --set {change}")).collect();
    for (name, options) in [("ring", ""), ("images", &format!("--data images.npy{images}"))] {
        let recipe = recipes().join(format!("{name}.toml"));
        let train = |out: &str, rest: &str| {
            sandbox
                .run(&format!("train {} --device cpu {options} --out {name}-{out} {rest}", recipe.display()))
        };
        train("whole", "--steps 200");
        train("parts", "--steps 100");
        train("parts", "--steps 200 --resume");
        let run = |out: &str| sandbox.path(&format!("{name}-{out}"));
        let (whole, parts) = (run("whole"), run("parts"));
        let lines = metrics(&whole.join("metrics.jsonl"));
        assert_eq!(lines.len(), 200);
        assert_eq!(lines, metrics(&parts.join("metrics.jsonl")), "{name}");
        let state = |run: &Path| {
            dual_mcmc_trainer::run::checkpoint::read(&run.join("checkpoints/last.tar")).unwrap().1
        };
        assert_eq!(state(&whole), state(&parts), "{name}");
        let model = |run: &Path| {
            let bytes = std::fs::read(run.join("model.safetensors")).unwrap();
            let model = dual_mcmc::model::Model::from_bytes(&bytes).unwrap();
            (model.energy, model.generator, model.encoder, model.energy_quantiles)
        };
        assert_eq!(model(&whole), model(&parts), "{name}");
    }
}

/// Persistent chains, optimisers, everything: on two devices as on one.
#[test]
fn a_run_on_two_devices_resumes_as_the_run_that_was_never_interrupted() {
    let sandbox = Sandbox::new();
    let recipe = recipes().join("ring.toml");
    let train = format!("train {} --device cpu,cpu --set x_chain.steps=3", recipe.display());
    let said = sandbox.run(&format!("{train} --out whole --steps 8"));
    assert!(said.contains(" + CPU"), "it names both: {said}");
    sandbox.run(&format!("{train} --out parts --steps 4"));
    sandbox.run(&format!("{train} --out parts --steps 8 --resume"));
    assert_eq!(metrics(&sandbox.path("whole/metrics.jsonl")), metrics(&sandbox.path("parts/metrics.jsonl")));
    sandbox.fails(&format!("{train} --out other --set teaching.batch=1"), "teaching.batch is 1");
    sandbox.fails(&format!("train {} --device cpu,auto --out other", recipe.display()), "auto");
}

#[test]
fn time_and_interrupts_end_a_run_with_a_checkpoint() {
    let sandbox = Sandbox::new();
    sandbox.train("--out run --minutes 0.02");
    let done = metrics(&sandbox.path("run/metrics.jsonl")).len();
    assert!((1..3000).contains(&done), "{done}");
    assert!(sandbox.path("run/model.safetensors").is_file());

    #[cfg(unix)]
    {
        let recipe = recipes().join("ring.toml");
        for signal in ["-INT", "-TERM"] {
            let mut child = sandbox
                .command(&format!("train {} --device cpu --out long{signal}", recipe.display()))
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let run = sandbox.path(&format!("long{signal}"));
            let metrics = run.join("metrics.jsonl");
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
            while std::fs::metadata(&metrics).map_or(0, |m| m.len()) == 0 {
                assert!(std::time::Instant::now() < deadline, "no iteration in two minutes");
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            let killed = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
            assert!(killed.success());
            let status = child.wait().unwrap();
            let mut said = String::new();
            std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
            assert_eq!(status.code(), Some(130), "{said}");
            assert!(said.contains("--resume"), "{said}");
            let (summary, _) =
                dual_mcmc_trainer::run::checkpoint::read(&run.join("checkpoints/last.tar")).unwrap();
            assert!(summary.iteration >= 1, "{signal}: the checkpoint is that of the start");
            assert!(!run.join("model.safetensors").exists());
        }
    }
}

/// A limit on the size of files is a full disk that needs no disk of its own: with the signal ignored,
/// writes beyond it fail.
#[cfg(unix)]
#[test]
fn a_full_disk_ends_a_run_and_keeps_its_checkpoint() {
    let sandbox = Sandbox::new();
    let recipe = recipes().join("ring.toml");
    let line = format!("train {} --device cpu --set x_chain.steps=5 --checkpoint-every 2", recipe.display());
    sandbox.run(&format!("{line} --out whole --steps 8"));
    sandbox.run(&format!("{line} --out full --steps 4"));
    let last = sandbox.path("full/checkpoints/last.tar");
    let before = std::fs::read(&last).unwrap();
    let metrics_before = std::fs::metadata(sandbox.path("full/metrics.jsonl")).unwrap().len();
    // In blocks of 512 bytes, or 1024 in some shells: the metrics fit, the checkpoint does not.
    let blocks = metrics_before / 512 + 40;
    assert!(before.len() as u64 > 1024 * blocks);
    let resumed = format!("{line} --out full --steps 8 --resume");
    let output = Command::new("sh")
        .args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")])
        .arg(env!("CARGO_BIN_EXE_dual-mcmc"))
        .args(resumed.split_whitespace())
        .current_dir(sandbox.path(""))
        .env("DUAL_MCMC_DATA", sandbox.path("no-data"))
        .output()
        .unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let message = said.lines().last().unwrap();
    for part in ["its checkpoint of iteration 4 is kept, --resume", "last.tar", "File too large"] {
        assert!(message.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(std::fs::read(&last).unwrap(), before);
    assert!(
        sandbox.files().iter().all(|file| !file.to_string_lossy().contains(".writing")),
        "{:?}",
        sandbox.files()
    );

    sandbox.run(&resumed);
    assert_eq!(metrics(&sandbox.path("whole/metrics.jsonl")), metrics(&sandbox.path("full/metrics.jsonl")));
}
