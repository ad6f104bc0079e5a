//! The part for programs: fields about the message and about each recipient (RFC 3464 §2.2, §2.3).

use std::net::IpAddr;

use super::status::{is_reply, status};
use super::text::{Charset, date, field, utf8_address, verbatim, without_port, words};
use super::{Action, Facts, OriginalRecipient, Told, envelope_id};

/// Writes all fields; groups of them are separated by empty lines.
pub(super) fn fields(facts: &Facts<'_>, charset: Charset) -> String {
    let mut out = String::new();
    if let Some(id) = envelope_id(facts.envelope) {
        exact(&mut out, "Original-Envelope-Id", &id);
    }
    exact(&mut out, "Reporting-MTA", &server(facts.host));
    field(&mut out, "Arrival-Date", &date(facts.envelope.arrived));
    field(&mut out, "X-Queue-Id", &facts.queue_id.to_string());
    for told in facts.recipients {
        out.push_str("\r\n");
        recipient(&mut out, told, charset);
    }
    out
}

fn recipient(out: &mut String, told: &Told<'_>, charset: Charset) {
    if let Some(original) = OriginalRecipient::of(told.recipient) {
        exact(out, "Original-Recipient", &format!("{};{}", original.kind(), original.written(charset)));
    }
    let address = &told.recipient.address;
    if address.is_ascii() {
        exact(out, "Final-Recipient", &format!("rfc822;{}", verbatim(address, charset)));
    } else {
        exact(out, "Final-Recipient", &format!("utf-8;{}", utf8_address(address, charset)));
    }
    field(out, "Action", told.action.as_str());
    field(out, "Status", &status(told));
    diagnosis(out, told, charset);
    if let Some(at) = told.last_attempt {
        field(out, "Last-Attempt-Date", &date(at));
    }
    match told.action {
        Action::Delayed { will_retry_until } => field(out, "Will-Retry-Until", &date(will_retry_until)),
        Action::Failed | Action::Expired | Action::Delivered | Action::Relayed | Action::Expanded => {}
    }
}

/// RFC 3464 §2.3.6: beside a Remote-MTA stand that server's words. Where it said nothing, ours stand alone and are not
/// called a reply of SMTP.
fn diagnosis(out: &mut String, told: &Told<'_>, charset: Charset) {
    let text = words(&told.detail.text, charset);
    if is_reply(told.detail) {
        exact(out, "Remote-MTA", &server(&told.detail.remote));
        field(out, "Diagnostic-Code", &format!("smtp; {text}"));
        return;
    }
    if text.is_empty() || told.action.is_success() {
        return;
    }
    let remote = words(&told.detail.remote, charset);
    if remote.is_empty() {
        field(out, "Diagnostic-Code", &format!("x-posthaste; {text}"));
    } else {
        field(out, "Diagnostic-Code", &format!("x-posthaste; {text} ({remote})"));
    }
}

/// A server's name with its type. RFC 3461 §6.3: only what DNS knows is called so.
fn server(name: &str) -> String {
    let without_port = without_port(name);
    // Without brackets, all colons belong to the address.
    if let Ok(address @ IpAddr::V6(_)) = name.parse() {
        return format!("dns; [IPv6:{address}]");
    }
    match without_port.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(address)) => return format!("dns; [{address}]"),
        Ok(IpAddr::V6(address)) => return format!("dns; [IPv6:{address}]"),
        Err(_) => {}
    }
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
    };
    let without_dot = without_port.strip_suffix('.').unwrap_or(without_port);
    if without_dot.contains('.') && without_dot.split('.').all(is_label) {
        return format!("dns; {}", verbatim(without_dot, Charset::Ascii));
    }
    format!("x-local-hostname; {}", verbatim(name, Charset::Ascii))
}

/// A field whose spaces count, so that it is not folded.
fn exact(out: &mut String, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.push_str(part);
    }
}
