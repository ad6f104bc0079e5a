//! What a server prints when it is up: where it listens, and lines to paste.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use services::net::Endpoint;
use zeroize::Zeroizing;

/// What was opened, and for whom.
pub struct Welcome {
    /// The program, as it was called.
    pub program: String,
    /// The folder that everything is kept in.
    pub data: PathBuf,
    /// What curl must trust; `None` where it does anyway.
    pub certificate: Option<PathBuf>,
    /// The server's name, for curl to ask for where the certificate is not our own.
    pub host: String,
    /// Each service that listens, and where.
    pub doors: Vec<(&'static str, Endpoint)>,
    /// The users there are; the first two write to one another.
    pub users: Vec<String>,
    /// Users who were made just now, with their passwords.
    pub created: Vec<(String, Zeroizing<String>)>,
}

impl fmt::Display for Welcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Everything is kept in {}. The server listens on", self.data.display())?;
        for (service, endpoint) in &self.doors {
            writeln!(f, "  {service:<12} {endpoint}")?;
        }
        if !self.created.is_empty() {
            writeln!(f, "\nTwo users were made, with passwords that are shown only now:")?;
            for (address, password) in &self.created {
                writeln!(f, "  {address}   {}", password.as_str())?;
            }
        }
        self.try_it(f)?;
        let user = self.users.first().map_or("alice@example.org", String::as_str);
        writeln!(f, "\nTo set a password, or to add a user: {} --user {user}:PASSWORD", self.program)
    }
}

impl Welcome {
    /// Lines that send a message and read it back, as far as there are doors for it.
    fn try_it(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(from), Some(to)) = (self.users.first(), self.users.get(1).or(self.users.first())) else {
            return Ok(());
        };
        let curl = self.certificate.as_ref().map_or_else(
            || "curl -sS --ssl-reqd".to_owned(),
            |certificate| format!("curl -sS --ssl-reqd --cacert {}", quoted(&certificate.display().to_string())),
        );
        let (from, to) = (quoted(from), quoted(to));
        if let Some(url) = self.url(&[("submissions", "smtps"), ("submission", "smtp")]) {
            writeln!(f, "\nSend a message:")?;
            writeln!(f, "  printf 'Subject: Hello\\r\\n\\r\\nIt works.\\r\\n' | {curl} {url} \\")?;
            writeln!(f, "    --mail-from {from} --mail-rcpt {to} --user {} --upload-file -", self.login(&from))?;
        }
        let inbox = self.url(&[("imaps", "imaps"), ("imap", "imap")]).map(|url| format!("'{url}/INBOX;MAILINDEX=*'"));
        let maildrop = || self.url(&[("pop3s", "pop3s"), ("pop3", "pop3")]).map(|url| format!("{url}/1"));
        if let Some(url) = inbox.or_else(maildrop) {
            writeln!(f, "Read it back:")?;
            writeln!(f, "  {curl} {url} --user {}", self.login(&to))?;
        }
        Ok(())
    }

    /// The first of these services that listens, as curl calls it.
    fn url(&self, ways: &[(&str, &str)]) -> Option<String> {
        ways.iter().find_map(|(service, scheme)| {
            let (_, endpoint) = self.doors.iter().find(|(door, _)| door == service)?;
            let Endpoint::Tcp(address) = endpoint else { return None };
            let near = near(*address);
            // Our own certificate is good for loopback; another one is good for the server's name.
            let own = self.certificate.is_some() && near.ip().is_loopback();
            Some(if own { format!("{scheme}://{near}") } else { format!("{scheme}://{}:{}", self.host, near.port()) })
        })
    }

    /// The user with the password, where it was shown anyway; else curl asks for it.
    fn login(&self, quoted_address: &str) -> String {
        let created = self.created.iter().find(|(address, _)| quoted(address) == quoted_address);
        created.map_or_else(
            || quoted_address.to_owned(),
            |(address, password)| quoted(&format!("{address}:{}", password.as_str())),
        )
    }
}

/// Where a client on this machine reaches a server that listens there.
fn near(address: SocketAddr) -> SocketAddr {
    let ip = if address.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { address.ip() };
    SocketAddr::new(ip, address.port())
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@:/.,_+=-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn welcome(doors: &[(&'static str, &str)]) -> Welcome {
        let tcp = |(service, address): &(&'static str, &str)| (*service, Endpoint::Tcp(address.parse().unwrap()));
        Welcome {
            program: "single-node".into(),
            data: "data".into(),
            certificate: Some("da ta/cert.pem".into()),
            host: "mail.example.org".into(),
            doors: doors.iter().map(tcp).collect(),
            users: vec!["alice@example.org".into(), "o'neil@example.org".into()],
            created: Vec::new(),
        }
    }

    #[test]
    fn lines_to_paste_use_the_doors_that_are_open() {
        let all = welcome(&[("submission", "127.0.0.1:1"), ("submissions", "[::]:2"), ("imaps", "127.0.0.1:3")]);
        let page = all.to_string();
        assert!(page.contains("--cacert 'da ta/cert.pem' smtps://127.0.0.1:2 "), "{page}");
        assert!(page.contains("'imaps://127.0.0.1:3/INBOX;MAILINDEX=*' --user 'o'\\''neil@example.org'\n"), "{page}");
        let few = welcome(&[("submission", "127.0.0.1:1"), ("pop3s", "10.0.0.1:995")]).to_string();
        assert!(few.contains(" smtp://127.0.0.1:1 ") && few.contains(" pop3s://mail.example.org:995/1 "), "{few}");
        let none = welcome(&[("smtp", "127.0.0.1:1")]).to_string();
        assert!(!none.contains("curl"), "{none}");
    }

    #[test]
    fn passwords_are_shown_only_for_users_made_just_now() {
        let mut welcome = welcome(&[("imaps", "127.0.0.1:3")]);
        welcome.created = vec![("o'neil@example.org".into(), Zeroizing::new("secret".into()))];
        let page = welcome.to_string();
        assert!(page.contains("--user 'o'\\''neil@example.org:secret'"), "{page}");
        assert_eq!(page.matches("secret").count(), 2, "{page}");
    }
}
