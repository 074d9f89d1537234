//! Ctrl-C, and the system's requests to end (SIGTERM, SIGHUP).
//!
//! A program that is asked to end removes what it has not finished, and ends. A training is patient: at the first
//! request it ends by itself, with a checkpoint, and only a second one ends it at once.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Exit status of an interrupted program, as shells expect it.
pub const EXIT: u8 = 130;

static ASKED: AtomicBool = AtomicBool::new(false);
static PATIENT: AtomicBool = AtomicBool::new(false);

type Removal = Box<dyn FnOnce() + Send>;

/// How to remove what is not finished yet.
static UNFINISHED: Mutex<BTreeMap<u64, Removal>> = Mutex::new(BTreeMap::new());

fn unfinished() -> MutexGuard<'static, BTreeMap<u64, Removal>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on a request to end removes what is unfinished, and ends the program.
///
/// # Errors
/// If the system does not allow it.
#[cfg(unix)]
pub fn listen() -> Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = vec![SIGINT, SIGTERM];
    if !hangup_is_ignored() {
        signals.push(SIGHUP);
    }
    let mut signals = signal_hook::iterator::Signals::new(signals).context("cannot listen for Ctrl-C")?;
    std::thread::spawn(move || signals.forever().for_each(|_| ask()));
    Ok(())
}

/// From now on a request to end removes what is unfinished, and ends the program.
///
/// # Errors
/// If the system does not allow it.
#[cfg(not(unix))]
pub fn listen() -> Result<()> {
    ctrlc::set_handler(ask).context("cannot listen for Ctrl-C")
}

/// Whether the program was started by `nohup`, to outlive its terminal; Linux tells.
#[cfg(unix)]
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // The first bit is that of the first signal, SIGHUP.
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Someone asks the program to end.
fn ask() {
    if !ASKED.swap(true, Ordering::SeqCst) && PATIENT.load(Ordering::SeqCst) {
        return;
    }
    // Held until the end: nothing is begun or finished any more.
    let mut unfinished = unfinished();
    // The newest first: what was begun within something else.
    std::mem::take(&mut *unfinished).into_values().rev().for_each(|remove| remove());
    std::process::exit(i32::from(EXIT));
}

/// Makes the first request to end only set [`asked`].
pub fn be_patient() {
    PATIENT.store(true, Ordering::SeqCst);
}

/// Whether the program has been asked to end.
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}

/// Runs `work` without interruption: a request to end waits for it.
pub fn undivided<T>(work: impl FnOnce() -> T) -> T {
    let _waits = unfinished();
    work()
}

/// The removal of something unfinished: done when this is dropped, and when the program is asked to end.
pub struct Cleanup(u64);

impl Cleanup {
    /// Registers `remove`, which removes what is unfinished.
    pub fn new(remove: impl FnOnce() + Send + 'static) -> Cleanup {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        unfinished().insert(number, Box::new(remove));
        Cleanup(number)
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        // Removed under the lock, so that a request to end waits for it.
        let mut unfinished = unfinished();
        if let Some(remove) = unfinished.remove(&self.0) {
            remove();
        }
    }
}
