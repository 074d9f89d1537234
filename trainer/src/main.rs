//! The program `dual-mcmc`.

use std::process::ExitCode;

fn main() -> ExitCode {
    dual_mcmc_trainer::cli::main()
}
