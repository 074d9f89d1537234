//! Checkpoints: all of a teacher's state in one file, so that it is either whole or not there.

use crate::data::atomic;
use crate::data::image_sets::hexadecimal;
use anyhow::{Context, Result, ensure};
use dual_mcmc::model::EnergyQuantiles;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// Name of the entry that describes the others.
const SUMMARY: &str = "checkpoint.json";

/// What a run must remember beside the teacher.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Iterations done.
    pub iteration: u64,
    /// Seconds of training so far.
    pub seconds: f64,
    /// The run's figure of merit at this checkpoint, where it was measured.
    pub measure: Option<f64>,
    /// The best one so far.
    pub best: Option<f64>,
    /// Divergences that the run has gone back from.
    pub recoveries: u32,
    /// Energies of held-out data in this state, so that a model can be made of it without the data.
    #[serde(default)]
    pub energy_quantiles: Option<EnergyQuantiles>,
    /// MD5 of each entry.
    #[serde(default)]
    sums: BTreeMap<String, String>,
}

/// The named blobs of a teacher.
pub type Record = Vec<(String, Vec<u8>)>;

fn sum(bytes: &[u8]) -> String {
    hexadecimal(&Md5::digest(bytes))
}

/// Write a checkpoint in the place of an earlier one.
///
/// # Errors
/// If it cannot be written; then the earlier one is still there.
pub fn write(path: &Path, summary: &Summary, record: &Record) -> Result<()> {
    let mut summary = summary.clone();
    summary.sums = record.iter().map(|(name, bytes)| (name.clone(), sum(bytes))).collect();
    let json = serde_json::to_vec_pretty(&summary)?;
    atomic::write(path, |file| {
        let mut archive = tar::Builder::new(file);
        let entries = record.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        for (name, bytes) in [(SUMMARY, json.as_slice())].into_iter().chain(entries) {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, bytes)?;
        }
        archive.finish()?;
        Ok(())
    })
    .with_context(|| format!("cannot write the checkpoint {}", path.display()))
}

/// Read a checkpoint.
///
/// # Errors
/// If it is missing or damaged.
pub fn read(path: &Path) -> Result<(Summary, Record)> {
    let read = || -> Result<(Summary, Record)> {
        let file = std::fs::File::open(path)?;
        let mut archive = tar::Archive::new(std::io::BufReader::new(file));
        let (mut summary, mut record) = (None, Record::new());
        for entry in archive.entries()? {
            let mut entry = entry?;
            let name = entry.path()?.to_string_lossy().into_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            if name == SUMMARY {
                summary = Some(serde_json::from_slice::<Summary>(&bytes)?);
            } else {
                record.push((name, bytes));
            }
        }
        let summary = summary.context("it has no summary")?;
        let sums: BTreeMap<_, _> = record.iter().map(|(name, bytes)| (name.clone(), sum(bytes))).collect();
        ensure!(sums == summary.sums, "its contents do not match their sums");
        Ok((summary, record))
    };
    read().with_context(|| format!("cannot read the checkpoint {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn record() -> Record {
        vec![("networks".into(), vec![1, 2, 3]), ("counters".into(), b"{}".to_vec())]
    }

    #[test]
    fn a_checkpoint_comes_back_and_replaces_an_earlier_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last.tar");
        let mut summary = Summary { iteration: 7, best: Some(-1.5), ..Summary::default() };
        write(&path, &summary, &record()).unwrap();
        summary.iteration = 8;
        write(&path, &summary, &record()).unwrap();
        let (found, blobs) = read(&path).unwrap();
        assert_eq!((found.iteration, found.best, blobs), (8, Some(-1.5), record()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_checkpoint_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last.tar");
        write(&path, &Summary::default(), &record()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let place = whole.windows(3).rposition(|w| w == [1, 2, 3]).unwrap();
        let mut flipped = whole.clone();
        flipped[place] ^= 1;
        for bytes in [&flipped[..], &whole[..600], &[]] {
            std::fs::write(&path, bytes).unwrap();
            let error = format!("{:#}", read(&path).unwrap_err());
            assert!(error.contains("last.tar"), "{error}");
        }
        assert!(read(&folder.path().join("missing.tar")).is_err());
    }
}
