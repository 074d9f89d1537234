//! A worker in a process of its own, which can be killed.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

/// The program `dual-mcmc worker`; it ends with the value.
pub struct Worker {
    process: Child,
    /// `remote:ws://127.0.0.1:PORT`.
    pub device: String,
}

impl Worker {
    /// Serve the CPU on `port`, 0 for any, with a token if there is one.
    pub fn start(port: u16, token: Option<&str>) -> Worker {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dual-mcmc"));
        command.args(["worker", "--device", "cpu", "--port", &port.to_string()]);
        command.env_remove("DUAL_MCMC_TOKEN").envs(token.map(|token| ("DUAL_MCMC_TOKEN", token)));
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let mut said = String::new();
        stderr.read_line(&mut said).unwrap();
        let device = said.split(['`', ' ']).find(|word| word.starts_with("remote:"));
        let device = device.unwrap_or_else(|| panic!("the worker said: {said}")).to_string();
        // A pipe that nobody reads would stop it in the end.
        std::thread::spawn(move || stderr.read_to_end(&mut Vec::new()));
        Worker { process, device }
    }

    pub fn port(&self) -> u16 {
        self.device.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// End it without a word to its clients.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
