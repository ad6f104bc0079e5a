use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    PublicKeyData as _,
};
use rustls::CertificateError;
use rustls::pki_types::CertificateDer;

use super::*;

/// A server's chain: its certificate, an intermediate authority's, and the root's.
struct Chain {
    leaf: CertificateDer<'static>,
    middle: CertificateDer<'static>,
    root: CertificateDer<'static>,
    keys: [Vec<u8>; 3],
}

fn params(name: &str, years: std::ops::Range<i32>) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, format!("CN of {name}"));
    params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(name, 2020..2090);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn chain(name: &str, years: std::ops::Range<i32>) -> Chain {
    let root = CertifiedIssuer::self_signed(authority("root.example"), KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let middle = CertifiedIssuer::signed_by(authority("middle.example"), key, &root).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = params(name, years);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let leaf = params.signed_by(&key, &middle).unwrap();
    Chain {
        leaf: leaf.der().clone(),
        middle: middle.der().clone(),
        root: root.der().clone(),
        keys: [
            key.subject_public_key_info(),
            middle.key().subject_public_key_info(),
            root.key().subject_public_key_info(),
        ],
    }
}

fn raw(usage: u8, selector: u8, matching: u8, certificate: &[u8], key: &[u8]) -> Data {
    let part = if selector == 0 { certificate } else { key };
    let data = match matching {
        1 => digest(&SHA256, part).as_ref().to_vec(),
        2 => digest(&SHA512, part).as_ref().to_vec(),
        _ => part.to_vec(),
    };
    Data::Tlsa { usage, selector, matching, data }
}

fn verify(records: &[Data], chain: &Chain, sent: &[CertificateDer<'static>]) -> Result<(), rustls::Error> {
    let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
    let names = ["mx.example", "dest.example"].map(|name| ServerName::try_from(name).unwrap()).to_vec();
    let records = usable(records);
    assert!(!records.is_empty(), "these records can be used");
    let verifier = DaneVerifier::new(records, names, algorithms);
    let asked = ServerName::try_from("mx.example").unwrap();
    verifier.judge(&chain.leaf, sent, &asked, UnixTime::now())
}

const NO_MATCH: Result<(), rustls::Error> = Err(NOT_VOUCHED_FOR);

#[test]
fn the_servers_certificate_in_every_form() {
    let (chain, other) = (chain("mx.example", 2020..2090), chain("mx.example", 2020..2090));
    for selector in [0, 1] {
        for matching in [0, 1, 2] {
            let good = raw(3, selector, matching, &chain.leaf, &chain.keys[0]);
            let wrong = raw(3, selector, matching, &other.leaf, &other.keys[0]);
            let issuer = raw(3, selector, matching, &chain.middle, &chain.keys[1]);
            let sent = [chain.middle.clone(), chain.root.clone()];
            assert_eq!(verify(std::slice::from_ref(&good), &chain, &[]), Ok(()), "3 {selector} {matching}");
            assert_eq!(verify(std::slice::from_ref(&wrong), &chain, &sent), NO_MATCH, "3 {selector} {matching}");
            assert_eq!(verify(&[issuer], &chain, &sent), NO_MATCH, "usage 3 is the server's alone");
            assert_eq!(verify(&[wrong, good], &chain, &[]), Ok(()), "one of them is enough");
        }
    }
}

#[test]
fn names_and_dates_mean_nothing_for_the_servers_own() {
    let elsewhere = chain("other.example", 2010..2011);
    let record = raw(3, 1, 1, &elsewhere.leaf, &elsewhere.keys[0]);
    assert_eq!(verify(&[record], &elsewhere, &[]), Ok(()));
}

#[test]
fn an_authority_in_every_form() {
    let (chain, other) = (chain("mx.example", 2020..2090), chain("mx.example", 2020..2090));
    let sent = [chain.middle.clone(), chain.root.clone()];
    for selector in [0, 1] {
        for matching in [0, 1, 2] {
            for (certificate, key) in [(&chain.middle, &chain.keys[1]), (&chain.root, &chain.keys[2])] {
                let record = raw(2, selector, matching, certificate, key);
                assert_eq!(verify(&[record], &chain, &sent), Ok(()), "2 {selector} {matching}");
            }
            let foreign = raw(2, selector, matching, &other.root, &other.keys[2]);
            assert!(verify(&[foreign], &chain, &sent).is_err(), "2 {selector} {matching}");
            let leaf = raw(2, selector, matching, &chain.leaf, &chain.keys[0]);
            assert!(verify(&[leaf], &chain, &sent).is_err(), "usage 2 is no server's");
        }
    }
}

#[test]
fn an_authority_that_the_record_holds_need_not_be_sent() {
    let chain = chain("mx.example", 2020..2090);
    for selector in [0, 1] {
        let root = raw(2, selector, 0, &chain.root, &chain.keys[2]);
        assert_eq!(
            verify(std::slice::from_ref(&root), &chain, std::slice::from_ref(&chain.middle)),
            Ok(()),
            "2 {selector} 0"
        );
        assert!(verify(&[root], &chain, &[]).is_err(), "the intermediate one is missing");
        let middle = raw(2, selector, 0, &chain.middle, &chain.keys[1]);
        assert_eq!(verify(&[middle], &chain, &[]), Ok(()), "2 {selector} 0");
        let digest = raw(2, selector, 1, &chain.root, &chain.keys[2]);
        assert_eq!(
            verify(&[digest], &chain, std::slice::from_ref(&chain.middle)),
            NO_MATCH,
            "a digest cannot verify anything"
        );
    }
}

#[test]
fn below_an_authority_name_and_dates_count() {
    let bad = |error| Err(rustls::Error::InvalidCertificate(error));
    let second = chain("dest.example", 2020..2090);
    let record = |chain: &Chain| raw(2, 0, 1, &chain.root, &chain.keys[2]);
    let sent = |chain: &Chain| [chain.middle.clone(), chain.root.clone()];
    assert_eq!(verify(&[record(&second)], &second, &sent(&second)), Ok(()), "the domain's own name will do");
    let elsewhere = chain("other.example", 2020..2090);
    let refused = verify(&[record(&elsewhere)], &elsewhere, &sent(&elsewhere)).unwrap_err();
    let named = matches!(
        &refused,
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        )
    );
    assert!(named, "{refused:?}");
    let old = chain("mx.example", 2010..2011);
    let refused = verify(&[record(&old)], &old, &sent(&old));
    let expired = matches!(
        &refused,
        Err(rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }))
    );
    assert!(expired, "{refused:?}");
    let mut stranger = chain("mx.example", 2020..2090);
    stranger.leaf = chain("mx.example", 2020..2090).leaf;
    assert_eq!(verify(&[record(&stranger)], &stranger, &sent(&stranger)), bad(CertificateError::BadSignature));
}

#[test]
fn records_that_cannot_be_used() {
    let odd = |usage, selector, matching, length| Data::Tlsa { usage, selector, matching, data: vec![7; length] };
    let unusable = [
        odd(0, 1, 1, 32),
        odd(1, 1, 1, 32),
        odd(4, 1, 1, 32),
        odd(255, 1, 1, 32),
        odd(3, 2, 1, 32),
        odd(3, 1, 3, 32),
        odd(3, 1, 1, 31),
        odd(3, 1, 1, 33),
        odd(3, 1, 1, 0),
        odd(3, 1, 2, 32),
        odd(2, 0, 0, 0),
        Data::Txt(vec![1]),
    ];
    assert_eq!(usable(&unusable), []);
    assert_eq!(usable(&[odd(3, 0, 0, 1), odd(2, 1, 1, 32), odd(3, 1, 2, 64)]).len(), 3);
    assert_eq!(usable(&vec![odd(3, 1, 1, 32); 1000]).len(), MAX_RECORDS);
}

#[test]
fn of_two_digests_the_stronger_counts() {
    let (chain, other) = (chain("mx.example", 2020..2090), chain("mx.example", 2020..2090));
    let weak = raw(3, 1, 1, &chain.leaf, &chain.keys[0]);
    let strong = raw(3, 1, 2, &other.leaf, &other.keys[0]);
    assert_eq!(verify(&[weak.clone(), strong], &chain, &[]), NO_MATCH, "RFC 7671 §9");
    let elsewhere = raw(3, 0, 2, &other.leaf, &other.keys[0]);
    assert_eq!(verify(&[weak, elsewhere], &chain, &[]), Ok(()), "another selector is another matter");
}

#[test]
fn garbage_vouches_for_nothing() {
    let chain = chain("mx.example", 2020..2090);
    for usage in [2, 3] {
        for selector in [0, 1] {
            for data in
                [vec![0x30], vec![0x30, 0x82, 0xff], vec![0x30, 0x00], vec![0x30, 0x84, 1, 1, 1, 1], vec![0; 5000]]
            {
                let record = Data::Tlsa { usage, selector, matching: 0, data };
                assert!(verify(&[record], &chain, std::slice::from_ref(&chain.middle)).is_err());
            }
        }
    }
    let record = raw(3, 1, 1, &chain.leaf, &chain.keys[0]);
    let garbage = Chain { leaf: CertificateDer::from(vec![0x30, 0x03, 1, 2, 3]), ..chain };
    assert!(verify(&[record], &garbage, &[]).is_err());
}

#[test]
fn sequences() {
    assert_eq!(sequence(&[0x30, 2, 1, 2]), Some(&[1, 2][..]));
    assert_eq!(sequence(&[0x30, 0x81, 1, 9]), Some(&[9][..]));
    assert_eq!(sequence(&[0x30, 0x82, 0, 1, 9]), Some(&[9][..]));
    for bad in [&[][..], &[0x31, 0], &[0x30], &[0x30, 1], &[0x30, 0, 0], &[0x30, 0x82, 0], &[0x30, 0x83, 0, 0, 0]] {
        assert_eq!(sequence(bad), None, "{bad:?}");
    }
}
