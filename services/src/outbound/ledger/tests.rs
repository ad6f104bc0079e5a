//! Any reports in any order: each recipient has one fate, and none is delivered without the server's word.

use proptest::prelude::*;
use smtp_proto::{Close, Enhanced, Extensions, Reply, ReplyCode, ShutDown, Violation, Waiting};

use super::*;

fn said(by: SaidBy, stage: Stage, code: ReplyCode) -> Said {
    Said { by, stage, reply: Reply::new(code, Enhanced::new(0, 0), "words") }
}

fn stage() -> impl Strategy<Value = Stage> {
    proptest::sample::select(vec![
        Stage::Greeting,
        Stage::Hello,
        Stage::StartTls,
        Stage::Login,
        Stage::Mail,
        Stage::Rcpt,
        Stage::Data,
        Stage::Verdict,
    ])
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let by = proptest::sample::select(vec![SaidBy::Server, SaidBy::Us]);
    let code = proptest::sample::select(vec![ReplyCode::NOT_AVAILABLE, ReplyCode::LOCAL_ERROR, ReplyCode::FAILED]);
    (0..3, by, stage(), code).prop_map(|(kind, by, stage, code)| match kind {
        0 => Outcome::Accepted(said(SaidBy::Server, Stage::Verdict, ReplyCode::OK)),
        1 => Outcome::Deferred(said(by, stage, code)),
        _ => Outcome::Failed(said(by, stage, code)),
    })
}

fn trouble() -> impl Strategy<Value = Option<Trouble>> {
    proptest::sample::select(vec![
        None,
        Some(Trouble::Greeting),
        Some(Trouble::Hello),
        Some(Trouble::Tls),
        Some(Trouble::Login),
        Some(Trouble::Lacking),
        Some(Trouble::Limits),
        Some(Trouble::Stale),
        Some(Trouble::Lost(Close::Eof)),
        Some(Trouble::Lost(Close::Aborted)),
        Some(Trouble::Lost(Close::Timeout(Waiting::Verdict))),
        Some(Trouble::Lost(Close::Violation(Violation::BadReply))),
        Some(Trouble::Lost(Close::ShutDown(ShutDown::Stopping))),
    ])
}

fn cut() -> impl Strategy<Value = Option<Cut>> {
    proptest::sample::select(vec![
        None,
        None,
        Some(Cut::Line),
        Some(Cut::Unreadable("cannot be read".to_owned())),
        Some(Cut::Unsendable),
        Some(Cut::Handshake("no".to_owned())),
    ])
}

fn place() -> Place {
    Place { host: "mx.example".to_owned(), address: None, tls: None }
}

proptest! {
    #[test]
    fn each_recipient_has_one_fate_and_none_is_delivered_without_a_word(
        hosts in proptest::collection::vec((trouble(), cut(), proptest::collection::vec(outcome(), 4)), 0..6),
    ) {
        let mut ledger = Ledger::new(4);
        let mut accepted = [0; 4];
        for (trouble, cut, mut outcomes) in hosts {
            let open = ledger.open();
            outcomes.truncate(open.len());
            for (index, outcome) in open.iter().zip(&outcomes) {
                accepted[*index] += usize::from(matches!(outcome, Outcome::Accepted(_)));
            }
            let report = Report { outcomes, trouble, extensions: Extensions::NONE };
            let next = ledger.heard(&open, &place(), &report, cut.as_ref());
            prop_assert_eq!(next == Next::Nothing, ledger.is_settled());
            if next == Next::SameHost {
                prop_assert!(ledger.open().len() < open.len(), "it would go on for ever");
            }
        }
        let fates = ledger.close();
        prop_assert_eq!(fates.len(), 4);
        for (fate, accepted) in fates.iter().zip(accepted) {
            prop_assert!(accepted <= 1, "whoever has it is not offered again");
            prop_assert_eq!(matches!(fate, Fate::Delivered { .. }), accepted == 1);
        }
    }

    #[test]
    fn behind_the_message_nobody_else_is_asked(why in trouble().prop_filter("lost", |why| matches!(why, Some(Trouble::Lost(_)))), cut in cut()) {
        let mut ledger = Ledger::new(1);
        let outcomes = vec![Outcome::Deferred(said(SaidBy::Us, Stage::Verdict, ReplyCode::LOCAL_ERROR))];
        let report = Report { outcomes, trouble: why, extensions: Extensions::NONE };
        prop_assume!(cut != Some(Cut::Unsendable));
        prop_assert_eq!(ledger.heard(&[0], &place(), &report, cut.as_ref()), Next::Nothing);
        let fates = ledger.close();
        let Fate::Deferred { retry_after: None, fault: Fault::Message, .. } = &fates[0] else { panic!("{:?}", fates) };
    }
}

#[test]
fn who_was_never_asked_about_is_deferred() {
    let fates = Ledger::new(2).close();
    assert_eq!(fates.len(), 2);
    for fate in fates {
        let Fate::Deferred { fault: Fault::Connection, word, .. } = fate else { panic!("{fate:?}") };
        assert_eq!((word.text.as_str(), word.status.as_str()), ("no host could be asked", "4.4.1"));
    }
}

#[test]
fn whoever_has_heard_of_the_message_says_more_than_whoever_was_not_there() {
    let mut ledger = Ledger::new(1);
    let outcomes = vec![Outcome::Deferred(said(SaidBy::Us, Stage::Rcpt, ReplyCode::LOCAL_ERROR))];
    let report = Report { outcomes, trouble: Some(Trouble::Lost(Close::Eof)), extensions: Extensions::NONE };
    assert_eq!(ledger.heard(&[0], &place(), &report, None), Next::OtherHost);
    ledger.unasked(&place().found("4.4.1", "refused".to_owned()));
    let fates = ledger.close();
    let Fate::Deferred { fault: Fault::Message, word, .. } = &fates[0] else { panic!("{fates:?}") };
    assert_eq!(word.text, "words (at rcpt)");
}

#[test]
fn the_fallback_is_for_those_of_whom_nobody_heard() {
    let mut ledger = Ledger::new(3);
    let outcomes = vec![
        Outcome::Accepted(said(SaidBy::Server, Stage::Verdict, ReplyCode::OK)),
        Outcome::Deferred(said(SaidBy::Us, Stage::Data, ReplyCode::LOCAL_ERROR)),
    ];
    let report = Report { outcomes, trouble: Some(Trouble::Lost(Close::Eof)), extensions: Extensions::NONE };
    ledger.heard(&[0, 1], &place(), &report, None);
    assert_eq!(ledger.open(), [1, 2]);
    ledger.settle_heard();
    assert_eq!(ledger.open(), [2]);
}
