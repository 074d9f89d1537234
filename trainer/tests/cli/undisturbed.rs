//! What must not end a job, mix it with another, or leave something behind.
#![cfg(unix)]

use super::*;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn ring() -> String {
    format!("train {} --device cpu --set x_chain.steps=5", recipes().join("ring.toml").display())
}

/// Wait until `done` holds.
fn wait_for(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !done() {
        assert!(Instant::now() < deadline, "{what} has not come about in two minutes");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(name: &str, child: &std::process::Child) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_folder_has_one_run_and_a_run_one_process() {
    let sandbox = Sandbox::new();
    let mut live = sandbox.command(&format!("{} --out run", ring())).stderr(Stdio::null()).spawn().unwrap();
    wait_for("an iteration", || {
        std::fs::metadata(sandbox.path("run/metrics.jsonl")).is_ok_and(|metadata| metadata.len() > 0)
    });
    let in_use = format!("process {} is training there", live.id());
    for line in [format!("{} --out run", ring()), format!("{} --out run --resume", ring())] {
        check_failure(&line, &sandbox.command(&line).output().unwrap(), &in_use);
    }
    // Reading is no disturbance; and a lock ends with its process, however that ends.
    sandbox.run("export run --out m.safetensors");
    live.kill().unwrap();
    live.wait().unwrap();
    sandbox.run(&format!("{} --out run --resume --steps 1", ring()));
}

#[test]
fn a_reader_that_goes_away_ends_nothing() {
    let sandbox = Sandbox::new();
    sandbox.train("--out run --steps 1");
    let shell = |line: &str| {
        let mut command = Command::new("bash");
        let program = env!("CARGO_BIN_EXE_dual-mcmc");
        command.args(["-c", &line.replace("dual-mcmc", program)]).current_dir(sandbox.path(""));
        command.env("DUAL_MCMC_DATA", sandbox.path("no-data")).output().unwrap()
    };
    let evaluate = "dual-mcmc evaluate run/model.safetensors --data ring --device cpu --count 20 --steps 2";
    let output = shell(&format!("{evaluate} --json q.json 2>/dev/null | true; exit ${{PIPESTATUS[0]}}"));
    assert_eq!(output.status.code(), Some(0));
    let json = std::fs::read_to_string(sandbox.path("q.json")).unwrap();
    assert!(json.contains("log_likelihood"), "{json}");
    // An answer that someone wanted and did not get is an error.
    let output = shell("dual-mcmc data list > /dev/full");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("standard output"), "{}", text(&output));
    let train = ring().replacen("train", "dual-mcmc train", 1);
    for (name, to) in [("full", "2> /dev/full"), ("closed", "2>&- >&-"), ("gone", "2> >(true)")] {
        let output = shell(&format!("{train} --out {name} --steps 3 {to}"));
        assert_eq!(output.status.code(), Some(0), "{name}");
        assert!(sandbox.path(name).join("model.safetensors").is_file(), "{name}");
    }
}

#[test]
fn a_start_that_fails_leaves_nothing() {
    let sandbox = Sandbox::new();
    let line = format!("{} --out deep/down/run --data nowhere.npy", ring());
    check_failure(&line, &sandbox.command(&line).output().unwrap(), "nowhere.npy");
    assert!(!sandbox.path("deep").exists());
    // A folder that was there stays, with what is in it.
    std::fs::create_dir(sandbox.path("mine")).unwrap();
    sandbox.write("mine/notes.txt", "mine");
    sandbox.fails(&format!("{} --out mine --data nowhere.npy", ring()), "nowhere.npy");
    let left: Vec<_> =
        std::fs::read_dir(sandbox.path("mine")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.txt"]);
}

#[test]
fn an_import_that_is_stopped_leaves_nothing() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path("photos")).unwrap();
    image::RgbImage::new(1500, 1500).save(sandbox.path("photos/0.png")).unwrap();
    for i in 1..400 {
        std::fs::hard_link(sandbox.path("photos/0.png"), sandbox.path(&format!("photos/{i}.png"))).unwrap();
    }
    let unfinished = || {
        let names = std::fs::read_dir(sandbox.path("")).unwrap().map(|e| e.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with(".writing-")).count()
    };
    for name in ["-INT", "-TERM", "-KILL"] {
        let line = "data import photos --size 32 --out photos.npy";
        let mut child = sandbox.command(line).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        wait_for("the file", || unfinished() == 1);
        signal(name, &child);
        let status = child.wait().unwrap();
        assert!(!sandbox.path("photos.npy").exists(), "it was stopped on its way");
        if name != "-KILL" {
            assert_eq!((status.code(), unfinished()), (Some(130), 0), "{name}");
        }
    }
    // What a kill leaves goes with the next import here.
    assert_eq!(unfinished(), 1);
    sandbox.run("data import photos --size 4 --out photos.npy");
    assert_eq!((unfinished(), array(&sandbox.path("photos.npy")).0), (0, vec![400, 3, 4, 4]));
}

/// Without a home there is no place for other sets, which is no reason to lose the figures.
#[test]
fn no_home_is_no_hindrance() {
    let sandbox = Sandbox::new();
    let model = images(&sandbox);
    let homeless = |line: &str| {
        let mut command = sandbox.command(line);
        for variable in ["DUAL_MCMC_DATA", "HOME", "XDG_DATA_HOME"] {
            command.env_remove(variable);
        }
        command.env("HOME", "").output().unwrap()
    };
    let line =
        format!("evaluate {} --data images.npy --device cpu --count 10 --json e.json", model.display());
    let output = homeless(&line);
    assert!(output.status.success(), "{}", text(&output));
    // Not how many: a home of the system's own list of users may hold some.
    assert!(std::fs::read_to_string(sandbox.path("e.json")).unwrap().contains("\"other_sets_compared\""));
    assert!(homeless("data list").status.success());
}
