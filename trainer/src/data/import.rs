//! Folders of images, cropped to the middle square and resized.

use super::{jpeg, memory, npy, pixel};
use crate::console::{Counter, say};
use anyhow::{Context, Error, Result, bail, ensure};
pub use dual_mcmc::pictures::WHITE;
use dual_mcmc::pictures::square;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Rgb};
use md5::{Digest, Md5};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Sides that networks of this kind are made for.
pub const SIDES: std::ops::RangeInclusive<usize> = 4..=512;

/// Bytes that one image may take when it is read, and those above which only one is read at a time.
const LARGEST: u64 = 1 << 29;
const LARGE: u64 = 1 << 26;

/// Images that are read before any of them is handed on.
const AT_ONCE: usize = 64;

/// The order of a folder's images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The alphabetical order of their names.
    Names,
    /// A fixed shuffle, the order of the MD5 sums of their names: names often go by class, and the held-out last tenth
    /// would be of the last class alone.
    Mixed,
}

/// What images are made into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// 3 for colour, 1 for grey.
    pub channels: usize,
    /// Pixels each way.
    pub side: usize,
    /// What is seen through transparent pixels.
    pub background: Rgb<u8>,
}

impl Format {
    /// A format with a white background.
    pub fn new(channels: usize, side: usize) -> Format {
        Format { channels, side, background: WHITE }
    }

    fn check(&self) -> Result<()> {
        let Format { channels, side, .. } = *self;
        ensure!(
            SIDES.contains(&side),
            "images can be {} to {} pixels wide, not {side}",
            SIDES.start(),
            SIDES.end()
        );
        ensure!(channels == 1 || channels == 3, "images have 1 or 3 channels, not {channels}");
        Ok(())
    }

    /// Values of one image.
    fn len(&self) -> usize {
        self.channels * self.side * self.side
    }
}

/// What a folder holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// PNG, JPEG and WebP files, by their names.
    images: Vec<PathBuf>,
    /// Files of other kinds, pipes and the like; without hidden ones.
    pub others: usize,
    /// The extensions of those files.
    pub extensions: BTreeSet<String>,
    /// Folders in it, which are not looked into.
    pub folders: usize,
}

/// Look into a folder.
fn contents(folder: &Path, order: Order) -> Result<Contents> {
    let cannot = || format!("cannot read the folder {}", folder.display());
    ensure!(
        !folder.is_file(),
        "{} is a file; images are imported from a folder, and points from a .csv file",
        folder.display()
    );
    let mut contents = Contents::default();
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let path = entry.path();
        // Hidden files are the systems' own: `._a.png` describes a.png to macOS.
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        let kind = path.metadata().map(|metadata| metadata.file_type());
        match kind {
            Ok(kind) if kind.is_dir() => contents.folders += 1,
            // A pipe may never end. What cannot be looked at is named when it cannot be read.
            Ok(kind) if !kind.is_file() => contents.others += 1,
            _ if ["png", "jpg", "jpeg", "webp"].contains(&extension.as_str()) => contents.images.push(path),
            _ => {
                contents.others += 1;
                contents.extensions.insert(extension);
            }
        }
    }
    match order {
        Order::Names => contents.images.sort(),
        Order::Mixed => contents.images.sort_by_cached_key(|path| mixing_key(path)),
    }
    if contents.images.is_empty() {
        let instead = contents.left_out().map(|what| format!(" (but {what})")).unwrap_or_default();
        bail!("{} holds no .png, .jpg or .webp images{instead}", folder.display());
    }
    Ok(contents)
}

impl Contents {
    /// What is no image of the folder, in words, if there is something.
    pub fn left_out(&self) -> Option<String> {
        let mut parts = Vec::new();
        if self.others > 0 {
            let kinds: Vec<String> =
                self.extensions.iter().filter(|e| !e.is_empty()).take(3).map(|e| format!(".{e}")).collect();
            let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
            let files = if self.others == 1 { "file" } else { "files" };
            parts.push(format!("{} {files} of other kinds{kinds}", self.others));
        }
        if self.folders > 0 {
            parts.push(format!("{} subfolder{}", self.folders, if self.folders == 1 { "" } else { "s" }));
        }
        (!parts.is_empty()).then(|| parts.join(" and "))
    }
}

/// Read the images of a folder, on all cores. `take` gets each one's pixels in their order, `[channels, side,
/// side]`, or why it cannot be used: it cannot be read, or is smaller than `side`.
fn each_image(
    contents: &Contents,
    format: Format,
    mut take: impl FnMut(&Path, Result<Vec<u8>>) -> Result<()>,
) -> Result<()> {
    let counter = Counter::new(contents.images.len() as u64, "images");
    for (i, paths) in contents.images.chunks(AT_ONCE).enumerate() {
        let images: Vec<Result<Vec<u8>>> = paths.par_iter().map(|path| read(path, format)).collect();
        for (path, pixels) in paths.iter().zip(images) {
            take(path, pixels)?;
        }
        counter.show((i * AT_ONCE + paths.len()) as u64);
    }
    Ok(())
}

/// The pixels of all images of a folder, `[N, channels, side, side]`: turned as their cameras say, cropped to the
/// middle square, resized.
///
/// # Errors
/// If there are none, a file cannot be used, they do not fit in memory, or the sizes are impossible.
pub fn folder(folder: &Path, order: Order, format: Format) -> Result<Vec<u8>> {
    format.check()?;
    let contents = contents(folder, order)?;
    let count = contents.images.len();
    if let Some(others) = contents.left_out() {
        say!("left out of {}: {others}", folder.display());
    }
    memory::ask(count * format.len(), || format!("{count} images of {}", folder.display()))?;
    let mut all = Vec::new();
    each_image(&contents, format, |path, pixels| {
        let cannot = || format!("cannot use {}; `data import` skips such files", path.display());
        all.extend(pixels.with_context(cannot)?);
        Ok(())
    })?;
    Ok(all)
}

/// Write the images of a folder, mixed, to the `.npy` file `out`, `[N, channels, side, side]` in [-1, 1]; only
/// a few of them are in memory at a time. Files that cannot be used go to `skip`, or with `strict` are
/// errors. Returns the number of images, and what else the folder holds.
///
/// # Errors
/// If there are none, none can be used, the sizes are impossible, or `out` cannot be written.
pub fn to_file(
    from: &Path,
    format: Format,
    strict: bool,
    out: &Path,
    mut skip: impl FnMut(&Path, &Error),
) -> Result<(usize, Contents)> {
    format.check()?;
    let contents = contents(from, Order::Mixed)?;
    let mut first_skipped = None;
    let count = npy::write_rows(out, &[format.channels, format.side, format.side], |row| {
        let mut used = false;
        each_image(&contents, format, |path, pixels| {
            match pixels {
                Ok(pixels) => {
                    used = true;
                    row(&pixels.into_iter().map(pixel).collect::<Vec<_>>())?;
                }
                Err(error) if strict => bail!("cannot use {}: {error:#}", path.display()),
                Err(error) => {
                    skip(path, &error);
                    first_skipped.get_or_insert((path.to_path_buf(), error));
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
    })?;
    Ok((count, contents))
}

/// The pixels of an image file.
fn read(path: &Path, format: Format) -> Result<Vec<u8>> {
    let size = path.metadata()?.len();
    ensure!(size <= LARGEST, "its file is {} MB long, at most {} are read", size >> 20, LARGEST >> 20);
    let bytes = std::fs::read(path)?;
    let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format()?;
    let of_jpeg = reader.format() == Some(ImageFormat::Jpeg);
    let mut decoder = reader.into_decoder()?;
    // All that the header tells is looked at before any memory is taken for pixels.
    let (width, height) = decoder.dimensions();
    let side = format.side;
    ensure!(
        width.min(height) as usize >= side,
        "it is {width} by {height} pixels, smaller than {side} by {side}"
    );
    let needed = decoder.total_bytes();
    ensure!(
        needed <= LARGEST,
        "it is {width} by {height} pixels and would take {} MB, at most {} are taken",
        needed >> 20,
        LARGEST >> 20
    );
    // Beside the image its middle square, and that once more without transparency; of a JPEG two decodings.
    memory::ask(4 * needed as usize, || format!("{width} by {height} pixels"))?;
    static ONE: Mutex<()> = Mutex::new(());
    let _one = (needed > LARGE).then(|| ONE.lock().unwrap_or_else(PoisonError::into_inner));
    let orientation = decoder.orientation()?;
    let mut image = if of_jpeg { jpeg::decode(&bytes)? } else { DynamicImage::from_decoder(decoder)? };
    image.apply_orientation(orientation);
    Ok(square(image, format.channels, format.side, format.background))
}

/// Sorts files into an order that has nothing to do with their names, and is the same wherever they lie and
/// whatever lies beside them.
pub(super) fn mixing_key(path: &Path) -> [u8; 16] {
    Md5::digest(path.file_name().unwrap_or_default().as_encoded_bytes()).into()
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
        let pixels = super::folder(folder.path(), Order::Names, Format::new(3, 8)).unwrap();
        assert_eq!(pixels.len(), 2 * 3 * 64);
        assert_eq!(pixels[..64], [255; 64]);
        assert_eq!(pixels[64..192], [0; 128]);

        let out = folder.path().join("out.npy");
        let skip = |path: &Path, _: &anyhow::Error| panic!("{path:?}");
        assert_eq!(to_file(folder.path(), Format::new(3, 8), true, &out, skip).unwrap().0, 2);
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
            let pixels = super::folder(folder.path(), order, Format::new(1, 4)).unwrap();
            pixels.chunks(16).map(|image| image[0]).collect::<Vec<_>>()
        };
        assert_eq!(firsts(Order::Names), [10, 20, 30]);
        // The sums begin with 32, 0a and 82.
        assert_eq!(firsts(Order::Mixed), [20, 10, 30]);
        let out = folder.path().join("out.npy");
        to_file(folder.path(), Format::new(1, 4), true, &out, |path, _| panic!("{path:?}")).unwrap();
        let values = npy::read(&out).unwrap().values;
        assert_eq!(values.chunks(16).map(|image| image[0]).collect::<Vec<_>>(), [20, 10, 30].map(pixel));
    }

    #[test]
    fn empty_folders_broken_images_and_impossible_sizes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = |side| {
            format!("{:#}", super::folder(folder.path(), Order::Names, Format::new(3, side)).unwrap_err())
        };
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
            to_file(folder.path(), Format::new(3, 8), strict, &file, |path, error| {
                skipped.push((path.file_name().unwrap().to_owned(), format!("{error:#}")));
            })
        };
        let error = format!("{:#}", import(true).unwrap_err());
        assert!(error.contains("b.png"), "{error}");
        assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0, "nothing is left of a failed import");
        assert_eq!(import(false).unwrap().0, 1);
        let array = npy::read(&file).unwrap();
        assert_eq!((array.shape, array.values[0], array.values[64]), (vec![1, 3, 8, 8], 1.0, -1.0));
        let names: Vec<_> = skipped.iter().map(|(name, _)| name).collect();
        // The sums of the names begin with 0a and 32.
        assert_eq!(names, ["b.png", "a.png"]);
        assert!(skipped[0].1.contains("7 by 30"), "{}", skipped[0].1);
        let error =
            format!("{:#}", super::folder(folder.path(), Order::Names, Format::new(3, 8)).unwrap_err());
        assert!(error.contains("a.png"), "{error}");
        std::fs::remove_file(folder.path().join("c.webp")).unwrap();
        let error = to_file(folder.path(), Format::new(3, 8), false, &file, |_, _| ()).unwrap_err();
        assert!(format!("{error:#}").contains("no image that can be used"), "{error:#}");
    }

    /// Cut anywhere after its scan has begun, a JPEG still decodes for many readers, as grey.
    #[test]
    fn images_that_were_cut_off_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let image = RgbImage::from_fn(64, 64, |x, y| Rgb([(x * 4) as u8, (y * 4) as u8, (x * y) as u8]));
        for name in ["a.jpg", "a.png", "a.webp"] {
            let path = folder.path().join(name);
            if name == "a.jpg" {
                let mut bytes = Vec::new();
                let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90);
                image.write_with_encoder(encoder).unwrap();
                std::fs::write(&path, bytes).unwrap();
            } else {
                image.save(&path).unwrap();
            }
            read(&path, Format::new(3, 8)).unwrap();
            let whole = std::fs::read(&path).unwrap();
            // The end of a PNG is a mark without pixels.
            let late = if name == "a.jpg" { whole.len() - 2 } else { whole.len() * 9 / 10 };
            for cut in [late, whole.len() * 3 / 4, whole.len() / 2, whole.len() / 3, 10, 0] {
                std::fs::write(&path, &whole[..cut]).unwrap();
                assert!(read(&path, Format::new(3, 8)).is_err(), "{name}: {cut} of {}", whole.len());
            }
        }
    }

    #[test]
    fn only_the_folders_own_images_are_taken_and_the_rest_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        RgbImage::from_pixel(8, 8, Rgb([200; 3])).save(place("a.PNG")).unwrap();
        for name in ["._a.png", ".b.png", "notes.txt", "c.HEIC", "d"] {
            std::fs::write(place(name), "no image").unwrap();
        }
        std::fs::create_dir(place("more.png")).unwrap();
        #[cfg(unix)]
        assert!(std::process::Command::new("mkfifo").arg(place("pipe.png")).status().unwrap().success());
        let out = place("out.npy");
        let skip = |path: &Path, error: &Error| panic!("{path:?} {error:#}");
        let (count, contents) = to_file(folder.path(), Format::new(1, 8), true, &out, skip).unwrap();
        let pipes = usize::from(cfg!(unix));
        assert_eq!((count, contents.others, contents.folders), (1, 3 + pipes, 1));
        let expected = format!("{} files of other kinds (.heic, .txt) and 1 subfolder", 3 + pipes);
        assert_eq!(contents.left_out().unwrap(), expected);
    }

    #[test]
    fn transparent_pixels_show_the_background_and_never_what_they_hide() {
        let folder = tempfile::tempdir().unwrap();
        // Black ink on transparency whose hidden colour is red; half of the ink's columns are half transparent.
        let image = image::RgbaImage::from_fn(16, 16, |x, _| {
            image::Rgba(match x {
                0..4 => [0, 0, 0, 255],
                4..8 => [0, 0, 0, 128],
                _ => [255, 0, 0, 0],
            })
        });
        image.save(folder.path().join("ink.png")).unwrap();
        let row = |format| super::folder(folder.path(), Order::Names, format).unwrap()[..16].to_vec();
        let white = row(Format::new(1, 16));
        assert_eq!(white, [[0; 4], [127; 4], [255; 4], [255; 4]].concat());
        let blue = Format { background: Rgb([0, 0, 255]), ..Format::new(3, 16) };
        let all = super::folder(folder.path(), Order::Names, blue).unwrap();
        assert_eq!(all[..16], [0; 16], "no red comes back");
        assert_eq!(all[512..528], [[0; 4], [127; 4], [255; 4], [255; 4]].concat());
    }

    /// 20,000 by 20,000 pixels of one colour, in a small file.
    #[test]
    fn an_image_that_would_fill_the_memory_is_named_by_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bomb.png");
        RgbImage::new(4, 4).save(&path).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[16..24].copy_from_slice(&[0, 0, 0x4E, 0x20, 0, 0, 0x4E, 0x20]);
        let mut sum = flate2::Crc::new();
        sum.update(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&sum.sum().to_be_bytes());
        std::fs::write(&path, bytes).unwrap();
        let error = read(&path, Format::new(3, 8)).unwrap_err().to_string();
        assert!(error.contains("20000 by 20000 pixels and would take 1144 MB"), "{error}");
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
        let pixels = super::folder(folder.path(), Order::Names, Format::new(3, 8)).unwrap();
        // What was above is right, what was below is left.
        assert!(pixels[0] < 60 && pixels[7] > 200, "{} {}", pixels[0], pixels[7]);
        assert!(pixels[128] > 200 && pixels[135] < 60, "{} {}", pixels[128], pixels[135]);
    }
}
