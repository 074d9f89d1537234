//! The `<dual-mcmc>` element: chains of dual-MCMC models on any page.
//!
//! Plain logic, tested anywhere: [`choices`] (the one table of what can be chosen), [`facts`] and [`settings`] (from choices
//! and a model to what runs), [`pacing`] (steps per frame), [`history`] (energies over steps), [`mask`] (what of an image is hidden), [`rank`] (an energy among others), [`samples`] (samples of the reader's own), [`numbers`] (what is drawn, as tables), [`account`] (how good a model of
//! the plane is), [`trails`] (where its chains have been), [`film`] (the states of a run as it went), [`walk`] (a plane through latent space), [`heat`] (the landscape's map),
//! [`paint`] (layouts, and the twins of the shaders), [`explain`] and [`problem`] (words).
//!
//! In a browser, flow goes one way: an attribute, a control or a script → `message` → `instance`, which alone changes what a
//! figure wants and owns → `engine`, the chains → `views` and `draw` → an event to the page. `host` is what figures share.

pub mod account;
#[cfg(any(target_arch = "wasm32", test))]
mod apng;
pub mod choices;
pub mod explain;
pub mod facts;
pub mod film;
pub mod heat;
pub mod history;
pub mod mask;
pub mod numbers;
pub mod pacing;
pub mod paint;
pub mod problem;
pub mod rank;
pub mod samples;
pub mod settings;
pub mod trails;
pub mod walk;

#[cfg(all(target_arch = "wasm32", feature = "bench"))]
mod bench;
#[cfg(target_arch = "wasm32")]
mod dom;
#[cfg(any(target_arch = "wasm32", test))]
mod draw;
#[cfg(target_arch = "wasm32")]
mod engine;
#[cfg(target_arch = "wasm32")]
mod handle;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(target_arch = "wasm32")]
mod instance;
#[cfg(target_arch = "wasm32")]
mod message;
#[cfg(target_arch = "wasm32")]
mod models;
#[cfg(target_arch = "wasm32")]
mod picture;
#[cfg(target_arch = "wasm32")]
mod plot;
#[cfg(target_arch = "wasm32")]
mod ui;
#[cfg(target_arch = "wasm32")]
mod views;
