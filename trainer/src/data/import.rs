//! Folders of images, cropped to the middle square and resized.

use super::{npy, pixel};
use anyhow::{Context, Result, bail, ensure};
use image::DynamicImage;
use image::imageops::FilterType;
use std::path::{Path, PathBuf};

/// Sides that networks of this kind are made for.
pub const SIDES: std::ops::RangeInclusive<usize> = 4..=512;

/// Read all PNG and JPEG files of `folder`, in the order of their names, as bytes
/// `[N, channels, side, side]`.
///
/// # Errors
/// If there are none, one cannot be read, or the sizes are impossible.
pub fn folder(folder: &Path, side: usize, channels: usize) -> Result<Vec<u8>> {
    check(side, channels)?;
    let paths = images(folder)?;
    let mut pixels = Vec::with_capacity(paths.len() * channels * side * side);
    for path in &paths {
        let image = image::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        pixels.extend(square(image, side, channels));
    }
    Ok(pixels)
}

/// Import `folder` into the `.npy` file `out`, `[N, C, S, S]` in [-1, 1]; the number of images.
///
/// # Errors
/// As [`folder`], or if `out` cannot be written.
pub fn to_file(images: &Path, side: usize, channels: usize, out: &Path) -> Result<usize> {
    let pixels = folder(images, side, channels)?;
    let count = pixels.len() / (channels * side * side);
    let values: Vec<f32> = pixels.into_iter().map(pixel).collect();
    npy::write(out, &[count, channels, side, side], &values)?;
    Ok(count)
}

fn check(side: usize, channels: usize) -> Result<()> {
    ensure!(
        SIDES.contains(&side),
        "images can be {} to {} pixels wide, not {side}",
        SIDES.start(),
        SIDES.end()
    );
    ensure!(channels == 1 || channels == 3, "images have 1 or 3 channels, not {channels}");
    Ok(())
}

/// The image files of a folder, sorted by name.
fn images(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read the folder {}", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        if matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg")) {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        bail!("{} holds no .png or .jpg images", folder.display());
    }
    Ok(paths)
}

/// The middle square at `side` × `side`, channel by channel.
fn square(image: DynamicImage, side: usize, channels: usize) -> Vec<u8> {
    let (width, height) = (image.width(), image.height());
    let short = width.min(height);
    let cropped = image.crop_imm((width - short) / 2, (height - short) / 2, short, short);
    let filter = if short as usize > side { FilterType::Triangle } else { FilterType::CatmullRom };
    let sized = cropped.resize_exact(side as u32, side as u32, filter);
    if channels == 1 {
        return sized.into_luma8().into_raw();
    }
    let rgb = sized.into_rgb8().into_raw();
    (0..3).flat_map(|c| rgb.iter().copied().skip(c).step_by(3).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use image::{Rgb, RgbImage};

    #[test]
    fn the_middle_square_is_taken_channel_by_channel() {
        let folder = tempfile::tempdir().unwrap();
        // Red in the middle third, green left and right of it.
        let image = RgbImage::from_fn(48, 16, |x, _| {
            Rgb(if (16..32).contains(&x) { [255, 0, 0] } else { [0, 255, 0] })
        });
        image.save(folder.path().join("a.png")).unwrap();
        image
            .save(folder.path().join("b.jpg"))
            .unwrap_or_else(|_| image.save(folder.path().join("b.png")).unwrap());
        std::fs::write(folder.path().join("notes.txt"), "no image").unwrap();
        let pixels = super::folder(folder.path(), 8, 3).unwrap();
        assert_eq!(pixels.len(), 2 * 3 * 64);
        assert_eq!(pixels[..64], [255; 64]);
        assert_eq!(pixels[64..192], [0; 128]);

        let out = folder.path().join("out.npy");
        assert_eq!(to_file(folder.path(), 8, 3, &out).unwrap(), 2);
        let array = npy::read(&out).unwrap();
        assert_eq!(array.shape, [2, 3, 8, 8]);
        assert_eq!((array.values[0], array.values[64]), (1.0, -1.0));
    }

    #[test]
    fn empty_folders_broken_images_and_impossible_sizes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = |side| format!("{:#}", super::folder(folder.path(), side, 3).unwrap_err());
        assert!(error(8).contains("no .png"));
        assert!(error(0).contains("not 0"));
        std::fs::write(folder.path().join("broken.png"), "no image").unwrap();
        assert!(error(8).contains("broken.png"));
    }
}
