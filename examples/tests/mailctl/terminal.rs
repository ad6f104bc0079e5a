//! The program with somebody at its terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::office::{Office, command};

/// A terminal: the side where somebody types and reads, and the side where programs are.
fn terminal(columns: u16) -> (File, OwnedFd) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap();
    let program = open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    tcsetwinsize(&program, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    (person.into(), program)
}

/// Runs the program at a terminal where these words are typed. What it says there is what comes back.
fn typed(office: &Office, arguments: &[&str], columns: u16, words: &str) -> (i32, String) {
    let (mut person, program) = terminal(columns);
    let socket = office.socket();
    let mut command: Command = command(&[&["queue", "--socket", socket.to_str().unwrap()], arguments].concat());
    let end = || Stdio::from(program.try_clone().unwrap());
    command.env("TERM", "xterm").stdin(end()).stdout(end()).stderr(end());
    let mut child = command.spawn().unwrap();
    drop((command, program));
    person.write_all(words.as_bytes()).unwrap();
    let (mut said, mut some) = (Vec::new(), [0; 4096]);
    // A terminal whose program is gone answers with an error.
    while let Ok(count @ 1..) = person.read(&mut some) {
        said.extend_from_slice(&some[..count]);
    }
    (child.wait().unwrap().code().unwrap(), String::from_utf8(said).unwrap())
}

#[test]
fn whoever_is_asked_may_say_no() {
    let office = Office::new();
    for number in 0..2 {
        office.send("alice@example.org", "alice", &[&format!("r{number}@example.com")]);
    }
    for no in ["n\n", "\n", "yes please\n"] {
        let (status, said) = typed(&office, &["delete", "source=alice"], 80, no);
        assert_eq!(status, 1, "{said}");
        assert!(said.contains("2 messages would be deleted. Go on? [y/N] "), "{said}");
        assert!(said.contains("mailctl: nothing was done"), "{said}");
        assert_eq!(office.number("all"), 2);
    }
    let (status, said) = typed(&office, &["delete", "source=alice"], 80, "y\n");
    assert_eq!((status, office.number("all")), (0, 0), "{said}");
    assert!(said.contains("2 messages matched, 2 were deleted"), "{said}");
}

#[test]
fn lines_fit_the_terminal() {
    let office = Office::new();
    let long = format!("{}@example.com", "x".repeat(60));
    office.send("alice@example.org", "alice", &[&long]);
    for columns in [80, 100, 300] {
        let (status, said) = typed(&office, &["list"], columns, "");
        assert_eq!(status, 0);
        let widest = said.lines().map(|line| line.trim_end().chars().count()).max().unwrap();
        assert!(widest <= usize::from(columns), "{widest} of {columns}\n{said}");
        assert_eq!(said.contains(&long), columns == 300, "{said}");
    }
}

#[test]
fn long_work_shows_how_far_it_is() {
    let office = Office::new();
    for number in 0..1000 {
        office.send("alice@example.org", "alice", &[&format!("r{number}@example.com")]);
    }
    let (status, said) = typed(&office, &["hold", "--all", "--yes"], 120, "");
    assert_eq!(status, 0);
    assert!(said.contains("of 1000 messages looked at"), "{said:?}");
    assert!(said.contains("1000 messages matched, 1000 were held"), "{said:?}");
}
