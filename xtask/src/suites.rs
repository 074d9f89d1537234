//! `cargo xtask test`: every check and test, each suite counted. A suite that fails does not keep
//! the next from running.

use crate::process::{cargo, line};
use crate::say;
use crate::tools::{self, Toolbox, WASM};
use crate::{page, process};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Counts of one suite.
#[derive(Clone, Debug, Default, PartialEq)]
struct Suite {
    name: String,
    passed: u64,
    failed: u64,
    skipped: u64,
    time: Duration,
}

/// With remote devices: one set of features for lints and tests, so that burn is compiled once for each.
const FEATURES: [&str; 2] = ["--features", "dual-mcmc-trainer/remote"];

/// Run everything and print the counts; whether all passed.
///
/// # Errors
/// If a tool is missing and cannot be installed.
pub fn run(long: bool) -> Result<bool> {
    let page_tools = tools::for_page()?;
    let test_tools = tools::for_tests()?;
    let mut suites = vec![
        check("formatting", |cargo| cargo.args(["fmt", "--all", "--check"])),
        check("lints: everything", |cargo| {
            // The same packages, targets and features as `cargo test --workspace` below.
            cargo.args(["clippy", "--workspace", "--all-targets"]);
            cargo.args(FEATURES).args(["--", "-D", "warnings"])
        }),
        check("lints: trainer without remote devices", |cargo| {
            cargo.args(["clippy", "--package", "dual-mcmc-trainer", "--all-targets", "--", "-D", "warnings"])
        }),
        check("lints: trainer without a GPU", |cargo| {
            cargo.args([
                "clippy",
                "--package",
                "dual-mcmc-trainer",
                "--lib",
                "--bins",
                "--no-default-features",
            ]);
            cargo.args(["--features", "cli", "--", "-D", "warnings"])
        }),
        check("lints: page on wasm32", |cargo| {
            cargo.args(["clippy", "--package", "dual-mcmc-web", "--target", WASM, "--", "-D", "warnings"])
        }),
        check("lints: training iteration on wasm32", |cargo| {
            cargo.args(["clippy", "--package", "dual-mcmc-trainer", "--package", "dual-mcmc-teach", "--lib"]);
            cargo.arg("--no-default-features");
            cargo.args(["--target", WASM, "--", "-D", "warnings"])
        }),
        check("lints: writing a site", |cargo| {
            cargo.args([
                "clippy",
                "--package",
                "xtask",
                "--features",
                "publish",
                "--bins",
                "--",
                "-D",
                "warnings",
            ])
        }),
    ];
    let built = measured("page builds", || {
        let out = page_folder()?;
        page::build(&page_tools, &out)?;
        Ok(out)
    });
    suites.push(built.0);
    if let Some(out) = built.1 {
        suites.push(measured("page size", || within_budget(&out)).0);
        suites.extend(cargo_test(&out, &test_tools, long)?);
    } else {
        say!("The browser tests fail: there is no page for them.");
        suites.extend(cargo_test(&PathBuf::new(), &test_tools, long)?);
    }
    if long {
        // Its crates compile for minutes; nothing but FID is in them.
        suites.push(check("lints: FID", |cargo| {
            cargo.args(["clippy", "--package", "dual-mcmc-trainer", "--features", "fid", "--all-targets"]);
            cargo.args(["--", "-D", "warnings"])
        }));
        suites.push(check("FID", |cargo| {
            cargo.args(["test", "--package", "dual-mcmc-trainer", "--features", "fid", "--lib", "inception"])
        }));
    }
    Ok(report(&suites))
}

/// One command that passes or fails as a whole.
fn check(name: &str, arguments: impl FnOnce(&mut Command) -> &mut Command) -> Suite {
    measured(name, || {
        let mut cargo = cargo();
        process::run(arguments(&mut cargo))
    })
    .0
}

/// One check that passes or fails as a whole, and its result.
fn measured<T>(name: &str, check: impl FnOnce() -> Result<T>) -> (Suite, Option<T>) {
    say!("\n== {name}");
    let start = Instant::now();
    let result = check();
    if let Err(error) = &result {
        say!("error: {error:#}");
    }
    let failed = u64::from(result.is_err());
    let suite = Suite { name: name.into(), passed: 1 - failed, failed, skipped: 0, time: start.elapsed() };
    (suite, result.ok())
}

/// Where the page under test is built: not in dist/, which a lab may be serving.
pub(crate) fn page_folder() -> Result<PathBuf> {
    Ok(process::target_directory()?.join("page"))
}

fn within_budget(page: &std::path::Path) -> Result<()> {
    let sizes = page::sizes(page)?;
    for (name, bytes) in &sizes {
        say!("{:>9.1} kB  {name}", *bytes as f64 / 1e3);
    }
    let of = |training: bool| -> u64 {
        sizes.iter().filter(|(name, _)| page::is_for_training(name) == training).map(|(_, bytes)| bytes).sum()
    };
    for (what, total, most) in
        [("the page", of(false), page::BUDGET), ("its training view", of(true), page::TRAINING_BUDGET)]
    {
        say!("{:>9.1} kB  gzipped, of {:.1} kB allowed: {what}", total as f64 / 1e3, most as f64 / 1e3);
        if total > most {
            bail!("{what} has outgrown its budget");
        }
    }
    Ok(())
}

/// `cargo test` of the whole workspace, a suite for each of its test programs.
fn cargo_test(page: &std::path::Path, tools: &Toolbox, long: bool) -> Result<Vec<Suite>> {
    let mut test = cargo();
    tools.lend(&mut test);
    test.args(["test", "--workspace", "--no-fail-fast"]).args(FEATURES);
    if long {
        test.args(["--", "--include-ignored"]);
    }
    // The page is the one built above.
    test.env("DUAL_MCMC_PAGE", page).env("CARGO_TERM_COLOR", "never");
    say!("\n== {}", line(&test));
    let (reader, writer) = std::io::pipe()?;
    test.stdin(std::process::Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = test.spawn().context("cannot start cargo")?;
    // The command holds the pipe's other end too: without dropping it, reading would never end.
    drop(test);
    let mut tally = Tally::default();
    let mut reader = BufReader::new(reader);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        let text = String::from_utf8_lossy(&bytes);
        say!("{}", text.trim_end_matches('\n'));
        tally.read(text.trim_end());
        bytes.clear();
    }
    Ok(tally.finish(child.wait()?.success()))
}

/// Reads what `cargo test` prints.
#[derive(Default)]
struct Tally {
    suites: Vec<Suite>,
    open: Option<(String, Instant)>,
}

impl Tally {
    fn read(&mut self, text: &str) {
        let trimmed = text.trim_start();
        if let Some(doc) = trimmed.strip_prefix("Doc-tests ") {
            self.start(format!("{doc}: documentation"));
        } else if let Some(running) = trimmed.strip_prefix("Running ")
            && text.starts_with(' ')
            && let Some((source, program)) = running.split_once(" (")
        {
            // The program's file is named for its package or test, then a hash.
            let file = program.trim_end_matches(')').rsplit(['/', '\\']).next().unwrap_or_default();
            let name = file.rsplit_once('-').map_or(file, |(name, _)| name);
            match source.strip_prefix("unittests ") {
                Some(source) => self.start(format!("{name}: {source}")),
                None => self.start(source.to_string()),
            }
        } else if let Some(result) = text.strip_prefix("test result: ") {
            let count = |what: &str| {
                let before = result.split(what).next().unwrap_or_default().trim_end();
                before.rsplit([' ', ';']).next().and_then(|n| n.parse().ok()).unwrap_or(0)
            };
            let (passed, failed, skipped) = (count(" passed"), count(" failed"), count(" ignored"));
            match (self.open.take(), self.suites.last_mut()) {
                (Some((name, start)), _) => {
                    self.suites.push(Suite { name, passed, failed, skipped, time: start.elapsed() });
                }
                // One heading, two results: documentation that cannot share a program with the rest.
                (None, Some(suite)) => {
                    suite.passed += passed;
                    suite.failed += failed;
                    suite.skipped += skipped;
                }
                (None, None) => {}
            }
        }
    }

    fn start(&mut self, name: String) {
        self.close();
        self.open = Some((name, Instant::now()));
    }

    /// A program that ended without its result has crashed.
    fn close(&mut self) {
        if let Some((name, start)) = self.open.take() {
            self.suites.push(Suite {
                name: format!("{name} (crashed)"),
                failed: 1,
                time: start.elapsed(),
                ..Suite::default()
            });
        }
    }

    fn finish(mut self, success: bool) -> Vec<Suite> {
        self.close();
        if !success && self.suites.iter().all(|suite| suite.failed == 0) {
            // Nothing failed, and yet cargo did: it did not compile.
            self.suites.push(Suite { name: "cargo test".into(), failed: 1, ..Suite::default() });
        }
        self.suites.retain(|suite| suite.passed + suite.failed + suite.skipped > 0);
        self.suites
    }
}

/// Print the counts; whether nothing failed.
fn report(suites: &[Suite]) -> bool {
    let width = suites.iter().map(|suite| suite.name.chars().count()).max().unwrap_or(0);
    say!("\n{:width$}  passed  failed  skipped     time", "suite");
    for Suite { name, passed, failed, skipped, time } in suites {
        say!("{name:width$}  {passed:6}  {failed:6}  {skipped:7}  {:5.0} s", time.as_secs_f64());
    }
    let total = |count: fn(&Suite) -> u64| suites.iter().map(count).sum::<u64>();
    let (passed, failed, skipped) = (total(|s| s.passed), total(|s| s.failed), total(|s| s.skipped));
    let skips = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
    say!("\n{passed} passed, {failed} failed{skips}");
    failed == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(lines: &str, success: bool) -> Vec<(String, u64, u64, u64)> {
        let mut tally = Tally::default();
        lines.lines().for_each(|line| tally.read(line));
        tally.finish(success).into_iter().map(|s| (s.name, s.passed, s.failed, s.skipped)).collect()
    }

    #[test]
    fn the_results_of_cargo_test_are_counted() {
        let text = "   Compiling a v0.1.0\n     Running unittests src/lib.rs (target/debug/deps/dual_mcmc-0a1b)\n\n\
                    running 3 tests\ntest a ... ok\n\
                    test result: FAILED. 11 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.1s\n\
                    \x20    Running tests/gpu.rs (target/debug/deps/gpu-9f)\n\
                    test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s\n\
                    \x20    Running unittests src/main.rs (target/debug/deps/none-9f)\n\
                    test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s\n\
                    \x20  Doc-tests dual_mcmc\n\
                    test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s\n\
                    test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s\n";
        let name = String::from;
        let expected = vec![
            (name("dual_mcmc: src/lib.rs"), 11, 1, 2),
            (name("tests/gpu.rs"), 4, 0, 0),
            (name("dual_mcmc: documentation"), 3, 0, 0),
        ];
        assert_eq!(counts(text, false), expected);
    }

    #[test]
    fn a_crash_and_a_compile_error_are_failures() {
        let crashed = "     Running tests/a.rs (deps/a-1)\nSIGSEGV\n     Running tests/b.rs (deps/b-1)\n\
                       test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured\n";
        let expected =
            vec![("tests/a.rs (crashed)".to_string(), 0, 1, 0), ("tests/b.rs".to_string(), 4, 0, 0)];
        assert_eq!(counts(crashed, false), expected);
        assert_eq!(counts("error[E0308]: mismatched types\n", false), [("cargo test".to_string(), 0, 1, 0)]);
    }

    #[test]
    fn what_a_test_prints_is_no_heading() {
        let text = "     Running tests/a.rs (deps/a-1)\nRunning 30 steps (cpu)\n\
                    test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured\n";
        assert_eq!(counts(text, true), [("tests/a.rs".to_string(), 1, 0, 0)]);
    }
}
