//! Runs that diverge.

use super::*;

/// The lines of a run's metrics that tell of a divergence.
fn divergences(metrics: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(metrics).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter(|line: &serde_json::Value| line["event"] == "divergence").collect()
}

/// At these rates the first update is the bad one, whose state a checkpoint is due for: a rate that makes energies
/// run away in the iteration after it, and rates that make energies or samples infinite, which the measurement finds
/// first.
#[test]
fn a_run_that_diverges_goes_back_and_in_the_end_gives_up() {
    let sandbox = Sandbox::new();
    for (run, recipe, options, cause) in [
        ("away", "ring", "--set optimiser.energy.rate=1e4", "energy gap"),
        (
            "infinite",
            "ring",
            "--set optimiser.energy.rate=1e12 --measure-every 1",
            "the model's energies are not finite",
        ),
        (
            "samples",
            "ring-vae",
            "--set optimiser.generator.rate=1e30 --measure-every 1",
            "the model's samples are not finite",
        ),
    ] {
        let line = format!(
            "train {} --device cpu --out {run} --steps 40 --checkpoint-every 1 {options}",
            recipes().join(format!("{recipe}.toml")).display()
        );
        let output = sandbox.command(&line).output().unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.matches("back to iteration 0 with").count(), 5, "{said}");
        let message = said.lines().last().unwrap();
        let rate = options.split('=').next().and_then(|set| set.split(' ').nth(1)).unwrap();
        assert!(message.contains(&format!("lower {rate} or")) && message.contains(cause), "{said}");
        for file in ["model.safetensors", "checkpoints/best.tar"] {
            assert!(!sandbox.path(run).join(file).exists(), "{file}");
        }

        let metrics_file = sandbox.path(run).join("metrics.jsonl");
        let events = divergences(&metrics_file);
        let fields = |key: &str| events.iter().map(|event| event[key].clone()).collect::<Vec<_>>();
        assert_eq!(fields("divergences"), (1..=6).map(serde_json::Value::from).collect::<Vec<_>>());
        assert_eq!(fields("gave_up").iter().filter(|gave_up| **gave_up == true).count(), 1);
        assert!(events.iter().all(|event| event["cause"].as_str().unwrap().contains(cause)), "{events:?}");
        let gaps = metrics(&metrics_file).into_iter().filter_map(|line| line["energy_gap"].as_f64());
        assert!(gaps.into_iter().all(|gap| gap.abs() <= 1e4));

        // The last good model is kept: that of the start.
        let (summary, _) =
            dual_mcmc_trainer::run::checkpoint::read(&sandbox.path(run).join("checkpoints/last.tar"))
                .unwrap();
        assert_eq!((summary.iteration, summary.recoveries), (0, 5));
        sandbox.run(&format!("export {run} --out kept.safetensors"));
        let kept = std::fs::read(sandbox.path("kept.safetensors")).unwrap();
        dual_mcmc::model::Model::from_bytes(&kept).unwrap();
        sandbox.run("sample kept.safetensors --out s.npy --count 9 --device cpu");
        assert!(array(&sandbox.path("s.npy")).1.iter().all(|x| x.is_finite()));
        sandbox.run(&format!("report {run} --out report.html"));
    }
}

/// The rate is halved until the run can go on; what it then comes to is a model like any other.
#[test]
fn a_run_that_has_gone_back_can_succeed() {
    let sandbox = Sandbox::new();
    let recipe = recipes().join("ring.toml");
    let line = format!(
        "train {} --device cpu --out run --steps 15 --set optimiser.energy.rate=1 --set x_chain.steps=2 \
         --checkpoint-every 1",
        recipe.display()
    );
    let said = sandbox.run(&line);
    let metrics_file = sandbox.path("run/metrics.jsonl");
    let events = divergences(&metrics_file);
    assert!((1..=5).contains(&events.len()), "{said}");
    assert_eq!(said.matches("back to iteration").count(), events.len(), "{said}");
    let lines = metrics(&metrics_file);
    let iterations = lines.iter().filter(|line| line["event"].is_null());
    let iterations: Vec<u64> = iterations.map(|line| line["iteration"].as_u64().unwrap()).collect();
    assert_eq!(iterations, (1..=15).collect::<Vec<_>>(), "each once, those that were gone back from not");
    let rate = lines.last().unwrap()["rate_energy"].as_f64().unwrap();
    assert!((rate - 0.5f64.powi(events.len() as i32)).abs() < 1e-12, "{rate}");
    let model = std::fs::read(sandbox.path("run/model.safetensors")).unwrap();
    dual_mcmc::model::Model::from_bytes(&model).unwrap();
    let measurements = metrics(&sandbox.path("run/measurements.jsonl"));
    assert_eq!(measurements.last().unwrap()["divergences"], events.len());
    let report = std::fs::read_to_string(sandbox.path("run/report.html")).unwrap();
    assert!(report.contains(&format!("<th>divergences</th><td>{}</td>", events.len())), "{report}");
}
