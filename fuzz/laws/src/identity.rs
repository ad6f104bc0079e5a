//! Law 8: what is written is what is parsed.

use crate::{Broken, Draw, Subject, Written, ensure};

/// Writes something drawn and reads it back.
///
/// # Errors
/// If something else is read.
pub fn identity<S: Subject>(subject: &S, data: &[u8]) -> Result<(), Broken> {
    let Written { wire, meant } = subject.write(&mut Draw::new(data));
    let read = subject.read(&wire);
    ensure!(read == meant, "means {meant} and writes {:?}, which is read as {read}", String::from_utf8_lossy(&wire));
    Ok(())
}
