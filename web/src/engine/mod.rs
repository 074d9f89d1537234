//! Chains, on the graphics device or in workers.

mod device;
mod pool;
mod question;
mod run;
mod worker;

pub use device::{Device, Graphics};
pub use pool::Pool;
pub use run::{Engine, Sight};
