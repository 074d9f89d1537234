//! The plot of energies over steps.

use crate::dom;
use crate::explain::readable;
use crate::heat::ticks;
use crate::history::{History, Row};
use crate::ui::Theme;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

/// With so few chains each one's energy is a line of its own; with more, these stand for all, and a
/// band shows where most of them are.
pub const FEW: usize = 16;

/// What is drawn beside the chains' energies.
pub struct Marks {
    /// The range of nine tenths of held-out data's energies.
    pub held_out: Option<[f32; 2]>,
    /// The chain to set off.
    pub chosen: Option<usize>,
    /// Number of chains.
    pub chains: usize,
    /// Number of starts that share them.
    pub groups: usize,
}

/// Space for the axes' numbers, in CSS pixels: left and below.
const MARGIN: [f64; 2] = [52.0, 22.0];

/// Position of steps and energies on the canvas.
struct Frame {
    width: f64,
    height: f64,
    last_step: f64,
    low: f64,
    high: f64,
}

impl Frame {
    fn x(&self, step: f64) -> f64 {
        MARGIN[0] + step / self.last_step * (self.width - MARGIN[0] - 8.0)
    }
    fn y(&self, energy: f32) -> f64 {
        let share = (f64::from(energy) - self.low) / (self.high - self.low);
        let share = if share.is_finite() { share.clamp(-0.5, 1.5) } else { 1.5 };
        6.0 + (1.0 - share) * (self.height - MARGIN[1] - 6.0)
    }
}

/// The energies that the plot spans: those of the chains, and held-out data where they are near.
fn span(rows: &[Row], marks: &Marks) -> [f64; 2] {
    let all = rows.iter().flat_map(|row| {
        let few: &[f32] = if marks.chains <= FEW { &row.chains } else { &[] };
        [row.low, row.high, row.mean].into_iter().chain(row.means.iter().copied()).chain(few.iter().copied())
    });
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for energy in all.filter(|e| e.is_finite()).map(f64::from) {
        (low, high) = (low.min(energy), high.max(energy));
    }
    if low > high {
        return [-1.0, 1.0];
    }
    let reach = (high - low).max(1e-6);
    if let Some([from, to]) = marks.held_out.map(|range| range.map(f64::from))
        && from > low - 1.5 * reach
        && to < high + 1.5 * reach
    {
        (low, high) = (low.min(from), high.max(to));
    }
    let margin = 0.06 * (high - low).max(1e-6);
    [low - margin, high + margin]
}

/// Draw the plot, as large as the page shows the canvas.
pub fn draw(canvas: &HtmlCanvasElement, history: &History, marks: &Marks, theme: &Theme) {
    let Some(context) = dom::context_2d(canvas) else { return };
    let (width, height) = (f64::from(canvas.client_width()), f64::from(canvas.client_height()));
    let ratio = dom::pixel_ratio();
    let size = [(width * ratio) as u32, (height * ratio) as u32];
    if width < 100.0 || height < 60.0 {
        return;
    }
    if [canvas.width(), canvas.height()] != size {
        canvas.set_width(size[0]);
        canvas.set_height(size[1]);
    }
    let _ = context.set_transform(ratio, 0.0, 0.0, ratio, 0.0, 0.0);
    context.clear_rect(0.0, 0.0, width, height);
    let rows = history.rows();
    let [low, high] = span(rows, marks);
    let last_step = rows.last().map_or(0, |row| row.step).max(30);
    let frame = Frame { width, height, last_step: f64::from(last_step), low, high };

    axes(&context, &frame, theme);
    context.save();
    context.begin_path();
    context.rect(MARGIN[0], 0.0, width - MARGIN[0], height - MARGIN[1]);
    context.clip();
    let few = marks.chains <= FEW;
    if !few && rows.len() > 1 {
        band(&context, &frame, rows, theme);
    }
    if let Some([from, to]) = marks.held_out {
        context.set_fill_style_str(&theme.held_out);
        context.set_global_alpha(0.6);
        let top = frame.y(to);
        context.fill_rect(MARGIN[0], top, width - MARGIN[0] - 8.0, (frame.y(from) - top).max(1.0));
        context.set_global_alpha(1.0);
    }
    context.set_line_join("round");
    context.set_line_width(1.0);
    context.set_stroke_style_str(&theme.line);
    context.set_global_alpha(if few { 0.75 } else { 0.35 });
    let known = rows.first().map_or(0, |row| row.chains.len());
    for chain in (0..known.min(FEW)).filter(|&chain| Some(chain) != marks.chosen) {
        line(&context, &frame, rows, |row| row.chains[chain]);
    }
    context.set_global_alpha(1.0);
    context.set_line_width(2.5);
    for (group, colour) in theme.means().into_iter().enumerate().take(marks.groups) {
        context.set_stroke_style_str(colour);
        line(&context, &frame, rows, |row| row.means.get(group).copied().unwrap_or(row.mean));
    }
    if let Some(chain) = marks.chosen.filter(|&chain| chain < known) {
        context.set_stroke_style_str(&theme.chosen);
        context.set_line_width(2.0);
        line(&context, &frame, rows, |row| row.chains[chain]);
    }
    context.restore();
}

/// The range of most of the chains.
fn band(context: &CanvasRenderingContext2d, frame: &Frame, rows: &[Row], theme: &Theme) {
    context.set_fill_style_str(&theme.band);
    context.begin_path();
    for row in rows {
        context.line_to(frame.x(row.step.into()), frame.y(row.high));
    }
    for row in rows.iter().rev() {
        context.line_to(frame.x(row.step.into()), frame.y(row.low));
    }
    context.fill();
}

fn line(context: &CanvasRenderingContext2d, frame: &Frame, rows: &[Row], energy: impl Fn(&Row) -> f32) {
    context.begin_path();
    for row in rows {
        context.line_to(frame.x(row.step.into()), frame.y(energy(row)));
    }
    if let [row] = rows {
        context.line_to(frame.x(row.step.into()) + 3.0, frame.y(energy(row)));
    }
    context.stroke();
}

fn axes(context: &CanvasRenderingContext2d, frame: &Frame, theme: &Theme) {
    context.set_font("12px system-ui, sans-serif");
    context.set_fill_style_str(&theme.soft);
    context.set_stroke_style_str(&theme.rule);
    context.set_line_width(1.0);
    context.set_text_align("right");
    context.set_text_baseline("middle");
    for tick in ticks(frame.low as f32, frame.high as f32, 4) {
        let y = frame.y(tick).round() + 0.5;
        context.begin_path();
        context.move_to(MARGIN[0], y);
        context.line_to(frame.width - 8.0, y);
        context.stroke();
        let _ = context.fill_text(&readable(tick), MARGIN[0] - 7.0, y);
    }
    context.set_text_align("center");
    context.set_text_baseline("alphabetic");
    let steps = ticks(0.0, frame.last_step as f32, if frame.width > 500.0 { 6 } else { 3 });
    for (i, &tick) in steps.iter().enumerate() {
        let number = format!("{tick:.0}");
        let last = i > 0 && i + 1 == steps.len();
        let label = if last { format!("step {number}") } else { number };
        let x = frame.x(tick.into());
        let at_edge = last && x > frame.width - 34.0;
        context.set_text_align(if at_edge { "right" } else { "center" });
        let _ = context.fill_text(&label, if at_edge { frame.width - 2.0 } else { x }, frame.height - 5.0);
    }
    context.set_text_align("left");
}
