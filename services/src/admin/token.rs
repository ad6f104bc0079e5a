//! The secret that opens the API where it is reached by TCP.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use thiserror::Error;
use zeroize::Zeroizing;

/// A secret of 20 to 1000 visible ASCII characters. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<String>);

/// Why a file gives no token; the words name the remedy.
#[derive(Debug, Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("cannot read the token file {0}: {1}; let this user read it, or choose another")]
    Unreadable(PathBuf, io::Error),
    /// Its mode lets others read or write it.
    #[error("other users of this machine may read the token file {0}; chmod 600 {0}, and write a new token into it")]
    Shared(PathBuf),
    /// It does not hold what a token is.
    #[error(
        "the token file {0} does not hold 20 to 1000 visible characters on one line; \
         make one with: head -c 24 /dev/urandom | base64"
    )]
    Unsuited(PathBuf),
}

/// Shorter ones can be guessed over a network.
const SHORTEST: usize = 20;
/// Longer ones do not fit comfortably into a header field.
const LONGEST: usize = 1000;

impl Token {
    /// Reads the token that a file holds; white space around it does not count.
    ///
    /// # Errors
    /// As [`TokenError`] says. A file that anyone but its owner may read is not taken.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let unreadable = |error| TokenError::Unreadable(path.to_owned(), error);
        let file = File::open(path).map_err(unreadable)?;
        // Of the open file: the name may stand for another one in a moment.
        if file.metadata().map_err(unreadable)?.permissions().mode() & 0o077 != 0 {
            return Err(TokenError::Shared(path.to_owned()));
        }
        let mut text = Zeroizing::new(String::with_capacity(LONGEST + 2));
        match file.take(LONGEST as u64 + 2).read_to_string(&mut text) {
            Ok(_) => Self::new(text.trim()).ok_or_else(|| TokenError::Unsuited(path.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(TokenError::Unsuited(path.to_owned())),
            Err(error) => Err(unreadable(error)),
        }
    }

    /// Takes a text; `None` where it does not suit.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let suits = (SHORTEST..=LONGEST).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_graphic());
        suits.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// Whether an `Authorization` field brings it (RFC 6750 §2.1). The time it takes tells nothing but the length.
    pub(super) fn opens(&self, authorization: &[u8]) -> bool {
        let Some((scheme, rest)) = authorization.split_at_checked(SCHEME.len()) else { return false };
        scheme.eq_ignore_ascii_case(SCHEME) && verify_slices_are_equal(rest.trim_ascii(), self.0.as_bytes()).is_ok()
    }

    /// The `Authorization` field that brings it.
    pub(super) fn authorization(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("Bearer {}", *self.0))
    }
}

const SCHEME: &[u8] = b"Bearer ";

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    const SECRET: &str = "abcdefghij0123456789";

    fn file(text: impl AsRef<[u8]>, mode: u32) -> Result<Token, TokenError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        Token::read(&path)
    }

    #[test]
    fn a_file_of_ones_own_gives_its_token() {
        assert!(file(format!(" {SECRET}\n"), 0o600).unwrap() == Token::new(SECRET).unwrap());
        file(SECRET, 0o400).unwrap();
    }

    #[test]
    fn a_file_that_others_may_read_or_write_gives_none() {
        for mode in [0o640, 0o604, 0o620, 0o602] {
            let error = file(SECRET, mode).unwrap_err();
            assert!(matches!(error, TokenError::Shared(_)), "{mode:o}");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn what_can_be_guessed_or_not_be_sent_is_no_token() {
        let long = "x".repeat(LONGEST + 1);
        for text in
            [b"".as_slice(), b"short", b"two words of some length", b"\xffabcdefghij0123456789", long.as_bytes()]
        {
            assert!(matches!(file(text, 0o600), Err(TokenError::Unsuited(_))), "{text:?}");
        }
        let missing = Token::read(Path::new("/nowhere/token")).unwrap_err();
        assert!(matches!(missing, TokenError::Unreadable(..)));
    }

    #[test]
    fn only_the_whole_token_opens() {
        let token = Token::new(SECRET).unwrap();
        assert!(token.opens(token.authorization().as_bytes()));
        assert!(token.opens(format!("bearer  {SECRET} ").as_bytes()));
        for wrong in ["", "Bearer", "Bearer ", "Basic abcdefghij0123456789", SECRET, "Bearer abcdefghij012345678"] {
            assert!(!token.opens(wrong.as_bytes()), "{wrong}");
        }
        assert!(!token.opens(format!("Bearer {SECRET}x").as_bytes()));
    }

    #[test]
    fn it_is_never_shown() {
        assert!(!format!("{:?}", Token::new(SECRET)).contains("abc"));
    }
}
