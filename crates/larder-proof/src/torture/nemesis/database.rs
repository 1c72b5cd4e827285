//! Nemeses of the database: only foreign writes, and a crash.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::torture::instance::order::Order;
use crate::torture::keys::ITEMS;
use crate::torture::schema::foreign_write;
use crate::torture::stage::Stage;

pub(super) fn foreign_only(stage: &mut Stage) -> Result<()> {
    stage.order_all(Order::Calm)?;
    let end = Instant::now() + stage.bound.mul_f64(1.5);
    while Instant::now() < end {
        stage.base.sql(&foreign_write(rand::random_range(0..ITEMS)))?;
    }
    stage.order_all(Order::Write).map(drop)
}

pub(super) fn crash(stage: &mut Stage) -> Result<()> {
    stage.base.primary()?.crash()?;
    thread::sleep(Duration::from_millis(rand::random_range(0..1_000)));
    stage.base.primary()?.restart()
}
