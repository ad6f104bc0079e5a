//! Mail that is taken and relayed, until nothing is left.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bench::{Connections, Cost, Costs, Load, Mailer, Make, Meter, Onward, Sink, Who};

use crate::accept::{load_for, rate};
use crate::{Extent, Plan, tell, told};

const LOADS: [(u64, u64); 5] = [(2 << 10, 1), (2 << 10, 10), (2 << 10, 50), (100 << 10, 10), (100 << 10, 50)];

pub(crate) fn measure(plan: &Plan) {
    println!(
        "\nAccepted and relayed to smtp-sink until the queue is empty (a connection for each message; {:?} each)",
        plan.extent.turn()
    );
    println!(
        "| octets | sessions | server | messages/s, median | min | max | CPU ms/message | to the disk/octet \
         |\n|--:|--:|---|--:|--:|--:|--:|--:|"
    );
    let loads = match plan.extent {
        Extent::Full => &LOADS[..],
        Extent::Quick => &LOADS[2..3],
    };
    for (octets, sessions) in loads {
        row(plan, Load { sessions: *sessions, messages: 0, octets: *octets, connections: Connections::Each });
    }
}

fn row(plan: &Plan, load: Load) {
    let mut cases = [Make::Ours, Make::Postfix].map(|make| {
        let sink = Sink::open(Sink::place());
        let folder = plan.folder(make.name());
        let mailer = Mailer::start(make, &folder, Onward::To(sink.address()));
        (mailer, sink, folder, Costs::default(), 0.0)
    });
    for round in 0..=plan.extent.rounds() {
        for (mailer, sink, _, costs, so_far) in &mut cases {
            tell(format_args!(
                "relay: {}, {} octets, {} sessions, round {round}",
                mailer.name(),
                load.octets,
                load.sessions
            ));
            let cost = turn(plan, mailer, sink, load_for(load, *so_far, plan.extent.turn()));
            *so_far = rate(cost);
            // The first round warms up.
            if round > 0 {
                costs.add(cost);
            }
        }
    }
    told();
    for (mailer, sink, folder, costs, _) in cases {
        let (median, least, most) = costs.rate();
        println!(
            "| {} | {} | {} | {median:.0} | {least:.0} | {most:.0} | {:.3} | {:.2} |",
            load.octets,
            load.sessions,
            mailer.name(),
            costs.cpu() / 1e3,
            costs.device() / load.octets as f64,
        );
        drop((mailer, sink));
        fs::remove_dir_all(folder).unwrap();
    }
}

fn turn(plan: &Plan, mailer: &Mailer, sink: &Sink, load: Load) -> Cost {
    let before = sink.taken();
    let begin = Instant::now();
    let meter = Meter::begin(Who::Them(mailer.processes()), &plan.device);
    let _ = load.post(mailer);
    sink.wait_for(before + load.messages, |_| ());
    let end = begin + Duration::from_secs(30);
    while mailer.queued() > 0 {
        assert!(Instant::now() < end, "{} keeps what it has delivered", mailer.name());
        sleep(Duration::from_millis(10));
    }
    meter.end(load.messages)
}
