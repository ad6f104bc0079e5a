//! A next hop that is down while much mail comes for it, a restart, and the next hop again.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bench::{Connections, Costs, Load, Mailer, Make, Meter, Onward, Sink, Who, space_of};

use crate::{Extent, Plan, tell, told};

const OCTETS: u64 = 2 << 10;
const SESSIONS: u64 = 50;

struct Case {
    make: Make,
    folder: PathBuf,
    next_hop: SocketAddr,
}

pub(crate) fn measure(plan: &Plan) {
    let messages = match plan.extent {
        Extent::Full => 100_000,
        Extent::Quick => 10_000,
    };
    println!("\n{messages} messages of {OCTETS} octets whose next hop is down ({SESSIONS} connections, kept)");
    println!(
        "| server | messages/s | CPU ms/message | at rest after, s | to the disk/octet | space/octet | MB of memory \
         |\n|---|--:|--:|--:|--:|--:|--:|"
    );
    let cases = [Make::Ours, Make::Postfix].map(|make| inject(plan, make, messages));
    println!("\nThe same after a restart, and relayed to smtp-sink");
    println!(
        "| server | greeting after, ms | first message taken after, ms | MB of memory | listed in, s | relayed/s | CPU ms/message \
         |\n|---|--:|--:|--:|--:|--:|--:|"
    );
    for case in cases {
        release(plan, case, messages);
    }
}

fn inject(plan: &Plan, make: Make, messages: u64) -> Case {
    let (folder, next_hop) = (plan.folder(make.name()), Sink::place());
    let mailer = Mailer::start(make, &folder, Onward::To(next_hop));
    tell(format_args!("deferred: {} takes {messages} messages", mailer.name()));
    let load = Load { sessions: SESSIONS, messages, octets: OCTETS, connections: Connections::Kept };
    let space = space_of(&mailer.queue());
    let begin = Instant::now();
    let meter = Meter::begin(Who::Them(mailer.processes()), &plan.device);
    let time = load.post(&mailer);
    let mut quiet = 0;
    while quiet < 5 {
        sleep(Duration::from_millis(100));
        quiet = if mailer.busy() == 0 { quiet + 1 } else { 0 };
    }
    let rest = begin.elapsed();
    let mut costs = Costs::default();
    costs.add(meter.end_after(messages, time));
    assert_eq!(mailer.queued(), messages, "{} has lost count", mailer.name());
    let space = space_of(&mailer.queue()) - space;
    told();
    println!(
        "| {} | {:.0} | {:.3} | {:.1} | {:.2} | {:.2} | {:.0} |",
        mailer.name(),
        costs.rate().0,
        costs.cpu() / 1e3,
        rest.as_secs_f64(),
        costs.device() / OCTETS as f64,
        space as f64 / (messages * OCTETS) as f64,
        mailer.processes().memory() as f64 / 1e6,
    );
    drop(mailer);
    Case { make, folder, next_hop }
}

fn release(plan: &Plan, case: Case, messages: u64) {
    let Case { make, folder, next_hop } = case;
    let sink = Sink::open(next_hop);
    tell(format_args!("deferred: {} starts", make.name()));
    let begin = Instant::now();
    let mailer = Mailer::start(make, &folder, Onward::To(next_hop));
    let one = Load { sessions: 1, messages: 1, octets: OCTETS, connections: Connections::Each };
    let _ = one.post(&mailer);
    let taken_after = begin.elapsed();
    let memory = mailer.processes().memory();
    let listed = mailer.list().as_secs_f64();
    let before = sink.taken();
    let meter = Meter::begin(Who::Them(mailer.processes()), &plan.device);
    mailer.flush();
    sink.wait_for(messages + 1, |taken| tell(format_args!("deferred: {} has relayed {taken}", mailer.name())));
    let mut costs = Costs::default();
    costs.add(meter.end(messages + 1 - before));
    told();
    println!(
        "| {} | {:.0} | {:.0} | {:.1} | {listed:.2} | {:.0} | {:.3} |",
        mailer.name(),
        mailer.greeted_after().as_secs_f64() * 1e3,
        taken_after.as_secs_f64() * 1e3,
        memory as f64 / 1e6,
        costs.rate().0,
        costs.cpu() / 1e3,
    );
    drop(mailer);
    fs::remove_dir_all(folder).unwrap();
}
