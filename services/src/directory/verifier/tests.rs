use argon2::{Algorithm, Params, PasswordHasher as _, Version};
use proptest::prelude::*;

use super::*;

const ROUNDS: NonZeroU32 = nonzero(4096);

fn parse(text: &str) -> Result<Verifier, VerifierFault> {
    Verifier::parse(text, &VerifierLimits::default())
}

fn unbase64(text: &str) -> Vec<u8> {
    BASE64.decode(text).unwrap()
}

/// RFC 7677 §3.
const RFC_SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
const RFC_AUTH_MESSAGE: &[u8] = b"n=user,r=rOprNGfwEbeRWgbNEkqO,\
    r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
    c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

#[test]
fn the_rfc_7677_exchange_fits_the_verifier_derived_here() {
    let scram = ScramVerifier::derive(b"pencil", ROUNDS, &unbase64(RFC_SALT));
    let sign = |key: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), RFC_AUTH_MESSAGE);

    let server_signature = sign(&scram.server_key);
    assert_eq!(server_signature.as_ref(), unbase64("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));

    let proof = unbase64("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    let client_key: Vec<u8> = proof.iter().zip(sign(&scram.stored_key).as_ref()).map(|(a, b)| a ^ b).collect();
    assert_eq!(digest::digest(&digest::SHA256, &client_key).as_ref(), scram.stored_key);
}

#[test]
fn a_scram_verifier_reads_back_as_it_was_written() {
    let scram = ScramVerifier::derive(b"wonderland", ROUNDS, b"0123456789abcdef");
    assert_eq!(parse(&scram.encode()), Ok(Verifier::Scram(scram)));
}

#[test]
fn each_form_knows_its_password_and_no_other() {
    let small = Params::new(64, 1, 1, None).unwrap();
    let argon2id = Argon2::new(Algorithm::Argon2id, Version::V0x13, small);
    let argon2id: argon2::password_hash::phc::PasswordHash =
        argon2id.hash_password_with_salt(b"wonderland", b"0123456789abcdef").unwrap();
    let sha512 = ShaCrypt::new(sha_crypt::Algorithm::Sha512Crypt, sha_crypt::Params::new(1000).unwrap());
    let sha512 = sha512.hash_password_with_salt(b"wonderland", b"0123456789ab").unwrap();
    for form in [
        ScramVerifier::derive(b"wonderland", ROUNDS, b"salt").encode(),
        argon2id.to_string(),
        bcrypt::hash("wonderland", 4).unwrap(),
        sha512.as_str().to_owned(),
    ] {
        let verifier = parse(&form).unwrap();
        assert!(verifier.matches(b"wonderland"), "{verifier:?}");
        assert!(!verifier.matches(b"Wonderland"), "{verifier:?}");
        assert!(!verifier.matches(b""), "{verifier:?}");
    }
}

/// Made by the reference implementation of Argon2 and by libxcrypt.
#[test]
fn hashes_made_elsewhere_are_understood() {
    for (form, password) in [
        ("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "password"),
        (
            "$6$abcdefgh$PagJMnSD4zLnZ95FjVBrvZppu76hKOODx3nCjQwOTYO.0pdfDYbCf3dD1MIcuXSejFb8QeIrwj0n55eze03FI0",
            "wonder\u{b2}land",
        ),
        ("$2b$05$abcdefghijklmnopqrstuuD6hwObeuSFlrjTHuMneX.8zBR.A18Hu", "wonder\u{b2}land"),
    ] {
        assert!(parse(form).unwrap().matches(password.as_bytes()), "{form}");
    }
}

#[test]
fn dovecot_schemes_in_front_of_crypt_forms_are_understood() {
    for scheme in ["{BLF-CRYPT}", "{CRYPT}"] {
        let form = format!("{scheme}$2b$05$abcdefghijklmnopqrstuuD6hwObeuSFlrjTHuMneX.8zBR.A18Hu");
        assert!(parse(&form).unwrap().matches("wonder\u{b2}land".as_bytes()));
    }
}

#[test]
fn bcrypt_cuts_a_long_password_as_its_makers_do() {
    let verifier = parse("$2y$05$abcdefghijklmnopqrstuuxP/ug1LnXZsqj0xVpFUJxh.YzHEJvAW").unwrap();
    assert!(verifier.matches(&[b'w'; 100]));
    assert!(!verifier.matches(&[b'w'; 71]));
}

#[test]
fn scram_takes_a_password_in_any_unicode_spelling() {
    let verifier = Verifier::Scram(ScramVerifier::derive("\u{e5}\u{1f984}".as_bytes(), ROUNDS, b"salt"));
    assert!(verifier.matches("\u{e5}\u{1f984}".as_bytes()));
    let composed = Verifier::Scram(ScramVerifier::derive("\u{e5}2".as_bytes(), ROUNDS, b"salt"));
    assert!(composed.matches("a\u{30a}\u{b2}".as_bytes()));
}

#[test]
fn a_plain_password_is_compared_prepared_and_not_shown() {
    let verifier = parse("{PLAIN}won{der}:l\u{e5}nd").unwrap();
    assert!(verifier.matches("won{der}:l\u{e5}nd".as_bytes()) && verifier.matches("won{der}:la\u{30a}nd".as_bytes()));
    assert!(!verifier.matches(b"won{der}:land") && !verifier.matches(b""));
    assert_eq!(verifier.plain().unwrap().expose(), "won{der}:l\u{e5}nd".as_bytes());
    assert_eq!((verifier.cost(), verifier.scram()), (Cost::Plain, None));
    assert!(!format!("{verifier:?}{:?}", verifier.plain()).contains("der"));
    let long = "x".repeat(MAX_PASSWORD + 1);
    for bad in ["", "a\0b", "a\tb", "\u{ad}", &long] {
        assert_eq!(parse(&format!("{{PLAIN}}{bad}")), Err(VerifierFault::Damaged("PLAIN")), "{bad:?}");
    }
    for other in ["$2b$05$abcdefghijklmnopqrstuuD6hwObeuSFlrjTHuMneX.8zBR.A18Hu", "{PLAIN}other"] {
        let mut told = [Vec::new(), Vec::new()];
        verifier.identify(&mut |part| told[0].extend_from_slice(part));
        parse(other).unwrap().identify(&mut |part| told[1].extend_from_slice(part));
        assert_ne!(told[0], told[1], "{other}");
    }
}

#[test]
fn a_damaged_form_is_refused_when_it_is_read() {
    let scram = ScramVerifier::derive(b"wonderland", ROUNDS, b"salt").encode();
    let bcrypt = "$2b$05$abcdefghijklmnopqrstuuD6hwObeuSFlrjTHuMneX.8zBR.A18Hu";
    let sha512 = "$6$rounds=1000$abcdefgh$SFIwD3L5MhGxtZVUZijke6W8E4.emc3PnfVbxuriJmJcC3ZSGVv52kqIIaVUpcjwBKA7Svw03fRE1RqFtbqge/";
    let argon2id = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    for whole in [scram.as_str(), bcrypt, sha512, argon2id] {
        assert!(parse(whole).is_ok());
        let cut = whole.split_at(whole.len() - 2).0;
        // Argon2's output has no fixed length, so that a cut one is only another one, unless the salt is gone too.
        let cut = if whole == argon2id { cut.rsplit_once('$').unwrap().0 } else { cut };
        assert!(matches!(parse(cut), Err(VerifierFault::Damaged(_))), "{cut}");
        assert!(matches!(parse(&format!("{whole}:1000")), Err(VerifierFault::Damaged(_))), "{whole}");
    }
    for other in [
        "wonderland",
        "",
        "{plain}wonderland",
        "{CLEARTEXT}wonderland",
        "$1$salt$hash",
        "$2x$05$abc",
        "$argon2i$v=19$m=256,t=2,p=1$a$b",
    ] {
        assert_eq!(parse(other), Err(VerifierFault::Unknown), "{other}");
    }
}

#[test]
fn what_would_cost_too_little_or_too_much_is_refused() {
    let cheap = ScramVerifier::derive(b"wonderland", nonzero(4095), b"salt").encode();
    assert_eq!(parse(&cheap), Err(VerifierFault::TooCheap { least: ROUNDS }));
    for dear in [
        cheap.replace("4095", "10000001"),
        "$argon2id$v=19$m=1048577,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4".to_owned(),
        "$argon2id$v=19$m=256,t=65,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4".to_owned(),
        "$2b$05$abcdefghijklmnopqrstuuD6hwObeuSFlrjTHuMneX.8zBR.A18Hu".replace("$05$", "$17$"),
        "$6$rounds=1000$abcdefgh$SFIwD3L5MhGxtZVUZijke6W8E4.emc3PnfVbxuriJmJcC3ZSGVv52kqIIaVUpcjwBKA7Svw03fRE1RqFtbqge/".replace("rounds=1000", "rounds=5000001"),
    ] {
        assert!(matches!(parse(&dear), Err(VerifierFault::TooDear { .. })), "{dear}");
    }
}

#[test]
fn debug_output_and_faults_hold_nothing_of_the_form() {
    let scram = ScramVerifier::derive(b"wonderland", ROUNDS, b"salt");
    assert_eq!(format!("{scram:?}"), "ScramVerifier(4096 iterations)");
    assert_eq!(
        format!("{:?}", parse("$2b$05$abcdefghijklmnopqrstuuD6hwObeuSFlrjTHuMneX.8zBR.A18Hu").unwrap()),
        "Verifier(Bcrypt { cost: 5 })"
    );
    assert!(!parse("hunter2").unwrap_err().to_string().contains("hunter2"));
}

#[test]
fn an_invented_verifier_is_the_same_each_time_and_another_for_each_name() {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
    let invent = |name| ScramVerifier::invented(&key, name, ROUNDS, 40);
    assert_eq!(invent("alice"), invent("alice"));
    assert_ne!(invent("alice").salt, invent("bob").salt);
    assert_eq!(invent("alice").salt.len(), 40);
    assert_ne!(invent("alice").salt[..8], invent("alice").salt[32..]);
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(
        head in proptest::sample::select(&["{SCRAM-SHA-256}", "$argon2id$", "$2b$", "$6$", "{CRYPT}$6$"][..]),
        tail in "[$,=/.0-9A-Za-z\u{e5}]{0,90}",
    ) {
        let _ = parse(&format!("{head}{tail}"));
    }
}
