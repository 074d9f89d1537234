//! What can go wrong on the GPU.

use crate::network::NetworkError;

/// Why the GPU executor could not do something.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GpuError {
    /// No adapter at all. The driver interface's own, long explanation is kept but not displayed.
    #[error("no GPU was found; install its driver, or use the CPU")]
    NoAdapter(String),
    /// A real GPU was asked for, and there are only software adapters.
    #[error("only a software adapter was found ({0}); use the CPU, or ask for any adapter")]
    SoftwareOnly(String),
    /// An adapter was asked for by a number that none has.
    #[error("there is no GPU {index}; found: {found}")]
    NoSuchAdapter {
        /// The number asked for.
        index: usize,
        /// The adapters there are.
        found: String,
    },
    /// The adapter gave no device.
    #[error("the GPU {adapter} could not be opened: {reason}")]
    NoDevice {
        /// Name of the adapter.
        adapter: String,
        /// The driver's message.
        reason: String,
    },
    /// The driver reset the device or it was removed. Everything on it is gone.
    #[error("the GPU was lost ({0}); request it again and make the chains anew")]
    Lost(String),
    /// Kernels were to be timed on a device without a clock.
    #[error("this GPU's driver offers no timestamps; leave out the times of kernels")]
    NoTimestamps,
    /// An allocation failed.
    #[error("the GPU is out of memory; use fewer chains or close other programs")]
    OutOfMemory,
    /// The driver reported an error.
    #[error("the GPU reported an error: {0}")]
    Device(String),
    /// The description does not fit together, or the weights do not fit it.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A batch of this size does not fit into one binding.
    #[error("{asked} samples at once do not fit into this GPU's buffers; at most {fit} do")]
    TooMany {
        /// Rows asked for.
        asked: usize,
        /// Rows that fit.
        fit: usize,
    },
    /// A network of which not even one sample fits, or whose weights do not.
    #[error("{what} of this network need {bytes} bytes; this GPU binds at most {limit}")]
    TooLarge {
        /// "the activations" or "the weights".
        what: &'static str,
        /// Bytes needed.
        bytes: u64,
        /// Bytes of the largest binding.
        limit: u64,
    },
    /// A batch of no rows.
    #[error("a batch needs at least one sample")]
    Empty,
    /// An array of the wrong length.
    #[error("{what} must hold {expected} numbers, not {found}")]
    Length {
        /// Which array.
        what: &'static str,
        /// Numbers it must hold.
        expected: usize,
        /// Numbers it holds.
        found: usize,
    },
    /// Impossible chain settings.
    #[error("chain settings: {0}")]
    Settings(String),
    /// A chain was run too early.
    #[error("{0} before running the chain")]
    NotReady(&'static str),
}

impl GpuError {
    /// Error unless an array has the length it must have.
    pub(super) fn check_length(what: &'static str, found: usize, expected: usize) -> Result<(), GpuError> {
        if found == expected {
            return Ok(());
        }
        Err(GpuError::Length { what, expected, found })
    }
}
