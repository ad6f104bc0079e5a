//! The Status field: one code that says how it stands (RFC 3464 §2.3.4, RFC 3463 §2).

use super::{Action, Told};
use crate::Detail;

/// The status of one recipient. What was said is kept where it fits the action; else the least that does.
pub(super) fn status(told: &Told<'_>) -> String {
    let said = said(told.detail);
    match told.action {
        // RFC 3464 §2.3.3: a failure may keep a temporary code, when it was one that never went away.
        Action::Failed => match said {
            Some((4 | 5, status)) => status,
            Some(_) | None => match reply_class(told.detail) {
                Some(4) => "4.0.0".to_owned(),
                Some(_) | None => "5.0.0".to_owned(),
            },
        },
        // RFC 3463 §3.5: X.4.7, delivery time expired.
        Action::Expired => match said {
            Some((4 | 5, status)) => status,
            Some(_) | None => "4.4.7".to_owned(),
        },
        // What a server means for ever is temporary to us, if we go on. RFC 3463 §2: only the class says so.
        Action::Delayed { .. } => match said {
            Some((4, status)) => status,
            Some((5, status)) => format!("4{}", status.strip_prefix('5').unwrap_or(".0.0")),
            Some(_) | None => "4.0.0".to_owned(),
        },
        Action::Delivered | Action::Relayed | Action::Expanded => match said {
            Some((2, status)) => status,
            Some(_) | None => "2.0.0".to_owned(),
        },
    }
}

/// Whether these are words of the remote host, and not ours about it: they begin with the code of an SMTP reply.
pub(super) fn is_reply(detail: &Detail) -> bool {
    !detail.remote.is_empty() && reply_class(detail).is_some()
}

fn reply_class(detail: &Detail) -> Option<u8> {
    let mut octets = detail.text.bytes();
    // RFC 5321 §4.2: ABNF of a reply code.
    let class = octets.next().filter(|digit| matches!(digit, b'2'..=b'5'))?;
    octets.next().filter(|digit| matches!(digit, b'0'..=b'5'))?;
    octets.next().filter(u8::is_ascii_digit)?;
    octets.next().is_none_or(|octet| matches!(octet, b' ' | b'-' | b'\r' | b'\n')).then_some(class - b'0')
}

/// The code that came with the answer: its class, and the whole.
fn said(detail: &Detail) -> Option<(u8, String)> {
    let mut numbers = detail.status.split('.');
    let class = match numbers.next()? {
        "2" => 2,
        "4" => 4,
        "5" => 5,
        _ => return None,
    };
    let is_complete = numbers.next().is_some_and(is_number) && numbers.next().is_some_and(is_number);
    (is_complete && numbers.next().is_none()).then(|| (class, detail.status.clone()))
}

/// RFC 3464 §2.3.4: up to three digits, without leading zeros.
fn is_number(text: &str) -> bool {
    matches!(text.len(), 1..=3)
        && text.bytes().all(|octet| octet.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'))
}
