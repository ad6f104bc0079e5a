//! Law 7: data is never taken for a command.

use crate::wire::shown;
use crate::{Broken, Enclosed, Manners, Player, Reading, Script, Subject, Told, Transcript, ensure, hex};

/// Sends the script's wire as data, in each way there is, and then once more as what it is: that must make the same
/// session as sending a harmless text of that length.
///
/// # Errors
/// If it does not, or if the application gets another text.
pub fn bodies<S: Subject>(subject: &S, data: &[u8]) -> Result<(), Broken> {
    let script = Script::new(subject.words(), data);
    let harmless: Vec<u8> = script.wire.iter().map(|octet| if octet.is_ascii() { b'x' } else { *octet }).collect();
    for (hostile, harmless) in subject.enclose(&script.wire).iter().zip(&subject.enclose(&harmless)) {
        let expected = play(subject, harmless, &script)?;
        let found = play(subject, hostile, &script)?;
        ensure!(
            found == expected,
            "takes data for something else: {found:?} instead of {expected:?} for {:?}",
            shown(&hostile.wire)
        );
    }
    Ok(())
}

/// The session from the text on, with the text itself left out.
fn play<S: Subject>(subject: &S, enclosed: &Enclosed, script: &Script) -> Result<Transcript, Broken> {
    let polite = Script::polite(enclosed.config);
    let mut player = Player::new(subject, &polite, Manners::Steady);
    player.hear(&enclosed.lead, Reading::OCTETS)?;
    player.transcript = Transcript::default();
    player.hear(&enclosed.wire, Reading { pieces: &script.pieces, ..Reading::WHOLE })?;
    let found = leave_out(enclosed.text.as_deref().unwrap_or_default(), &mut player.transcript.told);
    let expected = usize::from(enclosed.text.is_some());
    ensure!(found == expected, "tells its application the data {found} times: {:?}", player.transcript.told);
    player.follow(script);
    player.hear(&script.wire, Reading::OCTETS)?;
    Ok(player.transcript)
}

/// Leaves the text out wherever it was told; says how often that was.
fn leave_out(text: &[u8], told: &mut [Told]) -> usize {
    let (hex, mut found) = (hex(text), 0);
    for told in told {
        let is_text = match told {
            Told::Event(event) => !text.is_empty() && event.contains(&hex),
            Told::Bulk(bulk) => bulk == text,
            Told::Switched(_) => false,
        };
        if is_text {
            found += 1;
            *told = Told::Event("the text".into());
        }
    }
    found
}
