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
fn the_rate_is_constant_then_falls_linearly_to_zero() {
    let mut schedule = Schedule { iterations: 100, constant: 0.5, decay: None };
    assert_eq!(schedule.factor(0), 1.0);
    assert_eq!(schedule.factor(49), 1.0);
    assert_eq!(schedule.factor(75), 0.5);
    assert_eq!(schedule.factor(100), 0.0);
    assert_eq!(schedule.factor(1000), 0.0);
    schedule.constant = 1.0;
    schedule.decay = Some(Decay { factor: 0.5, every: 10 });
    assert_eq!(schedule.factor(9), 1.0);
    assert_eq!(schedule.factor(25), 0.25);
}
