//! The engine of a delivery, shared between the driver and whoever looks after the connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use smtp_proto::{Delivery, DeliveryEvent};

use crate::engine::{Deadline, Engine, Layer, ShutDown, Step, Switched};

/// The engine, in hands that outlive the driver's: for the handshake, whose failure has a reason.
#[derive(Clone, Debug)]
pub(super) struct Line(Arc<Mutex<Wire>>);

#[derive(Debug)]
pub(super) struct Wire {
    pub(super) delivery: Delivery,
    pub(super) end: End,
}

/// Whether the server may still say something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Open,
    Closed,
}

/// What happens on the line.
pub(super) enum LineEvent {
    /// What the engine tells.
    Delivery(DeliveryEvent),
    /// Question: TLS is to begin.
    StartTls,
}

impl Line {
    pub(super) fn new(delivery: Delivery) -> Self {
        Self(Arc::new(Mutex::new(Wire { delivery, end: End::Open })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for Line {
    type Event = LineEvent;

    fn next_event(&mut self, now: Duration, input: &mut BytesMut, out: &mut BytesMut) -> Step<LineEvent> {
        match Engine::next_event(&mut self.lock().delivery, now, input, out) {
            Step::Event(event) => Step::Event(LineEvent::Delivery(event)),
            Step::NeedInput => Step::NeedInput,
            Step::YourTurn => Step::YourTurn,
            Step::Switch(Layer::Tls) => Step::Event(LineEvent::StartTls),
            Step::Switch(layer @ Layer::Deflate) => Step::Switch(layer),
            Step::Close(why) => Step::Close(why),
        }
    }

    fn max_input(&self) -> usize {
        self.lock().delivery.max_input()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        Engine::poll_timeout(&self.lock().delivery)
    }

    fn handle_timeout(&mut self, now: Duration, out: &mut BytesMut) {
        self.lock().delivery.handle_timeout(now, out);
    }

    fn handle_eof(&mut self) {
        let mut wire = self.lock();
        wire.end = End::Closed;
        wire.delivery.handle_eof();
    }

    fn switched(&mut self, to: Switched, now: Duration) {
        Engine::switched(&mut self.lock().delivery, to, now);
    }

    fn shut_down(&mut self, why: ShutDown, now: Duration, out: &mut BytesMut) {
        Engine::shut_down(&mut self.lock().delivery, why, now, out);
    }

    fn abort(&mut self) {
        self.lock().delivery.abort();
    }

    fn memory(&self) -> usize {
        self.lock().delivery.memory()
    }

    fn is_question(event: &LineEvent) -> bool {
        match event {
            LineEvent::Delivery(event) => event.is_question(),
            LineEvent::StartTls => true,
        }
    }

    fn chunk(event: &LineEvent) -> Option<&Bytes> {
        match event {
            LineEvent::Delivery(event) => event.chunk(),
            LineEvent::StartTls => None,
        }
    }
}
