//! The routing table under a law of its own: a forged table answers something and does no harm.

use core::hash::Hasher;

use router::{Change, Domain, Home, Others, Route, Routes, Snapshot, TableBuilder, resolve};
use siphasher::sip::SipHasher13;

use crate::{Broken, Draw, ensure};

const ADDRESSES: [&str; 8] = [
    "rest+x@nobody.test",
    "alias@nobody.test",
    "any@catch.test",
    "any@home.test",
    "any@slots.test",
    "any@alias.test",
    "any@relay.test",
    "any@foreign.test",
];

/// Changes a sound table at drawn places, signs it, and asks it; then asks it for an address made of what was drawn.
///
/// # Errors
/// If an answer has more targets than an alias may have, or an explanation is empty. It may also panic, which nobody
/// catches.
pub fn forged(data: &[u8]) -> Result<(), Broken> {
    let Some(mut table) = sound() else { return Err(Broken::new("does not write a sound table")) };
    let mut draw = Draw::new(data);
    for _ in 0..draw.octet() % 16 {
        let (at, octet) = (draw.below(table.len()), draw.octet());
        if let Some(place) = table.get_mut(at) {
            *place = octet;
        }
    }
    sign(&mut table);
    let Ok(snapshot) = Snapshot::open(table) else { return Ok(()) };
    let routes = Routes::new(snapshot);
    let typed = String::from_utf8_lossy(draw.rest());
    for address in ADDRESSES.into_iter().chain([&*typed]) {
        let found = resolve(&routes, address);
        ensure!(!found.explain().is_empty(), "explains nothing");
        if let Route::Forward(targets) = found.route {
            ensure!(targets.len() <= router::MAX_TARGETS, "forwards to {} targets", targets.len());
        }
    }
    if let Ok(builder) = TableBuilder::from_routes(&routes, [0; 16]) {
        let _ = builder.finish();
    }
    Ok(())
}

/// A table with every kind of record.
fn sound() -> Option<Vec<u8>> {
    let mut table = TableBuilder::new(1, [1; 16]);
    let moving = Home::at("one").freeze("two").ok()?;
    table.slots([2; 16], [Home::at("one"), moving.clone(), Home::at("three")]).ok()?;
    for change in [
        Change::mailbox("rest@nobody.test", Home::at("one")),
        Change::mailbox("move@nobody.test", moving),
        Change::alias("alias@nobody.test", ["rest@nobody.test", "list@nobody.test", "away@foreign.test"]),
        Change::alias("list@nobody.test", ["alias@nobody.test", "any@slots.test"]),
        Change::domain("nobody.test", Domain::Local(Others::Nobody)),
        Change::domain("catch.test", Domain::Local(Others::CatchAll("alias@nobody.test".into()))),
        Change::domain("home.test", Domain::Local(Others::Home(Home::at("four")))),
        Change::domain("slots.test", Domain::Local(Others::Slots)),
        Change::domain("shared.test", Domain::Local(Others::Relay("peer".into()))),
        Change::domain("relay.test", Domain::Relay("inner".into())),
        Change::domain("alias.test", Domain::Alias("slots.test".into())),
    ] {
        table.apply(change).ok()?;
    }
    table.finish().ok()
}

/// Puts the checksum right, as `docs/format.md` of the router says.
fn sign(table: &mut [u8]) {
    let Some((front, rest)) = table.split_at_mut_checked(16) else { return };
    let Some((sum, rest)) = rest.split_at_mut_checked(8) else { return };
    let mut hash = SipHasher13::new();
    hash.write(front);
    hash.write(rest);
    sum.copy_from_slice(&hash.finish().to_le_bytes());
}
