//! A small web server on the loopback address, for looking at the page and for testing it.

use anyhow::{Result, anyhow};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use tiny_http::{Header, Response};

/// Requests answered at the same time. A page asks for a handful of files.
const WORKERS: usize = 4;

/// The answer to one request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers, by name; the length is added.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A body of a type, status 200.
    pub fn of(content_type: &str, body: impl Into<Vec<u8>>) -> Reply {
        Reply { status: 200, headers: vec![("Content-Type".into(), content_type.into())], body: body.into() }
    }

    /// Another status.
    pub fn status(mut self, status: u16) -> Reply {
        self.status = status;
        self
    }

    /// A further header.
    pub fn header(mut self, name: &str, value: &str) -> Reply {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// There is nothing here.
    pub fn not_found() -> Reply {
        Reply::of("text/plain; charset=utf-8", "not found\n").status(404)
    }
}

/// A running server; it ends when dropped.
pub struct Server {
    server: Arc<tiny_http::Server>,
    port: u16,
    workers: Vec<JoinHandle<()>>,
}

impl Server {
    /// Serve on 127.0.0.1. `answer` gets the path of a request, decoded, without its query.
    ///
    /// # Errors
    /// If the port is taken. Port 0 is always free: the system chooses.
    pub fn start(port: u16, answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Result<Server> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let server =
            tiny_http::Server::http(address).map_err(|e| anyhow!("cannot serve on {address}: {e}"))?;
        let port = server.server_addr().to_ip().map_or(port, |address| address.port());
        let (server, answer) = (Arc::new(server), Arc::new(answer));
        let workers = (0..WORKERS).map(|_| {
            let (server, answer) = (Arc::clone(&server), Arc::clone(&answer));
            std::thread::spawn(move || {
                while let Ok(request) = server.recv() {
                    let path = decoded(request.url().split(['?', '#']).next().unwrap_or("/"));
                    let reply = answer(&path);
                    let mut response = Response::from_data(reply.body).with_status_code(reply.status);
                    for (name, value) in reply.headers {
                        if let Ok(header) = Header::from_bytes(name, value) {
                            response.add_header(header);
                        }
                    }
                    // A browser that has gone away is no error of the server.
                    let _ = request.respond(response);
                }
            })
        });
        let workers = workers.collect();
        Ok(Server { server, port, workers })
    }

    /// The port in use.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address to open.
    pub fn url(&self) -> String {
        format!("http://localhost:{}/", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for _ in &self.workers {
            self.server.unblock();
        }
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

/// A file of a folder; `index.html` for a folder. Never anything outside it.
pub fn file(folder: &Path, path: &str) -> Reply {
    let relative = PathBuf::from(path.trim_start_matches('/'));
    if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
        return Reply::not_found();
    }
    let mut file = folder.join(relative);
    if file.is_dir() {
        file.push("index.html");
    }
    match fs::read(&file) {
        // What is served changes under the page: a model is added, the page is built again.
        Ok(body) => Reply::of(&content_type(&file), body).header("Cache-Control", "no-store"),
        Err(_) => Reply::not_found(),
    }
}

fn content_type(file: &Path) -> String {
    let kind = mime_guess::from_path(file).first_or_octet_stream();
    let text = kind.type_() == mime_guess::mime::TEXT;
    if text { format!("{kind}; charset=utf-8") } else { kind.to_string() }
}

/// Undo percent-encoding. What is no UTF-8 afterwards names no file of ours.
fn decoded(path: &str) -> String {
    percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_inside_the_folder_are_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(file(folder, "/Cargo.toml").status, 200);
        assert_eq!(file(&folder.join("src"), "/../Cargo.toml").status, 404);
        assert_eq!(file(&folder.join("src"), &decoded("/%2e%2e/Cargo.toml")).status, 404);
        assert_eq!(file(folder, "/nothing").status, 404);
        assert_eq!(file(folder, "/src").status, 404, "a folder without index.html");
    }

    #[test]
    fn paths_are_decoded_and_odd_ones_kept() {
        assert_eq!(decoded("/a%20b/%C3%A9"), "/a b/é");
        assert_eq!(decoded("/100%"), "/100%");
        assert_eq!(decoded("/%zz"), "/%zz");
        assert_eq!(decoded("/é%4"), "/é%4");
    }

    #[test]
    fn wasm_has_its_own_type() {
        assert_eq!(content_type(Path::new("a/page_bg.wasm")), "application/wasm");
        assert_eq!(content_type(Path::new("ring.safetensors")), "application/octet-stream");
        assert_eq!(content_type(Path::new("index.html")), "text/html; charset=utf-8");
        assert_eq!(content_type(Path::new("worker.js")), "text/javascript; charset=utf-8");
    }
}
