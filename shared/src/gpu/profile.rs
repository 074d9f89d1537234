//! How long kernels take, and what the device could do at best. Native only: a page has no use for it.

use super::choice::{Choice, Size};
use super::device::Gpu;
use super::dispatch::{Dispatch, Extent, storage, submit, word, write};
use super::error::GpuError;
use super::kernels::{Kernel, PeakArithmeticParams, PeakCopyParams};
use std::time::{Duration, Instant};

/// One of a step's kernels.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelTime {
    /// The kernel's name and variant.
    pub name: String,
    /// The size that the kernel of a linear layer or a convolution was chosen by, and what was chosen.
    pub choice: Option<(Size, Choice)>,
    /// Median time in microseconds, by the device's own clock.
    pub microseconds: f64,
}

/// Peak rates measured by two test kernels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peaks {
    /// Multiply-adds on registers: 10⁹ floating-point operations a second.
    pub gigaflops: f64,
    /// A copy of 64 MiB: 10⁹ bytes read and written a second.
    pub gigabytes: f64,
}

/// What a future gives that waits by itself when it is first polled, as those of `read.rs` do natively.
fn ready<T>(future: impl Future<Output = Result<T, GpuError>>) -> Result<T, GpuError> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(result) => result,
        std::task::Poll::Pending => Err(GpuError::Device("a read did not end".into())),
    }
}

/// Vectors that are worked on, for both.
const ELEMENTS: usize = 1 << 22;

impl Gpu {
    /// Measure the device's peaks, for about as long as `time` each.
    ///
    /// # Errors
    /// If the device failed.
    pub fn peaks(&self, time: Duration) -> Result<Peaks, GpuError> {
        const ROUNDS: usize = 64;
        let buffer = |fill: f32| {
            let buffer = storage(self, "peak", 4 * ELEMENTS);
            write(self, &buffer, &vec![fill; 4 * ELEMENTS]);
            buffer
        };
        let (x, y) = (buffer(0.5), buffer(0.25));
        let elements = word(ELEMENTS);
        let arithmetic = PeakArithmeticParams { elements, rounds: word(ROUNDS) };
        let arithmetic =
            Dispatch::new(self, &Kernel::PeakArithmetic, &arithmetic, &[&y], Extent::Elements(ELEMENTS));
        let copy = Dispatch::new(
            self,
            &Kernel::PeakCopy,
            &PeakCopyParams { elements },
            &[&x, &y],
            Extent::Elements(ELEMENTS),
        );
        let flops = (ELEMENTS * ROUNDS * 32 * 4 * 2) as f64;
        let bytes = (ELEMENTS * 16 * 2) as f64;
        Ok(Peaks {
            gigaflops: flops / self.time_of(&arithmetic, time)? / 1e9,
            gigabytes: bytes / self.time_of(&copy, time)? / 1e9,
        })
    }

    /// Seconds of a dispatch among many.
    fn time_of(&self, dispatch: &Dispatch, time: Duration) -> Result<f64, GpuError> {
        let run = |times: u32| {
            let begin = Instant::now();
            submit(self, std::iter::repeat_n(dispatch, times as usize));
            self.wait_for_all()?;
            Ok::<_, GpuError>(begin.elapsed())
        };
        run(1)?;
        let one = run(1)?.max(Duration::from_micros(10));
        let times = (time.as_secs_f64() / one.as_secs_f64()).clamp(1.0, 1000.0) as u32;
        Ok(run(times)?.as_secs_f64() / f64::from(times))
    }

    /// Times of dispatches that follow one another, by the device's clock.
    pub(super) fn kernel_times(&self, dispatches: &[Dispatch]) -> Result<Vec<KernelTime>, GpuError> {
        const ROUNDS: u32 = 3;
        /// A device that has been idle runs slowly for a while.
        const WARM_UP: Duration = Duration::from_millis(40);
        if !self.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Err(GpuError::NoTimestamps);
        }
        let count = 2 * dispatches.len() as u32 * ROUNDS;
        let queries = self.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("kernel times"),
            ty: wgpu::QueryType::Timestamp,
            count,
        });
        let resolved = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("kernel times"),
            size: 8 * u64::from(count),
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        submit(self, dispatches);
        self.wait_for_all()?;
        let begin = Instant::now();
        submit(self, dispatches);
        self.wait_for_all()?;
        let round = begin.elapsed().max(Duration::from_micros(10));
        for _ in 0..WARM_UP.as_nanos() / round.as_nanos() {
            submit(self, dispatches);
        }
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for round in 0..ROUNDS {
            for (dispatch, i) in dispatches.iter().zip(0..) {
                let begin = 2 * (round * dispatches.len() as u32 + i);
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: None,
                    timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                        query_set: &queries,
                        beginning_of_pass_write_index: Some(begin),
                        end_of_pass_write_index: Some(begin + 1),
                    }),
                });
                dispatch.encode(&mut pass);
            }
        }
        encoder.resolve_query_set(&queries, 0..count, &resolved, 0);
        self.queue.submit([encoder.finish()]);
        let words = ready(self.read(&resolved, 2 * count as usize))?;
        let stamps: Vec<u64> = words
            .chunks(2)
            .map(|pair| u64::from(pair[0].to_bits()) | u64::from(pair[1].to_bits()) << 32)
            .collect();
        let nanoseconds = f64::from(self.queue.get_timestamp_period());
        let mut times = vec![Vec::new(); dispatches.len()];
        for (i, stamps) in stamps.chunks(2).enumerate() {
            times[i % dispatches.len()].push(stamps[1].saturating_sub(stamps[0]) as f64 * nanoseconds / 1e3);
        }
        let median = |mut times: Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        let kernel = |(dispatch, times): (&Dispatch, Vec<f64>)| KernelTime {
            name: dispatch.label().into(),
            choice: dispatch.choice,
            microseconds: median(times),
        };
        Ok(dispatches.iter().zip(times).map(kernel).collect())
    }
}
