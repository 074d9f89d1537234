//! The CPU executor: forward and input gradient of a [`Network`].
//!
//! Two sets of kernels do the same arithmetic. [`twin`] is written to match the WGSL shaders and
//! serves as the oracle in tests; [`fast`] computes the linear and convolution layers as matrix
//! products and is what chains run on. Both are generic over f32 and f64.

mod activation;
mod chains;
mod convolution;
mod fast;
mod product;
mod real;
pub mod twin;
mod upsampled;

pub use chains::{Chain, Energy, Posterior, XChain, ZChain};
pub use real::Real;

use crate::network::{Network, NetworkError, Op, Plan};
use fast::{Batch, Layout, Packed};

/// Which kernels an evaluator runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CpuKernels {
    /// The plain ones, for tests and comparisons.
    #[cfg(feature = "workbench")]
    Twin,
    Fast,
}

/// A network with its weights, ready to run on the CPU.
#[derive(Clone, Debug)]
pub struct Evaluator<T = f32> {
    plan: Plan,
    weights: Vec<T>,
    kernels: CpuKernels,
    /// The weights of each operation, for the fast kernels.
    packed: Vec<Packed<T>>,
    layout: Layout,
}

/// The activations and gradients of one batch. Reused between calls, so that a chain allocates
/// nothing per step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workspace<T> {
    values: Vec<Vec<T>>,
    gradients: Vec<Vec<T>>,
    scratch: [Vec<T>; 2],
    /// A part of a gradient on its way to the others.
    part: Vec<T>,
    /// Outputs, or gradients in the input: what a pass gives, row by row.
    results: Vec<T>,
}

impl<T: Real> Evaluator<T> {
    /// An evaluator with the fast kernels.
    ///
    /// # Errors
    /// If the description does not fit together or `weights` is not as long as its parameters.
    pub fn new(network: &Network, weights: &[f32]) -> Result<Evaluator<T>, NetworkError> {
        Evaluator::with_kernels(network, weights, CpuKernels::Fast)
    }

    /// An evaluator with the plain kernels, the oracle of the others.
    ///
    /// # Errors
    /// As [`Evaluator::new`].
    #[cfg(feature = "workbench")]
    pub fn twin(network: &Network, weights: &[f32]) -> Result<Evaluator<T>, NetworkError> {
        Evaluator::with_kernels(network, weights, CpuKernels::Twin)
    }

    fn with_kernels(
        network: &Network,
        weights: &[f32],
        kernels: CpuKernels,
    ) -> Result<Evaluator<T>, NetworkError> {
        let plan = Plan::new(network)?;
        let layout = if kernels == CpuKernels::Fast { Layout::of(&plan) } else { Layout::Rows };
        let mut evaluator = Evaluator { plan, weights: Vec::new(), kernels, packed: Vec::new(), layout };
        evaluator.set_weights(weights)?;
        Ok(evaluator)
    }

    #[cfg(feature = "workbench")]
    fn use_plain_kernels(&mut self) {
        (self.kernels, self.packed, self.layout) = (CpuKernels::Twin, Vec::new(), Layout::Rows);
    }

    /// Replace all weights.
    ///
    /// # Errors
    /// If `weights` is not as long as the network's parameters.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), NetworkError> {
        self.plan.check_weights(weights)?;
        self.weights.clear();
        self.weights.extend(weights.iter().map(|&w| T::from_f32(w)));
        if self.kernels == CpuKernels::Fast {
            self.packed = self.plan.ops.iter().map(|op| Packed::new(op, &self.weights)).collect();
        }
        Ok(())
    }

    /// Elements of one input.
    pub fn input_len(&self) -> usize {
        self.plan.values[0]
    }

    /// Elements of one output.
    pub fn output_len(&self) -> usize {
        self.plan.values[self.plan.output]
    }

    /// Outputs of a batch: `x` holds `batch` inputs, the result `batch` outputs, both row-major.
    /// An energy includes its Gaussian reference.
    pub fn forward(&self, x: &[T]) -> Vec<T> {
        self.forward_on(1, x)
    }

    /// Outputs of a batch, as [`Evaluator::forward`] gives them, computed by several threads.
    pub fn forward_on(&self, threads: usize, x: &[T]) -> Vec<T> {
        self.tiles(threads, x, |_, x, workspace| self.run_forward(x, workspace).to_vec()).concat()
    }

    /// Vector-Jacobian product: the gradient in `x` of `Σ grad_output · network(x)`.
    pub fn input_gradient(&self, x: &[T], grad_output: &[T]) -> Vec<T> {
        let gradients = self.tiles(1, x, |first, x, workspace| {
            let rows = x.len() / self.input_len();
            self.run_forward(x, workspace);
            let grad_output = &grad_output[first * self.output_len()..][..rows * self.output_len()];
            self.run_backward(grad_output, workspace).to_vec()
        });
        gradients.concat()
    }

    /// Energies `[batch]` and their gradients in `x`, for a network with one output.
    pub fn energy_and_gradient(&self, x: &[T]) -> (Vec<T>, Vec<T>) {
        self.energy_and_gradient_on(1, x)
    }

    /// Energies and gradients, as [`Evaluator::energy_and_gradient`] gives them, computed by several threads.
    pub fn energy_and_gradient_on(&self, threads: usize, x: &[T]) -> (Vec<T>, Vec<T>) {
        let parts = self.tiles(threads, x, |_, x, workspace| {
            let energies = self.run_forward(x, workspace).to_vec();
            let ones = vec![T::from_f32(1.0); energies.len()];
            (energies, self.run_backward(&ones, workspace).to_vec())
        });
        let (energies, gradients): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        (energies.concat(), gradients.concat())
    }

    /// Cut `x` into tiles of a few rows, and run `f(first row, rows, workspace)` on each, so that
    /// the memory needed does not grow with the batch.
    fn tiles<R, F>(&self, threads: usize, x: &[T], f: F) -> Vec<R>
    where
        R: Send,
        F: Fn(usize, &[T], &mut Workspace<T>) -> R + Sync,
    {
        let (n, tile) = (self.input_len(), self.tile());
        assert_eq!(x.len() % n, 0, "input is not a whole number of rows");
        let share = |first: usize, x: &[T]| -> Vec<R> {
            let mut workspace = Workspace::default();
            let tiles = x.chunks(tile * n).enumerate();
            tiles.map(|(i, x)| f(first + i * tile, x, &mut workspace)).collect()
        };
        let rows = (x.len() / n).div_ceil(threads.max(1)).max(1);
        if threads <= 1 || x.len() <= tile * n {
            return share(0, x);
        }
        std::thread::scope(|scope| {
            let share = &share;
            let parts = x.chunks(rows * n).enumerate();
            let workers: Vec<_> = parts.map(|(i, x)| scope.spawn(move || share(i * rows, x))).collect();
            let join = |w: std::thread::ScopedJoinHandle<'_, Vec<R>>| match w.join() {
                Ok(results) => results,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            workers.into_iter().flat_map(join).collect()
        })
    }

    /// Forward pass into `workspace`, which then holds what the backward pass needs.
    pub(crate) fn run_forward<'w>(&self, x: &[T], workspace: &'w mut Workspace<T>) -> &'w [T] {
        let batch = Batch { size: x.len() / self.input_len(), layout: self.layout };
        assert_eq!(x.len(), batch.size * self.input_len(), "input is not a whole number of rows");
        let Workspace { values, scratch, results, .. } = workspace;
        values.resize(self.plan.values.len(), Vec::new());
        batch.put(x, &mut values[0]);
        for (index, op) in self.plan.ops.iter().enumerate() {
            let (Op::Apply { output: place, .. } | Op::Add { output: place, .. }) = *op;
            let mut output = std::mem::take(&mut values[place]);
            output.resize(batch.len(self.plan.values[place]), T::from_f32(0.0));
            match op {
                Op::Apply { operator, input, .. } => {
                    let (weights, x) = (&self.weights, &values[*input]);
                    match self.kernels {
                        CpuKernels::Fast => {
                            let packed = &self.packed[index];
                            fast::forward(operator, packed, weights, x, &mut output, batch, scratch)
                        }
                        #[cfg(feature = "workbench")]
                        CpuKernels::Twin => twin::forward(operator, weights, x, &mut output, batch.size),
                    }
                }
                Op::Add { inputs: [a, b], .. } => {
                    twin::add(&values[*a], &mut output, false);
                    twin::add(&values[*b], &mut output, true);
                }
            }
            values[place] = output;
        }
        results.resize(batch.size * self.output_len(), T::from_f32(0.0));
        batch.take(&values[self.plan.output], self.output_len(), results);
        if let Some(tau) = self.plan.reference {
            let rows = x.chunks(self.input_len());
            results.iter_mut().zip(rows).for_each(|(f, x)| *f += twin::reference_energy(tau, x));
        }
        results
    }

    /// Backward pass after [`Evaluator::run_forward`] on the same workspace: the gradient in the
    /// input.
    pub(crate) fn run_backward<'w>(&self, grad_output: &[T], workspace: &'w mut Workspace<T>) -> &'w mut [T] {
        let batch = Batch { size: grad_output.len() / self.output_len(), layout: self.layout };
        let Workspace { values, gradients, scratch, part, results } = workspace;
        gradients.resize(self.plan.values.len(), Vec::new());
        batch.put(grad_output, &mut gradients[self.plan.output]);
        let zero = T::from_f32(0.0);
        for (index, op) in self.plan.ops.iter().enumerate().rev() {
            match op {
                &Op::Apply { ref operator, input, output, accumulate } => {
                    let len = batch.len(self.plan.values[input]);
                    let mut gradient = std::mem::take(&mut gradients[input]);
                    gradient.resize(len, zero);
                    let target = if accumulate {
                        part.resize(len, zero);
                        &mut *part
                    } else {
                        &mut gradient
                    };
                    let (weights, x, grad_y) = (&self.weights, &values[input], &gradients[output]);
                    match self.kernels {
                        CpuKernels::Fast => {
                            let packed = &self.packed[index];
                            fast::input_gradient(
                                operator, packed, weights, x, grad_y, target, batch, scratch,
                            );
                        }
                        #[cfg(feature = "workbench")]
                        CpuKernels::Twin => {
                            twin::input_gradient(operator, weights, x, grad_y, target, batch.size);
                        }
                    }
                    if accumulate {
                        twin::add(part, &mut gradient, true);
                    }
                    gradients[input] = gradient;
                }
                Op::Add { inputs, output, accumulate } => {
                    for (&input, &accumulate) in inputs.iter().zip(accumulate) {
                        let mut gradient = std::mem::take(&mut gradients[input]);
                        gradient.resize(batch.len(self.plan.values[input]), zero);
                        twin::add(&gradients[*output], &mut gradient, accumulate);
                        gradients[input] = gradient;
                    }
                }
            }
        }
        let n = self.input_len();
        results.resize(batch.size * n, zero);
        batch.take(&gradients[0], n, results);
        if let Some(tau) = self.plan.reference {
            part.resize(results.len(), zero);
            batch.take(&values[0], n, part);
            let rows = results.chunks_mut(n).zip(part.chunks(n));
            for ((gradient, x), &grad_output) in rows.zip(grad_output) {
                twin::reference_gradient(tau, x, grad_output, gradient);
            }
        }
        results
    }

    /// Chains that are worth running together: few enough that their activations stay in the
    /// processor's cache, many enough that matrix products are not thin.
    pub(crate) fn tile(&self) -> usize {
        const CACHE_BYTES: usize = 1 << 20;
        let bytes = 2 * self.plan.values.iter().sum::<usize>() * size_of::<T>();
        (CACHE_BYTES / bytes.max(1)).clamp(1, 256)
    }
}
