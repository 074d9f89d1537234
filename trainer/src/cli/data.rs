//! `dual-mcmc data`.

use super::arguments::{check_npy, distinct};
use crate::console::{answer, say};
use crate::data::fetch::{self, Fetched};
use crate::data::image_sets::ImageSet;
use crate::data::{self, atomic, import};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use dual_mcmc::points::PointSet;
use image::Rgb;
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
    /// What is seen through transparent pixels: white, black, or a colour as #rrggbb
    #[arg(long, default_value = "white", value_name = "COLOUR", value_parser = colour)]
    background: Rgb<u8>,
    /// A file that cannot be used is an error; otherwise it is named and skipped
    #[arg(long)]
    strict: bool,
}

fn colour(text: &str) -> Result<Rgb<u8>, String> {
    let hexadecimal = || {
        let digits =
            text.strip_prefix('#').filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let [_, r, g, b] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        Some(Rgb([r, g, b]))
    };
    match text {
        "white" => Ok(import::WHITE),
        "black" => Ok(Rgb([0; 3])),
        _ => hexadecimal().ok_or_else(|| "write white, black, or a colour as #rrggbb".into()),
    }
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
        answer!("{:14} built in     synthetic points in the plane", set.name());
    }
    let folder = data::directory();
    for set in ImageSet::ALL {
        let fetched = folder.as_ref().is_ok_and(|folder| set.recognises(&folder.join(set.name())));
        let here = if fetched { "fetched" } else { "not fetched" };
        answer!("{:14} {here:12} {}", set.name(), set.description());
    }
    match folder {
        Ok(folder) => {
            answer!("Fetched sets are kept in {}; DUAL_MCMC_DATA names another folder.", folder.display());
        }
        Err(error) => answer!("{error:#}."),
    }
    Ok(())
}

impl FetchSet {
    fn run(self) -> Result<()> {
        let place = match self.out {
            Some(out) => out,
            None => data::directory()?.join(self.name.name()),
        };
        let fetched = fetch::fetch(self.name, &place, |text| say!("{text}"))?;
        let how = match fetched {
            Fetched::AlreadyThere => "was already there",
            Fetched::Upstream | Fetched::Package => "is fetched, and its sums are right",
        };
        answer!("{} {how}: {}", self.name.name(), place.display());
        Ok(())
    }
}

impl Import {
    fn run(self) -> Result<()> {
        check_npy(&self.out)?;
        distinct([self.from.as_path()], [self.out.as_path()])?;
        // What imports that were killed have left here. What cannot be cleared is no reason to stop.
        let _ = atomic::sweep(&atomic::folder_of(&self.out));
        if data::has_extension(&self.from, "csv") {
            let [count, columns] = data::csv::to_npy(&self.from, &self.out)?;
            answer!("{count} points, [{count}, {columns}]: {}", self.out.display());
            return Ok(());
        }
        let size = self.size.context("images need --size, the side in pixels")?;
        let format = import::Format { channels: self.channels, side: size, background: self.background };
        let mut skipped = 0;
        let (count, contents) =
            import::to_file(&self.from, format, self.strict, &self.out, |path, error| {
                say!("skipped {}: {error:#}", path.display());
                skipped += 1;
            })?;
        if skipped > 0 {
            say!("{skipped} images could not be used and were skipped");
        }
        if let Some(others) = contents.left_out() {
            say!("left out: {others}");
        }
        answer!("{count} images, [{count}, {}, {2}, {2}]: {1}", self.channels, self.out.display(), size);
        Ok(())
    }
}
