//! The energy over the plane: where to look, which colours, which level lines.

/// A rectangle of the plane, as wide as it is high.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Left and lower edge.
    pub low: [f32; 2],
    /// Length of each side.
    pub side: f32,
}

impl Bounds {
    /// A square around `points` (`[n, 2]`) with a margin; [-4, 4]² if there are none.
    pub fn around(points: &[f32]) -> Bounds {
        let mut low = [f32::INFINITY; 2];
        let mut high = [f32::NEG_INFINITY; 2];
        for point in points.chunks_exact(2).filter(|p| p.iter().all(|v| v.is_finite())) {
            for axis in 0..2 {
                low[axis] = low[axis].min(point[axis]);
                high[axis] = high[axis].max(point[axis]);
            }
        }
        let side = (high[0] - low[0]).max(high[1] - low[1]);
        if !(side.is_finite() && side > 0.0) {
            return Bounds { low: [-4.0; 2], side: 8.0 };
        }
        let side = side * 1.25;
        let corner = |axis: usize| 0.5 * (low[axis] + high[axis] - side);
        Bounds { low: [corner(0), corner(1)], side }
    }

    /// The centres of `n` × `n` cells, rows from the top, as `[n·n, 2]`.
    pub fn grid(&self, n: usize) -> Vec<f32> {
        let at = |i: usize| (i as f32 + 0.5) / n as f32 * self.side;
        let mut points = Vec::with_capacity(2 * n * n);
        for row in 0..n {
            for column in 0..n {
                points.extend([self.low[0] + at(column), self.low[1] + self.side - at(row)]);
            }
        }
        points
    }

    /// Where a point lies in the square: (0, 0) top left, (1, 1) bottom right.
    pub fn place(&self, point: &[f32]) -> [f32; 2] {
        [(point[0] - self.low[0]) / self.side, 1.0 - (point[1] - self.low[1]) / self.side]
    }
}

/// Steps from the first colour of a map to the last.
const SHADES: usize = 1023;

/// Energies on a grid, as the colours show them.
#[derive(Clone, Debug, PartialEq)]
pub struct Heat {
    /// Cells in a row, and rows.
    n: usize,
    /// The energies' places in the colour range, 0 at the lowest, rows from the top.
    levels: Vec<f32>,
    /// The lowest energy.
    pub low: f32,
    /// The energy from which on all is the same colour.
    pub high: f32,
}

impl Heat {
    /// The map of `n` × `n` energies. Colours end at their median: beyond it, far from the data, the
    /// energy only says that nothing is there.
    pub fn new(n: usize, energies: &[f32]) -> Heat {
        let mut finite: Vec<f32> = energies.iter().copied().filter(|e| e.is_finite()).collect();
        finite.sort_by(f32::total_cmp);
        let low = finite.first().copied().unwrap_or(0.0);
        let median = finite.get(finite.len() / 2).copied().unwrap_or(1.0);
        let high = if median > low { median } else { low + 1.0 };
        Heat::between(n, energies, low, high)
    }

    /// The map of `n` × `n` energies, whose colours go from the lowest to `range` above it.
    pub fn above_lowest(n: usize, energies: &[f32], range: f32) -> Heat {
        let low = energies.iter().copied().fold(f32::INFINITY, f32::min);
        Heat::between(n, energies, low, low + range)
    }

    fn between(n: usize, energies: &[f32], low: f32, high: f32) -> Heat {
        let level = |energy: &f32| match energy.is_nan() {
            true => 1.0,
            false => ((energy - low) / (high - low)).clamp(0.0, 1.0),
        };
        Heat { n, levels: energies.iter().map(level).collect(), low, high }
    }

    /// Cells in a row.
    pub fn cells(&self) -> usize {
        self.n
    }

    /// A picture of `side` × `side` pixels, RGBA, of colours between evenly spaced `stops`, the first for the lowest
    /// energy. Between the centres of cells the level is interpolated linearly.
    pub fn paint(&self, side: usize, stops: &[[u8; 3]]) -> Vec<u8> {
        // For each pixel of an axis: the cells on either side of its centre, and the share of the second.
        let places: Vec<(usize, usize, f32)> = (0..side)
            .map(|pixel| {
                let at = (pixel as f32 + 0.5) / side as f32 * self.n as f32 - 0.5;
                let at = at.clamp(0.0, (self.n - 1) as f32);
                let cell = (at as usize).min(self.n.saturating_sub(2));
                (cell, (cell + 1).min(self.n - 1), at - cell as f32)
            })
            .collect();
        let colours: Vec<[u8; 4]> = (0..=SHADES)
            .map(|shade| {
                let [r, g, b] = blend(stops, shade as f32 / SHADES as f32);
                [r, g, b, 255]
            })
            .collect();
        let mut pixels = vec![[0; 4]; side * side];
        let mut line = vec![0.0; self.n];
        for (pixels, &(above, below, down)) in pixels.chunks_exact_mut(side).zip(&places) {
            let row = |row: usize| &self.levels[row * self.n..(row + 1) * self.n];
            for ((level, upper), lower) in line.iter_mut().zip(row(above)).zip(row(below)) {
                *level = upper + down * (lower - upper);
            }
            for (pixel, &(left, right, along)) in pixels.iter_mut().zip(&places) {
                let level = line[left] + along * (line[right] - line[left]);
                *pixel = colours[(level * SHADES as f32 + 0.5) as usize];
            }
        }
        pixels.into_flattened()
    }

    /// Line segments `[x0, y0, x1, y1]`, in the square as [`Bounds::place`], along which the level
    /// is `level` (marching squares; a saddle is cut one way).
    pub fn contour(&self, level: f32) -> Vec<[f32; 4]> {
        let n = self.n;
        let mut segments = Vec::new();
        for row in 0..n.saturating_sub(1) {
            let (above, below) = self.levels[row * n..(row + 2) * n].split_at(n);
            for (column, (above, below)) in above.windows(2).zip(below.windows(2)).enumerate() {
                let values = [above[0], above[1], below[1], below[0]].map(|value| value - level);
                // No line goes through most cells.
                if values.iter().all(|value| (*value < 0.0) == (values[0] < 0.0)) {
                    continue;
                }
                let corners = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
                let mut crossings = Vec::new();
                for i in 0..4 {
                    let j = (i + 1) % 4;
                    let (a, p, b, q) = (values[i], corners[i], values[j], corners[j]);
                    if (a < 0.0) != (b < 0.0) {
                        let t = a / (a - b);
                        let along = |axis: usize, cell: usize| {
                            (cell as f32 + 0.5 + p[axis] + t * (q[axis] - p[axis])) / n as f32
                        };
                        crossings.push([along(0, column), along(1, row)]);
                    }
                }
                for pair in crossings.chunks_exact(2) {
                    segments.push([pair[0][0], pair[0][1], pair[1][0], pair[1][1]]);
                }
            }
        }
        segments
    }
}

fn blend(stops: &[[u8; 3]], t: f32) -> [u8; 3] {
    let last = stops.len() - 1;
    let position = t * last as f32;
    let i = (position as usize).min(last.saturating_sub(1));
    let (a, b, t) = (stops[i], stops[(i + 1).min(last)], position - i as f32);
    [0, 1, 2].map(|c| (f32::from(a[c]) + t * (f32::from(b[c]) - f32::from(a[c]))).round() as u8)
}

/// A colour written `#rrggbb`.
pub fn colour(text: &str) -> Option<[u8; 3]> {
    let digits = text.trim().strip_prefix('#').filter(|d| d.len() == 6)?;
    let value = u32::from_str_radix(digits, 16).ok()?;
    Some([(value >> 16) as u8, (value >> 8) as u8, value as u8])
}

/// Round numbers that divide `low..=high` into about `count` parts.
pub fn ticks(low: f32, high: f32, count: usize) -> Vec<f32> {
    let rough = (high - low) / count.max(1) as f32;
    if !(rough.is_finite() && rough > 0.0) {
        return Vec::new();
    }
    let power = 10f32.powi(rough.log10().floor() as i32);
    let unit = [1.0, 2.0, 5.0, 10.0].into_iter().find(|m| m * power >= rough).unwrap_or(10.0) * power;
    let first = (low / unit).ceil() as i64;
    let last = (high / unit).floor() as i64;
    (first..=last).take(100).map(|i| i as f32 * unit).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_grid_covers_the_square_from_the_top_left() {
        let bounds = Bounds { low: [-1.0, -1.0], side: 2.0 };
        let grid = bounds.grid(2);
        assert_eq!(grid, [-0.5, 0.5, 0.5, 0.5, -0.5, -0.5, 0.5, -0.5]);
        assert_eq!(bounds.place(&grid[..2]), [0.25, 0.25]);
    }

    #[test]
    fn bounds_hold_every_finite_point() {
        let points = [-1.0, 0.0, 3.0, 0.5, f32::NAN, 7.0];
        let bounds = Bounds::around(&points);
        for p in points.chunks(2).take(2) {
            assert!(bounds.place(p).iter().all(|v| (0.0..=1.0).contains(v)), "{p:?} in {bounds:?}");
        }
        assert_eq!(Bounds::around(&[]), Bounds { low: [-4.0; 2], side: 8.0 });
    }

    #[test]
    fn a_contour_of_a_bowl_is_a_circle() {
        let n = 64;
        let bounds = Bounds { low: [-1.0, -1.0], side: 2.0 };
        let energies: Vec<f32> = bounds.grid(n).chunks(2).map(|p| p[0] * p[0] + p[1] * p[1]).collect();
        let heat = Heat::between(n, &energies, 0.0, 1.0);
        let segments = heat.contour(0.25);
        assert!(segments.len() > 40);
        for [x0, y0, x1, y1] in segments {
            for (x, y) in [(x0, y0), (x1, y1)] {
                let radius = (2.0 * x - 1.0).hypot(2.0 * y - 1.0);
                assert!((radius - 0.5).abs() < 0.01, "{radius}");
            }
        }
    }

    #[test]
    fn colours_run_from_the_lowest_energy_to_the_median() {
        let heat = Heat::new(2, &[0.0, 1.0, 2.0, f32::INFINITY]);
        assert_eq!((heat.low, heat.high), (0.0, 1.0));
        let rgba = heat.paint(2, &[[0, 0, 0], [200, 100, 50]]);
        assert_eq!(&rgba[..8], &[0, 0, 0, 255, 200, 100, 50, 255]);
        assert_eq!(&rgba[12..], &[200, 100, 50, 255]);
        let rgba = heat.paint(4, &[[0, 0, 0], [200, 100, 50]]);
        assert_eq!(
            &rgba[..8],
            &[0, 0, 0, 255, 50, 25, 13, 255],
            "a quarter of the way from one cell to the next"
        );
        assert_eq!(colour(" #0a10ff"), Some([10, 16, 255]));
        assert_eq!(colour("red"), None);
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(-0.3, 10.2, 5), [0.0, 5.0, 10.0]);
        assert_eq!(ticks(1.0, 1.0, 5), Vec::<f32>::new());
    }
}
