//! A bounded queue of mails. They are sent in the background, and an attempt that fails is repeated while the token of
//! the mail is valid.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::domain::mail::MailPurpose;
use crate::domain::timestamp::Timestamp;
use crate::mail::{Mail, MailSettings, SendError, Transport};

/// How many mails may be under way, those that wait for a retry included; each costs some hundred bytes.
const ROOM: u32 = 1_000;
/// How many attempts to send run at once. It is small because a mail server refuses clients with many connections.
const ATTEMPTS: usize = 4;
/// How many mails are prepared at once, so that a flood of requests leaves the database's connections to others.
const PREPARATIONS: usize = 2;
/// The time-out of one attempt, from connecting to the last answer: a server that hangs must not keep one of the
/// `ATTEMPTS` for longer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// The first and the longest pause before a retry. Each pause is twice as long as the one before.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How long a stop waits for attempts that are under way.
const GRACE: Duration = Duration::from_secs(5);

/// Sends mails in the background; clones share the queue.
#[derive(Clone)]
pub struct Mailer(Arc<Shared>);

struct Shared {
    transport: Transport,
    settings: MailSettings,
    /// Each mail that is under way holds one permit.
    room: Arc<Semaphore>,
    preparations: Semaphore,
    attempts: Semaphore,
    stopping: watch::Sender<bool>,
    sent: AtomicU64,
    retried: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

/// What a mailer has counted since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailCounts {
    /// Mails that the server or the webhook took.
    pub sent: u64,
    /// Attempts that failed and were repeated.
    pub retried: u64,
    /// Mails that were given up.
    pub failed: u64,
    /// Mails for which there was no room.
    pub dropped: u64,
    /// Mails that are under way now.
    pub waiting: u64,
}

impl Mailer {
    /// Opens the configured transport; `None`: none is configured.
    ///
    /// # Errors
    /// The system's certificates cannot be read.
    pub fn open(settings: &MailSettings) -> std::io::Result<Option<Self>> {
        let Some(transport) = &settings.transport else { return Ok(None) };
        Ok(Some(Self(Arc::new(Shared {
            transport: Transport::open(transport)?,
            settings: settings.clone(),
            room: Arc::new(Semaphore::new(ROOM as usize)),
            preparations: Semaphore::new(PREPARATIONS),
            attempts: Semaphore::new(ATTEMPTS),
            stopping: watch::Sender::new(false),
            sent: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }))))
    }

    /// How long a token is valid.
    pub fn token_life(&self) -> Duration {
        self.0.settings.token_life
    }

    /// The link for a token, if one is configured.
    pub fn link(&self, purpose: MailPurpose, token: &str) -> Option<String> {
        let template = match purpose {
            MailPurpose::PasswordReset => &self.0.settings.reset_link,
            MailPurpose::EmailConfirm => &self.0.settings.confirm_link,
        };
        template.as_ref().map(|template| template.of(token))
    }

    /// Prepares a mail and sends it, in the background. `None` from `prepare` means that there is nothing to send. If
    /// there is no room, the mail is dropped.
    pub fn soon(&self, prepare: impl Future<Output = Option<Mail>> + Send + 'static) {
        let Ok(place) = self.0.room.clone().try_acquire_owned() else {
            if self.0.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!(
                    "too many mails are under way; larder_mails_total counts those that are dropped"
                );
            }
            return;
        };
        let mailer = self.clone();
        tokio::spawn(async move {
            // The permit is returned when the task ends, also after a panic.
            let _place = place;
            let prepared = match mailer.0.preparations.acquire().await {
                Ok(_permit) => prepare.await,
                Err(_) => None,
            };
            if let Some(mail) = prepared {
                mailer.deliver(&mail).await;
            }
        });
    }

    async fn deliver(&self, mail: &Mail) {
        let shared = &*self.0;
        let (user_id, purpose) = (mail.user_id, mail.purpose.as_str());
        let message = format!("msg_{}", Uuid::now_v7().simple());
        let mut pause = PAUSES.0;
        let error = loop {
            let error = match self.attempt(mail, &message).await {
                Ok(()) => {
                    // Relaxed: the count orders nothing else. The same is true of every other count in this file.
                    shared.sent.fetch_add(1, Ordering::Relaxed);
                    tracing::info!(%user_id, purpose, "a mail was sent");
                    return;
                }
                Err(SendError::Permanent(error)) => break error,
                Err(SendError::Transient(error)) => error,
            };
            // Jitter, so that the mails that wait for one server do not return at the same instant.
            let drawn = pause.mul_f64(rand::random_range(0.75..1.25));
            if Timestamp::now().after(drawn) >= mail.expires_at {
                break format!("{error}; its token expires before the next attempt");
            }
            tracing::debug!(%user_id, purpose, error, "a mail could not be sent yet");
            let mut stopping = shared.stopping.subscribe();
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => break format!("{error}; the service stops"),
                () = sleep(drawn) => {}
            }
            shared.retried.fetch_add(1, Ordering::Relaxed);
            pause = PAUSES.1.min(2 * pause);
        };
        shared.failed.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%user_id, purpose, error, "a mail was given up");
    }

    async fn attempt(&self, mail: &Mail, message: &str) -> Result<(), SendError> {
        let stopped = || SendError::Permanent("the service stops".to_owned());
        let mut stopping = self.0.stopping.subscribe();
        let permit = tokio::select! {
            // Biased: once the stop is requested, no attempt begins.
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return Err(stopped()),
            permit = self.0.attempts.acquire() => permit,
        };
        let _permit = permit.map_err(|_| stopped())?;
        if Timestamp::now() >= mail.expires_at {
            return Err(SendError::Permanent("its token expired in the queue".to_owned()));
        }
        match timeout(ATTEMPT_TIMEOUT, self.0.transport.send(mail, message)).await {
            Ok(sent) => sent,
            Err(_) => Err(SendError::Transient(format!("there is no answer within {ATTEMPT_TIMEOUT:?}"))),
        }
    }

    /// What was counted since the start.
    pub fn counts(&self) -> MailCounts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        MailCounts {
            sent: of(&self.0.sent),
            retried: of(&self.0.retried),
            failed: of(&self.0.failed),
            dropped: of(&self.0.dropped),
            waiting: u64::from(ROOM).saturating_sub(self.0.room.available_permits() as u64),
        }
    }

    /// Gives up the mails that wait for a retry, and waits some seconds for the attempts that are under way.
    pub async fn stop(&self) {
        self.0.stopping.send_replace(true);
        // An error means that the time is over, or that an earlier stop closed the semaphore.
        if let Ok(Ok(_all)) = timeout(GRACE, self.0.room.acquire_many(ROOM)).await {
            self.0.room.close();
        }
    }
}
