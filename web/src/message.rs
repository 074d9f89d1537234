//! Everything that can happen to a figure, and the post that brings it. Listeners, attributes, scripts and loads only
//! write here; the figure's own loop alone changes what it owns.

use crate::models::Loaded;
use crate::problem::Problem;
use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use js_sys::Function;
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use web_sys::Blob;

/// Something that has happened.
pub enum Message {
    /// An attribute has this value now, or none.
    Attribute(String, Option<String>),
    /// A control was set: the same, to be written to the attribute too.
    Choose(&'static str, Option<String>),
    /// The settings are to be the model's own again.
    Defaults,
    /// What the last start or the last change to the model's own settings has changed is to be as it was.
    Undo,
    /// The film is to be shown from this frame on, counted from 0.
    Scrub(usize),
    /// A place on the strip of frames, in shares of it, whose frame is to be shown.
    PickFrame([f64; 2]),
    /// A model file of the reader's own, and its name.
    Open(Blob, String),
    /// A picture of the reader's own, or samples in a .npy file, to be reconstructed, and its name.
    Picture(Blob, String),
    /// The picture of this number as a sample.
    Pictured(u32, Result<Vec<f32>, Problem>),
    /// The samples in the file of this number.
    Sampled(u32, Result<Vec<f32>, Problem>),
    /// The brush is to draw the picture, or to hide parts of it.
    BrushDraws(bool),
    /// Whether the figure can be seen.
    Visible(bool),
    /// The chains are to run, or to rest.
    Playing(bool),
    /// The button that does whichever of both is due.
    TogglePlay,
    /// One more step, at rest.
    OneStep,
    /// The chains are to start anew; with another seed, if the figure has no field for one.
    StartOver,
    /// Load and open everything anew, after a failure.
    Retry,
    /// Go on on the processor, after a failure.
    UseCpu,
    /// Sizes or colours have changed.
    Redraw,
    /// Bytes of the load of this number so far, and of how many.
    Progress(u32, f64, Option<f64>),
    /// The load of this number has ended.
    Loaded(u32, Result<Rc<Loaded>, Problem>),
    /// A place on a picture of this row, in shares of it, whose chain is to be set off.
    Point(usize, [f64; 2]),
    /// A place on the strip of examples, in shares of it, whose example is to be reconstructed.
    PickExample([f64; 2]),
    /// The next example is to be reconstructed, after the last one the first.
    NextExample,
    /// A place on the picture that is reconstructed, in shares of it, to be hidden or shown; whether the brush begins there.
    Brush([f64; 2], bool),
    /// A key on that picture, which moves the place where the keys paint.
    Cursor(Step),
    /// Hide or show that place.
    BrushHere,
    /// A place on the plane of latents, in shares of the picture, that is dragged; whether the drag begins there.
    Drag([f64; 2], bool),
    /// A key on a picture, which moves the chain that is set off.
    Key(Step),
    /// The tables of numbers are opened, or closed.
    Numbers(bool),
    /// A script asks.
    Ask(Question, Reply),
    /// The figure is gone.
    End,
}

/// Moves of the chain that is set off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// So many columns to the right and rows down.
    By([isize; 2]),
    /// None is set off any more.
    Off,
}

/// A question of a script.
pub enum Question {
    /// Run the chains.
    Play,
    /// Let them rest.
    Pause,
    /// Take this many steps.
    Step(u32),
    /// Start anew, with another seed or the same.
    Reset(Option<u32>),
    /// What runs, with the states read back.
    State,
    /// The energies of samples.
    Energies(Vec<f32>),
    /// The picture as a file of this type.
    Picture(String),
}

/// The two ways to settle a script's promise.
pub struct Reply {
    /// With a value.
    pub resolve: Function,
    /// With a reason why not.
    pub reject: Function,
}

impl Reply {
    /// Settle with a value, or with the sentence that says why not.
    pub fn settle(self, outcome: Result<JsValue, &str>) {
        let _ = match outcome {
            Ok(value) => self.resolve.call1(&JsValue::NULL, &value),
            Err(reason) => self.reject.call1(&JsValue::NULL, &js_sys::Error::new(reason)),
        };
    }
}

/// The way to write to a figure.
#[derive(Clone)]
pub struct Post {
    sender: UnboundedSender<Message>,
    ended: Rc<Cell<bool>>,
}

impl Post {
    /// A figure's post, and its inbox.
    pub fn open() -> (Post, UnboundedReceiver<Message>) {
        let (sender, inbox) = unbounded();
        (Post { sender, ended: Rc::default() }, inbox)
    }

    /// Send a message. Once the figure is gone, nobody reads it.
    pub fn send(&self, message: Message) {
        if matches!(message, Message::End) {
            self.ended.set(true);
        }
        if let Err(returned) = self.sender.unbounded_send(message)
            && let Message::Ask(_, reply) = returned.into_inner()
        {
            reply.settle(Err("The figure is no longer on the page."));
        }
    }

    /// Whether the figure is gone, which ends long work at once.
    pub fn ended(&self) -> bool {
        self.ended.get()
    }
}
