//! Runs that are killed without a word.

use super::*;

/// Iteration of the last whole line of a run's metrics; 0 without one.
#[cfg(unix)]
fn logged(metrics: &Path) -> u64 {
    let text = std::fs::read_to_string(metrics).unwrap_or_default();
    let iteration = |line| serde_json::from_str::<serde_json::Value>(line).ok()?["iteration"].as_u64();
    text.lines().rev().find_map(iteration).unwrap_or(0)
}

/// Kill a run `times` times at random moments, resume it each time, and in the end find the run that was
/// never killed. One kill in five comes while the program starts, one while it writes a checkpoint; the others
/// come a random time after one of its next iterations, so that they fall into the run however fast the machine is.
#[cfg(unix)]
fn kill_and_resume(times: u32) {
    use dual_mcmc::noise::{Noise, Stream};
    use std::io::BufRead;
    let sandbox = Sandbox::new();
    let recipe = recipes().join("ring.toml");
    let total = 20 + 8 * u64::from(times);
    let line = format!(
        "train {} --device cpu --set x_chain.steps=5 --steps {total} --checkpoint-every 2",
        recipe.display()
    );
    sandbox.run(&format!("{line} --out whole"));
    let run = sandbox.path("killed");
    let last = run.join("checkpoints/last.tar");
    let random = |kill, below| u64::from(Noise::new(7, Stream::Data).below(0, kill, below));
    // Files come and go while the run goes on.
    let unfinished = || {
        let files = std::fs::read_dir(run.join("checkpoints")).into_iter().flatten().flatten();
        files.filter(|file| file.file_name().to_string_lossy().starts_with(".writing")).count()
    };
    let (mut furthest, mut advances, mut in_mid_run, mut left) = (0, 0, 0, 0);
    for kill in 0..times {
        let resume = if run.join("recipe.toml").exists() { "--resume" } else { "" };
        let mut child = sandbox
            .command(&format!("{line} --out killed {resume}"))
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = std::io::BufReader::new(child.stderr.take().unwrap()).lines();
        let mut heard = Vec::new();
        if kill % 5 == 0 {
            std::thread::sleep(std::time::Duration::from_millis(random(kill, 300)));
        } else {
            // The first iteration is shown; before that the metrics may be those of the run before.
            let shown = format!("/{total} ");
            heard.extend(said.by_ref().map(Result::unwrap).take_while(|line| !line.contains(&shown)));
            let target = logged(&run.join("metrics.jsonl")) + 1 + random(kill, 8);
            while logged(&run.join("metrics.jsonl")) < target && child.try_wait().unwrap().is_none() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            if kill % 5 == 1 {
                while unfinished() == 0 && child.try_wait().unwrap().is_none() {}
            } else {
                std::thread::sleep(std::time::Duration::from_micros(random(kill + times, 30_000)));
            }
        }
        child.kill().unwrap();
        let status = child.wait().unwrap();
        if let Some(code) = status.code() {
            heard.extend(said.map(Result::unwrap));
            assert_eq!(code, 0, "it ended by itself: {heard:?}");
        } else if kill % 5 != 0 && (1..total).contains(&logged(&run.join("metrics.jsonl"))) {
            in_mid_run += 1;
        }
        if run.join("recipe.toml").exists() {
            let (summary, _) = dual_mcmc_trainer::run::checkpoint::read(&last).unwrap();
            assert!(summary.iteration >= furthest, "kill {kill} lost a checkpoint");
            advances += u32::from(summary.iteration > furthest);
            furthest = summary.iteration;
        }
        left += unfinished();
    }
    eprintln!(
        "{times} kills, {in_mid_run} between the first iteration and the last, {advances} after a new checkpoint, \
         at last at iteration {furthest} of {total}; {left} left an unfinished file"
    );
    assert!(in_mid_run >= times * 3 / 5 && advances >= times / 2, "{in_mid_run} {advances}");
    assert!(left > 0 || times < 50, "no kill while a checkpoint was written");
    sandbox.run(&format!("{line} --out killed --resume"));
    assert!(
        sandbox.files().iter().all(|file| !file.to_string_lossy().contains(".writing")),
        "{:?}",
        sandbox.files()
    );
    assert_eq!(metrics(&sandbox.path("whole/metrics.jsonl")), metrics(&sandbox.path("killed/metrics.jsonl")));
    let networks = |run: &str| {
        let bytes = std::fs::read(sandbox.path(run).join("model.safetensors")).unwrap();
        let model = dual_mcmc::model::Model::from_bytes(&bytes).unwrap();
        (model.energy, model.generator, model.encoder)
    };
    assert_eq!(networks("whole"), networks("killed"));
}

#[cfg(unix)]
#[test]
fn a_run_survives_being_killed() {
    kill_and_resume(5);
}

#[cfg(unix)]
#[test]
#[ignore = "fifty restarts take a minute or more; five are in every run. cargo xtask test --long"]
fn a_run_survives_being_killed_fifty_times() {
    kill_and_resume(50);
}
