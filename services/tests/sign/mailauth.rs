//! mail-auth's verdicts, with our records instead of DNS.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Instant;

use mail_auth::arc::ArcSealer;
use mail_auth::common::crypto::{RsaKey, Sha256};
use mail_auth::common::headers::HeaderWriter;
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::{
    AuthenticatedMessage, AuthenticationResults, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt,
};

use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use services::sign::KeyKind;

use crate::keys::{pem, records};

/// The records that there are. Nothing else is ever looked up.
struct Records(HashMap<Box<str>, Txt>);

impl ResolverCache<Box<str>, Txt> for Records {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let found = self.0.get(name).cloned();
        assert!(found.is_some(), "a record that is not ours is looked up");
        found
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}

/// A verifier.
pub(crate) struct MailAuth {
    runtime: tokio::runtime::Runtime,
    authenticator: MessageAuthenticator,
    records: Records,
}

impl MailAuth {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let authenticator = runtime.block_on(async { MessageAuthenticator::new_cloudflare().unwrap() });
        let records = records().into_iter().map(|(name, record)| {
            let key = DomainKey::parse(record.as_bytes()).unwrap();
            (format!("{name}.").into(), Txt::DomainKey(Arc::new(key)))
        });
        Self { runtime, authenticator, records: Records(records.collect()) }
    }

    /// What it thinks of each DKIM signature, from top to bottom.
    pub(crate) fn dkim(&self, message: &str) -> Vec<DkimResult> {
        let parsed = AuthenticatedMessage::parse(message.as_bytes()).unwrap();
        let parameters = Parameters::new(&parsed).with_txt_cache(&self.records);
        let results = self.runtime.block_on(self.authenticator.verify_dkim(parameters));
        results.iter().map(|result| result.result().clone()).collect()
    }

    /// Whether the topmost signatures are good, so many of them.
    pub(crate) fn finds_good(&self, message: &str, signatures: usize) -> bool {
        let results = self.dkim(message);
        results.len() >= signatures && results.iter().take(signatures).all(|result| *result == DkimResult::Pass)
    }

    /// A message with a set on top that mail-auth has made.
    pub(crate) fn sealed(&self, message: &str) -> String {
        let parsed = AuthenticatedMessage::parse(message.as_bytes()).unwrap();
        let parameters = Parameters::new(&parsed).with_txt_cache(&self.records);
        let chain = self.runtime.block_on(self.authenticator.verify_arc(parameters));
        let key = PrivateKeyDer::from_pem_slice(pem(KeyKind::Rsa).as_bytes()).unwrap();
        let sealer = ArcSealer::from_key(RsaKey::<Sha256>::from_key_der(key).unwrap())
            .domain("forwarder.example")
            .selector("r")
            .headers(["From", "To", "Subject", "DKIM-Signature"]);
        let results = AuthenticationResults::new("forwarder.example");
        sealer.seal(&parsed, &results, &chain).unwrap().to_header() + message
    }

    /// What it thinks of the chain.
    pub(crate) fn arc(&self, message: &str) -> DkimResult {
        let parsed = AuthenticatedMessage::parse(message.as_bytes()).unwrap();
        let parameters = Parameters::new(&parsed).with_txt_cache(&self.records);
        self.runtime.block_on(self.authenticator.verify_arc(parameters)).result().clone()
    }
}

/// Where mail-auth 0.13.3 does not do as RFC 6376 §3.4.4 says: in the relaxed form it counts the lines of white space alone
/// at the end of a body, which are to be reduced to nothing and then ignored. The model and the others cover it.
pub(crate) fn reads_otherwise(name: &str) -> bool {
    name.contains("a last line of blanks") && !name.contains("/Simple")
}
