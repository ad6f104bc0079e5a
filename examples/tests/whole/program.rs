//! Programs that others wrote: run with an end in sight, or skipped aloud.

use std::fs::OpenOptions;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a client may take. It does one small thing on loopback: after this long it hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Says that something is not tested here, and why.
pub(crate) fn skip(what: &str, why: &str) {
    println!("skipped: {what}: {why}");
    let Some(file) = std::env::var_os("POSTHASTE_SKIPPED") else { return };
    let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
    writeln!(file, "{what}: {why}").unwrap();
}

/// Where a program is; without it, says that its tests are skipped.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps the programs of servers where only root looks.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|program| program.is_file());
    if found.is_none() {
        skip(name, "the program is not installed");
    }
    found
}

/// Runs a program to its end.
///
/// # Errors
/// It takes too long.
pub(crate) fn outcome(command: &mut Command) -> Result<Output, String> {
    let begin = Instant::now();
    // A pipe that stays open: what runs in a pty would take the end of its input for somebody's Ctrl-D.
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{command:?} does not start: {error}"))?;
    let (stdout, stderr) = (gather(child.stdout.take()), gather(child.stderr.take()));
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if begin.elapsed() > LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    match status {
        Some(status) => Ok(Output { status, stdout, stderr }),
        None => Err(format!("{command:?} takes too long\n{}{}", show(&stdout), show(&stderr))),
    }
}

/// Runs a program that must succeed, and gives what it printed.
///
/// # Errors
/// It fails, or takes too long.
pub(crate) fn run(command: &mut Command) -> Result<Vec<u8>, String> {
    let output = outcome(command)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("{command:?}: {}\n{}{}", output.status, show(&output.stdout), show(&output.stderr)))
}

/// One of the Python scripts beside these tests.
pub(crate) fn python(script: &str) -> Command {
    let mut command = Command::new("python3");
    // Nothing is written beside the scripts.
    command.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign").join(script));
    command
}

/// What went wrong, client by client: one that fails does not hide the others.
#[derive(Default)]
pub(crate) struct Faults(Vec<String>);

impl Faults {
    pub(crate) fn note(&mut self, who: impl std::fmt::Display, result: Result<(), String>) {
        if let Err(fault) = result {
            self.0.push(format!("{who}: {fault}"));
        }
    }

    pub(crate) fn assert_none(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n\n"));
    }
}

fn gather(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut gathered = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut gathered).unwrap();
        }
        gathered
    })
}

fn show(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
