//! The kernels: their WGSL, and their pipelines, compiled when first used.

use std::array;
use std::sync::OnceLock;

/// Write `text` without comments and indentation to `out`, as far as it fits, and return its length.
/// Kernels travel with every page. Lines stay, so that a message names the right one.
const fn bare(text: &[u8], out: &mut [u8]) -> usize {
    let (mut i, mut length, mut indented) = (0, 0, true);
    while i < text.len() {
        let byte = text[i];
        if byte == b'/' && i + 1 < text.len() && text[i + 1] == b'/' {
            while i < text.len() && text[i] != b'\n' {
                i += 1;
            }
            continue;
        }
        i += 1;
        if indented && byte == b' ' {
            continue;
        }
        indented = byte == b'\n';
        if length < out.len() {
            out[length] = byte;
        }
        length += 1;
    }
    length
}

const fn text(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("dropping whole comments leaves whole characters"),
    }
}

macro_rules! programs {
    ($($variant:ident: $name:literal $(with $part:literal)*;)*) => {
        /// A kernel in `kernels/`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Program { $($variant),* }

        impl Program {
            const ALL: &[Program] = &[$(Program::$variant),*];

            /// Name of the kernel, and of its file.
            pub(super) fn name(self) -> &'static str {
                match self { $(Program::$variant => $name),* }
            }

            /// Its WGSL, with the functions it calls.
            fn source(self) -> &'static str {
                match self {
                    $(Program::$variant => {
                        const TEXT: &[u8] = concat!(
                            include_str!("kernels/index.wgsl"),
                            $(include_str!(concat!("kernels/", $part, ".wgsl")),)*
                            include_str!(concat!("kernels/", $name, ".wgsl")),
                        ).as_bytes();
                        const BARE: [u8; bare(TEXT, &mut [])] = {
                            let mut out = [0; bare(TEXT, &mut [])];
                            bare(TEXT, &mut out);
                            out
                        };
                        const { text(&BARE) }
                    }),*
                }
            }
        }
    };
}

programs! {
    Linear: "linear" with "tile";
    LinearInputGradient: "linear_input_gradient" with "tile";
    Conv2d: "conv2d" with "tile";
    Conv2dInputGradient: "conv2d_input_gradient" with "tile";
    UpsampleNearest: "upsample_nearest";
    UpsampleNearestInputGradient: "upsample_nearest_input_gradient";
    UpsampleBilinear: "upsample_bilinear" with "between";
    UpsampleBilinearInputGradient: "upsample_bilinear_input_gradient" with "between";
    Add: "add";
    AveragePool: "average_pool";
    AveragePoolInputGradient: "average_pool_input_gradient";
    Activation: "activation" with "activation_functions";
    ActivationInputGradient: "activation_input_gradient" with "activation_functions";
    ScaleShift: "scale_shift";
    ScaleShiftInputGradient: "scale_shift_input_gradient";
    ReferenceEnergy: "reference_energy" with "workgroup_sum";
    ReferenceGradient: "reference_gradient";
    SquaredError: "squared_error" with "workgroup_sum";
    SquaredErrorGradient: "squared_error_gradient";
    Record: "record";
    Langevin: "langevin" with "noise";
    Accept: "accept" with "noise" with "workgroup_sum";
}

/// Invocations of a workgroup, the same in every kernel.
pub(super) const WORKGROUP: usize = 64;

/// The kernels as name and complete WGSL, for tools that check shaders.
pub fn kernels() -> impl Iterator<Item = (&'static str, &'static str)> {
    Program::ALL.iter().map(|program| (program.name(), program.source()))
}

/// The compiled kernels of a device.
pub(super) struct Pipelines([OnceLock<wgpu::ComputePipeline>; Program::ALL.len()]);

impl Default for Pipelines {
    fn default() -> Pipelines {
        Pipelines(array::from_fn(|_| OnceLock::new()))
    }
}

impl Pipelines {
    /// The pipeline of `program`, compiled now if it is not yet.
    pub(super) fn get(&self, device: &wgpu::Device, program: Program) -> &wgpu::ComputePipeline {
        self.0[program as usize].get_or_init(|| {
            let label = Some(program.name());
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label,
                source: wgpu::ShaderSource::Wgsl(program.source().into()),
            });
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label,
                layout: None,
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            })
        })
    }
}
