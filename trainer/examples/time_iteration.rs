//! How long a training iteration takes: `cargo run --release -p dual-mcmc-trainer --example
//! time_iteration -- recipes/fashion-mnist.toml 5`. The data are noise.

use dual_mcmc::executor::Executor;
use dual_mcmc::noise::{Noise, Stream};
use dual_mcmc_trainer::recipe::Recipe;
use dual_mcmc_trainer::teaching::{Batch, Teacher};
use std::time::Instant;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "recipes/fashion-mnist.toml".into());
    let iterations = arguments.next().map_or(Ok(5), |n| n.parse())?;
    let recipe = Recipe::parse(&std::fs::read_to_string(&path)?)?;
    let mut teacher = Teacher::new(&recipe, &burn::tensor::Device::flex(), Executor::cpu(), 1)?;
    let (batch, len) = (recipe.teaching.batch, recipe.data_len());
    let values = Noise::new(1, Stream::Data).normal_rows(0, batch, len, 0);
    let data = Batch { samples: (0..batch).collect(), values };
    teacher.step(&data)?;
    let start = Instant::now();
    for _ in 0..iterations {
        let report = teacher.step(&data)?;
        println!(
            "{:>8.1} ms   {report:?}",
            start.elapsed().as_secs_f64() * 1e3 / (report.iteration - 1) as f64
        );
    }
    let start = Instant::now();
    teacher.model()?;
    println!("{:>8.1} ms   to fold the model", start.elapsed().as_secs_f64() * 1e3);
    Ok(())
}
