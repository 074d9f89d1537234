//! Values and groups of options that several commands share.

use crate::data::{atomic, npy};
use crate::run::chains::Changes;
use crate::run::device::{DeviceChoice, TrainingChoice};
use crate::run::pictures::Panel;
use anyhow::{Result, bail, ensure};
use clap::Args;
use dual_mcmc::model::Model;
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
        Changes { steps: self.steps, step_size: self.step_size, noise: self.noise }
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
        match path.extension().and_then(|e| e.to_str()) {
            Some("npy") => Ok(Output::Npy(path.into())),
            Some("png") => {
                ensure!(
                    Panel::can_draw(shape),
                    "data of shape {shape:?} cannot be drawn; write {} as .npy",
                    path.display()
                );
                Ok(Output::Png(path.into()))
            }
            _ => bail!("{} must end in .npy or .png", path.display()),
        }
    }
}

/// Samples in an `.npy` file, checked against the model's data shape.
pub fn input(path: &Path, model: &Model) -> Result<npy::Array> {
    let array = npy::read(path)?;
    let shape = model.data_shape();
    ensure!(
        array.shape[1..] == shape,
        "{} has shape {:?}, but the model takes [N{}]",
        path.display(),
        array.shape,
        shape.iter().map(|d| format!(", {d}")).collect::<String>()
    );
    Ok(array)
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
    }

    #[test]
    fn settings_keep_what_comes_after_the_first_equals_sign() {
        assert_eq!(setting("a.b = c=d"), Ok(("a.b".into(), "c=d".into())));
        assert!(setting("ab").is_err() && setting("=1").is_err());
    }

    #[test]
    fn outputs_go_by_their_extension() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        assert_eq!(Output::new(&path("a.npy"), &[5]).unwrap(), Output::Npy(path("a.npy")));
        assert_eq!(Output::new(&path("a.png"), &[2]).unwrap(), Output::Png(path("a.png")));
        assert!(Output::new(&path("a.png"), &[5]).is_err());
        assert!(Output::new(&path("a.txt"), &[2]).is_err());
        assert!(Output::new(&path("missing/a.npy"), &[2]).is_err());
    }
}
