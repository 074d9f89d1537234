//! The command line.

mod annotate;
mod arguments;
#[cfg(feature = "gpu")]
mod bench;
mod card;
mod data;
mod energy;
mod evaluate;
mod export;
mod features;
mod lab;
mod reconstruct;
mod report;
mod sample;
mod site;
mod train;
mod worker;

use crate::console::{self, say};
use crate::run::interrupt;
use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Energy-based models learned by dual-MCMC teaching: train, sample, measure.
#[derive(Debug, Parser)]
#[command(name = "dual-mcmc", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a recipe; writes a run folder and, at the end, its model
    Train(Box<train::Train>),
    /// Sample a model: the generator's samples, refined by the x-chain
    Sample(sample::Sample),
    /// Reconstruct samples: the encoder's guess, refined by the z-chain
    Reconstruct(reconstruct::Reconstruct),
    /// Energies of samples, and their gradients
    Energy(energy::Energy),
    /// Measure a model against data
    Evaluate(evaluate::Evaluate),
    /// Feature networks, on which distances of images are measured
    Features(features::Features),
    /// Write held-out examples and histograms of the energy into a model's file
    Annotate(annotate::Annotate),
    /// Write the model of a run
    Export(export::Export),
    /// Write a model's card: a folder with the model, its figures and pictures, as model hubs take it
    Card(card::MakeCard),
    /// Show a run, or several side by side, as one HTML page
    Report(report::Report),
    /// Serve the lab on this machine with models, and runs that may still be training
    Lab(lab::Lab),
    /// Write a static folder with the lab and models, ready to be published
    Site(site::Site),
    /// Time a training iteration with its phases, and the steps of both chains, on this machine
    #[cfg(feature = "gpu")]
    Bench(bench::Bench),
    /// Lend this machine's device to training runs elsewhere
    Worker(worker::Worker),
    /// List, fetch and import data sets
    Data(data::Data),
}

/// What a command came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Interrupted,
}

/// Run the program with the process's arguments.
pub fn main() -> ExitCode {
    // clap prints its own message and exits, with 0 for --help and --version.
    let cli = Cli::parse();
    let outcome = interrupt::listen().and_then(|()| run(cli.command));
    match outcome.and_then(|outcome| console::finish().map(|()| outcome)) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Interrupted) => ExitCode::from(interrupt::EXIT),
        Err(error) => {
            say!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<Outcome> {
    match command {
        Command::Train(train) => return train.run(),
        Command::Sample(sample) => sample.run()?,
        Command::Reconstruct(reconstruct) => reconstruct.run()?,
        Command::Energy(energy) => energy.run()?,
        Command::Evaluate(evaluate) => evaluate.run()?,
        Command::Features(features) => features.run()?,
        Command::Annotate(annotate) => annotate.run()?,
        Command::Export(export) => export.run()?,
        Command::Card(card) => card.run()?,
        Command::Report(report) => report.run()?,
        Command::Lab(lab) => lab.run()?,
        Command::Site(site) => site.run()?,
        #[cfg(feature = "gpu")]
        Command::Bench(bench) => bench.run()?,
        Command::Worker(worker) => worker.run()?,
        Command::Data(data) => data.run()?,
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_contract_is_accepted() {
        for line in [
            "train r.toml --out d --data f --device gpu:1 --seed 3 --steps 9 --minutes 1.5 --resume --checkpoint-every 5 --set a.b=1 --set c=d",
            "sample m --out f.npy --count 9 --init noise --steps 0 --step-size 0.1 --noise 0 --seed 1 --device cpu --trace t.csv",
            "reconstruct m --input f.npy --out g.png --mask m.png --steps 3",
            "energy m --input f.npy --out e.npy --gradient g.npy",
            "evaluate m --data mnist --count 100 --json e.json --seed 4",
            "evaluate m --data mnist --steps 30 --step-size 0.1 --noise 0",
            "evaluate m --data mnist --features cifar10 --features f.safetensors --reference 500",
            "features train mnist --out f --epochs 2 --seed 1 --device cpu",
            "features extract cifar10 --input i.npy --out f.npy",
            "export run --out m --f16",
            "annotate m --data mnist --examples 8 --out n --seed 1 --device cpu",
            "card run --out d --link",
            "card m --out d --data mnist --title t --count 9 --reference 9 --seed 1 --device cpu",
            "report a b --out r.html",
            #[cfg(feature = "gpu")]
            "bench --device cpu --json b.json --seconds 1",
            "train r.toml --device gpu:0,gpu:1,cpu",
            "worker --device cpu --port 0 --bind 127.0.0.1",
            "data list",
            "data fetch mnist",
            "data import d --size 32 --out f.npy",
        ] {
            let arguments = std::iter::once("dual-mcmc").chain(line.split(' '));
            Cli::try_parse_from(arguments).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
    }

    #[test]
    fn impossible_values_are_refused() {
        for line in [
            "train r.toml --steps -1",
            "train r.toml --minutes -1",
            "train r.toml --checkpoint-every 0",
            "train r.toml --set novalue",
            "train r.toml --device tpu",
            "train r.toml --device cpu,tpu",
            "train r.toml --device remote:host",
            "worker --bind everywhere",
            "sample m --out f.npy --count 0",
            "sample m --out f.npy --step-size 0",
            "sample m --out f.npy --noise -0.1",
            "sample m --out f.npy --init data",
            "sample m",
            "annotate m",
            "card m",
            "annotate m --data mnist --examples 65",
            "report",
            #[cfg(feature = "gpu")]
            "bench --seconds 0",
            "features train ring --out f",
            "features train mnist --out f --epochs 0",
            "data fetch imagenet",
            "data import d --size -8 --out f.npy",
            "frobnicate",
        ] {
            let arguments = std::iter::once("dual-mcmc").chain(line.split(' '));
            assert!(Cli::try_parse_from(arguments).is_err(), "{line}");
        }
    }
}
