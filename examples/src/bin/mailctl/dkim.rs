//! Keys for DKIM: made here, without a server.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use services::sign::{Identity, Key, KeyKind};

use crate::End;

#[derive(Subcommand)]
pub(crate) enum Dkim {
    /// Make a key: the private part goes to a file, the record that DNS has to publish to standard output
    New(New),
}

#[derive(Args)]
pub(crate) struct New {
    /// Domain that mail is signed for
    domain: String,
    /// Name below it for this key, another one each time, as 2026a
    selector: String,
    /// File for the private key, which must not exist
    file: PathBuf,
    /// Kind of key; ed25519 is not understood by everybody, and only good beside an RSA key
    #[arg(long, value_name = "KIND", default_value = "rsa")]
    kind: Kind,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Rsa,
    Ed25519,
}

impl Dkim {
    pub(crate) fn run(&self) -> Result<(), End> {
        let Self::New(New { domain, selector, file, kind }) = self;
        let kind = match kind {
            Kind::Rsa => KeyKind::Rsa,
            Kind::Ed25519 => KeyKind::Ed25519,
        };
        let (key, pem) = Key::generate(kind).map_err(|error| End::Wrong(error.to_string()))?;
        let identity = Identity::new(domain, selector, key).map_err(|error| End::Wrong(error.to_string()))?;
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)
            .and_then(|mut opened| opened.write_all(pem.as_bytes()).and_then(|()| opened.sync_all()));
        written.map_err(|error| End::Wrong(format!("cannot write the key to {}: {error}", file.display())))?;
        writeln!(io::stdout(), "{}", identity.zone_line().trim_end())?;
        let option = format!("--dkim {}:{}:{}", identity.domain(), identity.selector(), file.display());
        writeln!(io::stderr(), "publish that record, then start the server with {option}")?;
        Ok(())
    }
}
