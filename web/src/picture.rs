//! Pictures of the reader's own, as samples of a model: what `dual-mcmc data import` makes of the same files.

use crate::dom;
use crate::problem::Problem;
use crate::samples;
use dual_mcmc::pictures::sample_of_rgba;
use js_sys::{Object, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, HtmlCanvasElement};

/// Largest side of a picture's middle square, and most bytes of its file.
const LARGEST: u32 = 8_192;
const LARGEST_FILE: f64 = 1e8;

#[wasm_bindgen]
extern "C" {
    type Bitmap;
    #[wasm_bindgen(method, getter)]
    fn width(this: &Bitmap) -> u32;
    #[wasm_bindgen(method, getter)]
    fn height(this: &Bitmap) -> u32;
    #[wasm_bindgen(method)]
    fn close(this: &Bitmap);

    #[wasm_bindgen(catch, js_name = createImageBitmap)]
    async fn bitmap(blob: &Blob, options: &Object) -> Result<JsValue, JsValue>;

    type Context;
    #[wasm_bindgen(method, catch, js_name = drawImage)]
    fn draw(this: &Context, image: &Bitmap, x: f64, y: f64) -> Result<(), JsValue>;
}

/// Read the samples of `shape` in a .npy file.
///
/// # Errors
/// A sentence on what is wrong with the file.
pub async fn samples(blob: &Blob, name: &str, shape: &[usize]) -> Result<Vec<f32>, Problem> {
    let title = || format!("“{name}” cannot be used");
    if blob.size() > LARGEST_FILE {
        return Err(Problem::new(title(), "Its file holds more than the 100 MB that this page reads."));
    }
    let bytes = JsFuture::from(blob.array_buffer()).await;
    let bytes = bytes.map_err(|_| Problem::new(title(), "This browser cannot read it."))?;
    samples::read(&Uint8Array::new(&bytes).to_vec(), shape).map_err(|reason| Problem::new(title(), reason))
}

/// Read a picture as a sample of `shape`, `[C, H, W]`.
///
/// # Errors
/// A sentence on what is wrong with the file, or that the model takes no pictures.
pub async fn read(blob: &Blob, name: &str, shape: &[usize]) -> Result<Vec<f32>, Problem> {
    let title = || format!("“{name}” cannot be used");
    let [channels @ (1 | 3), height, width] = *shape else {
        return Err(Problem::new(title(), "This model is not one of grey or colour images."));
    };
    if width != height {
        return Err(Problem::new(title(), "This model's images are not square."));
    }
    if blob.size() > LARGEST_FILE {
        return Err(Problem::new(title(), "Its file holds more than the 100 MB that this page reads."));
    }
    // As they are stored: no colours converted, no transparency multiplied; but turned as the camera says.
    let options = Object::new();
    for (key, value) in
        [("colorSpaceConversion", "none"), ("premultiplyAlpha", "none"), ("imageOrientation", "from-image")]
    {
        let _ = js_sys::Reflect::set(&options, &key.into(), &value.into());
    }
    let unreadable = |_| Problem::new(title(), "It is no picture that this browser can read.");
    let bitmap: Bitmap = bitmap(blob, &options).await.map_err(unreadable)?.unchecked_into();
    let size = [bitmap.width(), bitmap.height()];
    let short = size[0].min(size[1]);
    if short > LARGEST {
        bitmap.close();
        let [width, height] = size;
        let advice = format!("It is {width} by {height} pixels; this page takes up to {LARGEST} each way.");
        return Err(Problem::new(title(), advice));
    }
    // Only the middle square is needed.
    let canvas: Option<HtmlCanvasElement> = dom::create("canvas");
    let drawn = canvas.and_then(|canvas| {
        canvas.set_width(short);
        canvas.set_height(short);
        let context = dom::context_2d(&canvas)?;
        let corner = |whole: u32| -f64::from((whole - short) / 2);
        context.unchecked_ref::<Context>().draw(&bitmap, corner(size[0]), corner(size[1])).ok()?;
        context.get_image_data(0.0, 0.0, f64::from(short), f64::from(short)).ok()
    });
    bitmap.close();
    let sample = drawn.and_then(|image| sample_of_rgba(image.data().0, [short; 2], channels, height));
    sample.ok_or_else(|| Problem::new(title(), "The browser has no room for its pixels."))
}
