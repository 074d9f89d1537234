//! Downloads with a progress bar.

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::time::Duration;

/// How long a server may take to answer at all, and to send the next bytes.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(15);

/// Download `url` into the new file `path`.
///
/// # Errors
/// If the server cannot be reached, refuses, or breaks off.
pub fn to_file(url: &str, path: &Path) -> Result<()> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(ANSWER))
        .timeout_per_read(Some(ANSWER))
        .user_agent(concat!("dual-mcmc/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let failed = || format!("cannot download {url}");
    let response = agent.get(url).call().with_context(failed)?;
    let size = response.body().content_length();
    let bar = match size {
        Some(size) => ProgressBar::new(size),
        None => ProgressBar::no_length(),
    };
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {eta}") {
        bar.set_style(style);
    }
    bar.set_message(url.rsplit('/').next().unwrap_or(url).to_string());
    let mut reader = bar.wrap_read(response.into_body().into_reader());
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
    }
    file.flush().with_context(failed)?;
    bar.finish_and_clear();
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
    }
}
