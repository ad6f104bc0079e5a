//! Law 7: data is never taken for a command.

use crate::{Broken, Enclosed, Manners, Player, Reading, Script, Subject, Told, Transcript, ensure, hex};

/// Sends the script's wire as data, in each way there is, and then once more as what it is: that must make the same
/// session as sending a harmless text that way.
///
/// # Errors
/// If it does not, or if the application gets another text.
pub fn bodies<S: Subject>(subject: &S, data: &[u8]) -> Result<(), Broken> {
    let script = Script::new(subject.words(), data);
    for (hostile, harmless) in subject.enclose(&script.wire).iter().zip(&subject.enclose(b"harmless")) {
        let expected = play(subject, harmless, &script)?;
        let found = play(subject, hostile, &script)?;
        ensure!(
            found == expected,
            "takes data for something else: {found:?} instead of {expected:?} for {:?}",
            String::from_utf8_lossy(&hostile.wire)
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
    let (bulk, text) = (Told::Bulk(enclosed.text.clone()), hex(&enclosed.text));
    let mut found = 0;
    for told in &mut player.transcript.told {
        match told {
            Told::Event(event) if event.contains(&text) => *event = event.replace(&text, "the text"),
            told if *told == bulk => *told = Told::Event("the text".into()),
            Told::Event(_) | Told::Bulk(_) | Told::Switched(_) => continue,
        }
        found += 1;
    }
    ensure!(found == 1, "tells its application the data {found} times: {:?}", player.transcript.told);
    player.follow(script);
    player.hear(&script.wire, Reading::OCTETS)?;
    Ok(player.transcript)
}
