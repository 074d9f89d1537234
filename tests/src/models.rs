//! Models for the tests: the shipped ones, small ones made here, and damaged ones.

use dual_mcmc::chain::{Langevin, XChainSettings, ZChainSettings};
use dual_mcmc::model::{Annotations, ChainDefaults, Examples, Model, Precision, Provenance, Weighted};
use dual_mcmc::network::{Layer, Network};
use dual_mcmc::noise::{Noise, Stream};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// The shipped models, by file name. Panics if there is none.
pub fn shipped() -> Vec<(String, Model)> {
    let folder = xtask::process::root().join("models");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "safetensors"));
    files.sort();
    assert!(!files.is_empty(), "{} holds no model", folder.display());
    let read = |file: PathBuf| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let model =
            Model::from_bytes(&fs::read(file).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, model)
    };
    files.into_iter().map(read).collect()
}

/// A small untrained model on the plane: an energy with a Gaussian reference, and a generator.
/// Its chains run down to near the origin, whatever the weights.
pub fn plane() -> Model {
    vectors(2)
}

/// The same for vectors of another length.
pub fn vectors(length: usize) -> Model {
    let net = |input: usize, output: usize, reference| Network {
        input: vec![input],
        layers: vec![
            Layer::Linear { in_features: input, out_features: 16, bias: true },
            Layer::Silu,
            Layer::Linear { in_features: 16, out_features: output, bias: true },
        ],
        reference,
    };
    let langevin = Langevin::new(0.1, 0.01);
    Model {
        energy: Some(weighted(net(length, 1, Some(1.0)), 1)),
        generator: Some(weighted(net(3, length, None), 2)),
        encoder: None,
        chains: ChainDefaults { x: Some(XChainSettings { steps: 30, langevin }), z: None },
        energy_quantiles: None,
        provenance: Provenance { data: "untrained".into(), ..Provenance::default() },
        annotations: Annotations::default(),
    }
}

fn weighted(network: Network, seed: u64) -> Weighted {
    let mut weights = vec![0.0; network.parameter_count()];
    Noise::new(seed, Stream::Parameters).normals(0, 0, &mut weights);
    weights.iter_mut().for_each(|w| *w *= 0.5);
    Weighted { network, weights }
}

/// Side and values of the images of [`images`], their latents, and the observation noise of its z-chain.
pub const IMAGE_SIDE: usize = 12;
/// As [`IMAGE_SIDE`].
pub const IMAGE_LEN: usize = IMAGE_SIDE * IMAGE_SIDE;
/// As [`IMAGE_SIDE`].
pub const IMAGE_LATENT: usize = 6;
/// As [`IMAGE_SIDE`].
pub const IMAGE_SIGMA: f32 = 0.3;

/// An untrained model of small images with three examples of its own.
pub fn images() -> Model {
    let linear = |i, o| Layer::Linear { in_features: i, out_features: o, bias: true };
    let image = vec![1, IMAGE_SIDE, IMAGE_SIDE];
    let net = |input: Vec<usize>, layers, seed| {
        let mut it = weighted(Network { input, layers, reference: None }, seed);
        let share = (1.0 / it.weights.len() as f32).sqrt();
        it.weights.iter_mut().for_each(|w| *w *= 6.0 * share);
        it
    };
    let examples: Vec<f32> = (0..3 * IMAGE_LEN).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0).collect();
    let decoder = vec![linear(IMAGE_LATENT, IMAGE_LEN), Layer::Tanh, Layer::Reshape { shape: image.clone() }];
    Model {
        energy: Some(net(image.clone(), vec![Layer::Flatten, linear(IMAGE_LEN, 1)], 1)),
        generator: Some(net(vec![IMAGE_LATENT], decoder, 2)),
        encoder: Some(net(image.clone(), vec![Layer::Flatten, linear(IMAGE_LEN, 2 * IMAGE_LATENT)], 3)),
        chains: ChainDefaults {
            x: Some(XChainSettings { steps: 5, langevin: Langevin::new(0.1, 0.01) }),
            z: Some(ZChainSettings { steps: 9, sigma: IMAGE_SIGMA, langevin: Langevin::new(0.05, 0.02) }),
        },
        energy_quantiles: None,
        provenance: Provenance::default(),
        annotations: Annotations {
            examples: Some(Examples::of(&examples, &image)),
            ..Annotations::default()
        },
    }
}

/// The bytes of a model's file.
pub fn bytes(model: &Model) -> Vec<u8> {
    model.to_bytes(Precision::F32).unwrap()
}

/// A file that is not as it should be, and a part of the message that names what is wrong.
pub struct Damaged {
    /// What was done to it.
    pub name: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
    /// What the reader must be told, among other things, in lower case.
    pub says: &'static str,
}

/// One file of each kind of damage.
pub fn damaged() -> Vec<Damaged> {
    let good = bytes(&plane());
    let data = data_start(&good);
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let without_checksum = |change: fn(&mut Value, &mut Vec<u8>)| {
        rewritten(&good, |header, data| {
            header["__metadata__"].as_object_mut().unwrap().remove("sha256");
            change(header, data);
        })
    };
    vec![
        Damaged { name: "truncated in its data", bytes: good[..good.len() - 7].into(), says: "safetensors" },
        Damaged { name: "truncated in its header", bytes: good[..data / 2].into(), says: "truncated" },
        Damaged { name: "empty", bytes: Vec::new(), says: "0 bytes" },
        Damaged { name: "bit-flipped in its data", bytes: flipped(good.len() - 30), says: "sha-256" },
        // The first byte of the header is its opening brace.
        Damaged { name: "bit-flipped in its header", bytes: flipped(8), says: "safetensors" },
        Damaged {
            name: "no safetensors at all",
            bytes: b"GIF89a, a picture and no model at all".into(),
            says: "safetensors",
        },
        Damaged {
            name: "of a wrong shape",
            bytes: without_checksum(|header, _| {
                let tensor = header.as_object_mut().unwrap().remove("energy.0.weight").unwrap();
                header["energy.0.weight"] = tensor;
                header["energy.0.weight"]["shape"] = serde_json::json!([2, 16]);
            }),
            says: "[2, 16]",
        },
        Damaged {
            name: "with a tensor too many",
            bytes: without_checksum(|header, data| {
                let (from, to) = (data.len(), data.len() + 4);
                header["energy.9.weight"] =
                    serde_json::json!({ "dtype": "F32", "shape": [1], "data_offsets": [from, to] });
                data.extend(1.0f32.to_le_bytes());
            }),
            says: "energy.9.weight",
        },
        Damaged {
            name: "with a NaN",
            bytes: without_checksum(|_, data| data[..4].copy_from_slice(&f32::NAN.to_le_bytes())),
            says: "nan",
        },
    ]
}

fn data_start(bytes: &[u8]) -> usize {
    8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize
}

/// The file with another header and other data.
fn rewritten(bytes: &[u8], change: impl FnOnce(&mut Value, &mut Vec<u8>)) -> Vec<u8> {
    let start = data_start(bytes);
    let mut header: Value = serde_json::from_slice(&bytes[8..start]).unwrap();
    let mut data = bytes[start..].to_vec();
    change(&mut header, &mut data);
    let mut header = serde_json::to_vec(&header).unwrap();
    header.resize(header.len().next_multiple_of(8), b' ');
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_damage_is_what_it_says() {
        Model::from_bytes(&bytes(&plane())).unwrap();
        for Damaged { name, bytes, says } in damaged() {
            let error = Model::from_bytes(&bytes).unwrap_err().to_string().to_lowercase();
            assert!(error.contains(says), "{name}: {error}");
        }
    }
}
