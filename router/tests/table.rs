//! The bytes of a table: what was written is read, and no bytes whatever do harm.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use proptest::prelude::*;
use router::{
    BuildError, Change, Domain, Home, MAX_NAME, Others, Reason, Route, Routes, Snapshot, TableBuilder, TableError,
    resolve,
};

/// A table with every kind of record.
fn table() -> TableBuilder {
    let mut table = TableBuilder::new(5, [1; 16]);
    let moving = Home::at("one").freeze("two").unwrap();
    table.slots([2; 16], [Home::at("one"), moving.clone(), Home::at("three")]).unwrap();
    for change in [
        Change::mailbox("rest@nobody.test", Home::at("one")),
        Change::mailbox("move@nobody.test", moving),
        Change::alias("alias@nobody.test", ["rest@nobody.test", "Away@foreign.test"]),
        Change::domain("nobody.test", Domain::Local(Others::Nobody)),
        Change::domain("catch.test", Domain::Local(Others::CatchAll("alias@nobody.test".into()))),
        Change::domain("home.test", Domain::Local(Others::Home(Home::at("four")))),
        Change::domain("slots.test", Domain::Local(Others::Slots)),
        Change::domain("shared.test", Domain::Local(Others::Relay("peer".into()))),
        Change::domain("relay.test", Domain::Relay("inner".into())),
        Change::domain("alias.test", Domain::Alias("slots.test".into())),
    ] {
        table.apply(change).unwrap();
    }
    table
}

const ASKED: [&str; 12] = [
    "rest+x@nobody.test",
    "move@nobody.test",
    "alias@nobody.test",
    "none@nobody.test",
    "any@catch.test",
    "any@home.test",
    "any@slots.test",
    "other@slots.test",
    "any@shared.test",
    "any@relay.test",
    "any@alias.test",
    "any@foreign.test",
];

/// The checksum as `docs/format.md` describes it, for forging tables.
fn sign(table: &mut [u8]) {
    use std::hash::Hasher;
    let (front, rest) = table.split_at_mut(16);
    let (sum, rest) = rest.split_at_mut(8);
    let mut hash = siphasher::sip::SipHasher13::new();
    hash.write(front);
    hash.write(rest);
    sum.copy_from_slice(&hash.finish().to_le_bytes());
}

#[test]
fn the_same_content_is_the_same_bytes() {
    let mut table = table();
    table.separator(Some(b'-'));
    let written = table.finish().unwrap();
    assert_eq!(table.finish().as_ref(), Ok(&written));
    let routes = Routes::new(Snapshot::open(written.clone()).unwrap());
    assert_eq!(TableBuilder::from_routes(&routes, [1; 16]).unwrap().finish(), Ok(written));
}

#[test]
fn the_key_of_the_fingerprints_changes_no_answer() {
    let routes = Routes::new(Snapshot::open(table().finish().unwrap()).unwrap());
    let other = TableBuilder::from_routes(&routes, [9; 16]).unwrap().finish().unwrap();
    let other = Routes::new(Snapshot::open(other).unwrap());
    for address in ASKED {
        assert_eq!(resolve(&routes, address), resolve(&other, address));
    }
}

/// The format is a promise to tables that are on disk already.
#[test]
fn the_header_stands_as_described() {
    let written = table().finish().unwrap();
    assert_eq!(&written[..16], b"PHROUTES\x01\0\0\0+\0\0\0");
    assert_eq!(&written[24..32], &5_u64.to_le_bytes());
    assert_eq!(&written[32..48], &[1; 16]);
    assert_eq!(&written[48..64], &[2; 16]);
    assert_eq!(&written[64..72], &10_u64.to_le_bytes());
    assert_eq!(&written[72..80], &3_u64.to_le_bytes());
    assert_eq!(&written[80..88], &4_u64.to_le_bytes());
    let mut signed = written.clone();
    sign(&mut signed);
    assert_eq!(signed, written);
}

#[test]
fn bytes_are_borrowed_or_owned() {
    let written = table().finish().unwrap();
    assert_eq!(Snapshot::open(written.as_slice()).unwrap().names(), 10);
    assert_eq!(Snapshot::open(std::sync::Arc::<[u8]>::from(written)).unwrap().slots(), 3);
}

#[test]
fn a_table_without_anything_opens() {
    let empty = TableBuilder::new(0, [0; 16]).finish().unwrap();
    assert_eq!(empty.len(), 96);
    let routes = Routes::new(Snapshot::open(empty).unwrap());
    assert_eq!(resolve(&routes, "a@x.test").reason, Reason::ForeignDomain);
}

#[test]
fn a_table_cut_at_any_length_does_not_open() {
    let written = table().finish().unwrap();
    for length in 0..written.len() {
        assert!(Snapshot::open(&written[..length]).is_err(), "{length}");
        if length >= 24 {
            let mut forged = written[..length].to_vec();
            sign(&mut forged);
            assert_eq!(Snapshot::open(forged).unwrap_err(), TableError::Damaged, "{length}");
        }
    }
    let mut longer = written;
    longer.push(0);
    sign(&mut longer);
    assert_eq!(Snapshot::open(longer).unwrap_err(), TableError::Damaged);
}

#[test]
fn any_changed_bit_is_noticed() {
    let written = table().finish().unwrap();
    for byte in 0..written.len() {
        let mut changed = written.clone();
        changed[byte] ^= 1 << (byte % 8);
        assert!(Snapshot::open(changed).is_err(), "{byte}");
    }
}

#[test]
fn other_bytes_and_other_formats_are_told_apart() {
    assert_eq!(Snapshot::open(b"From alice".as_slice()).unwrap_err(), TableError::NotATable);
    let mut newer = table().finish().unwrap();
    newer[8] = 2;
    assert_eq!(Snapshot::open(newer).unwrap_err(), TableError::Format(2));
}

/// Each byte of a table set to each of a few values, under a good checksum: answers may be wrong, never a panic, and a
/// name is never answered with the record of another.
#[test]
fn a_forged_byte_does_no_harm() {
    let written = table().finish().unwrap();
    for byte in 24..written.len() {
        for value in [0, 1, 0x7f, 0xff, written[byte].wrapping_add(1), written[byte].wrapping_sub(1)] {
            let mut forged = written.clone();
            forged[byte] = value;
            sign(&mut forged);
            let Ok(snapshot) = Snapshot::open(forged) else { continue };
            let routes = Routes::new(snapshot);
            for address in ASKED {
                let _ = resolve(&routes, address).explain();
            }
            if let Ok(builder) = TableBuilder::from_routes(&routes, [3; 16]) {
                let _ = builder.finish();
            }
        }
    }
}

/// A damaged record is a reason to wait, not to refuse mail for good.
#[test]
fn a_damaged_record_is_broken_not_unknown() {
    let mut forged = table().finish().unwrap();
    let name = b"rest@nobody.test";
    // The last one is the record; another is an alias's target.
    let kind = forged.windows(name.len()).rposition(|window| window == name).unwrap() + name.len();
    forged[kind] = 0xee;
    sign(&mut forged);
    let found = resolve(&Routes::new(Snapshot::open(forged).unwrap()), "rest@nobody.test");
    assert_eq!((found.route, found.reason), (Route::Broken, Reason::Damaged));
}

/// A forged table may give many names one fingerprint; a lookup looks at a few and no more.
#[test]
fn a_forged_run_of_equal_fingerprints_is_not_searched_to_its_end() {
    let mut table = TableBuilder::new(0, [1; 16]);
    for user in 0..100 {
        table.apply(Change::mailbox(format!("{user}@x.test"), Home::at("one"))).unwrap();
    }
    let mut forged = table.finish().unwrap();
    let last: [u8; 8] = forged[96 + 16 * 99..][..8].try_into().unwrap();
    for name in 0..100 {
        forged[96 + 16 * name..][..8].copy_from_slice(&last);
    }
    sign(&mut forged);
    let routes = Routes::new(Snapshot::open(forged).unwrap());
    let reasons: Vec<_> = (0..100).map(|user| resolve(&routes, &format!("{user}@x.test")).reason).collect();
    assert_eq!(reasons.iter().filter(|&&reason| reason == Reason::Damaged).count(), 1, "{reasons:?}");
    assert!(!reasons.contains(&Reason::Mailbox), "the one whose fingerprint it is stands at the end of the run");
}

/// Bytes that change under their reader, as a file does that is written in place.
struct Shifting(std::cell::Cell<u32>, Vec<u8>);

impl AsRef<[u8]> for Shifting {
    fn as_ref(&self) -> &[u8] {
        self.0.set(self.0.get() + 1);
        // The first look is open's.
        if self.0.get() == 1 { &self.1 } else { self.1.split_at(self.1.len() / 3).0 }
    }
}

#[test]
fn a_table_that_shrinks_while_it_is_read_is_broken() {
    let bytes = Shifting(std::cell::Cell::new(0), table().finish().unwrap());
    let routes = Routes::new(Snapshot::open(bytes).unwrap());
    for address in ASKED {
        let _ = resolve(&routes, address);
    }
    assert_eq!(resolve(&routes, "rest@nobody.test").route, Route::Broken);
}

#[test]
fn a_table_that_contradicts_itself_is_not_written() {
    let mut table = TableBuilder::new(0, [0; 16]);
    table.apply(Change::domain("x.test", Domain::Local(Others::Slots))).unwrap();
    assert_eq!(table.finish(), Err(BuildError::NoSlots));
    table.slots([0; 16], [Home::at("one")]).unwrap();
    assert!(table.finish().is_ok());
    for separator in [b'@', b'"', b'a', b' ', 0, 0xff] {
        table.separator(Some(separator));
        assert_eq!(table.finish(), Err(BuildError::Separator), "{separator}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_do_no_harm(header in prop::collection::vec(any::<u8>(), 0..96), rest in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Snapshot::open(header);
        let mut forged = b"PHROUTES\x01\0\0\0+\0\0\0".to_vec();
        forged.extend([0; 48]);
        let heap = rest.len() as u64 - (rest.len() as u64).min(16 * 3 + 16 + 8);
        for count in [3, 1, 1, heap] {
            forged.extend(u64::to_le_bytes(count));
        }
        forged.extend(&rest);
        sign(&mut forged);
        if let Ok(snapshot) = Snapshot::open(forged) {
            let routes = Routes::new(snapshot);
            for address in ASKED {
                let _ = resolve(&routes, address);
            }
        }
    }

    /// Every name that was written is found, with its own home; no other name is.
    #[test]
    fn names_are_found_and_others_are_not(
        users in prop::collection::btree_set("[a-d]{1,4}", 0..60),
        others in prop::collection::btree_set("[a-d]{1,4}", 0..60),
        key in any::<[u8; 16]>(),
    ) {
        let mut table = TableBuilder::new(0, key);
        for user in &users {
            table.apply(Change::mailbox(format!("{user}@x.test"), Home::at(format!("place-{user}")))).unwrap();
        }
        let routes = Routes::new(Snapshot::open(table.finish().unwrap()).unwrap());
        prop_assert_eq!(routes.snapshot().names(), users.len() as u64);
        for user in users.union(&others) {
            let mailbox = format!("{user}@x.test");
            let expected = if users.contains(user) {
                Route::Mailbox { mailbox: mailbox.clone(), place: format!("place-{user}"), epoch: 0 }
            } else {
                Route::Foreign { address: mailbox.clone() }
            };
            prop_assert_eq!(resolve(&routes, &mailbox).route, expected);
        }
    }

    /// Resolving a canonical mailbox again is the same: all protocols may pass it on to one another.
    #[test]
    fn resolving_is_idempotent(address in "[a-cA-C+\"]{1,5}@[a-cA-C]{1,2}\\.?") {
        let mut table = TableBuilder::new(0, [0; 16]);
        table.slots([0; 16], (0..8).map(|slot| Home::at(format!("s{slot}")))).unwrap();
        table.apply(Change::domain("a", Domain::Local(Others::Slots))).unwrap();
        table.apply(Change::domain("b", Domain::Alias("a".into()))).unwrap();
        let routes = Routes::new(Snapshot::open(table.finish().unwrap()).unwrap());
        let first = resolve(&routes, &address);
        if let Route::Mailbox { mailbox, .. } = &first.route {
            prop_assert_eq!(&resolve(&routes, mailbox).route, &first.route);
        }
    }

    #[test]
    fn any_text_is_resolved(address in any::<String>()) {
        let routes = Routes::new(Snapshot::open(table().finish().unwrap()).unwrap());
        let found = resolve(&routes, &address);
        prop_assert!(found.name.len() <= 4 * MAX_NAME);
        prop_assert!(found.route != Route::Broken);
    }
}
