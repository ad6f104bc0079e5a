//! Law 9: every verb in every state is in order, or is a misuse that changes nothing.

use crate::{Broken, Manners, Player, Reading, Said, Script, Subject, Transcript, ensure};

/// Plays the script with verbs everywhere, then again without those that were out of order: it must be the same session.
///
/// # Errors
/// If a verb out of order wrote something, or the session without it is another one. A verb may also panic.
pub fn verbs<S: Subject>(subject: &S, data: &[u8]) -> Result<(), Broken> {
    let script = Script::new(subject.words(), data);
    let (found, said) = play(subject, &script, None)?;
    let (expected, _) = play(subject, &script, Some(said))?;
    ensure!(found == expected, "is changed by a verb out of order: {found:?} instead of {expected:?}");
    Ok(())
}

fn play<S: Subject>(
    subject: &S,
    script: &Script,
    repeat: Option<Vec<Said>>,
) -> Result<(Transcript, Vec<Said>), Broken> {
    let mut player = Player::new(subject, script, Manners::Confused);
    if let Some(said) = repeat {
        player.repeat(said);
    }
    let length = script.pieces.first().copied().unwrap_or_default().max(1);
    for (number, piece) in script.wire.chunks(length.into()).enumerate() {
        player.verb(script.mood(number).octet())?;
        player.hear(piece, Reading::WHOLE)?;
    }
    if player.transcript.close.is_none() {
        player.end()?;
    }
    let said = player.verbs().to_vec();
    Ok((player.transcript, said))
}
