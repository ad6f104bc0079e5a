//! Scenarios within a mailbox: selecting, fetching, storing, searching, and being told what changes.
mod common;

use std::num::NonZeroU32;

use common::{Case, flags, selected, uids};
use imap_proto::{
    Access, Addressing, BodyItem, BodyName, Changes, Close, Code, Criterion, Date, DateTime, Detail, Echo, Envelope,
    Event, FetchItem, Flag, FlagChange, Keywords, Misuse, Partial, Rendered, Reply, Section, SectionText, Seen,
    Selected, ShutDown, Step, TextPlace, Violation, When, WhichDate,
};

fn gone(messages: &[u32]) -> Changes {
    Changes { gone: uids(messages), ..Changes::default() }
}

fn touched(messages: &[u32]) -> Changes {
    Changes { touched: uids(messages), ..Changes::default() }
}

fn exists(messages: &[u32]) -> Changes {
    Changes { exists: uids(messages), recent: uids(messages), ..Changes::default() }
}

#[test]
fn select_tells_what_the_rfc_wants() {
    let mut case = Case::logged_in();
    let event = case.asked("A142 SELECT inbox\r\n");
    assert_eq!(event, Event::Select { mailbox: "INBOX".into(), access: Access::ReadWrite });
    assert_eq!(case.session.accept(case.now, &mut case.out), Err(Misuse::WrongReply));
    let mailbox = Selected {
        uids: (1..=172).collect(),
        recent: uids(&[172, 180]),
        first_unseen: Some(12),
        uidvalidity: 3_857_529_045,
        uidnext: 4392,
        flags: flags("\\Answered \\Flagged \\Deleted \\Seen \\Draft"),
        permanent_flags: flags("\\Deleted \\Seen"),
        ..Selected::default()
    };
    case.session.select(mailbox.clone(), case.now, &mut case.out).unwrap();
    let untagged = "* FLAGS (\\Answered \\Deleted \\Draft \\Flagged \\Seen)\r\n* 172 EXISTS\r\n* 1 RECENT\r\n\
         * OK [UNSEEN 12] the first unseen message\r\n";
    let numbers = "* OK [UIDNEXT 4392] the next UID\r\n* OK [UIDVALIDITY 3857529045] UIDs are valid\r\n";
    let permanent = "* OK [PERMANENTFLAGS (\\Deleted \\Seen \\*)] flags that can be changed\r\n";
    let end = "A142 OK [READ-WRITE] SELECT completed\r\n";
    assert_eq!(case.said(), [untagged, permanent, numbers, end].concat());

    case.asked("A932 EXAMINE blurdybloop\r\n");
    case.session.select(mailbox.clone(), case.now, &mut case.out).unwrap();
    let permanent = "* OK [PERMANENTFLAGS ()] flags that can be changed\r\n";
    let end = "A932 OK [READ-ONLY] EXAMINE completed\r\n";
    assert_eq!(case.said(), [untagged, permanent, numbers, end].concat());

    let fixed = Selected { keywords: Keywords::Fixed, ..mailbox };
    case.asked("a SELECT x\r\n");
    case.session.select(fixed, case.now, &mut case.out).unwrap();
    assert!(case.said().contains("[PERMANENTFLAGS (\\Deleted \\Seen)]"));
}

#[test]
fn a_failed_select_leaves_nothing_selected() {
    let mut case = Case::with_messages(&[1, 2]);
    case.asked("a SELECT nowhere\r\n");
    assert_eq!(case.reply(&Reply::no("none").with_code(Code::NonExistent)), "a NO [NONEXISTENT] none\r\n");
    assert_eq!(case.asked("b FETCH 1 FLAGS\r\n"), Event::Violation(Violation::Sequence));
}

#[test]
fn a_fetch_of_everything_there_is() {
    let mut case = Case::with_messages(&[7, 8]);
    let Event::Fetch(fetch) = case.asked("a FETCH 1:2 (FLAGS UID BODY[TEXT]<2.3> ENVELOPE BODY FLAGS)\r\n") else {
        panic!("no fetch")
    };
    assert_eq!(fetch.uids, uids(&[7, 8]));
    let part = BodyItem {
        section: Section { part: vec![], text: SectionText::Text },
        partial: Some(Partial { offset: 2, length: NonZeroU32::new(3).unwrap() }),
        seen: Seen::Set,
        name: BodyName::Section,
    };
    let items =
        [FetchItem::Flags, FetchItem::Body(part.clone()), FetchItem::Envelope, FetchItem::Structure(Detail::Basic)];
    assert_eq!(fetch.items, items, "each once, and UID is the engine's");
    let (session, out) = (&mut case.session, &mut case.out);
    session.fetch_begin(8, out).unwrap();
    session.fetch_flags(&flags("\\Seen $x"), out).unwrap();
    session.begin_literal(&part, 3, out).unwrap();
    session.body(b"ab", out).unwrap();
    assert_eq!(session.body(b"cd", out), Err(Misuse::BodyTooLong));
    assert_eq!(session.end_body(), Err(Misuse::BodyTooShort));
    assert_eq!(session.fetch_flags(&flags(""), out), Err(Misuse::NotNow));
    assert_eq!(session.fetch_end(out), Err(Misuse::NotNow));
    assert_eq!(session.reply(&Reply::no(""), case.now, out), Err(Misuse::NotNow));
    session.body(b"c", out).unwrap();
    session.end_body().unwrap();
    session.fetch_rendered(Rendered::Structure(Detail::Basic), b"(\"A\" {1}\r\nb)", out).unwrap();
    assert_eq!(session.fetch_rendered(Rendered::Envelope, b"(\r\n)", out), Err(Misuse::Malformed));
    session.fetch_envelope(&Envelope::default(), out).unwrap();
    session.fetch_size(9, out).unwrap();
    session.fetch_internal_date(DateTime::from_unix(0, 60).unwrap(), out).unwrap();
    session.fetch_nil(&part, out).unwrap();
    session.fetch_end(out).unwrap();
    // Of this one nothing is told but its UID.
    session.fetch_begin(7, out).unwrap();
    assert_eq!(session.fetch_begin(8, out), Err(Misuse::NotNow));
    session.fetch_end(out).unwrap();
    assert_eq!(session.fetch_begin(9, out), Err(Misuse::UnknownUid));
    let expected = "* 2 FETCH (UID 8 FLAGS (\\Seen $x) BODY[TEXT]<2> {3}\r\nabc BODY (\"A\" {1}\r\nb) \
         ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) RFC822.SIZE 9 \
         INTERNALDATE \" 1-Jan-1970 01:00:00 +0100\" BODY[TEXT]<2> NIL)\r\n\
         * 1 FETCH (UID 7)\r\na OK FETCH completed\r\n";
    assert_eq!(case.accept(), expected);
    assert_eq!(case.session.fetch_begin(7, &mut case.out), Err(Misuse::NotNow));
}

#[test]
fn a_message_of_which_nothing_is_told_is_not_written() {
    let mut case = Case::with_messages(&[7]);
    case.asked("a FETCH 1 FLAGS\r\n");
    case.session.fetch_begin(7, &mut case.out).unwrap();
    case.session.fetch_end(&mut case.out).unwrap();
    assert_eq!(case.accept(), "a OK FETCH completed\r\n");
}

#[test]
fn old_names_of_sections_are_echoed() {
    let mut case = Case::with_messages(&[7]);
    let Event::Fetch(fetch) = case
        .asked("a UID FETCH 1:* (RFC822 RFC822.HEADER RFC822.TEXT BODY.PEEK[1.2.HEADER.FIELDS (Date \"x y\")])\r\n")
    else {
        panic!("no fetch")
    };
    case.session.fetch_begin(7, &mut case.out).unwrap();
    let mut peeks = vec![];
    for item in &fetch.items {
        let FetchItem::Body(item) = item else { panic!("no part") };
        peeks.push(item.seen == Seen::Peek);
        case.session.begin_literal(item, 0, &mut case.out).unwrap();
        case.session.end_body().unwrap();
    }
    case.session.fetch_end(&mut case.out).unwrap();
    assert_eq!(peeks, [false, true, false, true]);
    let expected = "* 1 FETCH (UID 7 RFC822 {0}\r\n RFC822.HEADER {0}\r\n RFC822.TEXT {0}\r\n \
         BODY[1.2.HEADER.FIELDS (Date \"x y\")] {0}\r\n)\r\na OK FETCH completed\r\n";
    assert_eq!(case.accept(), expected);
}

#[test]
fn an_answer_that_cannot_be_finished_is_not_padded() {
    for stop in
        [|case: &mut Case| case.session.abort(), |case: &mut Case| case.session.decline(case.now, &mut case.out)]
    {
        let mut case = Case::with_messages(&[7]);
        let Event::Fetch(fetch) = case.asked("a FETCH 1 BODY[]\r\n") else { panic!("no fetch") };
        let FetchItem::Body(item) = &fetch.items[0] else { panic!("no part") };
        case.session.fetch_begin(7, &mut case.out).unwrap();
        case.session.begin_literal(item, 10, &mut case.out).unwrap();
        stop(&mut case);
        assert_eq!(case.said(), "* 1 FETCH (BODY[] {10}\r\n");
        assert_eq!(case.next(), Step::Close(Close::Aborted));
    }
    let mut case = Case::with_messages(&[7]);
    case.asked("a FETCH 1 FLAGS\r\n");
    case.session.fetch_begin(7, &mut case.out).unwrap();
    case.session.fetch_size(1, &mut case.out).unwrap();
    case.session.shut_down(ShutDown::Fault, case.now, &mut case.out);
    assert_eq!(case.said(), "* 1 FETCH (RFC822.SIZE 1");
    assert_eq!(case.next(), Step::Close(Close::ShutDown(ShutDown::Fault)));
}

#[test]
fn expunges_wait_for_a_command_that_may_tell_them() {
    let mut case = Case::with_messages(&[1, 2, 3, 4]);
    case.session.changed(&gone(&[2, 3]));
    case.session.changed(&exists(&[9]));
    assert_eq!(case.next(), Step::NeedInput);
    assert_eq!(case.said(), "", "no command is in progress");

    case.asked("a FETCH 4 FLAGS\r\n");
    case.tell_flags(4, "");
    assert_eq!(case.accept(), "* 4 FETCH (FLAGS ())\r\n* 5 EXISTS\r\n* 1 RECENT\r\na OK FETCH completed\r\n");
    case.asked("b SEARCH ALL\r\n");
    case.session.search_results(&uids(&[1, 3, 4, 9]), &mut case.out).unwrap();
    assert_eq!(case.accept(), "* SEARCH 1 3 4 5\r\nb OK SEARCH completed\r\n");
    case.asked("c STORE 1 +FLAGS.SILENT \\Seen\r\n");
    assert_eq!(case.accept(), "c OK STORE completed\r\n");
    case.asked("d UID FETCH 4 FLAGS\r\n");
    assert_eq!(case.accept(), "* 2 EXPUNGE\r\n* 2 EXPUNGE\r\nd OK FETCH completed\r\n");
    assert_eq!(case.asked("e NOOP\r\n"), Event::Poll);
    assert_eq!(case.accept(), "e OK NOOP completed\r\n");
}

#[test]
fn messages_that_are_gone_are_not_asked_for() {
    let mut case = Case::with_messages(&[1, 2, 3]);
    case.session.changed(&gone(&[2]));
    let Event::Fetch(fetch) = case.asked("a FETCH 1:3 FLAGS\r\n") else { panic!("no fetch") };
    assert_eq!(fetch.uids, uids(&[1, 3]));
    assert_eq!(case.accept(), "a OK [EXPUNGEISSUED] FETCH completed\r\n");
    let Event::Store(store) = case.asked("b STORE 2 FLAGS ()\r\n") else { panic!("no store") };
    assert_eq!(store.uids, uids(&[]));
    case.accept();
    assert_eq!(case.asked("c FETCH 4 FLAGS\r\n"), Event::Violation(Violation::SequenceNumber));
    assert_eq!(case.said(), "c BAD no message has that number\r\n");
    let Event::Fetch(fetch) = case.asked("d UID FETCH 5:* FLAGS\r\n") else { panic!("no fetch") };
    assert_eq!(fetch.uids, uids(&[3]));
}

#[test]
fn touched_flags_are_asked_for_before_the_end() {
    let mut case = Case::with_messages(&[1, 2, 3]);
    case.session.changed(&touched(&[1, 3, 8]));
    case.session.changed(&gone(&[1]));
    case.asked("a NOOP\r\n");
    assert_eq!(case.accept(), "* 1 EXPUNGE\r\n");
    assert_eq!(case.session.poll_timeout(), None);
    assert_eq!(case.event(), Event::Tell { uids: uids(&[3]) });
    assert_eq!(case.next(), Step::YourTurn);
    case.session.changed(&touched(&[2, 3]));
    case.tell_flags(3, "\\Seen");
    assert_eq!(case.session.reply(&Reply::ok(""), case.now, &mut case.out), Err(Misuse::WrongReply));
    assert_eq!(case.accept(), "* 2 FETCH (FLAGS (\\Seen))\r\na OK NOOP completed\r\n");
    assert_eq!(case.next(), Step::NeedInput, "between commands nothing is told");
    // 3 was told as it is by then; 2 waits.
    case.asked("b UID STORE 2 FLAGS $x\r\n");
    assert_eq!(case.accept(), "");
    assert_eq!(case.event(), Event::Tell { uids: uids(&[2]) });
    case.tell_flags(2, "$x");
    assert_eq!(case.accept(), "* 1 FETCH (UID 2 FLAGS ($x))\r\nb OK STORE completed\r\n");
}

#[test]
fn flags_told_by_the_command_are_not_told_again() {
    let mut case = Case::with_messages(&[1]);
    let Event::Store(store) = case.asked("a STORE 1 +FLAGS (\\Deleted work)\r\n") else { panic!("no store") };
    assert_eq!(store.change, FlagChange::Add(flags("\\Deleted work")));
    assert_eq!(store.echo, Echo::Told);
    let new = Changes { touched: uids(&[1]), flags: Some(flags("\\Deleted work")), ..Changes::default() };
    case.session.changed(&new);
    case.tell_flags(1, "\\Deleted work");
    let expected = "* FLAGS (\\Deleted work)\r\n* 1 FETCH (FLAGS (\\Deleted work))\r\na OK STORE completed\r\n";
    assert_eq!(case.accept(), expected);
}

#[test]
fn declining_to_tell_is_no_harm() {
    let mut case = Case::with_messages(&[1]);
    case.session.changed(&touched(&[1]));
    case.asked("a CAPABILITY\r\n");
    case.said();
    assert_eq!(case.decline(), "a OK CAPABILITY completed\r\n");
}

#[test]
fn idling_is_told_at_once() {
    let mut case = Case::with_messages(&[1, 2]);
    case.session.changed(&gone(&[1]));
    assert_eq!(case.asked("a IDLE\r\n"), Event::Idle);
    assert_eq!(case.next(), Step::NeedInput);
    assert_eq!(case.said(), "+ idling\r\n* 1 EXPUNGE\r\n", "what came before it, too");
    case.session.changed(&exists(&[5]));
    case.session.changed(&touched(&[2]));
    assert_eq!(case.event(), Event::Tell { uids: uids(&[2]) });
    case.tell_flags(2, "\\Seen");
    assert_eq!(case.accept(), "* 2 EXISTS\r\n* 1 RECENT\r\n* 1 FETCH (FLAGS (\\Seen))\r\n");
    assert_eq!(case.next(), Step::NeedInput);
    case.send("done\r\nd NOOP\r\n");
    assert_eq!(case.event(), Event::Done);
    assert_eq!(case.said(), "a OK IDLE completed\r\n");
    assert_eq!(case.event(), Event::Poll);
}

#[test]
fn idling_is_kept_alive_and_ends() {
    let mut case = Case::logged_in();
    case.asked("a IDLE\r\n");
    case.said();
    assert_eq!(case.wait(119), "");
    assert_eq!(case.wait(1), "* OK still here\r\n");
    assert_eq!(case.session.poll_timeout().unwrap().at, case.now + std::time::Duration::from_secs(120));
    assert_eq!(case.wait(1679), "* OK still here\r\n");
    assert_eq!(case.wait(1), "* BYE autologout, idle for too long\r\n");
}

#[test]
fn anything_but_done_ends_idling_with_bad() {
    for (line, next) in
        [("b NOOP\r\n", ""), ("x {10+}\r\nc LOGOUT\r\n\r\n", ""), ("x {10}\r\n", ""), ("DO\nNE\r\n", "")]
    {
        let mut case = Case::logged_in();
        case.asked("a IDLE\r\n");
        case.said();
        case.send(line);
        case.send(next);
        assert_eq!(case.event(), Event::Done);
        assert_eq!(case.event(), Event::Violation(Violation::NotDone));
        assert_eq!(case.said(), "a BAD DONE expected\r\n");
        assert_eq!(case.ask("z NOOP\r\n"), "z OK NOOP completed\r\n", "{line}");
    }
}

#[test]
fn recent_is_this_sessions() {
    let mut case = Case::logged_in();
    case.asked("a SELECT x\r\n");
    let mailbox = Selected { recent: uids(&[2]), ..selected(&[1, 2]) };
    case.session.select(mailbox, case.now, &mut case.out).unwrap();
    case.said();
    case.asked("b FETCH 1:2 FLAGS\r\n");
    case.tell_flags(1, "");
    case.tell_flags(2, "");
    case.session.fetch_begin(2, &mut case.out).unwrap();
    case.session.fetch_flags(&flags("\\Seen"), &mut case.out).unwrap();
    case.session.fetch_end(&mut case.out).unwrap();
    let expected = "* 1 FETCH (FLAGS ())\r\n* 2 FETCH (FLAGS (\\Recent))\r\n* 2 FETCH (FLAGS (\\Seen \\Recent))\r\n\
         b OK FETCH completed\r\n";
    assert_eq!(case.accept(), expected);
    let Event::Search { key } = case.asked("c SEARCH NEW OLD\r\n") else { panic!("no search") };
    let recent = || Criterion::Messages(uids(&[2]));
    let new = Criterion::And(vec![recent(), Criterion::Not(Box::new(Criterion::Flag(Flag::Seen)))]);
    assert_eq!(key, Criterion::And(vec![new, Criterion::Not(Box::new(recent()))]));
    assert_eq!(case.accept(), "* SEARCH\r\nc OK SEARCH completed\r\n");
    assert!(matches!(case.asked("d STORE 1 +FLAGS \\Recent\r\n"), Event::Violation(Violation::Syntax(_))));
}

#[test]
fn searching_is_asked_in_uids() {
    let mut case = Case::with_messages(&[10, 20, 30]);
    let event = case.asked("A282 SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\" 2:* UID 1:15\r\n");
    let expected = Criterion::And(vec![
        Criterion::Flag(Flag::Flagged),
        Criterion::Date { which: WhichDate::Internal, when: When::Since, date: Date::new(1994, 2, 1).unwrap() },
        Criterion::Not(Box::new(Criterion::Text { place: TextPlace::From, text: "Smith".into() })),
        Criterion::Messages(uids(&[20, 30])),
        Criterion::Messages(uids(&[10])),
    ]);
    assert_eq!(event, Event::Search { key: expected });
    case.session.search_results(&uids(&[5, 20, 30, 40]), &mut case.out).unwrap();
    assert_eq!(case.accept(), "* SEARCH 2 3\r\nA282 OK SEARCH completed\r\n");
    case.asked("b UID SEARCH ALL\r\n");
    case.session.search_results(&uids(&[5, 20, 30, 40]), &mut case.out).unwrap();
    assert_eq!(case.session.search_results(&uids(&[]), &mut case.out), Err(Misuse::NotNow));
    assert_eq!(case.accept(), "* SEARCH 20 30\r\nb OK SEARCH completed\r\n");

    let event = case.asked("c SEARCH CHARSET utf-8 BODY {4+}\r\n\u{e4}\u{f6}\r\n");
    let text = Criterion::Text { place: TextPlace::Body, text: "\u{e4}\u{f6}".into() };
    assert_eq!(event, Event::Search { key: text });
    assert_eq!(case.reply(&Reply::no("too hard")), "c NO too hard\r\n");
    let charsets = "d NO [BADCHARSET (US-ASCII UTF-8)] unknown charset\r\n";
    assert_eq!(case.ask("d SEARCH CHARSET latin-1 BODY x\r\n"), charsets);
    case.send("e SEARCH BODY {2+}\r\n");
    case.input.extend_from_slice(b"\xff\xff\r\n");
    assert_eq!(case.event(), Event::Violation(Violation::Text));
    assert_eq!(case.asked("f SEARCH 4\r\n"), Event::Violation(Violation::SequenceNumber));
}

#[test]
fn expunge_tells_what_went() {
    let mut case = Case::with_messages(&[1, 2, 3, 4]);
    assert_eq!(case.asked("a EXPUNGE\r\n"), Event::Expunge { uids: None });
    case.session.changed(&gone(&[1, 3, 4]));
    assert_eq!(case.accept(), "* 1 EXPUNGE\r\n* 2 EXPUNGE\r\n* 2 EXPUNGE\r\na OK EXPUNGE completed\r\n");
    assert_eq!(case.asked("b UID EXPUNGE 1:9\r\n"), Event::Expunge { uids: Some(uids(&[2])) });
    assert_eq!(case.accept(), "b OK EXPUNGE completed\r\n");
}

#[test]
fn copy_and_move_tell_both_uids() {
    let mut case = Case::with_messages(&[1, 2, 3]);
    let Event::Copy(copy) = case.asked("a COPY 2:3 MEETING\r\n") else { panic!("no copy") };
    assert_eq!((copy.uids, copy.mailbox.as_str(), copy.by), (uids(&[2, 3]), "MEETING", Addressing::Sequence));
    let try_create = Reply::no("no such mailbox").with_code(Code::TryCreate);
    assert_eq!(case.reply(&try_create), "a NO [TRYCREATE] no such mailbox\r\n");
    case.asked("b UID COPY 2:3 MEETING\r\n");
    let copied = Reply::ok("Done").with_code(Code::CopyUid { uidvalidity: 5, pairs: vec![(2, 11), (3, 12)] });
    assert_eq!(case.session.copied(5, &[(2, 11)], &mut case.out), Err(Misuse::NotNow));
    assert_eq!(case.reply(&copied), "b OK [COPYUID 5 2:3 11:12] Done\r\n");

    let Event::Move(moved) = case.asked("c MOVE 1,3 foo\r\n") else { panic!("no move") };
    assert_eq!(moved.uids, uids(&[1, 3]));
    case.session.copied(432, &[(1, 95), (3, 97)], &mut case.out).unwrap();
    case.session.changed(&gone(&[1, 3]));
    let expected = "* OK [COPYUID 432 1,3 95,97] moved\r\n* 1 EXPUNGE\r\n* 2 EXPUNGE\r\nc OK MOVE completed\r\n";
    assert_eq!(case.accept(), expected);
}

#[test]
fn close_expunges_in_silence_and_unselect_does_not() {
    for (command, expunge) in [("CLOSE", true), ("UNSELECT", false)] {
        let mut case = Case::with_messages(&[1, 2]);
        assert_eq!(case.asked(&format!("a {command}\r\n")), Event::Close { expunge });
        case.session.changed(&gone(&[1]));
        assert_eq!(case.accept(), format!("a OK {command} completed\r\n"));
        assert_eq!(case.asked("b CHECK\r\n"), Event::Violation(Violation::Sequence));
    }
    let mut case = Case::with_messages(&[1]);
    case.asked("a CLOSE\r\n");
    assert_eq!(case.decline(), "a NO [UNAVAILABLE] not available\r\n");
    assert_eq!(case.asked("b CHECK\r\n"), Event::Poll, "it is selected still");
}

#[test]
fn what_is_read_only_is_not_changed() {
    let mut case = Case::logged_in();
    case.asked("s EXAMINE x\r\n");
    case.session.select(selected(&[1]), case.now, &mut case.out).unwrap();
    case.said();
    for command in ["STORE 1 FLAGS ()", "UID MOVE 1 y", "EXPUNGE", "UID EXPUNGE 1"] {
        assert_eq!(case.ask(&format!("a {command}\r\n")), "a NO the mailbox is read-only\r\n", "{command}");
    }
    assert!(matches!(case.asked("b COPY 1 y\r\n"), Event::Copy(_)));
    case.decline();
    assert_eq!(case.asked("c CLOSE\r\n"), Event::Close { expunge: false });
}

#[test]
fn shutting_down_does_not_wait_for_flags() {
    let mut case = Case::with_messages(&[1]);
    case.asked("a NOOP\r\n");
    case.session.changed(&touched(&[1]));
    case.session.shut_down(ShutDown::Stopping, case.now, &mut case.out);
    assert_eq!(case.accept(), "a OK NOOP completed\r\n* BYE [UNAVAILABLE] server is shutting down\r\n");
}

#[test]
fn a_question_without_mailbox_has_no_view() {
    let mut case = Case::logged_in();
    case.session.changed(&gone(&[1]));
    assert_eq!(case.asked("a IDLE\r\n"), Event::Idle);
    assert_eq!(case.next(), Step::NeedInput);
    assert_eq!(case.said(), "+ idling\r\n");
}
