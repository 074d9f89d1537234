//! The kernels: their WGSL, and their pipelines, compiled when first used.

use super::fused::{self, Kernel, Tail};
#[cfg(not(target_arch = "wasm32"))]
use super::fused::{Choice, Variant};
use std::sync::{Mutex, PoisonError};

/// Write `text` without comments, and without spaces but those between two words, to `out`, as far as it fits, and
/// return its length. Kernels travel with every page. Lines stay, so that a message names the right one.
const fn bare(text: &[u8], out: &mut [u8]) -> usize {
    let (mut i, mut length, mut last) = (0, 0, b'\n');
    while i < text.len() {
        let byte = text[i];
        if byte == b'/' && i + 1 < text.len() && text[i + 1] == b'/' {
            while i < text.len() && text[i] != b'\n' {
                i += 1;
            }
            continue;
        }
        i += 1;
        if byte == b' ' && !(is_word(last) && i < text.len() && is_word(text[i])) {
            continue;
        }
        last = byte;
        if length < out.len() {
            out[length] = byte;
        }
        length += 1;
    }
    length
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'@'
}

const fn text(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("dropping whole comments leaves whole characters"),
    }
}

/// The text of a file in `kernels/`, as [`bare`] leaves it.
macro_rules! part {
    ($name:literal) => {{
        const TEXT: &[u8] = include_str!(concat!("kernels/", $name, ".wgsl")).as_bytes();
        const BARE: [u8; bare(TEXT, &mut [])] = {
            let mut out = [0; bare(TEXT, &mut [])];
            bare(TEXT, &mut out);
            out
        };
        const { text(&BARE) }
    }};
}

static INDEX: &str = part!("index");
#[cfg(not(target_arch = "wasm32"))]
static TILE: &str = part!("plain/tile");
static BETWEEN: &str = part!("between");
static ACTIVATIONS: &str = part!("activation_functions");
static WORKGROUP_SUM: &str = part!("workgroup_sum");
static NOISE: &str = part!("noise");
static WALK: &str = part!("walk");
static STEP: &str = part!("fused/step");
static FUNCTIONS: &str = part!("fused/functions");
static PLANE: &str = part!("fused/plane");
static CORRELATION: &str = part!("fused/correlation");
static CORRELATE: &str = part!("fused/correlate");
static TILED: &str = part!("fused/tiled");

macro_rules! programs {
    ($($(#[$on:meta])* $variant:ident: $name:literal $(with $part:ident)*;)*) => {
        /// A kernel in `kernels/`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Program { $($(#[$on])* $variant),* }

        impl Program {
            #[cfg(not(target_arch = "wasm32"))]
            const ALL: &[Program] = &[$($(#[$on])* Program::$variant),*];

            /// Name of the kernel, and of its file.
            #[cfg(not(target_arch = "wasm32"))]
            fn name(self) -> &'static str {
                match self { $($(#[$on])* Program::$variant => $name),* }
            }

            /// Its WGSL, with the functions it calls.
            fn source(self) -> String {
                match self {
                    $($(#[$on])* Program::$variant => String::from_iter([INDEX, $($part,)* part!($name)])),*
                }
            }
        }
    };
}

programs! {
    Pack: "fused/pack";
    PackBias: "fused/pack_bias";
    Copy: "fused/copy";
    Reshape: "fused/reshape" with PLANE;
    Pool: "fused/pool" with PLANE;
    PoolWide: "fused/pool_wide" with PLANE;
    PoolInputGradient: "fused/pool_input_gradient" with PLANE;
    Upsample: "fused/upsample" with PLANE;
    UpsampleInputGradient: "fused/upsample_input_gradient" with PLANE;
    Bilinear: "fused/bilinear" with PLANE with BETWEEN;
    BilinearInputGradient: "fused/bilinear_input_gradient" with PLANE with BETWEEN;
    ScaleShift: "fused/scale_shift" with PLANE;
    Add: "add";
    ReferenceEnergy: "reference_energy" with WORKGROUP_SUM;
    ReferenceGradient: "reference_gradient";
    SquaredError: "squared_error" with WORKGROUP_SUM;
    SquaredErrorGradient: "squared_error_gradient";
    Record: "record";
    Langevin: "langevin" with NOISE with WALK;
    Accept: "accept" with NOISE with WORKGROUP_SUM;
    #[cfg(not(target_arch = "wasm32"))]
    PeakArithmetic: "peak_arithmetic";
    #[cfg(not(target_arch = "wasm32"))]
    PeakCopy: "peak_copy";
    #[cfg(not(target_arch = "wasm32"))]
    PlainLinear: "plain/linear" with TILE;
    #[cfg(not(target_arch = "wasm32"))]
    PlainLinearInputGradient: "plain/linear_input_gradient" with TILE;
    #[cfg(not(target_arch = "wasm32"))]
    PlainConv2d: "plain/conv2d" with TILE;
    #[cfg(not(target_arch = "wasm32"))]
    PlainConv2dInputGradient: "plain/conv2d_input_gradient" with TILE;
    #[cfg(not(target_arch = "wasm32"))]
    PlainUpsampleNearest: "plain/upsample_nearest";
    #[cfg(not(target_arch = "wasm32"))]
    PlainUpsampleNearestInputGradient: "plain/upsample_nearest_input_gradient";
    #[cfg(not(target_arch = "wasm32"))]
    PlainUpsampleBilinear: "plain/upsample_bilinear" with BETWEEN;
    #[cfg(not(target_arch = "wasm32"))]
    PlainUpsampleBilinearInputGradient: "plain/upsample_bilinear_input_gradient" with BETWEEN;
    #[cfg(not(target_arch = "wasm32"))]
    PlainAveragePool: "plain/average_pool";
    #[cfg(not(target_arch = "wasm32"))]
    PlainAveragePoolInputGradient: "plain/average_pool_input_gradient";
    #[cfg(not(target_arch = "wasm32"))]
    PlainActivation: "plain/activation" with ACTIVATIONS;
    #[cfg(not(target_arch = "wasm32"))]
    PlainActivationInputGradient: "plain/activation_input_gradient" with ACTIVATIONS;
    #[cfg(not(target_arch = "wasm32"))]
    PlainScaleShift: "plain/scale_shift";
    #[cfg(not(target_arch = "wasm32"))]
    PlainScaleShiftInputGradient: "plain/scale_shift_input_gradient";
}

impl Program {
    /// Whether its results go through a [`Tail`].
    #[cfg(not(target_arch = "wasm32"))]
    fn finishes(self) -> bool {
        use Program::{
            Bilinear, BilinearInputGradient, Copy, Pool, PoolInputGradient, PoolWide, ScaleShift, Upsample,
            UpsampleInputGradient,
        };
        matches!(
            self,
            Copy | Pool
                | PoolWide
                | PoolInputGradient
                | Upsample
                | UpsampleInputGradient
                | Bilinear
                | BilinearInputGradient
                | ScaleShift
        )
    }
}

/// What a dispatch runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shader {
    /// A kernel as it is.
    Program(Program),
    /// A kernel whose results go through a tail.
    Finished(Program, Tail),
    /// A kernel of a correlation, whose results do.
    Correlate(Kernel, Tail),
}

impl From<Program> for Shader {
    fn from(program: Program) -> Shader {
        Shader::Program(program)
    }
}

impl Shader {
    /// A page has no use for it, and would pay for the names of all variants.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn name(&self) -> String {
        match self {
            Shader::Program(program) => program.name().into(),
            Shader::Finished(program, tail) => format!("{}, {tail:?}", program.name()),
            Shader::Correlate(Kernel::Direct(variant), tail) => {
                format!("fused/correlate, {variant:?}, {tail:?}")
            }
            Shader::Correlate(Kernel::Tiled(tile), tail) => format!("fused/tiled, {tile:?}, {tail:?}"),
        }
    }

    #[cfg(target_arch = "wasm32")]
    pub(super) fn name(&self) -> String {
        "kernel".into()
    }

    /// The module, for a browser or for naga.
    fn source(&self, browser: bool) -> String {
        match self {
            Shader::Program(program) => program.source(),
            Shader::Finished(program, tail) => {
                let extra = if *program == Program::ScaleShift { 4 } else { 3 };
                String::from_iter([ACTIVATIONS, FUNCTIONS, &tail.source(true, extra), &program.source()])
            }
            Shader::Correlate(kernel, tail) => {
                let (head, four, text) = match kernel {
                    Kernel::Direct(variant) => {
                        let text = fused::correlate(variant, tail, CORRELATE);
                        (if browser { fused::head(variant) } else { "" }, variant.writes_elements(), text)
                    }
                    Kernel::Tiled(tile) => ("", true, tile.source(TILED)),
                };
                match tail.quad() {
                    Some(quad) => {
                        let step = Tail::step_source(quad, STEP);
                        String::from_iter([head, INDEX, NOISE, WALK, &step, CORRELATION, &text])
                    }
                    None => {
                        let finish = tail.source(four, 4);
                        String::from_iter([head, INDEX, ACTIVATIONS, FUNCTIONS, &finish, CORRELATION, &text])
                    }
                }
            }
        }
    }
}

/// Invocations of a workgroup, the same in every kernel.
pub(super) const WORKGROUP: usize = 64;

/// The kernels as name and complete WGSL, as a browser gets it or as naga does, for tools that check shaders.
#[cfg(not(target_arch = "wasm32"))]
pub fn kernels(for_browser: bool) -> impl Iterator<Item = (String, String)> {
    let whole = |program: &Program| !program.finishes();
    let programs = Program::ALL.iter().copied().filter(whole).map(Shader::Program);
    let finished = Program::ALL.iter().copied().filter(|program| program.finishes());
    let finished = finished.map(|program| Shader::Finished(program, Tail::default()));
    let variants = Variant::all();
    let tiles = Choice::all().into_iter().filter_map(|choice| match choice {
        Choice::Tiled(tiling) => Some(Kernel::Tiled(tiling.tile(4, true))),
        Choice::Direct { .. } => None,
    });
    let kernels: Vec<Kernel> = variants.into_iter().map(Kernel::Direct).chain(tiles).collect();
    let tails = kernels
        .first()
        .copied()
        .into_iter()
        .flat_map(|kernel| Tail::all().into_iter().map(move |tail| Shader::Correlate(kernel, tail)));
    let steps = kernels.iter().flat_map(|&kernel| {
        let stepping = move |tail: Tail| Shader::Correlate(kernel, tail);
        let quads = match kernel {
            Kernel::Direct(variant) => variant.quads(),
            Kernel::Tiled(_) => &[],
        };
        quads.iter().map(move |&quad| stepping(Tail::step(quad)))
    });
    let correlations = kernels.iter().map(|&kernel| Shader::Correlate(kernel, Tail::default()));
    let all: Vec<Shader> = programs.chain(finished).chain(tails).chain(correlations).chain(steps).collect();
    all.into_iter().map(move |shader| (shader.name(), shader.source(for_browser)))
}

/// The compiled kernels of a device.
#[derive(Default)]
pub(super) struct Pipelines(Mutex<Vec<(Shader, wgpu::ComputePipeline)>>);

impl Pipelines {
    /// The pipeline of `shader`, compiled now if it is not yet.
    pub(super) fn get(&self, device: &wgpu::Device, shader: Shader) -> wgpu::ComputePipeline {
        let mut compiled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pipeline)) = compiled.iter().find(|(known, _)| *known == shader) {
            return pipeline.clone();
        }
        let name = shader.name();
        let label = Some(name.as_str());
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label,
            source: wgpu::ShaderSource::Wgsl(shader.source(cfg!(target_arch = "wasm32")).into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        compiled.push((shader, pipeline.clone()));
        pipeline
    }
}
