//! What a new connection shows of a host's TLS, for reports (RFC 8460 §4).

use smtp_proto::{Report, Stage, TlsPolicy};

use super::policy::TlsFault;
use super::session::Security;

/// How TLS went on a new connection; `None` where it was not tried, or the server did not get so far.
pub(super) fn witnessed(
    policy: TlsPolicy,
    tls: &Security,
    let_pass: Option<TlsFault>,
    report: Option<&Report>,
) -> Option<Result<(), TlsFault>> {
    match tls {
        Security::Tls(_) => Some(let_pass.map_or(Ok(()), Err)),
        Security::Failed(failed) => Some(Err(failed.fault)),
        Security::Clear => match policy {
            TlsPolicy::Never => None,
            TlsPolicy::Opportunistic | TlsPolicy::Required => {
                report.is_some_and(has_offered).then_some(Err(TlsFault::StarttlsNotSupported))
            }
        },
    }
}

/// Whether the server has said what it offers.
fn has_offered(report: &Report) -> bool {
    report.outcomes.first().is_some_and(|outcome| match outcome.said().stage {
        Stage::Greeting | Stage::Hello => false,
        Stage::StartTls | Stage::Login | Stage::Mail | Stage::Rcpt | Stage::Data | Stage::Verdict => true,
    })
}
