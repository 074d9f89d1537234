//! Reading back: futures that work in a browser's event loop and on a native thread alike.

use super::device::Gpu;
use super::error::GpuError;
use std::future::{self, Future};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

/// A value that a callback sends and a future waits for.
struct Signal<T>(Arc<Mutex<(Option<T>, Option<Waker>)>>);

impl<T> Clone for Signal<T> {
    fn clone(&self) -> Self {
        Signal(Arc::clone(&self.0))
    }
}

impl<T> Signal<T> {
    fn new() -> Signal<T> {
        Signal(Arc::new(Mutex::new((None, None))))
    }

    fn send(&self, value: T) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.0 = Some(value);
        if let Some(waker) = slot.1.take() {
            waker.wake();
        }
    }

    async fn receive(self) -> T {
        future::poll_fn(|context| {
            let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match slot.0.take() {
                Some(value) => Poll::Ready(value),
                None => {
                    slot.1 = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Gpu {
    /// The first `len` numbers of `buffer`, after all work submitted so far.
    ///
    /// # Errors
    /// If the device was lost or reported an error.
    pub fn read(
        &self,
        buffer: &wgpu::Buffer,
        len: usize,
    ) -> impl Future<Output = Result<Vec<f32>, GpuError>> + use<> {
        self.read_all(&[(buffer, 0, len)])
    }

    /// Numbers of several buffers, each from a place on, one after the other.
    pub(super) fn read_all(
        &self,
        pieces: &[(&wgpu::Buffer, usize, usize)],
    ) -> impl Future<Output = Result<Vec<f32>, GpuError>> + use<> {
        let gpu = self.clone();
        let bytes = |numbers: usize| numbers as u64 * 4;
        let size = pieces.iter().map(|&(_, _, len)| bytes(len)).sum();
        let pending = (size > 0).then(|| {
            let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("read"),
                size,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let mut to = 0;
            for &(buffer, from, len) in pieces {
                encoder.copy_buffer_to_buffer(buffer, bytes(from), &staging, to, bytes(len));
                to += bytes(len);
            }
            let submission = self.queue.submit([encoder.finish()]);
            let mapped = Signal::new();
            let callback = mapped.clone();
            staging.map_async(wgpu::MapMode::Read, .., move |result| callback.send(result));
            (staging, submission, mapped)
        });
        async move {
            let Some((staging, submission, mapped)) = pending else { return Ok(Vec::new()) };
            gpu.wait(submission)?;
            let result = mapped.receive().await;
            gpu.check()?;
            let failed = |e: &dyn std::fmt::Display| GpuError::Device(format!("a read failed: {e}"));
            // With nothing wrong in the request, only a loss that is not told yet prevents a read.
            result.map_err(|e| GpuError::Lost(format!("a read failed: {e}")))?;
            let bytes = staging.get_mapped_range(..).map_err(|e| failed(&e))?;
            let numbers = bytemuck::pod_collect_to_vec(&bytes[..]);
            drop(bytes);
            // A browser would keep it until its garbage is collected.
            staging.destroy();
            Ok(numbers)
        }
    }

    /// Resolves when everything submitted so far is done, so that a caller can pace itself.
    ///
    /// # Errors
    /// If the device was lost or reported an error.
    pub fn finish(&self) -> impl Future<Output = Result<(), GpuError>> + use<> {
        let gpu = self.clone();
        let done = Signal::new();
        let callback = done.clone();
        let submission = self.queue.submit([]);
        self.queue.on_submitted_work_done(move || callback.send(()));
        async move {
            gpu.wait(submission)?;
            done.receive().await;
            gpu.check()
        }
    }

    /// Wait until everything submitted so far is done.
    #[cfg(feature = "workbench")]
    pub(super) fn wait_for_all(&self) -> Result<(), GpuError> {
        self.wait(self.queue.submit([]))
    }

    /// Natively, callbacks run when somebody polls the device; a browser polls by itself.
    fn wait(&self, submission: wgpu::SubmissionIndex) -> Result<(), GpuError> {
        let until = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
        let polled = self.device.poll(until);
        if polled.is_err() {
            // A lost device knows no submissions; it says so when it is polled for nothing.
            let _ = self.device.poll(wgpu::PollType::Poll);
        }
        self.check()?;
        polled.map(|_| ()).map_err(|e| GpuError::Device(e.to_string()))
    }
}
