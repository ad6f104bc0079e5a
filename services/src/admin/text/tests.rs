use mailqueue::{MessageId, UnixMicros};
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

use super::*;
use crate::admin::shape::{DeliverBy, Envelope, Space};

/// 2026-11-22 12:00:00 UTC.
const NOON: u64 = 1_795_348_800;

fn at(seconds: i64) -> Time {
    Time::from(UnixMicros(NOON.saturating_add_signed(seconds) * 1_000_000))
}

fn look(width: Option<usize>) -> Look {
    Look { now: at(0), zone: TimeZone::UTC, width }
}

fn detail(text: &str, remote: &str) -> Detail {
    Detail { text: text.to_owned(), status: "4.2.0".to_owned(), remote: remote.to_owned() }
}

fn recipient(address: &str, state: RecipientState) -> Recipient {
    Recipient { address: address.to_owned(), destination: "mx:example.com".to_owned(), site: None, state }
}

fn waiting(waits: Waiting, attempts: u32, detail: Option<Detail>) -> RecipientState {
    RecipientState::Waiting { waits, attempts, detail }
}

fn message(sender: &str, recipients: Vec<Recipient>) -> Message {
    Message {
        id: MessageId::new(UnixMicros(NOON * 1_000_000), 0),
        arrived: at(-7200),
        age_seconds: 7200,
        size: 4814,
        priority: 0,
        sender: sender.to_owned(),
        source: "alice".to_owned(),
        state: MessageState::Active,
        recipients,
    }
}

fn page(messages: Vec<Message>) -> Messages {
    Messages { messages, next: None, looked: 0 }
}

fn three() -> Message {
    let greylisted = detail("450 4.2.0 greylisted", "mx1.example.com");
    message(
        "alice@example.org",
        vec![
            recipient("bob@example.com", waiting(Waiting::Schedule { until: at(720) }, 3, Some(greylisted))),
            recipient("carol@example.net", waiting(Waiting::Rule { rule: 4, until: Some(at(86_400)) }, 0, None)),
            recipient("dan@example.com", RecipientState::Trying { attempt: 1 }),
        ],
    )
}

#[test]
fn a_listing_has_a_line_for_each_recipient_and_says_why_and_until_when() {
    let lines = Listing::new(look(None)).page(&page(vec![three()]));
    let id = three().id.to_string();
    let mut lines = lines.lines();
    let head = "ID                        AGE  SIZE  SENDER             RECIPIENT          WHY";
    assert_eq!(lines.next().unwrap(), head);
    for expected in [
        "bob@example.com    deferred until 12:12 (in 12m), 3 attempts: 450 4.2.0 greylisted (mx1.example.com)",
        "carol@example.net  suspended by rule 4 until 2026-11-23 12:00 (in 1d)",
        "dan@example.com    attempt 1 is under way",
    ] {
        assert_eq!(lines.next().unwrap(), format!("{id}   2h  4.7K  alice@example.org  {expected}"));
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn a_second_page_stands_below_the_first() {
    let mut listing = Listing::new(look(None));
    let first = listing.page(&page(vec![three()]));
    let short = message("", vec![recipient("x@y", waiting(Waiting::Turn, 0, None))]);
    let second = listing.page(&page(vec![short]));
    assert_eq!(second.lines().count(), 1);
    let column = |line: &str, word: &str| line.find(word).unwrap();
    assert_eq!(column(first.lines().next().unwrap(), "RECIPIENT"), column(&second, "x@y"));
    assert!(second.contains("  <>   "), "{second}");
    assert_eq!(listing.page(&page(Vec::new())), "");
}

#[test]
fn every_state_of_a_recipient_has_its_words() {
    let site = || "mx1.example.com".to_owned();
    let dead = detail("connection refused", "192.0.2.1");
    let states = [
        (waiting(Waiting::Turn, 0, None), "waits for its turn"),
        (waiting(Waiting::Turn, 1, None), "waits for its turn, 1 attempt"),
        (
            waiting(Waiting::Suspect, 2, None),
            "waits to be tried alone: attempts for it ended without an outcome, 2 attempts",
        ),
        (waiting(Waiting::Schedule { until: at(-5) }, 0, None), "deferred until 11:59 (now)"),
        (waiting(Waiting::Release { until: at(59) }, 0, None), "not wanted before 12:00 (in 59s)"),
        (
            waiting(Waiting::Unreachable { site: site(), probe_at: at(300), detail: dead }, 0, None),
            "nobody answers at mx1.example.com, next look 12:05 (in 5m): 4.2.0 connection refused (192.0.2.1)",
        ),
        (waiting(Waiting::Rule { rule: 7, until: None }, 0, None), "suspended by rule 7 until it is taken back"),
        (waiting(Waiting::Held { why: Held::Asked }, 0, None), "held until it is released"),
        (
            waiting(Waiting::Held { why: Held::Poison }, 3, None),
            "held until it is released: attempts for it ended without an outcome, 3 attempts",
        ),
        (RecipientState::Delivered { at: at(-60), handed: Handed::Mailbox }, "delivered to the mailbox 11:59"),
        (
            RecipientState::Failed { at: at(-86_400), why: Failure::Expired, detail: detail("no\r\nway", "") },
            "expired 2026-11-21 12:00: 4.2.0 no  way",
        ),
    ];
    for (state, words) in states {
        assert_eq!(look(None).why(&recipient("x@y", state)), words);
    }
}

#[test]
fn times_are_those_of_the_readers_zone() {
    let zone = TimeZone::fixed(jiff::tz::offset(13));
    let look = Look { zone, ..look(None) };
    assert_eq!(look.until(at(60)), "01:01 (in 1m)");
    assert_eq!(look.at(at(-7200)), "2026-11-22 23:00");
}

#[test]
fn an_inspection_tells_all_but_the_contents() {
    let mut message = message("a@b", vec![recipient("x@y", waiting(Waiting::Turn, 0, None))]);
    message.state = MessageState::Deferred { until: at(60) };
    let envelope = Envelope {
        parameters: vec!["SMTPUTF8".to_owned(), "BODY=8BITMIME".to_owned()],
        recipient_parameters: vec![vec!["NOTIFY=NEVER".to_owned()]],
        release: None,
        deliver_by: Some(DeliverBy { until: at(3600), then: mailqueue::Late::Return }),
    };
    let id = message.id;
    let expected = format!(
        "\
message       {id}
arrived       10:00, 2h ago
size          4814 octets
sender        a@b
source        alice
priority      0
state         deferred until 12:01 (in 1m)
parameters    SMTPUTF8 BODY=8BITMIME
deliver by    13:00 (in 1h), else it is returned
recipient     x@y
  why         waits for its turn
  goes to     mx:example.com
  parameters  NOTIFY=NEVER
"
    );
    assert_eq!(look(None).inspection(&Inspection { message, envelope }), expected);
}

#[test]
fn rules_and_sites_are_tables() {
    let rule = |id, until, reason: &str| Rule {
        id,
        filter: "domain=*.example.com".parse().unwrap(),
        until,
        reason: reason.to_owned(),
    };
    let expected = "\
RULE  ENDS           SUSPENDS              REASON
   3  14:00 (in 2h)  domain=*.example.com  they asked
  12  by hand        domain=*.example.com
";
    assert_eq!(look(None).rules(&[rule(3, Some(at(7200)), "they asked"), rule(12, None, "")]), expected);
    let site =
        |name: &str, state| Site { name: name.to_owned(), state, window: 5, flying: 2, waiting: 1000, detail: None };
    let shown = look(None).sites(&[
        site("mx1", SiteState::Reachable { failures: 0 }),
        Site {
            detail: Some(detail("refused", "")),
            ..site("mx2", SiteState::Unreachable { since: at(-60), probe_at: at(60) })
        },
    ]);
    let expected = "\
SITE  WAITING  FLYING  WINDOW  STATE
mx1      1000       2       5  reachable
mx2      1000       2       5  unreachable since 11:59, next look 12:01 (in 1m): 4.2.0 refused
";
    assert_eq!(shown, expected);
}

#[test]
fn the_status_counts() {
    let counters =
        Counters { messages: 1, waiting: 1, suspects: 1, accepted: 5, delivered: 4, untold: 2, ..Counters::default() };
    let status = Status { time: at(0), counters, space: Space { free: 3 << 30, used: 100 } };
    let shown = look(None).status(&status);
    let expected = [
        "queued       1 message\n",
        "0 active with 0 recipients, 1 waiting, 0 held, 0 suspended\n",
        "attempts     0 under way, 1 message waits for a turn alone\n",
        "spool        100 used, 3.0G free\n",
        "since start  5 accepted, 0 removed\n",
        "2 could not be told\n",
    ];
    for line in expected {
        assert!(shown.contains(line), "{line:?} is not in\n{shown}");
    }
}

#[test]
fn ages_and_sizes_are_short() {
    let ages = [0, 59, 60, 3_599, 3_600, 86_399, 86_400, 864_000].map(age);
    assert_eq!(ages, ["0s", "59s", "1m", "59m", "1h", "23h", "1d", "10d"]);
    let sizes = [0, 1023, 1024, 4814, 10_240, 1_048_575, 1_048_576, u64::MAX].map(size);
    assert_eq!(sizes, ["0", "1023", "1.0K", "4.7K", "10K", "1023K", "1.0M", "15E"]);
}

#[test]
fn a_reply_cannot_steer_the_terminal() {
    assert_eq!(clean("\u{1b}[2J a\r\nb\u{202e}c\u{9b}"), "\u{fffd}[2J a  b\u{fffd}c\u{fffd}");
}

proptest! {
    #[test]
    fn lines_fit_the_terminal_and_stay_lines(width in 90_usize..200, texts in prop::collection::vec("\\PC{0,60}|[\\x00-\\x7f]{0,60}", 3)) {
        let said = detail(&texts[0], &texts[1]);
        let state = waiting(Waiting::Schedule { until: at(60) }, 1, Some(said));
        let recipients = vec![recipient(&texts[2], state)];
        let lines = Listing::new(look(Some(width))).page(&page(vec![message(&texts[1], recipients)]));
        prop_assert_eq!(lines.lines().count(), 2, "{}", lines);
        for line in lines.lines() {
            prop_assert!(line.width() <= width, "{} is {} wide", line, line.width());
            prop_assert!(!line.chars().any(char::is_control));
        }
    }
}
