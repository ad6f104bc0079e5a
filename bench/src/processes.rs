//! What the processes of a server cost.

use std::collections::HashMap;
use std::fs;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A process and all below it. It is ended with this.
#[derive(Debug)]
pub struct Processes {
    child: Child,
}

/// One process in `/proc`.
struct Stat {
    parent: u32,
    /// User and system time, its own and that of its children who are gone and were waited for.
    ticks: u64,
}

impl Processes {
    /// Takes charge of a process that was started.
    #[must_use]
    pub const fn new(child: Child) -> Self {
        Self { child }
    }

    /// Whether it has ended already.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// User and system time of all of them, those that are gone included, from the kernel's ticks of 10 ms.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        Duration::from_millis(self.tree().iter().map(|(_, stat)| stat.ticks * 10).sum())
    }

    /// Octets of memory: what each has for itself, and its share of what it has in common with others.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let share = |pid: u32| {
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or_default();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() * 1024
        };
        self.tree().iter().map(|(pid, _)| share(*pid)).sum()
    }

    /// How many they are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.tree().len()
    }

    fn tree(&self) -> Vec<(u32, Stat)> {
        let entries = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let mut all: HashMap<u32, Stat> = entries.filter_map(|pid| Some((pid, stat(pid)?))).collect();
        let mut tree = Vec::new();
        let mut next = vec![self.child.id()];
        while let Some(pid) = next.pop() {
            next.extend(all.iter().filter(|(_, stat)| stat.parent == pid).map(|(pid, _)| *pid));
            tree.extend(all.remove(&pid).map(|stat| (pid, stat)));
        }
        tree
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        // Dovecot's master ends all others; killed, it would leave them.
        let pid = Pid::from_child(&self.child);
        let _ = kill_process(pid, Signal::TERM);
        let end = Instant::now() + Duration::from_secs(10);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn stat(pid: u32) -> Option<Stat> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // A program's name may hold anything; it ends at the last parenthesis.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let ticks = (11..15).map_while(number).sum();
    Some(Stat { parent: u32::try_from(number(1)?).ok()?, ticks })
}
