//! The style sheet's colours, for what is drawn on canvases.

use crate::dom;
use crate::heat::colour;

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
    /// The colours in force.
    pub fn current() -> Theme {
        let heat = (0..5).filter_map(|i| colour(&dom::style(&format!("--heat-{i}")))).collect::<Vec<_>>();
        Theme {
            heat: if heat.is_empty() { vec![[0; 3], [255; 3]] } else { heat },
            particle: colour(&dom::style("--particle")).unwrap_or([200, 80, 20]),
            contour: dom::style("--contour"),
            datum: dom::style("--datum"),
            soft: dom::style("--soft"),
            rule: dom::style("--rule"),
            line: dom::style("--line"),
            chosen: dom::style("--particle"),
            mean: dom::style("--mean"),
            band: dom::style("--band"),
            held_out: dom::style("--held-out"),
        }
    }

    /// The particles' colour for the device, with an opacity.
    pub fn particle(&self, opacity: f32) -> [f32; 4] {
        let [r, g, b] = self.particle.map(|c| f32::from(c) / 255.0);
        [r, g, b, opacity]
    }
}
