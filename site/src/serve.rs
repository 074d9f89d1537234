//! A small web server on the loopback address, for looking at the page and for testing it.

use anyhow::{Context, Result};
use httparse::{EMPTY_HEADER, Request, Status};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Browsers open connections that they may need, and send nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes before a request's body, and headers in them.
const LONGEST_HEAD: usize = 1 << 16;
const MOST_HEADERS: usize = 64;

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
///
/// Each connection has a thread of its own and brings one request, so that none waits for another.
pub struct Server {
    port: u16,
    ended: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Serve on 127.0.0.1. `answer` gets the path of a request, decoded, without its query.
    ///
    /// # Errors
    /// If the port is taken. Port 0 is always free: the system chooses.
    pub fn start(port: u16, answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("cannot serve on 127.0.0.1:{port}"))?;
        let port = listener.local_addr()?.port();
        let ended = Arc::new(AtomicBool::new(false));
        let (answer, until) = (Arc::new(answer), Arc::clone(&ended));
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if until.load(Ordering::Relaxed) {
                    break;
                }
                let answer = Arc::clone(&answer);
                // A browser that has gone away is no error of the server.
                if let Ok(stream) = stream {
                    std::thread::spawn(move || drop(serve(stream, &*answer)));
                }
            }
        });
        Ok(Server { port, ended, accepting: Some(accepting) })
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
        self.ended.store(true, Ordering::Relaxed);
        // The thread that accepts connections sees it with the next one.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// Answer the request of one connection.
fn serve(mut stream: TcpStream, answer: &dyn Fn(&str) -> Reply) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    let mut part = [0; 4096];
    let (reply, with_body) = loop {
        let n = stream.read(&mut part)?;
        if n == 0 {
            return Ok(());
        }
        head.extend_from_slice(&part[..n]);
        let mut headers = [EMPTY_HEADER; MOST_HEADERS];
        let mut request = Request::new(&mut headers);
        match request.parse(&head) {
            Ok(Status::Partial) if head.len() < LONGEST_HEAD => {}
            Ok(Status::Complete(_)) => break reply_to(&request, answer),
            _ => break (Reply::of("text/plain; charset=utf-8", "bad request\n").status(400), true),
        }
    };
    let mut out = format!("HTTP/1.1 {} \r\n", reply.status);
    for (name, value) in &reply.headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n\r\n", reply.body.len()));
    stream.write_all(out.as_bytes())?;
    if with_body {
        stream.write_all(&reply.body)?;
    }
    stream.flush()
}

/// The reply to a request, and whether its body is wanted.
fn reply_to(request: &Request, answer: &dyn Fn(&str) -> Reply) -> (Reply, bool) {
    let path = request.path.unwrap_or("/");
    match request.method {
        Some(method @ ("GET" | "HEAD")) => {
            (answer(&decoded(path.split(['?', '#']).next().unwrap_or("/"))), method == "GET")
        }
        _ => (Reply::of("text/plain; charset=utf-8", "only GET\n").status(405), true),
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

/// Open an address in the user's browser.
///
/// # Errors
/// If there is no way to.
pub fn open(url: &str) -> io::Result<()> {
    let opener: &[&str] = if cfg!(target_os = "macos") {
        &["open"]
    } else if cfg!(windows) {
        &["cmd", "/C", "start"]
    } else {
        &["xdg-open"]
    };
    let mut command = Command::new(opener[0]);
    command.args(&opener[1..]).arg(url).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(drop)
}

/// The type of a file, by its name.
pub fn content_type(file: &Path) -> String {
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
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn exchange(server: &Server, request: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn requests_are_answered_however_many_connections_are_open() {
        let server = Server::start(0, |path| Reply::of("text/plain", format!("it is {path}"))).unwrap();
        let idle: Vec<_> =
            (0..40).map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap()).collect();
        let text = exchange(&server, "GET /a%20b?c=1 HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(text.starts_with("HTTP/1.1 200 ") && text.contains("Content-Length: 10\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\nit is /a b"), "{text}");
        assert!(exchange(&server, "HEAD /a HTTP/1.1\r\n\r\n").ends_with("\r\n\r\n"));
        assert!(exchange(&server, "POST /a HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
        assert!(exchange(&server, "no request at all\r\n\r\n").starts_with("HTTP/1.1 400 "));
        drop(idle);
    }

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
