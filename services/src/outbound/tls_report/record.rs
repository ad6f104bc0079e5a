//! The TXT record by which a domain asks for reports (RFC 8460 §3).

use crate::outbound::dns::Data;

/// Most places a domain may want reports sent to.
const MAX_PLACES: usize = 10;

/// Longest place.
const LONGEST: usize = 1000;

/// Where reports shall be sent: `mailto:` and `https:` URIs. Empty unless exactly one of the records is of TLSRPT.
pub(in super::super) fn rua_of(records: &[Data]) -> Vec<String> {
    let texts = records.iter().filter_map(|record| match record {
        Data::Txt(text) => str::from_utf8(text).ok(),
        Data::Mx { .. } | Data::Address(_) | Data::Tlsa { .. } => None,
    });
    let mut asking = texts.filter(|text| {
        let mut fields = text.split(';');
        fields.next().is_some_and(|version| version.trim_end_matches(BLANK) == "v=TLSRPTv1") && fields.next().is_some()
    });
    let (Some(text), None) = (asking.next(), asking.next()) else { return vec![] };
    let mut fields = text.split(';').skip(1).filter_map(|field| field.trim_matches(BLANK).split_once('='));
    let Some((_, places)) = fields.find(|(name, _)| name.trim_end_matches(BLANK) == "rua") else { return vec![] };
    let places = places.split(',').map(|place| place.trim_matches(BLANK)).filter(|place| {
        let graphic = place.bytes().all(|octet| octet.is_ascii_graphic());
        graphic && place.len() <= LONGEST && (place.starts_with("mailto:") || place.starts_with("https:"))
    });
    places.take(MAX_PLACES).map(str::to_owned).collect()
}

const BLANK: [char; 2] = [' ', '\t'];

#[cfg(test)]
mod tests {
    use super::*;

    fn rua(texts: &[&str]) -> Vec<String> {
        rua_of(&texts.iter().map(|text| Data::Txt(text.as_bytes().to_vec())).collect::<Vec<_>>())
    }

    #[test]
    fn the_examples_of_the_rfc() {
        assert_eq!(rua(&["v=TLSRPTv1;rua=mailto:reports@example.com"]), ["mailto:reports@example.com"]);
        let https = "v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt";
        assert_eq!(rua(&[https]), ["https://reporting.example.com/v1/tlsrpt"]);
    }

    #[test]
    fn several_places_and_other_records() {
        let texts =
            ["v=spf1 -all", "v=TLSRPTv1 ; x=y; rua = mailto:a@b.example , https://c.example/ ,ftp://d.example;"];
        assert_eq!(rua(&texts), ["mailto:a@b.example", "https://c.example/"]);
        let many = format!("v=TLSRPTv1; rua={}", vec!["mailto:a@b.example"; 50].join(","));
        assert_eq!(rua(&[&many]).len(), MAX_PLACES);
    }

    #[test]
    fn no_record_or_two_ask_for_nothing() {
        let long = format!("v=TLSRPTv1; rua=mailto:{}", "a".repeat(LONGEST));
        let two = ["v=TLSRPTv1;rua=mailto:a@b.example"; 2];
        for none in [&two[..], &["v=TLSRPTv1"], &["v=TLSRPTv1;"], &["v=TLSRPTv2;rua=mailto:a@b"], &[], &[&long]] {
            assert_eq!(rua(none), Vec::<String>::new(), "{none:?}");
        }
    }
}
