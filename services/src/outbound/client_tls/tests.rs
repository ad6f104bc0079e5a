use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PublicKeyData as _};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::outbound::policy::StsPolicy;
use crate::outbound::target::{Matching, Selector, Usage};

/// A server, and the authority that stands behind it.
struct Server {
    acceptor: TlsAcceptor,
    roots: RootCertStore,
    key: Vec<u8>,
    authority: Vec<u8>,
}

fn server(name: &str, until: i32) -> Server {
    let mut root = CertificateParams::new([]).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let certificate = params.signed_by(&key, &root).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone(), root.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(root.der().clone()).unwrap();
    Server {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        roots,
        key: key.subject_public_key_info(),
        authority: root.key().subject_public_key_info(),
    }
}

fn target(security: Security) -> Target {
    Target { host: "mx.example".to_owned(), port: 25, addresses: vec![IpAddr::from([192, 0, 2, 1])], security }
}

fn verified(names: &[&str]) -> Security {
    Security::Verified { names: names.iter().map(|name| (*name).to_owned()).collect() }
}

fn dane(usage: Usage, key: &[u8], names: &[&str]) -> Security {
    let data = digest(&SHA256, key).as_ref().to_vec();
    let records = vec![Tlsa { usage, selector: Selector::PublicKey, matching: Matching::Sha256, data }];
    Security::Dane { records, names: names.iter().map(|name| (*name).to_owned()).collect() }
}

/// What a handshake comes to: the name that the server was told, or the fault.
async fn shake(server: &Server, with: &ClientHandshake) -> Result<Option<String>, TlsFault> {
    let (here, there) = tokio::io::duplex(65_536);
    let acceptor = server.acceptor.clone();
    let served = tokio::spawn(async move {
        let mut stream = acceptor.accept(there).await.ok()?;
        // Tickets for later sessions come with the first octets.
        stream.write_all(b"220").await.ok()?;
        stream.get_ref().1.server_name().map(str::to_owned)
    });
    match TlsConnector::from(Arc::clone(&with.config)).connect(with.name.clone(), here).await {
        Ok(mut stream) => {
            stream.read_exact(&mut [0; 3]).await.unwrap();
            Ok(served.await.unwrap())
        }
        Err(error) => Err(TlsFault::of(&error)),
    }
}

async fn tried(server: &Server, security: Security) -> Result<Option<String>, TlsFault> {
    let tls = ClientTls::new(server.roots.clone());
    shake(server, &tls.handshake(&target(security), &Policy::default()).unwrap()).await
}

#[tokio::test]
async fn each_security_takes_what_it_should() {
    use TlsFault::{CertificateExpired, CertificateHostMismatch, CertificateNotTrusted, ValidationFailure};
    let mx = || Ok(Some("mx.example".to_owned()));
    let good = server("mx.example", 2090);
    let elsewhere = server("other.example", 2090);
    let old = server("mx.example", 2001);
    let strange = Server { roots: RootCertStore::empty(), ..server("mx.example", 2090) };
    for any in [Security::Opportunistic, Security::Encrypted] {
        for server in [&good, &elsewhere, &old, &strange] {
            assert_eq!(tried(server, any.clone()).await, mx());
        }
    }
    for names in [&["mx.example"][..], &["d.example", "mx.example"]] {
        assert_eq!(tried(&good, verified(names)).await, mx());
        assert_eq!(tried(&elsewhere, verified(names)).await, Err(CertificateHostMismatch));
        assert_eq!(tried(&old, verified(names)).await, Err(CertificateExpired));
        assert_eq!(tried(&strange, verified(names)).await, Err(CertificateNotTrusted));
    }
    assert_eq!(tried(&elsewhere, verified(&["other.example"])).await, mx(), "the host is asked for, another verified");
    assert_eq!(tried(&good, verified(&["other.example"])).await, Err(CertificateHostMismatch));
    assert_eq!(tried(&good, verified(&[])).await, Err(CertificateHostMismatch));
    let base = || Ok(Some("base.example".to_owned()));
    for server in [&good, &elsewhere, &old, &strange] {
        let own = dane(Usage::DaneEe, &server.key, &["base.example"]);
        assert_eq!(tried(server, own).await, base(), "RFC 7672 §8.1: the server is told the TLSA base domain");
        let wrong = dane(Usage::DaneEe, &good.authority, &["base.example"]);
        assert_eq!(tried(server, wrong).await, Err(ValidationFailure));
    }
    let below = |server: &Server, names: &[&str]| dane(Usage::DaneTa, &server.authority, names);
    assert_eq!(tried(&strange, below(&strange, &["base.example", "mx.example"])).await, base());
    assert_eq!(tried(&strange, below(&strange, &["base.example"])).await, Err(CertificateHostMismatch));
    assert_eq!(tried(&old, below(&old, &["mx.example"])).await, Err(CertificateExpired));
}

#[tokio::test]
async fn a_session_that_was_taken_without_a_look_opens_no_other_door() {
    let server = server("mx.example", 2090);
    let tls = ClientTls::new(RootCertStore::empty());
    let handshake = |security| tls.handshake(&target(security), &Policy::default()).unwrap();
    for _ in 0..2 {
        assert!(shake(&server, &handshake(Security::Opportunistic)).await.is_ok());
        // The same server by the same name: it would take the session up again.
        assert!(shake(&server, &handshake(verified(&["mx.example"]))).await.is_err());
        assert!(shake(&server, &handshake(verified(&["d.example", "mx.example"]))).await.is_err());
        assert!(shake(&server, &handshake(dane(Usage::DaneEe, &server.key, &["mx.example"]))).await.is_ok());
        let later = dane(Usage::DaneEe, &server.authority, &["mx.example"]);
        assert!(shake(&server, &handshake(later)).await.is_err(), "the records are others now");
    }
}

#[tokio::test]
async fn in_testing_a_bad_certificate_passes_and_is_told() {
    let sts = StsPolicy { mode: StsMode::Testing, mx: vec!["mx.example".to_owned()], max_age: 1 };
    let policy = Policy { sts: Some(sts), ..Policy::default() };
    for (server, expected) in [
        (server("mx.example", 2090), None),
        (server("other.example", 2090), Some(TlsFault::CertificateHostMismatch)),
        (server("mx.example", 2001), Some(TlsFault::CertificateExpired)),
    ] {
        let tls = ClientTls::new(server.roots.clone());
        let handshake = tls.handshake(&target(Security::Opportunistic), &policy).unwrap();
        assert!(shake(&server, &handshake).await.is_ok());
        assert_eq!(handshake.let_pass(), expected);
        let strict = tls.handshake(&target(verified(&["mx.example"])), &policy).unwrap();
        assert_eq!((shake(&server, &strict).await.err(), strict.let_pass()), (expected, None));
    }
}

#[test]
fn there_is_no_tls_where_there_can_be_none() {
    let tls = ClientTls::new(RootCertStore::empty());
    let policy = Policy::default();
    assert!(tls.handshake(&target(Security::Clear), &policy).is_none());
    let nameless = Target { host: "not a name".to_owned(), ..target(Security::Opportunistic) };
    assert!(tls.handshake(&nameless, &policy).is_none());
    let by_address = Target { host: "192.0.2.1".to_owned(), ..target(Security::Opportunistic) };
    assert!(tls.handshake(&by_address, &policy).is_some());
}

#[test]
fn the_systems_authorities_can_be_read() {
    // There may be none on a machine that builds things; what there is must not stop anything.
    assert!(format!("{:?}", ClientTls::system()).contains("roots"));
}
