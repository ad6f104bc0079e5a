//! The ARC sets that a message carries already (RFC 8617 §4.2).

use super::header::{Field, fields};
use super::tags::tags;

/// The sets that a message can carry (RFC 8617 §4.2.1).
pub const MAX_SETS: u8 = 50;

/// What a header says about the ways that the message came, as far as it can be told without DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Chain<'a> {
    /// Nothing.
    Absent,
    /// Sets without gaps and contradictions, the first one first (RFC 8617 §5.2, step 3).
    Whole(Vec<Set<'a>>),
    /// The newest seal says `cv=fail`: nothing can be added any more.
    Failed,
    /// Anything else.
    Broken {
        /// The highest number that a field of it has.
        highest: u8,
    },
}

/// One hop's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Set<'a> {
    pub(super) results: Field<'a>,
    pub(super) signature: Field<'a>,
    pub(super) seal: Field<'a>,
}

pub(super) const RESULTS: &str = "ARC-Authentication-Results";
pub(super) const SIGNATURE: &str = "ARC-Message-Signature";
pub(super) const SEAL: &str = "ARC-Seal";

/// Reads the chain from a header.
pub(super) fn chain(header: &[u8]) -> Chain<'_> {
    let of = |name: &str| numbered(header, name);
    let (results, signatures, seals) = (of(RESULTS), of(SIGNATURE), of(SEAL));
    let highest = [&results, &signatures, &seals].into_iter().filter_map(|found| Some(found.last()?.0)).max();
    let Some(highest) = highest else { return Chain::Absent };
    let newest = seals.last().map_or(0, |(number, _)| *number);
    if seals.iter().any(|(number, seal)| *number == newest && status(seal) == Some(b"fail")) {
        return Chain::Failed;
    }
    whole(&results, &signatures, &seals).map_or(Chain::Broken { highest }, Chain::Whole)
}

/// The fields of that name with their numbers, the lowest one first; without a number that can be, 0.
fn numbered<'a>(header: &'a [u8], name: &str) -> Vec<(u8, Field<'a>)> {
    let mut found: Vec<_> =
        fields(header).filter(|field| field.is(name)).map(|field| (number(&field).unwrap_or(0), field)).collect();
    found.sort_by_key(|(number, _)| *number);
    found
}

fn whole<'a>(
    results: &[(u8, Field<'a>)],
    signatures: &[(u8, Field<'a>)],
    seals: &[(u8, Field<'a>)],
) -> Option<Vec<Set<'a>>> {
    if results.len() != signatures.len() || signatures.len() != seals.len() {
        return None;
    }
    let triples =
        results.iter().zip(signatures).zip(seals).map(|((results, signature), seal)| (results, signature, seal));
    (1..=MAX_SETS.saturating_add(1)).zip(triples).map(|(i, triple)| set(i, triple)).collect()
}

type Numbered<'a> = (u8, Field<'a>);

fn set<'a>(i: u8, (results, signature, seal): (&Numbered<'a>, &Numbered<'a>, &Numbered<'a>)) -> Option<Set<'a>> {
    let expected: &[u8] = if i == 1 { b"none" } else { b"pass" };
    let sound = [results, signature, seal].iter().all(|(number, _)| *number == i)
        && status(&seal.1) == Some(expected)
        // RFC 8617 §4.1.3: a seal lists no fields; what it covers is fixed.
        && !tags(seal.1.value()).any(|(name, _)| name == b"h");
    sound.then_some(Set { results: results.1, signature: signature.1, seal: seal.1 })
}

/// The value of the tag `cv`.
fn status<'a>(seal: &Field<'a>) -> Option<&'a [u8]> {
    one(seal, b"cv")
}

fn number(field: &Field<'_>) -> Option<u8> {
    let number = one(field, b"i")?;
    if number.len() > 2 || !number.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(number).ok()?.parse().ok()?;
    (1..=MAX_SETS).contains(&number).then_some(number)
}

/// The value of a tag that a field has once. In the results only the first tag is one: behind it stands a grammar of its
/// own (RFC 8617 §4.1.1).
fn one<'a>(field: &Field<'a>, name: &[u8]) -> Option<&'a [u8]> {
    let looked_at = if field.is(RESULTS) { 1 } else { usize::MAX };
    let mut values = tags_of(field, looked_at).filter(|(other, _)| *other == name).map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

fn tags_of<'a>(field: &Field<'a>, at_most: usize) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    tags(field.value()).take(at_most)
}
