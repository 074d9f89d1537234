//! Pictures in a row as one file that moves: an animated PNG, put together of the chunks of still ones.
//! Third edition of the PNG specification, section 11.3.6 (acTL, fcTL, fdAT).

/// What every PNG begins with.
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The checksum of chunks, with a small table: the page is to be small, and pictures are few.
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// An animated PNG of PNG files of one size, each shown for so many milliseconds, over and over; none if one of them is no
/// PNG, or of another size or kind.
pub fn animate(pictures: &[Vec<u8>], milliseconds: &[u16]) -> Option<Vec<u8>> {
    let stills = pictures.iter().map(|picture| Still::read(picture)).collect::<Option<Vec<Still>>>()?;
    let header = stills.first()?.header;
    if stills.iter().any(|still| still.header != header) || stills.len() != milliseconds.len() {
        return None;
    }
    let mut file = SIGNATURE.to_vec();
    chunk(&mut file, b"IHDR", &[header]);
    // Repeated without end.
    chunk(&mut file, b"acTL", &[&(stills.len() as u32).to_be_bytes(), &0u32.to_be_bytes()]);
    let mut sequence = 0u32..;
    let mut next = || sequence.next().unwrap_or_default().to_be_bytes();
    for (i, (still, milliseconds)) in stills.iter().zip(milliseconds).enumerate() {
        let (number, delay) = (next(), [*milliseconds, 1000].map(u16::to_be_bytes).concat());
        // The whole picture, from the corner on; it is replaced by the next one.
        chunk(&mut file, b"fcTL", &[&number, &header[..8], &[0; 8], &delay, &[0, 0]]);
        for data in &still.data {
            match i {
                0 => chunk(&mut file, b"IDAT", &[data]),
                _ => chunk(&mut file, b"fdAT", &[&next(), data]),
            }
        }
    }
    chunk(&mut file, b"IEND", &[]);
    Some(file)
}

/// What is needed of a PNG file: its header, and its pixels as they are compressed.
struct Still<'a> {
    header: &'a [u8],
    data: Vec<&'a [u8]>,
}

impl Still<'_> {
    fn read(file: &[u8]) -> Option<Still<'_>> {
        let mut rest = file.strip_prefix(SIGNATURE)?;
        let (mut header, mut data) = (None, Vec::new());
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let (kind, after) = after.split_first_chunk::<4>()?;
            let (content, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            match kind {
                b"IHDR" if content.len() == 13 => header = Some(content),
                b"IDAT" => data.push(content),
                _ => {}
            }
            // The checksum.
            rest = after.get(4..)?;
        }
        Some(Still { header: header?, data })
    }
}

/// Add a chunk.
fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    file.extend((length as u32).to_be_bytes());
    let begin = file.len();
    file.extend(kind);
    parts.iter().for_each(|part| file.extend(*part));
    let checksum = CRC.checksum(&file[begin..]);
    file.extend(checksum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use image::codecs::png::PngDecoder;
    use image::{AnimationDecoder, ImageFormat, Rgba, RgbaImage};
    use std::io::Cursor;

    fn picture(width: u32, shade: u8) -> Vec<u8> {
        let image = RgbaImage::from_fn(width, 3, |x, y| Rgba([shade, x as u8, y as u8, 255]));
        let mut file = Vec::new();
        image.write_to(&mut Cursor::new(&mut file), ImageFormat::Png).unwrap();
        file
    }

    #[test]
    fn every_picture_is_a_frame_with_its_time() {
        let shades = [0, 120, 255];
        let file = animate(&shades.map(|shade| picture(5, shade)), &[40, 40, 2_000]).unwrap();
        let decoder = PngDecoder::new(Cursor::new(&file)).unwrap();
        assert!(decoder.is_apng().unwrap());
        let frames = decoder.apng().unwrap().into_frames().collect_frames().unwrap();
        assert_eq!(frames.len(), 3);
        for ((frame, shade), time) in frames.iter().zip(shades).zip([40, 40, 2_000]) {
            assert_eq!(frame.buffer().get_pixel(4, 2), &Rgba([shade, 4, 2, 255]));
            assert_eq!(frame.delay().numer_denom_ms(), (time, 1));
        }
    }

    #[test]
    fn what_does_not_fit_together_is_no_animation() {
        assert!(animate(&[picture(5, 0), picture(6, 0)], &[1, 1]).is_none());
        assert!(animate(&[picture(5, 0)], &[]).is_none());
        assert!(animate(&[b"GIF89a".to_vec()], &[1]).is_none());
        assert!(animate(&[picture(5, 0)[..60].to_vec()], &[1]).is_none());
        assert!(animate(&[], &[]).is_none());
    }
}
