//! What of an image is hidden from a reconstruction, to be filled in.

/// The hidden part of an image.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Mask {
    /// Nothing.
    #[default]
    Nothing,
    /// A half, or the square of half the side in the middle.
    Part(Part),
    /// One bit for each pixel, row by row, the highest of each byte first: 1 where it is hidden.
    Painted(Vec<u8>),
}

/// A part of an image that can be hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The lower half.
    Lower,
    /// The upper half.
    Upper,
    /// The left half.
    Left,
    /// The right half.
    Right,
    /// The middle.
    Centre,
}

impl Part {
    const ALL: [Part; 5] = [Part::Lower, Part::Upper, Part::Left, Part::Right, Part::Centre];

    fn word(self) -> &'static str {
        match self {
            Part::Lower => "lower",
            Part::Upper => "upper",
            Part::Left => "left",
            Part::Right => "right",
            Part::Centre => "centre",
        }
    }

    fn hides(self, [x, y]: [usize; 2], [width, height]: [usize; 2]) -> bool {
        let middle = |at: usize, of: usize| at >= of / 4 && at < of - of / 4;
        match self {
            Part::Lower => y >= height / 2,
            Part::Upper => y < height / 2,
            Part::Left => x < width / 2,
            Part::Right => x >= width / 2,
            Part::Centre => middle(x, width) && middle(y, height),
        }
    }
}

/// What is asked of a word, to follow “it takes”.
pub const EXPECTED: &str =
    "none, lower, upper, left, right, centre, or the pixels of a painted mask in hexadecimal";

impl Mask {
    /// The mask that a word stands for.
    pub fn from_word(word: &str) -> Option<Mask> {
        if word == "none" {
            return Some(Mask::Nothing);
        }
        if let Some(part) = Part::ALL.into_iter().find(|part| part.word() == word) {
            return Some(Mask::Part(part));
        }
        let digits = word.as_bytes();
        let digit = |d: u8| char::from(d).to_digit(16);
        if digits.is_empty() || digits.len() % 2 == 1 || digits.len() > 1 << 16 {
            return None;
        }
        let byte = |pair: &[u8]| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8);
        digits.chunks_exact(2).map(byte).collect::<Option<Vec<u8>>>().map(Mask::Painted)
    }

    /// The word for it.
    pub fn word(&self) -> String {
        match self {
            Mask::Nothing => "none".into(),
            Mask::Part(part) => part.word().into(),
            Mask::Painted(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// Whether a pixel of an image of this size is hidden.
    fn hides(&self, at: [usize; 2], size: [usize; 2]) -> bool {
        match self {
            Mask::Nothing => false,
            Mask::Part(part) => part.hides(at, size),
            Mask::Painted(bytes) => {
                let i = at[1] * size[0] + at[0];
                bytes.get(i / 8).is_some_and(|byte| byte >> (7 - i % 8) & 1 == 1)
            }
        }
    }

    /// Whether it is one for images of this size.
    pub fn fits(&self, [width, height]: [usize; 2]) -> bool {
        !matches!(self, Mask::Painted(bytes) if bytes.len() != (width * height).div_ceil(8))
    }

    /// 1 where a value of an image `[C, H, W]` is known, 0 where it is hidden; nothing where all of it is known.
    pub fn values(&self, shape: &[usize]) -> Option<Vec<f32>> {
        let [channels, height, width] = *shape else { return None };
        let pixels = (0..width * height).map(|i| self.hides([i % width, i / width], [width, height]));
        let plane: Vec<f32> = pixels.map(|hidden| if hidden { 0.0 } else { 1.0 }).collect();
        plane.contains(&0.0).then(|| plane.repeat(channels))
    }

    /// The same with the pixels around a place hidden, or shown.
    pub fn painted(&self, at: [usize; 2], reach: usize, hide: bool, size: [usize; 2]) -> Mask {
        let [width, height] = size;
        let mut bytes = vec![0u8; (width * height).div_ceil(8)];
        for i in 0..width * height {
            let [x, y] = [i % width, i / width];
            let near = x.abs_diff(at[0]) <= reach && y.abs_diff(at[1]) <= reach;
            if if near { hide } else { self.hides([x, y], size) } {
                bytes[i / 8] |= 1 << (7 - i % 8);
            }
        }
        if bytes.iter().all(|byte| *byte == 0) { Mask::Nothing } else { Mask::Painted(bytes) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_are_read_back_as_they_were_written() {
        for word in ["none", "lower", "upper", "left", "right", "centre", "00ff80"] {
            assert_eq!(Mask::from_word(word).unwrap().word(), word);
        }
        for word in ["", "f", "lowest", "0g", "None"] {
            assert_eq!(Mask::from_word(word), None, "{word}");
        }
    }

    #[test]
    fn parts_hide_what_they_say() {
        let plane = |word: &str| Mask::from_word(word).unwrap().values(&[1, 4, 4]).unwrap();
        assert_eq!(plane("lower"), [[1.0; 8], [0.0; 8]].concat());
        assert_eq!(plane("left")[..4], [0.0, 0.0, 1.0, 1.0]);
        let centre = plane("centre");
        let hidden: Vec<usize> = (0..16).filter(|&i| centre[i] == 0.0).collect();
        assert_eq!(hidden, [5, 6, 9, 10]);
        assert_eq!(Mask::Nothing.values(&[1, 4, 4]), None);
        assert_eq!(Mask::Part(Part::Lower).values(&[2]), None, "points have no halves");
        assert_eq!(Mask::Part(Part::Upper).values(&[3, 2, 1]).unwrap(), [0.0, 1.0].repeat(3));
    }

    #[test]
    fn a_brush_hides_and_shows() {
        let size = [4, 4];
        let mask = Mask::Part(Part::Lower).painted([0, 0], 1, true, size);
        let values = mask.values(&[1, 4, 4]).unwrap();
        assert_eq!(values[..8], [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
        assert_eq!(values[8..], [0.0; 8]);
        assert!(mask.fits(size) && !mask.fits([5, 5]) && Mask::Part(Part::Left).fits([9, 9]));
        assert_eq!(Mask::from_word(&mask.word()).unwrap(), mask);
        assert_eq!(mask.painted([1, 1], 9, false, size), Mask::Nothing);
    }
}
