//! Law 2: no panic, and no more memory than the limits say, whatever anybody does.

use core::time::Duration;

use services::engine::{Engine, Switched, TlsInfo};

use crate::{Broken, Draw, Manners, Pace, Player, Reading, Script, Subject};

/// Plays the script in its pieces, and between them does what drivers and applications do at the wrong time.
///
/// # Errors
/// If the engine holds more than its limit, asks for input that it has no room for, or does not come to rest. It may also
/// panic, which nobody catches.
pub fn bounds<S: Subject>(subject: &S, data: &[u8]) -> Result<(), Broken> {
    let script = Script::new(subject.words(), data);
    let mut player = Player::new(subject, &script, Manners::Wild);
    let length = script.pieces.first().copied().unwrap_or_default().max(1);
    for (number, piece) in script.wire.chunks(length.into()).enumerate() {
        let mut mood = script.mood(number);
        let reading = Reading { pieces: &[0], pace: if mood.octet() < 128 { Pace::Asked } else { Pace::Eager } };
        player.hear(piece, reading)?;
        interfere(&mut player, &mut mood)?;
    }
    player.hear(&[], Reading::WHOLE)?;
    if player.transcript.close.is_some() {
        return Ok(());
    }
    player.end()
}

fn interfere<S: Subject>(player: &mut Player<'_, S>, mood: &mut Draw<'_>) -> Result<(), Broken> {
    match mood.octet() {
        0..=199 => {}
        200..=219 => player.verb(mood.octet())?,
        220..=229 => {
            player.now += Duration::from_secs(mood.octet().into()) * 8;
            player.with(|_, engine, now, out| engine.handle_timeout(now, out));
        }
        230..=234 => player.shut_down(mood),
        235..=239 => player.engine.abort(),
        240..=247 => player.engine.handle_eof(),
        248.. => {
            let to = if mood.octet() < 128 { Switched::Tls(TlsInfo::default()) } else { Switched::Deflate };
            player.engine.switched(to, player.now);
        }
    }
    Ok(())
}
