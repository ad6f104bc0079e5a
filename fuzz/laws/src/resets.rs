//! Law 6: what was said before a reset is forgotten.

use crate::wire::shown;
use crate::{Broken, Draw, Manners, Player, Reading, Reset, Script, Subject, Transcript, ensure};

/// Plays a session up to a reset twice, once with gossip ahead of it, and the script behind it: both must go on alike.
///
/// # Errors
/// If they do not.
pub fn resets<S: Subject>(subject: &S, data: &[u8]) -> Result<(), Broken> {
    let mut draw = Draw::new(data);
    let at = draw.below(subject.resets().len());
    let Some(reset) = subject.resets().get(at) else { return Ok(()) };
    let mut gossip = Vec::new();
    for _ in 0..draw.octet() % 8 {
        gossip.extend_from_slice(draw.pick(reset.gossip));
    }
    let script = Script::new(subject.words(), draw.rest()).under(reset.config);
    let expected = play(subject, reset, &[], &script)?;
    let found = play(subject, reset, &gossip, &script)?;
    ensure!(found == expected, "remembers over {:?}: {found:?} instead of {expected:?}", shown(reset.edge));
    Ok(())
}

/// What happens from the reset on.
fn play<S: Subject>(subject: &S, reset: &Reset, gossip: &[u8], script: &Script) -> Result<Transcript, Broken> {
    let polite = Script::polite(reset.config);
    let mut player = Player::new(subject, &polite, Manners::Steady);
    player.hear(reset.lead, Reading::OCTETS)?;
    player.hear(gossip, Reading::OCTETS)?;
    ensure!(player.transcript.close.is_none(), "ends at gossip that should be harmless");
    player.transcript = Transcript::default();
    player.hear(reset.edge, Reading::WHOLE)?;
    // That there was something to forget may be told; who knows of nothing else will not be surprised by it.
    player.transcript.told.clear();
    player.follow(script);
    player.hear(&script.wire, Reading::OCTETS)?;
    Ok(player.transcript)
}
