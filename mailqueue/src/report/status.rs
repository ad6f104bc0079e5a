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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Told;
    use crate::{Destination, Recipient, UnixMicros};

    const DELAYED: Action = Action::Delayed { will_retry_until: UnixMicros(0) };

    #[test]
    fn the_class_fits_the_action_and_the_rest_is_kept() {
        // What was said, with which code: failed, expired, delayed, delivered.
        let table = [
            ("550 no", "5.1.1", ["5.1.1", "5.1.1", "4.1.1", "2.0.0"]),
            ("450 later", "4.2.2", ["4.2.2", "4.2.2", "4.2.2", "2.0.0"]),
            ("250 fine", "2.1.5", ["5.0.0", "4.4.7", "4.0.0", "2.1.5"]),
            ("550 no", "", ["5.0.0", "4.4.7", "4.0.0", "2.0.0"]),
            ("450 later", "", ["4.0.0", "4.4.7", "4.0.0", "2.0.0"]),
            ("", "", ["5.0.0", "4.4.7", "4.0.0", "2.0.0"]),
            ("", "5.7.999", ["5.7.999", "5.7.999", "4.7.999", "2.0.0"]),
        ];
        for (text, code, expected) in table {
            let actions = [Action::Failed, Action::Expired, DELAYED, Action::Delivered];
            assert_eq!(actions.map(|action| of(action, text, code)), expected, "{text:?} {code:?}");
            assert_eq!(of(Action::Relayed, text, code), expected[3]);
            assert_eq!(of(Action::Expanded, text, code), expected[3]);
        }
    }

    #[test]
    fn what_is_no_status_is_not_repeated() {
        for code in [
            "5",
            "5.",
            "5.1",
            "5.1.",
            "5.1.1.",
            "5.1.1.1",
            "3.1.1",
            "5.01.1",
            "5.1.1000",
            "5.1.+1",
            " 5.1.1",
            "5.1.1\r\n",
        ] {
            assert_eq!(of(Action::Failed, "", code), "5.0.0", "{code:?}");
        }
        assert_eq!(of(Action::Failed, "", "5.0.0"), "5.0.0");
        assert_eq!(of(Action::Failed, "", "5.10.20"), "5.10.20");
    }

    #[test]
    fn only_the_code_of_a_reply_makes_one() {
        let replies = ["550 no", "550-no\r\n550 no", "550", "451\r\n", "250 fine"];
        let others = ["cannot connect", "", "55", "5500 no", "650 no", "560 no", "55x no", "5\u{e9}0 no", "550no"];
        let is_reply_of = |text: &str, remote: &str| is_reply(&Detail { remote: remote.to_owned(), ..text.into() });
        for text in replies {
            assert!(is_reply_of(text, "mx.example.net"), "{text:?}");
            assert!(!is_reply_of(text, ""), "{text:?}");
        }
        for text in others {
            assert!(!is_reply_of(text, "mx.example.net"), "{text:?}");
        }
    }

    fn of(action: Action, text: &str, code: &str) -> String {
        let detail = Detail { text: text.to_owned(), status: code.to_owned(), remote: String::new() };
        let recipient =
            Recipient { address: String::new(), destination: Destination::remote(""), parameters: Vec::new() };
        status(&Told { recipient: &recipient, action, detail: &detail, last_attempt: None })
    }
}
