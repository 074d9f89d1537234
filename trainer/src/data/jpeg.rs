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
    let end = end(bytes).context("it is cut off: its end is missing")?;
    let image = decoded(bytes)?;
    ensure!(is_complete(bytes, end, &image), "it is cut off: its last part is missing");
    Ok(image)
}

fn decoded(bytes: &[u8]) -> Result<DynamicImage> {
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

/// Whether nothing is missing before the end at `end`: what is put in there is then not read. (Where something is
/// missing, decoders make up zeros.)
fn is_complete(bytes: &[u8], end: usize, image: &DynamicImage) -> bool {
    let longer = [&bytes[..end], &[0x5A; 64], &bytes[end..]].concat();
    decoded(&longer).is_ok_and(|other| other == *image)
}

/// Where the image's end marker is. Within a scan a byte FF is followed by 00 or is a restart marker; every
/// other segment tells its length (ITU-T T.81, B.1.1).
fn end(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    while let Some(&[first, code]) = bytes.get(at..at + 2) {
        match (first, code) {
            (0xFF, 0xD9) => return Some(at),
            (0xFF, 0xFF) => at += 1,
            (0xFF, 0x00 | 0x01 | 0xD0..=0xD8) => at += 2,
            (0xFF, _) => {
                let &[high, low] = bytes.get(at + 2..at + 4)? else { return None };
                at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
            }
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_within_a_segment_or_a_scan_is_none() {
        let start = [0xFF, 0xD8];
        let thumbnail = [0xFF, 0xE1, 0, 6, 0xFF, 0xD9, 0xFF, 0xD9];
        let scan = [0xFF, 0xDA, 0, 3, 1, 7, 0xFF, 0x00, 0xD9, 0xFF, 0xD3, 9];
        let mark = [0xFF, 0xFF, 0xD9];
        assert_eq!(end(&[&start[..], &thumbnail, &scan, &mark].concat()), Some(2 + 8 + 12 + 1));
        assert_eq!(end(&[&start[..], &thumbnail, &scan].concat()), None);
        assert_eq!(end(&[&start[..], &thumbnail, &scan, &mark[..2]].concat()), None);
        assert_eq!(end(&[&start[..], &[0xFF, 0xE1, 0]].concat()), None);
        assert_eq!(end(&[]), None);
    }

    #[test]
    fn an_end_put_behind_half_a_picture_is_found_out_and_a_flat_picture_is_none() {
        let encoded = |image: RgbImage| {
            let mut bytes = Vec::new();
            let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90);
            image.write_with_encoder(encoder).expect("it is written to memory");
            bytes
        };
        let noisy = |x: u32, y: u32| image::Rgb([(x * y) as u8, (x * 7) as u8, (y * 5) as u8]);
        let whole = encoded(RgbImage::from_fn(96, 96, noisy));
        assert!(decode(&whole).is_ok());
        for part in [whole.len() / 2, whole.len() * 3 / 4] {
            let half = [&whole[..part], &[0xFF, 0xD9]].concat();
            assert!(decode(&half).is_err(), "{part} of {}", whole.len());
        }
        let white = image::Rgb([255; 3]);
        let flat = encoded(RgbImage::from_fn(96, 96, |x, y| if y < 40 { noisy(x, y) } else { white }));
        assert!(decode(&flat).is_ok());
    }
}
