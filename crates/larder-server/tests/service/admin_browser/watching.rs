//! What the page asks for: nothing while its tab is hidden, and again after a loss.

use super::{Loaded, PATH, is_clean, is_live, sign_in};
use crate::support::browser::Browser;
use crate::support::eventually;

/// How many PINGs this Redis has answered: the sampler measures with one each second.
fn pings(loaded: &Loaded) -> u64 {
    let stats = loaded.a.stack.redis().command(&["INFO", "commandstats"]).unwrap();
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_ping:calls="));
    line.and_then(|rest| rest.split(',').next()).map_or(0, |calls| calls.parse().unwrap())
}

#[test]
fn a_hidden_tab_asks_for_nothing_and_a_shown_one_goes_on() {
    let loaded = Loaded::start();
    let mut browser = Browser::start(1280, 900);
    browser.open(loaded.a.address, PATH);
    sign_in(&mut browser);
    let samples = pings(&loaded);
    eventually("the sampler asks Redis each second", || pings(&loaded) >= samples + 2);

    browser.hide(true);
    browser.wait("document.getElementById('live').innerText === 'Paused while this tab is hidden'");
    // The end of the stream reaches the instance after the page has aborted it: then the count stays.
    let mut last = pings(&loaded);
    eventually("the sampler stops", || {
        std::thread::sleep(std::time::Duration::from_millis(2_500));
        let is_still = pings(&loaded) == last;
        last = pings(&loaded);
        is_still
    });
    browser.forget();
    // Longer than the page's longest period, that of the history.
    std::thread::sleep(std::time::Duration::from_secs(16));
    browser.wait("document.hidden");
    assert_eq!(browser.requests(), [""; 0], "a hidden tab asks");
    assert_eq!(pings(&loaded), last);

    browser.hide(false);
    is_live(&mut browser);
    browser.wait("document.querySelector('#log').textContent.includes('did not listen')");
    is_clean(&browser, &[&loaded.a]);
}
