//! Downloads with a progress bar.

use crate::console::Counter;
use anyhow::{Context, Result, anyhow, ensure};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// How long a server may take to be found and answer, with all of its addresses, and to send the next bytes.
const ANSWER: Duration = Duration::from_secs(15);

/// Download `url` into the new file `path`.
///
/// # Errors
/// If the server cannot be reached, refuses, or breaks off.
pub fn to_file(url: &str, path: &Path) -> Result<()> {
    within(ANSWER, url, path)
}

fn within(patience: Duration, url: &str, path: &Path) -> Result<()> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_per_read(Some(patience))
        .user_agent(concat!("dual-mcmc/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let failed = || format!("cannot download {url}");
    // On a thread of its own: a limit for each address, or for each step on the way, adds up to minutes.
    let (answer, answered) = mpsc::channel();
    let address = url.to_string();
    std::thread::spawn(move || drop(answer.send(agent.get(address).call())));
    let silence = || anyhow!("there was no answer within {} seconds", patience.as_secs_f32());
    let response = match answered.recv_timeout(patience) {
        // Whichever of both limits comes first.
        Err(_) | Ok(Err(ureq::Error::Timeout(_))) => Err(silence()),
        Ok(answer) => answer.map_err(anyhow::Error::from),
    };
    let response = response.with_context(failed)?;
    let size = response.body().content_length();
    let counter =
        Counter::new(size.unwrap_or(0), format!("bytes of {}", url.rsplit('/').next().unwrap_or(url)));
    let mut reader = response.into_body().into_reader();
    let mut file = BufWriter::new(File::create_new(path).with_context(failed)?);
    let mut buffer = vec![0; 1 << 16];
    let mut received = 0;
    loop {
        let read = reader.read(&mut buffer).with_context(failed)?;
        if read == 0 {
            break;
        }
        file.write_all(&buffer[..read]).with_context(failed)?;
        received += read as u64;
        counter.show(received);
    }
    file.flush().with_context(failed)?;
    ensure!(size.is_none_or(|size| size == received), "{url} broke off after {received} bytes");
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::net::TcpListener;

    /// A server that gives one answer and closes.
    fn answer(text: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(text.as_bytes());
        });
        format!("http://{address}/file.gz")
    }

    #[test]
    fn a_download_is_whole_or_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let url = answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwhole");
        to_file(&url, &folder.path().join("a")).unwrap();
        assert_eq!(std::fs::read(folder.path().join("a")).unwrap(), b"whole");
        let url = answer("HTTP/1.1 200 OK\r\nContent-Length: 50\r\nConnection: close\r\n\r\nhalf");
        assert!(to_file(&url, &folder.path().join("b")).is_err());
        let url = answer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let error = format!("{:#}", to_file(&url, &folder.path().join("c")).unwrap_err());
        assert!(error.contains("404"), "{error}");
        assert!(!folder.path().join("c").exists());
        // A server that takes the call and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file.gz", silent.local_addr().unwrap());
        let patience = Duration::from_millis(200);
        let error = format!("{:#}", within(patience, &url, &folder.path().join("d")).unwrap_err());
        assert!(error.contains("no answer within 0.2 seconds"), "{error}");
    }
}
