//! A shared tier for the engine's tests.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use crate::batch::Sweep;
use crate::clock::Tick;
use crate::journal::ChangeId;
use crate::policy::Policy;
use crate::protocol::tag::{TagKey, TagToken};
use crate::protocol::token::Token;
use crate::remote::validity::Validity;
use crate::remote::{Fault, FrameReply, Inspect, InspectedFrame, Mint, Remote, Unchanged};

/// Runs in the middle of an operation: after the tier has computed its reply and before the engine gets the reply.
type Meanwhile = Box<dyn FnMut() + Send>;

/// A shared tier in which the test decides the order of steps.
#[derive(Default)]
pub(super) struct Scripted {
    pub(super) values: Mutex<HashMap<Bytes, Bytes>>,
    pub(super) after_read: Mutex<Option<Meanwhile>>,
    pub(super) during_unlink: Mutex<Option<Meanwhile>>,
    pub(super) is_away: AtomicBool,
    /// Whether other tasks run before the engine gets a reply.
    pub(super) yields: AtomicBool,
    /// Whether reads get no reply. It is asked once, after `after_read` ran.
    pub(super) hangs: AtomicBool,
    pub(super) suspicions: AtomicUsize,
    pub(super) validity: Arc<Validity>,
    /// Whether a read that begins gets its reply once another read has begun.
    pub(super) overlaps: AtomicBool,
    reads: watch::Sender<usize>,
    /// How many keys are being read.
    pub(super) reading: AtomicUsize,
    /// How many leases are being renewed.
    pub(super) renewing: AtomicUsize,
}

/// Counts what is under way, until it is dropped.
struct Counted<'a>(&'a AtomicUsize, usize);

impl<'a> Counted<'a> {
    fn begin(under_way: &'a AtomicUsize, number: usize) -> Self {
        under_way.fetch_add(number, Ordering::SeqCst);
        Counted(under_way, number)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::SeqCst);
    }
}

impl Scripted {
    fn answer(&self) -> Result<(), Fault> {
        if self.is_away.load(Ordering::SeqCst) { Err(Fault::Away) } else { Ok(()) }
    }
}

#[async_trait]
impl Remote for Scripted {
    async fn read(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, Fault> {
        self.answer()?;
        let _reading = Counted::begin(&self.reading, keys.len());
        self.reads.send_modify(|reads| *reads += 1);
        let (nth, overlaps) = (*self.reads.borrow(), self.overlaps.load(Ordering::SeqCst));
        let reply = {
            let values = self.values.lock().unwrap();
            keys.iter().map(|key| values.get(key).cloned()).collect()
        };
        if let Some(meanwhile) = &mut *self.after_read.lock().unwrap() {
            meanwhile();
        }
        let hangs = self.hangs.load(Ordering::SeqCst);
        if overlaps {
            let _ = self.reads.subscribe().wait_for(|reads| *reads > nth).await;
        }
        if hangs {
            std::future::pending::<()>().await;
        }
        if self.yields.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        Ok(reply)
    }

    async fn read_anchor(&self, keys: &[Bytes]) -> Result<(Vec<Option<Bytes>>, Option<Duration>), Fault> {
        let values = self.read(keys).await?;
        let left = values[0].is_some().then_some(Policy::TTL_MAX);
        Ok((values, left))
    }

    async fn lease(
        &self,
        key: &Bytes,
        token: Token,
        replace: Option<&Bytes>,
        mint: &Mint,
    ) -> Result<FrameReply, Fault> {
        self.set_frame(key, token.lease_frame(), Duration::ZERO, replace, mint).await
    }

    async fn renew(&self, _: &Bytes, _: Token, _: Unchanged<'_>) -> Result<bool, Fault> {
        // The tests only count the leases that are being renewed.
        let _renewing = Counted::begin(&self.renewing, 1);
        std::future::pending().await
    }

    async fn permit(
        &self,
        key: &Bytes,
        token: Token,
        life: Duration,
        replace: Option<&Bytes>,
        mint: &Mint,
    ) -> Result<FrameReply, Fault> {
        self.set_frame(key, token.permit_frame(), life, replace, mint).await
    }

    async fn put(
        &self,
        key: &Bytes,
        existing: &Bytes,
        tags: &[TagToken],
        frame: Bytes,
        _: Duration,
    ) -> Result<bool, Fault> {
        self.answer()?;
        let mut values = self.values.lock().unwrap();
        let is_there = values.get(key).map(crate::protocol::frame::fingerprint).as_ref() == Some(existing);
        let is_current =
            |taken: &TagToken| values.get(taken.tag.as_bytes()) == Some(&taken.token.tag_frame());
        let may = is_there && tags.iter().all(is_current);
        if may {
            values.insert(key.clone(), frame);
        }
        Ok(may)
    }

    async fn set_frame(
        &self,
        key: &Bytes,
        frame: Bytes,
        _: Duration,
        replace: Option<&Bytes>,
        mint: &Mint,
    ) -> Result<FrameReply, Fault> {
        self.answer()?;
        let mut values = self.values.lock().unwrap();
        let existing = values.get(key).cloned();
        if existing.is_none()
            || existing.as_ref().map(crate::protocol::frame::fingerprint).as_ref() == replace
        {
            values.insert(key.clone(), frame);
        }
        let mut set = |tag: &TagKey, token: Token| {
            values.entry(tag.to_bytes()).or_insert_with(|| token.tag_frame()).clone()
        };
        let minted = mint.tags.iter().map(|(tag, token)| set(tag, *token)).collect();
        Ok(FrameReply { existing: values[key].clone(), minted })
    }

    async fn fill(&self, key: &Bytes, token: Token, frame: Bytes, _: Duration) -> Result<bool, Fault> {
        self.answer()?;
        let mut values = self.values.lock().unwrap();
        let is_held = values.get(key) == Some(&token.lease_frame());
        if is_held {
            values.insert(key.clone(), frame);
        }
        Ok(is_held)
    }

    async fn release(&self, key: &Bytes, token: Token) -> Result<(), Fault> {
        let mut values = self.values.lock().unwrap();
        if values.get(key) == Some(&token.lease_frame()) {
            values.remove(key);
        }
        Ok(())
    }

    async fn sweep(&self, _: Sweep<'_>) -> Result<u64, Fault> {
        self.answer()?;
        let mut values = self.values.lock().unwrap();
        let swept = values.len() as u64;
        values.clear();
        Ok(swept)
    }

    async fn unlink_and_record(&self, keys: &[Bytes], _: &[ChangeId]) -> Result<u64, Fault> {
        self.unlink(keys).await
    }

    async fn unlink(&self, keys: &[Bytes]) -> Result<u64, Fault> {
        self.answer()?;
        if let Some(meanwhile) = &mut *self.during_unlink.lock().unwrap() {
            meanwhile();
        }
        let mut values = self.values.lock().unwrap();
        Ok(keys.iter().filter(|key| values.remove(*key).is_some()).count() as u64)
    }

    fn redis_key(&self, key: &Bytes) -> Bytes {
        key.clone()
    }

    fn is_tracking(&self) -> bool {
        true
    }

    fn check(&self) {}

    fn allow_value_bytes(&self, _: usize) {}

    fn queue(&self, keys: &[Bytes], everything: bool) {
        self.validity.queue(keys);
        if everything {
            self.validity.queue_everything();
        }
        self.revoke_and_check();
    }

    async fn wait_until_sent(&self, limit: Duration) -> bool {
        self.validity.wait_for_grant(Tick::PAST, limit).await
    }

    fn unsent_count(&self) -> usize {
        self.validity.unsent_count()
    }

    fn revoke_and_check(&self) {
        self.suspicions.fetch_add(1, Ordering::SeqCst);
    }
}

/// The engine's tests do not inspect the tier.
#[async_trait]
impl Inspect for Scripted {
    async fn about(&self) -> Result<(String, Duration), Fault> {
        Err(Fault::Refused)
    }

    async fn scan(&self, _: &str, _: u64, _: usize) -> Result<(u64, Vec<Bytes>), Fault> {
        Err(Fault::Refused)
    }

    async fn exist(&self, _: &[Bytes]) -> Result<Vec<bool>, Fault> {
        Err(Fault::Refused)
    }

    async fn look(&self, _: &[Bytes]) -> Result<Vec<Option<InspectedFrame>>, Fault> {
        Err(Fault::Refused)
    }
}
