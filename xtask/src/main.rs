//! `cargo xtask …`: see [`USAGE`].

use anyhow::{Context, Result, bail};
use lexopt::{Arg, Parser, ValueExt};
use std::path::PathBuf;
use std::process::ExitCode;
use xtask::{bench_browser, cards, install, lab, npm, page, site, suites, tools};
use xtask::{complain, say};

const USAGE: &str = "\
cargo xtask lab   [--port N] [--open] [--no-train] [--recipe FILE]
    Build the lab page, serve it on localhost with the shipped models, then train a
    model of your own for a minute and add it to the page's list. Ctrl-C ends it.
cargo xtask test  [--long]
    Run every check and test. --long adds the long suites.
cargo xtask site  --model FILE --out DIR [--title TEXT]
    Write a static folder, ready to be published, with the lab, the embed page and the model.
cargo xtask install  [--no-gpu]
    Install the program dual-mcmc with the page inside it, for `dual-mcmc lab` and `dual-mcmc site`.
cargo xtask npm
    Write the element as an npm package; the last line is the tarball's path.
cargo xtask page  [--out DIR]
    Build the page alone (into dist/), with the shipped models.
cargo xtask cards [NAME]…
    Measure the shipped models, or those of these names, and write their cards and models/README.md.
cargo xtask bench-browser  [--model FILE] [--chains N,…] [--devices webgpu,wasm] [--libraries ours,jax,tensorflow]
                           [--seconds S] [--json FILE] [--serve [--port N]]
    Time Langevin steps in a browser, in this project's engine, in jax-js and in TensorFlow.js:
    in a headless Chromium with WebGPU in software, or, with --serve, in any that opens the page.
cargo xtask setup
    Install everything that the commands above need.

What is missing is installed, into a cache of this project where that is possible; whatever needs
root is asked for first (CI=true answers yes).";

fn main() -> ExitCode {
    match chore() {
        Ok(code) => code,
        Err(error) => {
            complain!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn chore() -> Result<ExitCode> {
    let mut args = Parser::from_env();
    let name = match args.next()? {
        Some(Arg::Value(name)) => name.string()?,
        Some(Arg::Short('h') | Arg::Long("help")) | None => {
            say!("{USAGE}");
            return Ok(ExitCode::SUCCESS);
        }
        Some(other) => return Err(other.unexpected().into()),
    };
    match name.as_str() {
        "lab" => lab_chore(&mut args)?,
        "site" => site_chore(&mut args)?,
        "page" => page_chore(&mut args)?,
        "install" => install_chore(&mut args)?,
        "npm" => {
            no_more(&mut args)?;
            npm::write()?;
        }
        "bench-browser" => bench_browser_chore(&mut args)?,
        "cards" => {
            let mut names = Vec::new();
            while let Some(arg) = args.next()? {
                match arg {
                    Arg::Value(name) => names.push(name.string()?),
                    other => return Err(other.unexpected().into()),
                }
            }
            cards::write(&names)?;
        }
        "setup" => {
            no_more(&mut args)?;
            tools::for_page()?;
            tools::for_tests()?;
            say!("Everything is there.");
        }
        "test" => {
            let mut long = false;
            while let Some(arg) = args.next()? {
                match arg {
                    Arg::Long("long") => long = true,
                    other => return Err(other.unexpected().into()),
                }
            }
            let passed = suites::run(long)?;
            return Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        other => bail!("there is no chore `{other}`\n{USAGE}"),
    }
    Ok(ExitCode::SUCCESS)
}

fn lab_chore(args: &mut Parser) -> Result<()> {
    let mut options = lab::Options::default();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("port") => options.port = Some(args.value()?.parse()?),
            Arg::Long("open") => options.open = true,
            Arg::Long("no-train") => options.train = false,
            Arg::Long("recipe") => options.recipe = Some(PathBuf::from(args.value()?)),
            other => return Err(other.unexpected().into()),
        }
    }
    lab::run(&options)
}

fn install_chore(args: &mut Parser) -> Result<()> {
    let mut gpu = true;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("no-gpu") => gpu = false,
            other => return Err(other.unexpected().into()),
        }
    }
    install::run(gpu)
}

fn site_chore(args: &mut Parser) -> Result<()> {
    let (mut model, mut out, mut title) = (None, None, None);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("model") => model = Some(PathBuf::from(args.value()?)),
            Arg::Long("out") => out = Some(PathBuf::from(args.value()?)),
            Arg::Long("title") => title = Some(args.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let model = model.context("site needs --model FILE, the model to publish")?;
    let out = out.context("site needs --out DIR, the folder to write")?;
    site::write(&model, &out, title.as_deref())
}

fn page_chore(args: &mut Parser) -> Result<()> {
    let mut out = page::dist();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("out") => out = PathBuf::from(args.value()?),
            other => return Err(other.unexpected().into()),
        }
    }
    page::build(&tools::for_page()?, &out)?;
    say!("The page is in {}.", out.display());
    Ok(())
}

fn bench_browser_chore(args: &mut Parser) -> Result<()> {
    let mut options = bench_browser::Options::default();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("model") => options.model = Some(PathBuf::from(args.value()?)),
            Arg::Long("json") => options.json = Some(PathBuf::from(args.value()?)),
            Arg::Long("port") => options.port = Some(args.value()?.parse()?),
            Arg::Long("serve") => options.serve = true,
            Arg::Long(list @ ("chains" | "devices" | "libraries")) => {
                let list = list.to_owned();
                options.query.push(format!("{list}={}", args.value()?.string()?));
            }
            Arg::Long("seconds") => options.query.push(format!("seconds={}", args.value()?.parse::<f64>()?)),
            other => return Err(other.unexpected().into()),
        }
    }
    bench_browser::run(&options)
}

fn no_more(args: &mut Parser) -> Result<()> {
    match args.next()? {
        None => Ok(()),
        Some(arg) => Err(arg.unexpected().into()),
    }
}
