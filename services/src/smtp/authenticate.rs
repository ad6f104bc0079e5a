//! What can be told of a message that goes on to others: SPF of who hands it in (RFC 7208), its DKIM signatures
//! (RFC 6376) and its ARC chain (RFC 8617), as mail-auth judges them.
//!
//! mail-auth 0.13.3 counts lines of white space at the end of a body that the relaxed form wants ignored (RFC 6376
//! §3.4.4), so that a valid signature over such a body is said to fail. It counts the lookups of SPF, and not those without
//! an answer (RFC 7208 §4.6.4).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{ResolveHosts, ResolverConfig, ResolverOpts};
use idna::AsciiDenyList;
use mail_auth::common::crypto::Algorithm;
use mail_auth::dkim::DkimError;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{AuthenticatedMessage, DkimOutput, DkimResult, Error, MessageAuthenticator, SpfResult};
use memchr::memmem;
use smtp_proto::{Domain, Host, Mailbox};
use thiserror::Error;

use super::results::Results;
use crate::outbound::{DnsSetupError, name_servers};
use crate::sign::{ChainValidation, MAX_HEADER};

/// Asks DNS about messages.
pub(super) struct Authenticator(MessageAuthenticator);

/// What a client has said of itself and of a message, and what the connection tells.
#[derive(Clone, Debug)]
pub(super) struct Claims {
    /// Its address, if that is known.
    pub(super) client: Option<IpAddr>,
    /// What it calls itself.
    pub(super) hello: Option<String>,
    /// Whom it says the message to be from; nobody in `<>`.
    pub(super) from: Option<Mailbox>,
}

/// What was found out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Evidence {
    /// What an `Authentication-Results` field would hold (RFC 8601 §2.2).
    pub(super) results: String,
    pub(super) chain: ChainValidation,
}

/// Why nothing can be said of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Unknown {
    /// Its header is larger than [`MAX_HEADER`], has more than [`MAX_FIELDS`], or is none.
    #[error("the message's header is too large to be judged, or is none")]
    Header,
    /// The keys of its chain cannot be had now. A seal could only say that the chain is broken, for good.
    #[error("the keys of the message's ARC chain cannot be had now")]
    NotNow,
}

/// The fields of a header that is judged. Each name that a signature lists is looked for among all of them.
const MAX_FIELDS: usize = 1000;

/// The DKIM signatures that are looked at, from the top; RFC 6376 §6.1 allows a limit. Each costs a question to DNS, and real
/// mail has one to three.
const MAX_SIGNATURES: usize = 10;

/// The names of fields that a signature may list. Ours list at most half as many.
const MAX_NAMES: usize = 500;

/// How long one name server may take: short enough for another try within the patience for a message.
const DNS_TIMEOUT: Duration = Duration::from_secs(3);

impl Authenticator {
    /// Asks these name servers, or else those of the system.
    pub(super) fn new(servers: &[SocketAddr]) -> Result<Self, DnsSetupError> {
        let config = ResolverConfig::from_parts(None, vec![], name_servers(servers)?);
        let mut options = ResolverOpts::default();
        options.timeout = DNS_TIMEOUT;
        // What is asked for stands in DNS, and not in a file of this host.
        options.use_hosts_file = ResolveHosts::Never;
        let resolver = MessageAuthenticator::new(config, options);
        resolver.map(Self).map_err(|error| DnsSetupError::System(error.to_string()))
    }

    /// Judges a whole message. `host` is our own name. Takes as long as DNS does, and in between keeps a core busy for as
    /// long as four hashes over the message take.
    pub(super) async fn judge(&self, message: &[u8], claims: &Claims, host: &str) -> Result<Evidence, Unknown> {
        if !is_fit(message) {
            return Err(Unknown::Header);
        }
        let mut parsed = AuthenticatedMessage::parse(message).ok_or(Unknown::Header)?;
        bound(&mut parsed);
        let mut results = Results::new(host);
        self.spf(claims, host, &mut results).await;
        self.dkim(&parsed, &mut results).await;
        let chain = self.chain(&parsed).await?;
        results.method("arc", chain.name());
        if let Some(client) = claims.client {
            results.property("smtp.remote-ip", &client.to_string());
        }
        Ok(Evidence { results: results.into_text(), chain })
    }

    /// RFC 7208 §2.4: who sends, or for mail from nobody, who speaks.
    async fn spf(&self, claims: &Claims, host: &str, results: &mut Results) {
        let Some(client) = claims.client else { return };
        let said = claims.hello.as_deref().unwrap_or_default();
        let hello = Domain::parse(said).ok().and_then(|said| name(&said));
        let hello_name = hello.as_deref().unwrap_or_default();
        let sender = claims.from.as_ref().map(|from| (from, name(&from.domain())));
        let result = match (&sender, &hello) {
            (Some((from, Some(domain))), _) => {
                let address = format!("{}@{domain}", from.local_part());
                let parameters = SpfParameters::verify_mail_from(client, hello_name, host, &address);
                self.0.verify_spf(parameters).await.result()
            }
            (None, Some(hello)) => self.0.verify_spf(SpfParameters::verify_ehlo(client, hello, host)).await.result(),
            // An address has no record.
            (Some((_, None)), _) | (None, None) => SpfResult::None,
        };
        results.method("spf", spf_word(result));
        match claims.from.as_ref() {
            Some(from) if results.property("smtp.mailfrom", from.as_str()) => {}
            Some(from) => {
                results.property("smtp.mailfrom", from.domain().as_str());
            }
            None => {
                results.property("smtp.helo", said);
            }
        }
    }

    async fn dkim(&self, message: &AuthenticatedMessage<'_>, results: &mut Results) {
        let outputs = self.0.verify_dkim(message).await;
        if outputs.is_empty() {
            results.method("dkim", "none");
        }
        for output in &outputs {
            results.method("dkim", dkim_word(output));
            if let Some(signature) = output.signature() {
                results.property("header.d", &signature.d);
                results.property("header.s", &signature.s);
                // RFC 6008 §4: enough of it to tell it from others.
                results.property("header.b", &beginning(&signature.b));
            }
        }
    }

    async fn chain(&self, message: &AuthenticatedMessage<'_>) -> Result<ChainValidation, Unknown> {
        match self.0.verify_arc(message).await.result() {
            DkimResult::Pass => Ok(ChainValidation::Pass),
            // There is no signature; but there may be the rest of a set that had one.
            DkimResult::None if message.as_headers.is_empty() && message.aar_headers.is_empty() => {
                Ok(ChainValidation::None)
            }
            DkimResult::None | DkimResult::Fail(_) | DkimResult::Neutral(_) | DkimResult::PermError(_) => {
                Ok(ChainValidation::Fail)
            }
            DkimResult::TempError(_) => Err(Unknown::NotNow),
        }
    }
}

/// Whether a header is small enough to be taken apart.
fn is_fit(message: &[u8]) -> bool {
    let seen = message.get(..MAX_HEADER).unwrap_or(message);
    let header = match memmem::find(seen, b"\r\n\r\n") {
        Some(end) => seen.get(..end).unwrap_or_default(),
        None if message.len() > MAX_HEADER => return false,
        None => seen,
    };
    let begins = |line: &&[u8]| !line.starts_with(b" ") && !line.starts_with(b"\t");
    header.split(|octet| *octet == b'\n').filter(begins).count() <= MAX_FIELDS
}

/// Leaves out what a hostile message may have too much of, and what asks for more questions than an answer needs.
fn bound(message: &mut AuthenticatedMessage<'_>) {
    message.dkim_headers.retain(|field| field.header.h.len() <= MAX_NAMES);
    message.dkim_headers.truncate(MAX_SIGNATURES);
    for field in &mut message.dkim_headers {
        // RFC 6651, RFC 6541: reports that nobody sends, and signatures of third parties.
        (field.header.r, field.header.atps) = (false, None);
    }
    if message.ams_headers.iter().any(|field| field.header.h.len() > MAX_NAMES) {
        message.has_arc_errors = true;
    }
    let mut malformed = 0;
    message.errors.retain(|field| {
        let is_signature = matches!(field.header, Error::Dkim(_));
        malformed += usize::from(is_signature);
        !is_signature || malformed <= MAX_SIGNATURES
    });
}

/// A name in DNS, in A-labels (RFC 8616 §4).
fn name<S: AsRef<str>>(domain: &Domain<S>) -> Option<String> {
    match domain.host() {
        Host::Name(name) => Some(idna::domain_to_ascii_cow(name.as_bytes(), AsciiDenyList::EMPTY).ok()?.into_owned()),
        Host::V4(_) | Host::V6(_) | Host::General { .. } => None,
    }
}

fn beginning(signature: &[u8]) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    BASE64_STANDARD.encode(signature.get(..6).unwrap_or(signature))
}

/// RFC 8601 §2.7.2.
const fn spf_word(result: SpfResult) -> &'static str {
    match result {
        SpfResult::Pass => "pass",
        SpfResult::Fail => "fail",
        SpfResult::SoftFail => "softfail",
        SpfResult::Neutral => "neutral",
        SpfResult::TempError => "temperror",
        SpfResult::PermError => "permerror",
        SpfResult::None => "none",
    }
}

/// RFC 8601 §2.7.1.
fn dkim_word(output: &DkimOutput<'_>) -> &'static str {
    match output.result() {
        // RFC 8301 §3.1: nobody should take SHA-1 for an answer.
        DkimResult::Pass if output.signature().is_some_and(|signature| signature.a == Algorithm::RsaSha1) => "policy",
        DkimResult::Pass => "pass",
        DkimResult::Fail(_) | DkimResult::Neutral(Error::Dkim(DkimError::FailedBodyHashMatch)) => "fail",
        DkimResult::Neutral(_) => "neutral",
        DkimResult::PermError(_) => "permerror",
        DkimResult::TempError(_) => "temperror",
        DkimResult::None => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_bounded_and_bodies_are_not() {
        let fields = |count: usize| "A: b\r\n".repeat(count);
        let body = "x\r\n".repeat(200_000);
        assert!(is_fit(format!("{}\r\n{body}", fields(MAX_FIELDS - 1)).as_bytes()));
        assert!(!is_fit(format!("{}\r\n{body}", fields(MAX_FIELDS + 1)).as_bytes()));
        // Folded lines are no fields.
        assert!(is_fit(format!("A: b\r\n{}\r\n{body}", " b\r\n".repeat(5_000)).as_bytes()));
        let long = format!("A: {}\r\n", "b".repeat(MAX_HEADER));
        assert!(!is_fit(format!("{long}\r\n{body}").as_bytes()));
        assert!(!is_fit(long.as_bytes()));
        assert!(is_fit(b""));
    }

    #[test]
    fn signatures_are_bounded() {
        let one = |names: &str| {
            format!("DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=s; r=y; h={names}; bh=YQ==; b=YQ==\r\n")
        };
        let text = format!(
            "{}{}{}From: a@a.example\r\n\r\n",
            one(&vec!["a"; MAX_NAMES + 1].join(":")),
            one("from").repeat(2 * MAX_SIGNATURES),
            "DKIM-Signature: v=2; a=x\r\n".repeat(2 * MAX_SIGNATURES),
        );
        let mut message = AuthenticatedMessage::parse(text.as_bytes()).unwrap();
        assert_eq!((message.dkim_headers.len(), message.errors.len()), (2 * MAX_SIGNATURES + 1, 2 * MAX_SIGNATURES));
        bound(&mut message);
        assert_eq!((message.dkim_headers.len(), message.errors.len()), (MAX_SIGNATURES, MAX_SIGNATURES));
        assert!(message.dkim_headers.iter().all(|field| field.header.h.len() == 1 && !field.header.r));
    }

    #[test]
    fn what_is_made_with_sha_1_does_not_pass() {
        for (algorithm, word) in [("rsa-sha1", "policy"), ("rsa-sha256", "pass")] {
            let text = format!(
                "DKIM-Signature: v=1; a={algorithm}; d=a.example; s=s; h=from; bh=YQ==; b=YQ==\r\nFrom: a@a.example\r\n\r\n"
            );
            let message = AuthenticatedMessage::parse(text.as_bytes()).unwrap();
            let [field] = message.dkim_headers.as_slice() else { panic!("{algorithm} is not read") };
            assert_eq!(dkim_word(&DkimOutput::pass().with_signature(&field.header)), word);
        }
    }

    #[test]
    fn only_names_are_asked_for() {
        let asked = |text: &str| name(&Domain::parse(text).unwrap());
        assert_eq!(asked("Example.ORG").as_deref(), Some("example.org"));
        assert_eq!(asked("b\u{fc}cher.example").as_deref(), Some("xn--bcher-kva.example"));
        assert_eq!(asked("[192.0.2.1]"), None);
        assert_eq!(asked("[IPv6:2001:db8::1]"), None);
    }
}
