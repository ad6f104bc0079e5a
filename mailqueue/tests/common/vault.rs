//! A cellar that is a log on a disk, with segments so small that they are sealed and emptied all the time.

use std::io::ErrorKind;

use mailqueue::testing::{Disk, Fault, Survival};
use mailqueue::{LogConfig, LogSpool};

use super::town::{Cellar, Town};

#[derive(Default)]
pub(crate) struct Vault {
    pub(crate) disk: Disk,
}

impl Cellar for Vault {
    type Spool = LogSpool<Disk>;

    fn open(&mut self) -> Option<LogSpool<Disk>> {
        let config = LogConfig {
            segment_size: 4096,
            chunk_size: 700,
            spares: 1,
            reserve: 0,
            readers: 1,
            preparation: mailqueue::log::Preparation::Between,
            ..LogConfig::default()
        };
        let (spool, report) = LogSpool::open(self.disk.clone(), config).ok()?;
        assert_eq!((report.damage, report.damaged_messages, report.set_aside), (vec![], vec![], vec![]));
        Some(spool)
    }

    fn crash(&mut self, chance: u64) {
        let survival = match chance % 4 {
            0 => Survival::All,
            1 => Survival::Nothing,
            _ => Survival::Some(chance),
        };
        self.disk = self.disk.crash(survival);
    }

    fn is_stopped(&self) -> bool {
        self.disk.is_stopped()
    }

    fn repair(&mut self) {
        self.disk.repair();
        self.disk.limit(None);
        self.disk.limit_files(None);
    }
}

/// What goes wrong with the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// The machine stops at a call.
    Crash,
    /// One call fails.
    Once,
    /// One call finds no room.
    Full,
    /// All calls fail from then on.
    Always,
}

impl Mishap {
    pub(crate) fn fault(self) -> Fault {
        match self {
            Self::Crash => Fault::Crash,
            Self::Once => Fault::Once(ErrorKind::Other),
            Self::Full => Fault::Once(ErrorKind::StorageFull),
            Self::Always => Fault::Always(ErrorKind::Other),
        }
    }
}

/// A town whose office is open.
pub(crate) fn town(seed: u64) -> Town<Vault> {
    let mut town = Town::new(Vault::default(), seed);
    town.open();
    town
}
