//! What the laws have to know of a protocol.

use core::ops::RangeInclusive;
use core::time::Duration;

use bytes::BytesMut;
use services::engine::{Close, Engine};

use crate::{Broken, Draw};

/// An engine under test, and the little of its protocol that the laws cannot know.
pub trait Subject {
    /// The engine.
    type Engine: Engine;
    /// The peer's view of the dialogue.
    type Listener: Listener;

    /// Begins a session under one of the configurations.
    fn start(&self, config: u8, now: Duration) -> Self::Engine;
    /// Words that peers say, mostly whole lines with their CRLF. The first 64 are said most.
    fn words(&self) -> &[&[u8]];
    /// The most octets of heap that a session may hold for its peer.
    fn memory(&self) -> usize;
    /// The names of the phases whose time runs from their beginning to their end, whatever is said in them.
    fn total_phases(&self) -> &[&str];
    /// The most time that such a phase has under that configuration, with all that a peer in haste may be given in it.
    fn longest_phase(&self, _config: u8) -> Duration {
        Duration::MAX
    }
    /// How many octets of its own bulk a peer has to send to be given more time: as they come, in a phase without a total, or
    /// when the time is up, in one with a total.
    fn progress(&self) -> usize {
        usize::MAX
    }
    /// Whether an octet may end something that the engine takes without a word to anybody, where it waits for that.
    fn ends_unheard(&self, _octet: u8, _waiting_for: &str) -> bool {
        false
    }
    /// The names of the violations that octets behind a sync point are answered with.
    fn sync_violations(&self) -> &[&str];
    /// The violation, by its name and by the text of its event, that tells of octets behind a sync point where the session may
    /// go on all the same. Nothing else depends on how octets arrive.
    fn sync_report(&self) -> Option<(&str, &str)> {
        None
    }
    /// How much is told where a session ends so: the violation or what comes of it, and that a transaction is no more.
    fn sync_news(&self) -> RangeInclusive<usize> {
        1..=2
    }

    /// Answers a question whole, as drawn: yes or no, with text or without.
    fn answer(
        &self,
        engine: &mut Self::Engine,
        question: &<Self::Engine as Engine>::Event,
        draw: &mut Draw<'_>,
        now: Duration,
        out: &mut BytesMut,
    );
    /// Answers any question in the negative.
    fn decline(&self, engine: &mut Self::Engine, now: Duration, out: &mut BytesMut);
    /// Calls a verb of the application, whatever the session waits for.
    fn verb(&self, engine: &mut Self::Engine, draw: &mut Draw<'_>, now: Duration, out: &mut BytesMut) -> Said;
    /// An event in text: two events are the same if their texts are. Secrets are told in hexadecimal.
    fn tell(&self, event: &<Self::Engine as Engine>::Event) -> String;

    /// A peer that has heard nothing yet, under one of the configurations.
    fn listener(&self, config: u8) -> Self::Listener;
    /// Where the engine has to forget what it was told.
    fn resets(&self) -> &[Reset];
    /// Ways to send `text` as data: nothing in it may be taken for a command.
    fn enclose(&self, text: &[u8]) -> Vec<Enclosed>;
    /// Something that the crate writes, and how the peer or the crate's own parser reads it.
    fn write(&self, draw: &mut Draw<'_>) -> Written;
}

/// Whether a verb was in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It was, or it has no effect where it is not.
    Ok,
    /// It was not, and nothing has happened.
    Misuse,
}

/// The peer's side of a dialogue: what it sends in one go, and which reply to that is a right one.
pub trait Listener {
    /// How many octets of `wire` are the next thing to say. `None` where what is left is no whole one.
    fn utterance(&self, wire: &[u8]) -> Option<usize>;
    /// Hears what was said to the last utterance, and whether the session ended with it; the greeting is said to an empty
    /// one.
    ///
    /// # Errors
    /// If that is not one final reply and nothing more.
    fn hear(&mut self, utterance: &[u8], said: &[u8], end: Option<Close>) -> Result<(), Broken>;
}

/// A place where a session forgets.
#[derive(Clone, Debug)]
pub struct Reset {
    /// The configuration in which it happens.
    pub config: u8,
    /// What leads there.
    pub lead: &'static [u8],
    /// What may be said and has to be forgotten; none of it ends the session.
    pub gossip: &'static [&'static [u8]],
    /// What makes the session forget.
    pub edge: &'static [u8],
}

/// A way to send text as data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enclosed {
    /// The configuration in which it is possible.
    pub config: u8,
    /// What leads there.
    pub lead: Vec<u8>,
    /// The text as it goes over the wire, with its end.
    pub wire: Vec<u8>,
    /// The text as the application gets it; `None` where it is not to get it.
    pub text: Option<Vec<u8>>,
}

/// Something written.
#[derive(Clone, Debug)]
pub struct Written {
    /// As it goes over the wire.
    pub wire: Vec<u8>,
    /// What is meant by it.
    pub meant: String,
    /// How it is read.
    pub read: fn(&[u8]) -> String,
}
