//! `check-model FILE`: whether the loader takes a model file, and if not, why.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(file) = std::env::args_os().nth(1) else {
        eprintln!("usage: check-model FILE");
        return ExitCode::FAILURE;
    };
    let model = std::fs::read(&file).map_err(|e| e.to_string());
    match model.and_then(|bytes| dual_mcmc::model::Model::from_bytes(&bytes).map_err(|e| e.to_string())) {
        Ok(model) => {
            // The data set names the model where nobody gives it a title.
            println!("{}", model.provenance.data);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {}: {error}", file.display());
            ExitCode::FAILURE
        }
    }
}
