//! The SMTP and LMTP server keeps the laws, and each law can fail.

mod common;
mod reach;

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

/// All that can happen in a server's session, but for a handshake that never ends: the player's always do.
const EVERYTHING: &[&str] = &[
    "Aborted",
    "Auth",
    "Bulk",
    "Connected",
    "Data",
    "End",
    "Eof",
    "Etrn",
    "Expn",
    "Hello",
    "Mail",
    "Quit",
    "Rcpt",
    "SaslCancelled",
    "SaslResponse",
    "ShutDown(Fault)",
    "ShutDown(Overloaded)",
    "ShutDown(Stopping)",
    "Timeout(\"body\")",
    "Timeout(\"command\")",
    "Timeout(\"sasl_response\")",
    "Tls",
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
    "Vrfy",
    "Xclient",
    "Xforward",
];

#[test]
fn the_runs_reach_everything() {
    let reached = reach::reached(&Server, 6000);
    let missing: Vec<_> = EVERYTHING.iter().filter(|name| !reached.contains(**name)).collect();
    assert!(missing.is_empty(), "never reached: {missing:?}");
}
