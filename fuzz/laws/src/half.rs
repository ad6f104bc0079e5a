//! One side of a pair: an engine and its driver, and the line between two of them.

use core::time::Duration;

use bytes::{Buf as _, BytesMut};
use services::engine::{Close, Engine, ShutDown, Step, Switched, TlsInfo};

use crate::{Broken, Draw};

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Up,
    /// What is written is lost.
    Cut,
}

/// One side's engine and its driver.
pub(crate) struct Half<E: Engine> {
    pub(crate) engine: E,
    input: BytesMut,
    pub(crate) out: BytesMut,
    state: State,
    /// The question that its application still thinks about.
    open: Option<E::Event>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    /// Waits for the other side's handshake.
    Switching,
    /// The peer will say no more.
    Deaf,
    Closed(Close),
}

impl<E: Engine> Half<E> {
    pub(crate) fn new(engine: E) -> Self {
        Self { engine, input: BytesMut::new(), out: BytesMut::new(), state: State::Open, open: None }
    }

    pub(crate) const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    pub(crate) fn hear_no_more(&mut self) {
        if !self.is_closed() {
            self.state = State::Deaf;
            self.engine.handle_eof();
        }
    }

    /// Goes on until more must come; says whether anything happened.
    pub(crate) fn run(
        &mut self,
        now: Duration,
        draw: &mut Draw<'_>,
        mut hear: impl FnMut(&mut E, E::Event, &mut Draw<'_>, &mut BytesMut) -> Result<(), Broken>,
    ) -> Result<bool, Broken> {
        let before = self.out.len();
        // Each turn takes an octet, or is one of a few that need none.
        for turn in 0..64 + 4 * self.input.len() {
            match self.engine.next_event(now, &mut self.input, &mut self.out) {
                Step::Event(event) if E::is_question(&event) && takes_time(draw) => self.open = Some(event),
                Step::Event(event) => hear(&mut self.engine, event, draw, &mut self.out)?,
                Step::NeedInput => return Ok(turn > 0 || self.out.len() > before),
                Step::YourTurn if self.open.is_some() && takes_time(draw) => return Ok(turn > 0),
                Step::YourTurn => {
                    let Some(event) = self.open.take() else {
                        return Err(Broken::new("says that an answer was none"));
                    };
                    hear(&mut self.engine, event, draw, &mut self.out)?;
                }
                Step::Switch(_) if self.state == State::Open => {
                    self.state = State::Switching;
                    return Ok(true);
                }
                Step::Switch(_) => return Ok(turn > 0),
                Step::Close(why) => {
                    let closes = !self.is_closed();
                    self.state = State::Closed(why);
                    return Ok(closes);
                }
            }
        }
        Err(Broken::new("goes on and on without input"))
    }
}

/// Whether an application answers later.
fn takes_time(draw: &mut Draw<'_>) -> bool {
    draw.octet() >= 230
}

/// Carries octets, and behind the last one that nothing follows; says whether that was anything.
pub(crate) fn carry<A: Engine, B: Engine>(from: &mut Half<A>, to: &mut Half<B>, line: Line, at_most: usize) -> bool {
    if line == Line::Cut || to.is_closed() {
        from.out.clear();
        return false;
    }
    let room = to.engine.max_input().saturating_sub(to.input.len());
    let length = from.out.len().min(at_most).min(room);
    to.input.extend_from_slice(from.out.get(..length).unwrap_or_default());
    from.out.advance(length);
    let ends = from.is_closed() && from.out.is_empty() && to.state != State::Deaf;
    if ends {
        to.hear_no_more();
    }
    length > 0 || ends
}

/// Where both wait for the handshake, it succeeds or not, as drawn; says whether they did.
pub(crate) fn shake_hands<A: Engine, B: Engine>(
    client: &mut Half<A>,
    server: &mut Half<B>,
    draw: &mut Draw<'_>,
    now: Duration,
) -> bool {
    if (client.state, server.state) != (State::Switching, State::Switching) {
        return false;
    }
    if draw.octet() < 240 {
        client.engine.switched(Switched::Tls(TlsInfo::default()), now);
        server.engine.switched(Switched::Tls(TlsInfo::default()), now);
        (client.state, server.state) = (State::Open, State::Open);
    } else {
        client.hear_no_more();
        server.hear_no_more();
    }
    true
}

/// Why somebody leaves.
pub(crate) fn reason(draw: &mut Draw<'_>) -> ShutDown {
    match draw.octet() % 4 {
        0 | 1 => ShutDown::Stopping,
        2 => ShutDown::Overloaded,
        _ => ShutDown::Fault,
    }
}
