//! The queue: the crate beside what the disk can do at all, and our server beside Debian's Postfix.

mod accept;
mod deferred;
mod enqueue;
mod million;
mod relay;

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{IsTerminal, Write, stderr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bench::{Device, postfix_missing};
use tempfile::TempDir;

const USAGE: &str = "\
cargo bench --bench queue -- [quick] [PART…] [--in=FOLDER]
  enqueue    the crate: durable enqueues beside the raw disk
  accept     our server beside Postfix: mail is taken and stays
  relay      the same: mail is taken and relayed until nothing is left
  deferred   the same: 100,000 messages whose next hop is down, a restart, and all of them relayed
  million    the crate: 1,000,000 deferred messages, and a start with them
quick        all parts in five minutes, less exactly and with fewer messages
--in=FOLDER  where the queues are; it must be on a disk, and others than root must reach it [default: target/tmp]
";

/// What was asked for.
struct Plan {
    parts: Vec<String>,
    extent: Extent,
    place: TempDir,
    device: Device,
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Full,
    Quick,
}

impl Extent {
    const fn rounds(self) -> usize {
        match self {
            Self::Full => 3,
            Self::Quick => 1,
        }
    }

    const fn turn(self) -> Duration {
        match self {
            Self::Full => Duration::from_secs(1),
            Self::Quick => Duration::from_millis(400),
        }
    }
}

impl Plan {
    fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|wanted| wanted == part)
    }

    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.place.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
        folder
    }
}

const PARTS: [&str; 5] = ["enqueue", "accept", "relay", "deferred", "million"];

fn main() -> ExitCode {
    let mut plan = (Vec::new(), Extent::Full, PathBuf::from(env!("CARGO_TARGET_TMPDIR")));
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Cargo's own.
            "--bench" => {}
            million::REOPEN => return million::reopened(Path::new(&arguments.next().unwrap_or_default())),
            "quick" => plan.1 = Extent::Quick,
            part if PARTS.contains(&part) => plan.0.push(part.to_owned()),
            other => match other.strip_prefix("--in=") {
                Some(folder) => plan.2 = folder.into(),
                None => {
                    eprint!("{USAGE}");
                    return ExitCode::FAILURE;
                }
            },
        }
    }
    let (parts, extent, folder) = plan;
    let place = TempDir::with_prefix_in("queue-", &folder).unwrap();
    fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let plan = Plan { parts, extent, device: Device::below(place.path()), place };
    use_memory(&plan);
    measure(&plan);
    ExitCode::SUCCESS
}

/// Fills some gigabytes of the system's cache, and gives them back. A virtual machine gets its memory from its host page by page when it
/// is used for the first time, which costs far more than anything that is measured here, and would be paid by whoever comes first.
fn use_memory(plan: &Plan) {
    let mebibytes = match plan.extent {
        Extent::Full => 4096,
        Extent::Quick => 1024,
    };
    tell(format_args!("{mebibytes} MiB of memory are used once"));
    let path = plan.place.path().join("memory");
    let mut file = File::create(&path).unwrap();
    (0..mebibytes).for_each(|_| file.write_all(&[0; 1 << 20]).unwrap());
    fs::remove_file(path).unwrap();
    told();
}

fn measure(plan: &Plan) {
    if plan.wants("enqueue") {
        enqueue::measure(plan);
    }
    if let Some(why) = postfix_missing() {
        println!("{why}. The servers are not measured.");
    } else {
        if plan.wants("accept") {
            accept::measure(plan);
        }
        if plan.wants("relay") {
            relay::measure(plan);
        }
        if plan.wants("deferred") {
            deferred::measure(plan);
        }
    }
    if plan.wants("million") {
        million::measure(plan);
    }
}

/// Says how far it is, to whoever watches.
fn tell(what: impl Display) {
    if stderr().is_terminal() {
        eprint!("\r\x1b[K{what}");
    }
}

/// Takes away what [`tell`] has said, before a row of a table.
fn told() {
    tell("");
}
