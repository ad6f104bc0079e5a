//! Faults planted in a sound engine, one for each law: a law that does not find its fault is no law.

use core::ops::RangeInclusive;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use services::engine::{Deadline, Engine, ShutDown, Step, Switched};

use crate::{Draw, Enclosed, Reset, Said, Subject, Written};

/// What is wrong with the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Forgets the part of a command that it has when it asks for more.
    ForgetsParts,
    /// Keeps a page for every octet that its peer ever sent.
    Hoards,
    /// Says everything twice.
    SaysTwice,
    /// Says goodbye after it has closed.
    TalksOn,
    /// Gives its peer more time for every octet.
    IsPatient,
    /// Does not notice a reset.
    Remembers,
    /// Obeys `QUIT` and `LOGOUT` wherever they are written.
    ObeysData,
    /// Takes BDAT for a command that no octets follow.
    RunsChunks,
    /// Leaves out an octet of what it writes.
    SkipsOctets,
    /// Writes an excuse when a verb is out of order.
    Excuses,
}

/// A subject with a fault.
#[derive(Clone, Debug)]
pub struct Planted<S> {
    subject: S,
    fault: Fault,
}

/// Its engine.
#[derive(Debug)]
pub struct Faulty<E> {
    engine: E,
    fault: Fault,
    edges: Vec<&'static [u8]>,
    hoard: usize,
    known: usize,
    last_octet: Duration,
}

impl<S: Subject> Planted<S> {
    /// Plants a fault.
    pub const fn new(subject: S, fault: Fault) -> Self {
        Self { subject, fault }
    }
}

impl<E: Engine> Engine for Faulty<E> {
    type Event = E::Event;

    fn next_event(&mut self, now: Duration, input: &mut BytesMut, out: &mut BytesMut) -> Step<E::Event> {
        if input.len() > self.known {
            self.hoard += input.len() - self.known;
            self.last_octet = now;
        }
        if self.fault == Fault::Remembers {
            for edge in &self.edges {
                if input.ends_with(edge) {
                    input.truncate(input.len() - edge.len());
                }
            }
        }
        let obeys = |word: &[u8]| input.windows(word.len()).any(|octets| octets == word);
        if self.fault == Fault::ObeysData && (obeys(b"QUIT\r\n") || obeys(b"LOGOUT\r\n")) {
            self.engine.abort();
        }
        if self.fault == Fault::RunsChunks
            && let Some(verb) = input.get_mut(..4).filter(|verb| *verb == b"BDAT")
        {
            verb.copy_from_slice(b"NOOP");
        }
        let before = out.len();
        let step = self.engine.next_event(now, input, out);
        if self.fault == Fault::ForgetsParts && matches!(step, Step::NeedInput) && input.len() < 4 {
            input.clear();
        }
        self.known = input.len();
        match (self.fault, &step) {
            (Fault::SaysTwice, _) => {
                let said = out.split_off(before);
                out.extend_from_slice(&said);
                out.extend_from_slice(&said);
            }
            (Fault::TalksOn, Step::Close(_)) => out.extend_from_slice(b"bye\r\n"),
            _ => {}
        }
        step
    }

    fn max_input(&self) -> usize {
        self.engine.max_input()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        let deadline = self.engine.poll_timeout()?;
        let later = if self.fault == Fault::IsPatient { self.last_octet } else { Duration::ZERO };
        Some(Deadline { at: deadline.at + later, ..deadline })
    }

    fn handle_timeout(&mut self, now: Duration, out: &mut BytesMut) {
        self.engine.handle_timeout(now, out);
    }

    fn handle_eof(&mut self) {
        self.engine.handle_eof();
    }

    fn switched(&mut self, to: Switched, now: Duration) {
        self.engine.switched(to, now);
    }

    fn shut_down(&mut self, why: ShutDown, now: Duration, out: &mut BytesMut) {
        self.engine.shut_down(why, now, out);
    }

    fn abort(&mut self) {
        self.engine.abort();
    }

    fn memory(&self) -> usize {
        self.engine.memory() + if self.fault == Fault::Hoards { 4096 * self.hoard } else { 0 }
    }

    fn is_question(event: &E::Event) -> bool {
        E::is_question(event)
    }

    fn chunk(event: &E::Event) -> Option<&Bytes> {
        E::chunk(event)
    }
}

impl<S: Subject> Subject for Planted<S> {
    type Engine = Faulty<S::Engine>;
    type Listener = S::Listener;

    fn start(&self, config: u8, now: Duration) -> Faulty<S::Engine> {
        let edges = self.subject.resets().iter().map(|reset: &Reset| reset.edge).collect();
        let engine = self.subject.start(config, now);
        Faulty { engine, fault: self.fault, edges, hoard: 0, known: 0, last_octet: Duration::ZERO }
    }

    fn words(&self) -> &[&[u8]] {
        self.subject.words()
    }

    fn memory(&self) -> usize {
        self.subject.memory()
    }

    fn total_phases(&self) -> &[&str] {
        self.subject.total_phases()
    }

    fn longest_phase(&self, config: u8) -> Duration {
        self.subject.longest_phase(config)
    }

    fn progress(&self) -> usize {
        self.subject.progress()
    }

    fn ends_unheard(&self, octet: u8, waiting_for: &str) -> bool {
        self.subject.ends_unheard(octet, waiting_for)
    }

    fn sync_violations(&self) -> &[&str] {
        self.subject.sync_violations()
    }

    fn sync_report(&self) -> Option<(&str, &str)> {
        self.subject.sync_report()
    }

    fn sync_news(&self) -> RangeInclusive<usize> {
        self.subject.sync_news()
    }

    fn answer(
        &self,
        engine: &mut Faulty<S::Engine>,
        question: &<S::Engine as Engine>::Event,
        draw: &mut Draw<'_>,
        now: Duration,
        out: &mut BytesMut,
    ) {
        self.subject.answer(&mut engine.engine, question, draw, now, out);
    }

    fn decline(&self, engine: &mut Faulty<S::Engine>, now: Duration, out: &mut BytesMut) {
        self.subject.decline(&mut engine.engine, now, out);
    }

    fn verb(&self, engine: &mut Faulty<S::Engine>, draw: &mut Draw<'_>, now: Duration, out: &mut BytesMut) -> Said {
        let said = self.subject.verb(&mut engine.engine, draw, now, out);
        if self.fault == Fault::Excuses && said == Said::Misuse {
            out.extend_from_slice(b"sorry\r\n");
        }
        said
    }

    fn tell(&self, event: &<S::Engine as Engine>::Event) -> String {
        self.subject.tell(event)
    }

    fn listener(&self, config: u8) -> Self::Listener {
        self.subject.listener(config)
    }

    fn resets(&self) -> &[Reset] {
        self.subject.resets()
    }

    fn enclose(&self, text: &[u8]) -> Vec<Enclosed> {
        self.subject.enclose(text)
    }

    fn write(&self, draw: &mut Draw<'_>) -> Written {
        let mut written = self.subject.write(draw);
        if self.fault == Fault::SkipsOctets && !written.wire.is_empty() {
            written.wire.remove(written.wire.len() / 2);
        }
        written
    }
}
