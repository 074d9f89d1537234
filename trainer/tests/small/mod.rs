//! Two small recipes: smooth nets on points, and an image recipe with batch norm and spectral norm.

#![allow(dead_code, clippy::unwrap_used)]

#[cfg(feature = "remote")]
pub mod worker;

use burn::tensor::Device;
use dual_mcmc::executor::Executor;
use dual_mcmc::noise::{Noise, Stream};
use dual_mcmc_trainer::recipe::Recipe;
#[cfg(feature = "cli")]
use dual_mcmc_trainer::run::device::{DeviceChoice, TrainingDevice, training};
use dual_mcmc_trainer::teaching::{Batch, Teacher};

/// A GPU for both burn and the chains; a software one will do. Its absence is an error, unless the environment says
/// that there is none.
#[cfg(feature = "cli")]
pub fn gpu() -> Option<TrainingDevice> {
    match training(DeviceChoice::Gpu) {
        Ok(device) => Some(device),
        Err(error) => {
            let none = std::env::var("DUAL_MCMC_NO_GPU").is_ok_and(|v| v == "true");
            assert!(none, "{error:#} (a software one will do; DUAL_MCMC_NO_GPU=true leaves these tests out)");
            eprintln!("NOT TESTED on a GPU: {error:#}");
            None
        }
    }
}

pub const POINTS: &str = r#"
name = "points"
[data]
set = "ring"
noise = 0.01
[energy]
input = [2]
reference = 3.0
layers = [
  { type = "linear", in_features = 2, out_features = 32 },
  { type = "silu" },
  { type = "linear", in_features = 32, out_features = 32 },
  { type = "silu" },
  { type = "linear", in_features = 32, out_features = 1 },
]
[generator]
input = [2]
layers = [
  { type = "linear", in_features = 2, out_features = 32 },
  { type = "silu" },
  { type = "linear", in_features = 32, out_features = 2 },
]
[encoder]
input = [2]
layers = [
  { type = "linear", in_features = 2, out_features = 32 },
  { type = "silu" },
  { type = "linear", in_features = 32, out_features = 4 },
]
[x_chain]
steps = 5
step_size = 0.1
noise = 0.1
[z_chain]
steps = 4
step_size = 0.1
noise = 0.1
sigma = 0.3
[teaching]
batch = 32
lambda_ebm = 1.0
energy_l2 = 0.05
persistent = { share = 0.25, size = 100, restart = 0.2, range = [-4.0, 4.0] }
[optimiser]
energy = { rate = 3e-3, beta1 = 0.5 }
generator = { rate = 3e-3 }
encoder = { rate = 3e-3, clip = 1.0 }
[schedule]
iterations = 20
constant = 0.2
"#;

pub const IMAGES: &str = r#"
name = "images"
[data]
set = "blobs"
[energy]
input = [1, 8, 8]
spectral_norm = true
layers = [
  { type = "conv2d", in_channels = 1, out_channels = 8, kernel = 3, padding = 1 },
  { type = "leaky_relu", slope = 0.2 },
  { type = "average_pool", kernel = 2 },
  { type = "conv2d", in_channels = 8, out_channels = 16, kernel = 3, padding = 1 },
  { type = "leaky_relu", slope = 0.2 },
  { type = "average_pool", kernel = 2 },
  { type = "flatten" },
  { type = "linear", in_features = 64, out_features = 1 },
]
[generator]
input = [6]
layers = [
  { type = "linear", in_features = 6, out_features = 32 },
  { type = "reshape", shape = [8, 2, 2] },
  { type = "upsample_nearest" },
  { type = "conv2d", in_channels = 8, out_channels = 8, kernel = 3, padding = 1 },
  { type = "batch_norm", channels = 8, weight = "normal" },
  { type = "leaky_relu", slope = 0.2 },
  { type = "upsample_nearest" },
  { type = "conv2d", in_channels = 8, out_channels = 1, kernel = 3, padding = 1 },
  { type = "tanh" },
]
[encoder]
input = [1, 8, 8]
initialisation = "xavier_normal"
layers = [
  { type = "conv2d", in_channels = 1, out_channels = 8, kernel = 4, stride = 2, padding = 1, bias = false },
  { type = "batch_norm", channels = 8 },
  { type = "leaky_relu", slope = 0.2 },
  { type = "flatten" },
  { type = "linear", in_features = 128, out_features = 12 },
]
[x_chain]
steps = 5
step_size = 1.0
noise = 0.01
[z_chain]
steps = 4
step_size = 0.1
noise = 0.1
sigma = 0.3
[teaching]
batch = 8
lambda_ebm = 5.0
[optimiser]
energy = { rate = 5e-4 }
generator = { rate = 5e-4, weight_decay = 5e-4 }
encoder = { rate = 5e-4, weight_decay = 5e-4 }
[schedule]
iterations = 20
[export]
statistics_batches = 20
"#;

pub fn recipe(text: &str, overrides: &[(&str, &str)]) -> Recipe {
    let overrides: Vec<_> = overrides.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    Recipe::parse_with(text, &overrides).unwrap()
}

pub fn teacher(recipe: &Recipe, seed: u64) -> Teacher {
    Teacher::new(recipe, &Device::flex(), Executor::Cpu { threads: 2 }, seed).unwrap()
}

/// A batch of such rows, the first samples of their data.
pub fn batch_of(recipe: &Recipe, values: Vec<f32>) -> Batch {
    Batch { samples: (0..recipe.teaching.batch).collect(), values }
}

/// A batch for `iteration`, in the data's range.
pub fn batch(recipe: &Recipe, iteration: u64) -> Batch {
    let len = recipe.data_len();
    let noise = Noise::new(99, Stream::Data);
    let normals = noise.normal_rows(0, recipe.teaching.batch, len, iteration as u32);
    batch_of(recipe, normals.into_iter().map(|v| (0.7 * v).clamp(-1.0, 1.0)).collect())
}

/// One of the project's recipes.
pub fn shipped(name: &str, overrides: &[(&str, &str)]) -> Recipe {
    let path = format!("{}/../recipes/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    recipe(&std::fs::read_to_string(path).unwrap(), overrides)
}

/// The recipe with every width divided, except those of grey or colour images and of energies.
pub fn narrowed(recipe: &Recipe, by: usize) -> Recipe {
    let mut narrow = serde_json::to_value(recipe).unwrap();
    for role in ["energy", "generator", "encoder"] {
        narrow_widths(&mut narrow[role], by);
    }
    let recipe: Recipe = serde_json::from_value(narrow).unwrap();
    recipe.check().unwrap();
    recipe
}

fn narrow_widths(value: &mut serde_json::Value, by: usize) {
    let narrow = |width: &mut serde_json::Value| {
        let n = width.as_u64().unwrap() as usize;
        if n > 3 {
            *width = (n / by).into();
        }
    };
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                match key.as_str() {
                    "in_channels" | "out_channels" | "channels" | "in_features" | "out_features" => {
                        narrow(value)
                    }
                    "input" | "shape" => narrow(&mut value[0]),
                    _ => narrow_widths(value, by),
                }
            }
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(|v| narrow_widths(v, by)),
        _ => {}
    }
}
