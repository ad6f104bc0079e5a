//! The Maildir store keeps the promises on a real disk, also when it finds what an earlier one left.

use mailstore::{
    DynStore, conformance,
    maildir::{MaildirConfig, MaildirStore},
};

#[test]
fn conforms_and_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let store = MaildirStore::open(dir.path(), &MaildirConfig::default()).unwrap();
        conformance::all(&DynStore::new(store)).unwrap();
    }
}
