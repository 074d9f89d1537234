//! JPEG files, read strictly: what is cut off or damaged is an error, where most readers, that of the `image` crate
//! among them, fill in grey.

use anyhow::{Context, Result, anyhow, ensure};
use image::{DynamicImage, GrayImage, RgbImage};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// The most that a JPEG's header can say.
const LONGEST: usize = 0xFFFF;

/// The pixels of a JPEG file, grey or in colour, as they are stored: not turned.
///
/// # Errors
/// If the file is cut off, or its contents are damaged where that can be told.
pub fn decode(bytes: &[u8]) -> Result<DynamicImage> {
    ensure!(has_end(bytes), "it is cut off: its end is missing");
    let options =
        DecoderOptions::default().set_strict_mode(true).set_max_width(LONGEST).set_max_height(LONGEST);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let damaged = |error| anyhow!("it is damaged: {error}");
    decoder.decode_headers().map_err(damaged)?;
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let colours = if grey { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(colours));
    let pixels = decoder.decode().map_err(damaged)?;
    let (width, height) = decoder.dimensions().context("it has no size")?;
    let size = (width as u32, height as u32);
    let image = match grey {
        true => GrayImage::from_raw(size.0, size.1, pixels).map(DynamicImage::from),
        false => RgbImage::from_raw(size.0, size.1, pixels).map(DynamicImage::from),
    };
    image.context("it is damaged: it holds fewer pixels than it says")
}

/// Whether the image's end marker is there. Within a scan a byte FF is followed by 00 or is a restart marker; every
/// other segment tells its length (ITU-T T.81, B.1.1).
fn has_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[first, code]) = bytes.get(at..at + 2) {
        match (first, code) {
            (0xFF, 0xD9) => return true,
            (0xFF, 0xFF) => at += 1,
            (0xFF, 0x00 | 0x01 | 0xD0..=0xD8) => at += 2,
            (0xFF, _) => {
                let Some(&[high, low]) = bytes.get(at + 2..at + 4) else { return false };
                at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
            }
            _ => at += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_within_a_segment_or_a_scan_is_none() {
        let start = [0xFF, 0xD8];
        let thumbnail = [0xFF, 0xE1, 0, 6, 0xFF, 0xD9, 0xFF, 0xD9];
        let scan = [0xFF, 0xDA, 0, 3, 1, 7, 0xFF, 0x00, 0xD9, 0xFF, 0xD3, 9];
        let end = [0xFF, 0xFF, 0xD9];
        assert!(has_end(&[&start[..], &thumbnail, &scan, &end].concat()));
        assert!(!has_end(&[&start[..], &thumbnail, &scan].concat()));
        assert!(!has_end(&[&start[..], &thumbnail, &scan, &end[..2]].concat()));
        assert!(!has_end(&[&start[..], &[0xFF, 0xE1, 0]].concat()) && !has_end(&[]));
    }
}
