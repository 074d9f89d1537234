//! PNG pictures of samples: grids of images, and scatter plots of points.

use crate::data::atomic;
use anyhow::{Context, Result};
use image::{ImageFormat, Rgb, RgbImage};
use std::io::Cursor;
use std::path::Path;

/// Space between images, and its colour.
const GAP: u32 = 2;
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
const INK: Rgb<u8> = Rgb([24, 60, 120]);
const AXIS: Rgb<u8> = Rgb([225, 225, 225]);

/// Side of a scatter plot in pixels, and of what it shows: [-4, 4]².
const PLOT: u32 = 360;
const REACH: f32 = 4.0;

/// Samples to be shown together.
pub struct Panel<'a> {
    /// Values, `[count, data]`.
    pub values: &'a [f32],
    /// Shape of one sample.
    pub shape: &'a [usize],
}

impl Panel<'_> {
    /// Whether such samples can be drawn: images, or points in the plane.
    pub fn can_draw(shape: &[usize]) -> bool {
        shape == [2] || matches!(shape, [1 | 3, _, _])
    }

    fn count(&self) -> usize {
        self.values.len() / self.shape.iter().product::<usize>()
    }
}

/// Panels side by side: each a square grid of its images, or a scatter plot of its points.
pub fn side_by_side(panels: &[Panel]) -> RgbImage {
    let drawn: Vec<RgbImage> = panels
        .iter()
        .map(|panel| match panel.shape {
            [_, _, _] => grid(panel, (panel.count() as f64).sqrt().ceil() as usize),
            _ => scatter(panel.values),
        })
        .collect();
    beside(&drawn, 4 * GAP)
}

/// One row of images for each panel, at most 16 columns; points are drawn side by side.
pub fn rows(panels: &[Panel]) -> RgbImage {
    if panels.iter().any(|panel| panel.shape.len() == 1) {
        return side_by_side(panels);
    }
    let strips: Vec<RgbImage> = panels
        .iter()
        .map(|panel| {
            let len: usize = panel.shape.iter().product();
            let shown = panel.count().min(16);
            grid(&Panel { values: &panel.values[..shown * len], shape: panel.shape }, shown)
        })
        .collect();
    above(&strips)
}

/// Write a picture as PNG; the file is there only when it is whole.
///
/// # Errors
/// If it cannot be written.
pub fn write(path: &Path, picture: &RgbImage) -> Result<()> {
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .with_context(|| format!("cannot write {}", path.display()))?;
    atomic::write_bytes(path, bytes.get_ref())
}

/// Images in a grid; small ones are enlarged by whole pixels.
fn grid(panel: &Panel, columns: usize) -> RgbImage {
    let &[channels, height, width] = panel.shape else { return RgbImage::new(1, 1) };
    let scale = (96 / width.max(1)).clamp(1, 3) as u32;
    let columns = columns.max(1);
    let rows = panel.count().div_ceil(columns).max(1);
    let side = |n: usize, size: usize| n as u32 * (size as u32 * scale + GAP) + GAP;
    let mut picture = RgbImage::from_pixel(side(columns, width), side(rows, height), PAPER);
    for (i, sample) in panel.values.chunks_exact(channels * height * width).enumerate() {
        let (left, top) = (side(i % columns, width), side(i / columns, height));
        for y in 0..height {
            for x in 0..width {
                let value = |c: usize| byte(sample[(c * height + y) * width + x]);
                let colour =
                    if channels == 3 { Rgb([value(0), value(1), value(2)]) } else { Rgb([value(0); 3]) };
                for (dy, dx) in (0..scale * scale).map(|k| (k / scale, k % scale)) {
                    picture.put_pixel(left + x as u32 * scale + dx, top + y as u32 * scale + dy, colour);
                }
            }
        }
    }
    picture
}

/// Points of the plane on [-4, 4]². Each darkens its pixel and its neighbours.
fn scatter(points: &[f32]) -> RgbImage {
    let mut picture = RgbImage::from_pixel(PLOT, PLOT, PAPER);
    for i in 0..PLOT {
        picture.put_pixel(i, PLOT / 2, AXIS);
        picture.put_pixel(PLOT / 2, i, AXIS);
    }
    let place = |v: f32| ((v + REACH) / (2.0 * REACH) * PLOT as f32) as i64;
    for point in points.as_chunks::<2>().0 {
        if !point.iter().all(|v| v.abs() < REACH) {
            continue;
        }
        let (x, y) = (place(point[0]), place(-point[1]));
        for (dx, dy, share) in [(0, 0, 0.6), (1, 0, 0.3), (-1, 0, 0.3), (0, 1, 0.3), (0, -1, 0.3)] {
            let (x, y) = (x + dx, y + dy);
            let inside = 0..i64::from(PLOT);
            if inside.contains(&x) && inside.contains(&y) {
                let pixel = picture.get_pixel_mut(x as u32, y as u32);
                for c in 0..3 {
                    let old = f32::from(pixel.0[c]);
                    pixel.0[c] = (old + share * (f32::from(INK.0[c]) - old)).round() as u8;
                }
            }
        }
    }
    picture
}

fn beside(pictures: &[RgbImage], gap: u32) -> RgbImage {
    let width = pictures.iter().map(|p| p.width() + gap).sum::<u32>().saturating_sub(gap).max(1);
    let height = pictures.iter().map(RgbImage::height).max().unwrap_or(1);
    let mut all = RgbImage::from_pixel(width, height, PAPER);
    let mut left = 0;
    for picture in pictures {
        image::imageops::replace(&mut all, picture, i64::from(left), 0);
        left += picture.width() + gap;
    }
    all
}

fn above(pictures: &[RgbImage]) -> RgbImage {
    let width = pictures.iter().map(RgbImage::width).max().unwrap_or(1);
    let height = pictures.iter().map(RgbImage::height).sum::<u32>().max(1);
    let mut all = RgbImage::from_pixel(width, height, PAPER);
    let mut top = 0;
    for picture in pictures {
        image::imageops::replace(&mut all, picture, 0, i64::from(top));
        top += picture.height();
    }
    all
}

/// A value of [-1, 1] as a byte.
fn byte(value: f32) -> u8 {
    ((value + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn images_keep_their_place_and_their_colours() {
        // Four images of 32×32: the third has a white pixel in its corner.
        let mut values = vec![-1.0; 4 * 32 * 32];
        values[2 * 1024] = 1.0;
        let picture = grid(&Panel { values: &values, shape: &[1, 32, 32] }, 2);
        assert_eq!(picture.dimensions(), (2 * 98 + 2, 2 * 98 + 2));
        assert_eq!(picture.get_pixel(2, 100), &Rgb([255; 3]));
        assert_eq!(picture.get_pixel(2 + 3, 100), &Rgb([0; 3]));
        assert_eq!(picture.get_pixel(100, 100), &Rgb([0; 3]));

        let colours = [[1.0f32; 16], [-1.0; 16], [0.0; 16]].concat();
        let picture = grid(&Panel { values: &colours, shape: &[3, 4, 4] }, 1);
        assert_eq!(picture.get_pixel(5, 5), &Rgb([255, 0, 128]));
    }

    #[test]
    fn points_are_drawn_the_right_way_up_and_strays_are_left_out() {
        let picture = scatter(&[2.0, 3.0, 100.0, f32::NAN]);
        let dark = |x: u32, y: u32| picture.get_pixel(x, y).0[0] < 200;
        assert!(dark(270, 45), "right and up");
        assert_eq!(picture.pixels().filter(|p| p.0[0] < 200).count(), 5);
    }

    #[test]
    fn pictures_are_written_as_png() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let values = vec![0.0; 3 * 64];
        let panel = || Panel { values: &values, shape: &[1, 8, 8] };
        write(&path, &rows(&[panel(), panel()])).unwrap();
        let back = image::open(&path).unwrap();
        assert_eq!(back.height(), 2 * (8 * 3 + 4));
    }
}
