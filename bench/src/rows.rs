//! Many short things, each done in several ways, in one table.

use std::hint::black_box;
use std::time::Duration;

use crate::{cpu_time, median};

/// One thing, done in several ways that take turns.
pub struct Row<'a> {
    /// What the row is called.
    pub name: &'a str,
    /// The ways, in the order of the table's columns; `None` where one of them cannot do it.
    pub ways: Vec<Option<Way<'a>>>,
}

/// Does it some times, and says how often.
pub type Way<'a> = Box<dyn FnMut() -> u64 + 'a>;

/// What is done so often between two looks at the clock that those looks cost nothing.
pub fn often<'a, T>(mut once: impl FnMut() -> T + 'a) -> Option<Way<'a>> {
    const TIMES: u64 = 10_000;
    Some(Box::new(move || {
        for _ in 0..TIMES {
            black_box(once());
        }
        TIMES
    }))
}

/// Measures all rows in turn, each of their ways for about `turn`, `rounds` times, and prints a row for each: CPU
/// nanoseconds as median. Behind them stands how often as fast the first way is as the second: the median of what the rounds say,
/// with their range. A word at the command's end measures only what has it in its title.
pub fn table(title: &str, columns: &[&str], rounds: usize, turn: Duration, rows: Vec<Row<'_>>) {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    if wanted.is_some_and(|word| !title.contains(&word)) {
        return;
    }
    println!("\n{title} ({rounds} rounds of {turn:?} each, interleaved; CPU ns)");
    println!("| | {} | second / first | min | max |", columns.join(" | "));
    println!("|---|{}--:|--:|--:|", "--:|".repeat(columns.len()));
    let mut rows: Vec<_> = rows.into_iter().map(|row| (row, Vec::new())).collect();
    for round in 0..=rounds {
        for (row, samples) in &mut rows {
            let sample: Vec<Option<f64>> =
                row.ways.iter_mut().map(|way| way.as_mut().map(|way| measure(way, turn))).collect();
            // The first round warms up.
            if round > 0 {
                samples.push(sample);
            }
        }
    }
    for (row, samples) in rows {
        print!("| {} |", row.name);
        for column in 0..columns.len() {
            let costs: Vec<f64> = samples.iter().filter_map(|sample| *sample.get(column)?).collect();
            if costs.is_empty() { print!(" |") } else { print!(" {:.1} |", median(costs)) }
        }
        let ratios: Vec<f64> =
            samples.iter().filter_map(|sample| Some((*sample.get(1)?)? / (*sample.first()?)?)).collect();
        let (low, high) =
            ratios.iter().fold((f64::MAX, 0f64), |(low, high), ratio| (low.min(*ratio), high.max(*ratio)));
        if ratios.is_empty() { println!(" | | |") } else { println!(" {:.2} | {low:.2} | {high:.2} |", median(ratios)) }
    }
}

/// CPU nanoseconds each.
fn measure(way: &mut Way<'_>, turn: Duration) -> f64 {
    let (begin, mut times) = (cpu_time(), 0);
    loop {
        times += way();
        let spent = cpu_time() - begin;
        if spent >= turn {
            return spent.as_secs_f64() * 1e9 / times as f64;
        }
    }
}
