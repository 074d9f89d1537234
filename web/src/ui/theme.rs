//! The style sheet's colours, for what is drawn on canvases.

use crate::dom;
use crate::heat::colour;
use web_sys::HtmlElement;

/// Colours of the current theme, light or dark.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    /// Energies, from the lowest.
    pub heat: Vec<[u8; 3]>,
    /// Chains in the plane.
    pub particle: [u8; 3],
    /// Level lines.
    pub contour: String,
    /// Data points.
    pub datum: String,
    /// What is covered.
    pub accent: String,
    /// Words.
    pub soft: String,
    /// Grid lines.
    pub rule: String,
    /// Energy of one chain.
    pub line: String,
    /// Energy of the chosen chain.
    pub chosen: String,
    /// Mean energy.
    pub mean: String,
    /// Most of the chains.
    pub band: String,
    /// Energies of held-out data.
    pub held_out: String,
}

impl Theme {
    /// The colours in force at an element: those of its style sheet, or of the page around it.
    pub fn of(element: &HtmlElement) -> Theme {
        let style = dom::window().get_computed_style(element).ok().flatten();
        let value = |name: &str| {
            let value = style.as_ref().and_then(|style| style.get_property_value(&format!("--{name}")).ok());
            value.unwrap_or_default().trim().to_string()
        };
        let heat: Vec<_> = (0..5).filter_map(|i| colour(&value(&format!("heat-{i}")))).collect();
        Theme {
            heat: if heat.is_empty() { vec![[0; 3], [255; 3]] } else { heat },
            particle: colour(&value("particle")).unwrap_or([200, 80, 20]),
            contour: value("contour"),
            datum: value("datum"),
            accent: value("accent"),
            soft: value("soft"),
            rule: value("rule"),
            line: value("line"),
            chosen: value("particle"),
            mean: value("mean"),
            band: value("band"),
            held_out: value("held-out"),
        }
    }

    /// The colours of means, for each start another.
    pub fn means(&self) -> [&str; 3] {
        [&self.mean, &self.chosen, &self.datum]
    }

    /// The particles' colour for the device, with an opacity.
    pub fn particle(&self, opacity: f32) -> [f32; 4] {
        let [r, g, b] = self.particle.map(|c| f32::from(c) / 255.0);
        [r, g, b, opacity]
    }
}
