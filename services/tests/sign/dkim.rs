//! DKIM signatures: what they look like, what they cover, when there is none.

use std::time::{Duration, SystemTime};

use services::sign::{
    Form, HeaderError, Identity, IdentityError, Key, KeyError, KeyKind, MAX_HEADER, MAX_SIGNED, SelectorTaken,
    SignError, SignOptions, Signer, Stamp, Subdomains,
};

use crate::keys::{DOMAIN, fields, forms, identity, key, pem, recently, signed, signer};
use crate::mailauth::{self, MailAuth};
use crate::messages::{self, LUNCH};

pub(crate) const BOTH: [KeyKind; 2] = [KeyKind::Rsa, KeyKind::Ed25519];

/// Messages in every form, signed with keys of these kinds.
pub(crate) fn in_every_form(
    messages: impl Iterator<Item = (String, String)>,
    kinds: &[KeyKind],
) -> Vec<(String, String)> {
    let signers = [Form::Relaxed, Form::Simple].map(|header| {
        [Form::Relaxed, Form::Simple].map(|body| (format!("{header:?}/{body:?}"), signer(forms(header, body), kinds)))
    });
    let signed = |(name, message): (String, String)| {
        let signed = |(form, signer): &(String, Signer)| (format!("{form}: {name}"), signed(signer, &message));
        signers.iter().flatten().map(signed).collect::<Vec<_>>()
    };
    messages.flat_map(signed).collect()
}

/// A signed message with something changed that a signature covers.
pub(crate) fn tampered(kinds: &[KeyKind]) -> Vec<(String, String)> {
    let good = signed(&signer(SignOptions::default(), kinds), LUNCH);
    let mut bad = Vec::new();
    let mut change = |name: &str, from: &str, to: &str| {
        let (before, after) = good.rsplit_once(from).unwrap();
        bad.push((name.to_owned(), format!("{before}{to}{after}")));
    };
    for (name, value) in [
        ("From", "Alice <"),
        ("To", "Bob <"),
        ("To, folded", "Carol <"),
        ("Subject", "lunch"),
        ("Date", "Sun, 22"),
        ("Message-ID", "<1@"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain"),
        ("List-Unsubscribe", "https:"),
        ("body", "noon?"),
        ("last line", "Alice\r\n"),
    ] {
        change(name, value, &format!("x{value}"));
    }
    change("a longer body", "Alice\r\n", "Alice\r\nand Eve\r\n");
    change("a blank line in the body", "\r\n\r\nAlice\r\n", "\r\n\r\n\r\nAlice\r\n");
    change("no Subject", "Subject: lunch\r\n", "");
    change("the signature's domain", "d=example.org", "d=forwarder.example");
    change("the signature's time", "t=1", "t=11");
    // RFC 6376 §8.15: one more of a field that the reader sees.
    for name in [
        "From",
        "Reply-To",
        "To",
        "Cc",
        "Subject",
        "Date",
        "Message-ID",
        "In-Reply-To",
        "References",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
    ] {
        bad.push((format!("another {name}"), format!("{name}: eve\r\n{good}")));
    }
    bad
}

#[test]
fn mail_auth_finds_all_signatures_good() {
    let mail_auth = MailAuth::new();
    for (name, message) in in_every_form(messages::all(), &BOTH) {
        if !mailauth::reads_otherwise(&name) {
            assert!(mail_auth.finds_good(&message, 2), "{name}: {:?}\n{message}", mail_auth.dkim(&message));
        }
    }
}

#[test]
fn nothing_that_is_covered_can_be_changed() {
    let mail_auth = MailAuth::new();
    for kind in BOTH {
        assert!(mail_auth.finds_good(&signed(&signer(SignOptions::default(), &[kind]), LUNCH), 1));
        for (name, message) in tampered(&[kind]) {
            assert!(!mail_auth.finds_good(&message, 1), "{name}");
        }
    }
}

#[test]
fn what_changes_on_the_way_is_not_covered() {
    let mail_auth = MailAuth::new();
    let message = signed(&signer(SignOptions::default(), &BOTH), LUNCH);
    let (signatures, rest) = message.split_once("Received: ").unwrap();
    let relayed = rest
        .replace("Subject: lunch", "SUBJECT:\r\n  lunch\t")
        .replace("At noon?\r\n", "At \t noon? \r\n")
        .replace("Alice\r\n", "Alice\r\n\r\n\r\n");
    let relayed = format!(
        "Return-Path: <>\r\nReceived: by there\r\nSender: list\r\n{signatures}X-Spam: no\r\nReceived: {relayed}"
    );
    assert!(mail_auth.finds_good(&relayed.replacen("Sender: list\r\n", "", 1), 2));
    // A list may name itself: nobody said that there would be no Sender.
    assert!(mail_auth.finds_good(&relayed, 2));
}

#[test]
fn a_field_is_folded_and_lists_what_it_covers() {
    let mut signing = signer(SignOptions::default(), &[KeyKind::Rsa]).begin(DOMAIN, at(1_700_000_000)).unwrap();
    signing.write(LUNCH.as_bytes());
    let field = String::from_utf8(signing.finish(b"").unwrap()).unwrap();
    assert!(
        field.starts_with(
            "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=r;\r\n\tt=1700000000;"
        ),
        "{field}"
    );
    let unfolded = field.replace("\r\n\t", "");
    assert!(unfolded.contains(
        "h=from:from:reply-to:to:to:cc:subject:subject:date:date:message-id:message-id:in-reply-to:references:\
         mime-version:mime-version:content-type:content-type:content-transfer-encoding:list-unsubscribe;"
    ));
    assert!(field.ends_with("\r\n") && !field.contains("\r\n\r\n"));
    for (at, line) in field.trim_end().split("\r\n").enumerate() {
        assert!(line.len() <= 78, "{line}");
        assert!(at == 0 || (line.starts_with('\t') && line.len() > 1), "{line}");
    }
}

#[test]
fn the_longest_domain_still_fits_into_lines() {
    let domain = ["d".repeat(50), "e".repeat(50), "f".repeat(50), "example".to_owned()].join(".");
    let mut signer = Signer::new(SignOptions::default());
    signer.add(Identity::new(&domain, &"s".repeat(63), key(KeyKind::Rsa)).unwrap()).unwrap();
    let mut signing = signer.begin(&domain, recently()).unwrap();
    signing.write(LUNCH.as_bytes());
    let field = String::from_utf8(signing.finish(b"").unwrap()).unwrap();
    assert!(field.split("\r\n").all(|line| line.len() <= 200), "{field}");
}

#[test]
fn a_signature_says_when_it_was_made_and_how_long_it_holds() {
    let field = |stamp, made| {
        let signer = signer(SignOptions { stamp, ..SignOptions::default() }, &[KeyKind::Ed25519]);
        let mut signing = signer.begin(DOMAIN, made).unwrap();
        signing.write(LUNCH.as_bytes());
        String::from_utf8(signing.finish(b"").unwrap()).unwrap()
    };
    let week = Duration::from_secs(604_800);
    let absent = field(Stamp::Absent, at(1_700_000_000));
    assert!(!absent.contains("t=17") && !absent.contains("x="));
    assert!(field(Stamp::Made, at(1_700_000_000)).contains("t=1700000000;"));
    let expires = field(Stamp::Expires(week), at(1_700_000_000)).replace("\r\n\t", " ");
    assert!(expires.contains("t=1700000000; x=1700604800;"), "{expires}");

    let forever = field(Stamp::Expires(Duration::MAX), at(1_700_000_000));
    assert!(forever.contains("x=999999999999;"), "{forever}");

    let mail_auth = MailAuth::new();
    assert!(mail_auth.finds_good(&(field(Stamp::Absent, recently()) + LUNCH), 1));
    assert!(mail_auth.finds_good(&(field(Stamp::Expires(week), recently()) + LUNCH), 1));
    assert!(!mail_auth.finds_good(&(field(Stamp::Expires(week), recently() - week) + LUNCH), 1));
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn a_header_that_cannot_be_signed_says_why() {
    let signer = signer(SignOptions::default(), &[KeyKind::Ed25519]);
    let cases = [
        ("", HeaderError::NoFrom),
        ("\r\nFrom: a@example.org\r\n", HeaderError::NoFrom),
        ("To: a@example.org\r\n\r\nFrom: a@example.org\r\n", HeaderError::NoFrom),
        ("X-From: a@example.org\r\n\r\n", HeaderError::NoFrom),
        ("From: a@example.org\r\nfrom : b@example.org\r\n\r\n", HeaderError::ManyFrom),
        ("From: a@example.org\r\nand more\r\n\r\n", HeaderError::Malformed),
        ("From : a@example.org\r\n\r\n", HeaderError::Malformed),
        ("From: a@example.org\r\nSubject\t: x\r\n\r\n", HeaderError::Malformed),
        ("From: a@example.org\r\n: nothing\r\n\r\n", HeaderError::Malformed),
        ("From: a@example.org\r\nTwo Words: x\r\n\r\n", HeaderError::Malformed),
        ("From: a@example.org\r\nGr\u{fc}\u{df}e: x\r\n\r\n", HeaderError::Malformed),
        (" From: a@example.org\r\n\r\n", HeaderError::Malformed),
        ("From a Sun Nov 22 08:00:00 2026\r\nFrom: a@example.org\r\n\r\n", HeaderError::Malformed),
        ("From: a@example.org\nSubject: x\r\n\r\n", HeaderError::Malformed),
        ("From: a@example.org\rSubject: x\r\n\r\n", HeaderError::Malformed),
        ("From: a@example.org\r\r\n\r\n", HeaderError::Malformed),
        ("From: a@example.org\n\nbody\n", HeaderError::Malformed),
    ];
    for (message, why) in cases {
        assert_eq!(fields(&signer, message.as_bytes()), Err(SignError::Header(why)), "{message:?}");
    }
}

#[test]
fn a_header_alone_is_a_message() {
    let mail_auth = MailAuth::new();
    let signer = signer(SignOptions::default(), &BOTH);
    for header in ["From: a@example.org", "From: a@example.org\r\n", "From: a@example.org\r\nSubject:\r\n x"] {
        let signatures = fields(&signer, header.as_bytes()).unwrap();
        let sent = format!("{signatures}{}\r\n\r\n", header.trim_end());
        assert!(mail_auth.finds_good(&sent, 2), "{header:?}");
    }
}

#[test]
fn the_longest_header_is_signed_and_one_longer_is_not() {
    let signer = signer(SignOptions::default(), &[KeyKind::Ed25519]);
    let header = |length: usize| {
        let from = "From: a@example.org\r\nX: ";
        format!("{from}{}\r\n", "x".repeat(length - from.len() - 2))
    };
    let too_large = Err(SignError::Header(HeaderError::TooLarge));
    for size in [1, 7, 4096, usize::MAX] {
        let streamed = |message: &str| {
            let mut signing = signer.begin(DOMAIN, recently()).unwrap();
            message.as_bytes().chunks(size).for_each(|piece| signing.write(piece));
            signing.finish(b"").map(drop)
        };
        assert_eq!(streamed(&(header(MAX_HEADER) + "\r\nbody\r\n")), Ok(()), "{size}");
        assert_eq!(streamed(&(header(MAX_HEADER + 1) + "\r\nbody\r\n")), too_large, "{size}");
        assert_eq!(streamed(&header(MAX_HEADER)), Ok(()), "{size}");
        assert_eq!(streamed(&header(MAX_HEADER + 1)), too_large, "{size}");
        assert_eq!(streamed(&"x".repeat(2 * MAX_HEADER)), too_large, "{size}");
    }
}

#[test]
fn a_signature_lists_no_thousand_fields() {
    let signer = signer(SignOptions::default(), &BOTH);
    let many = |count: usize| format!("From: a@example.org\r\n{}\r\n", "To: b@example.net\r\n".repeat(count - 1));
    assert!(MailAuth::new().finds_good(&signed(&signer, &many(MAX_SIGNED)), 2));
    let refused = fields(&signer, many(MAX_SIGNED + 1).as_bytes());
    assert_eq!(refused, Err(SignError::Header(HeaderError::TooManyFields)));
}

fn domain_signed_for(signer: &Signer, domain: &str) -> Option<String> {
    let mut signing = signer.begin(domain, recently())?;
    signing.write(LUNCH.as_bytes());
    let field = String::from_utf8(signing.finish(b"").unwrap()).unwrap();
    Some(field.split_once("; d=").unwrap().1.split_once(';').unwrap().0.to_owned())
}

#[test]
fn a_domain_signs_with_its_own_key_or_its_parents() {
    for (subdomains, below) in [(Subdomains::Unsigned, None), (Subdomains::ByParent, Some("example.org".to_owned()))] {
        let mut signer = signer(SignOptions { subdomains, ..SignOptions::default() }, &[KeyKind::Ed25519]);
        signer.add(identity("b.example.org", KeyKind::Ed25519)).unwrap();
        assert_eq!(domain_signed_for(&signer, "example.org").unwrap(), "example.org");
        assert_eq!(domain_signed_for(&signer, "EXAMPLE.org").unwrap(), "example.org");
        assert_eq!(domain_signed_for(&signer, "b.example.org").unwrap(), "b.example.org");
        assert_eq!(domain_signed_for(&signer, "a.example.org"), below);
        assert_eq!(domain_signed_for(&signer, "a.a.example.org"), below);
        assert_eq!(domain_signed_for(&signer, "a.b.example.org"), below.map(|_| "b.example.org".to_owned()));
        for other in
            ["org", "example.com", "xexample.org", "example.org.example.com", "", ".", "..example.org", "[192.0.2.1]"]
        {
            assert_eq!(domain_signed_for(&signer, other), None, "{other}");
        }
    }
}

#[test]
fn a_domain_in_unicode_signs_as_its_a_labels() {
    let mut signer = Signer::new(SignOptions::default());
    signer.add(identity("B\u{fc}cher.example", KeyKind::Rsa)).unwrap();
    for domain in ["b\u{fc}cher.example", "xn--bcher-kva.example", "BU\u{308}CHER.example"] {
        assert_eq!(domain_signed_for(&signer, domain).unwrap(), "xn--bcher-kva.example");
    }
    let message = "From: j\u{fc}rgen@b\u{fc}cher.example\r\nSubject: Gr\u{fc}\u{df}e\r\n\r\n\u{1f984}\r\n";
    let mut signing = signer.begin("b\u{fc}cher.example", recently()).unwrap();
    signing.write(message.as_bytes());
    let fields = String::from_utf8(signing.finish(b"").unwrap()).unwrap();
    assert!(fields.is_ascii());
    assert!(MailAuth::new().finds_good(&(fields + message), 1));
}

#[test]
fn a_selector_stands_for_one_key() {
    let mut signer = signer(SignOptions::default(), &BOTH);
    assert_eq!(signer.add(identity(DOMAIN, KeyKind::Rsa)), Err(SelectorTaken));
    let other = |domain: &str, selector: &str| Identity::new(domain, selector, key(KeyKind::Rsa)).map(drop);
    assert_eq!(other("example.org", "2026.a"), Ok(()));
    // DNS does not tell capitals from others, but who compares records may.
    assert_eq!(Identity::new("example.org", "R", key(KeyKind::Rsa)).unwrap().selector(), "r");
    for selector in [
        "",
        ".",
        "a.",
        "a b",
        "a;b",
        "gr\u{fc}n",
        &"s".repeat(64),
        &["s".repeat(60), "t".repeat(60), "u".repeat(60), "v".repeat(60)].join("."),
    ] {
        assert_eq!(other("example.org", selector), Err(IdentityError::Selector), "{selector}");
    }
    for domain in ["", ".", "example..org", "a b.example", "a;d=b.example", "192.0.2.1:25", &"d.".repeat(130)] {
        assert_eq!(other(domain, "s"), Err(IdentityError::Domain), "{domain}");
    }
}

#[test]
fn a_task_can_take_its_signing_along() {
    fn goes<T: Send + 'static>() {}
    fn is_shared<T: Send + Sync>() {}
    goes::<services::sign::Signing>();
    goes::<services::sign::Sealing>();
    is_shared::<Signer>();
    is_shared::<services::sign::Sealer>();
}

#[test]
fn what_is_logged_tells_nothing_of_keys_and_messages() {
    let signer = signer(SignOptions::default(), &BOTH);
    let mut signing = signer.begin(DOMAIN, recently()).unwrap();
    signing.write(LUNCH.as_bytes());
    for shown in [format!("{signer:?}"), format!("{signing:?}")] {
        assert!(shown.contains("example.org") && shown.len() < 500, "{shown}");
        assert!(!shown.contains("lunch") && !shown.contains("Alice"), "{shown}");
    }
}

#[test]
fn keys_are_made_and_read_again() {
    for kind in BOTH {
        let read = Key::from_pem(pem(kind).as_bytes()).unwrap();
        assert_eq!((read.kind(), read.record()), (kind, key(kind).record()));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        assert!(matches!(Key::read(&file), Err(KeyError::Read(_))));
        std::fs::write(&file, pem(kind)).unwrap();
        assert_eq!(Key::read(&file).unwrap().record(), read.record());
        assert!(!format!("{read:?}").contains("PRIVATE") && format!("{read:?}").len() < 60);
    }
    let (other, _) = Key::generate(KeyKind::Ed25519).unwrap();
    assert_ne!(other.record(), key(KeyKind::Ed25519).record());
}

#[test]
fn what_is_no_key_says_why() {
    let rsa = pem(KeyKind::Rsa);
    let damaged = rsa.replacen("MII", "MIJ", 1);
    for (pem, expected) in [
        ("", "it holds no private key in PEM form"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "it holds no private key in PEM form"),
        (rsa.split_at(rsa.len() / 2).0, "it holds no private key in PEM form"),
        (&damaged, "its key is neither RSA of 2048 to 8192 bits nor Ed25519"),
        // The smallest that begins as one on the curve P-256 does.
        (
            "-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----\n",
            "its key is neither RSA of 2048 to 8192 bits nor Ed25519",
        ),
    ] {
        assert_eq!(Key::from_pem(pem.as_bytes()).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_record_goes_into_a_zone_in_strings_that_fit() {
    for kind in BOTH {
        let identity = identity(DOMAIN, kind);
        let line = identity.zone_line();
        let strings = line.strip_prefix(&format!("{}. IN TXT ", identity.record_name())).unwrap();
        let strings: Vec<&str> = strings.trim_matches('"').split("\" \"").collect();
        assert!(strings.iter().all(|string| (1..=255).contains(&string.len())));
        assert_eq!(strings.concat(), identity.key().record());
        assert_eq!(strings.len(), if kind == KeyKind::Rsa { 2 } else { 1 });
    }
}
