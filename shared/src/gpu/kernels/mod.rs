//! The WGSL of the kernels, and the parameters of each: a struct of the same name and order in Rust as in its file.
//!
//! A kernel is its file behind the parts that it uses; every file is valid WGSL there. What differs from network to
//! network ([`fused`](super::fused)) is written before or behind the files, never into them.

use super::shader::Shader;
use bytemuck::{Pod, Zeroable};

/// The text of a file in this folder.
macro_rules! file {
    ($name:literal) => {
        include_str!(concat!($name, ".wgsl"))
    };
}

/// Parts that kernels are made with.
pub(super) const INDEX: &str = file!("index");
pub(super) const NOISE: &str = file!("noise");
pub(super) const UPDATE: &str = file!("update");
pub(super) const ACTIVATION_FUNCTIONS: &str = file!("activation_functions");
pub(super) const ACTIVATIONS: &str = file!("fused/activations");
pub(super) const CORRELATION: &str = file!("fused/correlation");
pub(super) const CORRELATE: &str = file!("fused/correlate");
pub(super) const TILED: &str = file!("fused/tiled");
pub(super) const STEP: &str = file!("fused/step");
pub(super) const STEP_NUMBERS: &str = file!("fused/step_numbers");
pub(super) const STEP_ELEMENTS: &str = file!("fused/step_elements");
const BETWEEN: &str = file!("between");
const WORKGROUP_SUM: &str = file!("workgroup_sum");
const PLANE: &str = file!("fused/plane");
#[cfg(feature = "workbench")]
const TILE: &str = file!("plain/tile");

/// `true` if a word is given.
#[cfg(feature = "workbench")]
macro_rules! given {
    () => {
        false
    };
    ($word:ident) => {
        true
    };
}

/// The table of kernels: the file of each, `with` the parts that it uses. One that `calls finish` hands its results to
/// a function of that name, which is written for each network.
macro_rules! kernels {
    ($($(#[$on:meta])* $kernel:ident: $name:literal $(with $part:ident)* $(calls $finish:ident)?;)*) => {
        /// A kernel that is the same for every network.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Kernel { $($(#[$on])* $kernel),* }

        impl Kernel {
            #[cfg(feature = "workbench")]
            pub(super) const ALL: &[Kernel] = &[$($(#[$on])* Kernel::$kernel),*];

            /// The name of its file.
            pub(super) fn name(self) -> &'static str {
                match self { $($(#[$on])* Kernel::$kernel => $name),* }
            }

            /// Whether it hands its results to a function `finish`, which is written for each network.
            #[cfg(feature = "workbench")]
            pub(super) fn calls_finish(self) -> bool {
                match self { $($(#[$on])* Kernel::$kernel => given!($($finish)?)),* }
            }
        }

        impl Shader for Kernel {
            fn label(&self) -> String {
                self.name().into()
            }

            fn source(&self) -> String {
                match self {
                    $($(#[$on])* Kernel::$kernel => [INDEX, $($part,)* file!($name)].join("\n")),*
                }
            }
        }
    };
}

kernels! {
    Pack: "fused/pack";
    PackBias: "fused/pack_bias";
    Copy: "fused/copy" calls finish;
    Reshape: "fused/reshape" with PLANE;
    Pool: "fused/pool" with PLANE calls finish;
    PoolWide: "fused/pool_wide" with PLANE calls finish;
    PoolInputGradient: "fused/pool_input_gradient" with PLANE calls finish;
    Upsample: "fused/upsample" with PLANE calls finish;
    UpsampleInputGradient: "fused/upsample_input_gradient" with PLANE calls finish;
    Bilinear: "fused/bilinear" with PLANE with BETWEEN calls finish;
    BilinearInputGradient: "fused/bilinear_input_gradient" with PLANE with BETWEEN calls finish;
    ScaleShift: "fused/scale_shift" with PLANE calls finish;
    Add: "add";
    ReferenceEnergy: "reference_energy" with WORKGROUP_SUM;
    ReferenceGradient: "reference_gradient";
    SquaredError: "squared_error" with WORKGROUP_SUM;
    SquaredErrorGradient: "squared_error_gradient";
    Record: "record";
    Langevin: "langevin" with NOISE with UPDATE;
    Accept: "accept" with NOISE with WORKGROUP_SUM;
    #[cfg(feature = "workbench")]
    PeakArithmetic: "peak_arithmetic";
    #[cfg(feature = "workbench")]
    PeakCopy: "peak_copy";
    #[cfg(feature = "workbench")]
    PlainLinear: "plain/linear" with TILE;
    #[cfg(feature = "workbench")]
    PlainLinearInputGradient: "plain/linear_input_gradient" with TILE;
    #[cfg(feature = "workbench")]
    PlainConv2d: "plain/conv2d" with TILE;
    #[cfg(feature = "workbench")]
    PlainConv2dInputGradient: "plain/conv2d_input_gradient" with TILE;
    #[cfg(feature = "workbench")]
    PlainUpsampleNearest: "plain/upsample_nearest";
    #[cfg(feature = "workbench")]
    PlainUpsampleNearestInputGradient: "plain/upsample_nearest_input_gradient";
    #[cfg(feature = "workbench")]
    PlainUpsampleBilinear: "plain/upsample_bilinear" with BETWEEN;
    #[cfg(feature = "workbench")]
    PlainUpsampleBilinearInputGradient: "plain/upsample_bilinear_input_gradient" with BETWEEN;
    #[cfg(feature = "workbench")]
    PlainAveragePool: "plain/average_pool";
    #[cfg(feature = "workbench")]
    PlainAveragePoolInputGradient: "plain/average_pool_input_gradient";
    #[cfg(feature = "workbench")]
    PlainActivation: "plain/activation" with ACTIVATION_FUNCTIONS;
    #[cfg(feature = "workbench")]
    PlainActivationInputGradient: "plain/activation_input_gradient" with ACTIVATION_FUNCTIONS;
    #[cfg(feature = "workbench")]
    PlainScaleShift: "plain/scale_shift";
    #[cfg(feature = "workbench")]
    PlainScaleShiftInputGradient: "plain/scale_shift_input_gradient";
}

macro_rules! params {
    ($($(#[$on:meta])* $name:ident { $($field:ident: $type:ident),* $(,)? })*) => {
        $(
            $(#[$on])*
            #[repr(C)]
            #[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
            pub(super) struct $name { $(pub(super) $field: $type),* }
        )*

        /// Every struct's name, with its fields' names, types and offsets in bytes.
        #[cfg(all(test, feature = "workbench"))]
        const LAYOUTS: &[(&str, &[(&str, &str, usize)])] = &[
            $($(#[$on])* (stringify!($name), &[
                $((stringify!($field), stringify!($type), std::mem::offset_of!($name, $field))),*
            ])),*
        ];
    };
}

params! {
    PackParams {
        count: u32,
        blocks: u32,
        phases_y: u32,
        phases_x: u32,
        taps: u32,
        tap_groups: u32,
        together: u32,
        inputs: u32,
        lanes: u32,
        narrow: u32,
        out_channels: u32,
        in_channels: u32,
        kernel_y: u32,
        kernel_x: u32,
        padding: u32,
        stride: u32,
        sums: u32,
        source: u32,
        source_output: u32,
        source_input: u32,
        source_y: u32,
        source_x: u32,
        scaled: u32,
        scale: u32,
    }
    PackBiasParams {
        count: u32,
        first: u32,
        blocks: u32,
        phases: u32,
        out_channels: u32,
        has_bias: u32,
        bias: u32,
        bias_stride: u32,
        by_phase: u32,
        scaled: u32,
        scale: u32,
        shift: u32,
    }
    CorrelationParams {
        slope: f32,
        columns: u32,
        rows: u32,
        samples: u32,
        groups: u32,
        phases_y: u32,
        phases_x: u32,
        padding: u32,
        stride: u32,
        taps: u32,
        tap_groups: u32,
        inputs: u32,
        first_y: i32,
        first_x: i32,
        in_x: u32,
        in_y: u32,
        in_z: u32,
        in_row: u32,
        in_plane: u32,
        in_origin: u32,
        in_step: u32,
        height: u32,
        width: u32,
        out_x: u32,
        out_y: u32,
        out_z: u32,
        out_row: u32,
        out_plane: u32,
        out_origin: u32,
        limit_y: u32,
        limit_x: u32,
        outputs: u32,
        biases: u32,
    }
    CopyParams { slope: f32, elements: u32 }
    ReshapeParams {
        samples: u32,
        accumulate: u32,
        from_channels: u32,
        from_height: u32,
        from_width: u32,
        from_border: u32,
        from_lanes: u32,
        to_channels: u32,
        to_height: u32,
        to_width: u32,
        to_border: u32,
        to_lanes: u32,
    }
    PoolParams {
        slope: f32,
        planes: u32,
        height: u32,
        width: u32,
        border: u32,
        small_border: u32,
        window_height: u32,
        window_width: u32,
    }
    UpsampleParams { slope: f32, planes: u32, height: u32, width: u32, border: u32, large_border: u32 }
    ScaleShiftParams {
        slope: f32,
        samples: u32,
        channels: u32,
        height: u32,
        width: u32,
        border: u32,
        out_border: u32,
        scale: u32,
        shift: u32,
        shifts: f32,
    }
    AddParams { elements: u32, accumulate: u32 }
    ReferenceEnergyParams { chains: u32, len: u32, half_precision: f32 }
    ReferenceGradientParams { chains: u32, len: u32, inverse_variance: f32 }
    SquaredErrorParams { chains: u32, len: u32 }
    SquaredErrorGradientParams { elements: u32, weight: f32 }
    RecordParams { chains: u32, rows: u32 }
    LangevinParams {
        chains: u32,
        len: u32,
        seed_low: u32,
        seed_high: u32,
        stream: u32,
        first_chain: u32,
        first_step: u32,
        half_squared_step: f32,
        noise: f32,
        clamps_gradient: u32,
        gradient_clamp: f32,
        clamps_range: u32,
        low: f32,
        high: f32,
        inverse_variance: f32,
    }
    AcceptParams {
        chains: u32,
        len: u32,
        seed_low: u32,
        seed_high: u32,
        stream: u32,
        first_chain: u32,
        first_step: u32,
        half_squared_step: f32,
        noise: f32,
        temperature: f32,
        start: u32,
    }
    #[cfg(feature = "workbench")]
    PeakArithmeticParams { elements: u32, rounds: u32 }
    #[cfg(feature = "workbench")]
    PeakCopyParams { elements: u32 }
    #[cfg(feature = "workbench")]
    PlainLinearParams {
        batch: u32,
        inputs: u32,
        outputs: u32,
        weight: u32,
        has_bias: u32,
        bias: u32,
        accumulate: u32,
    }
    #[cfg(feature = "workbench")]
    PlainConv2dParams {
        batch: u32,
        in_channels: u32,
        height: u32,
        width: u32,
        out_channels: u32,
        out_height: u32,
        out_width: u32,
        kernel: u32,
        stride: u32,
        padding: u32,
        weight: u32,
        has_bias: u32,
        bias: u32,
        accumulate: u32,
    }
    #[cfg(feature = "workbench")]
    PlainUpsampleParams { planes: u32, height: u32, width: u32, accumulate: u32 }
    #[cfg(feature = "workbench")]
    PlainPoolParams {
        planes: u32,
        height: u32,
        width: u32,
        window_height: u32,
        window_width: u32,
        accumulate: u32,
    }
    #[cfg(feature = "workbench")]
    PlainActivationParams { elements: u32, function: u32, slope: f32, accumulate: u32 }
    #[cfg(feature = "workbench")]
    PlainScaleShiftParams {
        elements: u32,
        channels: u32,
        positions: u32,
        scale: u32,
        shift: u32,
        accumulate: u32,
    }
}

#[cfg(all(test, feature = "workbench"))]
mod tests;
