//! What some work has cost, and the medians of that over several rounds.

use std::time::{Duration, Instant};

use crate::{Device, Processes, cpu_time, median};

/// Whose CPU is counted.
#[derive(Clone, Copy, Debug)]
pub enum Who<'a> {
    /// This process.
    Us,
    /// A server.
    Them(&'a Processes),
}

/// A measurement that goes on.
#[derive(Debug)]
pub struct Meter<'a> {
    who: Who<'a>,
    device: &'a Device,
    begin: Instant,
    before: Totals,
}

#[derive(Clone, Copy, Debug)]
struct Totals {
    cpu: Duration,
    device: u64,
}

/// What one round has cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// How many messages it was.
    pub messages: u64,
    /// How long it took.
    pub time: Duration,
    /// User and system time.
    pub cpu: Duration,
    /// Octets that the whole machine wrote to the disk meanwhile.
    pub device: u64,
}

impl<'a> Meter<'a> {
    /// Begins now.
    #[must_use]
    pub fn begin(who: Who<'a>, device: &'a Device) -> Self {
        let before = totals(who, device);
        Self { who, device, begin: Instant::now(), before }
    }

    /// Ends now.
    #[must_use]
    pub fn end(self, messages: u64) -> Cost {
        let time = self.begin.elapsed();
        self.end_after(messages, time)
    }

    /// Ends now, for work that took a time of its own.
    #[must_use]
    pub fn end_after(self, messages: u64, time: Duration) -> Cost {
        let after = totals(self.who, self.device);
        Cost {
            messages,
            time,
            cpu: after.cpu.saturating_sub(self.before.cpu),
            device: after.device.saturating_sub(self.before.device),
        }
    }
}

fn totals(who: Who<'_>, device: &Device) -> Totals {
    let cpu = match who {
        Who::Us => cpu_time(),
        Who::Them(processes) => processes.cpu(),
    };
    Totals { cpu, device: device.written().unwrap_or_default() }
}

/// What all rounds of one case have cost.
#[derive(Clone, Debug, Default)]
pub struct Costs(Vec<Cost>);

impl Costs {
    /// Takes another round in.
    pub fn add(&mut self, cost: Cost) {
        self.0.push(cost);
    }

    /// Messages of all rounds.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.0.iter().map(|cost| cost.messages).sum()
    }

    /// Messages per second: median, least and most.
    #[must_use]
    pub fn rate(&self) -> (f64, f64, f64) {
        let rates = self.each(|cost| cost.messages as f64 / cost.time.as_secs_f64());
        let (least, most) =
            rates.iter().fold((f64::MAX, 0f64), |(least, most), rate| (least.min(*rate), most.max(*rate)));
        (median(rates), least, most)
    }

    /// CPU microseconds for a message, median.
    #[must_use]
    pub fn cpu(&self) -> f64 {
        median(self.each(|cost| cost.cpu.as_secs_f64() * 1e6 / cost.messages as f64))
    }

    /// Octets that the disk wrote for a message, least: others may have written too.
    #[must_use]
    pub fn device(&self) -> f64 {
        self.each(|cost| cost.device as f64 / cost.messages as f64).into_iter().fold(f64::MAX, f64::min)
    }

    fn each(&self, what: impl Fn(&Cost) -> f64) -> Vec<f64> {
        self.0.iter().map(what).collect()
    }
}
