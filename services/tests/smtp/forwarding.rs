//! What a stranger sends to an alias that leads to another server: judged, sealed, and readable for those behind us.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::proto::op::ResponseCode;
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator};
use mailqueue::MemorySpool;
use router::{Change, Domain, Home, Others, Routes, Snapshot, TableBuilder};
use services::net::{ConnectionLimits, Endpoint, Listener, Security, serve};
use services::routes::{LOCAL, Routing};
use services::sign::{Identity, Key, KeyKind, SignOptions, Signer};
use services::smtp::{Forwarding, ForwardingOptions, SmtpOptions};

use crate::case::free_port;
use crate::node::{Node, Onward, options, transaction};
use crate::scripted::{Say, Scripted};

const NEAR: &str = "near.example";
const ZOE: &str = "zoe@far.example";
/// From where example.org sends.
const THEIRS: &str = "192.0.2.7:4000";
const SOMEBODY: &str = "192.0.2.8:4000";
const LUNCH: &str = "From: alice@example.org\r\nSubject: lunch\r\n\r\nAt noon?\r\n";

static KEYS: LazyLock<[Key; 2]> =
    LazyLock::new(|| [KeyKind::Rsa, KeyKind::Ed25519].map(|kind| Key::generate(kind).unwrap().0));

/// The keys of our domains have RSA, which all validators know; others have Ed25519.
fn identity(domain: &str) -> Identity {
    let [rsa, ed25519] = &*KEYS;
    let key = if domain == "example.org" { ed25519 } else { rsa };
    Identity::new(domain, "s", key.clone()).unwrap()
}

fn signer(domains: &[&str]) -> Arc<Signer> {
    let mut signer = Signer::new(SignOptions::default());
    domains.iter().for_each(|domain| signer.add(identity(domain)).unwrap());
    Arc::new(signer)
}

fn records() -> Vec<(String, String)> {
    let keys = ["example.org", NEAR, "mail.near.example"].map(identity);
    let keys = keys.into_iter().map(|identity| (identity.record_name(), identity.key().record()));
    let spf = ["example.org", "mail.example.org"].map(|name| (name.to_owned(), "v=spf1 ip4:192.0.2.7 -all".to_owned()));
    keys.chain(spf).collect()
}

/// What the name server says: the records, nothing at all, or that it fails.
fn say(name: &str, kind: &str) -> Say {
    match (records().into_iter().find(|(known, _)| known == name), kind) {
        (Some((_, text)), "TXT") => Say::Records(vec![("TXT", text)]),
        (Some(_), _) => Say::NoData,
        (None, _) if name.ends_with("silent.example") => Say::Nothing,
        (None, _) if name.ends_with("failing.example") => Say::Code(ResponseCode::ServFail),
        (None, _) => Say::NoName,
    }
}

/// What alice's server sends.
fn signed(text: &str) -> String {
    let mut signing = signer(&["example.org"]).begin("example.org", SystemTime::now()).unwrap();
    signing.write(text.as_bytes());
    String::from_utf8(signing.finish(b"").unwrap()).unwrap() + text
}

/// A server with an alias, one that it leads to, and a name server.
struct Town {
    near: Node,
    far: Node,
    names: Scripted,
    seen: usize,
}

impl Town {
    async fn new() -> Self {
        Self::with(&[NEAR], ForwardingOptions::default()).await
    }

    async fn with(keys: &[&str], limits: ForwardingOptions) -> Self {
        let names = Scripted::start(say).await;
        let far = Node::new("mail.far.example", &[ZOE], None).await;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let bound =
            Listener::bind(&Endpoint::Tcp(address), Security::Plain, ConnectionLimits::new(10, 10), Arc::default());
        tokio::spawn(serve(bound.unwrap(), Arc::clone(&far.mx), far.drain.clone()));
        let limits = ForwardingOptions { name_servers: vec![names.address], ..limits };
        let forwarding = Forwarding::new(signer(keys), &limits).unwrap();
        let told = SmtpOptions { forwarding: Some(Arc::new(forwarding)), ..options("mail.near.example") };
        let onward = Onward::Relay(address);
        let mut table = TableBuilder::new(1, [7; 16]);
        for change in [
            Change::domain(NEAR, Domain::Local(Others::Nobody)),
            Change::mailbox("bob@near.example", Home::at(LOCAL)),
            Change::alias("friends@near.example", [ZOE]),
        ] {
            table.apply(change).unwrap();
        }
        let table = Routes::new(Snapshot::open(table.finish().unwrap()).unwrap());
        let routing = Routing::with_table(table, vec![NEAR.to_owned()], onward.outward());
        let near = Node::routed(MemorySpool::default(), told, &["bob@near.example"], routing, onward).await;
        Self { near, far, names, seen: 0 }
    }

    async fn send(&self, client: &str, from: &str, to: &[&str], text: &str) {
        let session = format!("EHLO mail.example.org\r\n{}QUIT\r\n", transaction(from, to, text));
        let said = self.near.session_from(Some(client), &*self.near.mx, &session).await;
        assert!(said.contains("accepted as"), "{said}");
    }

    /// What comes out at the other end of the alias, without what the last server puts on top.
    async fn forwarded(&mut self, client: &str, from: &str, text: &str) -> String {
        self.send(client, from, &["friends@near.example"], text).await;
        self.seen += 1;
        let text = self.far.inbox_of(ZOE, self.seen).await.pop().unwrap();
        let (_, ours) = text.split_once("Received: from mail.example.org").unwrap();
        format!("Received: from mail.example.org{ours}")
    }

    async fn chain(&self, message: &str) -> DkimResult {
        let mut connection = ConnectionConfig::udp();
        connection.port = self.names.address.port();
        let server = NameServerConfig::new(self.names.address.ip(), true, vec![connection]);
        let config = ResolverConfig::from_parts(None, vec![], vec![server]);
        let authenticator = MessageAuthenticator::new(config, ResolverOpts::default()).unwrap();
        let parsed = AuthenticatedMessage::parse(message.as_bytes()).unwrap();
        let output = authenticator.verify_arc(&parsed).await;
        output.result().clone()
    }
}

/// The first field of that name, unfolded.
fn field(message: &str, name: &str) -> String {
    let unfolded = message.replace("\r\n\t", " ").replace("\r\n ", " ");
    let field = unfolded.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}: {message}"));
    field.to_owned()
}

fn seals(message: &str) -> usize {
    message.matches("ARC-Seal:").count()
}

/// What dkimpy thinks of the chain, where it is installed.
fn dkimpy_finds(message: &str, expected: &str) {
    const SCRIPT: &str = "import sys, dkim\n\
        records = dict(line.rstrip('\\n').split(' ', 1) for line in open(sys.argv[1] + '/records'))\n\
        lookup = lambda name, timeout=5: records[name.decode().rstrip('.')].encode()\n\
        print(dkim.arc_verify(open(sys.argv[1] + '/message', 'rb').read(), dnsfunc=lookup)[0].decode())";
    let knows = |python: &&str| {
        Command::new(python).args(["-c", "import dkim"]).output().is_ok_and(|output| output.status.success())
    };
    // Debian's Python knows Debian's packages; another one may stand before it in the path.
    let Some(python) = ["/usr/bin/python3", "python3"].into_iter().find(knows) else {
        if let Some(file) = std::env::var_os("POSTHASTE_SKIPPED") {
            use std::io::Write as _;
            let mut file = fs::File::options().create(true).append(true).open(file).unwrap();
            file.write_all(b"dkimpy: python3-dkim is not installed\n").unwrap();
        }
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let records: String = records().into_iter().map(|(name, record)| format!("{name} {record}\n")).collect();
    fs::write(folder.path().join("records"), records).unwrap();
    fs::write(folder.path().join("message"), message).unwrap();
    let output = Command::new(python).args(["-c", SCRIPT]).arg(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), expected, "{}\n{message}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn the_seal_tells_what_was_seen() {
    let mut town = Town::new().await;
    let text = signed(LUNCH);
    let message = town.forwarded(THEIRS, "alice@example.org", &text).await;
    assert!(message.ends_with(&text), "{message}");
    let results = field(&message, "ARC-Authentication-Results");
    let expected = "ARC-Authentication-Results: i=1; mail.near.example; spf=pass smtp.mailfrom=alice@example.org; \
                    dkim=pass header.d=example.org header.s=s header.b=";
    assert!(results.starts_with(expected), "{results}");
    assert!(results.ends_with("; arc=none smtp.remote-ip=192.0.2.7"), "{results}");
    let seal = field(&message, "ARC-Seal");
    assert!(
        seal.starts_with("ARC-Seal: i=1; a=rsa-sha256; d=near.example; s=s;") && seal.contains("cv=none"),
        "{seal}"
    );
    let at = |what: &str| message.find(what).unwrap();
    assert!(at("Received:") < at("ARC-Seal:") && at("ARC-Authentication-Results:") < at("DKIM-Signature:"));
    assert_eq!(town.chain(&message).await, DkimResult::Pass);
    dkimpy_finds(&message, "pass");
}

#[tokio::test]
async fn what_is_wrong_is_told_and_forwarded_all_the_same() {
    let mut town = Town::new().await;
    let forged = signed(LUNCH).replace("At noon?", "At one?");
    let message = town.forwarded(SOMEBODY, "alice@example.org", &forged).await;
    let results = field(&message, "ARC-Authentication-Results");
    assert!(
        results.contains("; spf=fail smtp.mailfrom=alice@example.org; dkim=fail header.d=example.org"),
        "{results}"
    );
    assert_eq!(town.chain(&message).await, DkimResult::Pass);

    let message = town.forwarded(THEIRS, "\"a;dkim=pass\"@nowhere.example", LUNCH).await;
    let results = field(&message, "ARC-Authentication-Results");
    let quoted = r#"; spf=none smtp.mailfrom="\"a;dkim=pass\"@nowhere.example"; dkim=none; arc=none"#;
    assert!(results.contains(quoted), "{results}");

    let message = town.forwarded(THEIRS, "", LUNCH).await;
    let results = field(&message, "ARC-Authentication-Results");
    assert!(results.contains("; spf=pass smtp.helo=mail.example.org; dkim=none"), "{results}");
    assert_eq!(town.chain(&message).await, DkimResult::Pass);
}

#[tokio::test]
async fn a_chain_grows_until_it_breaks() {
    let mut town = Town::new().await;
    let one = town.forwarded(THEIRS, "alice@example.org", LUNCH).await;
    let two = town.forwarded(SOMEBODY, "alice@example.org", &one).await;
    let seal = field(&two, "ARC-Seal");
    assert!(seal.contains("i=2;") && seal.contains("cv=pass"), "{seal}");
    assert!(field(&two, "ARC-Authentication-Results").contains("; arc=pass smtp.remote-ip=192.0.2.8"));
    assert_eq!(town.chain(&two).await, DkimResult::Pass);
    dkimpy_finds(&two, "pass");

    let broken = two.replace("At noon?", "At one?");
    let three = town.forwarded(SOMEBODY, "alice@example.org", &broken).await;
    let seal = field(&three, "ARC-Seal");
    assert!(seal.contains("i=3;") && seal.contains("cv=fail"), "{seal}");
    assert!(matches!(town.chain(&three).await, DkimResult::Fail(_)));
    let four = town.forwarded(SOMEBODY, "alice@example.org", &three).await;
    assert_eq!(seals(&four), 3, "nothing is added to a chain that is known to be broken: {four}");
}

#[tokio::test]
async fn the_host_seals_for_domains_without_a_key() {
    let mut town = Town::with(&["mail.near.example"], ForwardingOptions::default()).await;
    let message = town.forwarded(THEIRS, "alice@example.org", LUNCH).await;
    assert!(field(&message, "ARC-Seal").contains("d=mail.near.example;"), "{message}");
    assert_eq!(town.chain(&message).await, DkimResult::Pass);
}

#[tokio::test]
async fn what_cannot_be_sealed_goes_without() {
    let usual = ForwardingOptions::default;
    for (keys, limits, what) in [
        (&["far.example"][..], usual(), "no key"),
        (&[NEAR], ForwardingOptions { message: LUNCH.len() - 1, ..usual() }, "too large"),
        (&[NEAR], ForwardingOptions { memory: LUNCH.len() - 1, ..usual() }, "no memory"),
        (&[NEAR], ForwardingOptions { at_once: 0, patience: Duration::from_millis(50), ..usual() }, "no turn"),
    ] {
        let mut town = Town::with(keys, limits).await;
        let message = town.forwarded(THEIRS, "alice@example.org", LUNCH).await;
        assert!(seals(&message) == 0 && message.ends_with(LUNCH), "{what}: {message}");
    }
    let limits = ForwardingOptions { message: LUNCH.len(), patience: Duration::from_millis(200), ..usual() };
    let mut town = Town::with(&[NEAR], limits).await;
    let message = town.forwarded(THEIRS, "alice@silent.example", LUNCH).await;
    assert_eq!(seals(&message), 0, "late: {message}");
    let message = town.forwarded(THEIRS, "alice@example.org", LUNCH).await;
    assert_eq!(seals(&message), 1, "it is just as large as may be: {message}");
}

#[tokio::test]
async fn a_chain_whose_keys_cannot_be_had_now_is_not_called_broken() {
    let mut town = Town::new().await;
    let one = town.forwarded(THEIRS, "alice@example.org", LUNCH).await;
    let elsewhere = one.replace("d=near.example", "d=failing.example");
    let two = town.forwarded(THEIRS, "alice@example.org", &elsewhere).await;
    assert_eq!(seals(&two), 1, "{two}");
    let nowhere = one.replace("d=near.example", "d=nowhere.example");
    let two = town.forwarded(THEIRS, "alice@example.org", &nowhere).await;
    assert!(field(&two, "ARC-Seal").contains("cv=fail"), "{two}");
}

#[tokio::test]
async fn half_a_set_is_a_broken_chain() {
    let mut town = Town::new().await;
    let half = format!("ARC-Seal: i=1; a=rsa-sha256; d=near.example; s=s; t=1; cv=none; b=YQ==\r\n{LUNCH}");
    let message = town.forwarded(THEIRS, "alice@example.org", &half).await;
    let seal = field(&message, "ARC-Seal");
    assert!(seal.contains("i=2;") && seal.contains("cv=fail"), "{seal}");
    assert!(field(&message, "ARC-Authentication-Results").contains("; arc=fail "), "{message}");
}

#[tokio::test]
async fn headers_made_to_cost_are_not_judged() {
    let mut town = Town::new().await;
    let many = format!("{}{LUNCH}", "A:\r\n".repeat(1000));
    assert_eq!(seals(&town.forwarded(THEIRS, "alice@example.org", &many).await), 0);
    let signatures = format!("{}{LUNCH}", signed(LUNCH).strip_suffix(LUNCH).unwrap().repeat(12));
    let message = town.forwarded(THEIRS, "alice@example.org", &signatures).await;
    let results = field(&message, "ARC-Authentication-Results");
    assert_eq!(results.matches("dkim=").count(), 10, "{results}");
}

#[tokio::test]
async fn mail_for_mailboxes_and_of_users_is_left_alone() {
    let town = Town::new().await;
    town.send(THEIRS, "alice@example.org", &["bob@near.example"], LUNCH).await;
    let kept = town.near.inbox_of("bob@near.example", 1).await.remove(0);
    assert!(!kept.contains("ARC-") && kept.ends_with(LUNCH), "{kept}");
    let session = format!(
        "EHLO c.example\r\nAUTH PLAIN AGJvYkBuZWFyLmV4YW1wbGUAc2VjcmV0\r\n{}QUIT\r\n",
        transaction("bob@near.example", &["friends@near.example"], LUNCH)
    );
    let said = town.near.session(&*town.near.submission, &session).await;
    assert!(said.contains("accepted as"), "{said}");
    assert!(!town.far.inbox_of(ZOE, 1).await[0].contains("ARC-"));
    assert_eq!(town.names.asked(), 0);
}
