//! To another server, over SMTP.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mailqueue::{Batch, Body, Outcome};
use rustls::pki_types::ServerName;
use smtp_proto::{ClientConfig, Delivery, DeliveryEvent, Policy, Report, TlsPolicy, Trouble};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::convert;
use crate::engine::{Close, Link};
use crate::net::tls::Upgrade;
use crate::net::{Connection, Drain, Fault, Handler, Next, drive};

/// Longest wait for a connection to one address. RFC 5321 §4.5.3.2 names none; a host that takes longer is not there.
const CONNECT: Duration = Duration::from_secs(30);

/// Delivers one batch to the server at `host_and_port`.
pub(super) async fn deliver(
    client: Arc<ClientConfig>,
    tls: Arc<rustls::ClientConfig>,
    host_and_port: &str,
    batch: &Batch,
) -> Vec<Outcome> {
    let count = batch.recipients.len();
    let Some(envelope) = convert::delivery(batch) else { return vec![convert::unaddressable(); count] };
    let host = host_and_port.rsplit_once(':').map_or(host_and_port, |(host, _)| host);
    let upgrade = match ServerName::try_from(host.trim_matches(['[', ']']).to_owned()) {
        Ok(name) => Upgrade::Client(tls, name),
        Err(_) => Upgrade::None,
    };
    let mut policy = match upgrade {
        Upgrade::Client(..) | Upgrade::Server(_) => Policy { tls: TlsPolicy::Opportunistic, ..Policy::default() },
        Upgrade::None => Policy { tls: TlsPolicy::Never, ..Policy::default() },
    };
    loop {
        let (stream, link) = match connect(host_and_port).await {
            Ok(connected) => connected,
            Err(error) => return vec![convert::unreachable(host_and_port, &error); count],
        };
        let engine =
            Delivery::new(Arc::clone(&client), envelope.clone(), policy.clone(), link.clone().into(), Duration::ZERO);
        let conn = Connection::new(engine, Box::new(stream), link, upgrade.clone(), Arc::default(), Instant::now());
        let (told, report) = oneshot::channel();
        // A delivery under way is not cut short by a server that stops: the queue waits for it.
        let (_handle, drain) = Drain::new();
        drive(conn, Courier { body: batch.body.clone(), told: Some(told) }, drain).await;
        let Ok(report) = report.await else { return vec![convert::lost(host_and_port); count] };
        // RFC 7435 §3: opportunistic security falls back to none where it cannot be had. Nothing of the message was sent yet;
        // a connection that is lost later says nothing against TLS, and trying again is the schedule's business.
        if report.trouble == Some(Trouble::Tls) && policy.tls == TlsPolicy::Opportunistic {
            policy.tls = TlsPolicy::Never;
            continue;
        }
        return convert::outcomes(host_and_port, *report);
    }
}

async fn connect(host_and_port: &str) -> io::Result<(TcpStream, Link)> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in lookup_host(host_and_port).await? {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                let link = Link { peer: Some(address), local: stream.local_addr().ok(), tls: None };
                return Ok((stream, link));
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// Hands the message to the engine, and its report to whoever waits.
struct Courier {
    body: Body,
    told: Option<oneshot::Sender<Box<Report>>>,
}

impl Handler<Delivery> for Courier {
    async fn event(&mut self, conn: &mut Connection<Delivery>, event: DeliveryEvent) -> Result<Next, Fault> {
        match event {
            DeliveryEvent::Body => {
                if let Err(fault) = self.send(conn).await {
                    // The server must not take half a message for a whole one.
                    tracing::warn!(%fault, "a message could not be sent");
                    conn.speak(|engine, _, _| engine.abort());
                }
            }
            DeliveryEvent::Done(report) => self.tell(report),
            // The policy has neither a login nor a second message.
            DeliveryEvent::Challenge(_) | DeliveryEvent::Idle => {
                conn.speak(|engine, now, out| engine.decline(now, out));
            }
        }
        Ok(Next::Go)
    }

    async fn closed(self, _why: Close) {}
}

impl Courier {
    async fn send(&mut self, conn: &mut Connection<Delivery>) -> Result<(), Fault> {
        let mut body = self.body.reader();
        while let Some(chunk) = body.next().await? {
            conn.speak(|engine, _, out| engine.body(&chunk, out))?;
            conn.drain().await?;
        }
        conn.speak(|engine, now, out| engine.end_body(now, out))?;
        Ok(())
    }

    fn tell(&mut self, report: Box<Report>) {
        if let Some(told) = self.told.take() {
            // Who does not listen any more will try again.
            let _ = told.send(report);
        }
    }
}
