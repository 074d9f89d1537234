//! Cards: folders with a model, its figures and pictures.

use super::*;

fn page(sandbox: &Sandbox, card: &str) -> String {
    std::fs::read_to_string(sandbox.path(card).join("README.md")).unwrap()
}

/// Whatever the page shows lies beside it.
fn check_links(sandbox: &Sandbox, card: &str) -> usize {
    let page = page(sandbox, card);
    let links: Vec<&str> = page.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    let files = links.iter().filter(|link| !link.starts_with("https:"));
    files.inspect(|file| assert!(sandbox.path(card).join(file).is_file(), "{file}")).count()
}

#[test]
fn a_run_has_a_card_with_everything_and_so_has_its_model() {
    let sandbox = Sandbox::new();
    sandbox.train("--out run --steps 4 --seed 3 --license MIT");
    sandbox.run("card run --out of-run --count 60 --device cpu");
    let text = page(&sandbox, "of-run");
    let (matter, body) = text.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap();
    for expected in ["license: \"mit\"", "library_name: dual-mcmc", "\"log_likelihood\"", "model-index: [{"] {
        assert!(matter.contains(expected), "{expected}: {matter}");
    }
    // Each line is a key and JSON, which is YAML.
    for line in matter.lines().filter(|line| line.contains(['{', '['])) {
        let (key, value) = line.split_once(": ").unwrap();
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(value);
        assert!(parsed.is_ok() && !key.contains(' '), "{line}");
    }
    for expected in [
        "# ring\n",
        "An energy-based model with its generator and its encoder on ring",
        "the x-chain from noise, 1000 steps",
        "dual-mcmc train recipe.toml --seed 3 --steps 4 --license MIT",
        "4 iterations in",
        "on CPU",
        "## Known weaknesses",
        "| auroc of the energy: uniform noise |",
        "linear 2→128",
        "Licence of the held-out examples in the file: MIT OR Apache-2.0",
        "Energy gap",
    ] {
        assert!(body.contains(expected), "{expected}: {body}");
    }
    // Four pictures of samples, one of reconstructions, the figures twice, and curves.
    assert!(check_links(&sandbox, "of-run") > 8);
    for file in ["thumbnail.png", "recipe.toml"] {
        assert!(sandbox.path("of-run").join(file).is_file(), "{file}");
    }
    let copied = std::fs::read(sandbox.path("of-run/model.safetensors")).unwrap();
    assert_eq!(copied, std::fs::read(sandbox.path("run/model.safetensors")).unwrap());

    // The model alone has the curves of its chains only. An earlier card gives way.
    sandbox.run("card of-run/model.safetensors --out of-run --count 60 --title Rings --device cpu");
    let text = page(&sandbox, "of-run");
    assert!(text.contains("# Rings\n") && !text.contains("Energy gap"), "{text}");
    // Of points the energy along the x-chain is no figure.
    assert_eq!(check_links(&sandbox, "of-run"), 4 + 1 + 1 + 1);

    sandbox.run("card run --out cards/ring --link --count 60 --device cpu");
    assert!(!sandbox.path("cards/ring/model.safetensors").exists());
    assert!(page(&sandbox, "cards/ring").contains("dual-mcmc sample ../../run/model.safetensors"));
}

#[test]
fn ones_own_data_must_be_named_and_nothing_else_is_overwritten() {
    let sandbox = Sandbox::new();
    let rows = (1..=40).map(|i| format!("{},{},{}\n", (i as f32).sin(), (i as f32).cos(), i % 3));
    sandbox.write("my points.csv", rows.collect::<String>());
    sandbox.write("three.csv", std::fs::read(sandbox.path("my points.csv")).unwrap());
    let recipe = recipes().join("points.toml");
    let small = "--set teaching.batch=8 --set x_chain.steps=2 --set z_chain.steps=2";
    let train =
        format!("train {} --data three.csv --steps 2 --out run --device cpu {small}", recipe.display());
    sandbox.run(&train);
    sandbox.fails("card run/model.safetensors --out card --device cpu", "name its data by --data");
    // The run knows them.
    sandbox.run("card run --out card --count 20 --device cpu");
    let text = page(&sandbox, "card");
    assert!(text.contains("license: \"unknown\"") && text.contains("--data three.csv"), "{text}");
    assert!(!text.contains("held-out examples in the file"), "{text}");

    std::fs::create_dir(sandbox.path("mine")).unwrap();
    sandbox.write("mine/README.md", "mine");
    sandbox.fails("card run --out mine --count 20 --device cpu", "is no card");
    sandbox.fails("card mine --out elsewhere --device cpu", "no run's");
    sandbox.fails("card run --out card2 --count 1 --device cpu", "at least 2");
    sandbox.fails("card missing.safetensors --out card2 --device cpu", "missing.safetensors");
}
