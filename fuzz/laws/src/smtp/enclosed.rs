//! Ways to send a text so that nothing in it is a command.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{BARE, PLAIN_LMTP, PROMISING, STRICT};
use crate::Enclosed;
use crate::wire::lines;

/// Each of them.
pub(super) fn enclose(text: &[u8]) -> Vec<Enclosed> {
    let mut ways = vec![
        in_data(text),
        in_chunk(text),
        in_chunks(text),
        in_binary_chunk(text),
        in_chunk_of_nothing(text),
        in_chunk_for_nobody(text),
        in_chunk_not_offered(text),
        in_chunk_behind_a_bad_one(text),
    ];
    ways.extend(in_sasl(text));
    ways
}

pub(super) const TRANSACTION: &[u8] = b"EHLO client.test\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<b@server.test>\r\n";

/// A message, its dots doubled.
fn in_data(text: &[u8]) -> Enclosed {
    let text = [text, b"\r\n"].concat();
    let wire = [&stuffed(&text), b".\r\n".as_slice()].concat();
    Enclosed { config: PROMISING, lead: [TRANSACTION, b"DATA\r\n"].concat(), wire, text: Some(text) }
}

/// The only chunk of a message, with a line of its own before the text.
fn in_chunk(text: &[u8]) -> Enclosed {
    let text = [b"x\r\n", text].concat();
    Enclosed { config: PROMISING, lead: TRANSACTION.to_vec(), wire: last_chunk(&text), text: Some(text) }
}

/// Two chunks of a message, cut anywhere, and one that only ends it.
fn in_chunks(text: &[u8]) -> Enclosed {
    let text = [b"x\r\n", text].concat();
    let (front, rest) = text.split_at(text.len() / 2);
    let wire = [chunk(front), chunk(rest), last_chunk(b"")].concat();
    Enclosed { config: PROMISING, lead: TRANSACTION.to_vec(), wire, text: Some(text) }
}

/// RFC 3030 §3: a message that may hold anything, on a server that takes nothing but lines otherwise.
fn in_binary_chunk(text: &[u8]) -> Enclosed {
    let text = [b"x\n\0\r", text].concat();
    let lead = b"LHLO client.test\r\nMAIL FROM:<a@client.test> BODY=BINARYMIME\r\nRCPT TO:<b@server.test>\r\n".to_vec();
    Enclosed { config: PLAIN_LMTP, lead, wire: last_chunk(&text), text: Some(text) }
}

/// A chunk that is skipped, since it belongs to no message.
fn in_chunk_of_nothing(text: &[u8]) -> Enclosed {
    Enclosed { config: PROMISING, lead: b"EHLO client.test\r\n".to_vec(), wire: chunk(text), text: None }
}

/// A chunk that is skipped, since nobody is to get it.
fn in_chunk_for_nobody(text: &[u8]) -> Enclosed {
    let lead = b"EHLO client.test\r\nMAIL FROM:<a@client.test>\r\n".to_vec();
    Enclosed { config: STRICT, lead, wire: last_chunk(text), text: None }
}

/// A chunk that is skipped, since the server does not speak of chunks.
fn in_chunk_not_offered(text: &[u8]) -> Enclosed {
    Enclosed { config: BARE, lead: TRANSACTION.to_vec(), wire: last_chunk(text), text: None }
}

/// A chunk that is skipped, since its message was refused.
fn in_chunk_behind_a_bad_one(text: &[u8]) -> Enclosed {
    Enclosed { config: STRICT, lead: [TRANSACTION, b"BDAT 1\r\n\0"].concat(), wire: last_chunk(text), text: None }
}

/// A line of a SASL exchange; many of them are commands by their looks.
fn in_sasl(text: &[u8]) -> Option<Enclosed> {
    let mut wire: Vec<u8> = text.iter().copied().filter(u8::is_ascii_alphanumeric).take(1000).collect();
    wire.truncate(wire.len() / 4 * 4);
    let text = STANDARD.decode(&wire).ok().filter(|text| !text.is_empty())?;
    wire.extend_from_slice(b"\r\n");
    let lead = b"EHLO client.test\r\nAUTH PLAIN\r\n".to_vec();
    Some(Enclosed { config: PROMISING, lead, wire, text: Some(text) })
}

fn chunk(text: &[u8]) -> Vec<u8> {
    [format!("BDAT {}\r\n", text.len()).as_bytes(), text].concat()
}

fn last_chunk(text: &[u8]) -> Vec<u8> {
    [format!("BDAT {} LAST\r\n", text.len()).as_bytes(), text].concat()
}

/// RFC 5321 §4.5.2: a dot that begins a line is doubled.
fn stuffed(text: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    for line in lines(text) {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    wire
}
