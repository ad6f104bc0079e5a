//! ENVELOPE and BODYSTRUCTURE of a message, made ready for the wire.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use imap_proto::{Address, BodyStructure, Detail, Envelope, Extension, Parameters, PartKind, Text};

use super::address;
use super::header::{self, Media, Valued, field, fields, unfolded};
use super::mime::{Holds, Part, Tree};

/// Renders the envelope of the message that has this header.
pub(super) fn envelope(header: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    envelope_of(header).write(&mut out);
    out.freeze()
}

/// Renders a message's structure.
pub(super) fn structure(tree: &Tree, detail: Detail) -> Bytes {
    let mut out = BytesMut::new();
    if let Some(message) = tree.part(0) {
        structure_of(tree, message).write(detail, &mut out);
    }
    out.freeze()
}

fn envelope_of(header: &[u8]) -> Envelope<'static> {
    let mut envelope = Envelope::default();
    let (mut from, mut sender, mut reply_to, mut to, mut cc, mut bcc) = (None, None, None, None, None, None);
    for field in fields(header) {
        // Of a field that is there twice the first counts (RFC 5322 §3.6 allows one).
        let name = field.name.to_ascii_lowercase();
        match &*name {
            b"date" => first(&mut envelope.date, || owned(unfolded(field.value))),
            b"subject" => first(&mut envelope.subject, || owned(unfolded(field.value))),
            b"in-reply-to" => first(&mut envelope.in_reply_to, || owned(unfolded(field.value))),
            b"message-id" => first(&mut envelope.message_id, || owned(unfolded(field.value))),
            b"from" => first(&mut from, || field.value),
            b"sender" => first(&mut sender, || field.value),
            b"reply-to" => first(&mut reply_to, || field.value),
            b"to" => first(&mut to, || field.value),
            b"cc" => first(&mut cc, || field.value),
            b"bcc" => first(&mut bcc, || field.value),
            _ => {}
        }
    }
    let addresses = |value: Option<&[u8]>| value.map(addresses).unwrap_or_default();
    envelope.from = addresses(from);
    // RFC 3501 §7.4.2: who sent it, and where answers go, is never unknown.
    let or_from = |list: Vec<Address<'static>>| if list.is_empty() { envelope.from.clone() } else { list };
    envelope.sender = or_from(addresses(sender));
    envelope.reply_to = or_from(addresses(reply_to));
    envelope.to = addresses(to);
    envelope.cc = addresses(cc);
    envelope.bcc = addresses(bcc);
    envelope
}

fn first<T>(slot: &mut Option<T>, value: impl FnOnce() -> T) {
    if slot.is_none() {
        *slot = Some(value());
    }
}

fn addresses(value: &[u8]) -> Vec<Address<'static>> {
    let told = |address: address::Address| Address {
        name: address.name.map(owned),
        mailbox: address.mailbox.map(owned),
        host: address.host.map(owned),
    };
    address::parse(value).into_iter().map(told).collect()
}

const fn owned(octets: Vec<u8>) -> Text<'static> {
    Cow::Owned(octets)
}

/// Goes as deep as the tree, which [`super::mime::DEPTH_MAX`] bounds: a part comes before those that it holds.
fn structure_of(tree: &Tree, part: &Part) -> BodyStructure<'static> {
    let media = Media::of(&part.fields, part.unstated);
    match &part.holds {
        Holds::Parts(parts) => BodyStructure::Multipart {
            parts: parts.iter().filter_map(|index| tree.part(*index)).map(|part| structure_of(tree, part)).collect(),
            subtype: owned(media.subtype),
            parameters: parameters(media.parameters),
            extension: extension(&part.fields),
        },
        Holds::Message(index) => {
            let Some(inner) = tree.part(*index) else { return leaf(part, opaque(), PartKind::Basic) };
            let kind = PartKind::Message {
                envelope: Box::new(envelope_of(&inner.fields)),
                structure: Box::new(structure_of(tree, inner)),
                lines: part.lines,
            };
            leaf(part, media, kind)
        }
        Holds::Leaf if media.is("text", None) => leaf(part, media, PartKind::Text { lines: part.lines }),
        // One that holds others by its type, but not here: its boundary is missing, or it lies beyond a limit.
        Holds::Leaf if media.is("multipart", None) || media.is("message", Some("rfc822")) => {
            leaf(part, opaque(), PartKind::Basic)
        }
        Holds::Leaf => leaf(part, media, PartKind::Basic),
    }
}

fn leaf(part: &Part, media: Media, kind: PartKind<'static>) -> BodyStructure<'static> {
    let value = |name| field(&part.fields, name).map(|value| owned(unfolded(value)));
    let encoding = field(&part.fields, "Content-Transfer-Encoding").map(header::word).unwrap_or_default();
    BodyStructure::Part(imap_proto::Part {
        media_type: owned(media.kind),
        subtype: owned(media.subtype),
        parameters: parameters(media.parameters),
        id: value("Content-ID"),
        description: value("Content-Description"),
        encoding: owned(encoding),
        octets: part.body.end.saturating_sub(part.body.start),
        kind,
        md5: value("Content-MD5"),
        extension: extension(&part.fields),
    })
}

fn opaque() -> Media {
    Media { kind: b"APPLICATION".to_vec(), subtype: b"OCTET-STREAM".to_vec(), parameters: Vec::new() }
}

fn parameters(parameters: Vec<header::Parameter>) -> Parameters<'static> {
    parameters.into_iter().map(|(name, value)| (owned(name), owned(value))).collect()
}

fn extension(header: &[u8]) -> Extension<'static> {
    let disposition = field(header, "Content-Disposition").map(Valued::parse).filter(|valued| !valued.value.is_empty());
    Extension {
        disposition: disposition.map(|valued| (owned(valued.value), parameters(valued.parameters))),
        language: field(header, "Content-Language")
            .map(header::languages)
            .unwrap_or_default()
            .into_iter()
            .map(owned)
            .collect(),
        location: field(header, "Content-Location").map(|value| owned(unfolded(value))),
    }
}
