//! Pictures of any size as samples of a model: cropped to the middle square, in front of a background, resized. The
//! command line reads folders by this, and the page what is dropped on it.

use image::imageops::FilterType;
use image::{DynamicImage, Rgb, RgbImage, RgbaImage};

/// What lies behind transparent pixels unless something else is wanted.
pub const WHITE: Rgb<u8> = Rgb([255; 3]);

/// The middle square of a picture at `side` × `side`, channel by channel: 3 of colour, or 1 of grey, whose weights are
/// those of Rec. 709. Smaller pictures are enlarged.
pub fn square(image: DynamicImage, channels: usize, side: usize, background: Rgb<u8>) -> Vec<u8> {
    let (width, height) = (image.width(), image.height());
    let (short, side) = (width.min(height), side as u32);
    let mut cropped = image.crop_imm((width - short) / 2, (height - short) / 2, short, short);
    drop(image);
    if cropped.color().has_alpha() {
        // Before it is resized: what is hidden has no part in its neighbours.
        cropped = composited(&cropped, background).into();
    }
    let filter = if short > side { FilterType::Triangle } else { FilterType::CatmullRom };
    let sized = cropped.resize_exact(side, side, filter);
    if channels == 1 {
        return sized.into_luma8().into_raw();
    }
    let rgb = sized.into_rgb8().into_raw();
    (0..3).flat_map(|c| rgb.iter().copied().skip(c).step_by(3).collect::<Vec<_>>()).collect()
}

/// A sample `[channels, side, side]` in [-1, 1] of a picture's pixels, RGBA, not premultiplied; none where they are not
/// as many as its size says, or it is empty.
pub fn sample_of_rgba(
    rgba: Vec<u8>,
    [width, height]: [u32; 2],
    channels: usize,
    side: usize,
) -> Option<Vec<f32>> {
    let image =
        RgbaImage::from_raw(width, height, rgba).filter(|image| image.width().min(image.height()) > 0)?;
    let image = match image.pixels().all(|pixel| pixel.0[3] == 255) {
        // As a file without transparency is read.
        true => DynamicImage::from(DynamicImage::from(image).into_rgb8()),
        false => image.into(),
    };
    Some(square(image, channels, side, WHITE).into_iter().map(|v| f32::from(v) / 127.5 - 1.0).collect())
}

/// An image with transparency, in front of a background.
fn composited(image: &DynamicImage, background: Rgb<u8>) -> RgbImage {
    let image = image.to_rgba8();
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [r, g, b, alpha] = image.get_pixel(x, y).0.map(u32::from);
        let over =
            |front: u32, back: u8| ((alpha * front + (255 - alpha) * u32::from(back) + 127) / 255) as u8;
        let [behind_r, behind_g, behind_b] = background.0;
        Rgb([over(r, behind_r), over(g, behind_g), over(b, behind_b)])
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_middle_square_is_taken_in_front_of_white() {
        // Black in the middle third, transparent beside it.
        let pixels =
            (0..9 * 3).flat_map(|i| if (3..6).contains(&(i % 9)) { [0, 0, 0, 255] } else { [9, 9, 9, 0] });
        let rgba: Vec<u8> = pixels.collect();
        let black = sample_of_rgba(rgba.clone(), [9, 3], 1, 3).unwrap();
        assert_eq!(black, [-1.0; 9]);
        let turned = sample_of_rgba(rgba, [3, 9], 3, 3).unwrap();
        assert_eq!(turned.len(), 27);
        // The rows in the middle, of the columns 0 to 2 of every third row: white, black, white.
        assert!(turned[..3].iter().all(|v| *v == 1.0 || *v == -1.0), "{turned:?}");
        assert_eq!(sample_of_rgba(vec![0; 8], [3, 1], 1, 2), None);
        assert_eq!(sample_of_rgba(Vec::new(), [0, 0], 1, 2), None);
    }

    #[test]
    fn grey_has_the_weights_of_rec_709() {
        let red = sample_of_rgba([255, 0, 0, 255].repeat(4), [2, 2], 1, 1).unwrap();
        assert!((red[0] - (2.0 * 0.2126 - 1.0)).abs() < 0.01, "{red:?}");
    }
}
