//! The held-out images that the shipped models carry: explained by z-chains, and hidden halves of them filled in.
#![allow(clippy::unwrap_used)]

use dual_mcmc::executor::Executor;
use dual_mcmc::jobs::Reconstructing;
use dual_mcmc::model::{Examples, Model};
use dual_mcmc_tests::models;
use dual_mcmc_trainer::run::evaluate::fill_lower_half;
use pollster::block_on;

/// The shipped models of images, with as many of their examples.
fn image_models(count: usize) -> Vec<(String, Model, Vec<f32>)> {
    let mut all = Vec::new();
    for (name, model) in models::shipped() {
        let len: usize = model.data_shape().iter().product();
        if model.data_shape().len() == 3 {
            let examples = model.annotations.examples.as_ref().map(Examples::values).unwrap();
            assert_eq!(examples.len(), 64 * len, "{name}");
            all.push((name, model, examples[..count * len].to_vec()));
        }
    }
    assert!(all.len() > 1);
    all
}

/// A posterior sample is nearer to what was hidden than the encoder's guess of the half that it saw, and the mean of eight nearer
/// still.
fn chains_fill_in_better_than_the_encoder(images: usize) {
    for (name, model, examples) in image_models(images) {
        let found = fill_lower_half(&Executor::cpu(), &model, &examples, 0).unwrap();
        println!("{name}: {found:#}");
        let error = |of: &str| found[format!("mean_squared_error_of_{of}")].as_f64().unwrap();
        let (guess, sample) = (error("the_encoder"), error("a_posterior_sample"));
        let mean = error("the_mean_of_8_posterior_samples");
        assert!(mean < guess && mean <= sample && sample < guess, "{name}: {found:#}");
    }
}

#[test]
fn chains_fill_in_eight_images_better_than_the_encoder() {
    chains_fill_in_better_than_the_encoder(8);
}

#[test]
#[ignore = "64 images take minutes; eight are in every run. cargo xtask test --long"]
fn chains_fill_in_all_images_better_than_the_encoder() {
    chains_fill_in_better_than_the_encoder(64);
}

#[test]
fn the_error_falls_along_the_z_chain() {
    for (name, model, examples) in image_models(8) {
        let job = Reconstructing::recommended(&model, 0).unwrap();
        let back = block_on(job.run(&Executor::cpu(), &model, &examples, None)).unwrap();
        let means: Vec<f32> =
            back.trace.iter().map(|row| row.iter().sum::<f32>() / row.len() as f32).collect();
        let steps = job.steps as usize;
        println!("{name}: {} at first, {} half way, {} at the end", means[0], means[steps / 2], means[steps]);
        assert!(means[steps] < means[steps / 2] && means[steps / 2] < means[0], "{name}: {means:?}");
    }
}
