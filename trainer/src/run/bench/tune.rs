//! Which kernel is the fastest for each linear layer and convolution of the timed networks.

use super::Settings;
use super::chains::{self, StartedChain};
use crate::console::say;
use anyhow::{Result, bail, ensure};
use dual_mcmc::executor::Executor;
use dual_mcmc::gpu::{Choice, Size, Tiling};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Operations of the longest step that is worth the wait: the slowest choices take a hundred times the fastest.
const LONGEST: u64 = 400_000_000_000;

/// A size that was timed, and the microseconds of each choice.
struct Row {
    size: Size,
    times: Vec<(Choice, f64)>,
}

/// The text of `shared/src/gpu/table.rs`, and all times that it comes from.
///
/// # Errors
/// If the device is no GPU with a clock, or fails.
pub(super) fn run(executor: &Executor, settings: &Settings) -> Result<(String, Value)> {
    let Executor::Gpu(gpu) = executor else { bail!("only a GPU has kernels to choose from") };
    ensure!(
        !gpu.is_software(),
        "{} is no graphics processor; the table of kernels is for those, tune on one",
        gpu.name()
    );
    let mut rows: Vec<Row> = Vec::new();
    for &network in &settings.networks {
        for case in chains::cases(network)? {
            for choice in Choice::all().into_iter().filter(|choice| !choice.shares()) {
                let forced = Executor::Gpu(gpu.clone().with_kernel(choice));
                for &count in &settings.chains {
                    if case.flops()? * count as u64 > LONGEST {
                        continue;
                    }
                    for kernel in StartedChain::new(&forced, &case, count)?.kernel_times()? {
                        let Some((size, taken)) = kernel.choice else { continue };
                        if taken == choice {
                            add(&mut rows, size, choice, kernel.microseconds);
                        }
                    }
                }
            }
            say!("timed {}", case.name);
        }
    }
    rows.sort_by_key(|row| (row.size.outputs, row.size.positions, row.size.depth));
    let figures = rows.iter().map(|row| {
        let times = row.times.iter().map(|(choice, time)| json!([rust(choice), time]));
        json!({
            "outputs": row.size.outputs,
            "positions": row.size.positions,
            "depth": row.size.depth,
            "columns": row.size.columns,
            "microseconds": times.collect::<Vec<_>>(),
        })
    });
    let figures = figures.collect();
    Ok((table(&gpu.name(), &rows), figures))
}

/// Layers of one size, of one network or of several, count once, by their fastest run.
fn add(rows: &mut Vec<Row>, size: Size, choice: Choice, time: f64) {
    let Some(row) = rows.iter_mut().find(|row| row.size == size) else {
        rows.push(Row { size, times: vec![(choice, time)] });
        return;
    };
    match row.times.iter_mut().find(|(known, _)| *known == choice) {
        Some((_, known)) => *known = known.min(time),
        None => row.times.push((choice, time)),
    }
}

fn table(device: &str, rows: &[Row]) -> String {
    let rows = chosen(rows);
    format!(
        "//! The fastest kernels of a graphics processor, by size: written by `dual-mcmc bench tune --table FILE`\n\
         //! on {device}. Rows that others speak for within a tenth are left out.\n\n\
         use super::choice::{{Timed, direct, tiled}};\n\n\
         pub(super) const TABLE: &[Timed] = &[\n{rows}];\n"
    )
}

/// How much slower than the fastest kernel a size may be for a shorter table.
const TOLERANCE: f64 = 1.1;

/// The rows of a table.
fn chosen(rows: &[Row]) -> String {
    let best = |row: &Row| row.times.iter().min_by(|a, b| a.1.total_cmp(&b.1)).map(|&(choice, _)| choice);
    let mut kept: Vec<(Size, Choice)> = rows.iter().filter_map(|row| Some((row.size, best(row)?))).collect();
    let slowest = |kept: &[(Size, Choice)]| {
        let slower = |row: &Row| {
            let time = |choice: Choice| row.times.iter().find(|(known, _)| *known == choice).map(|(_, t)| *t);
            let fastest = time(best(row)?)?;
            let (_, choice) = kept.iter().min_by_key(|(size, _)| size.distance(&row.size))?;
            Some(time(*choice).unwrap_or(f64::INFINITY) / fastest)
        };
        rows.iter().filter_map(slower).fold(1.0, f64::max)
    };
    let limit = slowest(&kept).max(TOLERANCE);
    for size in kept.clone() {
        let fewer: Vec<_> = kept.iter().filter(|row| **row != size).copied().collect();
        if !fewer.is_empty() && slowest(&fewer) <= limit {
            kept = fewer;
        }
    }
    kept.iter().fold(String::new(), |mut text, (Size { outputs, positions, depth, .. }, choice)| {
        let _ = writeln!(text, "    ({outputs}, {positions}, {depth}, {}),", rust(choice));
        text
    })
}

fn rust(choice: &Choice) -> String {
    match *choice {
        Choice::Direct { positions, blocks, split, .. } => format!("direct({positions}, {blocks}, {split})"),
        Choice::Tiled(Tiling { positions, across, blocks, deep, planes }) => {
            format!("tiled({positions}, {across}, {blocks}, {deep}, {planes})")
        }
    }
}
