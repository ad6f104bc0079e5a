//! MTA-STS against a web server on loopback that says what a test wants.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use services::outbound::{
    ClientTls, Demands, Dnssec, Loopback, NoWay, Resolver, ResolverOptions, StsMode, StsOptions, TlsFault,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::case::{demanding, free_port, options, ways};
use crate::scripted::{Say, Scripted};

const ENFORCE: &str = "version: STSv1\nmode: enforce\nmx: mx1.d.example\nmx: *.farm.example\nmax_age: 86400\n";

/// What the web server sends behind the head's first line.
fn page(text: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    )
}

/// What the name servers and the web server say just now.
struct World {
    id: Mutex<Option<&'static str>>,
    response: Mutex<String>,
    fetched: AtomicUsize,
}

struct Case {
    world: Arc<World>,
    names: Scripted,
    web: JoinHandle<()>,
    options: ResolverOptions,
}

impl Drop for Case {
    fn drop(&mut self) {
        self.web.abort();
    }
}

impl Case {
    /// A web server whose certificate is for `name`.
    async fn new(name: &str) -> Self {
        let world = Arc::new(World {
            id: Mutex::new(Some("1")),
            response: Mutex::new(page(ENFORCE)),
            fetched: AtomicUsize::new(0),
        });
        let told = Arc::clone(&world);
        let names = Scripted::start(move |name, kind| match (name, kind) {
            ("d.example", "MX") => Say::Records(["10 mx1.d.example.", "20 mx2.d.example."].map(mx).to_vec()),
            ("e.example", "MX") => Say::Records(vec![mx("10 elsewhere.example.")]),
            ("_mta-sts.d.example" | "_mta-sts.e.example", "TXT") => match *told.id.lock().unwrap() {
                Some("fails") => Say::Nothing,
                Some(id) => Say::Records(vec![("TXT", format!("v=STSv1; id={id};"))]),
                None => Say::NoData,
            },
            ("mta-sts.d.example" | "mta-sts.e.example", "A") => Say::Records(vec![("A", "127.0.0.1".to_owned())]),
            (host, "A") if host.starts_with("mx") || host == "elsewhere.example" => {
                Say::Records(vec![("A", "192.0.2.1".to_owned())])
            }
            _ => Say::NoData,
        })
        .await;
        let (acceptor, roots) = certified(name);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let web = tokio::spawn(serve(listener, acceptor, Arc::clone(&world)));
        let sts = StsOptions { port, patience: Duration::from_secs(10), ..StsOptions::default() };
        let mut options = ResolverOptions {
            sts: Some(sts),
            tls: ClientTls::new(roots),
            loopback: Loopback::Allowed,
            ..options(names.address, Dnssec::Off)
        };
        // Each answer is to be the newest.
        options.dns.cache_entries = 0;
        options.dns.timeout = Duration::from_millis(500);
        Self { world, names, web, options }
    }

    fn resolver(&self) -> Resolver {
        Resolver::new(self.options.clone()).unwrap()
    }

    fn publish(&self, id: &'static str, response: String) {
        *self.world.id.lock().unwrap() = Some(id);
        *self.world.response.lock().unwrap() = response;
    }

    fn fetched(&self) -> usize {
        self.world.fetched.load(Ordering::Relaxed)
    }
}

fn mx(text: &str) -> (&'static str, String) {
    ("MX", text.to_owned())
}

fn certified(name: &str) -> (TlsAcceptor, RootCertStore) {
    let mut root = CertificateParams::new([]).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &root).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(root.der().clone()).unwrap();
    (TlsAcceptor::from(Arc::new(config)), roots)
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, world: Arc<World>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        world.fetched.fetch_add(1, Ordering::Relaxed);
        let Ok(mut stream) = acceptor.accept(stream).await else { continue };
        let response = world.response.lock().unwrap().clone();
        tokio::spawn(async move {
            let mut request = vec![];
            while !request.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut request).await.unwrap_or_default() == 0 {
                    return;
                }
            }
            let request = String::from_utf8(request).unwrap().to_ascii_lowercase();
            assert!(request.starts_with("get /.well-known/mta-sts.txt http/1.1\r\n"), "{request}");
            assert!(request.contains("\r\nhost: mta-sts."), "{request}");
            // Who has read enough goes away.
            let _ = stream.write_all(response.as_bytes()).await;
            let _ = stream.flush().await;
            if response.contains("Content-Length: 9999999") {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            let _ = stream.shutdown().await;
        });
    }
}

fn one(way: &str) -> Result<Vec<String>, NoWay> {
    Ok(vec![way.to_owned()])
}

#[tokio::test]
async fn an_enforced_policy_names_the_hosts_and_has_them_verified() {
    let case = Case::new("mta-sts.d.example").await;
    let resolver = case.resolver();
    for _ in 0..3 {
        assert_eq!(ways(&resolver, "d.example").await, one("mx1.d.example verified mx1.d.example"));
    }
    assert_eq!(case.fetched(), 1);
    let optional = demanding(&resolver, "d.example", Demands::TlsOptional).await.unwrap();
    assert_eq!(optional, ["mx1.d.example", "mx2.d.example"]);
    assert_eq!(demanding(&resolver, "d.example", Demands::RequireTls).await, ways(&resolver, "d.example").await);
    case.publish("2", page(&ENFORCE.replace("mx1.d", "mx7.d")));
    assert_eq!(ways(&resolver, "d.example").await, Err(NoWay::StsMismatch));
    assert_eq!(case.fetched(), 2, "another id, another policy");
    case.publish("3", page("version: STSv1\nmode: none\nmax_age: 86400\n"));
    assert_eq!(ways(&resolver, "d.example").await.unwrap(), ["mx1.d.example", "mx2.d.example"]);
}

#[tokio::test]
async fn testing_stops_nothing_and_is_told_for_the_report() {
    let case = Case::new("mta-sts.d.example").await;
    case.publish("1", page(&ENFORCE.replace("enforce", "testing")));
    let targets = case.resolver().targets("d.example", Demands::Any).await.unwrap();
    assert_eq!(targets.hosts.len(), 2);
    assert_eq!(targets.policy.sts.as_ref().map(|sts| sts.mode), Some(StsMode::Testing));
}

#[tokio::test]
async fn what_is_no_policy_is_none_and_why_is_told() {
    let case = Case::new("mta-sts.d.example").await;
    let long = format!("{ENFORCE}{}", "x: y\n".repeat(20_000));
    let moved = "HTTP/1.1 301 Moved\r\nLocation: https://mta-sts.d.example/\r\nContent-Length: 0\r\n\r\n";
    let table = [
        (page("<html>"), TlsFault::StsPolicyInvalid),
        (page(&ENFORCE.replace("STSv1", "STSv2")), TlsFault::StsPolicyInvalid),
        (page(ENFORCE).replace("text/plain", "text/html"), TlsFault::StsPolicyInvalid),
        (page(ENFORCE).replace("Content-Type", "X-Type"), TlsFault::StsPolicyInvalid),
        (page(&long), TlsFault::StsPolicyInvalid),
        (moved.to_owned(), TlsFault::StsPolicyFetchError),
        (page(ENFORCE).replace("200 OK", "404 Not Found"), TlsFault::StsPolicyFetchError),
        (page(ENFORCE).replace("200 OK", "204 OK"), TlsFault::StsPolicyFetchError),
        ("220 mail.example ESMTP\r\n".to_owned(), TlsFault::StsPolicyFetchError),
        (format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(100_000)), TlsFault::StsPolicyFetchError),
        (String::new(), TlsFault::StsPolicyFetchError),
    ];
    for (response, fault) in table {
        let told = response.chars().take(200).collect::<String>();
        case.publish("1", response);
        let resolver = case.resolver();
        let targets = resolver.targets("d.example", Demands::Any).await.unwrap();
        assert_eq!((targets.hosts.len(), &targets.policy.sts), (2, &None), "{told}");
        assert_eq!(targets.policy.faults, [fault], "{told}");
        let fetched = case.fetched();
        let again = resolver.targets("d.example", Demands::Any).await.unwrap();
        assert_eq!((again.policy.faults.as_slice(), case.fetched()), (&[fault][..], fetched), "left alone: {told}");
    }
}

#[tokio::test]
async fn a_web_server_that_never_ends_is_not_waited_for() {
    let mut case = Case::new("mta-sts.d.example").await;
    case.options.sts.as_mut().unwrap().patience = Duration::from_millis(500);
    case.publish("1", page(ENFORCE).replace("Content-Length: ", "Content-Length: 9999999"));
    let targets = case.resolver().targets("d.example", Demands::Any).await.unwrap();
    assert_eq!(targets.policy.faults, [TlsFault::StsPolicyFetchError]);
}

#[tokio::test]
async fn the_web_servers_certificate_counts() {
    for wrong in ["d.example", "mta-sts.other.example"] {
        let case = Case::new(wrong).await;
        let targets = case.resolver().targets("d.example", Demands::Any).await.unwrap();
        assert_eq!((targets.hosts.len(), targets.policy.faults.as_slice()), (2, &[TlsFault::StsWebpkiInvalid][..]));
    }
    let mut case = Case::new("mta-sts.d.example").await;
    case.options.tls = ClientTls::new(RootCertStore::empty());
    let targets = case.resolver().targets("d.example", Demands::Any).await.unwrap();
    assert_eq!(targets.policy.faults, [TlsFault::StsWebpkiInvalid]);
}

#[tokio::test]
async fn what_was_published_holds_on_when_it_cannot_be_had_any_more() {
    let mut case = Case::new("mta-sts.d.example").await;
    let folder = tempfile::tempdir().unwrap();
    case.options.sts.as_mut().unwrap().folder = Some(folder.path().to_owned());
    let verified = one("mx1.d.example verified mx1.d.example");
    assert_eq!(ways(&case.resolver(), "d.example").await, verified);
    while std::fs::read(folder.path().join("d.example")).is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Another resolver, as after a restart; and the web server has nothing more to say.
    case.publish("1", String::new());
    assert_eq!(ways(&case.resolver(), "d.example").await, verified, "the same id");
    assert_eq!(case.fetched(), 1);
    case.publish("2", String::new());
    assert_eq!(ways(&case.resolver(), "d.example").await, verified, "another id, and no policy");
    assert_eq!(case.fetched(), 2);
    *case.world.id.lock().unwrap() = None;
    assert_eq!(ways(&case.resolver(), "d.example").await, verified, "the record is gone: somebody may hide it");
    *case.world.id.lock().unwrap() = Some("fails");
    assert_eq!(ways(&case.resolver(), "d.example").await, verified, "the record cannot be had");
    case.options.sts.as_mut().unwrap().folder = None;
    assert_eq!(ways(&case.resolver(), "d.example").await.map(|ways| ways.len()), Ok(2), "nothing is known");
}

#[tokio::test]
async fn past_half_of_its_time_a_policy_is_fetched_again_while_mail_goes_on() {
    let mut case = Case::new("mta-sts.d.example").await;
    let folder = tempfile::tempdir().unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let fetched = now - 50_000;
    std::fs::write(folder.path().join("d.example"), format!("id: 1\nfetched: {fetched}\n\n{ENFORCE}")).unwrap();
    case.options.sts.as_mut().unwrap().folder = Some(folder.path().to_owned());
    let resolver = case.resolver();
    assert_eq!(ways(&resolver, "d.example").await, one("mx1.d.example verified mx1.d.example"));
    while std::fs::read_to_string(folder.path().join("d.example")).unwrap().contains(&fetched.to_string()) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(case.fetched(), 1);
    assert_eq!(ways(&resolver, "d.example").await, one("mx1.d.example verified mx1.d.example"));
    assert_eq!(case.fetched(), 1, "it is young again");
}

#[tokio::test]
async fn many_who_need_a_policy_share_one_fetch() {
    let case = Case::new("mta-sts.d.example").await;
    let resolver = Arc::new(case.resolver());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let resolver = Arc::clone(&resolver);
        tasks.spawn(async move { ways(&resolver, "d.example").await });
    }
    for way in tasks.join_all().await {
        assert_eq!(way, one("mx1.d.example verified mx1.d.example"));
    }
    assert_eq!(case.fetched(), 1);
    assert!(case.names.asked() > 0);
}

#[tokio::test]
async fn a_policys_host_on_loopback_is_nobodys() {
    let mut case = Case::new("mta-sts.d.example").await;
    case.options.loopback = Loopback::Refused;
    let targets = case.resolver().targets("d.example", Demands::Any).await.unwrap();
    assert_eq!(targets.policy.faults, [TlsFault::StsPolicyFetchError]);
    assert_eq!(case.fetched(), 0);
}
