//! Values and groups of options that several commands share.

use crate::console::say;
use crate::data::{atomic, csv, has_extension, npy, scale};
use crate::run::device::{DeviceChoice, TrainingChoice};
use crate::run::pictures::Panel;
use anyhow::{Result, bail, ensure};
use clap::Args;
use dual_mcmc::jobs::Changes;
use dual_mcmc::model::{MAX_EXAMPLES, Model};
use same_file::is_same_file;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// A finite number above zero.
pub fn positive(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(v) if v.is_finite() && v > 0.0 => Ok(v),
        _ => Err("it must be a number above 0".into()),
    }
}

/// A finite number of at least zero.
pub fn not_negative(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(v) if v.is_finite() && v >= 0.0 => Ok(v),
        _ => Err("it must be a number of at least 0".into()),
    }
}

/// A number of samples.
pub fn count(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(n) if (1..=1 << 24).contains(&n) => Ok(n),
        _ => Err("it must be a whole number from 1 to 16777216".into()),
    }
}

/// A number of examples in a model file.
pub fn examples(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(n) if n <= MAX_EXAMPLES => Ok(n),
        _ => Err(format!("it must be a whole number from 0 to {MAX_EXAMPLES}")),
    }
}

/// A dotted key and its value.
pub fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().into(), value.trim().into())),
        _ => Err("write it as section.key=VALUE".into()),
    }
}

/// Where to compute.
#[derive(Clone, Copy, Debug, Args)]
pub struct Device {
    /// auto (a real GPU, else the CPU), gpu, gpu:N or cpu
    #[arg(long, value_name = "DEVICE", default_value = "auto", help_heading = "Device")]
    pub device: DeviceChoice,
}

/// Where to train.
#[derive(Clone, Debug, Args)]
pub struct Devices {
    /// auto (a real GPU, else the CPU), gpu, gpu:N, cpu or remote:ws://HOST:PORT; several share each batch
    #[arg(
        long = "device",
        value_name = "DEVICE,…",
        value_delimiter = ',',
        default_value = "auto",
        help_heading = "Device"
    )]
    pub devices: Vec<TrainingChoice>,
}

/// Changes to the chain that a model recommends.
#[derive(Clone, Copy, Debug, Args)]
pub struct ChainOptions {
    /// Steps of the chain [default: the model's]
    #[arg(long, value_name = "K", help_heading = "Chain")]
    pub steps: Option<u32>,
    /// Step size s: the gradient is multiplied by s²/2 [default: the model's]
    #[arg(long, value_name = "S", value_parser = positive, help_heading = "Chain")]
    pub step_size: Option<f32>,
    /// Noise n added at each step; the temperature is (n/s)² [default: the model's]
    #[arg(long, value_name = "N", value_parser = not_negative, help_heading = "Chain")]
    pub noise: Option<f32>,
    /// Seed of everything random
    #[arg(long, default_value_t = 0, help_heading = "Chain")]
    pub seed: u64,
}

impl ChainOptions {
    /// What they change of the chain.
    pub fn changes(&self) -> Changes {
        Changes { steps: self.steps, step_size: self.step_size, noise: self.noise, sigma: None }
    }
}

/// Where samples go.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// An array.
    Npy(PathBuf),
    /// A picture.
    Png(PathBuf),
}

impl Output {
    /// Judge `path` by its extension, and make sure it can be written for such data.
    pub fn new(path: &Path, shape: &[usize]) -> Result<Output> {
        atomic::check_writable(path)?;
        if has_extension(path, "npy") {
            return Ok(Output::Npy(path.into()));
        }
        if !has_extension(path, "png") {
            bail!("{} must end in .npy or .png", path.display());
        }
        ensure!(
            Panel::can_draw(shape),
            "data of shape {shape:?} cannot be drawn; write {} as .npy",
            path.display()
        );
        Ok(Output::Png(path.into()))
    }
}

/// Make sure that a file at `path` can be written later, as an array.
pub fn check_npy(path: &Path) -> Result<()> {
    ensure!(has_extension(path, "npy"), "{} must end in .npy", path.display());
    atomic::check_writable(path)
}

/// Make sure that no output is an input, which would be lost, and no two outputs are one.
pub fn distinct<'a>(
    inputs: impl IntoIterator<Item = &'a Path>,
    outputs: impl IntoIterator<Item = &'a Path>,
) -> Result<()> {
    let mut taken: Vec<(&Path, &str)> = inputs.into_iter().map(|path| (path, "is also an input")).collect();
    for output in outputs {
        if let Some((_, what)) = taken.iter().find(|(path, _)| same(path, output)) {
            bail!("{} {what}, and would be overwritten; write to another file", output.display());
        }
        taken.push((output, "is the file of another output"));
    }
    Ok(())
}

/// Whether two paths are one file, or would be if it were there.
fn same(a: &Path, b: &Path) -> bool {
    let place =
        |path: &Path| Some((atomic::folder_of(path).canonicalize().ok()?, path.file_name()?.to_owned()));
    is_same_file(a, b).unwrap_or(false) || place(a).is_some_and(|a| Some(a) == place(b))
}

/// Samples in an `.npy` or a `.csv` file, checked against the model's data shape and range.
pub fn input(path: &Path, model: &Model) -> Result<npy::Array> {
    let shape = model.data_shape();
    let fits = |found: &[usize]| {
        ensure!(
            found[1..] == shape,
            "{} has shape {found:?}, but the model takes [N{}]",
            path.display(),
            shape.iter().map(|d| format!(", {d}")).collect::<String>()
        );
        Ok(())
    };
    if has_extension(path, "csv") {
        let array = csv::read(path)?;
        fits(&array.shape)?;
        return Ok(array);
    }
    let rows = npy::Rows::open(path)?;
    fits(rows.shape())?;
    let of_images = shape.len() == 3;
    let array = if of_images { rows.of_images().all()? } else { rows.all()? };
    if of_images {
        warn(&path.display(), &array.values, &shape);
    }
    Ok(array)
}

/// Say what in samples of `shape`, flat, does not suit what recipes are made for.
pub fn warn(name: &dyn Display, samples: &[f32], shape: &[usize]) {
    scale::warnings(samples, shape).iter().for_each(|warning| say!("warning: {name}: {warning}"));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_are_checked() {
        assert_eq!(positive("0.5"), Ok(0.5));
        assert_eq!(not_negative("0"), Ok(0.0));
        assert_eq!(count("4096"), Ok(4096));
        for wrong in ["0", "-1", "nan", "inf", "x", ""] {
            assert!(positive(wrong).is_err(), "{wrong}");
        }
        for wrong in ["-1", "nan", "inf"] {
            assert!(not_negative(wrong).is_err(), "{wrong}");
        }
        for wrong in ["0", "-1", "1.5", "99999999999"] {
            assert!(count(wrong).is_err(), "{wrong}");
        }
        assert_eq!((examples("0"), examples("64")), (Ok(0), Ok(64)));
        assert!(examples("65").is_err() && examples("-1").is_err());
    }

    #[test]
    fn settings_keep_what_comes_after_the_first_equals_sign() {
        assert_eq!(setting("a.b = c=d"), Ok(("a.b".into(), "c=d".into())));
        assert!(setting("ab").is_err() && setting("=1").is_err());
    }

    #[test]
    fn an_output_is_no_input_by_whatever_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a.npy"), "").unwrap();
        std::fs::create_dir(path("b")).unwrap();
        let check = |input: &str, outputs: [&str; 2]| {
            let [first, second] = outputs.map(path);
            distinct([path(input).as_path()], [first.as_path(), second.as_path()])
        };
        check("a.npy", ["b.npy", "c.npy"]).unwrap();
        for (input, outputs, expected) in [
            ("a.npy", ["a.npy", "c.npy"], "also an input"),
            ("a.npy", ["b.npy", "b/../a.npy"], "also an input"),
            ("a.npy", ["b.npy", "b/../b.npy"], "another output"),
        ] {
            let error = check(input, outputs).unwrap_err().to_string();
            assert!(error.contains(expected), "{outputs:?}: {error}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(path("a.npy"), path("link.npy")).unwrap();
            assert!(check("a.npy", ["link.npy", "c.npy"]).is_err());
        }
    }

    #[test]
    fn outputs_go_by_their_extension() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        assert_eq!(Output::new(&path("a.npy"), &[5]).unwrap(), Output::Npy(path("a.npy")));
        assert_eq!(Output::new(&path("a.png"), &[2]).unwrap(), Output::Png(path("a.png")));
        assert_eq!(Output::new(&path("A.NPY"), &[5]).unwrap(), Output::Npy(path("A.NPY")));
        assert!(Output::new(&path("a.png"), &[5]).is_err());
        assert!(Output::new(&path("a.txt"), &[2]).is_err());
        assert!(Output::new(&path("missing/a.npy"), &[2]).is_err());
    }
}
