//! The SMTP and LMTP server keeps the laws, and each law can fail.

mod common;
mod reach;

use laws::planted::{Fault, Planted};
use laws::smtp::Server;

common::laws!(Server, 512, {
    split => ForgetsParts,
    bounds => Hoards,
    replies => SaysTwice,
    silence => TalksOn,
    deadlines => IsPatient,
    resets => Remembers,
    bodies => ObeysData,
    identity => SkipsOctets,
    verbs => Excuses,
});

#[test]
fn octets_of_chunks_that_run_as_commands_are_noticed() {
    let planted = Planted::new(Server, Fault::RunsChunks);
    assert!(common::is_caught(|data| laws::bodies(&planted, data)));
    assert!(common::is_caught(|data| laws::replies(&planted, data)));
}

/// All that can happen in a server's session, and the codes of the engine's own replies; but for a handshake that never ends: the player's always do.
const EVERYTHING: &[&str] = &[
    // Codes.
    "214",
    "220",
    "221",
    "235",
    "250",
    "252",
    "334",
    "354",
    "421",
    "452",
    "500",
    "501",
    "502",
    "503",
    "504",
    "530",
    "538",
    "552",
    "553",
    "554",
    "555",
    // Events, and what is said in them.
    "Auth",
    "Bulk",
    "Connected",
    "Data",
    "End",
    "Etrn",
    "Expn",
    "Hello",
    "Mail",
    "Rcpt",
    "SaslCancelled",
    "SaslResponse",
    "Tls",
    "Vrfy",
    "Xclient",
    "Xforward",
    "ADV",
    "BinaryMime",
    "DeliverBy",
    "EightBit",
    "EightBitMime",
    "For",
    "Headers",
    "IPv6",
    "Known",
    "Ehlo",
    "Helo",
    "Lhlo",
    "Notify",
    "Null",
    "OriginalRecipient",
    "Postmaster",
    "Priority",
    "Reject",
    "Remote",
    "Return",
    "Rrvs",
    "SevenBit",
    "Solicitation",
    "TemporarilyUnavailable",
    "Unavailable",
    "Unknown",
    "Until",
    "Xtext",
    // Violations.
    "Violation(Argument)",
    "Violation(BareLineEnd)",
    "Violation(Base64)",
    "Violation(BodyFlood)",
    "Violation(BodyLineTooLong)",
    "Violation(ChunkFlood)",
    "Violation(ChunkSize)",
    "Violation(ControlOctet)",
    "Violation(DuplicateParameter)",
    "Violation(EarlyTalk)",
    "Violation(Encoding)",
    "Violation(LineTooLong)",
    "Violation(LoginRequired)",
    "Violation(Mechanism)",
    "Violation(MessageTooBig)",
    "Violation(NoLmtpRecipients)",
    "Violation(NoRecipients)",
    "Violation(NoTransaction)",
    "Violation(NotImplemented)",
    "Violation(NotSmtp)",
    "Violation(Nul)",
    "Violation(PipelinedTls)",
    "Violation(PlaintextLogin)",
    "Violation(SaslLineTooLong)",
    "Violation(Sequence)",
    "Violation(TlsRequired)",
    "Violation(TooManyLogins)",
    "Violation(TooManyRecipients)",
    "Violation(TooManyTransactions)",
    "Violation(TooManyViolations)",
    "Violation(TooMuchChatter)",
    "Violation(UnknownCommand)",
    "Violation(UnknownParameter)",
    "Violation(UnofferedParameter)",
    "Violation(Utf8Address)",
    // Ends.
    "Eof",
    "Quit",
    "ShutDown(Fault)",
    "ShutDown(Overloaded)",
    "ShutDown(Stopping)",
    "Timeout(\"body\")",
    "Timeout(\"command\")",
    "Timeout(\"sasl_response\")",
    "Violation(\"body_flood\")",
    "Violation(\"chunk_flood\")",
    "Violation(\"chunk_size\")",
    "Violation(\"early_talk\")",
    "Violation(\"not_smtp\")",
    "Violation(\"pipelined_tls\")",
    "Violation(\"too_many_logins\")",
    "Violation(\"too_many_transactions\")",
    "Violation(\"too_many_violations\")",
    "Violation(\"too_much_chatter\")",
    "Aborted",
];

#[test]
fn the_runs_reach_everything() {
    let reached = reach::reached(&Server, 12_000);
    let missing: Vec<_> = EVERYTHING.iter().filter(|name| !reached.contains(**name)).collect();
    assert!(missing.is_empty(), "never reached: {missing:?}");
}
