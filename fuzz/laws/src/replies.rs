//! Law 3: every command gets exactly one final reply.

use services::engine::Close;

use crate::{Broken, Listener, Manners, Player, Reading, Script, Subject};

/// Plays the script one utterance at a time, as a peer does that waits for each reply, and lets the peer judge them.
///
/// # Errors
/// If the peer hears something else than one final reply.
pub fn replies<S: Subject>(subject: &S, data: &[u8]) -> Result<(), Broken> {
    let script = Script::new(subject.words(), data);
    let mut player = Player::new(subject, &script, Manners::Steady);
    let mut listener = subject.listener(script.config);
    player.hear(&[], Reading::WHOLE)?;
    listener.hear(&[], &player.transcript.said, player.transcript.close)?;
    let mut wire = script.wire.as_slice();
    while player.transcript.close.is_none()
        && let Some((utterance, later)) = listener.utterance(wire).and_then(|length| wire.split_at_checked(length))
    {
        let before = player.transcript.said.len();
        player.hear(utterance, Reading::WHOLE)?;
        // A promise that the application broke is told by the end of the connection.
        if player.transcript.close != Some(Close::Aborted) {
            let said = player.transcript.said.get(before..).unwrap_or_default();
            listener.hear(utterance, said, player.transcript.close)?;
        }
        wire = later;
    }
    Ok(())
}
