//! The kernels that everything runs on: a register-blocked correlation for linear layers and convolutions of
//! either direction, with what surrounds a layer (bias, scale and shift, upsampling, activation, the
//! activation's derivative, sums of paths) folded into it.
//!
//! Values between layers lie as [`Geometry`] says, four channels to an element and within a border of zeros.
//! The gradient of a value takes the value's own place where no second reader needs that.

mod choice;
mod correlation;
mod finish;
mod geometry;
mod recipe;
mod source;
mod stages;
mod table;
mod text;
mod tiled;

use super::dispatch::{Dispatch, Extent, storage};
use super::layers::{Blueprint, Passes, Recorded, Stepping, check_fit};
use super::program::{Program, Shader};
use super::{Gpu, GpuError};
use crate::network::{Activation, Plan};
pub use choice::{Choice, Size, Tiling};
use correlation::Correlation;
pub(super) use finish::Tail;
use finish::{Function, Then};
use geometry::Geometry;
pub(super) use recipe::Kernel;
#[cfg(not(target_arch = "wasm32"))]
pub(super) use recipe::Variant;
pub(super) use source::{correlate, head};
use stages::{Stage, Stages, Work, invertible};

/// A value's buffers.
struct Value {
    geometry: Geometry,
    data: wgpu::Buffer,
    /// The activation that made it as the last part of its stage.
    activation: Option<Activation>,
    /// What that was applied to, where its derivative needs this.
    kept: Option<wgpu::Buffer>,
    /// Its gradient, which may be one of the buffers above.
    gradient: Option<wgpu::Buffer>,
    /// How often stages read it.
    readers: usize,
}

/// What becomes of a kernel's result.
#[derive(Clone, Copy, Default)]
struct Finish<'a> {
    tail: Tail,
    /// Bits of a leaky ReLU's slope.
    slope: u32,
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
            Some(Activation::LeakyRelu(slope)) => slope.to_bits(),
            _ => 0,
        };
        let tail = Tail { adds, then: activation.map_or(Then::Write, then) };
        Finish { tail, slope, extra: extra.filter(|_| tail.reads_extra()) }
    }

    /// A kernel that ends so; `sizes` are its parameters behind the slope.
    fn dispatch(
        &self,
        gpu: &Gpu,
        program: Program,
        sizes: &[usize],
        buffers: &[&wgpu::Buffer],
        extent: Extent,
    ) -> Dispatch {
        let params: Vec<u32> = [self.slope].into_iter().chain(sizes.iter().map(|&n| n as u32)).collect();
        let buffers: Vec<&wgpu::Buffer> = buffers.iter().copied().chain(self.extra).collect();
        Dispatch::new(gpu, Shader::Finished(program, self.tail), &params, &buffers, extent)
    }
}

struct Recorder<'a> {
    blueprint: &'a Blueprint<'a>,
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
pub(super) fn record(blueprint: &Blueprint<'_>) -> Result<Recorded, GpuError> {
    let Blueprint { gpu, plan, input, batch, passes, .. } = *blueprint;
    let stages = Stages::new(plan, input);
    let longest = stages.values.iter().map(Geometry::len).max().unwrap_or(0);
    check_fit(gpu, 0, longest, batch)?;
    let values = (0..stages.values.len()).map(|index| Value::new(blueprint, &stages, index)).collect();
    let recorder = Recorder { blueprint, values };
    let ends = [&recorder.values[0], &recorder.values[stages.output]];
    let mut recorded = Recorded {
        ends: ends.map(|value| value.data.clone()),
        gradients: ends.iter().filter_map(|value| value.gradient.clone()).collect(),
        prepare: Vec::new(),
        forward: Vec::new(),
        backward: Vec::new(),
        stepping: None,
    };
    for stage in &stages.stages {
        recorder.forward(stage, &mut recorded)?;
    }
    if passes == Passes::ForwardAndGradient {
        recorder.backward(&stages, &mut recorded)?;
    }
    Ok(recorded)
}

/// The buffers that a value needs beside its own.
struct Needs {
    /// What its activation was applied to.
    keeps: bool,
    /// Its gradient, which else takes the place of one of the others.
    own_gradient: bool,
    /// How often stages read it.
    readers: usize,
}

impl Needs {
    /// Those of value `index`, and the activation that makes it.
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
    fn new(blueprint: &Blueprint<'_>, stages: &Stages, index: usize) -> Value {
        let Blueprint { gpu, batch, passes, .. } = *blueprint;
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
    fn forward(&self, stage: &Stage, recorded: &mut Recorded) -> Result<(), GpuError> {
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
                let dispatch = self.correlate(correlation, ends, &finish(false), recorded)?;
                recorded.forward.push(dispatch);
            }
            Work::Add => {
                let other = (&x.geometry, &self.values[stage.inputs[1]].data);
                recorded.forward.push(self.simple(&Work::Copy, false, ends, &Finish::default()));
                recorded.forward.push(self.simple(&Work::Copy, false, [other, ends[1]], &finish(true)));
            }
            work => recorded.forward.push(self.simple(work, false, ends, &finish(false))),
        }
        Ok(())
    }

    fn backward(&self, stages: &Stages, recorded: &mut Recorded) -> Result<(), GpuError> {
        let mut written = vec![0; self.values.len()];
        for stage in stages.stages.iter().rev() {
            let output = &self.values[stage.output];
            let Some(mut from) = output.gradient.clone() else { continue };
            if stage.output == stages.output
                && let Some(activation) = output.activation
            {
                from = self.through_activation(output, &from, activation, recorded);
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
                    Work::Correlate(c) => self.correlate(&c.transposed(), ends, &finish, recorded)?,
                    Work::Add => self.simple(&Work::Copy, true, ends, &finish),
                    work => self.simple(work, true, ends, &finish),
                };
                recorded.backward.push(dispatch);
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
        recorded: &mut Recorded,
    ) -> wgpu::Buffer {
        let Blueprint { gpu, .. } = *self.blueprint;
        let through = storage(gpu, "gradient", (output.data.size() / 4) as usize);
        let then = |activation| Then::SlopeAtExtra(Function::of_result(activation));
        let finish = Finish::new(false, Some(activation), then, Some(&output.data));
        let elements = (output.data.size() / 16) as usize;
        recorded.backward.push(finish.dispatch(
            gpu,
            Program::Copy,
            &[elements],
            &[gradient, &through],
            Extent::Elements(elements),
        ));
        through
    }

    /// A correlation, whose weights are packed when they change.
    fn correlate(
        &self,
        correlation: &Correlation,
        [(from, x), (to, y)]: [(&Geometry, &wgpu::Buffer); 2],
        finish: &Finish<'_>,
        recorded: &mut Recorded,
    ) -> Result<Dispatch, GpuError> {
        let Blueprint { gpu, weights, batch, .. } = *self.blueprint;
        let [from, to] = [correlation.layout(correlation.from, from), correlation.layout(correlation.to, to)];
        let recipe = correlation.recipe(batch, [&from, &to], finish.slope, |size| gpu.choose(size));
        let elements = recipe.weights + recipe.biases;
        check_fit(gpu, 4 * elements, 0, batch)?;
        let packed = storage(gpu, "packed weights", 4 * elements);
        let mut pack = |program, params: &[u32], elements| {
            let extent = Extent::Elements(elements);
            recorded.prepare.push(Dispatch::new(gpu, program, params, &[weights, &packed], extent));
        };
        pack(Program::Pack, &recipe.pack, recipe.weights);
        if recipe.biases > 0 {
            pack(Program::PackBias, &recipe.pack_bias, recipe.biases);
        }
        let mut buffers = vec![&packed, x, y];
        buffers.extend(finish.extra);
        // The gradient of the input, if this is its only part, can move the input at once.
        let state = &self.values[0];
        if state.readers == 1 && state.gradient.as_ref() == Some(y) {
            recorded.stepping = recipe.quad.map(|quad| Stepping {
                shader: Shader::Correlate(recipe.kernel, Tail::step(quad)),
                params: recipe.params.clone(),
                buffers: [packed.clone(), x.clone()],
                extent: recipe.extent,
            });
        }
        let shader = Shader::Correlate(recipe.kernel, finish.tail);
        let dispatch = Dispatch::new(gpu, shader, &recipe.params, &buffers, recipe.extent);
        #[cfg(not(target_arch = "wasm32"))]
        let dispatch = Dispatch { choice: Some(recipe.choice), ..dispatch };
        Ok(dispatch)
    }

    /// Everything else, forward or backward.
    fn simple(
        &self,
        work: &Work,
        backward: bool,
        [(from, x), (to, y)]: [(&Geometry, &wgpu::Buffer); 2],
        finish: &Finish<'_>,
    ) -> Dispatch {
        let Blueprint { gpu, weights, batch, .. } = *self.blueprint;
        // Sizes are those of the input, forward: the large side of a pool, the small one of an upsampling.
        let (input, output) = if backward { (to, from) } else { (from, to) };
        let sides = [batch * input.planes(), input.height, input.width, input.border, output.border];
        let mut places = batch * to.planes() * to.height * to.width;
        let (program, sizes): (_, Vec<usize>) = match (work, backward) {
            (Work::Reshape, _) => {
                let layout = |g: &Geometry| [g.channels, g.height, g.width, g.border, g.lanes];
                let params = [&[batch, finish.tail.adds.into()][..], &layout(from), &layout(to)].concat();
                let params: Vec<u32> = params.into_iter().map(|n| n as u32).collect();
                let extent = Extent::Elements(places * to.lanes);
                return Dispatch::new(gpu, Program::Reshape, &params, &[x, y], extent);
            }
            (Work::AveragePool(window), false) if gpu.pools_by_groups(window[0] * window[1]) => {
                let sizes = [&sides[..], window].concat();
                return finish.dispatch(gpu, Program::PoolWide, &sizes, &[x, y], Extent::Rows(places));
            }
            (Work::AveragePool(window), false) => (Program::Pool, [&sides[..], window].concat()),
            (Work::AveragePool(window), true) => (Program::PoolInputGradient, [&sides[..], window].concat()),
            (Work::UpsampleNearest, false) => (Program::Upsample, sides.to_vec()),
            (Work::UpsampleNearest, true) => (Program::UpsampleInputGradient, sides.to_vec()),
            (Work::UpsampleBilinear, false) => (Program::Bilinear, sides.to_vec()),
            (Work::UpsampleBilinear, true) => (Program::BilinearInputGradient, sides.to_vec()),
            (Work::ScaleShift { scale, shift }, _) => {
                let shifts = if backward { 0.0f32 } else { 1.0 }.to_bits();
                let from = [batch, to.channels, to.height, to.width, from.border, to.border];
                (Program::ScaleShift, [&from[..], &[*scale, *shift, shifts as usize]].concat())
            }
            // Both sides have one layout, and the border stays zero.
            (Work::Copy | Work::Add | Work::Correlate(_), _) => {
                places = batch * to.sample();
                (Program::Copy, vec![places])
            }
        };
        let mut buffers = vec![x, y];
        buffers.extend((program == Program::ScaleShift).then_some(weights));
        finish.dispatch(gpu, program, &sizes, &buffers, Extent::Elements(places))
    }
}
