//! Ctrl-C: asks once, and ends the program the second time.

use anyhow::{Context, Result};
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Exit status of an interrupted program, as shells expect it.
pub const EXIT: u8 = 130;

/// From now on Ctrl-C, and the system's request to end, set a flag.
///
/// # Errors
/// If the system does not allow it.
pub fn listen() -> Result<()> {
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(EXIT));
        }
    })
    .context("cannot listen for Ctrl-C")
}

/// Whether the program has been asked to end.
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
