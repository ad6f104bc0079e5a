//! Drives an engine as the services do, and looks on.

use core::time::Duration;

use bytes::BytesMut;
use services::engine::{Close, Engine, Layer, ShutDown, Step, Switched, TlsInfo};

use crate::{Broken, Draw, Said, Script, Subject, ensure};

/// What a session said and told, from its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// What went to the peer.
    pub said: Vec<u8>,
    /// What the application was told, with the chunks of one body joined.
    pub told: Vec<Told>,
    /// How it ended.
    pub close: Option<Close>,
}

/// Something that the application was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// An event, in text.
    Event(String),
    /// All bulk data up to the next event.
    Bulk(Vec<u8>),
    /// The driver changed the transport.
    Switched(Layer),
}

/// How the wire arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading<'a> {
    /// Lengths of the pieces, in turn; 0 stands for all there is.
    pub pieces: &'a [u8],
    /// When more of it arrives.
    pub pace: Pace,
}

/// When the next piece arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// When the engine asks for it.
    Asked,
    /// Also while a question is open.
    Eager,
}

impl Reading<'static> {
    /// All that fits at once.
    pub const WHOLE: Self = Self { pieces: &[0], pace: Pace::Asked };
    /// An octet at a time: no octet arrives before all ahead of it were taken.
    pub const OCTETS: Self = Self { pieces: &[1], pace: Pace::Asked };
}

/// How the application behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// Answers every question, one way or the other.
    Steady,
    /// Also declines, aborts, shuts down and says what was not asked.
    Wild,
    /// Says what was not asked before every answer.
    Confused,
}

/// A session under way, with its driver and its application.
#[derive(Debug)]
pub struct Player<'a, S: Subject> {
    subject: &'a S,
    script: &'a Script,
    manners: Manners,
    /// The engine.
    pub engine: S::Engine,
    /// The time; nothing moves it but its owner.
    pub now: Duration,
    /// What arrived and was not taken.
    pub input: BytesMut,
    /// What happened up to now.
    pub transcript: Transcript,
    out: BytesMut,
    questions: usize,
    verbs: Vec<Said>,
    repeats: Option<Vec<Said>>,
}

/// What is still to arrive.
struct Arriving<'w> {
    wire: &'w [u8],
    reading: Reading<'w>,
    pieces: usize,
}

impl<'a, S: Subject> Player<'a, S> {
    /// A session that nothing has happened in.
    pub fn new(subject: &'a S, script: &'a Script, manners: Manners) -> Self {
        let now = Duration::from_secs(1000);
        Self {
            subject,
            script,
            manners,
            engine: subject.start(script.config, now),
            now,
            input: BytesMut::new(),
            transcript: Transcript::default(),
            out: BytesMut::new(),
            questions: 0,
            verbs: Vec::new(),
            repeats: None,
        }
    }

    /// Lets `wire` arrive and the session go on until it wants more than that.
    ///
    /// # Errors
    /// If the engine breaks a rule that holds always.
    pub fn hear(&mut self, wire: &[u8], reading: Reading<'_>) -> Result<(), Broken> {
        let mut arriving = Arriving { wire, reading, pieces: 0 };
        loop {
            self.turn(&mut arriving)?;
            if self.transcript.close.is_some() || arriving.wire.is_empty() {
                return Ok(());
            }
            let before = self.input.len();
            self.arrive(&mut arriving);
            ensure!(self.input.len() > before, "asks for more input than it says it may be given");
        }
    }

    /// Tells the end of the wire and goes on to the end of the session.
    ///
    /// # Errors
    /// If the session does not end.
    pub fn end(&mut self) -> Result<(), Broken> {
        self.engine.handle_eof();
        self.hear(&[], Reading::WHOLE)?;
        ensure!(self.transcript.close.is_some(), "asks for more input behind its end");
        Ok(())
    }

    /// Goes on as another script says, from its first question on.
    pub const fn follow(&mut self, script: &'a Script) {
        self.script = script;
        self.questions = 0;
    }

    /// Leaves out the verbs that were out of order when another player said the same ones.
    pub fn repeat(&mut self, said: Vec<Said>) {
        self.repeats = Some(said);
    }

    /// Whether each verb said up to now was in order.
    #[must_use]
    pub fn verbs(&self) -> &[Said] {
        &self.verbs
    }

    /// Calls the engine and keeps what it says.
    pub fn with<T>(&mut self, call: impl FnOnce(&S, &mut S::Engine, Duration, &mut BytesMut) -> T) -> T {
        let value = call(self.subject, &mut self.engine, self.now, &mut self.out);
        self.flush();
        value
    }

    /// Calls a verb, in order or not.
    ///
    /// # Errors
    /// If a verb that was not in order has written something.
    pub fn verb(&mut self, octet: u8) -> Result<(), Broken> {
        let number = self.verbs.len();
        if self.repeats.as_ref().is_some_and(|said| said.get(number) == Some(&Said::Misuse)) {
            self.verbs.push(Said::Misuse);
            return Ok(());
        }
        let before = self.transcript.said.len();
        let mut draw = Draw::numbered(core::slice::from_ref(&octet), number);
        let said = self.with(|subject, engine, now, out| subject.verb(engine, &mut draw, now, out));
        ensure!(said == Said::Ok || self.transcript.said.len() == before, "writes although a verb was out of order");
        self.verbs.push(said);
        Ok(())
    }

    /// Ends the session, for one reason or another.
    pub fn shut_down(&mut self, draw: &mut Draw<'_>) {
        let why = match draw.octet() % 3 {
            0 => ShutDown::Stopping,
            1 => ShutDown::Fault,
            _ => ShutDown::Overloaded,
        };
        self.with(|_, engine, now, out| engine.shut_down(why, now, out));
    }

    fn arrive(&mut self, arriving: &mut Arriving<'_>) {
        let pieces = arriving.reading.pieces;
        let piece =
            arriving.pieces.checked_rem(pieces.len()).and_then(|at| pieces.get(at)).copied().unwrap_or_default();
        arriving.pieces += 1;
        let room = self.engine.max_input().saturating_sub(self.input.len());
        let length = if piece == 0 { arriving.wire.len() } else { piece.into() }.min(room).min(arriving.wire.len());
        let (now, later) = arriving.wire.split_at(length);
        self.input.extend_from_slice(now);
        arriving.wire = later;
    }

    /// Goes on until the engine wants input or is done.
    fn turn(&mut self, arriving: &mut Arriving<'_>) -> Result<(), Broken> {
        // Each turn takes an octet, or answers something that took one, or is the greeting, a switch or the end.
        let mut declined = false;
        for _ in 0..64 + 4 * self.input.len() + 4 * arriving.wire.len() {
            let step = self.engine.next_event(self.now, &mut self.input, &mut self.out);
            self.flush();
            let held = self.engine.memory();
            ensure!(held <= self.subject.memory(), "holds {held} octets for its peer");
            let insists = core::mem::take(&mut declined);
            match step {
                Step::Event(event) => {
                    self.told(&event);
                    if S::Engine::is_question(&event) {
                        self.asked(&event, arriving)?;
                    }
                }
                Step::NeedInput => return Ok(()),
                // The answer was none, or not a whole one.
                Step::YourTurn => {
                    ensure!(!insists, "does not let a question be declined");
                    self.with(|subject, engine, now, out| subject.decline(engine, now, out));
                    declined = true;
                }
                Step::Switch(layer) => self.switch(layer)?,
                Step::Close(why) => {
                    self.transcript.close = Some(why);
                    return Ok(());
                }
            }
        }
        Err(Broken::new("goes on and on without input"))
    }

    /// A question is open: looks that the engine waits for its answer, and gives one.
    fn asked(&mut self, question: &<S::Engine as Engine>::Event, arriving: &mut Arriving<'_>) -> Result<(), Broken> {
        if arriving.reading.pace == Pace::Eager {
            self.arrive(arriving);
        }
        let before = (self.input.len(), self.transcript.said.len());
        ensure!(self.engine.poll_timeout().is_none(), "lets the peer's time run while a question is open");
        self.engine.handle_timeout(Duration::MAX, &mut self.out);
        let waits = matches!(self.engine.next_event(self.now, &mut self.input, &mut self.out), Step::YourTurn);
        self.flush();
        ensure!(waits, "goes on while a question is open");
        ensure!((self.input.len(), self.transcript.said.len()) == before, "works while a question is open");

        let script = self.script;
        let mut mood = script.mood(self.questions);
        self.questions += 1;
        match (self.manners, mood.octet()) {
            (Manners::Steady, _) | (Manners::Wild, 0..=199) => {}
            (Manners::Wild, 200..=214) => self.with(|subject, engine, now, out| subject.decline(engine, now, out)),
            (Manners::Wild, 215..=229) => self.shut_down(&mut mood),
            (Manners::Wild, 230..=239) => self.engine.abort(),
            (Manners::Wild, 240..) | (Manners::Confused, _) => {
                for _ in 0..mood.below(4) {
                    self.verb(mood.octet())?;
                }
            }
        }
        self.with(|subject, engine, now, out| subject.answer(engine, question, &mut mood, now, out));
        Ok(())
    }

    fn switch(&mut self, layer: Layer) -> Result<(), Broken> {
        ensure!(self.input.is_empty(), "switches layers with octets of the old one unread");
        let again = self.engine.next_event(self.now, &mut self.input, &mut self.out);
        self.flush();
        ensure!(matches!(again, Step::Switch(same) if same == layer), "forgets that it waits for a switch");
        let to = match layer {
            Layer::Tls => Switched::Tls(TlsInfo::default()),
            Layer::Deflate => Switched::Deflate,
        };
        self.engine.switched(to, self.now);
        self.transcript.told.push(Told::Switched(layer));
        Ok(())
    }

    fn told(&mut self, event: &<S::Engine as Engine>::Event) {
        match (S::Engine::chunk(event), self.transcript.told.last_mut()) {
            (Some(chunk), Some(Told::Bulk(bulk))) => bulk.extend_from_slice(chunk),
            (Some(chunk), Some(Told::Event(_) | Told::Switched(_)) | None) => {
                self.transcript.told.push(Told::Bulk(chunk.to_vec()))
            }
            (None, _) => self.transcript.told.push(Told::Event(self.subject.tell(event))),
        }
    }

    fn flush(&mut self) {
        self.transcript.said.extend_from_slice(&self.out.split());
    }
}
