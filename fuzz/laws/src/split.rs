//! Law 1: any split of the input gives the same octets out and, with chunks joined, the same events.

use services::engine::Close;

use crate::wire::shown;
use crate::{Broken, Manners, Pace, Player, Reading, Script, Subject, Told, Transcript, ensure};

/// Plays the script octet by octet, whole, and in its own pieces, and compares.
///
/// Behind a sync point (TLS, compression, the greeting) a peer has to wait. Octet by octet it does, since no octet arrives
/// before all ahead of it were taken; in any other reading the session may end there with the violation that says so, or report
/// that and go on as if nothing had been.
///
/// # Errors
/// If a reading makes another session.
pub fn split<S: Subject>(subject: &S, data: &[u8]) -> Result<(), Broken> {
    let script = Script::new(subject.words(), data);
    let expected = play(subject, &script, Reading::OCTETS)?;
    ensure!(!expected.told.iter().any(|told| is_report(subject, told)), "reports a peer for haste who has waited");
    for reading in [
        Reading::WHOLE,
        Reading { pieces: &[0], pace: Pace::Eager },
        Reading { pieces: &script.pieces, pace: Pace::Asked },
        Reading { pieces: &script.pieces, pace: Pace::Eager },
    ] {
        let found = without_reports(subject, play(subject, &script, reading)?);
        if found != expected && !ends_at_sync_point(subject, &found, &expected) {
            return Err(Broken::new(format!(
                "is another one when read as {reading:?}: {}",
                difference(&expected, &found)
            )));
        }
    }
    Ok(())
}

fn play<S: Subject>(subject: &S, script: &Script, reading: Reading<'_>) -> Result<Transcript, Broken> {
    let mut player = Player::new(subject, script, Manners::Wild);
    player.hear(&script.wire, reading)?;
    if player.transcript.close.is_none() {
        player.end()?;
    }
    ensure!(player.transcript.close.is_some(), "does not end");
    Ok(player.transcript)
}

/// Whether `found` is `expected` up to a sync point, and there ends with the violation of running past it.
fn ends_at_sync_point<S: Subject>(subject: &S, found: &Transcript, expected: &Transcript) -> bool {
    let Some(Close::Violation(name)) = found.close else { return false };
    let told = found.told.iter().zip(&expected.told).take_while(|(found, expected)| is_as_far(found, expected)).count();
    subject.sync_violations().contains(&name)
        && subject.sync_news().contains(&(found.told.len() - told))
        && expected.said.starts_with(without_last_line(&found.said))
}

/// Whether it is the same as far as it goes: bulk may have broken off.
fn is_as_far(found: &Told, expected: &Told) -> bool {
    match (found, expected) {
        (Told::Bulk(found), Told::Bulk(expected)) => expected.starts_with(found),
        (Told::Bulk(_) | Told::Event(_) | Told::Switched(_), _) => found == expected,
    }
}

fn is_report<S: Subject>(subject: &S, told: &Told) -> bool {
    let Some((_, text)) = subject.sync_report() else { return false };
    matches!(told, Told::Event(event) if event == text)
}

/// The session without the news that a peer did not wait, unless it ended by that. The bulk on both sides of them is joined, as it
/// is where they are not told.
fn without_reports<S: Subject>(subject: &S, transcript: Transcript) -> Transcript {
    let name = subject.sync_report().map(|(name, _)| name);
    let ends_so = matches!(transcript.close, Some(Close::Violation(end)) if name == Some(end));
    let end = transcript.told.iter().rposition(|told| is_report(subject, told)).filter(|_| ends_so);
    let mut told: Vec<Told> = Vec::new();
    for (at, next) in transcript.told.into_iter().enumerate() {
        match (told.last_mut(), next) {
            (_, next) if is_report(subject, &next) && end != Some(at) => {}
            (Some(Told::Bulk(bulk)), Told::Bulk(more)) => bulk.extend(more),
            (_, next) => told.push(next),
        }
    }
    Transcript { told, ..transcript }
}

/// What was said ahead of the last line, which is the reply to the violation.
fn without_last_line(said: &[u8]) -> &[u8] {
    let ended = said.strip_suffix(b"\r\n").unwrap_or(said);
    let start = ended.windows(2).rposition(|two| two == b"\r\n").map_or(0, |at| at + 2);
    ended.get(..start).unwrap_or_default()
}

fn difference(expected: &Transcript, found: &Transcript) -> String {
    if expected.told != found.told {
        return format!("tells\n  {:?}\ninstead of\n  {:?}", found.told, expected.told);
    }
    if expected.said != found.said {
        return format!("says\n  {}\ninstead of\n  {}", shown(&found.said), shown(&expected.said));
    }
    format!("ends with {:?} instead of {:?}", found.close, expected.close)
}
