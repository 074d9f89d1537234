//! `site` and `lab`: from a model, or a run that is training, to pages.

use super::*;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

/// A page that is good enough to be served: what it shows is tested in a browser.
fn page(sandbox: &Sandbox) {
    for (name, text) in [
        ("index.html", "<title>The lab</title>"),
        ("embed.html", "<title>A figure</title>"),
        ("dual-mcmc.js", "export {};"),
        ("example/index.html", "<title>An example</title>"),
    ] {
        let file = sandbox.path("page").join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
}

#[test]
fn a_site_is_written_from_models() {
    let sandbox = Sandbox::new();
    page(&sandbox);
    let models = recipes().join("../models");
    let [ring, moons] = ["ring", "moons"].map(|name| models.join(name).with_extension("safetensors"));
    let line = format!("site {} {} --page page --title Circle", ring.display(), moons.display());
    sandbox.run(&format!("{line} --out site"));
    let list: Value =
        serde_json::from_slice(&std::fs::read(sandbox.path("site/models/index.json")).unwrap()).unwrap();
    let titles: Vec<&str> =
        list["models"].as_array().unwrap().iter().map(|entry| entry["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["Circle", "Two moons"]);
    assert!(sandbox.path("site/index.html.gz").is_file() && sandbox.path("site/dual-mcmc.js.br").is_file());
    sandbox.run(&format!("{line} --out site"));

    sandbox.fails(
        &format!("site {} --out page --page page", recipes().join("ring.toml").display()),
        "no .safetensors file",
    );
    sandbox.fails(&format!("{line} --out ."), "is no site");
    sandbox.fails(&format!("{line} --title A --title B --out other"), "--title is given 3 times");
    // This program holds no page: it is no installed one.
    sandbox.fails(&format!("site {} --out other", ring.display()), "cargo xtask install");
    sandbox.fails("lab", "cargo xtask install");
    sandbox.fails("lab --page nowhere", "holds no page");
    sandbox.fails("lab --page page page", "holds no run");
    assert!(!sandbox.path("other").exists());
}

struct Lab(Child, u16);

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Lab {
    fn start(sandbox: &Sandbox, line: &str) -> Lab {
        let mut child = sandbox.command(line).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let port = address.trim().trim_end_matches('/').rsplit(':').next().unwrap().parse();
        Lab(child, port.unwrap_or_else(|_| panic!("no address: {address}")))
    }

    /// Status and body.
    fn get(&self, path: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.1)).unwrap();
        write!(stream, "GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        let body = reply.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        (String::from_utf8_lossy(&reply[9..12]).into_owned(), reply[body..].to_vec())
    }

    fn list(&self) -> Vec<Value> {
        let list: Value = serde_json::from_slice(&self.get("models/index.json").1).unwrap();
        list["models"].as_array().unwrap().clone()
    }
}

/// Its newest checkpoint is a model in the list, by another address than the one before; its report is served.
#[test]
fn a_run_is_shown_while_it_trains() {
    let sandbox = Sandbox::new();
    page(&sandbox);
    sandbox.train("--out run --steps 2");
    let ring = recipes().join("../models/ring.safetensors");
    let lab = Lab::start(&sandbox, &format!("lab {} run --page page --no-open --port 0", ring.display()));
    let before = lab.list();
    assert_eq!(before.len(), 2);
    assert_eq!((&before[0]["file"], &before[0]["live"]), (&json!("ring.safetensors"), &Value::Null));
    assert_eq!((&before[1]["title"], &before[1]["live"]), (&json!("run, 2 iterations"), &json!(true)));
    assert_eq!(lab.get("models/ring.safetensors").1, std::fs::read(&ring).unwrap());
    let model = |entry: &Value| {
        let file = entry["file"].as_str().unwrap();
        let (status, bytes) = lab.get(&format!("models/{file}"));
        assert_eq!(status, "200", "{file}");
        dual_mcmc::model::Model::from_bytes(&bytes).unwrap()
    };
    let first = model(&before[1]);
    assert_eq!(first.provenance.iterations, 2);
    let (status, report) = lab.get(before[1]["report"].as_str().unwrap());
    assert!(status == "200" && String::from_utf8_lossy(&report).contains("<svg"));
    assert_eq!(lab.get("").1, b"<title>The lab</title>");
    assert_eq!(lab.get("models/nothing.safetensors").0, "404");
    assert_eq!(lab.get("../page/index.html").0, "404");

    // It goes on, and so does what is shown.
    sandbox.train("--out run --resume --steps 4");
    let after = lab.list();
    assert_eq!(after[1]["title"], "run, 4 iterations");
    assert_ne!(after[1]["file"], before[1]["file"]);
    assert_ne!(model(&after[1]).energy, first.energy);
}
