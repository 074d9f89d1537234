//! What a kernel does last with each of its results: the WGSL function `finish`.

use super::text::fill;
use crate::network::Activation;

/// A function of `functions.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    LeakyRelu,
    Silu,
    Tanh,
    /// As the last, for slopes that are told from its result.
    TanhOfResult,
}

/// What becomes of a result after the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Then {
    #[default]
    Write,
    /// Apply it.
    Activate(Function),
    /// Keep the sum in `extra`, and apply it.
    KeepAndActivate(Function),
    /// Multiply by its slope at what `extra` holds.
    SlopeAtExtra(Function),
    /// Multiply by its slope at what is there and will be overwritten.
    SlopeAtPlace(Function),
    /// Multiply by its slope at what `extra` holds before the sum.
    FirstSlopeAtExtra(Function),
    /// It is the gradient of a chain's state: take a Langevin step.
    Step(Quad),
}

/// Which four of a state's elements a kernel has at a time: they share a block of random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gpu) enum Quad {
    /// An element of four.
    Element,
    /// Four neighbours of an image's row.
    Row,
    /// Up to four channels of a vector.
    Channels,
}

/// What a kernel does with its results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::gpu) struct Tail {
    /// Add to what is there.
    pub(super) adds: bool,
    pub(super) then: Then,
}

impl Function {
    pub(super) fn of(activation: Activation) -> Function {
        match activation {
            Activation::LeakyRelu(_) => Function::LeakyRelu,
            Activation::Silu => Function::Silu,
            Activation::Tanh => Function::Tanh,
        }
    }

    /// For slopes at the activation's result.
    pub(super) fn of_result(activation: Activation) -> Function {
        match activation {
            Activation::Tanh => Function::TanhOfResult,
            other => Function::of(other),
        }
    }

    fn value(self) -> &'static str {
        match self {
            Function::LeakyRelu => "leaky_relu",
            Function::Silu => "silu",
            Function::Tanh | Function::TanhOfResult => "hyperbolic_tangents",
        }
    }

    fn slope(self) -> &'static str {
        match self {
            Function::LeakyRelu => "leaky_relu_slope",
            Function::Silu => "silu_slope",
            Function::Tanh => "hyperbolic_tangents_slope",
            Function::TanhOfResult => "hyperbolic_tangents_slope_of_result",
        }
    }
}

impl Tail {
    /// Every tail, for tools that check shaders.
    #[cfg(not(target_arch = "wasm32"))]
    pub(in crate::gpu) fn all() -> Vec<Tail> {
        use Function::{LeakyRelu, Silu, Tanh, TanhOfResult};
        let with = |make: fn(Function) -> Then| [LeakyRelu, Silu, Tanh, TanhOfResult].map(make);
        let mut thens = vec![Then::Write];
        for make in [
            Then::Activate,
            Then::KeepAndActivate,
            Then::SlopeAtExtra,
            Then::SlopeAtPlace,
            Then::FirstSlopeAtExtra,
        ] {
            thens.extend(with(make));
        }
        thens.into_iter().flat_map(|then| [false, true].map(|adds| Tail { adds, then })).collect()
    }

    /// A Langevin step with the results.
    pub(in crate::gpu) fn step(quad: Quad) -> Tail {
        Tail { adds: false, then: Then::Step(quad) }
    }

    /// The elements that it takes a Langevin step with.
    pub(in crate::gpu) fn quad(&self) -> Option<Quad> {
        match self.then {
            Then::Step(quad) => Some(quad),
            _ => None,
        }
    }

    pub(in crate::gpu) fn reads_extra(&self) -> bool {
        matches!(self.then, Then::KeepAndActivate(_) | Then::SlopeAtExtra(_) | Then::FirstSlopeAtExtra(_))
    }

    /// What stands for [`Tail::source`] where the state takes a step: `frame` is `step.wgsl`.
    pub(in crate::gpu) fn step_source(quad: Quad, frame: &str) -> String {
        let stepped = |from: &str, part: String| {
            format!("stepped({from}, gradients{part} + walk.inverse_variance * {from}, noise{part})")
        };
        if quad == Quad::Element {
            let parts =
                ["x", "y", "z", "w"].map(|part| stepped(&format!("state.{part}"), format!(".{part}")));
            let step = format!("let state = y[at / 4u];\ny[at / 4u] = vec4<f32>({});", parts.join(", "));
            let finish = "fn finish(place: u32, value: vec4<f32>) {\nstep_from(4u * place, value, 4u);\n}\n";
            return fill(frame, &[("STEP", &step)]) + finish;
        }
        let step = stepped("y[at + i]", "[i]".into());
        fill(frame, &[("STEP", &format!("for (var i = 0u; i < count; i++) {{\ny[at + i] = {step};\n}}"))])
    }

    /// The function, for results of four numbers or of one; `extra` is the binding that it may need.
    pub(in crate::gpu) fn source(&self, four: bool, extra: usize) -> String {
        let kind = if four { "vec4<f32>" } else { "f32" };
        let declared = if self.reads_extra() {
            format!("@group(0) @binding({extra}) var<storage, read_write> extra: array<{kind}>;\n")
        } else {
            String::new()
        };
        let call = |name: &str, of: &str| {
            if four { format!("{name}({of})") } else { format!("{name}(vec4<f32>({of})).x") }
        };
        let first = match self.then {
            Then::FirstSlopeAtExtra(f) => format!(" * {}", call(f.slope(), "extra[place]")),
            _ => String::new(),
        };
        let add = if self.adds { " + y[place]" } else { "" };
        let (keep, last) = match self.then {
            // A step has a function of its own.
            Then::Write | Then::FirstSlopeAtExtra(_) | Then::Step(_) => ("", "sum".into()),
            Then::Activate(f) => ("", call(f.value(), "sum")),
            Then::KeepAndActivate(f) => ("extra[place] = sum;\n", call(f.value(), "sum")),
            Then::SlopeAtExtra(f) => ("", format!("sum * {}", call(f.slope(), "extra[place]"))),
            Then::SlopeAtPlace(f) => ("", format!("sum * {}", call(f.slope(), "y[place]"))),
        };
        format!(
            "{declared}fn finish(place: u32, value: {kind}) {{\n\
             let sum = value{first}{add};\n{keep}y[place] = {last};\n}}\n"
        )
    }
}
