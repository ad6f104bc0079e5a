//! One visit of ours: the engine, the driver, and an application that does as it was told.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pop3_proto::{
    Choice, ClientConfig, ClientLimits, Fetch, FetchEvent, Login, Offer, Policy, Report, Secret, TlsPolicy, Utf8Policy,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use services::engine::{Close, Link};
use services::net::tls::Upgrade;
use services::net::{BoxedStream, Connection, Drain, Fault, Handler, Next, drive};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::server::Server;

/// How long a visit may take. After this long it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Clear,
    Stls,
    Tls,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Clear, Self::Stls, Self::Tls];
}

/// Who visits, and how.
pub(crate) struct Visit {
    pub(crate) way: Way,
    pub(crate) login: Login,
    pub(crate) tls: TlsPolicy,
    /// Whether the server's certificate is known.
    pub(crate) trusted: bool,
    /// Commands under way at once.
    pub(crate) window: usize,
    pub(crate) plan: Plan,
}

/// What the application does.
pub(crate) struct Plan {
    pub(crate) choose: Box<dyn FnMut(&Offer) -> Choice + Send>,
    /// Whether what was received is deleted.
    pub(crate) delete: bool,
    /// After so many messages, it fails.
    pub(crate) fail_after: Option<usize>,
    /// After so many messages, and in the middle of the next one, it drops the connection.
    pub(crate) abort_after: Option<usize>,
    /// What it answers to challenges, one after the other.
    pub(crate) answers: Vec<Secret>,
}

impl Plan {
    pub(crate) fn choose(choose: impl FnMut(&Offer) -> Choice + Send + 'static) -> Self {
        Self { choose: Box::new(choose), delete: false, fail_after: None, abort_after: None, answers: Vec::new() }
    }
}

/// What became of it.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) offers: Vec<Offer>,
    pub(crate) messages: Vec<(Offer, Vec<u8>)>,
    pub(crate) under_tls: bool,
    pub(crate) report: Report,
}

impl Visit {
    /// One that gets everything and deletes nothing.
    pub(crate) fn new(way: Way, login: Login) -> Self {
        let tls = if way == Way::Clear { TlsPolicy::Never } else { TlsPolicy::Required };
        Self { way, login, tls, trusted: true, window: 32, plan: Plan::choose(|_| Choice::Get) }
    }

    pub(crate) async fn run(self, server: &Server) -> Told {
        let address = if self.way == Way::Tls { server.tls } else { server.clear };
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut link = Link { peer: Some(address), local: stream.local_addr().ok(), tls: None };
        let upgrade = Upgrade::Client(
            client_tls(self.trusted.then(|| server.certificate()).as_deref()),
            "localhost".try_into().unwrap(),
        );
        let mut stream: BoxedStream = Box::new(stream);
        if self.way == Way::Tls {
            let (under_tls, info) = upgrade.handshake(stream).await.unwrap();
            (stream, link.tls) = (under_tls, Some(info));
        }
        let limits = ClientLimits { window: self.window, ..ClientLimits::default() };
        let config = Arc::new(ClientConfig { limits, ..ClientConfig::default() });
        let policy = Policy { tls: self.tls, utf8: Utf8Policy::WhereOffered };
        let engine = Fetch::new(config, self.login, policy, link.clone().into(), Duration::ZERO);
        let conn = Connection::new(engine, stream, link, upgrade, Arc::default(), Instant::now());
        let (tell, told) = oneshot::channel();
        let visitor = Visitor { plan: self.plan, text: Vec::new(), told: Told::default(), tell };
        let (_handle, drain) = Drain::new();
        timeout(PATIENCE, drive(conn, visitor, drain))
            .await
            .unwrap_or_else(|_| panic!("the visit hangs:\n{}", server.log()));
        told.await.unwrap()
    }
}

/// TLS that trusts the one certificate, or none.
fn client_tls(certificate: Option<&Path>) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(certificate) = certificate {
        roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

struct Visitor {
    plan: Plan,
    /// Of the message that comes.
    text: Vec<u8>,
    told: Told,
    tell: oneshot::Sender<Told>,
}

impl Handler<Fetch> for Visitor {
    async fn event(&mut self, conn: &mut Connection<Fetch>, event: FetchEvent) -> Result<Next, Fault> {
        let taken = self.told.messages.len();
        match event {
            FetchEvent::Challenge(_) if self.plan.answers.is_empty() => {
                conn.speak(|fetch, now, out| fetch.cancel(now, out))?
            }
            FetchEvent::Challenge(_) => {
                let answer = self.plan.answers.remove(0);
                conn.speak(|fetch, now, out| fetch.respond(answer.expose(), now, out))?;
            }
            FetchEvent::Maildrop => {
                let choose = &mut self.plan.choose;
                self.told.offers = conn.speak(|fetch, _, _| fetch.offers().cloned().collect());
                conn.speak(|fetch, now, out| fetch.choose(choose, now, out))?;
            }
            FetchEvent::Message(_) => self.text.clear(),
            FetchEvent::Chunk(_) if self.plan.abort_after.is_some_and(|after| after <= taken) => {
                conn.speak(|fetch, _, _| fetch.abort());
            }
            FetchEvent::Chunk(chunk) => self.text.extend_from_slice(&chunk),
            FetchEvent::Received { .. } if self.plan.fail_after.is_some_and(|after| after <= taken) => {
                return Err(std::io::Error::other("the disk is full").into());
            }
            FetchEvent::Received { offer, octets } => {
                assert_eq!(octets, self.text.len() as u64);
                self.told.messages.push((offer, std::mem::take(&mut self.text)));
                let delete = self.plan.delete;
                conn.speak(|fetch, now, out| if delete { fetch.delete(now, out) } else { fetch.accept(now, out) })?;
            }
            FetchEvent::Refused { offer, reply } => panic!("{offer:?} is not given out: {reply:?}"),
            FetchEvent::NotDeleted { number, reply } => panic!("{number} is not deleted: {reply:?}"),
            FetchEvent::Done(report) => self.told.report = *report,
        }
        self.told.under_tls = conn.link().tls.is_some();
        Ok(Next::Go)
    }

    async fn closed(self, _why: Close) {
        self.tell.send(self.told).unwrap();
    }
}
