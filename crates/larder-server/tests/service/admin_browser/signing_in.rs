//! Signing in: with a wrong password, with a second factor, as a user who is no admin, and again after a reload.

use serde_json::json;

use super::{PATH, submit};
use crate::support::app::{ADMIN_EMAIL, ADMIN_PASSWORD, PASSWORD, Stack};
use crate::support::browser::Browser;
use crate::totp::enabled;

#[test]
fn a_later_viewer_of_the_tab_sees_no_key_of_the_viewer_before() {
    let app = Stack::sqlite_memory().start();
    let ann = app.user("ann");
    app.user_with_role("bea", "admin");
    let mut browser = Browser::start(1280, 900);
    browser.open(app.address, PATH);
    let is_live = "document.getElementById('live').innerText === 'Live'";
    submit(&mut browser, ADMIN_EMAIL, ADMIN_PASSWORD);
    browser.wait(is_live);
    ann.patch("/api/v1/users/me", &json!({ "bio": "new" })).expect(200);
    let shows = "document.body.textContent.includes('ann@example.com')";
    browser.wait(shows);
    browser.click("#explain-key");
    browser.type_text("ann@example.com");

    browser.click("#sign-out");
    browser.wait("!document.getElementById('sign-in').hidden");
    let is_gone = |browser: &mut Browser| {
        assert_eq!(browser.eval(shows), false);
        assert_eq!(browser.eval("document.getElementById('explain-key').value"), "");
    };
    is_gone(&mut browser);
    submit(&mut browser, "bea@example.com", PASSWORD);
    browser.wait(is_live);
    is_gone(&mut browser);
    ann.patch("/api/v1/users/me", &json!({ "bio": "newer" })).expect(200);
    browser.wait("document.getElementById('log').textContent.includes('user_email:…')");
    is_gone(&mut browser);
}

#[test]
fn the_form_asks_for_the_second_factor_and_says_what_is_wrong() {
    let app = Stack::sqlite_memory().start();
    let (ada, ann) = (app.user_with_role("ada", "admin"), app.user("ann"));
    let (phone, codes) = enabled(&ada);
    let mut browser = Browser::start(1280, 900);
    browser.open(app.address, PATH);

    submit(&mut browser, "ada@example.com", "wrong horse battery");
    browser.wait("document.getElementById('sign-in-error').innerText !== ''");
    submit(&mut browser, "ada@example.com", PASSWORD);
    browser.wait("document.activeElement.id === 'code'");
    // The present code confirmed the enrolment, and each is valid once.
    browser.type_text(&phone.code(1));
    browser.press("Enter", false);
    let is_live = "document.getElementById('live').innerText === 'Live'";
    browser.wait(is_live);
    assert_eq!(browser.text("#health"), "memory-only");
    assert_eq!(browser.eval("sessionStorage.length + localStorage.length + document.cookie.length"), 0);

    browser.call("Page.reload", json!({}));
    submit(&mut browser, "ada@example.com", PASSWORD);
    browser.wait("document.activeElement.id === 'code'");
    browser.type_text(&codes[0]);
    browser.press("Enter", false);
    browser.wait(is_live);
    browser.click("#sign-out");

    submit(&mut browser, "ann@example.com", PASSWORD);
    browser.wait("document.getElementById('sign-in-error').innerText !== ''");
    assert_eq!(browser.eval("document.getElementById('panel').hidden"), true);
    let sessions = ann.get("/api/v1/users/me/sessions").expect(200).json();
    assert_eq!(sessions["items"].as_array().unwrap().len(), 1, "the page ended its session: {sessions}");
}
