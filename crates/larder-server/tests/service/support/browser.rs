//! A real Chromium, driven over its own protocol (CDP) through two pipes: `--remote-debugging-pipe`. No library is needed, and
//! Chromium ends when its pipes close, so it never outlives its test.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use larder_testbed::{Program, find};
use serde_json::{Value, json};

use crate::support::TIMEOUT;

/// Chromium reads commands from descriptor 3 and writes answers to 4; Rust's child has 0 and 1.
const PIPED: &str = r#"exec "$@" 3<&0 4>&1 0</dev/null 1>&2"#;

/// Chromium works alone: it asks no server for updates, and uses no sandbox, which root cannot have.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-pipe",
    "about:blank",
];

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    last_id: u64,
    target: String,
    session: String,
    /// What the page did so far: its events, in their order.
    events: Vec<Value>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts Chromium with an empty page of this size.
    pub(crate) fn start(width: u32, height: u32) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", PIPED, "browser"])
            .arg(find(Program::Chromium).unwrap())
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(FLAGS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (send, messages) = channel();
        thread::spawn(move || {
            let mut message = Vec::new();
            while output.read_until(0, &mut message).is_ok_and(|length| length > 0) {
                message.pop();
                // An error means that the test has ended.
                if send.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let input = child.stdin.take().unwrap();
        let (target, session) = (String::new(), String::new());
        let (last_id, events) = (0, Vec::new());
        let mut browser =
            Self { child, input, messages, last_id, target, session, events, _profile: profile };
        // A window of its own, because only a window can be minimised.
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank", "newWindow": true }));
        browser.target = target["targetId"].as_str().unwrap().to_owned();
        let attached = json!({ "targetId": browser.target, "flatten": true });
        let session = browser.call("Target.attachToTarget", attached);
        browser.session = session["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.resize(width, height);
        browser
    }

    /// Calls a method of the protocol and returns its result.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": params });
        if !self.session.is_empty() && !method.starts_with("Browser.") {
            message["sessionId"] = self.session.clone().into();
        }
        self.input.write_all(format!("{message}\0").as_bytes()).unwrap();
        self.input.flush().unwrap();
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.messages.recv_timeout(left) {
                Ok(mut answer) if answer["id"] == self.last_id => {
                    assert!(answer.get("error").is_none(), "{method}: {answer}");
                    return answer["result"].take();
                }
                Ok(event) => self.events.push(event),
                Err(RecvTimeoutError::Timeout) => panic!("no answer to {method}"),
                Err(RecvTimeoutError::Disconnected) => panic!("Chromium ended: {:?}", self.child.try_wait()),
            }
        }
    }

    /// The value of an expression in the page.
    #[track_caller]
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut result = self.call("Runtime.evaluate", params);
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result["result"]["value"].take()
    }

    /// The text that an element shows.
    #[track_caller]
    pub(crate) fn text(&mut self, selector: &str) -> String {
        let text = self.eval(&format!("document.querySelector({}).innerText", json!(selector)));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Polls until an expression is true, and fails the test after [`TIMEOUT`].
    #[track_caller]
    pub(crate) fn wait(&mut self, expression: &str) {
        let deadline = Instant::now() + TIMEOUT;
        while self.eval(&format!("Boolean({expression})")) != true {
            if Instant::now() > deadline {
                let shown = self.text("body");
                panic!("never true: {expression}\nthe page shows:\n{shown}\n{:?}", self.complaints());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Opens a page and waits until its script has begun.
    pub(crate) fn open(&mut self, address: SocketAddr, path: &str) {
        self.call("Page.navigate", json!({ "url": format!("http://{address}{path}") }));
        self.wait("document.readyState === 'complete'");
    }

    /// Clicks with the mouse into the middle of an element, which must be in sight there.
    #[track_caller]
    pub(crate) fn click(&mut self, selector: &str) {
        let at = self.eval(&format!(
            "(() => {{
                const found = document.querySelector({});
                found.scrollIntoView({{ block: 'center' }});
                const box = found.getBoundingClientRect();
                const at = [box.x + box.width / 2, box.y + box.height / 2];
                const hit = document.elementFromPoint(...at);
                return found === hit || found.contains(hit) ? at : String(hit?.outerHTML).slice(0, 200);
            }})()",
            json!(selector)
        ));
        let (Some(x), Some(y)) = (at[0].as_f64(), at[1].as_f64()) else {
            panic!("{selector} cannot be clicked; there is {at}");
        };
        for kind in ["mousePressed", "mouseReleased"] {
            let params = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", params);
        }
    }

    /// Types a text into the element that has the focus.
    pub(crate) fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Presses a key: `Tab`, `Enter`, `Escape`, `ArrowDown`; with shift if `is_shifted`.
    pub(crate) fn press(&mut self, key: &str, is_shifted: bool) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            "ArrowDown" => (40, ""),
            _ => panic!("{key} is no key of these tests"),
        };
        let modifiers = if is_shifted { 8 } else { 0 };
        for kind in ["keyDown", "keyUp"] {
            let mut params = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers,
            });
            if kind == "keyDown" && !text.is_empty() {
                params["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", params);
        }
    }

    /// Presses Tab until the element has the focus: a keyboard reaches it.
    #[track_caller]
    pub(crate) fn tab_to(&mut self, selector: &str) {
        for _ in 0..300 {
            let is_there = format!("document.activeElement?.matches({})", json!(selector));
            if self.eval(&is_there) == true {
                let ring = self.eval(
                    "(({ outlineStyle, outlineWidth }) => outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2)\
                     (getComputedStyle(document.activeElement))",
                );
                assert_eq!(ring, true, "{selector} has the focus and does not show it");
                return;
            }
            self.press("Tab", false);
        }
        panic!("no Tab reaches {selector}");
    }

    /// The size of the page in CSS pixels.
    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// The scheme that the viewer prefers: `light` or `dark`.
    pub(crate) fn prefer(&mut self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.call("Emulation.setEmulatedMedia", json!({ "features": [feature] }));
    }

    /// Minimises the window, which hides the page, or shows it again.
    pub(crate) fn hide(&mut self, is_hidden: bool) {
        let window = self.call("Browser.getWindowForTarget", json!({ "targetId": self.target }));
        let state = if is_hidden { "minimized" } else { "normal" };
        let bounds = json!({ "windowId": window["windowId"], "bounds": { "windowState": state } });
        self.call("Browser.setWindowBounds", bounds);
        self.wait(&format!("document.hidden === {is_hidden}"));
    }

    /// Writes a picture of the complete page.
    pub(crate) fn picture(&mut self, file: &Path, width: u32) {
        let height = self.call("Page.getLayoutMetrics", json!({}))["cssContentSize"]["height"].clone();
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let params = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.call("Page.captureScreenshot", params);
        std::fs::write(file, STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()).unwrap();
    }

    /// The exceptions, the errors and warnings of the console, and what the policy of the page forbade.
    pub(crate) fn complaints(&self) -> Vec<&Value> {
        let is_complaint = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => {
                matches!(event["params"]["type"].as_str(), Some("error" | "warning" | "assert"))
            }
            Some("Log.entryAdded") => {
                matches!(event["params"]["entry"]["level"].as_str(), Some("error" | "warning"))
            }
            _ => false,
        };
        self.events.iter().filter(is_complaint).collect()
    }

    /// The URLs of all requests so far.
    pub(crate) fn requests(&self) -> Vec<&str> {
        let sent = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        sent.filter_map(|event| event["params"]["request"]["url"].as_str()).collect()
    }

    /// Forgets what the page did so far.
    pub(crate) fn forget(&mut self) {
        self.events.clear();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
