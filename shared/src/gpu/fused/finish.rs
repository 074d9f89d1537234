//! What a kernel does last with each of its results: the WGSL function `finish`.

use crate::network::Activation;

/// A function of `activations.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    LeakyRelu,
    Silu,
    Tanh,
    /// The hyperbolic tangent, its slope told from its result.
    TanhOfResult,
}

/// What becomes of a result after the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Then {
    #[default]
    Write,
    /// Apply a function.
    Activate(Function),
    /// Keep the sum in `extra`, and apply a function.
    KeepAndActivate(Function),
    /// Multiply by a function's slope at what `extra` holds.
    SlopeAtExtra(Function),
    /// Multiply by a function's slope at what is there and will be overwritten.
    SlopeAtPlace(Function),
    /// Multiply by a function's slope at what `extra` holds, before the sum.
    FirstSlopeAtExtra(Function),
    /// Take a Langevin step: the result is the gradient of a chain's state.
    Step(Quad),
}

/// Which four of a state's elements a kernel has at a time: they share a block of random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quad {
    /// An element of four.
    Element,
    /// Four neighbours of an image's row.
    Row,
    /// Up to four channels of a vector.
    Channels,
}

/// What a kernel does with its results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tail {
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

    /// The WGSL of the function at `v`, a vector of four.
    fn value(self, v: &str) -> String {
        match self {
            Function::LeakyRelu => format!("leaky_relu({v}, params.slope)"),
            Function::Silu => format!("silu({v})"),
            Function::Tanh | Function::TanhOfResult => format!("hyperbolic_tangents({v})"),
        }
    }

    /// The WGSL of its slope.
    fn slope(self, v: &str) -> String {
        match self {
            Function::LeakyRelu => format!("leaky_relu_slope({v}, params.slope)"),
            Function::Silu => format!("silu_slope({v})"),
            Function::Tanh => format!("hyperbolic_tangents_slope({v})"),
            Function::TanhOfResult => format!("hyperbolic_tangents_slope_of_result({v})"),
        }
    }
}

impl Tail {
    /// Every tail, for tools that check shaders.
    #[cfg(feature = "workbench")]
    pub(super) fn all() -> Vec<Tail> {
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
    pub(super) fn step(quad: Quad) -> Tail {
        Tail { adds: false, then: Then::Step(quad) }
    }

    /// The elements that it takes a Langevin step with.
    pub(super) fn quad(&self) -> Option<Quad> {
        match self.then {
            Then::Step(quad) => Some(quad),
            _ => None,
        }
    }

    pub(super) fn reads_extra(&self) -> bool {
        matches!(self.then, Then::KeepAndActivate(_) | Then::SlopeAtExtra(_) | Then::FirstSlopeAtExtra(_))
    }

    /// The function `finish`, for results of four numbers or of one; `extra` is the binding that it may need.
    pub(super) fn source(&self, four: bool, extra: usize) -> String {
        let kind = if four { "vec4<f32>" } else { "f32" };
        let mut text = String::new();
        if self.reads_extra() {
            line!(text, "@group(0) @binding({extra}) var<storage, read_write> extra: array<{kind}>;");
        }
        // The functions take four numbers at a time.
        let call = |function: &dyn Fn(&str) -> String, at: &str| match four {
            true => function(at),
            false => format!("{}.x", function(&format!("vec4<f32>({at})"))),
        };
        let factor = match self.then {
            Then::FirstSlopeAtExtra(f) => format!(" * {}", call(&|v| f.slope(v), "extra[place]")),
            _ => String::new(),
        };
        let add = if self.adds { " + y[place]" } else { "" };
        line!(text, "fn finish(place: u32, value: {kind}) {{");
        line!(text, "let sum = value{factor}{add};");
        if let Then::KeepAndActivate(_) = self.then {
            text += "extra[place] = sum;\n";
        }
        let result = match self.then {
            // A step has a function of its own.
            Then::Write | Then::FirstSlopeAtExtra(_) | Then::Step(_) => "sum".into(),
            Then::Activate(f) | Then::KeepAndActivate(f) => call(&|v| f.value(v), "sum"),
            Then::SlopeAtExtra(f) => format!("sum * {}", call(&|v| f.slope(v), "extra[place]")),
            Then::SlopeAtPlace(f) => format!("sum * {}", call(&|v| f.slope(v), "y[place]")),
        };
        line!(text, "y[place] = {result};\n}}");
        text
    }
}
