//! Asks Sentinels which Redis is the master.

use std::collections::HashMap;
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

impl Dialler {
    /// The master that most of the `sentinels` name. All are asked at once, each for at most `limit`. The answer is known as
    /// soon as more than half of them named the same master: so Sentinels that are away delay nothing, and one that was
    /// cut off from the others cannot name a former master alone.
    pub(super) async fn find_master(
        &self,
        sentinels: &[Host],
        name: &str,
        limit: Duration,
    ) -> Result<Host, DialError> {
        let mut asked: FuturesUnordered<_> = sentinels
            .iter()
            .map(|sentinel| async move {
                let answer = timeout(limit, self.ask(sentinel, name)).await;
                (sentinel, answer.unwrap_or_else(|_| Err(format!("no answer within {limit:?}"))))
            })
            .collect();
        let (mut votes, mut reasons) = (HashMap::new(), Vec::new());
        while let Some((sentinel, answer)) = asked.next().await {
            match answer {
                Ok(master) => {
                    let count = votes.entry(master.clone()).or_insert(0);
                    *count += 1;
                    if *count * 2 > sentinels.len() {
                        return Ok(master);
                    }
                }
                Err(reason) => reasons.push(format!("{sentinel}: {reason}")),
            }
        }
        match votes.into_iter().max_by_key(|(_, count)| *count) {
            Some((master, _)) => Ok(master),
            None => Err(DialError::Unusable(Trouble::NoMaster, reasons.join("; "))),
        }
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

    /// Returns when the Sentinels name another master than `master`; never if there are no Sentinels, or while none of
    /// them answers.
    pub(crate) async fn wait_for_another_master(&self, master: Option<&Host>) -> DialError {
        let (Server::MasterOf { sentinels, name }, Some(master)) = (&self.address.server, master) else {
            return std::future::pending().await;
        };
        loop {
            sleep(MASTER_CHECK_INTERVAL).await;
            if let Ok(named) = self.find_master(sentinels, name, MASTER_CHECK_INTERVAL).await
                && named != *master
            {
                let detail = format!("the Sentinels name {named} as the master, and no longer {master}");
                return DialError::Unusable(Trouble::Replica, detail);
            }
        }
    }
}
