//! The SMTP client's session keeps the laws under an application that talks at random, and each law can fail. It is sent no
//! bodies, and what it forgets [`laws::delivery`] shows.

mod common;
mod reach;

use laws::smtp_client::Client;

common::laws!(Client, 512, {
    split => ForgetsParts,
    bounds => Hoards,
    replies => SaysTwice,
    silence => TalksOn,
    deadlines => IsPatient,
    identity => SkipsOctets,
    verbs => Excuses,
});

/// All that a client's session comes to, and the verbs that it says; but for a handshake that never ends, and a reply to nothing,
/// since this client always has something to ask.
const EVERYTHING: &[&str] = &[
    "*",
    "AUTH",
    "Aborted",
    "BDAT",
    "DATA",
    "EHLO",
    "ETRN",
    "EXPN",
    "Eof",
    "Greeting",
    "HELO",
    "HELP",
    "LHLO",
    "MAIL",
    "NOOP",
    "QUIT",
    "Quit",
    "RCPT",
    "RSET",
    "Reply",
    "STARTTLS",
    "ShutDown(Fault)",
    "ShutDown(Overloaded)",
    "ShutDown(Stopping)",
    "Timeout(\"data_reply\")",
    "Timeout(\"greeting\")",
    "Timeout(\"reply\")",
    "Timeout(\"verdict\")",
    "Tls",
    "VRFY",
    "Violation(\"bad_reply\")",
    "Violation(\"pipelined_tls\")",
    "Violation(\"reply_too_long\")",
    "XCLIENT",
    "XFORWARD",
];

#[test]
fn the_runs_reach_everything() {
    reach::everywhere(&Client, 6000, EVERYTHING);
}
