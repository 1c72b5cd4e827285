//! Every control by keyboard alone.

use serde_json::json;

use super::{Loaded, PATH, is_clean, is_live};
use crate::support::app::{ADMIN_EMAIL, ADMIN_PASSWORD};
use crate::support::browser::Browser;

/// Opens the dialog of a control with Enter, leaves it with Escape, opens it again and confirms.
fn confirmed(browser: &mut Browser, control: &str, says: &str) {
    browser.tab_to(control);
    browser.press("Enter", false);
    browser.wait("document.getElementById('confirm').open");
    browser.press("Escape", false);
    browser.wait("!document.getElementById('confirm').open");
    let is_back = format!("document.activeElement.matches({})", json!(control));
    browser.wait(&is_back);
    browser.press("Enter", false);
    browser.wait("document.getElementById('confirm').open");
    // Enter alone would cancel.
    assert_eq!(browser.eval("document.activeElement.id"), "confirm-no");
    browser.tab_to("#confirm-yes");
    browser.press("Enter", false);
    browser.wait(&format!("document.getElementById('result').innerText.includes({})", json!(says)));
    browser.wait(&is_back);
}

#[test]
fn every_control_works_by_keyboard_alone() {
    let loaded = Loaded::start();
    let mut browser = Browser::start(1280, 900);
    browser.open(loaded.a.address, PATH);
    // The first field has the focus already.
    browser.wait("document.activeElement.id === 'email'");
    browser.type_text(ADMIN_EMAIL);
    browser.tab_to("#password");
    browser.type_text(ADMIN_PASSWORD);
    browser.press("Enter", false);
    is_live(&mut browser);

    browser.tab_to("#plot-class");
    browser.press("ArrowDown", false);
    browser.wait("document.getElementById('plot-class').value !== ''");
    browser.tab_to("#idle");
    browser.press("Enter", false);
    browser.wait("document.querySelector('[data-class=user_phone]').checkVisibility()");
    confirmed(&mut browser, "[data-class=user_list] [data-control=clear]", "Cleared user_list");
    let switch = "[data-class=user_list] [data-control=switch]";
    confirmed(&mut browser, switch, "user_list is off");
    confirmed(&mut browser, switch, "user_list is on");
    browser.tab_to("#log");
    browser.tab_to("#explain-class");
    browser.press("ArrowDown", false);
    browser.tab_to("#explain-key");
    browser.type_text("no-such-entry");
    browser.tab_to("#explain-form button");
    browser.press("Enter", false);
    browser.wait("document.querySelector('#explained').innerText !== ''");
    browser.tab_to("#pattern");
    browser.type_text("user_email:*");
    confirmed(&mut browser, "#pattern-form button", "Cleared what matches user_email:*");
    confirmed(&mut browser, "#clear-all", "Cleared everything");
    confirmed(&mut browser, "#warm", "Warmed");
    is_clean(&browser, &[&loaded.a, &loaded.b]);
    browser.tab_to("#sign-out");
    browser.press("Enter", false);
    browser.wait("!document.getElementById('sign-in').hidden");
}
