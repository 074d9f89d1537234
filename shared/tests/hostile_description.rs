//! Model files whose metadata describe what cannot be: each gives an error that names the problem,
//! none a panic.
#![allow(clippy::unwrap_used)]

mod model_file;

use dual_mcmc::network::{Layer, Network};
use model_file::{Draft, container, rejection, rejects};
use proptest::prelude::*;
use serde_json::{Value, json};

fn layer_edit(change: impl FnOnce(&mut Value)) -> Draft {
    Draft::valid().edit("networks", |n| change(&mut n["energy"]["layers"]))
}

/// A model that is an energy of these layers on this input, without any tensor.
fn bare_energy(input: Value, layers: Value) -> Draft {
    let mut draft = Draft::valid();
    draft.tensors.clear();
    draft.set_json("networks", &json!({"energy": {"input": input, "layers": layers}}));
    draft
}

#[test]
fn metadata_that_is_missing_or_of_another_version() {
    for key in ["format_version", "networks"] {
        let mut draft = Draft::valid();
        draft.metadata.remove(key);
        rejects(&draft, &format!("metadata `{key}` is missing"));
    }
    for version in ["3", "", "1.0", "one"] {
        let mut draft = Draft::valid();
        draft.set("format_version", version);
        rejects(&draft, &format!("format version {version:?} is not supported"));
    }
    for key in ["networks", "chains", "energy_quantiles", "provenance"] {
        for text in ["", "{", "null", "[]", "7", "{\"energy\": 3}", "\u{0}"] {
            let mut draft = Draft::valid();
            draft.set(key, text);
            // An empty list is no object, but serde reads it as a struct whose fields all have defaults.
            let harmless = text == "{\"energy\": 3}" && key == "provenance"
                || text == "[]" && ["chains", "provenance"].contains(&key)
                || text == "null" && key == "energy_quantiles";
            if !harmless {
                let message = rejection(&draft.bytes());
                assert!(
                    message.contains(key) || message.contains("neither an energy"),
                    "{key} {text}: {message}"
                );
            }
        }
    }
    let header = json!({"__metadata__": {"format_version": 1}}).to_string();
    assert!(rejection(&container(&header, b"")).contains("not a valid safetensors file"));
}

#[test]
fn annotations_that_are_not_valid() {
    let with = |change: &dyn Fn(&mut Draft)| {
        let mut draft = Draft::valid();
        draft.set("format_version", "2");
        draft.set("density", "ring");
        draft.tensor("examples", &[3, 2]);
        draft.set_json("extras", &json!({"what": "ever"}));
        let kind = |name: &str| json!({"name": name, "range": [-1.0, 1.0], "counts": [1, 0], "auroc": 0.5});
        draft.set_json("energy_histograms", &json!([kind("a"), kind("b")]));
        change(&mut draft);
        draft
    };
    assert!(with(&|_| ()).read().is_ok());
    let first = with(&|d| d.set("format_version", "1"));
    rejects(&first, "tensor `examples` belongs to no layer");
    for density in ["", "rings", "Ring"] {
        rejects(&with(&|d| d.set("density", density)), "metadata `density` is not valid");
    }
    for extras in ["[1]", "null x", "3"] {
        rejects(&with(&|d| d.set("extras", extras)), "metadata `extras` is not valid");
    }
    for (key, value) in [
        ("name", json!("")),
        ("name", json!("b")),
        ("name", json!("x".repeat(101))),
        ("range", json!([1.0, -1.0])),
        ("range", json!([0.0])),
        ("counts", json!([])),
        ("counts", json!([0, 0])),
        ("counts", json!([-1])),
        ("counts", json!(vec![1; 257])),
        ("auroc", json!(1.5)),
        ("aurok", json!(0.5)),
    ] {
        let draft = with(&|_| ()).edit("energy_histograms", |all| all[0][key] = value.clone());
        rejects(&draft, "metadata `energy_histograms` is not valid");
    }
    let many: Vec<_> =
        (0..65).map(|i| json!({"name": format!("{i}"), "range": [0, 1], "counts": [1]})).collect();
    rejects(&with(&|d| d.set_json("energy_histograms", &json!(many))), "at most 64");
    for (shape, message) in [
        (&[3, 3][..], "tensor `examples` has shape [3, 3], its layer needs [3, 2]"),
        (&[2], "tensor `examples` has shape"),
        (&[0, 2], "1 to 64"),
        (&[65, 2], "1 to 64"),
    ] {
        rejects(&with(&|d| d.tensor("examples", shape)), message);
    }
    let dtype = with(&|d| d.tensors.get_mut("examples").unwrap().dtype = "U32");
    rejects(&dtype, "their dtype is U32, and must be F32");
    let not_finite = f32::NAN.to_le_bytes();
    let draft = with(&|d| d.tensors.get_mut("examples").unwrap().bytes[4..8].copy_from_slice(&not_finite));
    rejects(&draft, "tensor `examples` holds NaN at element 1");
    // Energies of a model that has none.
    let mut draft = with(&|_| ());
    draft = draft.edit("networks", |n| drop(n.as_object_mut().unwrap().remove("energy")));
    draft.tensors.retain(|name, _| !name.starts_with("energy"));
    rejects(&draft, "describes no energy");
}

#[test]
fn unknown_keys() {
    rejects(&Draft::valid().edit("networks", |n| n["energy"]["referense"] = json!(1.0)), "referense");
    rejects(&layer_edit(|l| l[0]["in_feature"] = json!(2)), "in_feature");
    rejects(&layer_edit(|l| l[1]["slope"] = json!(0.2)), "layer `silu` has no key `slope`");
    rejects(&layer_edit(|l| l[1]["type"] = json!("swish")), "swish");
    rejects(&layer_edit(|l| l[1] = json!({})), "type");
    rejects(&Draft::valid().edit("chains", |c| c["w"] = json!(1)), "unknown field `w`");
    rejects(&Draft::valid().edit("chains", |c| c["x"]["stepsize"] = json!(1)), "unknown field `stepsize`");
    rejects(&Draft::valid().edit("chains", |c| c["x"]["sigma"] = json!(1)), "an x-chain has no key `sigma`");
    rejects(&Draft::valid().edit("networks", |n| n["critic"] = n["energy"].clone()), "`critic`");
    let mut draft = Draft::valid();
    draft.set_json("energy_quantiles", &json!({"probabilities": [], "energies": [], "mean": 1}));
    rejects(&draft, "mean");
    // What a stranger says of a file's origin is the stranger's business.
    Draft::valid().edit("provenance", |p| p["author"] = json!("someone")).read().unwrap();
}

#[test]
fn numbers_that_are_no_sizes() {
    for wrong in [json!(-1), json!(2.5), json!("2"), json!(null), json!([2]), json!(1e30)] {
        rejects(&layer_edit(|l| l[0]["in_features"] = wrong.clone()), "metadata `networks` is not valid");
        rejects(
            &Draft::valid().edit("networks", |n| n["energy"]["input"] = json!([wrong])),
            "metadata `networks` is not valid",
        );
    }
    for shape in [
        json!([]),
        json!([0]),
        json!([1, 2]),
        json!([1, 0, 4]),
        json!([1, 1, 1, 1]),
        json!([u64::MAX]),
        json!([1u64 << 32, 1u64 << 32, 1]),
    ] {
        rejects(&bare_energy(shape, json!([])), "energy: network input: shape");
    }
    rejects(&bare_energy(json!([1u64 << 29]), json!([])), "larger than 268435456 elements");
}

#[test]
fn chains_that_cannot_run() {
    let x = |key: &str, value: Value| Draft::valid().edit("chains", |c| c["x"][key] = value);
    rejects(&x("step_size", json!(0)), "step_size must be positive, not 0");
    rejects(&x("step_size", json!(-0.1)), "step_size must be positive");
    rejects(&x("step_size", json!(1e39)), "step_size must be positive, not inf");
    rejects(&x("noise", json!(-1)), "noise must not be negative");
    rejects(&x("noise", json!(null)), "metadata `chains` is not valid");
    rejects(&x("steps", json!(-3)), "metadata `chains` is not valid");
    rejects(&x("gradient_clamp", json!(0)), "gradient_clamp must be positive");
    rejects(&x("range_clamp", json!([1, -1])), "is not a range");
    rejects(&x("range_clamp", json!([1])), "metadata `chains` is not valid");
    let z = json!({"steps": 1, "step_size": 0.1, "noise": 0.1, "sigma": 0});
    rejects(&Draft::valid().edit("chains", |c| c["z"] = z), "sigma must be positive");
    let z = json!({"steps": 1, "step_size": 0.1, "noise": 0.1});
    rejects(&Draft::valid().edit("chains", |c| c["z"] = z), "sigma");
}

#[test]
fn quantiles_that_are_none() {
    for (probabilities, energies) in [
        (json!([0.1, 0.5]), json!([1.0])),
        (json!([0.5, 0.1]), json!([1.0, 2.0])),
        (json!([0.1, 0.5]), json!([2.0, 1.0])),
        (json!([0.1, 1.5]), json!([1.0, 2.0])),
        (json!([0.1]), json!([1e39])),
    ] {
        let mut draft = Draft::valid();
        draft.set_json("energy_quantiles", &json!({"probabilities": probabilities, "energies": energies}));
        rejects(&draft, "metadata `energy_quantiles` is not valid");
    }
}

#[test]
fn layers_that_do_not_fit() {
    rejects(
        &layer_edit(|l| l[2]["in_features"] = json!(7)),
        "energy: layer 2 (linear) does not fit its input [3]: it expects [7]",
    );
    rejects(&layer_edit(|l| l[1] = json!({"type": "upsample_nearest"})), "layer 1 (upsample_nearest)");
    rejects(&layer_edit(|l| l[1] = json!({"type": "reshape", "shape": [4]})), "another number of elements");
    rejects(
        &layer_edit(|l| l[1] = json!({"type": "reshape", "shape": [1, 3]})),
        "neither a vector [N] nor an image",
    );
    rejects(&layer_edit(|l| l[1] = json!({"type": "reshape", "shape": []})), "layer 1 (reshape)");
    rejects(
        &layer_edit(|l| l[1] = json!({"type": "reshape", "shape": [u64::MAX, u64::MAX, 3]})),
        "layer 1 (reshape)",
    );
    rejects(&layer_edit(|l| l[1] = json!({"type": "scale_shift", "channels": 2})), "it expects 2 channels");
    rejects(&layer_edit(|l| l[1] = json!({"type": "leaky_relu", "slope": 1e39})), "slope must be finite");
    rejects(&layer_edit(|l| l[0]["out_features"] = json!(0)), "layer 0 (linear)");
    let image = |layer: Value| bare_energy(json!([1, 8, 8]), json!([layer]));
    let conv = |kernel: u64, stride: u64, padding: u64| json!({"type": "conv2d", "in_channels": 1, "out_channels": 1, "kernel": kernel, "stride": stride, "padding": padding});
    rejects(&image(conv(0, 1, 0)), "kernel and stride must be at least 1");
    rejects(&image(conv(3, 0, 0)), "kernel and stride must be at least 1");
    rejects(&image(conv(3, 1, 3)), "padding 3 must be less than kernel 3");
    rejects(&image(conv(9, 1, 0)), "larger than the padded input");
    rejects(&image(conv(u64::MAX, 1, u64::MAX - 1)), "layer 0 (conv2d)");
    rejects(&image(conv(3, u64::MAX, 0)), "energy must map");
    let transposed = |kernel: u64, stride: u64, padding: u64, more: u64| json!({"type": "conv_transpose2d", "in_channels": 1, "out_channels": 1, "kernel": kernel, "stride": stride, "padding": padding, "output_padding": more});
    rejects(&image(transposed(0, 1, 0, 0)), "kernel and stride must be at least 1");
    rejects(&image(transposed(3, 1, 3, 0)), "padding must be less than kernel");
    rejects(&image(transposed(3, 2, 0, 2)), "output_padding less than stride");
    rejects(&image(transposed(11, 1, 10, 0)), "leaves nothing");
    rejects(&image(transposed(3, u64::MAX, 0, 0)), "layer 0 (conv_transpose2d)");
    rejects(&image(transposed(1 << 40, 1, 0, 0)), "layer 0 (conv_transpose2d)");
    rejects(&image(json!({"type": "average_pool", "kernel": 0})), "does not divide");
    rejects(&image(json!({"type": "average_pool", "kernel": 3})), "does not divide");
    rejects(&image(json!({"type": "linear", "in_features": 64, "out_features": 1})), "it expects [64]");
}

#[test]
fn residuals_whose_paths_do_not_meet() {
    let residual = |main: Value, shortcut: Value| {
        let layer = json!({"type": "residual", "main": main, "shortcut": shortcut});
        bare_energy(json!([1, 8, 8]), json!([layer]))
    };
    let pool = json!({"type": "average_pool", "kernel": 2});
    rejects(
        &residual(json!([pool]), json!([])),
        "layer 0 (residual) does not fit its input [1, 8, 8]: its main path makes [1, 4, 4], its shortcut [1, 8, 8]",
    );
    let linear = json!({"type": "linear", "in_features": 3, "out_features": 3});
    rejects(
        &residual(json!([]), json!([pool, linear])),
        "in its shortcut path, layer 1 (linear) does not fit its input [1, 4, 4]: it expects [3]",
    );
    rejects(&bare_energy(json!([4]), json!([{"type": "residual"}])), "main");
    // Layers inside count, however they are packed, and no depth overflows the stack.
    let silus = |n: usize| vec![json!({"type": "silu"}); n];
    rejects(&residual(json!(silus(600)), json!(silus(600))), "1201 layers");
    let nested = |depth| (0..depth).fold(json!([]), |inner, _| json!([{"type": "residual", "main": inner}]));
    rejects(&bare_energy(json!([4]), nested(20)), "energy must map");
    rejects(&bare_energy(json!([4]), nested(100)), "recursion limit");
}

#[test]
fn networks_that_do_not_fit_their_roles() {
    rejects(
        &layer_edit(|l| l[2]["out_features"] = json!(2)),
        "energy must map [2] to [1], but maps [2] to [2]",
    );
    let edit =
        |role: &str, key: &str, value: Value| Draft::valid().edit("networks", |n| n[role][key] = value);
    rejects(&edit("energy", "reference", json!(-1)), "reference width must be a positive number, not -1");
    rejects(&edit("energy", "reference", json!(0)), "reference width");
    rejects(&edit("generator", "reference", json!(1)), "only an energy may have one");
    let wide = json!([{"type": "linear", "in_features": 2, "out_features": 3}]);
    rejects(&edit("generator", "layers", wide.clone()), "generator must map a latent vector [d] to [2]");
    rejects(&edit("encoder", "layers", wide), "encoder must map [2] to [4], but maps [2] to [3]");
    let remove = |roles: &[&str]| {
        let roles: Vec<String> = roles.iter().map(|r| r.to_string()).collect();
        Draft::valid().edit("networks", move |n| {
            roles.iter().for_each(|r| drop(n.as_object_mut().unwrap().remove(r)));
        })
    };
    rejects(&remove(&["generator"]), "an encoder but no generator");
    rejects(&remove(&["generator", "energy"]), "neither an energy nor a generator");
    rejects(&remove(&["generator", "energy", "encoder"]), "neither an energy nor a generator");
    rejects(&remove(&["encoder"]), "tensor `encoder.0.bias` belongs to no layer");
}

#[test]
fn more_layers_than_any_network_has() {
    let layers: Vec<Value> = (0..1025).map(|_| json!({"type": "tanh"})).collect();
    rejects(&bare_energy(json!([1]), json!(layers)), "the network has 1025 layers; at most 1024");
    let layers: Vec<Value> = (0..1024).map(|_| json!({"type": "tanh"})).collect();
    let draft = bare_energy(json!([1]), json!(layers));
    assert_eq!(draft.read().unwrap().energy.unwrap().network.layers.len(), 1024);
    let layers: Vec<Value> = (0..20).map(|_| json!({"type": "upsample_nearest"})).collect();
    rejects(&bare_energy(json!([1, 1, 1]), json!(layers)), "layer 14 (upsample_nearest)");
    let layers = json!([{"type": "tanh"}, {"type": "global_average_pool"}]);
    rejects(&bare_energy(json!([1, 8192, 8192]), layers), "one sample takes 134217729 activations");
}

/// Sizes that a hostile description might claim.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0usize..6,
        1 => prop::sample::select(vec![1 << 14, 1 << 28, 1 << 31, 1 << 32, usize::MAX / 2, usize::MAX - 1, usize::MAX]),
    ]
}

fn layer() -> impl Strategy<Value = Layer> {
    prop_oneof![
        (size(), size(), any::<bool>()).prop_map(|(in_features, out_features, bias)| Layer::Linear {
            in_features,
            out_features,
            bias
        }),
        (size(), size(), size(), size(), size(), any::<bool>()).prop_map(
            |(in_channels, out_channels, kernel, stride, padding, bias)| Layer::Conv2d {
                in_channels,
                out_channels,
                kernel,
                stride,
                padding,
                bias
            }
        ),
        Just(Layer::UpsampleNearest),
        size().prop_map(|kernel| Layer::AveragePool { kernel }),
        Just(Layer::GlobalAveragePool),
        any::<f32>().prop_map(|slope| Layer::LeakyRelu { slope }),
        Just(Layer::Silu),
        prop::collection::vec(size(), 0..5).prop_map(|shape| Layer::Reshape { shape }),
        Just(Layer::Flatten),
        size().prop_map(|channels| Layer::ScaleShift { channels }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

    /// Any description at all gives shapes or an error, never an overflow.
    #[test]
    fn absurd_descriptions_are_errors(
        input in prop::collection::vec(size(), 0..5),
        layers in prop::collection::vec(layer(), 0..6),
        reference in prop::option::of(any::<f32>()),
    ) {
        let network = Network { input, layers, reference };
        match network.shapes() {
            Ok(shapes) => {
                prop_assert_eq!(shapes.len(), network.layers.len() + 1);
                prop_assert!(network.flops().is_ok());
                prop_assert_eq!(network.parameter_count(), network.parameters().iter().map(|p| p.range().len()).sum::<usize>());
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

/// The messages that docs/model-format.md quotes are the messages given.
#[test]
fn the_page_quotes_what_is_said() {
    let page = include_str!("../../docs/model-format.md");
    let linear = |i: u64, o: u64| json!({"type": "linear", "in_features": i, "out_features": o});
    let edit =
        |role: &str, key: &str, value: Value| Draft::valid().edit("networks", |n| n[role][key] = value);
    let wide = || {
        let mut draft = bare_energy(json!([2]), json!([linear(2, 32), {"type": "silu"}, linear(32, 1)]));
        draft.tensor("energy.0.weight", &[32, 2]);
        draft.tensor("energy.0.bias", &[32]);
        draft.tensor("energy.2.weight", &[1, 32]);
        draft.tensor("energy.2.bias", &[1]);
        draft
    };
    let with = |change: &dyn Fn(&mut Draft)| {
        let mut draft = wide();
        change(&mut draft);
        draft
    };
    wide().read().unwrap();
    let drafts = [
        with(&|d| drop(d.metadata.remove("networks"))),
        with(&|d| d.set("format_version", "3")),
        wide().edit("chains", |c| c["x"]["step_size"] = json!(0)),
        wide().edit("networks", |n| n["energy"]["layers"][2]["in_features"] = json!(64)),
        bare_energy(json!([0]), json!([])),
        bare_energy(json!([1]), json!(vec![json!({"type": "tanh"}); 1025])),
        bare_energy(json!([1, 8192, 8192]), json!([{"type": "tanh"}, {"type": "global_average_pool"}])),
        edit("encoder", "layers", json!([linear(2, 3)])),
        edit("energy", "reference", json!(-1)),
        edit("generator", "reference", json!(1)),
        with(&|d| d.set_json("networks", &json!({}))),
        Draft::valid().edit("networks", |n| drop(n.as_object_mut().unwrap().remove("generator"))),
        with(&|d| drop(d.tensors.remove("energy.0.weight"))),
        with(&|d| d.tensor("energy.9.weight", &[1])),
        with(&|d| d.tensor("energy.0.weight", &[2, 32])),
        with(&|d| d.tensors.get_mut("energy.0.weight").unwrap().dtype = "BF16"),
        with(&|d| d.tensors.get_mut("energy.0.weight").unwrap().bytes[12..16].fill(0xFF)),
        with(&|d| d.set("sha256", "0")),
        with(&|d| {
            d.set("format_version", "2");
            d.tensor("examples", &[65, 2]);
        }),
        with(&|d| {
            d.set("format_version", "2");
            d.set("density", "rings");
        }),
    ];
    for draft in drafts {
        // A tensor of two bytes an element takes half the room.
        let mut draft = draft;
        for tensor in draft.tensors.values_mut().filter(|t| t.dtype == "BF16") {
            tensor.bytes.truncate(tensor.bytes.len() / 2);
        }
        let message = rejection(&draft.bytes());
        assert!(page.contains(&format!("`{message}`")), "the page does not quote: {message}");
    }
}
