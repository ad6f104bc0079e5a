//! What one run consists of: a configuration, an application's moods, and what the peer sends.

use crate::draw::Draw;

/// A run, read from any octets.
///
/// The first octet chooses the configuration, the second says how many octets of moods and how many lengths of pieces
/// follow; the rest is what the peer sends. In it an octet from 0x80 to 0xBF stands for a word of the protocol, so that
/// short data makes long dialogues; 0xC0, which is nowhere in UTF-8, stands with the octet behind it for a word from the 65th
/// on. Every other octet is itself, so that dictionaries and corpora are plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Which configuration, as the subject counts them.
    pub config: u8,
    /// How the application feels about each question in turn.
    moods: Vec<u8>,
    /// Lengths of the pieces in which the wire arrives, in turn.
    pub pieces: Vec<u8>,
    /// What the peer sends.
    pub wire: Vec<u8>,
}

impl Script {
    /// Reads a script.
    #[must_use]
    pub fn new(words: &[&[u8]], data: &[u8]) -> Self {
        let mut draw = Draw::new(data);
        let (config, counts) = (draw.octet(), draw.octet());
        let mut take = |count: u8| (0..count).map(|_| draw.octet()).collect();
        let (moods, pieces) = (take(counts & 31), take(counts >> 5));
        let mut wire = Vec::new();
        let mut rest = draw.rest();
        while let Some((octet, behind)) = rest.split_first() {
            rest = behind;
            match (octet, behind) {
                (0x80..=0xbf, _) => wire.extend_from_slice(word_at(words, usize::from(octet - 0x80))),
                (0xc0, [word, behind @ ..]) => {
                    wire.extend_from_slice(word_at(words, 0x40 + usize::from(*word)));
                    rest = behind;
                }
                (_, _) => wire.push(*octet),
            }
        }
        Self { config, moods, pieces, wire }
    }

    /// Says nothing, and agrees to everything.
    #[must_use]
    pub const fn polite(config: u8) -> Self {
        Self { config, moods: Vec::new(), pieces: Vec::new(), wire: Vec::new() }
    }

    /// The same script under another configuration.
    #[must_use]
    pub fn under(self, config: u8) -> Self {
        Self { config, ..self }
    }

    /// The application's decisions about its `number`th question.
    #[must_use]
    pub fn mood(&self, number: usize) -> Draw<'_> {
        let at = number.checked_rem(self.moods.len()).unwrap_or_default();
        Draw::numbered(self.moods.get(at..=at).unwrap_or_default(), number)
    }
}

fn word_at<'w>(words: &[&'w [u8]], at: usize) -> &'w [u8] {
    let at = at.checked_rem(words.len()).unwrap_or_default();
    words.get(at).copied().unwrap_or_default()
}
