//! What the figures of a page share: the graphics device, the workers, the models, and the frames in which they draw. All of it
//! is given back ten seconds after the last figure has gone.

use crate::choices::DeviceChoice;
use crate::dom;
use crate::engine::{Device, Graphics, Pool};
use futures_util::lock::Mutex;
use gloo_timers::callback::Timeout;
use js_sys::{Function, Promise};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

/// How long what is shared outlives its last user, in milliseconds.
pub const KEPT_FOR: u32 = 10_000;

/// What is shared.
#[derive(Default)]
struct Host {
    figures: Cell<usize>,
    /// What gives everything back, after the last figure has gone and before another has come.
    release: RefCell<Option<Timeout>>,
    /// Figures whose chains run and can be seen: they share each frame's time.
    running: Cell<usize>,
    /// The graphics device, or why there is none; nothing before the first question.
    graphics: Mutex<Option<Result<Rc<Graphics>, String>>>,
    pool: RefCell<Option<Rc<Pool>>>,
    frame: RefCell<Option<Promise>>,
    make_worker: RefCell<Option<Function>>,
}

thread_local! {
    static HOST: Rc<Host> = Rc::default();
}

fn host() -> Rc<Host> {
    HOST.with(Rc::clone)
}

/// Remember how the element starts a worker: it knows the address of its code.
pub fn set_worker_maker(make: Function) {
    host().make_worker.replace(Some(make));
}

/// A new worker, if the browser gives one.
pub fn make_worker() -> Option<web_sys::Worker> {
    use wasm_bindgen::JsCast;
    let host = host();
    let make = host.make_worker.borrow();
    make.as_ref()?.call0(&JsValue::NULL).ok()?.dyn_into().ok()
}

thread_local! {
    /// Whether a figure is at work at this moment.
    static WORKING: Cell<bool> = const { Cell::new(false) };
}

/// Whether a figure was left in the middle of its work, asked when nothing of this code is on the stack: an exception has come
/// through it, and its state is not to be trusted.
pub fn interrupted() -> bool {
    WORKING.get()
}

/// Mark the time that `work` is at work.
pub async fn marked<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(move |context| {
        WORKING.set(true);
        let outcome = work.as_mut().poll(context);
        WORKING.set(false);
        outcome
    })
    .await
}

/// A figure's share in what is shared.
pub struct Guest(());

impl Guest {
    /// One figure more.
    pub fn new() -> Guest {
        let host = host();
        host.figures.set(host.figures.get() + 1);
        host.release.replace(None);
        Guest(())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let host = host();
        host.figures.set(host.figures.get() - 1);
        if host.figures.get() == 0 {
            host.release.replace(Some(Timeout::new(KEPT_FOR, give_back)));
        }
    }
}

/// Give back what nobody uses.
fn give_back() {
    let host = host();
    // It has fired, so there is nothing left to be cancelled.
    if let Some(release) = host.release.take() {
        release.forget();
    }
    host.pool.replace(None);
    if let Some(mut graphics) = host.graphics.try_lock()
        && let Some(Ok(graphics)) = graphics.take()
    {
        graphics.gpu.device.destroy();
    }
}

/// The device for a choice. There is always one: the CPU.
///
/// An adapter that is a program on the CPU is taken only where it is asked for: there the element's own code starts at
/// once and takes its steps in a fifth of the time, while WebGPU's kernels take seconds to be compiled.
pub async fn device(choice: DeviceChoice) -> Device {
    if choice == DeviceChoice::Cpu {
        return Device::Cpu("as was chosen".into());
    }
    let host = host();
    let mut kept = host.graphics.lock().await;
    // A lost device is forgotten; another may have come in its place.
    if kept.as_ref().is_some_and(|found| found.as_ref().map_or(true, |graphics| graphics.lost())) {
        *kept = None;
    }
    let found = match kept.take() {
        Some(found) => found,
        None => Graphics::find().await.map(Rc::new),
    };
    *kept = Some(found.clone());
    match found {
        Ok(graphics) if graphics.gpu.is_software() && choice == DeviceChoice::Auto => {
            Device::Cpu("since this browser has WebGPU in software only".into())
        }
        Ok(graphics) => Device::Gpu(graphics),
        Err(why) => Device::Cpu(why),
    }
}

/// The workers, all of them alive.
pub fn pool() -> Rc<Pool> {
    let host = host();
    let mut pool = host.pool.borrow_mut();
    match &*pool {
        Some(pool) if !pool.broken() => pool.clone(),
        _ => pool.insert(Rc::default()).clone(),
    }
}

/// How many workers and whether a graphics device there are, for tests and the curious.
pub fn shared() -> (usize, bool) {
    let host = host();
    let workers = host.pool.borrow().as_ref().map_or(0, |pool| pool.len());
    let graphics = host.graphics.try_lock().is_some_and(|g| matches!(&*g, Some(Ok(_))));
    (workers, graphics)
}

/// Wait until the browser draws its next frame, which it does only while the page can be seen. All figures wait for the
/// same one.
pub async fn next_frame() {
    let host = host();
    let waiting = host.frame.borrow().clone();
    let frame = waiting.unwrap_or_else(|| {
        let promise = Promise::new(&mut |resolve, _| {
            let host = self::host();
            let done = wasm_bindgen::closure::Closure::once_into_js(move || {
                host.frame.replace(None);
                let _ = resolve.call0(&JsValue::NULL);
            });
            let _ = dom::window().request_animation_frame(wasm_bindgen::JsCast::unchecked_ref(&done));
        });
        host.frame.replace(Some(promise.clone()));
        promise
    });
    let _ = JsFuture::from(frame).await;
}

/// A figure's place among those that run.
#[derive(Default)]
pub struct Turn(Cell<bool>);

impl Turn {
    /// Say whether the figure's chains run now. Returns the part of a frame's time that is its own.
    pub fn set(&self, runs: bool) -> f64 {
        let host = host();
        let running = host.running.get();
        let running = match (self.0.replace(runs), runs) {
            (false, true) => running + 1,
            (true, false) => running - 1,
            _ => running,
        };
        host.running.set(running);
        1.0 / running.max(1) as f64
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.set(false);
    }
}
