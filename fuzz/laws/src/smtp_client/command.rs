//! Commands, drawn.

use smtp_proto::Command;

use crate::smtp::write_line;
use crate::{Draw, Written};

/// What comes to a client's mind; what leads on stands here often.
const COMMANDS: [&[u8]; 70] = [
    b"EHLO client.test",
    b"EHLO client.test",
    b"EHLO client.test",
    b"LHLO client.test",
    b"LHLO client.test",
    b"LHLO client.test",
    b"HELO client.test",
    b"MAIL FROM:<a@client.test>",
    b"MAIL FROM:<a@client.test>",
    b"MAIL FROM:<a@client.test>",
    b"MAIL FROM:<a@client.test>",
    b"MAIL FROM:<>",
    b"MAIL FROM:<a@client.test> SIZE=40 BODY=8BITMIME",
    b"MAIL FROM:<a@client.test> BODY=BINARYMIME",
    b"MAIL FROM:<a@client.test> BODY=BINARYMIME",
    b"MAIL FROM:<a@client.test> BODY=BINARYMIME",
    b"MAIL FROM:<\xc3\xa4@client.test> SMTPUTF8",
    b"MAIL FROM:<\xc3\xa4@client.test>",
    b"MAIL FROM:<a@client.test> AUTH=<>",
    b"MAIL FROM:<a@client.test> REQUIRETLS",
    b"MAIL FROM:<a@client.test> RET=HDRS ENVID=QQ314159",
    b"MAIL FROM:<a@client.test> MT-PRIORITY=3",
    b"MAIL FROM:<a@client.test> BY=120;R",
    b"MAIL FROM:<a@client.test> HOLDFOR=600",
    b"MAIL FROM:<a@client.test> SOLICIT=org.example:ADV",
    b"RCPT TO:<b@server.test>",
    b"RCPT TO:<b@server.test>",
    b"RCPT TO:<b@server.test>",
    b"RCPT TO:<b@server.test>",
    b"RCPT TO:<b@server.test>",
    b"RCPT TO:<Postmaster>",
    b"RCPT TO:<\xc3\xa4@server.test>",
    b"RCPT TO:<b@server.test> NOTIFY=NEVER ORCPT=rfc822;b@server.test",
    b"RCPT TO:<b@server.test> RRVS=2014-04-03T23:01:00Z;C",
    b"RCPT TO:<b@server.test> XDELIVERY=abc XEPOCH=7",
    b"DATA",
    b"DATA",
    b"DATA",
    b"DATA",
    b"BDAT 6",
    b"BDAT 6",
    b"BDAT 6 LAST",
    b"BDAT 6 LAST",
    b"BDAT 6 LAST",
    b"BDAT 0",
    b"BDAT 0 LAST",
    b"BDAT 30 LAST",
    b"BDAT 1000 LAST",
    b"RSET",
    b"RSET",
    b"NOOP",
    b"NOOP",
    b"STARTTLS",
    b"STARTTLS",
    b"AUTH PLAIN AGJvYgB4",
    b"AUTH PLAIN",
    b"AUTH PLAIN",
    b"AUTH X =",
    b"AUTH SCRAM-SHA-256",
    b"VRFY bob",
    b"VRFY b\xc3\xb6b SMTPUTF8",
    b"EXPN staff",
    b"HELP",
    b"HELP MAIL",
    b"ETRN #queue",
    b"XCLIENT ADDR=192.0.2.1",
    b"XCLIENT LOGIN=[UNAVAILABLE]",
    b"XFORWARD NAME=client.test SOURCE=LOCAL",
    b"QUIT",
    b"EHLO [192.0.2.1]",
];

/// Any command.
pub(super) fn command(draw: &mut Draw<'_>) -> Command<'static> {
    let command = Command::parse(draw.pick(&COMMANDS)).unwrap_or(Command::Noop);
    // Few say goodbye at once.
    if command == Command::Quit && draw.octet() >= 64 { Command::Noop } else { command }
}

/// A command as it is written.
pub(super) fn write(draw: &mut Draw<'_>) -> Written {
    write_line(draw.pick(&COMMANDS))
}
