//! DANE for SMTP (RFC 7672): which TLSA records can be used, and which certificates they vouch for.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, SHA512, digest};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, Der, ServerName, TrustAnchor, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, RootCertStore};
use webpki::EndEntityCert;

use super::dns::Data;
use super::target::{Matching, Selector, Tlsa, Usage};
use crate::net::judge::Judge;

/// Most records of a host that are looked at. A host that changes keys has a few; each is compared with each certificate.
pub(super) const MAX_RECORDS: usize = 32;

/// Most certificates of a server's chain that are compared: more than any chain has, and few enough to hash.
const MAX_CHAIN: usize = 16;

/// Most octets of names of a certificate's issuer; none that is real comes near.
const LONGEST_ISSUER: usize = 4096;

/// The records that SMTP can use (RFC 7672 §3.1), and of each kind those with the strongest digest alone (RFC 7671 §9).
/// Empty if none can be used: then TLS is demanded, and nothing of the certificate (RFC 7672 §2.2).
pub(super) fn usable(records: &[Data]) -> Vec<Tlsa> {
    let mut usable: Vec<_> = records.iter().filter_map(read).take(MAX_RECORDS).collect();
    let strong: Vec<_> = usable
        .iter()
        .filter(|record| record.matching == Matching::Sha512)
        .map(|record| (record.usage, record.selector))
        .collect();
    usable.retain(|record| record.matching != Matching::Sha256 || !strong.contains(&(record.usage, record.selector)));
    usable
}

fn read(record: &Data) -> Option<Tlsa> {
    let Data::Tlsa { usage, selector, matching, data } = record else { return None };
    // Usages 0 and 1 want a public authority besides, which SMTP servers' certificates need not have (RFC 7672 §3.1.3).
    let usage = match usage {
        2 => Usage::DaneTa,
        3 => Usage::DaneEe,
        _ => return None,
    };
    let selector = match selector {
        0 => Selector::Certificate,
        1 => Selector::PublicKey,
        _ => return None,
    };
    let matching = match (matching, data.len()) {
        (0, 1..) => Matching::Full,
        (1, 32) => Matching::Sha256,
        (2, 64) => Matching::Sha512,
        _ => return None,
    };
    Some(Tlsa { usage, selector, matching, data: data.clone() })
}

/// Believes certificates that one of the records vouches for.
#[derive(Debug)]
pub(super) struct DaneVerifier {
    records: Vec<Tlsa>,
    names: Vec<ServerName<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl DaneVerifier {
    pub(super) fn new(
        records: Vec<Tlsa>,
        names: Vec<ServerName<'static>>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        Self { records, names, algorithms }
    }

    fn of(&self, usage: Usage) -> impl Iterator<Item = &Tlsa> {
        self.records.iter().filter(move |record| record.usage == usage)
    }

    /// An authority of the server's own: the chain must lead there, be valid now, and carry one of the names
    /// (RFC 7672 §3.1.2).
    fn verify_chain(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let anchors = self.anchors(end_entity, intermediates);
        if anchors.is_empty() {
            return Err(NOT_VOUCHED_FOR);
        }
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let roots = RootCertStore { roots: anchors };
        verify_server_cert_signed_by_trust_anchor(&parsed, &roots, intermediates, now, self.algorithms.all)?;
        let mut last = NOT_VOUCHED_FOR;
        for name in &self.names {
            match verify_server_name(&parsed, name) {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn anchors(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Vec<TrustAnchor<'static>> {
        let mut anchors = Vec::new();
        for record in self.of(Usage::DaneTa) {
            let matching = intermediates.iter().find(|certificate| vouches(record, certificate));
            let found = match (matching, record.selector, record.matching) {
                (Some(certificate), ..) => anchor(certificate).into_iter().collect(),
                // The record holds what the server need not send (RFC 7672 §3.1.2).
                (None, Selector::Certificate, Matching::Full) => {
                    anchor(&CertificateDer::from(record.data.as_slice())).into_iter().collect()
                }
                (None, Selector::PublicKey, Matching::Full) => {
                    bare_keys(&record.data, std::iter::once(end_entity).chain(intermediates))
                }
                (None, _, Matching::Sha256 | Matching::Sha512) => vec![],
            };
            anchors.extend(found);
        }
        anchors
    }
}

impl Judge for DaneVerifier {
    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        // Names and dates of the certificate mean nothing here: the record itself binds key and host, and says how long
        // (RFC 7672 §3.1.1).
        if self.of(Usage::DaneEe).any(|record| vouches(record, end_entity)) {
            return Ok(());
        }
        let intermediates = intermediates.get(..MAX_CHAIN).unwrap_or(intermediates);
        self.verify_chain(end_entity, intermediates, now)
    }
}

/// What it means that no record matches.
const NOT_VOUCHED_FOR: rustls::Error =
    rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);

fn vouches(record: &Tlsa, certificate: &CertificateDer<'_>) -> bool {
    let key;
    let part = match record.selector {
        Selector::Certificate => certificate.as_ref(),
        Selector::PublicKey => {
            let Ok(parsed) = EndEntityCert::try_from(certificate) else { return false };
            key = parsed.subject_public_key_info();
            key.as_ref()
        }
    };
    let same = |one: &[u8]| verify_slices_are_equal(one, &record.data).is_ok();
    match record.matching {
        Matching::Full => same(part),
        Matching::Sha256 => same(digest(&SHA256, part).as_ref()),
        Matching::Sha512 => same(digest(&SHA512, part).as_ref()),
    }
}

fn anchor(certificate: &CertificateDer<'_>) -> Option<TrustAnchor<'static>> {
    webpki::anchor_from_trusted_cert(certificate).ok().map(|anchor| anchor.to_owned())
}

/// An authority of which only the key is known is whoever the certificates name as their issuer.
fn bare_keys<'a>(key: &[u8], certificates: impl Iterator<Item = &'a CertificateDer<'a>>) -> Vec<TrustAnchor<'static>> {
    // A trust anchor carries what stands inside the outer SEQUENCE.
    let Some(inner) = sequence(key) else { return vec![] };
    let one = |certificate: &CertificateDer<'_>| {
        let parsed = EndEntityCert::try_from(certificate).ok()?;
        let subject = parsed.issuer();
        (subject.len() <= LONGEST_ISSUER).then(|| TrustAnchor {
            subject: Der::from(subject.to_vec()),
            subject_public_key_info: Der::from(inner.to_vec()),
            name_constraints: None,
        })
    };
    certificates.filter_map(one).collect()
}

/// The content of a DER SEQUENCE that is all of `der`.
fn sequence(der: &[u8]) -> Option<&[u8]> {
    let rest = der.strip_prefix(&[0x30])?;
    let (&first, rest) = rest.split_first()?;
    let (length, content) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => rest.split_first().map(|(&length, rest)| (usize::from(length), rest))?,
        0x82 => rest.split_first_chunk::<2>().map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))?,
        _ => return None,
    };
    (content.len() == length).then_some(content)
}

#[cfg(test)]
mod tests;
