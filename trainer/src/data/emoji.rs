//! Noto's emoji: 64×64 pixels in colour on white, in one file of bytes, image after image and channel
//! by channel.

use super::import::mixing_key;
use super::{Samples, atomic};
use anyhow::{Context, Result, ensure};
use image::RgbaImage;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The file of a fetched set.
pub const FILE: &str = "noto-emoji-64.rgb";

/// How many there are.
pub const COUNT: usize = 3786;

/// Side of the images as they are kept.
pub const SIDE: usize = 64;

/// All images of `folder`, `[N, 3, 64, 64]`, or `[N, 3, 32, 32]` by the means of 2×2 pixels.
pub fn load(folder: &Path, halved: bool) -> Result<Samples> {
    let path = folder.join(FILE);
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(bytes.len() == COUNT * 3 * SIDE * SIDE, "{} is damaged: it has another size", path.display());
    Ok(Samples::Bytes(if halved { halve(&bytes) } else { bytes }))
}

fn halve(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 4);
    // Sides are even, so two rows never belong to two planes.
    for rows in bytes.as_chunks::<{ 2 * SIDE }>().0 {
        let (upper, lower) = rows.split_at(SIDE);
        for (a, b) in upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0) {
            let sum: u16 = a.iter().chain(b).map(|&v| u16::from(v)).sum();
            out.push(((sum + 2) / 4) as u8);
        }
    }
    out
}

/// Make the set's file in `ready` from the folder of its pictures.
///
/// The names are code points, so that neighbours are alike, and the last tenth of the names would be a
/// few kinds of emoji. The order of the sums of the names mixes them.
pub fn from_pictures(folder: &Path, ready: &Path) -> Result<()> {
    let cannot = || format!("cannot read {}", folder.display());
    let mut pictures: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.extension().is_some_and(|e| e == "png") {
            pictures.push(path);
        }
    }
    pictures.sort_by_cached_key(|path| mixing_key(path));
    let file = ready.join(FILE);
    atomic::write(&file, |file| {
        for path in &pictures {
            let cannot = || format!("cannot read {}", path.display());
            let picture = image::open(path).with_context(cannot)?.into_rgba8();
            ensure!(picture.dimensions() == (64, 64), "{} is not 64 by 64 pixels", path.display());
            file.write_all(&on_white(&picture)).context("cannot write the images")?;
        }
        Ok(())
    })
}

/// The three channels of a picture over white, one after another.
fn on_white(picture: &RgbaImage) -> Vec<u8> {
    let over = |c: usize| {
        picture.pixels().map(move |p| {
            let (value, alpha) = (u32::from(p.0[c]), u32::from(p.0[3]));
            ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        })
    };
    (0..3).flat_map(over).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use image::Rgba;

    #[test]
    fn transparent_is_white_and_halves_are_means() {
        let picture = RgbaImage::from_fn(64, 64, |x, y| match (x, y) {
            (0, 0) => Rgba([200, 0, 100, 255]),
            (1, 0) => Rgba([200, 0, 100, 51]),
            _ => Rgba([9, 9, 9, 0]),
        });
        let bytes = on_white(&picture);
        let at = |channel: usize, i: usize| bytes[channel * SIDE * SIDE + i];
        assert_eq!([at(0, 0), at(1, 0), at(2, 0)], [200, 0, 100]);
        // 0.2·200 + 0.8·255 = 244; 204; 224.
        assert_eq!([at(0, 1), at(1, 1), at(2, 1)], [244, 204, 224]);
        assert_eq!([at(0, 2), at(0, SIDE)], [255, 255]);
        let half = halve(&bytes);
        assert_eq!(half.len(), 3 * 32 * 32);
        // (200 + 244 + 255 + 255) / 4 = 238.5, and so on.
        assert_eq!([half[0], half[1024], half[2048]], [239, 179, 209]);
        assert_eq!(half[1], 255);
    }

    #[test]
    fn pictures_are_ordered_by_the_sums_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for (name, grey) in [("a.png", 10), ("b.png", 20), ("c.png", 30)] {
            RgbaImage::from_pixel(64, 64, Rgba([grey, grey, grey, 255]))
                .save(folder.path().join(name))
                .unwrap();
        }
        from_pictures(folder.path(), folder.path()).unwrap();
        let bytes = std::fs::read(folder.path().join(FILE)).unwrap();
        let firsts: Vec<u8> = bytes.chunks(3 * SIDE * SIDE).map(|image| image[0]).collect();
        // The sums begin with 32, 0a and 82.
        assert_eq!(firsts, [20, 10, 30]);
        assert!(load(folder.path(), false).unwrap_err().to_string().contains("damaged"));
    }
}
