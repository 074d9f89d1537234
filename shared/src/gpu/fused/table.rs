//! The fastest kernels of a graphics processor, by size: written by `dual-mcmc bench tune --table FILE`.

use super::choice::{Timed, direct, tiled};

pub(super) const TABLE: &[Timed] = &[
    (1, 16384, 64, direct(4, 1)),
    (4, 16384, 36, tiled(4, 16, 1, 4, 4)),
    (32, 65536, 288, tiled(8, 16, 2, 16, 2)),
    (8, 4096, 72, tiled(4, 16, 2, 8, 4)),
    (16, 1024, 144, tiled(4, 16, 1, 8, 4)),
    (8, 256, 72, direct(2, 1)),
];
