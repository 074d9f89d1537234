//! What version 2 of the format adds: things that views of a model need beside its networks.

use super::ModelError;
use crate::points::PointSet;
use safetensors::tensor::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The tensor that holds examples. Those of networks have dots in their names.
pub(super) const EXAMPLES: &str = "examples";

/// Most examples in a file, and most bytes of them.
pub const MAX_EXAMPLES: usize = 64;
/// Most bytes that the examples may take.
pub const MAX_EXAMPLE_BYTES: usize = 512_000;

/// Most histograms in a file, most bins of one, and most characters of its name.
const MAX_HISTOGRAMS: usize = 64;
const MAX_BINS: usize = 256;
const MAX_NAME: usize = 100;

/// Bins of a histogram that is made here.
const BINS: usize = 48;

/// What a model's file says beside its networks and chains. A file that needs none of it is of version 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Annotations {
    /// The density that the data come from, if it is known exactly.
    pub density: Option<PointSet>,
    /// Held-out data.
    pub examples: Option<Examples>,
    /// How the energy is distributed over several kinds of samples.
    pub histograms: Vec<Histogram>,
    /// What other programs have added; kept, and otherwise ignored.
    pub extras: Map<String, Value>,
}

/// Samples of held-out data.
#[derive(Clone, Debug, PartialEq)]
pub enum Examples {
    /// Images `[n, C, H, W]`; v stands for v/127.5 - 1.
    Images(Vec<u8>),
    /// Vectors `[n, D]`.
    Vectors(Vec<f32>),
}

/// How often which energies occur among samples of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Histogram {
    /// What the samples are, for example `held_out_data`, `x_chain` or `uniform_noise`.
    pub name: String,
    /// The lower edge of the first bin and the upper edge of the last one.
    pub range: [f32; 2],
    /// Samples in each of the bins, which are equally wide.
    pub counts: Vec<u32>,
    /// The probability that such a sample has a higher energy than a held-out one (the area under the receiver
    /// operating characteristic), if the samples are foreign ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auroc: Option<f64>,
}

impl Annotations {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Annotations::default()
    }
}

impl Examples {
    /// As many of `x`, `[n, shape]`, as fit into a file. Images are rounded to 8 bits.
    pub fn of(x: &[f32], shape: &[usize]) -> Examples {
        let len: usize = shape.iter().product::<usize>().max(1);
        let (image, bytes) = (shape.len() == 3, if shape.len() == 3 { 1 } else { 4 });
        let count = (x.len() / len).min(MAX_EXAMPLES).min(MAX_EXAMPLE_BYTES / (len * bytes));
        let x = &x[..count * len];
        if image {
            // The conversion cuts off what lies outside.
            return Examples::Images(x.iter().map(|v| ((v + 1.0) * 127.5).round() as u8).collect());
        }
        Examples::Vectors(x.to_vec())
    }

    /// The samples as numbers, one after the other.
    pub fn values(&self) -> Vec<f32> {
        match self {
            Examples::Images(bytes) => bytes.iter().map(|v| f32::from(*v) / 127.5 - 1.0).collect(),
            Examples::Vectors(values) => values.clone(),
        }
    }

    /// How many samples of this shape there are.
    pub fn count(&self, shape: &[usize]) -> usize {
        let values = match self {
            Examples::Images(bytes) => bytes.len(),
            Examples::Vectors(values) => values.len(),
        };
        values / shape.iter().product::<usize>().max(1)
    }

    /// The tensor: its shape, its type and its bytes.
    pub(super) fn tensor(&self, shape: &[usize]) -> (Vec<usize>, Dtype, Vec<u8>) {
        let whole = std::iter::once(self.count(shape)).chain(shape.iter().copied()).collect();
        match self {
            Examples::Images(bytes) => (whole, Dtype::U8, bytes.clone()),
            Examples::Vectors(values) => {
                (whole, Dtype::F32, values.iter().flat_map(|v| v.to_le_bytes()).collect())
            }
        }
    }

    /// The examples in a file of a model on data of this shape, if there are any.
    pub(super) fn read(file: &SafeTensors, shape: &[usize]) -> Result<Option<Examples>, ModelError> {
        let Ok(tensor) = file.tensor(EXAMPLES) else { return Ok(None) };
        let is_image = shape.len() == 3;
        let name = EXAMPLES.to_string();
        let (expected, needs) = if is_image { (Dtype::U8, "U8") } else { (Dtype::F32, "F32") };
        let invalid = |reason| ModelError::Examples { reason };
        if tensor.dtype() != expected {
            return Err(invalid(format!("their dtype is {:?}, and must be {needs}", tensor.dtype())));
        }
        let count = tensor.shape().first().copied().unwrap_or(0);
        let whole: Vec<usize> = std::iter::once(count).chain(shape.iter().copied()).collect();
        if tensor.shape() != whole {
            return Err(ModelError::Shape { name, expected: whole, found: tensor.shape().to_vec() });
        }
        let bytes = tensor.data().len();
        if !(1..=MAX_EXAMPLES).contains(&count) || bytes > MAX_EXAMPLE_BYTES {
            return Err(invalid(format!(
                "{count} of them take {bytes} bytes; 1 to {MAX_EXAMPLES} in at most {MAX_EXAMPLE_BYTES} are accepted"
            )));
        }
        if is_image {
            return Ok(Some(Examples::Images(tensor.data().to_vec())));
        }
        let values: Vec<f32> = tensor.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        match values.iter().position(|v| !v.is_finite()) {
            Some(index) => Err(ModelError::NotFinite { name, index, value: values[index] }),
            None => Ok(Some(Examples::Vectors(values))),
        }
    }
}

impl Histogram {
    /// The histogram of these energies; none where no energy is finite.
    pub fn of(name: &str, energies: &[f32], auroc: Option<f64>) -> Option<Histogram> {
        let finite = || energies.iter().copied().filter(|e| e.is_finite());
        let (low, high) = finite().fold((f32::MAX, f32::MIN), |(low, high), e| (low.min(e), high.max(e)));
        let width = high - low;
        if !(width >= 0.0 && width.is_finite()) {
            return None;
        }
        let mut counts = vec![0; if width > 0.0 { BINS } else { 1 }];
        for e in finite() {
            let bin = if width > 0.0 { ((e - low) / width * BINS as f32) as usize } else { 0 };
            let last = counts.len() - 1;
            counts[bin.min(last)] += 1;
        }
        Some(Histogram { name: name.into(), range: [low, high], counts, auroc })
    }

    /// Number of samples.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }
}

/// Every histogram is one, and no two have one name.
pub(super) fn check_histograms(histograms: &[Histogram], has_energy: bool) -> Result<(), ModelError> {
    let invalid = |reason| Err(ModelError::Metadata { key: "energy_histograms", reason });
    if histograms.len() > MAX_HISTOGRAMS {
        return invalid(format!(
            "there are {} histograms; at most {MAX_HISTOGRAMS} are accepted",
            histograms.len()
        ));
    }
    if !histograms.is_empty() && !has_energy {
        return invalid("the file describes no energy".into());
    }
    for (i, Histogram { name, range: [low, high], counts, auroc }) in histograms.iter().enumerate() {
        if name.is_empty()
            || name.chars().count() > MAX_NAME
            || histograms[..i].iter().any(|h| h.name == *name)
        {
            return invalid(format!(
                "name {name:?} must be of 1 to {MAX_NAME} characters, and no other histogram's"
            ));
        }
        if !(low.is_finite() && high.is_finite() && low <= high) {
            return invalid(format!("{name}: [{low}, {high}] is not a range"));
        }
        if !(1..=MAX_BINS).contains(&counts.len()) || counts.iter().all(|count| *count == 0) {
            return invalid(format!("{name}: counts must be 1 to {MAX_BINS} numbers, not all of them zero"));
        }
        if auroc.is_some_and(|area| !(0.0..=1.0).contains(&area)) {
            return invalid(format!("{name}: auroc must be between 0 and 1"));
        }
    }
    Ok(())
}

/// A density of data of this shape.
pub(super) fn density(name: &str, shape: &[usize]) -> Result<PointSet, ModelError> {
    let invalid = |reason| ModelError::Metadata { key: "density", reason };
    let known = PointSet::ALL.map(|set| set.name());
    let set = PointSet::from_name(name)
        .ok_or_else(|| invalid(format!("{name:?} is none of {}", known.join(", "))))?;
    if shape != [2] {
        return Err(invalid(format!(
            "{name} is a density of the plane, and the data have the shape {shape:?}"
        )));
    }
    Ok(set)
}
