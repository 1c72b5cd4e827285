//! Budgets are used up, refill, and take bounded memory.

use super::*;

fn limits(per_address: u32, per_account: u32) -> Limits {
    let number = |number| NonZeroU32::new(number).unwrap();
    Limits::new(FailureLimits { per_address: number(per_address), per_account: number(per_account) })
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
        limits.login(&named("ann"), address(1)).unwrap().succeeded();
    }
    for _ in 0..3 {
        let _failed = limits.login(&named("ann"), address(1)).unwrap();
    }
    let Err(TooMany { retry_after }) = limits.login(&named("ann"), address(1)).map(drop) else {
        panic!("three failures were the limit");
    };
    assert!(retry_after > Duration::from_secs(200) && retry_after <= Duration::from_secs(300));
    limits.login(&named("bea"), address(1)).unwrap().succeeded();
    limits.login(&named("ann"), address(2)).unwrap().succeeded();
}

#[test]
fn failures_from_other_addresses_do_not_lock_the_owner_out() {
    let limits = limits(1_000, 2);
    limits.login(&named("ann"), address(250)).unwrap().succeeded();
    let tried = (0..100).filter(|last| limits.login(&named("ann"), address(*last)).is_ok()).count();
    assert_eq!(tried, 20, "ten times as many as from one address");
    limits.login(&named("ann"), address(250)).unwrap().succeeded();
}

#[test]
fn one_limit_holds_for_all_accounts_from_one_address_or_ipv6_network() {
    let limits = limits(5, 100);
    let customer = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
    let tried = |kind| (0..10).filter(|last| limits.from_address(kind, customer(*last)).is_ok()).count();
    assert_eq!([tried(Kind::Refresh), tried(Kind::Register)], [5, 5]);
    let mapped = IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201]);
    let logins =
        |last| limits.login(&named(&format!("user{last}")), if last % 2 == 0 { mapped } else { address(1) });
    assert_eq!((0..10).filter(|last| logins(*last).is_ok()).count(), 5);
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
