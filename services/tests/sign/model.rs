//! Canonicalization written down a second time: slow, and word by word from RFC 6376 §3.4.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use proptest::prelude::*;
use services::sign::{Form, KeyKind};

use crate::keys::{DOMAIN, fields, forms, key, recently, signed, signer};
use crate::mailauth::MailAuth;
use crate::messages;

/// What stands between the line ends, the last one's rest included.
fn lines(text: &str) -> Vec<&str> {
    text.split("\r\n").collect()
}

fn squeezed(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if !matches!(c, ' ' | '\t') {
            out.push(c);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out
}

fn body(form: Form, text: &str) -> String {
    let mut lines: Vec<String> = match form {
        Form::Simple => lines(text).into_iter().map(str::to_owned).collect(),
        Form::Relaxed => lines(text).into_iter().map(|line| squeezed(line).trim_end_matches(' ').to_owned()).collect(),
    };
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    match (lines.is_empty(), form) {
        (true, Form::Relaxed) => String::new(),
        (true, Form::Simple) => "\r\n".to_owned(),
        (false, _) => lines.join("\r\n") + "\r\n",
    }
}

/// Fields as they stand, each with its continuations.
pub(crate) fn split_fields(header: &str) -> Vec<String> {
    let mut fields: Vec<String> = Vec::new();
    for line in header.split_inclusive("\r\n") {
        match fields.last_mut() {
            Some(field) if line.starts_with([' ', '\t']) => field.push_str(line),
            _ => fields.push(line.to_owned()),
        }
    }
    fields
}

pub(crate) fn canonical_field(form: Form, field: &str) -> String {
    match form {
        Form::Simple => field.to_owned(),
        Form::Relaxed => {
            let (name, value) = field.split_once(':').unwrap();
            let value = squeezed(&value.replace("\r\n", ""));
            format!("{}:{}\r\n", name.trim_end_matches([' ', '\t']).to_lowercase(), value.trim_matches(' '))
        }
    }
}

fn tag<'a>(field: &'a str, name: &str) -> &'a str {
    let value = field.split_once(':').unwrap().1;
    let tags = value.split(';').map(|tag| tag.split_once('=').unwrap());
    tags.into_iter().find(|(other, _)| other.trim() == name).unwrap().1.trim()
}

/// Whether a signature by the Ed25519 key is one of this message.
fn verifies(header_form: Form, body_form: Form, field: &str, message: &str) -> bool {
    let (header, body_text) = messages::split(message);
    let unfolded: String = field.replace("\r\n\t", "");
    let hash = digest(&SHA256, body(body_form, body_text).as_bytes());
    let mut fields = split_fields(header);
    let mut text = String::new();
    for name in tag(&unfolded, "h").split(':') {
        let named = |field: &String| field.split_once(':').unwrap().0.trim_end().eq_ignore_ascii_case(name.trim());
        if let Some(at) = fields.iter().rposition(named) {
            text.push_str(&canonical_field(header_form, &fields.remove(at)));
        }
    }
    let (before, signature) = field.rsplit_once("b=").unwrap();
    text.push_str(canonical_field(header_form, &format!("{before}b=\r\n")).trim_end_matches("\r\n"));
    let public = key(KeyKind::Ed25519).record();
    let public = BASE64_STANDARD.decode(public.rsplit_once("p=").unwrap().1).unwrap();
    let signature = BASE64_STANDARD.decode(signature.replace(['\r', '\n', '\t'], "")).unwrap();
    BASE64_STANDARD.encode(hash) == tag(&unfolded, "bh")
        && UnparsedPublicKey::new(&ED25519, public)
            .verify(digest(&SHA256, text.as_bytes()).as_ref(), &signature)
            .is_ok()
}

const FORMS: [Form; 2] = [Form::Relaxed, Form::Simple];

#[test]
fn the_model_agrees_on_all_messages() {
    for (header, body) in FORMS.into_iter().flat_map(|header| FORMS.map(|body| (header, body))) {
        let signer = signer(forms(header, body), &[KeyKind::Ed25519]);
        for (name, message) in messages::all() {
            let field = fields(&signer, message.as_bytes()).unwrap();
            assert!(verifies(header, body, &field, &message), "{header:?}/{body:?}: {name}\n{field}");
        }
    }
}

#[test]
fn the_model_agrees_on_long_lines_and_long_pieces() {
    // Words as long as what is hashed at once, and longer; and more in one piece than the longest header.
    let words = [1, 2047, 2048, 2049, 3, 4095, 4096, 4097, 5, 70_000].map(|length| "x".repeat(length));
    let text = words.join(" ") + "\r\n" + &words.join("\r\n") + &"a b\r\n\r\n".repeat(40_000);
    let message = format!("From: alice@example.org\r\nSubject: long\r\n\r\n{text}");
    for (header, body) in FORMS.into_iter().flat_map(|header| FORMS.map(|body| (header, body))) {
        let field = fields(&signer(forms(header, body), &[KeyKind::Ed25519]), message.as_bytes()).unwrap();
        assert!(verifies(header, body, &field, &message), "{header:?}/{body:?}");
    }
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![Just(Form::Relaxed), Just(Form::Simple)]
}

/// Bodies of what canonicalization looks at: line ends whole and broken, blanks, and a little else.
fn any_body() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => Just("\r\n"), 2 => Just(" "), 1 => Just("\t"), 1 => Just("\r"), 1 => Just("\n"), 2 => Just("a"), 1 => Just("b\u{fc}"), 1 => Just(".")
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Headers of one `From` and some other fields, folded in every way.
fn any_header() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(" "),
        Just("\t"),
        Just("\r\n "),
        Just("\r\n\t"),
        Just("a"),
        Just("B"),
        Just(":"),
        Just("\u{e9}")
    ];
    let value = proptest::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat());
    let name = prop_oneof![
        Just("Subject"),
        Just("SUBJECT"),
        Just("to"),
        Just("Cc"),
        Just("X-Other"),
        Just("Resent-From"),
        Just("X-Old\t")
    ];
    let field = (name, value.clone()).prop_map(|(name, value)| format!("{name}:{value}\r\n"));
    let several = || proptest::collection::vec(field.clone(), 0..5);
    (several(), value, several()).prop_map(|(before, value, after)| {
        format!("{}From: a@example.org{value}\r\n{}", before.concat(), after.concat())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_model_agrees(header in form(), body in form(), head in any_header(), text in any_body()) {
        let message = format!("{head}\r\n{text}");
        let field = fields(&signer(forms(header, body), &[KeyKind::Ed25519]), message.as_bytes()).unwrap();
        prop_assert!(verifies(header, body, &field, &message), "{field}");
    }

    #[test]
    fn any_split_gives_what_the_whole_gives(
        header in form(), body in form(), head in any_header(), text in any_body(), sizes in proptest::collection::vec(1usize..9, 1..20),
    ) {
        let message = format!("{head}\r\n{text}");
        let signer = signer(forms(header, body), &[KeyKind::Ed25519]);
        let made = recently();
        let mut whole = signer.begin(DOMAIN, made).unwrap();
        whole.write(message.as_bytes());
        let mut split = signer.begin(DOMAIN, made).unwrap();
        let mut rest = message.as_bytes();
        for size in sizes.iter().cycle() {
            let (now, later) = rest.split_at((*size).min(rest.len()));
            split.write(now);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(whole.finish(b""), split.finish(b""));
    }

    #[test]
    fn mail_auth_agrees(header in form(), body in form(), head in any_header(), text in any_body()) {
        // A lone CR or LF is read in as many ways as there are programs: it does not survive any transport. For the rest see
        // `reads_otherwise`.
        let text = text.replace("\r\n", "\0").replace(['\r', '\n'], "x").replace('\0', "\r\n");
        let message = format!("{head}\r\n{text}.\r\n");
        let message = signed(&signer(forms(header, body), &[KeyKind::Ed25519]), &message);
        let verdict = MAIL_AUTH.with(|mail_auth| mail_auth.dkim(&message));
        prop_assert_eq!(verdict, [mail_auth::DkimResult::Pass], "{}", message);
    }
}

thread_local! {
    static MAIL_AUTH: MailAuth = MailAuth::new();
}
