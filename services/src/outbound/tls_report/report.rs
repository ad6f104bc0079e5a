//! The text of a report (RFC 8460 §4.4).

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::Serialize;

use super::tally::{DomainTally, PolicyTally};

/// Who reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reporter {
    /// The organization's name.
    pub organization: String,
    /// Whom to ask about the reports: a mail address.
    pub contact: String,
    /// The domain in whose name reports are sent.
    pub domain: String,
}

/// A report of one day for one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsReport {
    /// Where the domain wants it sent: `mailto:` and `https:` URIs.
    pub rua: Vec<String>,
    /// Its id: the same whenever it is made again.
    pub id: String,
    /// What the file is called before it is compressed (RFC 8460 §5.1).
    pub file_name: String,
    /// The text, `application/tlsrpt+json`.
    pub json: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Text<'a> {
    organization_name: &'a str,
    date_range: DateRange,
    contact_info: &'a str,
    report_id: &'a str,
    policies: &'a [PolicyTally],
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct DateRange {
    start_datetime: String,
    end_datetime: String,
}

pub(super) fn report(day: Date, domain: &str, tally: &DomainTally, reporter: &Reporter) -> Option<TlsReport> {
    let at = |time: Time| Some(day.to_datetime(time).to_zoned(TimeZone::UTC).ok()?.timestamp());
    let (start, end) = (at(Time::midnight())?, at(Time::constant(23, 59, 59, 0))?);
    let id = format!("{day}T00:00:00Z_{domain}@{}", reporter.domain);
    let text = Text {
        organization_name: &reporter.organization,
        date_range: DateRange { start_datetime: start.to_string(), end_datetime: end.to_string() },
        contact_info: &reporter.contact,
        report_id: &id,
        policies: &tally.policies,
    };
    let file_name = format!("{}!{domain}!{}!{}.json", reporter.domain, start.as_second(), end.as_second());
    let json = serde_json::to_string_pretty(&text).ok()?;
    Some(TlsReport { rua: tally.rua.clone(), id, file_name, json })
}
