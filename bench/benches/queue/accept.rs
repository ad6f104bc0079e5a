//! Mail that is taken and stays, by the same generator into both servers and into nothing.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use bench::{Connections, Cost, Costs, Load, Mailer, Make, Meter, Onward, PER_CONNECTION, Sink, Who};

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
                "| sessions | server | messages/s, median | min | max | CPU ms/message | to the disk/octet |\n\
                 |--:|---|--:|--:|--:|--:|--:|"
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

fn row(plan: &Plan, load: Load) {
    const SINK: &str = "smtp-sink: the generator's ceiling";
    let mut ours = (Costs::default(), 0.0);
    let mut postfix = (Costs::default(), 0.0);
    let mut ceiling = (Costs::default(), 0.0);
    for round in 0..=plan.extent.rounds() {
        tell(format_args!(
            "accept: {} octets, {} sessions, {:?}, round {round}",
            load.octets, load.sessions, load.connections
        ));
        for (make, (costs, rate)) in
            [(None, &mut ceiling), (Some(Make::Ours), &mut ours), (Some(Make::Postfix), &mut postfix)]
        {
            let load = load_for(load, *rate, plan.extent.turn());
            let cost = match make {
                None => into_nothing(plan, load),
                Some(make) => into(plan, make, load),
            };
            *rate = self::rate(cost);
            // The first round only tells how much is enough.
            if round > 0 {
                costs.add(cost);
            }
        }
    }
    told();
    for (name, (costs, _)) in [(Make::Ours.name(), ours), (Make::Postfix.name(), postfix), (SINK, ceiling)] {
        let (median, least, most) = costs.rate();
        println!(
            "| {} | {name} | {median:.0} | {least:.0} | {most:.0} | {:.3} | {:.2} |",
            load.sessions,
            costs.cpu() / 1e3,
            costs.device() / load.octets as f64,
        );
    }
}

fn into_nothing(plan: &Plan, load: Load) -> Cost {
    let sink = Sink::open(Sink::place());
    let meter = Meter::begin(Who::Them(sink.processes()), &plan.device);
    let time = load.smtp_source(sink.address(), "somebody@dest.invalid");
    meter.end_after(load.messages, time)
}

/// Into a server that has just begun: what it tries again later is in nobody's turn.
fn into(plan: &Plan, make: Make, load: Load) -> Cost {
    let folder = plan.folder(make.name());
    let mailer = Mailer::start(make, &folder, Onward::Nowhere);
    let few = Load { messages: load.sessions.max(50), ..load };
    let _ = few.smtp_source(mailer.address(), mailer.recipient());
    // What it prepares at its start is not a message's cost.
    sleep(Duration::from_millis(500));
    let meter = Meter::begin(Who::Them(mailer.processes()), &plan.device);
    let time = load.smtp_source(mailer.address(), mailer.recipient());
    let cost = meter.end_after(load.messages, time);
    drop(mailer);
    fs::remove_dir_all(folder).unwrap();
    cost
}

/// As many messages as take about `turn` at a rate; few where no rate is known.
pub(crate) fn load_for(load: Load, rate: f64, turn: Duration) -> Load {
    let most = match load.connections {
        Connections::Each => u64::MAX,
        Connections::Kept => PER_CONNECTION * load.sessions,
    };
    let messages = ((rate * turn.as_secs_f64()) as u64).clamp(100.max(2 * load.sessions), most);
    Load { messages, ..load }
}

pub(crate) fn rate(cost: Cost) -> f64 {
    cost.messages as f64 / cost.time.as_secs_f64()
}
