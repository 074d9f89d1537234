//! Folders of images, cropped to the middle square and resized.

use super::{npy, pixel};
use anyhow::{Context, Result, bail, ensure};
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageReader};
use md5::{Digest, Md5};
use std::path::{Path, PathBuf};

/// Sides that networks of this kind are made for.
pub const SIDES: std::ops::RangeInclusive<usize> = 4..=512;

/// The order of a folder's images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// That of their names.
    Names,
    /// A fixed shuffle, that of the MD5 sums of their names: names often go by class, and the held-out last tenth
    /// would be of the last class alone.
    Mixed,
}

/// Read the PNG, JPEG and WebP files of `folder`: turned as their cameras say, cropped to the middle square,
/// resized. `take` gets each one's pixels, `[channels, side, side]`, or why it cannot be used: it cannot be
/// read, or is smaller than `side`.
///
/// # Errors
/// If there are none, or the sizes are impossible, and those of `take`.
fn each_image(
    folder: &Path,
    order: Order,
    side: usize,
    channels: usize,
    mut take: impl FnMut(PathBuf, Result<Vec<u8>>) -> Result<()>,
) -> Result<()> {
    check(side, channels)?;
    images(folder, order)?.into_iter().try_for_each(|path| {
        let pixels = upright(&path, side).map(|image| square(image, side, channels));
        take(path, pixels)
    })
}

/// The pixels of all images of a folder, `[N, channels, side, side]`.
///
/// # Errors
/// If there are none, a file cannot be used, or the sizes are impossible.
pub fn folder(folder: &Path, order: Order, side: usize, channels: usize) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    each_image(folder, order, side, channels, |path, pixels| {
        all.extend(pixels.with_context(|| cannot_use(&path))?);
        Ok(())
    })?;
    Ok(all)
}

fn cannot_use(path: &Path) -> String {
    format!("cannot use {}; `data import` skips such files", path.display())
}

/// Write the images of a folder, mixed, to the `.npy` file `out`, `[N, channels, side, side]` in [-1, 1]; only
/// one of them is in memory at a time. Files that cannot be used go to `skip`, or with `strict` are
/// errors. Returns the number of images.
///
/// # Errors
/// If there are none, none can be used, the sizes are impossible, or `out` cannot be written.
pub fn to_file(
    from: &Path,
    [channels, side]: [usize; 2],
    strict: bool,
    out: &Path,
    mut skip: impl FnMut(&Path, &anyhow::Error),
) -> Result<usize> {
    let mut first_skipped = None;
    npy::write_rows(out, &[channels, side, side], |row| {
        let mut used = false;
        each_image(from, Order::Mixed, side, channels, |path, pixels| {
            match pixels {
                Ok(pixels) => {
                    used = true;
                    row(&pixels.into_iter().map(pixel).collect::<Vec<_>>())?;
                }
                Err(error) if strict => bail!("cannot use {}: {error:#}", path.display()),
                Err(error) => {
                    skip(&path, &error);
                    first_skipped.get_or_insert((path, error));
                }
            }
            Ok(())
        })?;
        match first_skipped {
            Some((path, error)) if !used => {
                bail!("{} holds no image that can be used; {}: {error:#}", from.display(), path.display())
            }
            _ => Ok(()),
        }
    })
}

/// An image file, turned as its camera says, of at least `side` pixels each way.
fn upright(path: &Path, side: usize) -> Result<DynamicImage> {
    let mut decoder = ImageReader::open(path)?.with_guessed_format()?.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    let (width, height) = (image.width(), image.height());
    ensure!(
        width.min(height) as usize >= side,
        "it is {width} by {height} pixels, smaller than {side} by {side}"
    );
    Ok(image)
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

/// The image files of a folder.
fn images(folder: &Path, order: Order) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read the folder {}", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        if matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg" | "webp")) {
            paths.push(path);
        }
    }
    match order {
        Order::Names => paths.sort(),
        Order::Mixed => paths.sort_by_cached_key(|path| mixing_key(path)),
    }
    if paths.is_empty() {
        bail!("{} holds no .png, .jpg or .webp images", folder.display());
    }
    Ok(paths)
}

/// Sorts files into an order that has nothing to do with their names, and is the same wherever they lie and
/// whatever lies beside them.
pub(super) fn mixing_key(path: &Path) -> [u8; 16] {
    Md5::digest(path.file_name().unwrap_or_default().as_encoded_bytes()).into()
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
        let pixels = super::folder(folder.path(), Order::Names, 8, 3).unwrap();
        assert_eq!(pixels.len(), 2 * 3 * 64);
        assert_eq!(pixels[..64], [255; 64]);
        assert_eq!(pixels[64..192], [0; 128]);

        let out = folder.path().join("out.npy");
        let skip = |path: &Path, _: &anyhow::Error| panic!("{path:?}");
        assert_eq!(to_file(folder.path(), [3, 8], true, &out, skip).unwrap(), 2);
        let array = npy::read(&out).unwrap();
        assert_eq!(array.shape, [2, 3, 8, 8]);
        assert_eq!(array.values, pixels.into_iter().map(pixel).collect::<Vec<_>>());
    }

    /// By name, as `reconstruct` shows them; mixed, in the file as in memory.
    #[test]
    fn a_folder_has_two_orders() {
        let folder = tempfile::tempdir().unwrap();
        for (name, grey) in [("a.png", 10), ("b.png", 20), ("c.png", 30)] {
            RgbImage::from_pixel(4, 4, Rgb([grey; 3])).save(folder.path().join(name)).unwrap();
        }
        let firsts = |order| {
            let pixels = super::folder(folder.path(), order, 4, 1).unwrap();
            pixels.chunks(16).map(|image| image[0]).collect::<Vec<_>>()
        };
        assert_eq!(firsts(Order::Names), [10, 20, 30]);
        // The sums begin with 32, 0a and 82.
        assert_eq!(firsts(Order::Mixed), [20, 10, 30]);
        let out = folder.path().join("out.npy");
        to_file(folder.path(), [1, 4], true, &out, |path, _| panic!("{path:?}")).unwrap();
        let values = npy::read(&out).unwrap().values;
        assert_eq!(values.chunks(16).map(|image| image[0]).collect::<Vec<_>>(), [20, 10, 30].map(pixel));
    }

    #[test]
    fn empty_folders_broken_images_and_impossible_sizes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = |side| format!("{:#}", super::folder(folder.path(), Order::Names, side, 3).unwrap_err());
        assert!(error(8).contains("no .png"));
        assert!(error(0).contains("not 0"));
        std::fs::write(folder.path().join("broken.png"), "no image").unwrap();
        assert!(error(8).contains("broken.png"));
    }

    #[test]
    fn what_cannot_be_used_is_skipped_and_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.png"), "no image").unwrap();
        RgbImage::new(7, 30).save(folder.path().join("b.png")).unwrap();
        RgbImage::from_pixel(9, 9, Rgb([255, 0, 0])).save(folder.path().join("c.webp")).unwrap();
        let out = tempfile::tempdir().unwrap();
        let file = out.path().join("out.npy");
        let mut skipped = Vec::new();
        let mut import = |strict| {
            to_file(folder.path(), [3, 8], strict, &file, |path, error| {
                skipped.push((path.file_name().unwrap().to_owned(), format!("{error:#}")));
            })
        };
        let error = format!("{:#}", import(true).unwrap_err());
        assert!(error.contains("b.png"), "{error}");
        assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0, "nothing is left of a failed import");
        assert_eq!(import(false).unwrap(), 1);
        let array = npy::read(&file).unwrap();
        assert_eq!((array.shape, array.values[0], array.values[64]), (vec![1, 3, 8, 8], 1.0, -1.0));
        let names: Vec<_> = skipped.iter().map(|(name, _)| name).collect();
        // The sums of the names begin with 0a and 32.
        assert_eq!(names, ["b.png", "a.png"]);
        assert!(skipped[0].1.contains("7 by 30"), "{}", skipped[0].1);
        let error = format!("{:#}", super::folder(folder.path(), Order::Names, 8, 3).unwrap_err());
        assert!(error.contains("a.png"), "{error}");
        std::fs::remove_file(folder.path().join("c.webp")).unwrap();
        let error = to_file(folder.path(), [3, 8], false, &file, |_, _| ()).unwrap_err();
        assert!(format!("{error:#}").contains("no image that can be used"), "{error:#}");
    }

    /// A JPEG whose camera was held on its side: the Exif block says orientation 6, a quarter turn
    /// clockwise.
    #[test]
    fn images_stand_upright() {
        let folder = tempfile::tempdir().unwrap();
        let image = RgbImage::from_fn(16, 16, |_, y| if y < 8 { Rgb([250, 5, 5]) } else { Rgb([5, 5, 250]) });
        let mut jpeg = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 100);
        image.write_with_encoder(encoder).unwrap();
        let tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let mut block = vec![0xFF, 0xE1, 0, (2 + 6 + tiff.len()) as u8];
        block.extend(b"Exif\0\0");
        block.extend(tiff);
        jpeg.splice(2..2, block);
        std::fs::write(folder.path().join("turned.jpg"), jpeg).unwrap();
        let pixels = super::folder(folder.path(), Order::Names, 8, 3).unwrap();
        // What was above is right, what was below is left.
        assert!(pixels[0] < 60 && pixels[7] > 200, "{} {}", pixels[0], pixels[7]);
        assert!(pixels[128] > 200 && pixels[135] < 60, "{} {}", pixels[128], pixels[135]);
    }
}
