//! Interleaved measuring: all cases of a comparison take turns, so that a machine that slows down slows all of them.

mod disk;
mod load;
mod maildrop;
mod mailers;
mod meter;
mod places;
mod pop3;
mod postfix;
mod processes;
mod raw_log;
mod rows;
mod servers;

use std::time::{Duration, Instant};

pub use disk::{Device, space_of};
pub use load::{Connections, Load, PER_CONNECTION, Sink};
pub use maildrop::{Maildrop, Prng};
pub use mailers::{Login, Mailer, Make, Onward, SENDER};
pub use meter::{Cost, Costs, Meter, Who};
pub use pop3::{Pop3Client, Stat};
pub use postfix::postfix_missing;
pub use processes::Processes;
pub use raw_log::{RawLog, Room};
pub use rows::{Row, Way, often, table};
pub use servers::{Dovecot, PASSWORD, Place, Pop3Server, Setup, dovecot_missing, single_node};

/// One thing to measure. `run` does some work and says how many operations that was.
pub struct Case<'a> {
    /// What the row is called.
    pub name: &'a str,
    /// The work.
    pub run: Box<dyn FnMut() -> u64 + 'a>,
    /// The CPU time spent so far by who does the work.
    pub cpu: Box<dyn Fn() -> Duration + 'a>,
}

impl<'a> Case<'a> {
    /// A case whose work this process does.
    pub fn new(name: &'a str, run: impl FnMut() -> u64 + 'a) -> Self {
        Self { name, run: Box::new(run), cpu: Box::new(cpu_time) }
    }

    /// A case whose work a server does.
    pub fn at(server: &'a dyn Pop3Server, run: impl FnMut() -> u64 + 'a) -> Self {
        Self { name: server.name(), run: Box::new(run), cpu: Box::new(|| server.processes().cpu()) }
    }
}

/// Runs each case for about `turn`, `rounds` times in turn, and prints a row for each: operations per second and CPU per
/// operation as median, with the range of the rate.
pub fn compare(title: &str, unit: &str, rounds: usize, turn: Duration, mut cases: Vec<Case<'_>>) {
    let mut samples: Vec<Vec<(f64, f64)>> = cases.iter().map(|_| Vec::new()).collect();
    for case in &mut cases {
        (case.run)();
    }
    for _ in 0..rounds {
        for (case, samples) in cases.iter_mut().zip(&mut samples) {
            let (begin, cpu, mut operations) = (Instant::now(), (case.cpu)(), 0u64);
            while begin.elapsed() < turn {
                operations += (case.run)();
            }
            let operations = operations as f64;
            samples.push((
                operations / begin.elapsed().as_secs_f64(),
                ((case.cpu)() - cpu).as_secs_f64() * 1e6 / operations,
            ));
        }
    }
    println!("\n{title} ({rounds} rounds of {turn:?}, interleaved)");
    println!("| case | {unit}/s, median | min | max | CPU µs/{unit} |\n|---|--:|--:|--:|--:|");
    for (case, samples) in cases.iter().zip(samples) {
        let rates: Vec<f64> = samples.iter().map(|(rate, _)| *rate).collect();
        let cpu: Vec<f64> = samples.iter().map(|(_, cpu)| *cpu).collect();
        let (low, high) = rates.iter().fold((f64::MAX, 0f64), |(low, high), rate| (low.min(*rate), high.max(*rate)));
        println!("| {} | {:.0} | {low:.0} | {high:.0} | {:.3} |", case.name, median(rates), median(cpu));
    }
}

/// The one in the middle.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// User and system time of this process, all threads.
#[must_use]
pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
