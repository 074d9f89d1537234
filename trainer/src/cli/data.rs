//! `dual-mcmc data`.

use crate::data::fetch::{self, Fetched};
use crate::data::image_sets::ImageSet;
use crate::data::{self, atomic, import};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use dual_mcmc::points::PointSet;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Data {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the known data sets, and which are here
    List,
    /// Fetch a public image set and check its sums
    Fetch(FetchSet),
    /// Crop and resize a folder of images, or convert a .csv file, into one .npy file for `train --data`
    Import(Import),
}

#[derive(Debug, Args)]
struct FetchSet {
    /// mnist, fashion-mnist, cifar10 or noto-emoji
    #[arg(value_parser = image_set)]
    name: ImageSet,
    /// Folder for its files [default: NAME in $DUAL_MCMC_DATA, or in dual-mcmc in the platform's data folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Import {
    /// Folder of .png, .jpg and .webp images, or a .csv file of points
    #[arg(value_name = "DIR|FILE.csv")]
    from: PathBuf,
    /// Side of the square images, in pixels
    #[arg(long, value_name = "S")]
    size: Option<usize>,
    /// The .npy file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// 3 for colour, 1 for grey
    #[arg(long, default_value_t = 3, value_name = "C")]
    channels: usize,
    /// A file that cannot be used is an error; otherwise it is named and skipped
    #[arg(long)]
    strict: bool,
}

pub(super) fn image_set(name: &str) -> Result<ImageSet, String> {
    ImageSet::from_name(name)
        .ok_or_else(|| "known sets are mnist, fashion-mnist, cifar10 and noto-emoji".into())
}

impl Data {
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::List => list(),
            Command::Fetch(fetch) => fetch.run(),
            Command::Import(import) => import.run(),
        }
    }
}

fn list() -> Result<()> {
    for set in PointSet::ALL {
        println!("{:14} built in     synthetic points in the plane", set.name());
    }
    let folder = data::directory()?;
    for set in ImageSet::ALL {
        let here = if set.recognises(&folder.join(set.name())) { "fetched" } else { "not fetched" };
        println!("{:14} {here:12} {}", set.name(), set.description());
    }
    println!("Fetched sets are kept in {}; DUAL_MCMC_DATA names another folder.", folder.display());
    Ok(())
}

impl FetchSet {
    fn run(self) -> Result<()> {
        let place = match self.out {
            Some(out) => out,
            None => data::directory()?.join(self.name.name()),
        };
        let fetched = fetch::fetch(self.name, &place, |text| eprintln!("{text}"))?;
        let how = match fetched {
            Fetched::AlreadyThere => "was already there",
            Fetched::Upstream | Fetched::Package => "is fetched, and its sums are right",
        };
        println!("{} {how}: {}", self.name.name(), place.display());
        Ok(())
    }
}

impl Import {
    fn run(self) -> Result<()> {
        if self.out.extension().is_none_or(|e| e != "npy") {
            bail!("{} must end in .npy", self.out.display());
        }
        atomic::check_writable(&self.out)?;
        if data::is_csv(&self.from) {
            let [count, columns] = data::csv::to_npy(&self.from, &self.out)?;
            println!("{count} points, [{count}, {columns}]: {}", self.out.display());
            return Ok(());
        }
        let size = self.size.context("images need --size, the side in pixels")?;
        let mut skipped = 0;
        let count =
            import::to_file(&self.from, [self.channels, size], self.strict, &self.out, |path, error| {
                eprintln!("skipped {}: {error:#}", path.display());
                skipped += 1;
            })?;
        if skipped > 0 {
            eprintln!("{skipped} files were skipped");
        }
        println!("{count} images, [{count}, {}, {2}, {2}]: {1}", self.channels, self.out.display(), size);
        Ok(())
    }
}
