#![allow(clippy::unwrap_used)]

use super::*;

const SMALL: &str = r#"
name = "small"
[data]
set = "ring"
[energy]
input = [2]
reference = 3.0
layers = [
  { type = "linear", in_features = 2, out_features = 8 },
  { type = "silu" },
  { type = "linear", in_features = 8, out_features = 1 },
]
[generator]
input = [3]
layers = [
  { type = "linear", in_features = 3, out_features = 8 },
  { type = "batch_norm", channels = 8 },
  { type = "leaky_relu", slope = 0.2 },
  { type = "linear", in_features = 8, out_features = 2 },
]
[encoder]
input = [2]
layers = [{ type = "linear", in_features = 2, out_features = 6 }]
[x_chain]
steps = 4
step_size = 0.1
noise = 0.1
[z_chain]
steps = 3
step_size = 0.1
noise = 0.1
sigma = 0.3
[teaching]
batch = 16
lambda_ebm = 1
[optimiser]
energy = { rate = 1e-3 }
generator = { rate = 1e-3 }
encoder = { rate = 1e-3 }
[schedule]
iterations = 100
constant = 0.5
"#;

fn set(key: &str, value: &str) -> Result<Recipe, RecipeError> {
    Recipe::parse_with(SMALL, &[(key.into(), value.into())])
}

#[test]
fn a_recipe_is_what_it_is_written_as() {
    let recipe = Recipe::parse(SMALL).unwrap();
    assert_eq!(recipe.latent(), 3);
    assert_eq!(recipe.teaching.lambda_inf, 0.1);
    assert_eq!(recipe.optimiser.energy.unwrap().epsilon, 1e-8);
    assert_eq!(recipe.z_chain.unwrap().start, ZStart::Encoder);
    let text = recipe.to_toml();
    assert_eq!(Recipe::parse(&text).unwrap(), recipe, "{text}");
    assert!(text.contains("step_size = 0.1\n"), "floats are written as they were read:\n{text}");
}

#[test]
fn unknown_keys_are_errors_everywhere() {
    for (key, value) in [
        ("nmae", "1"),
        ("data.sett", "1"),
        ("energy.spectral", "true"),
        ("energy.layers.0.in_feature", "2"),
        ("energy.layers.1.slope", "0.1"),
        ("generator.layers.1.momentum", "0.1"),
        ("x_chain.sigma", "1"),
        ("z_chain.temperature", "1"),
        ("teaching.lambda", "1"),
        ("teaching.persistent", "{ share = 0.5, size = 64, restart = 0.1, range = [-1, 1], seed = 1 }"),
        ("optimiser.energy.lr", "1"),
        ("optimiser.decoder.rate", "1"),
        ("schedule.steps", "1"),
        ("ema.encoder", "0.9"),
        ("export.batches", "3"),
    ] {
        let error = set(key, value).unwrap_err().to_string();
        let last = key.rsplit('.').next().unwrap();
        assert!(
            error.contains(last) || error.contains("seed") || error.contains("decoder"),
            "{key}: {error}"
        );
        assert!(error.lines().count() <= 2, "{error}");
    }
}

#[test]
fn unknown_words_come_with_what_may_have_been_meant() {
    for (key, value, expected) in [
        ("x_chian.steps", "4", "`x_chian`; did you mean `x_chain`?"),
        ("x_chain.step", "4", "`step` in `x_chain`; did you mean `steps`?"),
        ("data.sett", "1", "`sett` in `data`; did you mean `set`?"),
        ("energy.spectral", "true", "`spectral` in `energy`; did you mean `spectral_norm`?"),
        ("energy.layers.0.in_feature", "2", "did you mean `in_features`?"),
        ("energy.layers.1.type", "sliu", "there is no layer `sliu`; did you mean `silu`?"),
        ("energy.layers.1.type", "dropout", "there is no layer `dropout`; there are linear"),
        ("generator.layers.1.wieght", "normal", "did you mean `weight`?"),
        ("teaching.negatives", "freshh", "did you mean `fresh`?"),
        ("optimiser.energy.beta_1", "0", "did you mean `beta1`?"),
        ("optimiser.energy.lr", "1", "`lr` in `optimiser.energy`; known are rate"),
        ("export.batches", "3", "did you mean `statistics_batches`?"),
    ] {
        let error = set(key, value).unwrap_err().to_string();
        assert!(error.contains(expected), "{key}={value}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

/// A misspelt type would be told from a right one that is missing in the list.
#[test]
fn every_type_of_layer_is_known() {
    for layer in [
        "conv2d",
        "conv_transpose2d",
        "upsample_nearest",
        "upsample_bilinear",
        "average_pool",
        "global_average_pool",
        "relu",
        "tanh",
        "reshape",
        "flatten",
        "scale_shift",
        "residual",
    ] {
        let error =
            set("energy.layers.1", &format!("{{ type = \"{layer}\", x = 1 }}")).unwrap_err().to_string();
        assert!(!error.contains("there is no layer") && error.contains('x'), "{layer}: {error}");
    }
}

#[test]
fn sizes_may_come_from_the_data() {
    let open = SMALL
        .replace("input = [2]", "input = [\"data\"]")
        .replace("in_features = 2,", "in_features = \"data\",")
        .replace("out_features = 2 }", "out_features = \"data\" }");
    let draft = |text: &str| Draft::parse(text).unwrap();
    assert!(draft(&open).takes_sizes_from_data() && !draft(SMALL).takes_sizes_from_data());
    assert_eq!(open.matches("\"data\"").count(), 5);
    assert_eq!(draft(&open).provisional().data_shape(), [1]);
    assert_eq!(draft(&open).resolve(Some(2)).unwrap(), Recipe::parse(SMALL).unwrap());
    let changed = Draft::parse_with(&open, &[("x_chain.steps".into(), "7".into())]).unwrap();
    let wide = changed.resolve(Some(64)).unwrap();
    assert_eq!((wide.data_shape(), wide.x_chain.unwrap().steps), (vec![64], 7));
    assert!(!wide.to_toml().contains("\"data\""), "the resolved recipe has numbers");
    // A set may have this name; only sizes are sizes.
    let named = open.replace("set = \"ring\"", "set = \"data\"");
    assert_eq!(draft(&named).resolve(Some(2)).unwrap().data.set, "data");
    let error = Recipe::parse(&open).unwrap_err().to_string();
    assert!(error.contains("--data"), "{error}");
    // Lines are those of the file, however wide the numbers are.
    let error = Draft::parse(&open.replace("constant", "constat")).unwrap_err();
    let line = open.lines().position(|l| l.starts_with("constant")).unwrap() + 1;
    assert!(matches!(error, RecipeError::Text { line: found, .. } if found == line), "{error}");
}

#[test]
fn changes_are_named_with_both_values() {
    let recipe = Recipe::parse(SMALL).unwrap();
    assert!(recipe.changes_since(&recipe).is_empty());
    for (key, value, expected) in [
        ("teaching.batch", "9", "teaching.batch was 16 and is now 9"),
        ("data.set", "moons", "data.set was \"ring\" and is now \"moons\""),
        ("x_chain.gradient_clamp", "0.5", "x_chain.gradient_clamp was left out and is now 0.5"),
        ("energy.layers.1", "{ type = \"relu\" }", "energy.layers.1.type was \"silu\" and is now \"relu\""),
        ("energy.reference", "2.0", "energy.reference was 3.0 and is now 2.0"),
    ] {
        assert_eq!(set(key, value).unwrap().changes_since(&recipe), [expected], "{key}");
    }
    let fewer = SMALL.replace("reference = 3.0", "");
    let changes = Recipe::parse(&fewer).unwrap().changes_since(&recipe);
    assert_eq!(changes, ["energy.reference was 3.0 and is now left out"]);
}

#[test]
fn impossible_values_are_errors_that_name_their_section() {
    for (key, value, expected) in [
        ("energy.layers.2.in_features", "9", "[energy] layer 2 (linear) does not fit its input [8]"),
        ("energy.input", "[3]", "[energy] layer 0"),
        ("energy.layers.0.out_features", "-8", "-8"),
        ("encoder.layers.0.out_features", "5", "[encoder] encoder must map"),
        ("generator.layers.3.out_features", "3", "[generator] generator must map"),
        ("generator.reference", "1.0", "[generator]"),
        ("energy.layers.1", "{ type = \"batch_norm\", channels = 8 }", "[energy] batch_norm"),
        ("energy.layers.1", "{ type = \"gelu\" }", "gelu"),
        ("energy.layers.1", "{ channels = 3 }", "`type`"),
        ("x_chain.noise", "0", "[x_chain] noise"),
        ("x_chain.step_size", "-1", "[x_chain] step_size"),
        ("x_chain.steps", "-1", "-1"),
        ("z_chain.sigma", "0", "[z_chain] sigma"),
        ("z_chain.start", "middle", "middle"),
        ("teaching.batch", "0", "[teaching] batch"),
        ("teaching.batch", "1", "[teaching] batch"),
        ("teaching.lambda_ebm", "-1", "[teaching] lambda_ebm"),
        ("teaching.lambda_ebm", "nan", "[teaching] lambda_ebm"),
        ("teaching.persistent", "{ share = 0.5, size = 4, restart = 0.1, range = [-1, 1] }", "size"),
        ("optimiser.energy.rate", "0", "[optimiser.energy] rate"),
        ("optimiser.energy.final_share", "1.5", "[optimiser.energy] final_share"),
        ("optimiser.encoder.beta2", "1", "[optimiser.encoder] beta2"),
        ("schedule.iterations", "0", "[schedule] iterations"),
        ("schedule.constant", "1.5", "[schedule] constant"),
        ("ema.generator", "1", "[ema] generator"),
        ("energy.layers.7.slope", "1", "has 3 elements"),
        ("name.first", "1", "name is a value"),
        ("a..b", "1", "empty part"),
    ] {
        let error = set(key, value).unwrap_err().to_string();
        assert!(error.contains(expected), "{key}={value}: {error}");
        assert!(error.lines().count() <= 2, "{error}");
    }
}

#[test]
fn sections_that_need_each_other_are_named() {
    let cut = |sections: &[&str], more: &[(&str, &str)]| {
        let mut table: toml::Table = SMALL.parse().unwrap();
        for section in sections {
            match section.split_once('.') {
                Some((outer, inner)) => table[outer].as_table_mut().unwrap().remove(inner),
                None => table.remove(*section),
            };
        }
        let more: Vec<_> = more.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        Recipe::parse_with(&toml::to_string(&table).unwrap(), &more)
    };
    let encoder = ["encoder", "optimiser.encoder"];
    let generator = ["generator", "optimiser.generator", "encoder", "optimiser.encoder", "z_chain"];
    let energy = ["energy", "optimiser.energy", "x_chain"];
    for (sections, more, expected) in [
        (&["encoder"][..], &[][..], "[encoder] and [optimiser.encoder] need each other"),
        (&["x_chain"], &[], "[energy] and [x_chain] need each other"),
        (&encoder, &[], "start must be \"prior\" or \"kept\""),
        (&generator[..2], &[], "an [encoder] needs a [generator]"),
        (&generator[..4], &[], "a [z_chain] needs a [generator]"),
        (&generator, &[], "start must be \"noise\" or \"data\""),
        (&generator, &[("x_chain.start", "noise"), ("teaching.negatives", "fresh")], "negatives must be"),
        (&[&energy[..], &generator].concat(), &[], "an [energy], a [generator], or both"),
        (&[&energy[..], &["z_chain"]].concat(), &[], "nothing teaches the generator"),
        (
            &[],
            &[("teaching.lambda_data", "0"), ("teaching.lambda_ebm", "0")],
            "lambda_data (with a [z_chain])",
        ),
        (&energy, &[("teaching.lambda_data", "0")], "nothing teaches the generator"),
        (&["z_chain"], &[("teaching.lambda_ebm", "0")], "nothing teaches the generator"),
        (&energy, &[("sample_chain", "{ steps = 1, step_size = 1, noise = 1 }")], "[sample_chain]"),
        (&[], &[("x_chain.start", "noise")], "with a [generator] start must be"),
        (&[], &[("x_chain.mala", "true"), ("x_chain.range_clamp", "[-1, 1]")], "MALA cannot be clamped"),
        (
            &[],
            &[("x_chain.mala", "true"), ("x_chain.spectral_iteration", "each_step")],
            "MALA needs one fixed energy",
        ),
    ] {
        let error = cut(sections, more).unwrap_err().to_string();
        assert!(error.contains(expected), "{sections:?} {more:?}: {error}");
        assert!(error.lines().count() <= 2, "{error}");
    }
    cut(&encoder, &[("z_chain.start", "kept")]).unwrap();
    cut(&[&encoder[..], &["z_chain"]].concat(), &[]).unwrap();
    cut(&generator, &[("x_chain.start", "data")]).unwrap();
    cut(&generator, &[("x_chain.start", "data"), ("teaching.lambda_ebm", "0")]).unwrap();
    cut(&[], &[("teaching.lambda_data", "0")]).unwrap();
    cut(&[], &[("teaching.lambda_ebm", "0")]).unwrap();
    assert_eq!(cut(&energy, &[]).unwrap().chain_defaults().x, None);
}

#[test]
fn the_exported_chains_may_differ_from_those_of_training() {
    let chains = |key, value| set(key, value).unwrap().chain_defaults();
    let x = chains("sample_chain", "{ steps = 70, step_size = 0.4, noise = 0.001, mala = true }").x.unwrap();
    assert_eq!((x.steps, x.langevin.step_size, x.langevin.mala), (70, 0.4, true));
    let z =
        chains("reconstruct_chain", "{ steps = 9, step_size = 0.05, noise = 0.1, sigma = 0.2 }").z.unwrap();
    assert_eq!((z.steps, z.sigma, z.langevin.step_size), (9, 0.2, 0.05));
}

#[test]
fn overrides_are_values_or_strings() {
    assert_eq!(set("data.set", "moons").unwrap().data.set, "moons");
    assert_eq!(set("name", "\"a b\"").unwrap().name, "a b");
    assert_eq!(
        set("x_chain.range_clamp", "[-1, 1]").unwrap().x_chain.unwrap().range_clamp,
        Some([-1.0, 1.0])
    );
    assert_eq!(set("teaching.negatives", "fresh").unwrap().teaching.negatives, Negatives::Fresh);
    let decay = set("schedule.decay", "{ factor = 0.5, every = 10 }").unwrap().schedule.decay;
    assert_eq!(decay, Some(Decay { factor: 0.5, every: 10 }));
}

#[test]
fn errors_name_the_line() {
    let text = SMALL.replace("sigma = 0.3", "sigma = 0.3\nsgima = 1");
    let line = text.lines().position(|l| l.starts_with("sgima")).unwrap() + 1;
    match Recipe::parse(&text).unwrap_err() {
        RecipeError::Text { line: found, message } => {
            assert_eq!(found, line, "{message}");
            assert!(message.contains("sgima"), "{message}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn the_rate_is_constant_then_falls_linearly() {
    let mut optimiser = Recipe::parse(SMALL).unwrap().optimiser.energy.unwrap();
    optimiser.rate = 2.0;
    let mut schedule = Schedule { iterations: 100, constant: 0.5, decay: None };
    for (iteration, rate) in [(0, 2.0), (49, 2.0), (75, 1.0), (100, 0.0), (1000, 0.0)] {
        assert_eq!(schedule.rate(&optimiser, iteration), rate);
    }
    optimiser.final_share = 0.5;
    for (iteration, rate) in [(0, 2.0), (75, 1.5), (100, 1.0), (1000, 1.0)] {
        assert_eq!(schedule.rate(&optimiser, iteration), rate);
    }
    schedule.constant = 1.0;
    schedule.decay = Some(Decay { factor: 0.5, every: 10 });
    assert_eq!(schedule.rate(&optimiser, 9), 2.0);
    assert_eq!(schedule.rate(&optimiser, 25), 0.5);
}
