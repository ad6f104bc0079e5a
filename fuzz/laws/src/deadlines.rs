//! Law 5: no octet from the peer moves a phase's deadline, and a deadline that is due ends something.

use core::time::Duration;

use services::engine::{Close, Deadline, Engine};

use crate::{Broken, Manners, Player, Reading, Script, Subject, Told, ensure};

/// Plays the script octet by octet while time passes, then lets the last deadline pass.
///
/// A phase whose time is total may be waited for in several steps: where one is due, a peer that has sent enough by then is given
/// the next, but never more than the total. Whether it sent enough is looked at then and not before, so no octet moves anything.
///
/// # Errors
/// If the peer's octets move a deadline before they make a whole command, or within a phase whose time is total; if a
/// timer that fires early has an effect; if a deadline passes and neither the session nor the wait ends; or if a peer is given
/// more time than the phase has, or for nothing.
pub fn deadlines<S: Subject>(subject: &S, data: &[u8]) -> Result<(), Broken> {
    let script = Script::new(subject.words(), data);
    let mut player = Player::new(subject, &script, Manners::Steady);
    player.hear(&[], Reading::WHOLE)?;
    let (mut came, mut began) = (0, player.now);
    for (number, octet) in script.wire.iter().enumerate() {
        let Some(mut before) = player.engine.poll_timeout() else { break };
        let is_total = subject.total_phases().contains(&before.waiting_for);
        let mood = script.mood(number).octet();
        // Not long before a peer has sent enough, and not long behind it.
        if is_total && came >= subject.progress() / 2 && mood >= 128 {
            before = match pass(subject, &mut player, before, came)? {
                Some(next) => next,
                None => return Ok(()),
            };
            came = 0;
        } else {
            wait(&mut player, before, mood)?;
        }
        let (said, news) = (player.transcript.said.len(), news(&player));
        player.hear(core::slice::from_ref(octet), Reading::OCTETS)?;
        let Some(after) = player.engine.poll_timeout() else { break };
        let nothing_happened = player.transcript.said.len() == said
            && self::news(&player) == news
            && !subject.ends_unheard(*octet, before.waiting_for);
        let switched = matches!(player.transcript.told.last(), Some(Told::Switched(_)));
        let same_phase = after.waiting_for == before.waiting_for && !switched;
        came += 1;
        let earned = came >= subject.progress();
        if nothing_happened && !earned || same_phase && is_total {
            ensure!(after == before, "moves its deadline from {before:?} to {after:?} at an octet of its peer");
        }
        if !same_phase {
            began = player.now;
        }
        let spent = after.at.saturating_sub(began);
        ensure!(
            !is_total || !same_phase || spent <= subject.longest_phase(script.config),
            "gives {spent:?} for {after:?}"
        );
        came = if after == before { came } else { 0 };
    }
    // Who waits in steps goes on at most once for a peer that says nothing; who says something in each may go on for ever.
    for came in [came, 0] {
        let Some(due) = player.engine.poll_timeout() else { break };
        pass(subject, &mut player, due, came)?;
    }
    Ok(())
}

/// Lets all the time pass that there is. Says what is waited for then, if that is not over.
fn pass<S: Subject>(
    subject: &S,
    player: &mut Player<'_, S>,
    due: Deadline,
    came: usize,
) -> Result<Option<Deadline>, Broken> {
    let said = player.transcript.said.len();
    player.now = due.at;
    player.with(|_, engine, now, out| engine.handle_timeout(now, out));
    player.hear(&[], Reading::WHOLE)?;
    let next = player.engine.poll_timeout();
    match (player.transcript.close, next) {
        (Some(Close::Timeout(waiting_for)), None) => {
            ensure!(waiting_for == due.waiting_for, "waited for {} and missed {waiting_for}", due.waiting_for);
            let said = player.transcript.said.len();
            player.with(|_, engine, now, out| engine.handle_timeout(now, out));
            ensure!(player.transcript.said.len() == said, "times out twice");
        }
        (None, Some(next)) if next.at > due.at => {
            let goes_on = next.waiting_for == due.waiting_for && player.transcript.said.len() == said;
            ensure!(!goes_on || came >= subject.progress(), "gives more time behind {came} octets: {due:?}, {next:?}");
        }
        (close, next) => return Err(Broken::new(format!("lets {due:?} pass: {close:?}, {next:?}"))),
    }
    Ok(next)
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
