//! Passwords in the clear: as short a life as can be.

use std::borrow::Cow;

use zeroize::Zeroizing;

/// The octets of the longest password that is looked at. SHA-512-crypt's work grows with the square of the length, so
/// that without a bound one attempt could keep a core busy.
pub const MAX_PASSWORD: usize = 1024;

/// Makes a password that nobody guesses (100 bits) and everybody can read out: `k3vwm-…`, four groups of five, without
/// letters that look like digits.
///
/// # Errors
/// Where the system gives no randomness.
pub fn random_password() -> std::io::Result<Zeroizing<String>> {
    let mut random = Zeroizing::new([0u8; 20]);
    getrandom::fill(random.as_mut())?;
    let mut text = Zeroizing::new(String::with_capacity(24));
    for (n, octet) in random.iter().enumerate() {
        if n > 0 && n % 5 == 0 {
            text.push('-');
        }
        text.extend(ALPHABET.chars().nth(usize::from(octet % 32)));
    }
    Ok(text)
}

/// The form of a password that SCRAM derives its keys from (RFC 5802 §2.2, RFC 4013). What SASLprep refuses is taken as
/// it is: it knows Unicode 3.2 only, and a password with a later character is still a password.
pub(crate) fn prepared(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let Ok(text) = std::str::from_utf8(password) else { return Zeroizing::new(password.to_vec()) };
    match stringprep::saslprep(text) {
        Ok(Cow::Borrowed(same)) => Zeroizing::new(same.as_bytes().to_vec()),
        Ok(Cow::Owned(other)) => Zeroizing::new(other.into_bytes()),
        Err(_) => Zeroizing::new(password.to_vec()),
    }
}

const ALPHABET: &str = "023456789abcdefghjkmnpqrstuvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_passwords_differ_and_hold_only_their_alphabet() {
        let (one, other) = (random_password().unwrap(), random_password().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 23);
        assert!(one.split('-').all(|group| group.len() == 5 && group.bytes().all(|c| c.is_ascii_alphanumeric())));
    }

    #[test]
    fn the_prepared_form_is_composed() {
        assert_eq!(*prepared("a\u{30a}\u{b2}".as_bytes()), "\u{e5}2".as_bytes());
    }

    #[test]
    fn what_saslprep_does_not_know_stays_as_it_is() {
        assert_eq!(*prepared("\u{1f984}".as_bytes()), "\u{1f984}".as_bytes());
        assert_eq!(*prepared(b"\xff"), b"\xff");
    }
}
