//! Law 4: behind the end there is silence.

use bytes::BytesMut;
use core::time::Duration;

use services::engine::{Engine, Step, Switched, TlsInfo};

use crate::{Broken, Manners, Player, Reading, Script, Subject, ensure};

/// Plays the script to its end, then talks on to the engine from all sides.
///
/// # Errors
/// If it says anything more, has another end, or sets a deadline.
pub fn silence<S: Subject>(subject: &S, data: &[u8]) -> Result<(), Broken> {
    let script = Script::new(subject.words(), data);
    let mut player = Player::new(subject, &script, Manners::Wild);
    player.hear(&script.wire, Reading { pieces: &script.pieces, ..Reading::WHOLE })?;
    if player.transcript.close.is_none() {
        player.end()?;
    }
    let end = player.transcript.clone();
    for number in 0..12 {
        let mut mood = script.mood(number);
        let _ = mood.octet();
        match number % 6 {
            0 => player.input.extend_from_slice(&script.wire),
            1 => player.verb(mood.octet())?,
            2 => player.shut_down(&mut mood),
            3 => player.with(|_, engine, _, out| engine.handle_timeout(Duration::MAX, out)),
            4 => player.engine.switched(Switched::Tls(TlsInfo::default()), player.now),
            _ => {
                player.engine.handle_eof();
                player.engine.abort();
            }
        }
        ensure!(player.engine.poll_timeout().is_none(), "has a deadline behind its end");
        let (mut input, mut out) = (player.input.clone(), BytesMut::new());
        let step = player.engine.next_event(player.now, &mut input, &mut out);
        let Step::Close(why) = step else { return Err(Broken::new("goes on behind its end")) };
        ensure!(Some(why) == end.close, "ends with {why:?} behind {:?}", end.close);
        ensure!(out.is_empty() && player.transcript == end, "says something behind its end");
    }
    Ok(())
}
