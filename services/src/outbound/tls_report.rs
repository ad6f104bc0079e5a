//! What became of TLS, day by day and domain by domain, for reports to those who asked for them (RFC 8460).

mod record;
mod report;
mod tally;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::policy::{Handshake, Policy, TlsFault};
use super::target::{Security, Target};
use tally::{DayTally, PolicyKey};

pub(super) use record::rua_of;
pub use report::{Reporter, TlsReport};

/// How reports are kept.
#[derive(Clone, Debug)]
pub struct TlsReportOptions {
    /// Where they are kept, a file for each day; in memory alone if nowhere.
    pub folder: Option<PathBuf>,
    /// How much of the count a crash may lose.
    pub save_every: Duration,
    /// Most domains of a day. Each takes about a kilobyte; the first ones count.
    pub domains: usize,
    /// For how many days counts are kept, with today. Reports are sent the day after (RFC 8460 §4.1); some may be late.
    pub days: usize,
}

impl Default for TlsReportOptions {
    fn default() -> Self {
        Self { folder: None, save_every: Duration::from_secs(60), domains: 10_000, days: 5 }
    }
}

/// Counts what became of TLS. Days are those of UTC (RFC 8460 §4.1).
pub struct TlsReports {
    options: TlsReportOptions,
    state: Mutex<State>,
}

/// What was counted since the last time is written.
impl Drop for TlsReports {
    fn drop(&mut self) {
        if let Err(error) = self.save() {
            tracing::warn!(%error, "counts for reports about TLS are lost");
        }
    }
}

impl std::fmt::Debug for TlsReports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsReports").finish_non_exhaustive()
    }
}

struct State {
    days: BTreeMap<Date, Day>,
    saved: Instant,
}

#[derive(Default)]
struct Day {
    tally: DayTally,
    is_saved: bool,
}

impl TlsReports {
    /// Reads what is kept. Files that cannot be read are left alone, and named in the log.
    ///
    /// # Errors
    /// The folder cannot be made or listed.
    pub fn open(options: TlsReportOptions) -> io::Result<Arc<Self>> {
        let mut days = BTreeMap::new();
        if let Some(folder) = &options.folder {
            fs::create_dir_all(folder)?;
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                let Some(date) = date_of(&path) else { continue };
                match read(&path) {
                    Ok(tally) => {
                        days.insert(date, Day { tally, is_saved: true });
                    }
                    Err(error) => tracing::warn!(path = %path.display(), %error, "counts of TLS cannot be read"),
                }
            }
        }
        let state = Mutex::new(State { days, saved: Instant::now() });
        Ok(Arc::new(Self { options, state }))
    }

    /// Counts a handshake with `target`, or that there could be none. Only new ones count: a connection that is used again is
    /// still the same session.
    pub fn record(self: &Arc<Self>, policy: &Policy, target: &Target, handshake: Handshake) {
        self.record_at(SystemTime::now(), policy, target, handshake);
    }

    /// As [`record`](Self::record), at a time of the caller's.
    pub fn record_at(self: &Arc<Self>, now: SystemTime, policy: &Policy, target: &Target, handshake: Handshake) {
        let result = match handshake.result {
            // RFC 8461 §5: in testing nothing was demanded; here is told what would have gone wrong.
            Ok(()) if policy.sts.as_ref().is_some_and(|sts| !sts.covers(&target.host)) && !tally::is_dane(target) => {
                Err(TlsFault::ValidationFailure)
            }
            result => result,
        };
        let key = PolicyKey::of(policy, Some(target));
        let handshake = Handshake { result, ..handshake };
        let mut before = policy.faults.clone();
        if target.security == Security::Encrypted {
            // RFC 7672 §2.2: there were TLSA records, of which none can be used.
            before.push(TlsFault::TlsaInvalid);
        }
        self.count(now, policy, |domain| domain.count(key, Some(&target.host), handshake, &before));
    }

    /// Counts that no host could be connected to for the sake of TLS.
    pub(super) fn record_unreached(self: &Arc<Self>, policy: &Policy, fault: TlsFault) {
        let handshake = Handshake { local: None, peer: None, result: Err(fault) };
        let key = PolicyKey::of(policy, None);
        self.count(SystemTime::now(), policy, |domain| domain.count(key, None, handshake, &policy.faults));
    }

    /// Days of which there are counts, the first one first.
    #[must_use]
    pub fn days(&self) -> Vec<Date> {
        self.state().days.keys().copied().collect()
    }

    /// Domains of which there are counts of a day.
    #[must_use]
    pub fn domains(&self, day: Date) -> Vec<String> {
        self.state().days.get(&day).map(|day| day.tally.domains.keys().cloned().collect()).unwrap_or_default()
    }

    /// The report of a day for a domain, if there is something to tell.
    #[must_use]
    pub fn report(&self, day: Date, domain: &str, reporter: &Reporter) -> Option<TlsReport> {
        let state = self.state();
        let tally = state.days.get(&day)?.tally.domains.get(domain)?;
        report::report(day, domain, tally, reporter)
    }

    /// Forgets a domain's counts of a day: their report was sent, or never can be.
    pub fn forget(&self, day: Date, domain: &str) {
        let mut state = self.state();
        if let Some(day) = state.days.get_mut(&day) {
            day.is_saved &= day.tally.domains.remove(domain).is_none();
        }
    }

    /// Writes what was counted since the last time, as happens now and then and at the end.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self) -> io::Result<()> {
        let Some(folder) = &self.options.folder else { return Ok(()) };
        let unsaved: Vec<(Date, DayTally)> = {
            let mut state = self.state();
            state.saved = Instant::now();
            let unsaved = state.days.iter_mut().filter(|(_, day)| !day.is_saved);
            unsaved
                .map(|(date, day)| {
                    day.is_saved = true;
                    (*date, day.tally.clone())
                })
                .collect()
        };
        for (date, tally) in unsaved {
            let path = folder.join(format!("{date}.json"));
            if let Err(error) = write(&path, &tally) {
                if let Some(day) = self.state().days.get_mut(&date) {
                    day.is_saved = false;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn count(self: &Arc<Self>, now: SystemTime, policy: &Policy, count: impl FnOnce(&mut tally::DomainTally)) {
        // Who asked for no reports is not counted: it would be for nobody.
        if policy.rua.is_empty() {
            return;
        }
        let Ok(now) = jiff::Timestamp::try_from(now) else { return };
        let today = now.to_zoned(TimeZone::UTC).date();
        let mut state = self.state();
        if !state.days.contains_key(&today) {
            self.make_room(&mut state);
        }
        let day = state.days.entry(today).or_default();
        let full = day.tally.domains.len() >= self.options.domains;
        if full && !day.tally.domains.contains_key(&policy.domain) {
            return;
        }
        let domain = day.tally.domains.entry(policy.domain.clone()).or_default();
        domain.rua.clone_from(&policy.rua);
        count(domain);
        day.is_saved = false;
        if state.saved.elapsed() < self.options.save_every || self.options.folder.is_none() {
            return;
        }
        state.saved = Instant::now();
        drop(state);
        let reports = Arc::clone(self);
        let save = move || {
            if let Err(error) = reports.save() {
                tracing::warn!(%error, "counts of TLS cannot be written");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(save)),
            Err(_) => save(),
        }
    }

    /// Before a day begins, those too long ago go.
    fn make_room(&self, state: &mut State) {
        while state.days.len() >= self.options.days.max(1) {
            let Some((date, _)) = state.days.pop_first() else { return };
            if let Some(folder) = &self.options.folder {
                let path = folder.join(format!("{date}.json"));
                if let Err(error) = fs::remove_file(&path) {
                    tracing::debug!(path = %path.display(), %error, "counts of a day long ago cannot be removed");
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn date_of(path: &Path) -> Option<Date> {
    path.file_name()?.to_str()?.strip_suffix(".json")?.parse().ok()
}

fn read(path: &Path) -> io::Result<DayTally> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn write(path: &Path, tally: &DayTally) -> io::Result<()> {
    use std::io::Write as _;
    let partial = path.with_extension("partial");
    let mut file = fs::File::create(&partial)?;
    file.write_all(&serde_json::to_vec(tally)?)?;
    file.sync_all()?;
    fs::rename(&partial, path)
}

#[cfg(test)]
mod tests;
