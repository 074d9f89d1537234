//! The fastest kernels of a graphics processor, by size: written by `dual-mcmc bench tune --table FILE`
//! on NVIDIA H100 80GB HBM3 (vulkan). Rows that others speak for within a tenth are left out.

use super::choice::{Timed, direct, tiled};

pub(super) const TABLE: &[Timed] = &[
    (1, 4096, 128, direct(2, 1, 16)),
    (1, 16384, 1152, direct(4, 1, 8)),
    (1, 65536, 36, direct(4, 1, 8)),
    (1, 524288, 36, direct(4, 1, 1)),
    (4, 4096, 72, direct(4, 1, 8)),
    (4, 16384, 9, direct(1, 1, 1)),
    (4, 16384, 72, tiled(4, 16, 1, 4, 4)),
    (4, 65536, 9, direct(1, 2, 1)),
    (4, 65536, 32, tiled(4, 32, 2, 2, 2)),
    (4, 524288, 9, direct(2, 2, 1)),
    (4, 524288, 32, tiled(4, 32, 2, 2, 2)),
    (8, 1024, 144, direct(4, 1, 8)),
    (8, 4096, 144, tiled(1, 16, 1, 8, 4)),
    (8, 131072, 64, tiled(8, 16, 2, 4, 2)),
    (16, 256, 256, direct(4, 1, 16)),
    (16, 1024, 144, tiled(1, 16, 1, 8, 4)),
    (16, 4096, 128, tiled(4, 16, 1, 4, 4)),
    (16, 8192, 16, tiled(2, 16, 1, 8, 4)),
    (16, 32768, 128, tiled(8, 16, 2, 4, 2)),
    (32, 64, 32, direct(1, 1, 16)),
    (32, 512, 2, direct(1, 1, 1)),
    (32, 512, 32, tiled(1, 16, 1, 8, 4)),
    (32, 65536, 27, direct(2, 2, 1)),
    (32, 65536, 288, tiled(8, 16, 2, 4, 2)),
    (128, 1024, 1152, tiled(4, 16, 1, 4, 4)),
    (128, 4096, 1, direct(1, 2, 1)),
    (128, 4096, 1152, tiled(8, 16, 2, 4, 2)),
    (128, 16384, 27, direct(2, 2, 1)),
];
