//! The SMTP client, which delivers a message, keeps the laws, and each law can fail. It is sent no bodies.

mod common;
mod reach;

use laws::delivery::Client;

common::laws!(Client, 512, {
    split => ForgetsParts,
    bounds => Hoards,
    replies => SaysTwice,
    silence => TalksOn,
    deadlines => IsPatient,
    resets => Remembers,
    identity => SkipsOctets,
    verbs => Excuses,
});

/// All that comes of a delivery, and the verbs that it says; but for a handshake that never ends, and a reply to nothing, since
/// nothing is read where nothing is asked.
const EVERYTHING: &[&str] = &[
    // Verbs, and a response that is none.
    "*",
    "AUTH",
    "BDAT",
    "DATA",
    "EHLO",
    "HELO",
    "LHLO",
    "MAIL",
    "QUIT",
    "RCPT",
    "RSET",
    "STARTTLS",
    // Events.
    "Body",
    "Challenge",
    "Done",
    "Idle",
    "Tls",
    // Outcomes, and who has said them when.
    "Accepted",
    "Deferred",
    "Failed",
    "Server",
    "Us",
    "Data",
    "Greeting",
    "Hello",
    "Login",
    "Mail",
    "Rcpt",
    "StartTls",
    "Verdict",
    // What was wrong.
    "Lacking",
    "Limits",
    "Lost",
    "Stale",
    // Ends.
    "Aborted",
    "Eof",
    "Quit",
    "ShutDown(Fault)",
    "ShutDown(Overloaded)",
    "ShutDown(Stopping)",
    "Timeout(\"data_reply\")",
    "Timeout(\"greeting\")",
    "Timeout(\"reply\")",
    "Timeout(\"verdict\")",
    "Violation(\"bad_reply\")",
    "Violation(\"pipelined_tls\")",
    "Violation(\"reply_too_long\")",
];

#[test]
fn the_runs_reach_everything() {
    reach::everywhere(&Client, 12_000, EVERYTHING);
}
