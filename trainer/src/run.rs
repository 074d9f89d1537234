//! Runs of the trainer, and what is done with their models: everything with files, clocks and
//! devices that is not argument parsing.

pub mod annotate;
#[cfg(feature = "gpu")]
pub mod bench;
pub mod card;
pub mod chains;
pub mod checkpoint;
pub mod classifier;
pub mod device;
pub mod directory;
pub mod evaluate;
pub mod export;
pub mod fault;
pub mod features;
pub mod frechet;
#[cfg(feature = "fid")]
pub mod inception;
pub mod interrupt;
pub mod landscape;
pub mod measure;
pub mod metrics;
pub mod model_file;
pub mod phases;
pub mod pictures;
pub mod progress;
pub mod replicas;
pub mod report;
pub mod showing;
pub mod train;
