//! The chains of the page: the jobs of [`dual_mcmc::jobs`] on the device that was found.

mod device;
mod run;
mod workers;

pub use device::Device;
pub use run::{Engine, energies_here};
