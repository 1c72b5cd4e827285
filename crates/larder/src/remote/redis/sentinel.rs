//! Asks Sentinels which Redis is the master.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo};
use tokio::time::{sleep, timeout};

use crate::health::Trouble;
use crate::remote::redis::address::{Host, Server};
use crate::remote::redis::connection::Driver;
use crate::remote::redis::dialler::{Dialler, read_secret};
use crate::remote::redis::trouble::DialError;

/// How often the keeper asks the Sentinels whether the master is still the same. Sentinel closes the clients' connections
/// to a master that it demotes, but it cannot reach one from which only the Sentinels are cut off.
const MASTER_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// What the Sentinels name as the master.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) master: Host,
    /// Whether more than half of all Sentinels named it. A minority may have been cut off from the others.
    by_majority: bool,
}

/// The master that most `answers` name, which are in the order of the URL; if several have equally many, the first of them.
fn decide(answers: &[Option<Host>]) -> Option<Named> {
    let votes = |master: &Host| answers.iter().flatten().filter(|other| *other == master).count();
    // `max_by_key` returns the last of several.
    let master = answers.iter().flatten().rev().max_by_key(|master| votes(master))?;
    Some(Named { by_majority: votes(master) * 2 > answers.len(), master: master.clone() })
}

impl Dialler {
    /// The master that the `sentinels` name; see [`decide`]. All are asked at once, each for at most `limit`, and the answer
    /// is known as soon as a majority has named the same master: Sentinels that are away delay nothing.
    pub(super) async fn find_master(
        &self,
        sentinels: &[Host],
        name: &str,
        limit: Duration,
    ) -> Result<Named, DialError> {
        let mut asked: FuturesUnordered<_> = sentinels
            .iter()
            .enumerate()
            .map(|(nth, sentinel)| async move {
                let answer = timeout(limit, self.ask(sentinel, name)).await;
                (nth, answer.unwrap_or_else(|_| Err(format!("no answer within {limit:?}"))))
            })
            .collect();
        let (mut answers, mut reasons) = (vec![None; sentinels.len()], Vec::new());
        while let Some((nth, answer)) = asked.next().await {
            match answer {
                Ok(master) => answers[nth] = Some(master),
                Err(reason) => reasons.push(format!("{}: {reason}", sentinels[nth])),
            }
            if let Some(named) = decide(&answers).filter(|named| named.by_majority) {
                return Ok(named);
            }
        }
        decide(&answers).ok_or_else(|| DialError::Unusable(Trouble::NoMaster, reasons.join("; ")))
    }

    async fn ask(&self, sentinel: &Host, name: &str) -> Result<Host, String> {
        let answer = self.master_by(sentinel, name).await.map_err(|error| error.to_string())?;
        let (host, port) = answer.ok_or_else(|| format!("it monitors no master {name}"))?;
        match port.parse() {
            Ok(port) => Ok(Host { name: host, port }),
            Err(_) => Err(format!("it names the port {port}")),
        }
    }

    async fn master_by(&self, sentinel: &Host, name: &str) -> Result<Option<(String, String)>, DialError> {
        let stream = self.open(sentinel).await?;
        // Sentinels have users and passwords of their own, and no databases.
        let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(user) = &self.options.sentinel_user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.options.sentinel_password {
            login = login.set_password(password);
        }
        if let Some(path) = &self.options.sentinel_password_file {
            login = login.set_password(read_secret("sentinel_password_file", path.clone()).await?);
        }
        // The caller limits the time of the answer.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (mut connection, driver) = MultiplexedConnection::new_with_config(&login, stream, config).await?;
        let _driver = Driver::start(driver);
        let mut ask = redis::cmd("SENTINEL");
        Ok(ask.arg("GET-MASTER-ADDR-BY-NAME").arg(name).query_async(&mut connection).await?)
    }

    /// Returns when a majority of the Sentinels names another master than `master`; never if there are no Sentinels. A
    /// minority is not enough to leave a master that answers.
    pub(crate) async fn wait_for_another_master(&self, master: Option<&Host>) -> DialError {
        let (Server::MasterOf { sentinels, name }, Some(master)) = (&self.address.server, master) else {
            return std::future::pending().await;
        };
        loop {
            sleep(MASTER_CHECK_INTERVAL).await;
            let named = self.find_master(sentinels, name, MASTER_CHECK_INTERVAL).await;
            if let Some(other) = named.ok().filter(|named| named.by_majority && named.master != *master) {
                let detail =
                    format!("the Sentinels name {} as the master, and no longer {master}", other.master);
                tracing::info!("{detail}");
                return DialError::Unusable(Trouble::Asking, detail);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_majority_decides_and_in_a_tie_the_first_in_the_url() {
        let host = |name: &str| Host { name: name.to_owned(), port: 1 };
        let decided = |answers: &[&str]| {
            let answers: Vec<_> = answers.iter().map(|name| (!name.is_empty()).then(|| host(name))).collect();
            decide(&answers).map(|named| (named.master.name, named.by_majority))
        };
        for (answers, master, by_majority) in [
            (&["a", "b", "b"][..], "b", true),
            (&["b", "b", ""], "b", true),
            (&["b", "a", ""], "b", false),
            (&["", "a", ""], "a", false),
            (&["a"], "a", true),
            (&["a", "b"], "a", false),
        ] {
            assert_eq!(decided(answers), Some((master.to_owned(), by_majority)), "{answers:?}");
        }
        assert_eq!(decided(&["", ""]), None);
    }
}
