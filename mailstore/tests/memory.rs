//! The store in memory keeps the promises, alone and behind the facade.

use mailstore::{DynStore, conformance, memory::MemoryStore};

#[test]
fn conforms() {
    conformance::all(&MemoryStore::new()).unwrap();
}

#[test]
fn conforms_behind_the_facade_and_again() {
    let store = DynStore::new(MemoryStore::new());
    conformance::all(&store).unwrap();
    conformance::all(&store).unwrap();
}
