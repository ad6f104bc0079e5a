//! Changes over a table: the log's order, the fence, and the delta against a model.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use router::{
    ApplyError, Change, ChangeError, Domain, Home, Others, Reason, Route, Routes, Snapshot, TableBuilder, resolve,
};

fn open(table: &TableBuilder) -> Routes<Vec<u8>> {
    Routes::new(Snapshot::open(table.finish().unwrap()).unwrap())
}

fn routes() -> Routes<Vec<u8>> {
    let mut table = TableBuilder::new(10, [1; 16]);
    table.slots([2; 16], [Home::at("one"), Home::at("one")]).unwrap();
    table.apply(Change::domain("x.test", Domain::Local(Others::Nobody))).unwrap();
    table.apply(Change::mailbox("a@x.test", Home::at("one"))).unwrap();
    open(&table)
}

#[test]
fn a_change_lies_over_the_table() {
    let mut routes = routes();
    routes.apply(11, Change::mailbox("b@x.test", Home::at("two"))).unwrap();
    routes.apply(12, Change::forget("A@x.test.")).unwrap();
    assert_eq!(resolve(&routes, "b@x.test").reason, Reason::Mailbox);
    assert_eq!(resolve(&routes, "a@x.test").reason, Reason::Nobody);
    routes.apply(13, Change::forget("x.test")).unwrap();
    assert_eq!(resolve(&routes, "a@x.test").reason, Reason::ForeignDomain);
    assert_eq!((routes.delta().version(), routes.delta().len()), (13, 3));
}

#[test]
fn a_change_that_is_known_has_no_effect() {
    let mut routes = routes();
    routes.apply(11, Change::mailbox("b@x.test", Home::at("two"))).unwrap();
    for version in 0..=11 {
        routes.apply(version, Change::forget("b@x.test")).unwrap();
    }
    assert_eq!(resolve(&routes, "b@x.test").reason, Reason::Mailbox);
}

#[test]
fn a_missing_change_is_a_gap() {
    let mut routes = routes();
    let gap = routes.apply(12, Change::forget("a@x.test"));
    assert_eq!(gap, Err(ApplyError::Gap { known: 10, given: 12 }));
    assert_eq!(routes.delta().version(), 10);
    assert!(routes.delta().is_empty());
}

#[test]
fn a_refused_change_leaves_the_routes_as_they_were() {
    let mut routes = routes();
    assert_eq!(
        routes.apply(11, Change::Slot { index: 2, home: Home::at("two") }),
        Err(ApplyError::Change(ChangeError::NoSlot))
    );
    assert_eq!(routes.apply(11, Change::forget("@")), Err(ApplyError::Change(ChangeError::NotAnAddress)));
    assert_eq!(routes.apply(11, Change::mailbox("a@x.test", Home::at("two"))), Err(ApplyError::Epoch));
    assert_eq!(routes.delta().version(), 10);
    assert!(routes.delta().is_empty());
    let mut slotless = open(&TableBuilder::new(0, [0; 16]));
    assert_eq!(
        slotless.apply(1, Change::domain("y.test", Domain::Local(Others::Slots))),
        Err(ApplyError::Change(ChangeError::NoSlot))
    );
}

#[test]
fn a_slot_moves_with_all_its_mailboxes() {
    let mut routes = routes();
    routes.apply(11, Change::domain("y.test", Domain::Local(Others::Slots))).unwrap();
    let moved = Home::at("one").freeze("two").unwrap().settle().unwrap();
    routes.apply(12, Change::Slot { index: 0, home: moved }).unwrap();
    let stale = Change::Slot { index: 0, home: Home::at("one") };
    assert_eq!(routes.apply(13, stale), Err(ApplyError::Epoch));
    let places: std::collections::BTreeSet<_> = (0..20)
        .filter_map(|user| {
            let Route::Mailbox { place, epoch, .. } = resolve(&routes, &format!("{user}@y.test")).route else {
                return None;
            };
            Some((place, epoch))
        })
        .collect();
    assert_eq!(places, [("one".into(), 0), ("two".into(), 1)].into());
    // A builder for the next table knows the move.
    let next = TableBuilder::from_routes(&routes, [5; 16]).unwrap();
    for user in 0..20 {
        let address = format!("{user}@y.test");
        assert_eq!(resolve(&open(&next), &address), resolve(&routes, &address));
    }
}

#[derive(Clone, Debug)]
enum Act {
    Put(u8, Home),
    Freeze(u8, u8),
    Settle(u8),
    Cancel(u8),
    Forget(u8),
    Compact,
}

fn place(number: u8) -> String {
    format!("place-{number}")
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let home = (0..3_u8, 0..4_u64).prop_map(|(at, epoch)| Home::At { place: place(at), epoch });
    let moving = (0..3_u8, 1..4_u64).prop_map(|(from, epoch)| Home::Moving { from: place(from), to: place(3), epoch });
    let act = prop_oneof![
        3 => (0..4_u8, prop_oneof![home, moving]).prop_map(|(user, home)| Act::Put(user, home)),
        2 => (0..4_u8, 0..3_u8).prop_map(|(user, to)| Act::Freeze(user, to)),
        2 => (0..4_u8).prop_map(Act::Settle),
        1 => (0..4_u8).prop_map(Act::Cancel),
        1 => (0..4_u8).prop_map(Act::Forget),
        1 => Just(Act::Compact),
    ];
    prop::collection::vec(act, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Table, delta and compaction together answer as one map does, and under each epoch a mailbox that was not
    /// forgotten is at rest in one place at most.
    #[test]
    fn routes_are_a_map_with_a_fence(acts in acts()) {
        let mut routes = routes();
        let mut model = BTreeMap::<u8, Home>::new();
        let mut rested = BTreeMap::<(u8, u64), String>::new();
        for act in acts {
            let next = routes.delta().version() + 1;
            let (user, home) = match act {
                Act::Put(user, home) => (user, Some(home)),
                Act::Freeze(user, to) => (user, model.get(&user).and_then(|home| home.freeze(place(to)).ok())),
                Act::Settle(user) => (user, model.get(&user).and_then(|home| home.settle().ok())),
                Act::Cancel(user) => (user, model.get(&user).and_then(|home| home.cancel().ok())),
                Act::Forget(user) => {
                    routes.apply(next, Change::forget(format!("{user}@y.test"))).unwrap();
                    model.remove(&user);
                    rested.retain(|(known, _), _| *known != user);
                    continue;
                }
                Act::Compact => {
                    let table = TableBuilder::from_routes(&routes, [next as u8; 16]).unwrap();
                    let version = routes.delta().version();
                    routes = open(&table);
                    prop_assert_eq!(routes.delta().version(), version);
                    prop_assert!(routes.delta().is_empty());
                    continue;
                }
            };
            let Some(home) = home else { continue };
            match routes.apply(next, Change::mailbox(format!("{user}@y.test"), home.clone())) {
                Ok(()) => {
                    if let Home::At { place, epoch } = &home {
                        let known = rested.entry((user, *epoch)).or_insert_with(|| place.clone());
                        prop_assert_eq!(known, place, "two places under one epoch");
                    }
                    model.insert(user, home);
                }
                Err(refused) => {
                    prop_assert_eq!(refused, ApplyError::Epoch);
                    prop_assert!(model.get(&user).is_some_and(|known| home.epoch() <= known.epoch()));
                }
            }
            for user in 0..4 {
                let mailbox = format!("{user}@y.test");
                let expected = match model.get(&user) {
                    None => Route::Foreign { address: mailbox.clone() },
                    Some(Home::At { place, epoch }) => {
                        Route::Mailbox { mailbox: mailbox.clone(), place: place.clone(), epoch: *epoch }
                    }
                    Some(Home::Moving { from, to, epoch }) => {
                        let (from, to) = (from.clone(), to.clone());
                        Route::Moving { mailbox: mailbox.clone(), from, to, epoch: *epoch }
                    }
                };
                prop_assert_eq!(resolve(&routes, &mailbox).route, expected);
            }
        }
    }
}
