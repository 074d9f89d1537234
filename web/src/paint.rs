//! What is drawn where, and the drawing of it without a graphics device: the twins of draw/*.wgsl.

use crate::heat::Bounds;

/// Largest side of a canvas, in pixels.
const MOST_PIXELS: usize = 2048;

/// The layout of a grid of images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageGrid {
    /// Pixels of one image, in the data: width and height.
    pub size: [usize; 2],
    /// Pixels on the canvas for one in the data.
    pub scale: [usize; 2],
    /// Canvas pixels between images.
    pub gap: usize,
    /// Images in a row.
    pub columns: usize,
    /// The first chain shown, and how many from it on.
    pub first: usize,
    /// As `first`.
    pub chains: usize,
    /// Channels of the data; only three are colours, else the first is shown in grey.
    pub channels: usize,
    /// The values shown as black and as white.
    pub range: [f32; 2],
}

impl ImageGrid {
    /// Lay out `chains` samples of `shape` on a canvas about `width` pixels wide. A vector is a
    /// strip, one number beside the other.
    pub fn new(shape: &[usize], chains: usize, width: usize) -> ImageGrid {
        let columns = match *shape {
            [_, h, w] => ((chains as f64 * h as f64 / w as f64).sqrt().ceil() as usize).clamp(1, chains),
            _ => 1,
        };
        ImageGrid::in_columns(shape, chains, width, columns)
    }

    /// As [`ImageGrid::new`], in so many columns.
    pub fn in_columns(shape: &[usize], chains: usize, width: usize, columns: usize) -> ImageGrid {
        let gap = (width / 160).clamp(1, 4);
        let (channels, size, range) = match *shape {
            [c, h, w] => (c, [w, h], [-1.0, 1.0]),
            _ => (1, [shape.iter().product(), 1], [-3.0, 3.0]),
        };
        let image = shape.len() == 3;
        let free = width.saturating_sub(gap * (columns - 1)) / columns;
        let x = ((free as f64 / size[0] as f64).round() as usize).max(1);
        // Strips are as high as makes the canvas square.
        let y = if image { x } else { (width.saturating_sub(gap * chains) / chains).max(1) };
        let mut grid = ImageGrid { size, scale: [x, y], gap, columns, first: 0, chains, channels, range };
        while grid.canvas().iter().any(|&n| n > MOST_PIXELS) && grid.scale != [1, 1] {
            grid.scale = grid.scale.map(|s| (s - 1).max(1));
        }
        grid
    }

    /// Rows of the grid.
    pub fn rows(&self) -> usize {
        self.chains.div_ceil(self.columns)
    }

    fn cell(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.size[axis] * self.scale[axis] + self.gap)
    }

    /// Width and height of the canvas in pixels.
    pub fn canvas(&self) -> [usize; 2] {
        let [x, y] = self.cell();
        [self.columns * x - self.gap, self.rows() * y - self.gap]
    }

    /// Left, top, width and height of a chain's image, as shares of the canvas.
    pub fn place(&self, chain: usize) -> [f64; 4] {
        let ([x, y], [width, height]) = (self.cell(), self.canvas());
        let (column, row) = (chain % self.columns, chain / self.columns);
        let share = |n: usize, of: usize| n as f64 / of as f64;
        [
            share(column * x, width),
            share(row * y, height),
            share(x - self.gap, width),
            share(y - self.gap, height),
        ]
    }

    /// The chain whose image lies at a place of the canvas, given in shares of it.
    pub fn chain_at(&self, x: f64, y: f64) -> Option<usize> {
        let ([cell_x, cell_y], [width, height]) = (self.cell(), self.canvas());
        if !((0.0..1.0).contains(&x) && (0.0..1.0).contains(&y)) {
            return None;
        }
        let column = (x * width as f64) as usize / cell_x;
        let row = (y * height as f64) as usize / cell_y;
        Some(row * self.columns + column).filter(|&chain| chain < self.chains)
    }

    /// The parameters of images.wgsl, in its order.
    pub fn uniforms(&self) -> Vec<u8> {
        let [width, height] = self.size;
        let [scale_x, scale_y] = self.scale;
        let words = [width, height, scale_x, scale_y, self.gap, self.columns, self.chains, self.channels];
        let words = words.iter().flat_map(|&word| (word as u32).to_le_bytes());
        let range = self.range.iter().flat_map(|v| v.to_le_bytes());
        words.chain(range).chain((self.first as u32).to_le_bytes()).collect()
    }

    /// The canvas' pixels, RGBA: what images.wgsl draws.
    pub fn paint(&self, states: &[f32]) -> Vec<u8> {
        let ([width, height], [cell_x, cell_y]) = (self.canvas(), self.cell());
        let ([columns_of_image, rows_of_image], [scale_x, scale_y]) = (self.size, self.scale);
        let [low, high] = self.range;
        let plane = columns_of_image * rows_of_image;
        let shade = |i: usize| (((states[i] - low) / (high - low)).clamp(0.0, 1.0) * 255.0).round() as u8;
        let mut pixels = vec![[0; 4]; width * height];
        let mut line = vec![[0; 4]; width];
        for row in 0..self.rows() {
            for y in 0..rows_of_image {
                // A row of pixels of the images beside each other, as often as it is high.
                line.fill([0; 4]);
                for column in 0..self.columns.min(self.chains - row * self.columns) {
                    let chain = self.first + row * self.columns + column;
                    let first = chain * plane * self.channels + y * columns_of_image;
                    let places = line[column * cell_x..].chunks_exact_mut(scale_x);
                    for (i, places) in (first..first + columns_of_image).zip(places) {
                        let [r, g, b] = match self.channels {
                            3 => [0, 1, 2].map(|channel| shade(i + channel * plane)),
                            _ => [shade(i); 3],
                        };
                        places.fill([r, g, b, 255]);
                    }
                }
                let top = (row * cell_y + y * scale_y) * width;
                for line_of_canvas in pixels[top..top + scale_y * width].chunks_exact_mut(width) {
                    line_of_canvas.copy_from_slice(&line);
                }
            }
        }
        pixels.into_flattened()
    }
}

/// Points of the plane as discs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scatter {
    /// The square shown.
    pub bounds: Bounds,
    /// Side of the canvas in pixels.
    pub canvas: usize,
    /// Radius of a disc in canvas pixels.
    pub radius: f32,
    /// Red, green, blue and opacity, 0 to 1.
    pub colour: [f32; 4],
    /// The chain whose disc is larger.
    pub chosen: Option<usize>,
    /// The first chain shown, and how many from it on.
    pub first: usize,
    /// As `first`.
    pub chains: usize,
}

impl Scatter {
    /// The parameters of particles.wgsl, in its order.
    pub fn uniforms(&self) -> Vec<u8> {
        let ([x, y], [r, g, b, a]) = (self.bounds.low, self.colour);
        let numbers = [x, y, self.bounds.side, self.radius, r, g, b, a, self.canvas as f32];
        let chosen = self.chosen.map_or(u32::MAX, |chain| chain as u32);
        let numbers = numbers.iter().flat_map(|v| v.to_le_bytes());
        numbers.chain(chosen.to_le_bytes()).chain((self.first as u32).to_le_bytes()).collect()
    }

    /// The canvas' pixels, RGBA, not premultiplied: what particles.wgsl draws of the points `states`, `[n, 2]`.
    pub fn paint(&self, states: &[f32]) -> Vec<u8> {
        let mut pixels = self.paint_premultiplied(states);
        // Most of them are empty.
        for pixel in pixels.iter_mut().filter(|pixel| pixel[3] != 0) {
            *pixel = without_alpha(*pixel);
        }
        pixels.into_flattened()
    }

    /// The canvas' pixels, premultiplied, and rounded after each disc, as a canvas of eight bits is.
    pub fn paint_premultiplied(&self, states: &[f32]) -> Vec<[u8; 4]> {
        let side = self.canvas;
        let mut pixels = vec![[0u8; 4]; side * side];
        for (chain, point) in states.chunks_exact(2).enumerate().skip(self.first).take(self.chains) {
            let [x, y] = self.bounds.place(point).map(|share| share * side as f32);
            let radius = self.radius * if self.chosen == Some(chain) { 2.5 } else { 1.0 };
            let reach = radius + 1.0;
            if !(x.is_finite() && y.is_finite()) {
                continue;
            }
            let span = |centre: f32| {
                let from = (centre - reach - 0.5).ceil().max(0.0) as usize;
                from..((centre + reach - 0.5).floor().max(-1.0) + 1.0).min(side as f32) as usize
            };
            for row in span(y) {
                for column in span(x) {
                    let distance = (column as f32 + 0.5 - x).hypot(row as f32 + 0.5 - y);
                    let alpha = self.colour[3] * (radius + 0.5 - distance).clamp(0.0, 1.0);
                    blend_over(&mut pixels[row * side + column], self.colour, alpha);
                }
            }
        }
        pixels
    }

    /// A radius, in CSS pixels, at which this many points are still told apart.
    pub fn radius_for(chains: usize) -> f32 {
        match chains {
            0..=300 => 2.8,
            301..=1500 => 2.1,
            _ => 1.5,
        }
    }
}

/// A colour over a premultiplied pixel.
fn blend_over(pixel: &mut [u8; 4], colour: [f32; 4], alpha: f32) {
    let [r, g, b, _] = colour;
    for (under, over) in pixel.iter_mut().zip([r * alpha, g * alpha, b * alpha, alpha]) {
        let sum = over + f32::from(*under) / 255.0 * (1.0 - alpha);
        *under = (sum.clamp(0.0, 1.0) * 255.0).round() as u8;
    }
}

/// A premultiplied pixel, which is not empty, as canvases take it.
fn without_alpha([r, g, b, a]: [u8; 4]) -> [u8; 4] {
    let plain = |c: u8| ((u32::from(c) * 255 + u32::from(a) / 2) / u32::from(a)).min(255) as u8;
    [plain(r), plain(g), plain(b), a]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_grid_holds_every_chain_once() {
        for (shape, chains) in
            [(vec![1, 32, 32], 16), (vec![3, 8, 16], 7), (vec![5], 12), (vec![1, 32, 32], 256)]
        {
            let grid = ImageGrid::new(&shape, chains, 640);
            assert!(grid.canvas().iter().all(|&n| n > 0 && n <= MOST_PIXELS), "{grid:?}");
            for chain in 0..chains {
                let [x, y, w, h] = grid.place(chain);
                assert!(x + w <= 1.0 + 1e-9 && y + h <= 1.0 + 1e-9);
                assert_eq!(grid.chain_at(x + w / 2.0, y + h / 2.0), Some(chain));
            }
            assert_eq!(grid.chain_at(1.5, 0.5), None);
        }
    }

    #[test]
    fn pixels_are_the_numbers_of_their_chain() {
        // Two images of one row: black and white, then white and black.
        let grid = ImageGrid {
            size: [2, 1],
            scale: [2, 1],
            gap: 1,
            columns: 2,
            first: 0,
            chains: 2,
            channels: 1,
            range: [-1.0, 1.0],
        };
        let rgba = grid.paint(&[-1.0, 1.0, 1.0, -1.0]);
        let grey: Vec<_> = rgba.chunks(4).map(|p| if p[3] == 0 { -1 } else { i32::from(p[0]) }).collect();
        assert_eq!(grey, [0, 0, 255, 255, -1, 255, 255, 0, 0]);
    }

    #[test]
    fn three_channels_are_colours() {
        let grid = ImageGrid {
            size: [1, 1],
            scale: [1, 1],
            gap: 0,
            columns: 1,
            first: 0,
            chains: 1,
            channels: 3,
            range: [0.0, 1.0],
        };
        assert_eq!(grid.paint(&[1.0, 0.0, 2.0]), [255, 0, 255, 255]);
    }
}
