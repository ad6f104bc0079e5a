//! Which fields a signature covers, and the octets that it is made of (RFC 6376 §3.7, §5.4).

use super::canonical::Form;
use super::header::{Field, HeaderError, fields};

/// The fields that one signature lists, besides those that it lists to keep them absent. Each takes some ten octets of the
/// signature's own field; real mail has a dozen.
pub const MAX_SIGNED: usize = 200;

/// What is signed of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cover {
    /// Every field of that name.
    Present,
    /// And that there is no further one: it would be shown to the reader, or decide about what is (RFC 6376 §8.15).
    AndNoOther,
}

/// RFC 6376 §5.4.1, with what decides how a body is read, and with what RFC 8058 §4 wants signed. Never `Received` and
/// `Return-Path`, which change on the way. Mailing lists add a `Sender` and `List-…` fields of their own.
const COVERED: &[(&str, Cover)] = &[
    ("from", Cover::AndNoOther),
    ("sender", Cover::Present),
    ("reply-to", Cover::AndNoOther),
    ("to", Cover::AndNoOther),
    ("cc", Cover::AndNoOther),
    ("subject", Cover::AndNoOther),
    ("date", Cover::AndNoOther),
    ("message-id", Cover::AndNoOther),
    ("in-reply-to", Cover::AndNoOther),
    ("references", Cover::AndNoOther),
    ("mime-version", Cover::AndNoOther),
    ("content-type", Cover::AndNoOther),
    ("content-transfer-encoding", Cover::AndNoOther),
    ("resent-date", Cover::Present),
    ("resent-from", Cover::Present),
    ("resent-sender", Cover::Present),
    ("resent-to", Cover::Present),
    ("resent-cc", Cover::Present),
    ("resent-message-id", Cover::Present),
    ("list-id", Cover::Present),
    ("list-help", Cover::Present),
    ("list-unsubscribe", Cover::Present),
    ("list-unsubscribe-post", Cover::Present),
    ("list-subscribe", Cover::Present),
    ("list-post", Cover::Present),
    ("list-owner", Cover::Present),
    ("list-archive", Cover::Present),
];

/// What a seal covers on top of it (RFC 8617 §4.1.2).
pub(super) const DKIM_SIGNATURE: &str = "dkim-signature";

/// The names for `h=`: as often as there are fields, and once more where no other may be added.
pub(super) fn names<'a>(header: &[u8], more: &[&'a str]) -> Result<Vec<&'a str>, HeaderError> {
    let covered = COVERED.iter().copied().chain(more.iter().map(|name| (*name, Cover::Present)));
    let mut counts: Vec<(&str, Cover, usize)> = covered.map(|(name, cover)| (name, cover, 0)).collect();
    let mut signed = 0usize;
    for field in fields(header) {
        if let Some((_, _, count)) = counts.iter_mut().find(|(name, ..)| field.is(name)) {
            // RFC 5322 §4.5 allowed blanks before the colon once. RFC 6376 §3.4.2 tells how to sign that, but no verifier that
            // we met reads it so.
            if field.whole.get(field.name.len()) != Some(&b':') {
                return Err(HeaderError::Malformed);
            }
            *count += 1;
            signed += 1;
            if signed > MAX_SIGNED {
                return Err(HeaderError::TooManyFields);
            }
        }
    }
    let mut names = Vec::with_capacity(signed.saturating_add(counts.len()));
    for (name, cover, count) in counts {
        let listed = match cover {
            Cover::Present => count,
            Cover::AndNoOther => count.saturating_add(1),
        };
        names.extend(std::iter::repeat_n(name, listed));
    }
    Ok(names)
}

/// The octets that are signed: the fields that `names` lists, and the signature's own field with nothing behind `b=`.
pub(super) fn text(form: Form, header: &[u8], names: &[&str], own: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut left: Vec<Field<'_>> = fields(header).filter(|field| names.iter().any(|name| field.is(name))).collect();
    for name in names {
        // Each name stands for the lowest field that is not taken yet; with none left, for nothing (RFC 6376 §5.4.2).
        let Some(at) = left.iter().rposition(|field| field.is(name)) else { continue };
        form.field(left.remove(at).whole, &mut text);
        text.extend_from_slice(b"\r\n");
    }
    form.field(own, &mut text);
    text
}
