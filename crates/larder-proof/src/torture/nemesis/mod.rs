//! The nemeses. Each is a function that breaks something, waits, and heals it.

mod database;
mod fail_overs;
mod instances;
mod links;
mod memory;
mod redis;
mod replicas;
mod silence;

use std::fmt;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::torture::deployment::Deployment;
use crate::torture::servers::Endurance;
use crate::torture::setup::{Kind, Setup};
use crate::torture::stage::Stage;

/// Breaks a part of the run, waits, and heals it; each call of `strike` does so once.
pub struct Nemesis {
    /// The name for `--nemesis`.
    pub name: &'static str,
    /// What the nemesis does, in one line.
    pub about: &'static str,
    needs: &'static [Need],
    strike: fn(&mut Stage) -> Result<()>,
}

/// What a run must have so that a nemesis has an effect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// A Redis that the instances share.
    Redis,
    /// A Redis without Sentinels and without a cluster: the run alone decides which server is the master.
    LoneRedis,
    /// A Redis whose replica takes over by itself: Sentinels watch it, or it is a master of a cluster.
    FailOver,
    /// A Redis Cluster.
    Cluster,
    /// A proxy between each instance and its Redis.
    Links,
    /// PostgreSQL.
    Postgres,
    /// A PostgreSQL server that only this run uses, so that it may crash.
    Crash,
    /// A standby of such a server.
    Standby,
}

use Need::{Cluster, Crash, FailOver, Links, LoneRedis, Postgres, Redis, Standby};

/// All nemeses.
pub const ALL: &[Nemesis] = &[
    Nemesis {
        name: "kill-redis",
        about: "kill -9 Redis, restart it empty",
        needs: &[LoneRedis],
        strike: redis::kill,
    },
    Nemesis {
        name: "stop-redis",
        about: "SIGSTOP Redis for longer than the bound",
        needs: &[LoneRedis],
        strike: redis::stop,
    },
    Nemesis { name: "flush-redis", about: "FLUSHALL", needs: &[Redis], strike: redis::flush },
    Nemesis {
        name: "cut-clients",
        about: "CLIENT KILL every connection, again and again",
        needs: &[Redis],
        strike: redis::cut_clients,
    },
    Nemesis {
        name: "restore-redis",
        about: "restart Redis from a snapshot that writes have made old",
        needs: &[LoneRedis],
        strike: replicas::restore,
    },
    Nemesis {
        name: "promote-replica",
        about: "promote a replica whose link was stalled while others wrote",
        needs: &[LoneRedis],
        strike: replicas::promote,
    },
    Nemesis {
        name: "fail-over",
        about: "kill -9 a master, whose replica lacks the last writes and takes over, by Sentinels or in a cluster",
        needs: &[FailOver],
        strike: replicas::fail_over,
    },
    Nemesis {
        name: "move-slots",
        about: "slots of a cluster, with their keys, move to another master",
        needs: &[Cluster],
        strike: |stage| stage.shared_redis()?.cluster()?.move_slots(20),
    },
    Nemesis {
        name: "cut-off-master",
        about: "SIGSTOP a master of a cluster until its replica has taken over",
        needs: &[Cluster],
        strike: |stage| stage.shared_redis()?.cluster()?.cut_off(),
    },
    Nemesis {
        name: "lose-majority",
        about: "SIGSTOP all masters of a cluster but one for longer than the bound",
        needs: &[Cluster],
        strike: |stage| {
            let span = stage.bound.mul_f64(1.5);
            stage.shared_redis()?.cluster()?.lose_majority(span)
        },
    },
    Nemesis {
        name: "reset-master",
        about: "FLUSHALL and CLUSTER RESET HARD at a master; its replica takes over, and it joins again",
        needs: &[Cluster],
        strike: |stage| stage.shared_redis()?.cluster()?.reset(),
    },
    Nemesis {
        name: "stall-link",
        about: "one instance's link to Redis becomes a black hole, or only its way back",
        needs: &[Links],
        strike: links::stall,
    },
    Nemesis {
        name: "cut-link",
        about: "one instance's link to Redis is cut",
        needs: &[Links],
        strike: links::cut,
    },
    Nemesis {
        name: "slow-link",
        about: "one instance's link to Redis is slow",
        needs: &[Links],
        strike: links::slow,
    },
    Nemesis {
        name: "stop-instance",
        about: "SIGSTOP an instance for longer than the bound",
        needs: &[],
        strike: instances::stop,
    },
    Nemesis {
        name: "kill-writer",
        about: "kill -9 an instance between its COMMIT and its UNLINK",
        needs: &[],
        strike: instances::kill_writer,
    },
    Nemesis {
        name: "stop-relay",
        about: "SIGSTOP each instance in turn, whichever relays, and kill one of them",
        needs: &[],
        strike: instances::stop_relay,
    },
    Nemesis {
        name: "foreign-only",
        about: "for longer than the bound only psql or sqlite3 writes",
        needs: &[],
        strike: database::foreign_only,
    },
    Nemesis {
        name: "crash-postgres",
        about: "PostgreSQL crashes and comes back",
        needs: &[Crash],
        strike: database::crash,
    },
    Nemesis {
        name: "promote-standby",
        about: "the primary dies, and its standby, which has every commit, is promoted",
        needs: &[Standby],
        strike: fail_overs::promote,
    },
    Nemesis {
        name: "lagging-standby",
        about: "the primary dies, and a standby is promoted that lacks the last commits",
        needs: &[Standby],
        strike: fail_overs::promote_lagging,
    },
    Nemesis {
        name: "old-primary",
        about: "a standby is promoted, and the former primary comes back and answers as one, too",
        needs: &[Standby],
        strike: fail_overs::former_returns,
    },
    Nemesis {
        name: "refuse-memory",
        about: "a tiny maxmemory with noeviction: Redis refuses to store",
        needs: &[Redis],
        strike: memory::refuse,
    },
    Nemesis {
        name: "evict-memory",
        about: "a tiny maxmemory with allkeys-lru: Redis evicts values, leases and tags",
        needs: &[Redis],
        strike: memory::evict,
    },
    Nemesis {
        name: "small-tracking",
        about: "a tiny tracking-table-max-keys: Redis pushes for keys that were not written",
        needs: &[Redis],
        strike: memory::small_tracking,
    },
    Nemesis {
        name: "silence-triggers",
        about: "the journal's triggers are switched off while others write, for a long time or between two polls",
        needs: &[],
        strike: silence::triggers_off,
    },
    Nemesis {
        name: "hide-outbox",
        about: "row-level security hides the outbox from the instances while others write",
        needs: &[Postgres],
        strike: silence::hide_outbox,
    },
    Nemesis {
        name: "clean-outbox",
        about: "a clean-up job empties the outbox right behind others' writes",
        needs: &[],
        strike: silence::clean_outbox,
    },
    Nemesis {
        name: "swap-table",
        about: "a copy without triggers takes a table's place while others write",
        needs: &[],
        strike: silence::swap_table,
    },
];

/// Makes no fault for 500 ms.
const NONE: Nemesis = Nemesis {
    name: "none",
    about: "nothing",
    needs: &[],
    strike: |_| {
        thread::sleep(Duration::from_millis(500));
        Ok(())
    },
};

impl Nemesis {
    /// Breaks something and heals it.
    ///
    /// # Errors
    ///
    /// Something that it breaks or heals does not exist.
    pub fn strike(&self, stage: &mut Stage) -> Result<()> {
        stage.choose_redis()?;
        (self.strike)(stage)
    }

    /// Whether a run with `setup` has what the nemesis needs.
    pub fn suits(&self, setup: &Setup) -> bool {
        self.needs.iter().all(|need| match need {
            Redis => setup.has_redis(),
            LoneRedis => setup.has_redis() && !setup.deployment.fails_over(),
            FailOver => setup.has_redis() && setup.deployment.fails_over(),
            Cluster => setup.has_redis() && setup.deployment == Deployment::Cluster,
            Links => setup.has_links(),
            Postgres | Crash | Standby => setup.database == Kind::Postgres,
        })
    }

    /// Whether the nemesis stops the database, so that requests may fail.
    pub fn takes_the_database(&self) -> bool {
        self.endurance() > Endurance::Shared
    }

    /// What the database's server has to bear.
    pub(super) fn endurance(&self) -> Endurance {
        if self.needs.contains(&Standby) {
            Endurance::FailOvers
        } else if self.needs.contains(&Crash) {
            Endurance::Crashes
        } else {
            Endurance::Shared
        }
    }

    /// Whether the nemesis stops instances for longer than the load time-out, so that their loads fail.
    pub fn stops_instances(&self) -> bool {
        matches!(self.name, "stop-instance" | "stop-relay")
    }
}

/// Which nemeses a run uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// All that suit the options.
    All,
    /// None.
    None,
    /// This one.
    One(&'static str),
}

impl Choice {
    /// The text of `--help`.
    pub fn help() -> String {
        let mut help = "Which faults are made, one after another and by luck:\n".to_owned();
        let all = [("all", "each that suits the other options"), ("none", "nothing but work")];
        for (name, about) in all.into_iter().chain(ALL.iter().map(|nemesis| (nemesis.name, nemesis.about))) {
            help += &format!("\n  {name:<16} {about}");
        }
        help
    }

    /// The nemeses of a run with `setup`. For [`Choice::None`] the one that makes no fault.
    pub fn nemeses(self, setup: &Setup) -> Vec<&'static Nemesis> {
        let suiting = ALL.iter().filter(|nemesis| nemesis.suits(setup));
        match self {
            Choice::All => suiting.collect(),
            Choice::None => vec![&NONE],
            Choice::One(name) => suiting.filter(|nemesis| nemesis.name == name).collect(),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Choice::All => "all",
            Choice::None => NONE.name,
            Choice::One(name) => name,
        })
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = ["all", NONE.name].into_iter().chain(ALL.iter().map(|nemesis| nemesis.name));
        match name {
            "all" => Ok(Choice::All),
            "none" => Ok(Choice::None),
            _ => match ALL.iter().find(|nemesis| nemesis.name == name) {
                Some(nemesis) => Ok(Choice::One(nemesis.name)),
                None => Err(format!("allowed are {}", names.collect::<Vec<_>>().join(", "))),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nemesis_goes_by_its_name() {
        for nemesis in ALL {
            assert_eq!(nemesis.name.parse(), Ok(Choice::One(nemesis.name)));
            assert!(Choice::help().contains(nemesis.about));
        }
        assert_eq!("none".parse(), Ok(Choice::None));
        assert_eq!(ALL.iter().filter(|nemesis| nemesis.stops_instances()).count(), 2);
        assert!("rain".parse::<Choice>().unwrap_err().contains("kill-redis"));
    }
}
