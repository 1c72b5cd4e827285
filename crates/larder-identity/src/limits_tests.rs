//! Budgets are used up, refill, and take bounded memory.

use super::*;

fn limits(per_address: u32, per_account: u32) -> Limits {
    let number = |number| NonZeroU32::new(number).unwrap();
    Limits::new(FailureLimits { per_address: number(per_address), per_account: number(per_account) })
}

/// A login from an address that has sent no proof of a known device.
fn login(limits: &Limits, account: &str, address: IpAddr) -> Result<Attempt, TooMany> {
    Ok(limits.from_address(Purpose::Login, address)?.and(limits.account(account, address)?))
}

fn named(name: &str) -> String {
    format!("email {name}@example.com")
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

#[test]
fn failures_of_one_account_from_one_address_are_limited_and_success_costs_nothing() {
    let limits = limits(1_000, 3);
    for _ in 0..20 {
        login(&limits, &named("ann"), address(1)).unwrap().succeeded();
    }
    for _ in 0..3 {
        let _failed = login(&limits, &named("ann"), address(1)).unwrap();
    }
    let Err(TooMany { retry_after }) = login(&limits, &named("ann"), address(1)).map(drop) else {
        panic!("three failures were the limit");
    };
    assert!(retry_after > Duration::from_secs(200) && retry_after <= Duration::from_secs(300));
    login(&limits, &named("bea"), address(1)).unwrap().succeeded();
    login(&limits, &named("ann"), address(2)).unwrap().succeeded();
}

#[test]
fn failures_from_other_addresses_do_not_lock_the_owner_out() {
    let limits = limits(1_000, 2);
    login(&limits, &named("ann"), address(250)).unwrap().succeeded();
    let tried = (0..100).filter(|last| login(&limits, &named("ann"), address(*last)).is_ok()).count();
    assert_eq!(tried, 20, "ten times as many as from one address");
    login(&limits, &named("ann"), address(250)).unwrap().succeeded();
}

#[test]
fn a_known_device_has_a_budget_that_no_other_client_can_use_up() {
    let limits = limits(3, 2);
    let (ann, device) = (Uuid::now_v7(), Uuid::now_v7());
    while login(&limits, &ann.to_string(), address(1)).is_ok() {}
    while limits.code(ann, None).is_ok() {}
    limits.device(device).unwrap().succeeded();
    limits.code(ann, Some(device)).unwrap().give_back();
    let tried = (0..10).filter(|_| limits.device(device).is_ok()).count();
    assert_eq!(tried, 2, "its own failures count");
}

#[test]
fn each_session_has_a_budget_of_its_own() {
    let limits = limits(1_000, 2);
    let (stolen, own) = (Uuid::now_v7(), Uuid::now_v7());
    assert_eq!((0..10).filter(|_| limits.confirm(stolen, address(1)).is_ok()).count(), 2);
    limits.confirm(own, address(1)).unwrap().give_back();
}

#[test]
fn one_limit_holds_for_all_accounts_from_one_address_or_ipv6_network() {
    let limits = limits(5, 100);
    let customer = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
    let tried =
        |purpose| (0..10).filter(|last| limits.from_address(purpose, customer(*last)).is_ok()).count();
    assert_eq!([tried(Purpose::Refresh), tried(Purpose::Register)], [5, 5]);
    let mapped = IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201]);
    let logins = |last| {
        login(&limits, &named(&format!("user{last}")), if last % 2 == 0 { mapped } else { address(1) })
    };
    assert_eq!((0..10).filter(|last| logins(*last).is_ok()).count(), 5);
}

/// A customer with an IPv6 network of 56 bits has 256 of 64 bits.
#[test]
fn the_networks_of_one_customer_share_a_budget() {
    let limits = limits(5, 100);
    let from = |site: u16, block: u16| IpAddr::from([0x2001, 0xdb8, site, block, 0, 0, 0, 1]);
    let is_let = |site, block| limits.from_address(Purpose::Login, from(site, block)).is_ok();
    let tried = (0..256).flat_map(|block| [block; 6]).filter(|block| is_let(7, *block)).count();
    assert_eq!(tried, 5 * BLOCKS as usize);
    assert!(is_let(8, 0) && limits.from_address(Purpose::Refresh, from(7, 0)).is_ok());
    assert_eq!((0..10).filter(|_| limits.from_address(Purpose::Login, address(1)).is_ok()).count(), 5);
    // What the network as such refuses takes nothing from the budget of its part.
    let attempts: Vec<_> = (0..16).map(|block| limits.from_address(Purpose::Mail, from(9, block))).collect();
    let full: Vec<_> = (0..80).map(|block| limits.from_address(Purpose::Mail, from(9, 16 + block))).collect();
    assert_eq!(attempts.len() + full.iter().filter(|attempt| attempt.is_ok()).count(), 80);
    assert!((0..9).all(|_| limits.from_address(Purpose::Mail, from(9, 0)).is_err()));
    full.into_iter().flatten().for_each(Attempt::give_back);
    assert_eq!((0..9).filter(|_| limits.from_address(Purpose::Mail, from(9, 0)).is_ok()).count(), 4);
}

#[test]
fn memory_is_bounded_for_any_number_of_keys() {
    let budget = Budget::new(NonZeroU32::new(3).unwrap(), Duration::from_secs(900));
    let key = |number: u32| {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        key
    };
    for _ in 0..3 {
        budget.take(&key(u32::MAX)).unwrap();
    }
    for number in 0..250_000 {
        budget.take(&key(number)).unwrap();
    }
    assert!(budget.spent.len() <= KEPT, "{}", budget.spent.len());
    assert!(budget.take(&key(u32::MAX)).is_err(), "the key that has spent most is remembered");
}
