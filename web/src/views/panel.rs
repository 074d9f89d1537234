//! A place on the page where chains are drawn, with what lies under and over them.

use crate::dom;
use crate::draw::{self, Canvas};
use crate::engine::Graphics;
use crate::heat::{Bounds, ticks};
use crate::paint::ImageGrid;
use crate::problem::Problem;
use crate::ui::{Refs, Theme};
use std::rc::Rc;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, HtmlElement};

/// A panel: for the plane a still background canvas, then the chains' canvas, and for images a frame
/// around the chosen one.
pub struct Panel {
    holder: HtmlElement,
    ground: Option<HtmlCanvasElement>,
    /// The chains.
    pub canvas: Canvas,
    frame: Option<HtmlElement>,
    /// What moves under the chains; made when it is needed.
    under: Option<HtmlCanvasElement>,
}

impl Drop for Panel {
    fn drop(&mut self) {
        self.holder.set_text_content(None);
    }
}

impl Panel {
    /// Fill the element with this `data-ref`.
    ///
    /// # Errors
    /// If the browser has no canvas to give.
    pub fn open(
        refs: &Refs,
        name: &str,
        graphics: Option<&Rc<Graphics>>,
        plane: bool,
    ) -> Result<Panel, Problem> {
        let missing = || {
            Problem::new("The picture cannot be drawn", "The figure lacks the place for it; reload the page.")
        };
        let holder: HtmlElement = refs.find(name).ok_or_else(missing)?;
        holder.set_text_content(None);
        let _ = holder.class_list().toggle_with_force("plane", plane);
        let canvas = Canvas::new(graphics)?;
        let ground: Option<HtmlCanvasElement> = if plane { dom::create("canvas") } else { None };
        if let Some(ground) = &ground {
            let _ = ground.set_attribute("aria-hidden", "true");
            let _ = holder.append_child(ground);
        }
        let _ = holder.append_child(canvas.element());
        Ok(Panel { holder, ground, canvas, frame: None, under: None })
    }

    /// The panel as a picture: its background, and over it pixels of this size.
    ///
    /// # Errors
    /// If the browser has no canvas to give.
    pub fn picture(&self, rgba: &[u8], size: [usize; 2]) -> Result<HtmlCanvasElement, Problem> {
        let size = size.map(|n| n as u32);
        let (picture, context) = blank(size)?;
        let (pixels, to) = blank(size)?;
        draw::put(&to, rgba, size)?;
        for layer in self.ground.iter().chain(&self.under).chain([&pixels]) {
            let _ = context.draw_image_with_html_canvas_element(layer, 0.0, 0.0);
        }
        Ok(picture)
    }

    /// Width in device pixels.
    pub fn width(&self) -> usize {
        (f64::from(self.holder.client_width()) * dom::pixel_ratio()).round().max(1.0) as usize
    }

    /// Tell a screen reader what the panel shows.
    pub fn describe(&self, words: &str) {
        if self.holder.get_attribute("aria-label").as_deref() != Some(words) {
            let _ = self.holder.set_attribute("aria-label", words);
        }
    }

    /// Put a frame around a chain's image.
    pub fn frame(&mut self, grid: &ImageGrid, chosen: Option<usize>) {
        self.mark(chosen.filter(|&chain| chain < grid.chains).map(|chain| grid.place(chain)));
    }

    /// Put a frame around a place: left, top, width and height in shares of the panel.
    pub fn mark(&mut self, place: Option<[f64; 4]>) {
        let Some(place) = place else {
            if let Some(frame) = self.frame.take() {
                frame.remove();
            }
            return;
        };
        if self.frame.is_none()
            && let Some(frame) = dom::create::<HtmlElement>("div")
        {
            frame.set_class_name("chosen");
            let _ = self.holder.append_child(&frame);
            self.frame = Some(frame);
        }
        let shares = place.map(|share| format!("{}%", share * 100.0));
        if let Some(frame) = &self.frame {
            // Not by the attribute, which a page's policy may forbid.
            let style = frame.style();
            for (property, share) in ["left", "top", "width", "height"].into_iter().zip(&shares) {
                let _ = style.set_property(property, share);
            }
        }
    }

    /// Clear what moves under the chains, and return its context with its side in device pixels.
    pub fn clear_under(&mut self) -> Option<(CanvasRenderingContext2d, f64)> {
        let side = self.width();
        if self.under.is_none() {
            let canvas: HtmlCanvasElement = dom::create("canvas")?;
            let _ = canvas.set_attribute("aria-hidden", "true");
            let _ = self.holder.insert_before(&canvas, Some(self.canvas.element()));
            self.under = Some(canvas);
        }
        let under = self.under.as_ref()?;
        // Setting the width clears it, too.
        under.set_width(side as u32);
        under.set_height(side as u32);
        Some((dom::context_2d(under)?, side as f64))
    }

    /// Clear the background, and return its context with its side in device pixels.
    pub fn clear_ground(&self) -> Option<(CanvasRenderingContext2d, f64)> {
        let ground = self.ground.as_ref()?;
        let side = self.width();
        ground.set_width(side as u32);
        ground.set_height(side as u32);
        Some((dom::context_2d(ground)?, side as f64))
    }
}

/// Pixels between pictures that are put together.
pub const BETWEEN: u32 = 16;

/// Pictures beside each other as one.
///
/// # Errors
/// If the browser has no canvas to give.
pub fn side_by_side(pictures: &[HtmlCanvasElement]) -> Result<HtmlCanvasElement, Problem> {
    let width = pictures.iter().map(|picture| picture.width() + BETWEEN).sum::<u32>().saturating_sub(BETWEEN);
    let height = pictures.iter().map(HtmlCanvasElement::height).max().unwrap_or(0);
    let (whole, context) = blank([width, height])?;
    let mut x = 0;
    for picture in pictures {
        let _ = context.draw_image_with_html_canvas_element(picture, x.into(), 0.0);
        x += picture.width() + BETWEEN;
    }
    Ok(whole)
}

/// A blank canvas that is on no page, and its context.
///
/// # Errors
/// If the browser has none to give.
pub fn blank([width, height]: [u32; 2]) -> Result<(HtmlCanvasElement, CanvasRenderingContext2d), Problem> {
    let canvas = dom::create::<HtmlCanvasElement>("canvas").and_then(|canvas| {
        canvas.set_width(width);
        canvas.set_height(height);
        let context = dom::context_2d(&canvas)?;
        Some((canvas, context))
    });
    canvas
        .ok_or_else(|| Problem::new("The picture cannot be drawn", "The browser gives this page no canvas."))
}

/// Numbers along the left and lower edge of a square of the plane.
pub fn draw_axes(context: &CanvasRenderingContext2d, side: f64, bounds: &Bounds, theme: &Theme) {
    let pixel = dom::pixel_ratio();
    context.set_fill_style_str(&theme.soft);
    context.set_stroke_style_str(&theme.soft);
    context.set_line_width(pixel);
    context.set_font(&format!("{}px system-ui, sans-serif", 11.0 * pixel));
    let numbers = |axis: usize| ticks(bounds.low[axis], bounds.low[axis] + bounds.side, 5);
    context.set_text_align("center");
    for value in numbers(0) {
        let x = f64::from(bounds.place(&[value, 0.0])[0]) * side;
        if x > 24.0 * pixel && x < side - 12.0 * pixel {
            context.fill_rect(x, side - 5.0 * pixel, pixel, 5.0 * pixel);
            let _ = context.fill_text(&crate::explain::readable(value), x, side - 8.0 * pixel);
        }
    }
    context.set_text_align("left");
    context.set_text_baseline("middle");
    for value in numbers(1) {
        let y = f64::from(bounds.place(&[0.0, value])[1]) * side;
        if y > 12.0 * pixel && y < side - 24.0 * pixel {
            context.fill_rect(0.0, y, 5.0 * pixel, pixel);
            let _ = context.fill_text(&crate::explain::readable(value), 8.0 * pixel, y);
        }
    }
    context.set_text_baseline("alphabetic");
}

/// Data as small dots.
pub fn draw_data(
    context: &CanvasRenderingContext2d,
    side: f64,
    bounds: &Bounds,
    data: &[f32],
    theme: &Theme,
) {
    let pixel = dom::pixel_ratio();
    context.set_fill_style_str(&theme.datum);
    context.set_global_alpha(0.5);
    for point in data.chunks_exact(2) {
        let [x, y] = bounds.place(point).map(|share| f64::from(share) * side);
        context.fill_rect(x - 0.75 * pixel, y - 0.75 * pixel, 1.5 * pixel, 1.5 * pixel);
    }
    context.set_global_alpha(1.0);
}
