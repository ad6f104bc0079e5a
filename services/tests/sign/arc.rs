//! ARC seals: chains that grow, that are broken, that are full.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use mail_auth::DkimResult;
use services::sign::{
    BadResults, ChainValidation, Form, HeaderError, KeyKind, MAX_RESULTS, MAX_SETS, SealError, Sealed, Sealer,
    SignOptions, Unsealed,
};

use crate::keys::{fields, identity, key, recently, signer};
use crate::mailauth::{self, MailAuth};
use crate::messages::{self, LUNCH, sent};
use crate::model::{canonical_field, split_fields};

const RESULTS: &str = "forwarder.example; spf=pass smtp.mailfrom=alice@example.org; dkim=none";

fn sealer(kind: KeyKind) -> Sealer {
    Sealer::new(identity("forwarder.example", kind))
}

pub(crate) fn seal(kind: KeyKind, message: &str, validation: ChainValidation) -> Result<Sealed, SealError> {
    seal_below(kind, message, validation, "")
}

fn seal_below(kind: KeyKind, message: &str, validation: ChainValidation, above: &str) -> Result<Sealed, SealError> {
    let mut sealing = sealer(kind).begin(RESULTS, validation, recently()).unwrap();
    sealing.write(message.as_bytes());
    sealing.finish(above.as_bytes())
}

fn set(sealed: Result<Sealed, SealError>) -> String {
    match sealed.unwrap() {
        Sealed::With(set) => String::from_utf8(set).unwrap(),
        Sealed::Not(why) => panic!("{why:?}"),
    }
}

/// A message after so many hops, each of which has sealed it.
pub(crate) fn forwarded(kind: KeyKind, message: &str, hops: usize) -> String {
    (0..hops).fold(message.to_owned(), |message, hop| {
        let validation = if hop == 0 { ChainValidation::None } else { ChainValidation::Pass };
        set(seal(kind, &message, validation)) + &sent(&message)
    })
}

#[test]
fn mail_auth_finds_every_chain_good() {
    let mail_auth = MailAuth::new();
    assert_eq!(mail_auth.arc(LUNCH), DkimResult::None);
    for kind in [KeyKind::Rsa, KeyKind::Ed25519] {
        for (name, message) in messages::all() {
            if mailauth::reads_otherwise(&name) {
                continue;
            }
            let message = forwarded(kind, &message, 1);
            assert_eq!(mail_auth.arc(&message), DkimResult::Pass, "{name}\n{message}");
        }
        for hops in [2, 3, 9, 10, 50] {
            assert_eq!(mail_auth.arc(&forwarded(kind, LUNCH, hops)), DkimResult::Pass, "{hops} hops");
        }
    }
}

/// Chains that mail-auth and we have made in turn.
pub(crate) fn in_turn() -> Vec<(String, String)> {
    let mail_auth = MailAuth::new();
    let ours = |message: &str, validation| set(seal(KeyKind::Rsa, message, validation)) + message;
    let one = mail_auth.sealed(LUNCH);
    let two = ours(&one, ChainValidation::Pass);
    let three = mail_auth.sealed(&two);
    let other = mail_auth.sealed(&ours(LUNCH, ChainValidation::None));
    let four = ours(&three, ChainValidation::Pass);
    let chains =
        [("theirs", one), ("then ours", two), ("then theirs", three), ("ours first", other), ("then ours again", four)];
    chains.map(|(name, message)| (name.to_owned(), message)).into()
}

#[test]
fn chains_of_several_makers_are_good() {
    let mail_auth = MailAuth::new();
    for (name, message) in in_turn() {
        assert_eq!(mail_auth.arc(&message), DkimResult::Pass, "{name}\n{message}");
    }
}

#[test]
fn a_set_looks_like_this() {
    let set = set(seal(KeyKind::Ed25519, LUNCH, ChainValidation::None));
    let lines: Vec<&str> = set.split("\r\n").collect();
    let starts = |name: &str| lines.iter().position(|line| line.starts_with(name)).unwrap();
    let (seal, signature, results) = (
        starts("ARC-Seal: i=1; a=ed25519-sha256;"),
        starts("ARC-Message-Signature: i=1;"),
        starts("ARC-Authentication-Results: i=1; "),
    );
    assert!(seal == 0 && seal < signature && signature < results);
    assert!(lines.iter().all(|line| line.len() <= 78), "{set}");
    let unfolded = set.replace("\r\n\t", " ");
    assert!(unfolded.contains("; cv=none; b="), "{unfolded}");
    assert!(unfolded.contains(&format!("i=1; {RESULTS}\r\n")), "{unfolded}");
    assert!(!unfolded.contains("h=arc") && !unfolded.contains(":arc-"));
}

pub(crate) fn tampered(kind: KeyKind) -> Vec<(String, String)> {
    let good = forwarded(kind, LUNCH, 3);
    let mut bad = Vec::new();
    for (name, from, to) in [
        ("body", "At noon?", "At one?"),
        ("Subject", "Subject: lunch", "Subject: dinner"),
        ("first results", "Results: i=1; forwarder.example; spf=pass", "Results: i=1; forwarder.example; spf=fail"),
        ("last results", "Results: i=3; forwarder.example; spf=pass", "Results: i=3; forwarder.example; spf=fail"),
        ("second status", "cv=pass", "cv=none"),
        ("an earlier signature", "ARC-Message-Signature: i=1; a", "ARC-Message-Signature: i=1; x=9999999999; a"),
        ("numbers", "Seal: i=2", "Seal: i=1"),
    ] {
        let (before, after) = good.rsplit_once(from).unwrap_or_else(|| panic!("{name}: {good}"));
        bad.push((name.to_owned(), format!("{before}{to}{after}")));
    }
    let gap = good.replace("i=2; ", "i=4; ");
    bad.push(("a gap".to_owned(), gap));
    bad.push(("another From".to_owned(), format!("From: eve@example.com\r\n{good}")));
    bad
}

#[test]
fn a_chain_that_was_changed_is_not_good() {
    let mail_auth = MailAuth::new();
    for kind in [KeyKind::Rsa, KeyKind::Ed25519] {
        for (name, message) in tampered(kind) {
            let result = mail_auth.arc(&message);
            assert!(!matches!(result, DkimResult::Pass | DkimResult::None), "{name}: {result:?}");
        }
    }
}

#[test]
fn a_signature_that_is_added_meanwhile_is_covered() {
    let mail_auth = MailAuth::new();
    let dkim = fields(&signer(SignOptions::default(), &[KeyKind::Ed25519]), LUNCH.as_bytes()).unwrap();
    let set = set(seal_below(KeyKind::Ed25519, LUNCH, ChainValidation::None, &dkim));
    let sent = format!("{set}{dkim}{LUNCH}");
    assert_eq!(mail_auth.arc(&sent), DkimResult::Pass);
    assert!(mail_auth.finds_good(&sent, 1));
    assert_ne!(mail_auth.arc(&format!("{set}{LUNCH}")), DkimResult::Pass);
    let no_field = seal_below(KeyKind::Ed25519, LUNCH, ChainValidation::None, "no field\r\n");
    assert_eq!(no_field, Err(SealError::Header(HeaderError::Malformed)));
}

/// Whether the topmost seal covers its own set and nothing else.
fn seals_itself_alone(message: &str) -> bool {
    let fields = split_fields(messages::split(message).0);
    let (before, signature) = fields[0].rsplit_once("b=").unwrap();
    let text: String = [&fields[2], &fields[1], &format!("{before}b=\r\n")]
        .map(|field| canonical_field(Form::Relaxed, field))
        .concat();
    let public = BASE64_STANDARD.decode(key(KeyKind::Ed25519).record().rsplit_once("p=").unwrap().1).unwrap();
    let signature = BASE64_STANDARD.decode(signature.replace(['\r', '\n', '\t'], "")).unwrap();
    let hash = digest(&SHA256, text.trim_end_matches("\r\n").as_bytes());
    UnparsedPublicKey::new(&ED25519, public).verify(hash.as_ref(), &signature).is_ok()
}

#[test]
fn a_chain_that_fails_is_marked_once() {
    for hops in [1, 2, 49] {
        let arrived = forwarded(KeyKind::Ed25519, LUNCH, hops).replace("noon", "one");
        assert_ne!(MailAuth::new().arc(&arrived), DkimResult::Pass);
        let set = set(seal(KeyKind::Ed25519, &arrived, ChainValidation::Fail));
        let number = hops + 1;
        assert!(
            set.starts_with(&format!("ARC-Seal: i={number}; ")) && set.replace("\r\n\t", " ").contains("; cv=fail;"),
            "{set}"
        );
        let marked = set + &arrived;
        assert!(seals_itself_alone(&marked), "{marked}");
        for validation in [ChainValidation::Fail, ChainValidation::Pass, ChainValidation::None] {
            assert_eq!(seal(KeyKind::Ed25519, &marked, validation), Ok(Sealed::Not(Unsealed::Failed)));
        }
    }
}

#[test]
fn a_broken_chain_fails_whatever_was_said_of_it() {
    let good = forwarded(KeyKind::Ed25519, LUNCH, 2);
    for (name, broken, number) in [
        ("no results", good.replacen("ARC-Authentication-Results: i=2", "X: ", 1), 3),
        ("no first seal", good.replace("ARC-Seal: i=1", "X: "), 3),
        ("a seal alone", format!("ARC-Seal: i=7; cv=none\r\n{LUNCH}"), 8),
        ("results alone", format!("ARC-Authentication-Results: i=1; example.org; none\r\n{LUNCH}"), 2),
        ("twice", good.replace("i=2; ", "i=1; "), 2),
        ("a gap", good.replace("i=2; ", "i=3; "), 4),
        ("another one's status", good.replacen("; cv=pass", "; cv=none", 1).replacen("\tcv=pass", "\tcv=none", 1), 3),
        ("a seal that lists fields", good.replacen("ARC-Seal: i=2;", "ARC-Seal: i=2; h=from;", 1), 3),
        ("two numbers", good.replacen("ARC-Seal: i=2;", "ARC-Seal: i=2; i=2;", 1), 3),
        ("no number", good.replacen("ARC-Seal: i=2;", "ARC-Seal:", 1), 3),
        ("number 0", format!("ARC-Seal: i=0; cv=none\r\n{LUNCH}"), 1),
        ("number 51", format!("ARC-Seal: i=51; cv=none\r\n{LUNCH}"), 1),
        ("a huge number", format!("ARC-Seal: i=99999999999999999999; cv=none\r\n{LUNCH}"), 1),
    ] {
        for validation in [ChainValidation::Fail, ChainValidation::Pass, ChainValidation::None] {
            let set = set(seal(KeyKind::Ed25519, &broken, validation));
            assert!(set.starts_with(&format!("ARC-Seal: i={number}; ")), "{name}: {set}");
            assert!(set.replace("\r\n\t", " ").contains("; cv=fail;"), "{name}: {set}");
            assert!(seals_itself_alone(&(set + &broken)), "{name}");
        }
    }
}

#[test]
fn a_chain_holds_fifty_sets() {
    let full = forwarded(KeyKind::Ed25519, LUNCH, usize::from(MAX_SETS));
    assert_eq!(MailAuth::new().arc(&full), DkimResult::Pass);
    for validation in [ChainValidation::Fail, ChainValidation::Pass] {
        assert_eq!(seal(KeyKind::Ed25519, &full, validation), Ok(Sealed::Not(Unsealed::Full)));
    }
    let broken = full.replace("Seal: i=20;", "Seal: i=21;");
    assert_eq!(seal(KeyKind::Ed25519, &broken, ChainValidation::Fail), Ok(Sealed::Not(Unsealed::Full)));
}

#[test]
fn nobody_testifies_to_another_chain() {
    for validation in [ChainValidation::Pass, ChainValidation::Fail] {
        assert_eq!(seal(KeyKind::Ed25519, LUNCH, validation), Err(SealError::OtherChain));
    }
    let forwarded = forwarded(KeyKind::Ed25519, LUNCH, 1);
    assert_eq!(seal(KeyKind::Ed25519, &forwarded, ChainValidation::None), Err(SealError::OtherChain));
}

#[test]
fn a_header_that_cannot_be_signed_is_not_sealed() {
    for (message, why) in
        [("To: a@example.org\r\n\r\n", HeaderError::NoFrom), ("From: a\r\nFrom: b\r\n\r\n", HeaderError::ManyFrom)]
    {
        assert_eq!(seal(KeyKind::Ed25519, message, ChainValidation::None), Err(SealError::Header(why)));
    }
}

#[test]
fn results_are_folded_and_stay_one_field() {
    let mail_auth = MailAuth::new();
    let sealed = |results: &str| {
        let mut sealing = sealer(KeyKind::Ed25519).begin(results, ChainValidation::None, recently())?;
        sealing.write(LUNCH.as_bytes());
        Ok(set(sealing.finish(b"")))
    };
    let long = format!("forwarder.example;{}", " dkim=pass header.d=example.org;".repeat(100));
    for results in [RESULTS, "forwarder.example;\r\n\tspf=pass;\r\n  dkim=pass\r\n", "b\u{fc}cher.example; none", &long]
    {
        let set = sealed(results).unwrap();
        assert!(set.split("\r\n").all(|line| line.len() <= 78), "{set}");
        assert_eq!(mail_auth.arc(&(set + LUNCH)), DkimResult::Pass, "{results:?}");
    }
    let word = "w".repeat(997);
    for results in ["", " \r\n ", "a\0b", "a\u{85}b", "a\u{7f}", word.as_str(), &"w ".repeat(MAX_RESULTS)] {
        assert_eq!(sealed(results), Err(BadResults), "{results:?}");
    }
    // What looks like a number in them is none.
    let first = sealed("forwarder.example; none; i=9").unwrap() + LUNCH;
    let second = set(seal(KeyKind::Ed25519, &first, ChainValidation::Pass));
    assert!(second.starts_with("ARC-Seal: i=2; ") && second.contains("cv=pass;"), "{second}");
    // Nothing in them begins a field of its own.
    let set = sealed("a; none\r\nSubject: eve").unwrap();
    assert!(!set.contains("\r\nSubject"), "{set}");
}
