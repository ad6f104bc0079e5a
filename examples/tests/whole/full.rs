//! A disk on which there is little room.

use std::fs;
use std::process::{Command, Stdio};

use crate::dialogue::Dialogue;
use crate::node::Site;
use crate::program::skip;

/// Octets of a disk of the server's own: less than a large message, the queue's reserve and what it keeps ready.
const DISK: &str = "size=136m";

#[test]
fn a_message_that_would_not_fit_on_the_disk_is_refused_before_it_is_sent() {
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private", "true"]).stderr(Stdio::null());
    if !unshare.status().is_ok_and(|status| status.success()) {
        return skip("a full disk", "this system gives us no mount namespace");
    }
    let site = Site::new(&["--message-size", "200000000"]);
    let (script, data) = (site.folder().join("disk"), site.data());
    fs::create_dir(&data).unwrap();
    fs::write(&script, "mount -t tmpfs -o $2 none \"$1\" && shift 2 && exec \"$@\"").unwrap();
    let script = script.display().to_string();
    let data = data.display().to_string();
    let node = site.under(&["unshare", "--mount", "--propagation", "private", "sh", &script, &data, DISK]).start();
    let mut smtp = Dialogue::tcp(node.address("smtp")).unwrap();
    smtp.reply().unwrap();
    smtp.smtp("EHLO client.example.net", "250").unwrap();
    smtp.smtp("MAIL FROM:<a@example.net> SIZE=199999999", "452 4.3.1").unwrap();
    smtp.smtp("MAIL FROM:<a@example.net> SIZE=200000001", "552 5.3.4").unwrap();
    smtp.smtp("MAIL FROM:<a@example.net> SIZE=10000", "250").unwrap();
    smtp.smtp("RCPT TO:<bob@example.org>", "250").unwrap();
    smtp.smtp("DATA", "354").unwrap();
    smtp.smtp("S: 1\r\n.", "250 2.0.0 accepted").unwrap();
    drop(smtp);
    node.stop();
}
