//! A headless Chromium, driven through chromedriver's WebDriver interface.

use base64::Engine;
use image::RgbImage;
use serde_json::{Value, json};
#[cfg(target_os = "linux")]
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The WebGPU that a browser offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebGpu {
    /// On a software adapter.
    Software,
    /// On a software adapter whose device is lost as soon as it draws to a canvas.
    Lost,
    /// `navigator.gpu` is there, but it gives no adapter.
    NoAdapter,
    /// There is no `navigator.gpu`.
    Off,
}

/// One browser with one window; it ends when dropped.
pub struct Browser {
    agent: ureq::Agent,
    session: String,
    driver: Child,
    _profile: TempDir,
    // The last field, so that the next browser starts when this one has ended.
    _turn: MutexGuard<'static, ()>,
}

/// A software GPU takes every core: the browsers of one test program run one after another.
static TURN: Mutex<()> = Mutex::new(());

/// Where a test says nothing else, a page gets this long. Software rendering on a busy machine is
/// slow; a test that passes does not wait for it.
const PATIENCE: Duration = Duration::from_secs(60);

impl Browser {
    /// Start a browser with a fresh profile. `flags` are added to its command line.
    pub fn start(webgpu: WebGpu, flags: &[&str]) -> Browser {
        let turn = TURN.lock().unwrap_or_else(|broken| broken.into_inner());
        let program = std::env::var("CHROMEDRIVER").unwrap_or_else(|_| "chromedriver".into());
        let mut driver = Command::new(&program)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot start {program}: {error}; `cargo xtask setup` installs it")
            });
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port: u16 = lines
            .by_ref()
            .find_map(|line| line.split("successfully on port ").nth(1)?.trim_end_matches('.').parse().ok())
            .unwrap_or_else(|| panic!("{program} did not say its port"));
        // Whatever else it prints must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir().unwrap();
        let mut args: Vec<String> = [
            "--headless=new",
            "--no-sandbox",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,900",
        ]
        .map(String::from)
        .into();
        args.push(format!("--user-data-dir={}", profile.path().display()));
        match webgpu {
            WebGpu::Software | WebGpu::Lost => {
                args.extend(["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"].map(String::from));
                if webgpu == WebGpu::Software {
                    // Without these the browser's GPU process ends as soon as WebGPU draws to a canvas.
                    let draw =
                        ["--use-vulkan=swiftshader", "--use-angle=swiftshader", "--enable-features=Vulkan"];
                    args.extend(draw.map(String::from));
                }
            }
            WebGpu::NoAdapter | WebGpu::Off => args.push("--disable-features=WebGPU".into()),
        }
        args.extend(flags.iter().map(|flag| flag.to_string()));
        let mut options = json!({ "args": args });
        if let Ok(binary) = std::env::var("CHROMIUM") {
            options["binary"] = json!(binary);
        }
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        let mut browser = Browser {
            agent,
            session: format!("http://127.0.0.1:{port}/session"),
            driver,
            _profile: profile,
            _turn: turn,
        };
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
        }}});
        let answer = browser.post("", capabilities);
        let id = answer["sessionId"].as_str().unwrap_or_else(|| panic!("no browser session: {answer}"));
        browser.session = format!("{}/{id}", browser.session);
        browser.post("/timeouts", json!({ "script": 120_000, "pageLoad": 120_000 }));
        if webgpu == WebGpu::Off {
            // Chromium keeps `navigator.gpu` even with the feature off: it then gives no adapter.
            browser.before_pages("delete Navigator.prototype.gpu");
        }
        browser
    }

    /// Run a script in every page from now on, before its own.
    pub fn before_pages(&self, script: &str) {
        self.command("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script }));
    }

    /// Answer a media query with this value from now on.
    pub fn prefer(&self, feature: &str, value: &str) {
        let features = json!([{ "name": feature, "value": value }]);
        self.command("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Put the page behind another tab for some time, as `document.hidden` then tells it.
    pub fn hide_for(&self, time: Duration) {
        let page = self.get("/window");
        let other = self.post("/window/new", json!({ "type": "tab" }));
        self.post("/window", json!({ "handle": other["handle"] }));
        std::thread::sleep(time);
        // Closing the tab in front brings the page back.
        let _ = self.agent.delete(format!("{}/window", self.session)).call();
        self.post("/window", json!({ "handle": page }));
    }

    /// Bytes of memory that the processes of the page and of its graphics have to themselves: the least of a few readings,
    /// since what is on its way comes and goes. (The browser's other processes are no matter of the page: one of its
    /// services takes 20 MiB for a while, minutes after the start.)
    #[cfg(target_os = "linux")]
    pub fn memory(&self) -> u64 {
        let readings = (0..8).map(|_| {
            std::thread::sleep(Duration::from_millis(250));
            self.memory_now()
        });
        readings.min().unwrap()
    }

    #[cfg(target_os = "linux")]
    fn memory_now(&self) -> u64 {
        let mut parents = HashMap::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let id = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
            // A process may end meanwhile.
            if let (Some(id), Ok(stat)) = (id, std::fs::read_to_string(entry.path().join("stat"))) {
                // Behind the name, which is in brackets: state, parent.
                let fields = stat.rsplit(')').next().unwrap_or_default();
                let parent = fields.split_whitespace().nth(1).and_then(|field| field.parse::<u32>().ok());
                parents.insert(id, parent.unwrap_or(0));
            }
        }
        let ours = |mut id: u32| loop {
            match parents.get(&id) {
                _ if id == self.driver.id() => return true,
                Some(&parent) => id = parent,
                None => return false,
            }
        };
        let resident = |id: &u32| -> u64 {
            let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
            line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
        };
        let of_page = |id: &u32| {
            let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            line.contains("--type=renderer") || line.contains("--type=gpu-process")
        };
        parents.keys().filter(|id| ours(**id) && of_page(id)).map(resident).sum()
    }

    /// A command of the browser's own protocol.
    fn command(&self, name: &str, parameters: Value) {
        self.post("/goog/cdp/execute", json!({ "cmd": name, "params": parameters }));
    }

    fn answer(&self, result: Result<ureq::http::Response<ureq::Body>, ureq::Error>, what: &str) -> Value {
        let mut response = result.unwrap_or_else(|error| panic!("chromedriver, {what}: {error}"));
        let status = response.status();
        let text = response.body_mut().with_config().limit(1 << 28).read_to_string().unwrap();
        let answer: Value =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("chromedriver, {what}: {e}: {text}"));
        let value = answer["value"].clone();
        assert!(status.is_success(), "chromedriver, {what}: {}", value["message"].as_str().unwrap_or(&text));
        value
    }

    fn post(&self, path: &str, body: Value) -> Value {
        let request = self.agent.post(format!("{}{path}", self.session));
        self.answer(request.header("Content-Type", "application/json").send(body.to_string()), path)
    }

    fn get(&self, path: &str) -> Value {
        self.answer(self.agent.get(format!("{}{path}", self.session)).call(), path)
    }

    /// Open an address and wait until it has loaded.
    pub fn open(&self, url: &str) {
        self.post("/url", json!({ "url": url }));
    }

    /// Run the body of a JavaScript function, an async one too, and return what it returns. The body finds the page's figure
    /// as `figure`, and the parts of its shadow tree by `ref(name)`.
    pub fn run(&self, body: &str) -> Value {
        self.run_with(body, &[])
    }

    /// Run the body of a JavaScript function as [`Browser::run`] does, with `arguments`, which it finds under that name.
    pub fn run_with(&self, body: &str, arguments: &[Value]) -> Value {
        let script = format!("{FIGURE} return (async function () {{ {body} }}).apply(null, arguments)");
        self.post("/execute/sync", json!({ "script": script, "args": arguments }))
    }

    /// Wait until an expression gives something true, and return it. Panics with `what`, and with
    /// what the page shows and has logged, when it takes too long.
    pub fn wait_for(&self, what: &str, expression: &str) -> Value {
        self.wait_up_to(PATIENCE, what, expression)
    }

    /// As [`Browser::wait_for`], for as long as this.
    pub fn wait_up_to(&self, patience: Duration, what: &str, expression: &str) -> Value {
        let start = Instant::now();
        loop {
            let value = self.run(&format!("return {expression}"));
            if !matches!(value, Value::Null | Value::Bool(false)) && value != json!("") && value != json!(0) {
                return value;
            }
            if start.elapsed() > patience {
                let text = self.run("return document.body ? document.body.innerText : ''");
                let text = text.as_str().unwrap_or_default();
                panic!("no {what} after {patience:?}\nconsole: {:#?}\npage:\n{text}", self.console());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What has been logged since the last call: level and text.
    pub fn console(&self) -> Vec<(String, String)> {
        let log = self.post("/se/log", json!({ "type": "browser" }));
        let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_string();
        log.as_array().into_iter().flatten().map(|e| (text(e, "level"), text(e, "message"))).collect()
    }

    /// Errors logged since the last call of this or [`Browser::console`].
    pub fn errors(&self) -> Vec<String> {
        self.console().into_iter().filter(|(level, _)| level == "SEVERE").map(|(_, text)| text).collect()
    }

    fn element(&self, selector: &str) -> String {
        // In the page, or in the shadow tree of its figure.
        let found = self.run_with(
            "return document.querySelector(arguments[0]) ?? figure?.shadowRoot?.querySelector(arguments[0])",
            &[selector.into()],
        );
        let id = found.as_object().and_then(|o| o.values().next()).and_then(Value::as_str);
        id.unwrap_or_else(|| panic!("no element {selector}")).to_string()
    }

    /// Click an element as a reader would.
    pub fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.post(&format!("/element/{element}/click"), json!({}));
    }

    /// Type into an element; for a file input the text is the file's path.
    pub fn send_keys(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.post(&format!("/element/{element}/value"), json!({ "text": text }));
    }

    /// Keep the window's inside at this size.
    pub fn resize(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.command("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// What the window shows.
    pub fn screenshot(&self) -> RgbImage {
        picture(&self.get("/screenshot"))
    }

    /// What an element shows; it is scrolled into view first.
    pub fn picture_of(&self, selector: &str) -> RgbImage {
        let element = self.element(selector);
        picture(&self.get(&format!("/element/{element}/screenshot")))
    }
}

/// Numbers that a script has returned: an array, or a Float32Array, which arrives as an object of numbered fields.
pub fn numbers(value: &Value) -> Vec<f32> {
    let values: Vec<&Value> = match value {
        Value::Array(values) => values.iter().collect(),
        Value::Object(fields) => (0..fields.len()).map(|i| &fields[&i.to_string()]).collect(),
        other => panic!("{other} are no numbers"),
    };
    values.into_iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

/// What every script finds.
const FIGURE: &str = "const figure = document.querySelector('dual-mcmc'), \
    ref = (name) => figure?.shadowRoot?.querySelector('[data-ref=\"' + name + '\"]');";

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser too; then there is nothing left for the driver to do.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn picture(base64: &Value) -> RgbImage {
    let bytes =
        base64::engine::general_purpose::STANDARD.decode(base64.as_str().unwrap_or_default()).unwrap();
    image::load_from_memory(&bytes).unwrap().into_rgb8()
}

/// How many different colours a picture has.
pub fn colours(picture: &RgbImage) -> usize {
    picture.pixels().map(|p| p.0).collect::<std::collections::HashSet<_>>().len()
}
