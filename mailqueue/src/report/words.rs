//! The part for people (RFC 6522 §3): what happened to whom, who said what, whether it goes on, and what to do.

use super::letter::identifier;
use super::original::Enclosure;
use super::status::is_reply;
use super::text::{Charset, date, paragraph, verbatim, without_port, words};
use super::{Action, Facts, OriginalRecipient, Told};
use crate::UnixMicros;

/// The order of the news: the worst first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum News {
    Failed,
    Expired,
    Delayed,
    Delivered,
    Relayed,
    Expanded,
}

const ALL: [News; 6] = [News::Failed, News::Expired, News::Delayed, News::Delivered, News::Relayed, News::Expanded];

impl From<Action> for News {
    fn from(action: Action) -> Self {
        match action {
            Action::Failed => Self::Failed,
            Action::Expired => Self::Expired,
            Action::Delayed { .. } => Self::Delayed,
            Action::Delivered => Self::Delivered,
            Action::Relayed => Self::Relayed,
            Action::Expanded => Self::Expanded,
        }
    }
}

/// The Subject: the worst of the news.
pub(super) fn subject(recipients: &[Told<'_>]) -> &'static str {
    let worst = ALL.into_iter().find(|news| recipients.iter().any(|told| News::from(told.action) == *news));
    match worst {
        Some(News::Failed | News::Expired) => "Your message could not be delivered",
        Some(News::Delayed) => "Your message is delayed",
        Some(News::Delivered | News::Expanded) | None => "Your message was delivered",
        Some(News::Relayed) => "Your message was passed on",
    }
}

/// Writes the whole part, without trailing empty lines.
pub(super) fn letter(facts: &Facts<'_>, enclosure: Enclosure) -> String {
    let host = identifier(facts.host);
    let mut out = String::new();
    paragraph(&mut out, "", &format!("This is the mail server {host}."));
    for news in ALL {
        let of: Vec<_> = facts.recipients.iter().filter(|told| News::from(told.action) == news).collect();
        if of.is_empty() {
            continue;
        }
        out.push_str("\r\n");
        paragraph(&mut out, "", &opening(news, &of, facts));
        for told in of {
            item(&mut out, told);
        }
    }
    out.push_str("\r\n");
    paragraph(&mut out, "", &advice(facts, &host));
    out.push_str("\r\n");
    let attached = match enclosure {
        Enclosure::Nothing => "",
        Enclosure::Part { is_whole: true, .. } => " It is attached.",
        Enclosure::Part { is_whole: false, .. } => " Its header is attached.",
    };
    let arrived = date(facts.envelope.arrived);
    let name = facts.queue_id;
    paragraph(&mut out, "", &format!("Your message came here on {arrived} and is called {name} in our log.{attached}"));
    out
}

fn opening(news: News, of: &[&Told<'_>], facts: &Facts<'_>) -> String {
    match news {
        News::Failed => "Your message could not be delivered to:".to_owned(),
        News::Expired => {
            let tried = span(facts.envelope.arrived, facts.date);
            format!("Your message could not be delivered. After {tried} of attempts we have given up on:")
        }
        News::Delayed => {
            let until = of.iter().filter_map(|told| match told.action {
                Action::Delayed { will_retry_until } => Some(will_retry_until),
                Action::Failed | Action::Expired | Action::Delivered | Action::Relayed | Action::Expanded => None,
            });
            let until = date(until.max().unwrap_or(facts.date));
            format!("Your message is delayed. You need not send it again: we go on trying until {until}. It waits for:")
        }
        News::Delivered => "Your message was delivered to:".to_owned(),
        News::Relayed => {
            "Your message was passed on. The next server does not report deliveries, so you may hear no more of it, for:"
                .to_owned()
        }
        News::Expanded => "Your message was delivered, and from there goes on to several addresses, for:".to_owned(),
    }
}

fn item(out: &mut String, told: &Told<'_>) {
    out.push_str("\r\n");
    let address = verbatim(&told.recipient.address, Charset::Utf8);
    let meant = OriginalRecipient::of(told.recipient).filter(|original| original.address() != told.recipient.address);
    out.push_str(&format!("  <{address}>\r\n"));
    if let Some(meant) = meant {
        out.push_str(&format!("  (you wrote to <{}>)\r\n", verbatim(meant.address(), Charset::Utf8)));
    }
    let text = words(&told.detail.text, Charset::Utf8);
    let remote = words(&told.detail.remote, Charset::Utf8);
    if is_reply(told.detail) {
        paragraph(out, "    ", &format!("{} said:", without_port(&remote)));
        paragraph(out, "      ", &text);
    } else if text.is_empty() || told.action.is_success() {
        // That it worked says it all.
    } else if remote.is_empty() {
        paragraph(out, "    ", &text);
    } else {
        paragraph(out, "    ", &format!("{text} ({remote})"));
    }
}

fn advice(facts: &Facts<'_>, host: &str) -> String {
    let has_failed = facts.recipients.iter().any(|told| told.action.is_failure());
    let is_delayed = facts.recipients.iter().any(|told| News::from(told.action) == News::Delayed);
    if has_failed {
        return format!(
            "Please look for typing errors in the address and read what was said above. If that does not help, the \
             people at postmaster@{host} can, when you send them this letter."
        );
    }
    if is_delayed {
        return "There is nothing you have to do. If it cannot be delivered in the end, you will be told.".to_owned();
    }
    "You asked to be told of this. There is nothing you have to do.".to_owned()
}

/// A span in words: days, or hours, or minutes.
fn span(from: UnixMicros, to: UnixMicros) -> String {
    let minutes = to.since(from).as_secs() / 60;
    let (count, unit) = match minutes {
        0..120 => (minutes, "minute"),
        120..2880 => (minutes / 60, "hour"),
        2880.. => (minutes / 1440, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
