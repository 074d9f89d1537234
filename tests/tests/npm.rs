//! The npm package, installed from its tarball, on pages of every kind: each page's figure runs its chains.
#![allow(clippy::unwrap_used)]

use dual_mcmc_tests::browser::{Browser, WebGpu};
use dual_mcmc_tests::{models, page};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use xtask::serve::{Reply, Server, file};
use xtask::{npm, process};

/// A folder in which the tarball is installed: `node_modules/dual-mcmc` is there, and a model, `plane.safetensors`.
fn installed() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = process::root().join("target/npm-test");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let tarball = npm::pack(page::folder(), &folder).unwrap();
        fs::write(folder.join("package.json"), r#"{ "private": true }"#).unwrap();
        install(&folder, &["--offline", tarball.to_str().unwrap()]);
        fs::write(folder.join("plane.safetensors"), models::bytes(&models::plane())).unwrap();
        folder
    })
}

fn install(folder: &Path, what: &[&str]) {
    let mut npm = process::command("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]).args(what);
    process::run(npm.current_dir(folder)).unwrap();
}

/// A page by its path, and its headers.
type Page = (&'static str, String, Vec<(&'static str, String)>);

/// Pages of their own; everything else is the folder's.
fn serve(pages: Vec<Page>, everywhere: &'static [(&str, &str)]) -> Server {
    let folder = installed();
    Server::start(0, move |path| {
        let own = pages.iter().find(|(name, ..)| *name == path);
        let mut reply = match own {
            Some((_, html, headers)) => {
                headers.iter().fold(Reply::of("text/html", html.as_str()), |reply, (name, value)| {
                    reply.header(name, value)
                })
            }
            None => file(folder, path),
        };
        for (name, value) in everywhere {
            reply = reply.header(name, value);
        }
        reply
    })
    .unwrap()
}

/// A page with one figure, whose module is at `module`.
fn html(module: &str, model: &str) -> String {
    format!(
        "<!doctype html><title>A page</title><link rel=icon href='data:,'>
         <script type=module src='{module}'></script>
         <dual-mcmc src='{model}' loading=eager device=cpu chains=8 controls></dual-mcmc>"
    )
}

const MODULE: &str = "node_modules/dual-mcmc/dual-mcmc.js";

/// The chains run; in how many workers, and what the figure remarks.
fn runs(browser: &Browser, address: &str) -> (u64, String) {
    browser.open(address);
    browser.wait_for(&format!("chains of {address}"), page::STATE);
    browser.run("await figure.step(3)");
    assert_eq!(browser.run("return (await figure.state()).step"), 3, "{address}");
    let workers = browser.run("return performance.getEntriesByType('resource').filter((it) => it.name.endsWith('worker.js')).length");
    let said = browser.run("return ref('remarks').hidden ? '' : ref('remarks').innerText");
    (workers.as_u64().unwrap(), said.as_str().unwrap().to_string())
}

const STRICT: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'";

#[test]
fn plain_pages_deep_pages_strict_pages_and_pages_of_others_run_it() {
    let elsewhere = serve(Vec::new(), &[("Access-Control-Allow-Origin", "*")]);
    let from = |path: &str| format!("{}{path}", elsewhere.url());
    let foreign = html(&from(MODULE), &from("plane.safetensors"));
    let policy = |text: &str| vec![("Content-Security-Policy", text.to_string())];
    let others = format!(
        "default-src 'self'; script-src {0} 'wasm-unsafe-eval'; connect-src {0}; worker-src 'self'; img-src data:",
        elsewhere.url()
    );
    let server = serve(
        vec![
            ("/plain.html", html(MODULE, "plane.safetensors"), Vec::new()),
            (
                "/deep/in/a/site.html",
                html(&format!("../../../{MODULE}"), "../../../plane.safetensors"),
                Vec::new(),
            ),
            ("/strict.html", html(MODULE, "plane.safetensors"), policy(&format!("{STRICT}; img-src data:"))),
            ("/foreign.html", foreign.clone(), Vec::new()),
            ("/refused.html", foreign, policy(&others)),
        ],
        &[],
    );
    let browser = Browser::start(WebGpu::Off, &[]);
    for path in ["plain.html", "deep/in/a/site.html", "strict.html"] {
        let (workers, said) = runs(&browser, &format!("{}{path}", server.url()));
        assert!(workers >= 1 && said.is_empty(), "{path}: {workers} workers, “{said}”");
        assert_eq!(browser.errors(), Vec::<String>::new(), "{path}");
    }
    // The worker of another origin is a blob that imports it; where that is forbidden there is none, and the figure says so.
    let (_, said) = runs(&browser, &format!("{}foreign.html", server.url()));
    assert_eq!(said, "");
    assert_eq!(browser.errors(), Vec::<String>::new());
    let (_, said) = runs(&browser, &format!("{}refused.html", server.url()));
    assert!(said.contains("may start no workers"), "{said}");
    let errors = browser.errors();
    assert!(errors.iter().all(|error| error.contains("Content Security Policy")), "{errors:?}");
}

#[test]
fn wasm_is_taken_from_where_the_author_says_and_its_faults_are_told() {
    let folder = installed().join("node_modules/dual-mcmc");
    let wasm = fs::read(folder.join("dual-mcmc-web_bg.wasm")).unwrap();
    let other = String::from_utf8(fs::read(folder.join("code.js")).unwrap())
        .unwrap()
        .replace("VERSION = '", "VERSION = '9.");
    // A package of another version, whole: its number stands in JavaScript and wasm alike.
    let (version, later) = (env!("CARGO_PKG_VERSION"), "9.8.7");
    assert_eq!(version.len(), later.len());
    let code = fs::read_to_string(folder.join("code.js")).unwrap().replace(version, later);
    let mut later_wasm = wasm.clone();
    for at in 0..wasm.len() - version.len() {
        if wasm[at..].starts_with(version.as_bytes()) {
            later_wasm[at..at + later.len()].copy_from_slice(later.as_bytes());
        }
    }
    let module = "/node_modules/dual-mcmc/dual-mcmc.js";
    let figure = "<dual-mcmc src=/plane.safetensors device=cpu loading=eager></dual-mcmc>";
    let assets = move |lines: &str| {
        format!(
            "<!doctype html><link rel=icon href='data:,'><script type=module>import {{ DualMcmc }} from '{module}'; {lines}
             document.body.innerHTML = '{figure}';</script><body></body>"
        )
    };
    let versions = move |[first, second]: [&str; 2]| {
        format!(
            "<!doctype html><link rel=icon href='data:,'><script type=module>
             const [a, b] = [(await import('{first}')).DualMcmc, (await import('{second}')).DualMcmc];
             window.versions = [a.version, b.version, customElements.get('dual-mcmc').version];
             document.body.innerHTML = '{figure}{figure}';</script><body></body>"
        )
    };
    let own = folder.clone();
    let answer = move |path: &str| {
        match path {
        "/address.html" => Reply::of("text/html", assets("DualMcmc.assets.wasm = '/moved/code.wasm'; DualMcmc.assets.worker = '/node_modules/dual-mcmc/worker.js';")),
        "/bytes.html" => Reply::of("text/html", assets("DualMcmc.assets.wasm = await (await fetch('/moved/code.wasm')).arrayBuffer();")),
        "/text.html" => Reply::of("text/html", assets("DualMcmc.assets.wasm = '/text/code.wasm';")),
        "/page.html" => Reply::of("text/html", assets("DualMcmc.assets.wasm = '/nowhere.html';")),
        "/version.html" => Reply::of("text/html", html("/other/dual-mcmc.js", "/plane.safetensors")),
        "/two.html" => Reply::of("text/html", format!(
            "<!doctype html><link rel=icon href='data:,'><script type=module>
             await import('{module}'); await import('/again/dual-mcmc.js'); document.body.innerHTML = '{figure}{figure}';</script><body></body>"
        )),
        "/older-first.html" => Reply::of("text/html", versions([module, "/later/dual-mcmc.js"])),
        "/later-first.html" => Reply::of("text/html", versions(["/later/dual-mcmc.js", module])),
        "/later/code.js" => Reply::of("text/javascript", code.as_str()),
        "/later/dual-mcmc-web_bg.wasm" => Reply::of("application/wasm", later_wasm.clone()),
        "/moved/code.wasm" => Reply::of("application/wasm", wasm.clone()),
        "/text/code.wasm" => Reply::of("text/plain", wasm.clone()),
        "/nowhere.html" => Reply::of("text/html", "<!doctype html><title>There is nothing here</title>"),
        "/other/code.js" => Reply::of("text/javascript", other.as_str()),
        _ => match ["/other", "/again", "/later"].iter().find_map(|place| path.strip_prefix(place)) {
            Some(path) => file(&own, path),
            None => file(installed(), path),
        },
    }
    };
    let server = Server::start(0, answer).unwrap();
    let browser = Browser::start(WebGpu::Off, &[]);
    for path in ["address.html", "bytes.html", "text.html", "two.html"] {
        runs(&browser, &format!("{}{path}", server.url()));
        assert_eq!(browser.errors(), Vec::<String>::new(), "{path}");
    }
    // Of two versions on one page that which comes first serves all figures, with its own wasm.
    for (path, [first, second]) in
        [("older-first.html", [version, later]), ("later-first.html", [later, version])]
    {
        runs(&browser, &format!("{}{path}", server.url()));
        assert_eq!(browser.run("return window.versions"), json!([first, second, first]));
        assert_eq!(browser.errors(), Vec::<String>::new(), "{path}");
    }
    for (path, expected) in [("page.html", "something else"), ("version.html", "another version")] {
        browser.open(&format!("{}{path}", server.url()));
        let said = browser.wait_for("a sentence", page::NOTICE);
        assert!(said.as_str().unwrap().contains(expected), "{path}: {said}");
    }
}

#[test]
fn where_there_is_no_page_it_does_nothing() {
    let script = "const { DualMcmc } = await import('dual-mcmc');
        const parts = ['dual-mcmc/worker', 'dual-mcmc/wasm', 'dual-mcmc/custom-elements.json'].map((part) => import.meta.resolve(part));
        console.log(typeof DualMcmc, DualMcmc.version, parts.every((part) => part.includes('node_modules/dual-mcmc/')));";
    let folder = installed();
    fs::write(folder.join("server.mjs"), script).unwrap();
    let output = process::command("node").current_dir(folder).arg("server.mjs").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let expected = format!("function {} true", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), expected, "{said}");
}

/// A folder of tests/builders with its packages and the tarball installed, as a user would.
fn project(name: &str) -> PathBuf {
    let folder = process::root().join("target/npm-builders").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("public")).unwrap();
    for entry in fs::read_dir(process::root().join("tests/builders").join(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    fs::copy(installed().join("plane.safetensors"), folder.join("public/plane.safetensors")).unwrap();
    let tarball = installed().join(format!("dual-mcmc-{}.tgz", env!("CARGO_PKG_VERSION")));
    install(&folder, &[tarball.to_str().unwrap()]);
    folder
}

fn npx(folder: &Path, words: &[&str]) -> Command {
    let mut command = process::command("npx");
    command.current_dir(folder).arg("--no-install").args(words);
    command
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "Vite, webpack and React are fetched and take minutes; pages without builders are in every run. cargo xtask test --long"]
fn builders_find_wasm_and_worker() {
    let browser = Browser::start(WebGpu::Off, &[]);
    for (name, build) in [("vite", &["vite", "build"][..]), ("webpack", &["webpack"][..])] {
        let folder = project(name);
        process::run(&mut npx(&folder, build)).unwrap();
        let built = folder.join("dist");
        let server = Server::start(0, move |path| file(&built, path)).unwrap();
        browser.open(&server.url());
        browser.wait_for(&format!("{name}'s figure"), page::STATE);
        browser.run("await figure.step(3)");
        // That there are workers, too.
        let said = browser.run("return ref('remarks').hidden ? '' : ref('remarks').innerText");
        assert_eq!(said, "", "{name}");
        assert_eq!(browser.errors(), Vec::<String>::new(), "{name}");
    }
    // The development server.
    let folder = project("vite");
    let port = Server::start(0, |_| Reply::not_found()).unwrap().port();
    // Not through npx, which would not take it along when it is ended.
    let mut vite = process::command("node");
    vite.current_dir(&folder).arg("node_modules/vite/bin/vite.js");
    vite.args(["--port", &port.to_string(), "--strictPort", "--host", "127.0.0.1"]);
    let dev = vite.stdout(Stdio::null()).spawn().unwrap();
    let _dev = Running(dev);
    let address = format!("http://127.0.0.1:{port}/");
    for _ in 0..100 {
        if ureq::get(&address).call().is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    browser.open(&address);
    browser.wait_for("the figure of Vite's server", page::STATE);
    browser.run("await figure.step(3)");
    assert_eq!(browser.errors(), Vec::<String>::new());
}

#[test]
#[ignore = "React is fetched and built; pages without builders are in every run. cargo xtask test --long"]
fn react_mounts_twice_and_leaves_no_ghosts() {
    let folder = project("react");
    // React mounts twice where it is developed with.
    let build = &mut npx(&folder, &["vite", "build", "--mode", "development"]);
    process::run(build.env("NODE_ENV", "development")).unwrap();
    let built = folder.join("dist");
    let server = Server::start(0, move |path| file(&built, path)).unwrap();
    let browser = Browser::start(WebGpu::Off, &[]);
    browser.open(&server.url());
    browser.wait_for("React's figure", page::STATE);
    browser.wait_for("its event", "document.getElementById('told').textContent.includes('load')");
    assert_eq!(
        browser.run("return [document.querySelectorAll('dual-mcmc').length, window.mounted]"),
        json!([1, 2])
    );
    // Gone and back, and with another attribute, by React's own state.
    for _ in 0..5 {
        browser.click("#toggle");
        browser.wait_for("no figure", "!document.querySelector('dual-mcmc')");
        browser.click("#toggle");
        browser.wait_for("the figure again", page::STATE);
    }
    browser.click("#chains");
    browser.wait_for("more chains", "(await figure.state()).chains === 12");
    assert_eq!(browser.errors(), Vec::<String>::new());
}
