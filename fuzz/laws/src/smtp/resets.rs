//! Places where a server forgets.

use super::{PROMISING, STRICT, TINY_MESSAGES};
use crate::Reset;

const HELLO: &[u8] = b"EHLO client.test\r\n";

const TRANSACTION: &[u8] = b"EHLO client.test\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<b@server.test>\r\n";

/// What leaves something behind in a session: a transaction under way, or one that is done.
const GOSSIP: [&[u8]; 8] = [
    b"MAIL FROM:<a@client.test>\r\n",
    b"RCPT TO:<b@server.test>\r\n",
    b"MAIL FROM:<\xc3\xa4@client.test> SMTPUTF8\r\nRCPT TO:<b@server.test>\r\n",
    b"MAIL FROM:<a@client.test> BODY=BINARYMIME\r\nRCPT TO:<b@server.test>\r\n",
    b"MAIL FROM:<a@client.test>\r\nRCPT TO:<b@server.test>\r\nDATA\r\ntext\r\n.\r\n",
    b"BDAT 5\r\nRSET\r",
    b"NOOP\r\n",
    b"VRFY bob\r\n",
];

/// The same, where nothing stays open.
const PAST: [&[u8]; 5] = [
    b"MAIL FROM:<a@client.test> SMTPUTF8\r\nRCPT TO:<b@server.test>\r\nDATA\r\ntext\r\n.\r\n",
    b"MAIL FROM:<a@client.test> BODY=BINARYMIME\r\nRCPT TO:<b@server.test>\r\nBDAT 5 LAST\r\ntext\n",
    b"MAIL FROM:<a@client.test>\r\nRCPT TO:<b@server.test>\r\nBDAT 5\r\ntext\nRSET\r\n",
    b"XFORWARD NAME=client.test\r\n",
    b"BDAT 6\r\nRSET\r\n",
];

/// What is left of a transaction at its end: how many are to get it, and what of it came before.
const INSIDE: [&[u8]; 3] = [b"RCPT TO:<c@server.test>\r\n", b"RCPT TO:<\xc3\xa4@server.test>\r\n", b"NOOP\r\n"];

pub(super) const RESETS: [Reset; 12] = [
    // RFC 5321 §4.1.1.5
    Reset { config: PROMISING, lead: HELLO, gossip: &GOSSIP, edge: b"RSET\r\n" },
    // RFC 5321 §4.1.4
    Reset { config: PROMISING, lead: HELLO, gossip: &GOSSIP, edge: b"EHLO again.test\r\n" },
    Reset { config: PROMISING, lead: HELLO, gossip: &GOSSIP, edge: b"HELO again.test\r\n" },
    // RFC 5321 §4.1.1.4: the end of a message, whole transactions being the gossip.
    Reset { config: PROMISING, lead: HELLO, gossip: &PAST, edge: b"NOOP\r\n" },
    Reset { config: PROMISING, lead: TRANSACTION, gossip: &INSIDE, edge: b"DATA\r\ntext\r\n.\r\n" },
    // RFC 3030 §2
    Reset { config: PROMISING, lead: TRANSACTION, gossip: &INSIDE, edge: b"BDAT 0 LAST\r\n" },
    Reset {
        config: PROMISING,
        lead: TRANSACTION,
        gossip: &[b"BDAT 5\r\ntext\n", b"BDAT 0\r\n"],
        edge: b"BDAT 2 LAST\r\n\r\n",
    },
    // A message that is refused, whole or in part.
    Reset { config: STRICT, lead: TRANSACTION, gossip: &INSIDE, edge: b"DATA\r\na\0b\r\n.\r\n" },
    Reset { config: STRICT, lead: TRANSACTION, gossip: &INSIDE, edge: b"BDAT 3\r\na\nb" },
    Reset { config: TINY_MESSAGES, lead: TRANSACTION, gossip: &INSIDE, edge: b"BDAT 21\r\n012345678901234567890" },
    // The proxy's own session ends where its client's begins.
    Reset {
        config: PROMISING,
        lead: b"",
        gossip: &[
            HELLO,
            b"HELO client.test\r\n",
            b"EHLO client.test\r\nAUTH PLAIN AGJvYgB4\r\n",
            b"EHLO client.test\r\nMAIL FROM:<>\r\nRCPT TO:<b@server.test>\r\nBDAT 5 LAST\r\ntext\n",
            b"EHLO client.test\r\nXFORWARD NAME=client.test\r\n",
            b"EHLO client.test\r\nXCLIENT LOGIN=bob\r\n",
        ],
        edge: b"EHLO proxy.test\r\nXCLIENT ADDR=192.0.2.1\r\n",
    },
    // RFC 3207 §4.2
    Reset {
        config: STRICT,
        lead: b"",
        gossip: &[
            HELLO,
            b"HELO client.test\r\n",
            b"EHLO client.test\r\nAUTH PLAIN AGJvYgB4\r\n",
            b"EHLO client.test\r\nAUTH PLAIN\r\n*\r\n",
            b"MAIL FROM:<a@client.test>\r\n",
            b"RCPT TO:<b@server.test>\r\n",
            b"BDAT 5\r\ntext\n",
        ],
        edge: b"STARTTLS\r\n",
    },
];
