//! Mail that is taken and stays, by the same generator into both servers and into nothing.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use bench::{Connections, Cost, Costs, Load, Mailer, Make, Meter, Onward, Sink, Who, space_of};

use crate::{Extent, Plan, tell, told};

const SIZES: [u64; 2] = [2 << 10, 100 << 10];
const SESSIONS: [u64; 4] = [1, 10, 50, 200];

pub(crate) fn measure(plan: &Plan) {
    for octets in SIZES {
        for connections in [Connections::Each, Connections::Kept] {
            let manner = match connections {
                Connections::Each => "a connection for each message",
                Connections::Kept => "connections kept",
            };
            println!("\nAccepted and kept, {octets} octets, {manner} (smtp-source, {:?} each)", plan.extent.turn());
            println!(
                "| sessions | server | messages/s, median | min | max | CPU ms/message | to the disk/octet | \
                 space/octet |\n|--:|---|--:|--:|--:|--:|--:|--:|"
            );
            let sessions = match plan.extent {
                Extent::Full => &SESSIONS[..],
                Extent::Quick => &SESSIONS[2..3],
            };
            for sessions in sessions {
                row(plan, Load { sessions: *sessions, messages: 0, octets, connections });
            }
        }
    }
}

/// One server in one row, and what it has cost so far.
struct Case {
    mailer: Mailer,
    folder: PathBuf,
    space: u64,
    costs: Costs,
}

impl Case {
    fn new(plan: &Plan, make: Make) -> Self {
        let folder = plan.folder(make.name());
        let mailer = Mailer::start(make, &folder, Onward::Nowhere);
        let space = space_of(&mailer.queue());
        Self { mailer, folder, space, costs: Costs::default() }
    }
}

fn row(plan: &Plan, load: Load) {
    let mut cases = [Make::Ours, Make::Postfix].map(|make| Case::new(plan, make));
    let sink = Sink::open(Sink::place());
    let mut ceiling = Costs::default();
    let (octets, sessions) = (load.octets as f64, load.sessions);
    let mut rates = [0.0; 3];
    for round in 0..=plan.extent.rounds() {
        tell(format_args!("accept: {octets} octets, {sessions} sessions, {:?}, round {round}", load.connections));
        let into_nothing = || load_for(load, rates[2], plan.extent.turn());
        let cost = {
            let load = into_nothing();
            let meter = Meter::begin(Who::Them(sink.processes()), &plan.device);
            let time = load.smtp_source(sink.address(), "somebody@dest.invalid");
            meter.end_after(load.messages, time)
        };
        rates[2] = rate(cost);
        if round > 0 {
            ceiling.add(cost);
        }
        for (case, rate_so_far) in cases.iter_mut().zip(&mut rates) {
            let load = load_for(load, *rate_so_far, plan.extent.turn());
            let meter = Meter::begin(Who::Them(case.mailer.processes()), &plan.device);
            let time = load.smtp_source(case.mailer.address(), case.mailer.recipient());
            let cost = meter.end_after(load.messages, time);
            *rate_so_far = rate(cost);
            // The first round warms up.
            if round > 0 {
                case.costs.add(cost);
            } else {
                case.space = space_of(&case.mailer.queue());
            }
        }
    }
    told();
    for Case { mailer, folder, space, costs } in cases {
        let grown = space_of(&mailer.queue()).saturating_sub(space) as f64 / costs.messages() as f64;
        print(sessions, mailer.name(), &costs, octets);
        println!(" {:.2} |", grown / octets);
        drop(mailer);
        fs::remove_dir_all(folder).unwrap();
    }
    print(sessions, "smtp-sink: the generator's ceiling", &ceiling, octets);
    println!(" |");
}

fn print(sessions: u64, name: &str, costs: &Costs, octets: f64) {
    let (median, least, most) = costs.rate();
    print!(
        "| {sessions} | {name} | {median:.0} | {least:.0} | {most:.0} | {:.3} | {:.2} |",
        costs.cpu() / 1e3,
        costs.device() / octets,
    );
}

/// As many messages as take about `turn` at a rate; few where no rate is known.
pub(crate) fn load_for(load: Load, rate: f64, turn: Duration) -> Load {
    let messages = ((rate * turn.as_secs_f64()) as u64).clamp(100.max(2 * load.sessions), 100_000);
    Load { messages, ..load }
}

pub(crate) fn rate(cost: Cost) -> f64 {
    cost.messages as f64 / cost.time.as_secs_f64()
}
