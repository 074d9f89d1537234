//! Damaged model files, and files that are none: each gives an error that names the problem, none a
//! panic.
#![allow(clippy::unwrap_used)]

mod model_file;

use dual_mcmc::model::{Features, Model, ModelError, Precision};
use model_file::{Draft, container, fixture, rejection, rejects};
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn the_draft_is_valid_where_nothing_is_changed() {
    let model = Draft::valid().read().unwrap();
    assert_eq!(model.latent(), Some(2));
    assert_eq!(model.data_shape(), [2]);
}

#[test]
fn every_truncation_and_every_surplus_byte_is_an_error() {
    let bytes = Draft::valid().read().unwrap().to_bytes(Precision::F32).unwrap();
    for length in 0..bytes.len() {
        let message = rejection(&bytes[..length]);
        assert!(message.starts_with("not a valid safetensors file: "), "{length} bytes: {message}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(rejection(&longer).starts_with("not a valid safetensors file: "));
}

/// Every bit of the file in turn. Data are covered by the checksum; a header that still reads may
/// only have lost text or another number in it, so its weights are the same.
#[test]
fn every_flipped_bit_is_an_error_or_leaves_the_weights_alone() {
    let model = Draft::valid().read().unwrap();
    for precision in [Precision::F32, Precision::F16] {
        let bytes = model.to_bytes(precision).unwrap();
        let data = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let mut accepted = 0;
        // The two headers differ in nothing that matters here.
        let first = if precision == Precision::F32 { 0 } else { data };
        for position in first..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[position] ^= 1 << bit;
                match Model::from_bytes(&damaged) {
                    Ok(read) => {
                        assert!((8..data).contains(&position), "flip at {position} went unnoticed");
                        for (was, is) in [
                            (&model.energy, &read.energy),
                            (&model.generator, &read.generator),
                            (&model.encoder, &read.encoder),
                        ] {
                            assert_eq!(was.as_ref().unwrap().weights, is.as_ref().unwrap().weights);
                        }
                        accepted += 1;
                    }
                    Err(error) if position >= data => {
                        assert!(
                            matches!(error, ModelError::Checksum | ModelError::NotFinite { .. }),
                            "{error}"
                        );
                    }
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
            }
        }
        assert!(accepted > 0 || first == data, "flips inside the provenance's text cannot be noticed");
    }
}

#[test]
fn without_a_checksum_a_flip_in_the_data_changes_one_weight_or_is_named() {
    let bytes = Draft::valid().bytes();
    let data = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for position in data..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1 << bit;
            if let Err(error) = Model::from_bytes(&damaged) {
                assert!(matches!(error, ModelError::NotFinite { .. }), "{error}");
            }
        }
    }
}

#[test]
fn files_that_are_something_else() {
    assert_eq!(rejection(b""), "not a valid safetensors file: it holds only 0 bytes");
    let page = rejection(b"\n<!DOCTYPE html><html><body>404</body></html>");
    assert!(page.contains("begins like a web page"), "{page}");
    for (other, expected) in [
        (&b"\x89PNG\r\n\x1a\n and then some more"[..], "it is a picture"),
        (b"PK\x03\x04\x14\0\x08\x08 a checkpoint", "write a model from PyTorch"),
        (b"\x80\x02\x8a\nl\xfc\x9cF a checkpoint", "write a model from PyTorch"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\x93NUMPY\x01\0v\0 an array", "it is an .npy array"),
        (b"\x1f\x8b\x08\0\x12\x34\x56\x78\0\0 packed", "unpack it"),
        (b"\x1f\x8b\x08\0\0\0\0\0 packed without its time", "unpack it"),
        (b"{\n  \"models\": []}", "it is JSON text"),
        (b"name = \"ring\"\n", "it is text"),
        (b"\x01\x02\x03\x04\x05\x06\x07\x08 anything", "its header would take"),
    ] {
        assert!(rejection(other).contains(expected), "{expected}: {}", rejection(other));
    }
    assert!(rejection(&[0; 64]).contains("not a valid safetensors file"));
    assert!(rejection(&container("[1, 2, 3]", b"")).contains("not a valid safetensors file"));
    assert!(rejection(&container("{}", b"")).contains("`format_version` is missing"));
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    assert!(rejection(&container(&deep, b"")).contains("not a valid safetensors file"));
    let foreign = json!({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).to_string();
    assert!(rejection(&container(&foreign, &[0; 4])).contains("`format_version` is missing"));
}

#[test]
fn headers_that_claim_too_much() {
    for claimed in [u64::MAX, u64::MAX - 7, 1 << 63, 100_000_000, (1 << 20) + 1] {
        let mut bytes = Draft::valid().bytes();
        bytes[..8].copy_from_slice(&claimed.to_le_bytes());
        assert!(rejection(&bytes).contains(&format!("its header would take {claimed} bytes")));
    }
    let mut bytes = Draft::valid().bytes();
    bytes[..8].copy_from_slice(&(1u64 << 20).to_le_bytes());
    assert!(rejection(&bytes).contains("truncated"));
}

#[test]
fn offsets_that_lie() {
    let whole = |offsets: Value, shape: Value| {
        let header = json!({"w": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}).to_string();
        rejection(&container(&header, &[0; 8]))
    };
    for (offsets, shape) in [
        (json!([0, 16]), json!([4])),
        (json!([4, 8]), json!([1])),
        (json!([8, 0]), json!([2])),
        (json!([0, 8]), json!([3])),
        (json!([-4, 4]), json!([2])),
        (json!([0, u64::MAX]), json!([u64::MAX, u64::MAX])),
        (json!([0, 8]), json!([1u64 << 62, 8])),
        (json!([0]), json!([2])),
    ] {
        let message = whole(offsets.clone(), shape);
        assert!(message.starts_with("not a valid safetensors file: "), "{offsets}: {message}");
    }
}

#[test]
fn tensors_that_do_not_match_the_description() {
    for name in Draft::valid().tensors.keys() {
        let mut draft = Draft::valid();
        draft.tensors.remove(name);
        rejects(&draft, &format!("tensor `{name}` is missing"));

        let mut draft = Draft::valid();
        draft.tensors.get_mut(name).unwrap().dtype = "I32";
        rejects(&draft, &format!("tensor `{name}` has dtype I32; F32 and F16 are supported"));

        let mut draft = Draft::valid();
        draft.tensors.get_mut(name).unwrap().dtype = "F128";
        rejects(&draft, "not a valid safetensors file");

        let mut draft = Draft::valid();
        draft.tensors.get_mut(name).unwrap().shape.push(1);
        rejects(&draft, &format!("tensor `{name}` has shape"));

        let mut draft = Draft::valid();
        let tensor = draft.tensors.get_mut(name).unwrap();
        tensor.shape = vec![0];
        tensor.bytes.clear();
        rejects(&draft, &format!("tensor `{name}` has shape [0]"));

        for (value, said) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
            let mut draft = Draft::valid();
            let bytes = &mut draft.tensors.get_mut(name).unwrap().bytes;
            let last = bytes.len() - 4;
            bytes[last..].copy_from_slice(&value.to_le_bytes());
            rejects(&draft, &format!("tensor `{name}` holds {said} at element {}", last / 4));
        }
    }
    let mut draft = Draft::valid();
    let weight = draft.tensors.get_mut("energy.0.weight").unwrap();
    weight.shape.reverse();
    rejects(&draft, "tensor `energy.0.weight` has shape [2, 3], its layer needs [3, 2]");
    for surplus in ["energy.1.weight", "energy.0.weight2", "optimizer", "energy.00.weight", ""] {
        let mut draft = Draft::valid();
        draft.tensor(surplus, &[1]);
        rejects(&draft, &format!("tensor `{surplus}` belongs to no layer of the description"));
    }
}

#[test]
fn a_checksum_must_be_that_of_the_data() {
    let mut draft = Draft::valid();
    for sum in [String::new(), "0".repeat(64), "zz".into()] {
        draft.set("sha256", &sum);
        rejects(&draft, "the weights do not match the file's SHA-256");
    }
}

/// The fixtures of other programs survive no truncation either.
#[test]
fn a_file_of_pytorch_truncated_anywhere_is_an_error() {
    let bytes = fixture("reference_image.safetensors");
    assert!(Model::from_bytes(&bytes).is_ok());
    for length in (0..bytes.len()).step_by(7) {
        assert!(rejection(&bytes[..length]).starts_with("not a valid safetensors file: "));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

    /// Bytes overwritten at random: an error or a model, never a panic.
    #[test]
    fn scribbled_files_are_errors(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        let mut bytes = Draft::valid().bytes();
        for (index, byte) in edits {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = Model::from_bytes(&bytes);
    }
}

/// A feature file: images of two pixels, three features, two classes.
fn feature_file() -> Draft {
    let mut draft = Draft { metadata: Default::default(), tensors: Default::default() };
    let linear = |i: u64, o: u64| json!({"type": "linear", "in_features": i, "out_features": o});
    draft.set("format", "dual-mcmc features");
    draft.set("format_version", "1");
    draft.set("name", "tiny");
    draft.set_json(
        "networks",
        &json!({
            "features": {"input": [1, 1, 2], "layers": [{"type": "flatten"}, linear(2, 3), {"type": "relu"}]},
            "classifier": {"input": [3], "layers": [linear(3, 2)]},
        }),
    );
    for (name, inputs, outputs) in [("features.1", 2, 3), ("classifier.0", 3, 2)] {
        draft.tensor(&format!("{name}.weight"), &[outputs, inputs]);
        draft.tensor(&format!("{name}.bias"), &[outputs]);
    }
    draft
}

#[test]
fn feature_files_are_read_back_and_truncated_ones_refused() {
    let features = Features::from_bytes(&feature_file().bytes()).unwrap();
    assert_eq!((features.name.as_str(), features.dimension()), ("tiny", 3));
    let bytes = features.to_bytes(Precision::F32).unwrap();
    assert_eq!(Features::from_bytes(&bytes).unwrap(), features);
    for length in 0..bytes.len() {
        let message = Features::from_bytes(&bytes[..length]).unwrap_err().to_string();
        assert!(message.starts_with("not a valid safetensors file: "), "{length} bytes: {message}");
    }
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert!(matches!(Features::from_bytes(&flipped), Err(ModelError::Checksum)));
}

#[test]
fn a_model_is_no_feature_file_and_the_other_way_round() {
    let message = Features::from_bytes(&Draft::valid().bytes()).unwrap_err().to_string();
    assert_eq!(message, "the file holds a model, not a feature network");
    let message = rejection(&feature_file().bytes());
    assert_eq!(message, "the file holds a feature network, not a model");
}

#[test]
fn impossible_feature_files_name_what_is_wrong() {
    let linear = |i: u64, o: u64| json!({"type": "linear", "in_features": i, "out_features": o});
    let networks =
        |features: Value, classifier: Value| json!({"features": features, "classifier": classifier});
    let whole = json!({"input": [1, 1, 2], "layers": [{"type": "flatten"}, linear(2, 3)]});
    let classes = json!({"input": [3], "layers": [linear(3, 2)]});
    let vector = json!({"input": [2], "layers": [linear(2, 3)]});
    let image = json!({"input": [1, 1, 2], "layers": [{"type": "relu"}]});
    let tilted = json!({"input": [3], "layers": [linear(3, 2)], "reference": 1.0});
    let other = json!({"input": [4], "layers": [linear(4, 2)]});
    for (description, expected) in [
        (networks(vector, classes.clone()), "must map images to a vector"),
        (networks(image, classes.clone()), "must map images to a vector"),
        (networks(whole.clone(), other), "must map the features to a vector"),
        (networks(whole.clone(), tilted), "reference"),
        (json!({"classifier": whole}), "must map the features"),
        (json!({"features": whole, "energy": classes}), "`energy` is neither"),
    ] {
        let mut draft = feature_file();
        draft.set_json("networks", &description);
        let message = Features::from_bytes(&draft.bytes()).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    let mut draft = feature_file();
    draft.set("name", "two words");
    assert!(Features::from_bytes(&draft.bytes()).unwrap_err().to_string().contains("two words"));
    let mut draft = feature_file();
    draft.tensor("features.9.weight", &[1]);
    assert!(Features::from_bytes(&draft.bytes()).unwrap_err().to_string().contains("features.9.weight"));
}
