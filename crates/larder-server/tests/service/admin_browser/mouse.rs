//! Every control by mouse, at both widths and in both schemes.

use std::path::PathBuf;

use serde_json::json;

use super::{Loaded, PATH, is_clean, is_live, sign_in};
use crate::support::app::TestApp;
use crate::support::browser::Browser;
use crate::support::eventually;

/// What is asserted of the layout: nothing is wider than the page, and texts have a contrast of at least 4.5.
const CONTRAST: &str = r"
(() => {
  const parse = (text) => text.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((one) => one / 255).map((one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== '');
    if (!own || element.checkVisibility?.() === false) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) poor.push(`${element.tagName}.${element.className} ${element.textContent.slice(0, 30)}: ${contrast}`);
  }
  return poor;
})()
";

/// Shows the page at every width and in both schemes, and keeps pictures if a folder for them is given.
pub(super) fn looks_right(browser: &mut Browser) {
    let folder = std::env::var_os("LARDER_SCREENSHOTS").map(PathBuf::from);
    for (width, height) in [(1280, 900), (360, 780)] {
        browser.resize(width, height);
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            // The plots are drawn again with the width and the colours.
            browser.wait(&format!("document.querySelector('canvas').clientWidth < {width}"));
            let wide = browser.eval("document.documentElement.scrollWidth");
            assert!(wide.as_u64().unwrap() <= width.into(), "{wide} pixels at {width}");
            // Transitions of colours take 120 ms.
            browser.wait("document.getAnimations().length === 0");
            assert_eq!(browser.eval(CONTRAST), json!([]), "{width} {scheme}");
            if let Some(folder) = &folder {
                browser.picture(&folder.join(format!("admin-{width}-{scheme}.png")), width);
            }
        }
    }
    browser.resize(1280, 900);
    browser.prefer("light");
}

fn result_says(browser: &mut Browser, text: &str) {
    browser.wait(&format!("document.getElementById('result').innerText.includes({})", json!(text)));
}

fn is_action(url: &str) -> bool {
    ["/clear", "/switch", "/warm", "/undo"].iter().any(|action| url.ends_with(action))
}

/// Clicks a control, and in its dialog first Cancel and the second time the confirmation.
pub(super) fn confirmed(browser: &mut Browser, control: &str, says: &str) {
    browser.click(control);
    browser.wait("document.getElementById('confirm').open");
    browser.click("#confirm-no");
    browser.wait("!document.getElementById('confirm').open");
    let posted = |browser: &Browser| browser.requests().iter().filter(|url| is_action(url)).count();
    let before = posted(browser);
    browser.click(control);
    browser.click("#confirm-yes");
    result_says(browser, says);
    assert_eq!(posted(browser), before + 1, "a cancelled {control} did something");
    browser.eval("document.getElementById('result').textContent = ''");
}

/// What the page did is in the audit log, with its sender. Nothing else has cleared everything, or switched a class.
fn is_audited(app: &TestApp) {
    let admin = app.admin();
    eventually("the audit log has the clear and the switch", || {
        let has = |action: &str, what: &str| {
            let log = admin.get(&format!("/api/v1/audit?limit=100&action={action}")).expect(200).json();
            let entries = log["items"].as_array().unwrap().iter().map(ToString::to_string);
            entries.into_iter().any(|entry| [what, &admin.id].iter().all(|text| entry.contains(*text)))
        };
        has("cache.clear", "everything") && has("cache.switch", "dashboard_stats off")
    });
}

#[test]
fn every_control_works_by_mouse_at_both_widths_and_in_both_schemes() {
    let loaded = Loaded::start();
    let (a, b) = (&loaded.a, &loaded.b);
    let mut browser = Browser::start(1280, 900);
    browser.open(a.address, PATH);
    sign_in(&mut browser);
    assert_eq!(browser.text("#health"), "working");

    // An invalidation on B is in A's log: by the report of Redis or the journal.
    // Both instances write their figures within 10 s after their start.
    for app in [a, b] {
        let name = format!(":{}", app.address.port());
        browser.wait(&format!("document.querySelector('#instances [data-instance$=\"{name}\"] .pill.good')"));
    }
    browser.wait("Number(document.querySelector('#stale-hour td').innerText) > 0");
    loaded.invalidate_on_b();
    browser.wait("document.querySelector('#log').textContent.includes('user_list')");
    looks_right(&mut browser);

    // The clear of a class on A is in B's log.
    let mut there = Browser::start(1280, 900);
    there.open(b.address, PATH);
    sign_in(&mut there);
    confirmed(&mut browser, "[data-class=user_list] [data-control=clear]", "Cleared user_list");
    browser.wait(
        "document.querySelector('#log [data-cause=\"by hand\"]')?.textContent.includes('class user_list')",
    );
    let in_b = "[...document.querySelectorAll('#log li')].some((line) => line.textContent.includes('user_list') \
                && ['push', 'journal'].includes(line.dataset.cause))";
    there.wait(in_b);

    // A switch concerns A alone.
    let row = "[data-class=dashboard_stats]";
    confirmed(
        &mut browser,
        &format!("{row} [data-control=switch]"),
        "dashboard_stats is off on this instance",
    );
    browser.wait(&format!("document.querySelector('{row} .pill').innerText === 'off'"));
    let enabled = |app: &TestApp| {
        let classes = app.admin().get("/api/v1/cache/classes").expect(200).json();
        let class = classes.as_array().unwrap().iter().find(|class| class["name"] == "dashboard_stats");
        class.unwrap()["enabled"].clone()
    };
    assert_eq!((enabled(a), enabled(b)), (json!(false), json!(true)));
    confirmed(&mut browser, &format!("{row} [data-control=switch]"), "dashboard_stats is on");
    browser.wait(&format!("document.querySelector('{row} .pill').innerText === 'on'"));
    assert_eq!(enabled(a), true);

    // All others.
    browser.click("#pattern");
    browser.type_text("user_details:*");
    confirmed(&mut browser, "#pattern-form button", "Cleared what matches user_details:*");
    confirmed(&mut browser, "#warm", "Warmed user_stats, dashboard_stats, user_list");
    confirmed(&mut browser, "#clear-all", "Cleared everything");
    // B learns of it by the reports of Redis, or by the journal, whichever instance reads that first.
    browser.wait("document.querySelector('#log').textContent.includes('everything')");
    browser.eval("document.getElementById('explain-class').value = 'user_details'");
    browser.click("#explain-key");
    browser.type_text(&a.admin().id);
    browser.click("#explain-form button");
    browser.wait("document.querySelector('#explained dl')?.innerText.includes('Last invalidated')");
    browser.click("#idle");
    browser.wait("document.querySelector('[data-class=user_phone]').checkVisibility()");
    browser.click("#idle");
    browser.wait("!document.querySelector('[data-class=user_phone]').checkVisibility()");
    browser.eval(
        "document.getElementById('plot-class').value = 'user_list';
         document.getElementById('plot-class').dispatchEvent(new Event('change'))",
    );
    is_live(&mut browser);

    is_audited(a);
    is_clean(&browser, &[a, b]);
    is_clean(&there, &[a, b]);
    browser.click("#sign-out");
    browser.wait("!document.getElementById('sign-in').hidden");
    assert_eq!(browser.text("#live"), "Not connected");
}
