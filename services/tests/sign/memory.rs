//! What a long message costs.

use services::sign::{ChainValidation, KeyKind, Sealer, SignOptions};

use crate::keys::{DOMAIN, identity, recently, signer};

#[test]
fn a_body_of_100_mb_is_not_held() {
    let line = b"TWFueSBoYW5kcyBtYWtlIGxpZ2h0IHdvcmsuIE1hbnkgaGFuZHMgbWFrZSBsaWdodCB3b3Jr\r\n";
    let piece = line.repeat(1024);
    let signer = signer(SignOptions::default(), &[KeyKind::Ed25519]);
    let sealer = Sealer::new(identity(DOMAIN, KeyKind::Ed25519));
    let held = allocation_counter::measure(|| {
        let mut signing = signer.begin(DOMAIN, recently()).unwrap();
        let mut sealing = sealer.begin("example.org; spf=pass", ChainValidation::None, recently()).unwrap();
        signing.write(b"From: alice@example.org\r\n\r\n");
        sealing.write(b"From: alice@example.org\r\n\r\n");
        for _ in 0..100_000_000 / piece.len() {
            signing.write(&piece);
            sealing.write(&piece);
        }
        signing.finish(b"").unwrap();
        sealing.finish(b"").unwrap();
    });
    assert!(held.bytes_max < 64 * 1024, "{held:?}");
}
