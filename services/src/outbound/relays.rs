//! Hosts that an operator has named: how they are spoken with, and who logs in there.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use smtp_proto::Secret;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{Begins, Credentials, Exposure, HopSecurity, MxLookup, NextHop};
use crate::routes::RelayHost;

/// What holds for hosts that an operator has named.
#[derive(Clone, Debug, Default)]
pub struct Relays {
    /// How they are spoken with; `None` asks for a certificate where there is a login, and else takes what TLS there is.
    pub security: Option<HopSecurity>,
    /// Who logs in there.
    pub logins: Logins,
    /// The host that takes what no host could be given that should have it.
    pub fallback: Option<RelayHost>,
}

/// Names and passwords, by host.
#[derive(Clone, Debug, Default)]
pub struct Logins(HashMap<RelayHost, Credentials>);

/// Why logins are not known.
#[derive(Debug, Error)]
pub enum LoginsError {
    /// The file cannot be read.
    #[error("cannot read the logins in {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others may read it too.
    #[error("others may read the passwords in {path}; chmod 600 it", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// A line is not understood.
    #[error("{path}, line {line}: write HOST:PORT USER PASSWORD", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
}

/// The port where TLS begins before SMTP does (RFC 8314 §7.3).
const SUBMISSIONS: u16 = 465;

impl Relays {
    /// How one of them is spoken with.
    pub(super) fn manner(&self, relay: &RelayHost) -> (NextHop, Begins, Option<Credentials>) {
        let login = self.logins.0.get(relay).cloned();
        let wanted =
            self.security.unwrap_or(if login.is_some() { HopSecurity::Verified } else { HopSecurity::Discovered });
        let (begins, security) = match (relay.port, wanted) {
            (SUBMISSIONS, HopSecurity::Opportunistic | HopSecurity::Discovered) => {
                (Begins::UnderTls, HopSecurity::Encrypted)
            }
            (SUBMISSIONS, HopSecurity::Encrypted | HopSecurity::Verified) => (Begins::UnderTls, wanted),
            (_, _) => (Begins::InClear, wanted),
        };
        // Whoever turns TLS off for a host with a login has said what that means.
        let exposure = if security == HopSecurity::Clear { Exposure::InClear } else { Exposure::UnderTls };
        let hop = NextHop { host: relay.host.clone(), port: relay.port, mx: MxLookup::Never, security };
        (hop, begins, login.map(|login| Credentials { exposure, ..login }))
    }
}

impl Logins {
    /// Reads a file: a line for each host, as `smtp.example.net:587 alice secret`. Empty lines, and lines that begin with
    /// `#`, are passed over; a password may hold spaces.
    ///
    /// # Errors
    /// [`LoginsError`]; none of them shows what the file holds.
    pub fn read(path: &Path) -> Result<Self, LoginsError> {
        let failed = |source| LoginsError::Read { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return Err(LoginsError::Open { path: path.to_owned() });
        }
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text).map_err(failed)?;
        let mut logins = HashMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (host, login) = parse(line).ok_or(LoginsError::Line { path: path.to_owned(), line: number })?;
            logins.insert(host, login);
        }
        Ok(Self(logins))
    }
}

fn parse(line: &str) -> Option<(RelayHost, Credentials)> {
    let (host, rest) = line.split_once(char::is_whitespace)?;
    let (user, password) = rest.trim_start().split_once(char::is_whitespace)?;
    let password = Secret::new(password.trim_start().as_bytes().to_vec());
    let login = Credentials { user: user.to_owned(), password, exposure: Exposure::UnderTls };
    Some((host.parse().ok()?, login))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    fn read(text: &str, mode: u32) -> Result<Logins, LoginsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logins");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        Logins::read(&path)
    }

    #[test]
    fn logins_are_read_and_never_shown() {
        let logins = read("# ours\n\nsmtp.example.net:587  alice  pass word \n[::1]:25 bob x\n", 0o600).unwrap();
        let alice = &logins.0[&"smtp.example.net:587".parse().unwrap()];
        assert_eq!((alice.user.as_str(), alice.password.expose()), ("alice", &b"pass word"[..]));
        assert!(!format!("{logins:?}").contains("pass word"));
        assert_eq!(logins.0.len(), 2);
    }

    #[test]
    fn a_file_that_others_may_read_or_nobody_understands_is_refused() {
        assert!(matches!(read("h:1 a b\n", 0o640), Err(LoginsError::Open { .. })));
        for text in ["h:1 a", "h a b", "h:1"] {
            let error = read(&format!("\n{text}\n"), 0o600).unwrap_err();
            assert!(matches!(error, LoginsError::Line { line: 2, .. }), "{error}");
        }
    }

    #[test]
    fn passwords_go_under_verified_tls_unless_somebody_said_otherwise() {
        let logins = read("mx.example:25 a b\ntls.example:465 a b\n", 0o600).unwrap();
        let relays = |security| Relays { security, logins: logins.clone(), ..Relays::default() };
        let manner = |security, relay: &str| {
            let (hop, begins, login) = relays(security).manner(&relay.parse().unwrap());
            (hop.security, begins, login.map(|login| login.exposure))
        };
        let (clear, tls) = (Begins::InClear, Begins::UnderTls);
        let (safe, open) = (Some(Exposure::UnderTls), Some(Exposure::InClear));
        assert_eq!(manner(None, "mx.example:25"), (HopSecurity::Verified, clear, safe));
        assert_eq!(manner(None, "tls.example:465"), (HopSecurity::Verified, tls, safe));
        assert_eq!(manner(None, "other.example:25"), (HopSecurity::Discovered, clear, None));
        assert_eq!(manner(None, "other.example:465"), (HopSecurity::Encrypted, tls, None));
        assert_eq!(manner(Some(HopSecurity::Clear), "tls.example:465"), (HopSecurity::Clear, clear, open));
        assert_eq!(manner(Some(HopSecurity::Encrypted), "mx.example:25"), (HopSecurity::Encrypted, clear, safe));
    }
}
