//! Law 8: what is written is what is parsed.

use crate::wire::shown;
use crate::{Broken, Draw, Subject, Written, ensure};

/// Writes something drawn and reads it back.
///
/// # Errors
/// If something else is read.
pub fn identity<S: Subject>(subject: &S, data: &[u8]) -> Result<(), Broken> {
    let Written { wire, meant, read } = subject.write(&mut Draw::new(data));
    let found = read(&wire);
    ensure!(found == meant, "means {meant} and writes {}, which is read as {found}", shown(&wire));
    Ok(())
}
