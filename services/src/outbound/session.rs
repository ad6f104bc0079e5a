//! One connection to a server, from its first octet to its last: messages are handed to it, and each has its answer.

use std::sync::Arc;
use std::time::Duration;

use mailqueue::Body;
use smtp_proto::{ClientConfig, Delivery, DeliveryEvent, Envelope, Policy, Report, Trouble};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::client_tls::ClientHandshake;
use super::courier::Begins;
use super::handshake::{self, Failed};
use super::hosts::Failure;
use super::ledger::Cut;
use super::line::{End, Line, LineEvent};
use super::policy::TlsFault;
use super::pool::{Key, Pool};
use super::reach::{Asked, Reached};
use crate::engine::{Close, Engine, Switched, TlsInfo};
use crate::net::tls::Upgrade;
use crate::net::{BoxedStream, Connection, Detached, Drain, Gone, Handler, Next, Pacing, drive};

/// A message on its way to a server.
#[derive(Debug)]
pub(super) struct Job {
    /// Who sends it, and to whom.
    pub(super) envelope: Envelope,
    /// Its octets.
    pub(super) body: Body,
    /// Where the answer goes.
    pub(super) told: oneshot::Sender<Heard>,
}

/// What became of a message in a session.
#[derive(Debug)]
pub(super) struct Heard {
    /// What the engine says; `None` where the message was not begun with, because the connection had ended.
    pub(super) report: Option<Box<Report>>,
    /// What it does not know.
    pub(super) cut: Option<Cut>,
    /// How the connection is secured.
    pub(super) tls: Security,
}

/// How a connection is secured.
#[derive(Clone, Debug)]
pub(super) enum Security {
    /// In no way.
    Clear,
    /// By TLS.
    Tls(TlsInfo),
    /// TLS was tried.
    Failed(Failed),
}

/// How long a connection is kept.
#[derive(Clone, Debug)]
pub(super) struct Keeping {
    /// How long it waits for another message.
    pub(super) idle: Duration,
    /// Messages on it.
    pub(super) messages: u32,
    /// Its age at which no further message is taken.
    pub(super) age: Duration,
    pub(super) pacing: Arc<Pacing>,
    pub(super) client: Arc<ClientConfig>,
}

/// What a session begins with.
pub(super) struct Opening {
    pub(super) reached: Reached,
    pub(super) key: Key,
    pub(super) keys: Option<ClientHandshake>,
    pub(super) policy: Policy,
    pub(super) job: Box<Job>,
    pub(super) pool: Arc<Pool>,
    pub(super) keeping: Arc<Keeping>,
}

/// Speaks with a server until nothing more is to be said. Runs in a task of its own.
pub(super) async fn run(opening: Opening) {
    let Opening { reached, key, keys, policy, job, pool, keeping } = opening;
    let Reached { stream, mut link, asked } = reached;
    let (mut stream, begun): (BoxedStream, _) = (Box::new(stream), Instant::now());
    let mut tls = Security::Clear;
    if key.begins == Begins::UnderTls {
        match handshake::shake(stream, keys.as_ref(), keeping.client.timeouts.tls).await {
            Ok((secured, info)) => {
                stream = secured;
                link.tls = Some(info.clone());
                tls = Security::Tls(info);
            }
            Err(failed) => {
                // The engine was never asked, so it has nothing to tell. A certificate that does not do may do for others.
                asked.failed(if failed.fault == TlsFault::ValidationFailure { Failure::Mute } else { Failure::Tls });
                let _ = job.told.send(Heard { report: None, cut: None, tls: Security::Failed(failed) });
                return;
            }
        }
    }
    let Job { envelope, body, told } = *job;
    let delivery = Delivery::new(Arc::clone(&keeping.client), envelope, policy, link.clone().into(), Duration::ZERO);
    let line = Line::new(delivery);
    let mut courier = Courier {
        work: Work::Carrying(Carried { body, told }),
        asked: Some(asked),
        tls,
        cut: None,
        key,
        pool,
        carried: 0,
        begun,
        keeping: Arc::clone(&keeping),
    };
    // A delivery under way is not cut short by a server that stops: the queue waits for it.
    let (_handle, drain) = Drain::new();
    loop {
        let conn =
            Connection::new(line.clone(), stream, link.clone(), Upgrade::None, Arc::clone(&keeping.pacing), begun);
        // Only for TLS it is left.
        let (_, Some(Detached { handler, stream: plain, .. })) = drive(conn, courier, drain.clone()).await else {
            return;
        };
        courier = handler;
        match handshake::shake(plain, keys.as_ref(), keeping.client.timeouts.tls).await {
            Ok((secured, info)) => {
                stream = secured;
                link.tls = Some(info.clone());
                courier.tls = Security::Tls(info.clone());
                Engine::switched(&mut line.clone(), Switched::Tls(info), begun.elapsed());
            }
            Err(failed) => {
                courier.cut = Some(Cut::Handshake(failed.to_string()));
                courier.tls = Security::Failed(failed);
                // Nobody is there any more, and the engine has that to report.
                stream = Box::new(tokio::io::empty());
                Engine::handle_eof(&mut line.clone());
            }
        }
    }
}

/// Hands messages to the engine, and their reports to whoever waits.
struct Courier {
    work: Work,
    /// Held until the host has shown that it can be spoken with.
    asked: Option<Asked>,
    tls: Security,
    cut: Option<Cut>,
    key: Key,
    pool: Arc<Pool>,
    /// Messages so far.
    carried: u32,
    begun: Instant,
    keeping: Arc<Keeping>,
}

/// What a courier does now.
enum Work {
    /// A message is under way.
    Carrying(Carried),
    /// Its report is there. It is told as soon as it is known whether the connection can be called again: whoever hears it may
    /// have the next message in hand.
    Reporting(Carried, Box<Report>),
    /// Nothing; another message may come.
    Waiting { called: oneshot::Receiver<Box<Job>>, until: Instant },
    /// It has come.
    Called(Box<Job>),
    /// No more is taken.
    Leaving,
}

/// The part of a [`Job`] that the engine does not have.
struct Carried {
    body: Body,
    told: oneshot::Sender<Heard>,
}

/// Why a message could not be sent to its end.
enum Unsent {
    Gone,
    Unreadable(mailqueue::ReadError),
    Misuse,
}

impl From<Gone> for Unsent {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl Handler<Line> for Courier {
    async fn event(&mut self, conn: &mut Connection<Line>, event: LineEvent) -> Result<Next, crate::net::Fault> {
        let event = match event {
            LineEvent::StartTls => return Ok(Next::Detach),
            LineEvent::Delivery(event) => event,
        };
        match event {
            DeliveryEvent::Body => {
                self.is_reached();
                self.send(conn).await;
            }
            DeliveryEvent::Done(report) => {
                if conn.gone().is_some() {
                    self.cut.get_or_insert(Cut::Line);
                }
                self.report(report);
            }
            DeliveryEvent::Idle => self.rest(conn),
            // No policy has a login that asks.
            DeliveryEvent::Challenge(_) => conn.speak(|line, now, out| line.lock().delivery.decline(now, out)),
        }
        Ok(Next::Go)
    }

    async fn wake(&mut self) {
        let Work::Waiting { called, until } = &mut self.work else {
            return match self.work {
                Work::Reporting(..) => {}
                Work::Carrying(_) | Work::Waiting { .. } | Work::Called(_) | Work::Leaving => {
                    std::future::pending().await
                }
            };
        };
        let job = tokio::select! {
            biased;
            job = &mut *called => job.ok(),
            () = sleep_until(*until) => {
                // From here on nobody can call; who already has is heard.
                called.close();
                called.try_recv().ok()
            }
        };
        self.work = job.map_or(Work::Leaving, Work::Called);
    }

    async fn woken(&mut self, conn: &mut Connection<Line>) -> Result<Next, crate::net::Fault> {
        match std::mem::replace(&mut self.work, Work::Leaving) {
            Work::Reporting(carried, report) => self.tell(carried, Some(report)),
            Work::Called(job) => {
                let Job { envelope, body, told } = *job;
                let carried = Carried { body, told };
                match conn.speak(|line, now, out| line.lock().delivery.again(envelope, now, out)) {
                    Ok(()) => self.work = Work::Carrying(carried),
                    // The server has left.
                    Err(_) => self.tell(carried, None),
                }
            }
            Work::Leaving => {
                self.pool.sweep(&self.key);
                conn.speak(|line, now, out| line.lock().delivery.decline(now, out));
            }
            // Nothing wakes these.
            work @ (Work::Carrying(_) | Work::Waiting { .. }) => self.work = work,
        }
        Ok(Next::Go)
    }

    async fn closed(mut self, _: Close) {
        match std::mem::replace(&mut self.work, Work::Leaving) {
            // No engine ends without a report.
            Work::Carrying(carried) => self.tell(carried, None),
            Work::Reporting(carried, report) => self.tell(carried, Some(report)),
            Work::Waiting { mut called, .. } => {
                called.close();
                self.pool.sweep(&self.key);
                if let Ok(job) = called.try_recv() {
                    self.tell(Carried { body: job.body, told: job.told }, None);
                }
            }
            Work::Called(job) => self.tell(Carried { body: job.body, told: job.told }, None),
            Work::Leaving => {}
        }
        metrics::histogram!("posthaste_outbound_messages_per_connection").record(f64::from(self.carried));
    }
}

impl Courier {
    async fn send(&mut self, conn: &mut Connection<Line>) {
        let Work::Carrying(Carried { body, .. }) = &self.work else { return };
        let mut body = body.reader();
        let sent = async {
            while let Some(chunk) = body.next().await.map_err(Unsent::Unreadable)? {
                conn.speak(|line, _, out| line.lock().delivery.body(&chunk, out)).map_err(|_| Unsent::Misuse)?;
                conn.drain().await?;
            }
            // Whoever has left before the end of the message has not taken it. Behind the end nobody would know.
            conn.listen(Duration::ZERO).await?;
            if conn.speak(|line, _, _| line.lock().end) == End::Closed {
                return Err(Unsent::Gone);
            }
            conn.speak(|line, now, out| line.lock().delivery.end_body(now, out)).map_err(|_| Unsent::Misuse)
        };
        let Err(unsent) = sent.await else { return };
        self.cut = Some(match unsent {
            Unsent::Gone => Cut::Line,
            Unsent::Unreadable(error) => Cut::Unreadable(error.to_string()),
            Unsent::Misuse => Cut::Unsendable,
        });
        // The server must not take half a message for a whole one.
        conn.speak(|line, _, _| line.abort());
    }

    fn report(&mut self, report: Box<Report>) {
        self.settle(&report);
        match std::mem::replace(&mut self.work, Work::Leaving) {
            Work::Carrying(carried) => self.work = Work::Reporting(carried, report),
            work @ (Work::Reporting(..) | Work::Waiting { .. } | Work::Called(_) | Work::Leaving) => self.work = work,
        }
    }

    /// The engine could take another message.
    fn rest(&mut self, conn: &mut Connection<Line>) {
        let Work::Reporting(carried, report) = std::mem::replace(&mut self.work, Work::Leaving) else { return };
        self.carried = self.carried.saturating_add(1);
        let may = self.carried < self.keeping.messages && self.begun.elapsed() < self.keeping.age;
        match may.then(|| self.pool.wait(&self.key)).flatten() {
            Some(called) => self.work = Work::Waiting { called, until: Instant::now() + self.keeping.idle },
            None => conn.speak(|line, now, out| line.lock().delivery.decline(now, out)),
        }
        self.tell(carried, Some(report));
    }

    fn tell(&self, carried: Carried, report: Option<Box<Report>>) {
        // Who does not listen any more will try again.
        let _ = carried.told.send(Heard { report, cut: self.cut.clone(), tls: self.tls.clone() });
    }

    /// What the report says of the host.
    fn settle(&mut self, report: &Report) {
        let stage = report.outcomes.first().map(|outcome| outcome.said().stage);
        match (report.trouble, stage) {
            (
                Some(Trouble::Lost(smtp_proto::Close::ShutDown(_))),
                Some(smtp_proto::Stage::Greeting | smtp_proto::Stage::Hello),
            ) => self.asked = None,
            (Some(Trouble::Lost(_)), Some(smtp_proto::Stage::Greeting | smtp_proto::Stage::Hello)) => {
                if let Some(asked) = self.asked.take() {
                    asked.failed(Failure::Mute);
                }
            }
            (Some(Trouble::Tls), _) => {
                if let Some(asked) = self.asked.take() {
                    asked.failed(Failure::Tls);
                }
            }
            (Some(Trouble::Greeting | Trouble::Hello), _) => self.asked = None,
            (
                Some(Trouble::Login | Trouble::Lacking | Trouble::Limits | Trouble::Stale | Trouble::Lost(_)) | None,
                _,
            ) => {
                self.is_reached();
            }
        }
    }

    fn is_reached(&mut self) {
        if let Some(asked) = self.asked.take() {
            asked.reached();
        }
    }
}
