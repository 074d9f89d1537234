//! Model files for tests, put together by hand so that they can also be wrong.
#![allow(dead_code, clippy::unwrap_used)]

use dual_mcmc::model::{Model, ModelError};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The metadata of a file.
pub fn metadata(bytes: &[u8]) -> BTreeMap<String, String> {
    let end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..end]).unwrap();
    serde_json::from_value(header["__metadata__"].clone()).unwrap()
}

/// A tensor of a [`Draft`].
#[derive(Clone)]
pub struct Tensor {
    pub dtype: &'static str,
    pub shape: Vec<u64>,
    pub bytes: Vec<u8>,
}

/// A safetensors file before it is written, each part open to damage.
#[derive(Clone)]
pub struct Draft {
    pub metadata: BTreeMap<String, String>,
    pub tensors: BTreeMap<String, Tensor>,
}

impl Draft {
    /// A small valid model: an energy with a reference, a generator and an encoder on the plane.
    pub fn valid() -> Draft {
        let linear = |i: u64, o: u64| json!({"type": "linear", "in_features": i, "out_features": o});
        let mut draft = Draft { metadata: BTreeMap::new(), tensors: BTreeMap::new() };
        draft.set("format_version", "1");
        draft.set_json(
            "networks",
            &json!({
                "energy": {"input": [2], "reference": 3.0,
                    "layers": [linear(2, 3), {"type": "silu"}, linear(3, 1)]},
                "generator": {"input": [2], "layers": [linear(2, 2)]},
                "encoder": {"input": [2], "layers": [linear(2, 4)]},
            }),
        );
        draft.set_json("chains", &json!({"x": {"steps": 5, "step_size": 0.1, "noise": 0.1}}));
        draft.set_json("provenance", &json!({"data": "ring", "seed": 3, "metrics": {"good": 0.5}}));
        for (role, sizes) in [
            ("energy", vec![(0, 2, 3), (2, 3, 1)]),
            ("generator", vec![(0, 2, 2)]),
            ("encoder", vec![(0, 2, 4)]),
        ] {
            for (index, inputs, outputs) in sizes {
                draft.tensor(&format!("{role}.{index}.weight"), &[outputs, inputs]);
                draft.tensor(&format!("{role}.{index}.bias"), &[outputs]);
            }
        }
        draft
    }

    /// Put an f32 tensor of ramping values.
    pub fn tensor(&mut self, name: &str, shape: &[u64]) {
        let count = shape.iter().product::<u64>();
        let bytes = (0..count).flat_map(|i| (0.25 * i as f32 - 0.5).to_le_bytes()).collect();
        self.tensors.insert(name.into(), Tensor { dtype: "F32", shape: shape.to_vec(), bytes });
    }

    pub fn set(&mut self, key: &str, value: &str) {
        self.metadata.insert(key.into(), value.into());
    }

    pub fn set_json(&mut self, key: &str, value: &Value) {
        self.set(key, &value.to_string());
    }

    /// Change one metadata entry as JSON.
    pub fn edit(mut self, key: &str, change: impl FnOnce(&mut Value)) -> Draft {
        let mut value = serde_json::from_str(&self.metadata[key]).unwrap();
        change(&mut value);
        self.set_json(key, &value);
        self
    }

    /// The file's bytes: header length, header, tensors in order of name.
    pub fn bytes(&self) -> Vec<u8> {
        let mut header = json!({"__metadata__": self.metadata});
        let mut data = Vec::new();
        for (name, tensor) in &self.tensors {
            let start = data.len();
            data.extend(&tensor.bytes);
            header[name] =
                json!({"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [start, data.len()]});
        }
        container(&header.to_string(), &data)
    }

    pub fn read(&self) -> Result<Model, ModelError> {
        Model::from_bytes(&self.bytes())
    }
}

/// A file of a header as text and the data after it.
pub fn container(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

/// The bytes of a file in `tests/fixtures`.
pub fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The message for `bytes`, which must not be a model.
#[track_caller]
pub fn rejection(bytes: &[u8]) -> String {
    match Model::from_bytes(bytes) {
        Ok(_) => panic!("accepted as a model"),
        Err(error) => error.to_string(),
    }
}

/// `draft` is rejected with a message that contains `expected`.
#[track_caller]
pub fn rejects(draft: &Draft, expected: &str) {
    let message = rejection(&draft.bytes());
    assert!(message.contains(expected), "said {message:?}, expected {expected:?}");
    assert!(message.lines().count() <= 2 && message.len() < 400, "too long: {message}");
}
