//! Law 5: no octet from the peer moves a phase's deadline, and a deadline that is due ends something.

use core::time::Duration;

use services::engine::{Close, Deadline, Engine};

use crate::{Broken, Manners, Player, Reading, Script, Subject, Told, ensure};

/// Plays the script octet by octet while time passes, then lets the last deadline pass.
///
/// # Errors
/// If the peer's octets move a deadline before they make a whole command, or within a phase whose time is total; if a
/// timer that fires early has an effect; or if a deadline passes and neither the session nor the wait ends.
pub fn deadlines<S: Subject>(subject: &S, data: &[u8]) -> Result<(), Broken> {
    let script = Script::new(subject.words(), data);
    let mut player = Player::new(subject, &script, Manners::Steady);
    player.hear(&[], Reading::WHOLE)?;
    let mut came = 0;
    for (number, octet) in script.wire.iter().enumerate() {
        let Some(before) = player.engine.poll_timeout() else { break };
        wait(&mut player, before, script.mood(number).octet())?;
        let (said, news) = (player.transcript.said.len(), news(&player));
        player.hear(core::slice::from_ref(octet), Reading::OCTETS)?;
        let Some(after) = player.engine.poll_timeout() else { break };
        let nothing_happened =
            player.transcript.said.len() == said && self::news(&player) == news && !subject.ends_unheard(*octet);
        let switched = matches!(player.transcript.told.last(), Some(Told::Switched(_)));
        let same_phase = after.waiting_for == before.waiting_for && !switched;
        came += 1;
        let earned = came >= subject.progress();
        if nothing_happened && !earned || same_phase && subject.total_phases().contains(&after.waiting_for) {
            ensure!(after == before, "moves its deadline from {before:?} to {after:?} at an octet of its peer");
        }
        came = if after == before { came } else { 0 };
    }
    let Some(due) = player.engine.poll_timeout() else { return Ok(()) };
    player.now = due.at;
    player.with(|_, engine, now, out| engine.handle_timeout(now, out));
    player.hear(&[], Reading::WHOLE)?;
    match (player.transcript.close, player.engine.poll_timeout()) {
        (Some(Close::Timeout(waiting_for)), None) => {
            ensure!(waiting_for == due.waiting_for, "waited for {} and missed {waiting_for}", due.waiting_for);
        }
        (None, Some(next)) if next.at > due.at => {}
        (close, next) => return Err(Broken::new(format!("lets {due:?} pass: {close:?}, {next:?}"))),
    }
    let said = player.transcript.said.len();
    player.with(|_, engine, now, out| engine.handle_timeout(now, out));
    ensure!(player.transcript.said.len() == said, "times out twice");
    Ok(())
}

/// Lets a while pass, less than there is, and a timer fire too early.
fn wait<S: Subject>(player: &mut Player<'_, S>, deadline: Deadline, mood: u8) -> Result<(), Broken> {
    let left = deadline.at.saturating_sub(player.now);
    ensure!(left > Duration::ZERO, "sets a deadline that is over: {deadline:?}");
    let before = player.transcript.clone();
    player.now += left / 256 * u32::from(mood);
    player.with(|_, engine, now, out| engine.handle_timeout(now, out));
    player.hear(&[], Reading::WHOLE)?;
    ensure!(player.transcript == before, "times out before its time");
    ensure!(player.engine.poll_timeout() == Some(deadline), "moves its deadline when a timer fires early");
    Ok(())
}

/// How many events there were that are not bulk: bulk belongs to a phase under way.
fn news<S: Subject>(player: &Player<'_, S>) -> usize {
    player.transcript.told.iter().filter(|told| !matches!(told, Told::Bulk(_))).count()
}
