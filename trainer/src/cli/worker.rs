//! `dual-mcmc worker`.

use super::arguments::Device;
use anyhow::Result;
use clap::Args;
use std::net::IpAddr;

#[derive(Debug, Args)]
pub struct Worker {
    /// Port to listen on; 0 for any that is free
    #[arg(long, value_name = "N", default_value_t = 3000)]
    port: u16,
    /// Address to listen on. Any but this machine's own (loopback) needs a token in DUAL_MCMC_TOKEN, the same
    /// as for `train`, and a network that can be trusted: nothing is encrypted
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    bind: IpAddr,
    #[command(flatten)]
    device: Device,
}

impl Worker {
    #[cfg(not(feature = "remote"))]
    pub fn run(self) -> Result<()> {
        anyhow::bail!(
            "this program was built without remote devices; build it with `--features remote` to lend {:?} on {}:{}",
            self.device.device,
            self.bind,
            self.port
        )
    }

    /// Serve until Ctrl-C.
    #[cfg(feature = "remote")]
    pub fn run(self) -> Result<()> {
        use crate::console::say;
        use crate::run::device::{self, TOKEN};
        use anyhow::{Context, ensure};
        use burn::server::{RemoteServer, TokenAuthorizer, WebSocketTransport};

        let token = device::token()?;
        ensure!(
            self.bind.is_loopback() || token.is_some(),
            "anyone who reaches {} could use this machine: set {TOKEN} to a token, here and for `train`",
            self.bind
        );
        let device = device::training(self.device.device)?;
        let listener = std::net::TcpListener::bind((self.bind, self.port))
            .with_context(|| format!("cannot listen on {}:{}", self.bind, self.port))?;
        let address = listener.local_addr()?;
        let mut server = RemoteServer::new([device.parameters.clone()]);
        if let Some(token) = token {
            server = server.with_authorizer(TokenAuthorizer::new(token)?);
        }
        say!("{} serves `train --device remote:ws://{address}`, until Ctrl-C", device.name());
        server.serve(WebSocketTransport::from_listener(listener)).context("the worker ended")
    }
}
