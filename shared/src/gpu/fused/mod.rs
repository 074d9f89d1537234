//! The kernels that everything runs on: a register-blocked correlation for linear layers and convolutions of
//! either direction, with what surrounds a layer (bias, scale and shift, upsampling, activation, the
//! activation's derivative, sums of paths) folded into it.
//!
//! Values between layers lie as [`Geometry`] says, four channels to an element and within a border of zeros.
//! The gradient of a value takes the value's own place where no second reader needs that.

/// Add a line, written as by `format!`, to a text.
macro_rules! line {
    ($text:expr, $($format:tt)*) => {{
        $text.push_str(&format!($($format)*));
        $text.push('\n');
    }};
}

mod correlate;
mod correlation;
mod finish;
mod geometry;
mod launch;
mod stages;
mod tiled;

use super::device::Gpu;
use super::dispatch::{Dispatch, Extent, storage, word};
use super::error::GpuError;
use super::kernels::{
    ACTIVATION_FUNCTIONS, ACTIVATIONS, CORRELATION, CopyParams, INDEX, Kernel, NOISE, PoolParams,
    ReshapeParams, STEP, STEP_ELEMENTS, STEP_NUMBERS, ScaleShiftParams, UPDATE, UpsampleParams,
};
use super::recording::{Passes, Recording, RecordingInput, Stepping, check_fit};
use super::shader::Shader;
use crate::network::{Activation, Plan};
use bytemuck::Pod;
use correlation::Correlation;
use finish::{Function, Quad, Tail, Then};
use geometry::Geometry;
use launch::CorrelationKernel;
use stages::{Stage, Stages, Work, invertible};
use std::sync::Arc;

/// A kernel whose results go through a tail.
#[derive(Clone, Copy, Debug)]
struct Finished(Kernel, Tail);

impl Shader for Finished {
    fn label(&self) -> String {
        format!("{}, {:?}", self.0.name(), self.1)
    }

    fn source(&self) -> String {
        let extra = if self.0 == Kernel::ScaleShift { 4 } else { 3 };
        [ACTIVATION_FUNCTIONS, ACTIVATIONS, &self.1.source(true, extra), &self.0.source()].join("\n")
    }
}

/// The kernel of a correlation, whose results go through a tail.
#[derive(Clone, Copy, Debug)]
struct Correlate(CorrelationKernel, Tail);

impl Shader for Correlate {
    fn label(&self) -> String {
        let Correlate(kernel, tail) = self;
        match kernel {
            CorrelationKernel::Direct(variant) => format!("fused/correlate, {variant:?}, {tail:?}"),
            CorrelationKernel::Tiled(tile) => format!("fused/tiled, {tile:?}, {tail:?}"),
        }
    }

    fn source(&self) -> String {
        let Correlate(kernel, tail) = self;
        let (elements, sums) = match kernel {
            CorrelationKernel::Direct(variant) => {
                (variant.write == launch::Write::Elements, correlate::source(variant, tail))
            }
            CorrelationKernel::Tiled(tile) => (true, tile.source()),
        };
        let finish = match tail.quad() {
            Some(Quad::Element) => [NOISE, UPDATE, STEP, STEP_ELEMENTS].join("\n"),
            Some(_) => [NOISE, UPDATE, STEP, STEP_NUMBERS].join("\n"),
            None => [ACTIVATION_FUNCTIONS, ACTIVATIONS, &tail.source(elements, 4)].join("\n"),
        };
        [INDEX, CORRELATION, &finish, &sums].join("\n")
    }
}

/// Every shader of this folder: each kernel, each variant of a correlation, and each tail on some kernel.
#[cfg(feature = "workbench")]
pub(super) fn shaders() -> Vec<Box<dyn Shader>> {
    let with_tail = Kernel::ALL.iter().filter(|kernel| kernel.calls_finish());
    let mut all: Vec<Box<dyn Shader>> = Vec::new();
    all.extend(with_tail.map(|&kernel| Box::new(Finished(kernel, Tail::default())) as Box<dyn Shader>));
    for (i, kernel) in CorrelationKernel::all().into_iter().enumerate() {
        let tails = if i == 0 { Tail::all() } else { vec![Tail::default()] };
        let steps = kernel.quads().iter().map(|&quad| Tail::step(quad));
        let tails = tails.into_iter().chain(steps);
        all.extend(tails.map(|tail| Box::new(Correlate(kernel, tail)) as Box<dyn Shader>));
    }
    all
}

/// A value's buffers.
struct Value {
    geometry: Geometry,
    data: wgpu::Buffer,
    /// The activation that made it as the last part of its stage.
    activation: Option<Activation>,
    /// What that was applied to, where its derivative needs this.
    kept: Option<wgpu::Buffer>,
    /// The value's gradient, which may be one of the buffers above.
    gradient: Option<wgpu::Buffer>,
    /// How often stages read it.
    readers: usize,
}

/// What becomes of a kernel's result.
#[derive(Clone, Copy, Default)]
struct Finish<'a> {
    tail: Tail,
    /// The slope of a leaky ReLU.
    slope: f32,
    extra: Option<&'a wgpu::Buffer>,
}

impl<'a> Finish<'a> {
    fn new(
        adds: bool,
        activation: Option<Activation>,
        then: impl FnOnce(Activation) -> Then,
        extra: Option<&'a wgpu::Buffer>,
    ) -> Finish<'a> {
        let slope = match activation {
            Some(Activation::LeakyRelu(slope)) => slope,
            _ => 0.0,
        };
        let tail = Tail { adds, then: activation.map_or(Then::Write, then) };
        Finish { tail, slope, extra: extra.filter(|_| tail.reads_extra()) }
    }

    /// The launch of a kernel that ends so.
    fn dispatch<P: Pod>(
        &self,
        gpu: &Gpu,
        kernel: Kernel,
        params: &P,
        buffers: &[&wgpu::Buffer],
        extent: Extent,
    ) -> Dispatch {
        let buffers: Vec<&wgpu::Buffer> = buffers.iter().copied().chain(self.extra).collect();
        Dispatch::new(gpu, &Finished(kernel, self.tail), params, &buffers, extent)
    }
}

struct Recorder<'a> {
    inputs: &'a RecordingInput<'a>,
    values: Vec<Value>,
}

/// For a row of a batch, the numbers in the longest value, and in all values and gradients.
pub(super) fn numbers(plan: &Plan, input: &[usize], passes: Passes) -> [usize; 2] {
    let stages = Stages::new(plan, input);
    let lengths = || stages.values.iter().map(Geometry::len);
    let buffers = |(index, len): (usize, usize)| {
        let (_, needs) = Needs::of(&stages, index, passes);
        len * (1 + usize::from(needs.keeps) + usize::from(needs.own_gradient))
    };
    [lengths().max().unwrap_or(0), lengths().enumerate().map(buffers).sum()]
}

/// The dispatches of a plan.
pub(super) fn record(inputs: &RecordingInput<'_>) -> Result<Recording, GpuError> {
    let RecordingInput { gpu, plan, input, batch, passes, .. } = *inputs;
    let stages = Stages::new(plan, input);
    let longest = stages.values.iter().map(Geometry::len).max().unwrap_or(0);
    check_fit(gpu, 0, longest, batch)?;
    let values = (0..stages.values.len()).map(|index| Value::new(inputs, &stages, index)).collect();
    let recorder = Recorder { inputs, values };
    let ends = [&recorder.values[0], &recorder.values[stages.output]];
    let mut recording = Recording {
        ends: ends.map(|value| value.data.clone()),
        gradients: ends.iter().filter_map(|value| value.gradient.clone()).collect(),
        prepare: Vec::new(),
        forward: Vec::new(),
        backward: Vec::new(),
        stepping: None,
    };
    for stage in &stages.stages {
        recorder.forward(stage, &mut recording)?;
    }
    if passes == Passes::ForwardAndGradient {
        recorder.backward(&stages, &mut recording)?;
    }
    Ok(recording)
}

/// What a value needs beside its own buffer.
struct Needs {
    /// What its activation was applied to.
    keeps: bool,
    /// A buffer for its gradient, which else takes the place of one of the others.
    own_gradient: bool,
    /// How often stages read it.
    readers: usize,
}

impl Needs {
    /// The needs of value `index`, and the activation that makes it.
    fn of(stages: &Stages, index: usize, passes: Passes) -> (Option<Activation>, Needs) {
        let maker = stages.stages.iter().find(|stage| stage.output == index);
        let activation = maker.filter(|stage| stage.work != Work::Copy).and_then(|stage| stage.activation);
        let readers = stages.stages.iter().flat_map(|stage| &stage.inputs).filter(|&&i| i == index).count();
        let both = passes == Passes::ForwardAndGradient;
        let keeps = both && activation.is_some_and(|a| !invertible(a));
        (activation, Needs { keeps, own_gradient: both && (index == 0 || readers != 1), readers })
    }
}

impl Value {
    fn new(inputs: &RecordingInput<'_>, stages: &Stages, index: usize) -> Value {
        let RecordingInput { gpu, batch, passes, .. } = *inputs;
        let geometry = stages.values[index];
        // Four numbers at a time may be read at the end; the input is as long as its caller expects.
        let numbers = batch * geometry.len();
        let buffer =
            |label| storage(gpu, label, if index == 0 { numbers } else { numbers.next_multiple_of(4) });
        let (activation, needs) = Needs::of(stages, index, passes);
        let data = buffer("value");
        let kept = needs.keeps.then(|| buffer("kept value"));
        let gradient = match &kept {
            _ if passes == Passes::Forward => None,
            _ if needs.own_gradient => Some(buffer("gradient")),
            Some(kept) => Some(kept.clone()),
            None => Some(data.clone()),
        };
        let readers = needs.readers;
        Value { geometry, data, activation, kept, gradient, readers }
    }
}

impl Value {
    /// Carry its gradient, complete in `to` with what a kernel adds, through the activation that made it.
    fn derivative(&self, to: &wgpu::Buffer, adds: bool) -> Finish<'_> {
        let source = self.kept.as_ref().unwrap_or(&self.data);
        let in_place = source == to;
        let then = |activation| {
            let function = match self.kept {
                Some(_) => Function::of(activation),
                None => Function::of_result(activation),
            };
            if in_place { Then::SlopeAtPlace(function) } else { Then::SlopeAtExtra(function) }
        };
        Finish::new(adds, self.activation, then, (!in_place).then_some(source))
    }
}

impl Recorder<'_> {
    fn forward(&self, stage: &Stage, recording: &mut Recording) -> Result<(), GpuError> {
        let (x, y) = (&self.values[stage.inputs[0]], &self.values[stage.output]);
        let finish = |adds| {
            let then = |activation| match y.kept {
                Some(_) => Then::KeepAndActivate(Function::of(activation)),
                None => Then::Activate(Function::of(activation)),
            };
            Finish::new(adds, stage.activation, then, y.kept.as_ref())
        };
        let ends = [(&x.geometry, &x.data), (&y.geometry, &y.data)];
        match &stage.work {
            Work::Correlate(correlation) => {
                let dispatch = self.correlate(correlation, ends, &finish(false), recording)?;
                recording.forward.push(dispatch);
            }
            Work::Add => {
                let other = (&x.geometry, &self.values[stage.inputs[1]].data);
                recording.forward.push(self.simple(&Work::Copy, false, ends, &Finish::default()));
                recording.forward.push(self.simple(&Work::Copy, false, [other, ends[1]], &finish(true)));
            }
            work => recording.forward.push(self.simple(work, false, ends, &finish(false))),
        }
        Ok(())
    }

    fn backward(&self, stages: &Stages, recording: &mut Recording) -> Result<(), GpuError> {
        let mut written = vec![0; self.values.len()];
        for stage in stages.stages.iter().rev() {
            let output = &self.values[stage.output];
            let Some(mut from) = output.gradient.clone() else { continue };
            if stage.output == stages.output
                && let Some(activation) = output.activation
            {
                from = self.through_activation(output, &from, activation, recording);
            }
            for &input in &stage.inputs {
                let x = &self.values[input];
                let Some(to) = &x.gradient else { continue };
                let adds = written[input] > 0;
                written[input] += 1;
                let finish = match (&stage.work, stage.activation) {
                    (Work::Copy, Some(_)) if *to == x.data => {
                        Finish::new(adds, stage.activation, |a| Then::SlopeAtPlace(Function::of(a)), None)
                    }
                    (Work::Copy, Some(_)) => {
                        let then = |a| Then::FirstSlopeAtExtra(Function::of(a));
                        Finish::new(adds, stage.activation, then, Some(&x.data))
                    }
                    _ if written[input] == x.readers => x.derivative(to, adds),
                    _ => Finish::new(adds, None, |_| Then::Write, None),
                };
                let ends = [(&output.geometry, &from), (&x.geometry, to)];
                let dispatch = match &stage.work {
                    Work::Correlate(c) => self.correlate(&c.transposed(), ends, &finish, recording)?,
                    Work::Add => self.simple(&Work::Copy, true, ends, &finish),
                    work => self.simple(work, true, ends, &finish),
                };
                recording.backward.push(dispatch);
            }
        }
        Ok(())
    }

    /// The gradient of what the network's last activation is applied to.
    fn through_activation(
        &self,
        output: &Value,
        gradient: &wgpu::Buffer,
        activation: Activation,
        recording: &mut Recording,
    ) -> wgpu::Buffer {
        let RecordingInput { gpu, .. } = *self.inputs;
        let through = storage(gpu, "gradient", (output.data.size() / 4) as usize);
        let then = |activation| Then::SlopeAtExtra(Function::of_result(activation));
        let finish = Finish::new(false, Some(activation), then, Some(&output.data));
        let elements = (output.data.size() / 16) as usize;
        let params = CopyParams { slope: finish.slope, elements: word(elements) };
        let extent = Extent::Elements(elements);
        recording.backward.push(finish.dispatch(gpu, Kernel::Copy, &params, &[gradient, &through], extent));
        through
    }

    /// A correlation, whose weights are packed when they change.
    fn correlate(
        &self,
        correlation: &Correlation,
        [(from, x), (to, y)]: [(&Geometry, &wgpu::Buffer); 2],
        finish: &Finish<'_>,
        recording: &mut Recording,
    ) -> Result<Dispatch, GpuError> {
        let RecordingInput { gpu, weights, batch, .. } = *self.inputs;
        let [from, to] = [correlation.layout(correlation.from, from), correlation.layout(correlation.to, to)];
        let launch = correlation.launch(batch, [&from, &to], finish.slope, |size| gpu.choose(size));
        let biases = launch.pack_bias.map_or(0, |bias| bias.count);
        let elements = (launch.pack.count + biases) as usize;
        check_fit(gpu, 4 * elements, 0, batch)?;
        let packed = storage(gpu, "packed weights", 4 * elements);
        let buffers = [weights, &packed];
        let extent = Extent::Elements(launch.pack.count as usize);
        recording.prepare.push(Dispatch::new(gpu, &Kernel::Pack, &launch.pack, &buffers, extent));
        if let Some(bias) = &launch.pack_bias {
            let extent = Extent::Elements(bias.count as usize);
            recording.prepare.push(Dispatch::new(gpu, &Kernel::PackBias, bias, &buffers, extent));
        }
        let mut buffers = vec![&packed, x, y];
        buffers.extend(finish.extra);
        // The gradient of the input, if this is its only part, can move the input at once.
        let state = &self.values[0];
        if state.readers == 1 && state.gradient.as_ref() == Some(y) {
            recording.stepping = launch.quad.map(|quad| Stepping {
                shader: Arc::new(Correlate(launch.kernel, Tail::step(quad))),
                params: launch.params,
                buffers: [packed.clone(), x.clone()],
                extent: launch.extent,
            });
        }
        let shader = Correlate(launch.kernel, finish.tail);
        let mut dispatch = Dispatch::new(gpu, &shader, &launch.params, &buffers, launch.extent);
        dispatch.choice = Some(launch.choice);
        Ok(dispatch)
    }

    /// Everything else, forward or backward.
    fn simple(
        &self,
        work: &Work,
        backward: bool,
        ends: [(&Geometry, &wgpu::Buffer); 2],
        finish: &Finish<'_>,
    ) -> Dispatch {
        let RecordingInput { gpu, weights, batch, .. } = *self.inputs;
        let [(from, x), (to, y)] = ends;
        let slope = finish.slope;
        let extent = Extent::Elements(batch * to.planes() * to.height * to.width);
        match *work {
            Work::Reshape => self.reshape(ends, finish.tail.adds),
            Work::AveragePool(window) => self.pool(window, backward, ends, finish),
            Work::UpsampleNearest | Work::UpsampleBilinear => {
                let (small, large) = if backward { (to, from) } else { (from, to) };
                let kernel = match (work, backward) {
                    (Work::UpsampleNearest, false) => Kernel::Upsample,
                    (Work::UpsampleNearest, true) => Kernel::UpsampleInputGradient,
                    (_, false) => Kernel::Bilinear,
                    (_, true) => Kernel::BilinearInputGradient,
                };
                let params = UpsampleParams {
                    slope,
                    planes: word(batch * small.planes()),
                    height: word(small.height),
                    width: word(small.width),
                    border: word(small.border),
                    large_border: word(large.border),
                };
                finish.dispatch(gpu, kernel, &params, &[x, y], extent)
            }
            Work::ScaleShift { scale, shift } => {
                let params = ScaleShiftParams {
                    slope,
                    samples: word(batch),
                    channels: word(to.channels),
                    height: word(to.height),
                    width: word(to.width),
                    border: word(from.border),
                    out_border: word(to.border),
                    scale: word(scale),
                    shift: word(shift),
                    shifts: if backward { 0.0 } else { 1.0 },
                };
                finish.dispatch(gpu, Kernel::ScaleShift, &params, &[x, y, weights], extent)
            }
            // Both sides have one layout, and the border stays zero.
            Work::Copy | Work::Add | Work::Correlate(_) => {
                let elements = batch * to.sample();
                let params = CopyParams { slope, elements: word(elements) };
                finish.dispatch(gpu, Kernel::Copy, &params, &[x, y], Extent::Elements(elements))
            }
        }
    }

    fn reshape(&self, [(from, x), (to, y)]: [(&Geometry, &wgpu::Buffer); 2], accumulate: bool) -> Dispatch {
        let RecordingInput { gpu, batch, .. } = *self.inputs;
        let params = ReshapeParams {
            samples: word(batch),
            accumulate: accumulate.into(),
            from_channels: word(from.channels),
            from_height: word(from.height),
            from_width: word(from.width),
            from_border: word(from.border),
            from_lanes: word(from.lanes),
            to_channels: word(to.channels),
            to_height: word(to.height),
            to_width: word(to.width),
            to_border: word(to.border),
            to_lanes: word(to.lanes),
        };
        let numbers = batch * to.planes() * to.height * to.width * to.lanes;
        Dispatch::new(gpu, &Kernel::Reshape, &params, &[x, y], Extent::Elements(numbers))
    }

    /// Averages over windows that do not overlap, or their gradient.
    fn pool(
        &self,
        [window_height, window_width]: [usize; 2],
        backward: bool,
        [(from, x), (to, y)]: [(&Geometry, &wgpu::Buffer); 2],
        finish: &Finish<'_>,
    ) -> Dispatch {
        let RecordingInput { gpu, batch, .. } = *self.inputs;
        let (large, small) = if backward { (to, from) } else { (from, to) };
        let params = PoolParams {
            slope: finish.slope,
            planes: word(batch * large.planes()),
            height: word(large.height),
            width: word(large.width),
            border: word(large.border),
            small_border: word(small.border),
            window_height: word(window_height),
            window_width: word(window_width),
        };
        let places = batch * to.planes() * to.height * to.width;
        let (kernel, extent) = match backward {
            false if gpu.pools_by_groups(window_height * window_width) => {
                (Kernel::PoolWide, Extent::Rows(places))
            }
            false => (Kernel::Pool, Extent::Elements(places)),
            true => (Kernel::PoolInputGradient, Extent::Elements(places)),
        };
        finish.dispatch(gpu, kernel, &params, &[x, y], extent)
    }
}
