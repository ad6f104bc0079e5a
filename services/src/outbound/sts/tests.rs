use proptest::prelude::*;

use super::*;

const GOOD: &str =
    "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.Example.net\r\nmax_age: 604800\r\n";

#[test]
fn the_example_of_the_rfc() {
    let policy = StsPolicy::parse(GOOD).unwrap();
    assert_eq!(policy.mode, StsMode::Enforce);
    assert_eq!(policy.mx, ["mail.example.com", "*.example.net"]);
    assert_eq!(policy.max_age, 604_800);
    assert_eq!(StsPolicy::parse(&policy.lines().join("\n")), Ok(policy));
}

#[test]
fn lines_may_end_either_way_and_fields_come_in_any_order() {
    let odd = "max_age:10\nmx:a.example \t\n\n x-new : what\r\nmode:testing\nversion:\tSTSv1";
    let policy = StsPolicy::parse(odd).unwrap();
    assert_eq!((policy.mode, policy.max_age), (StsMode::Testing, 10));
    let twice = format!("{GOOD}mode: none\r\nmax_age: 1\r\nversion: STSv2\r\n");
    assert_eq!(StsPolicy::parse(&twice), StsPolicy::parse(GOOD), "the first of each counts");
    assert_eq!(StsPolicy::parse("version: STSv1\nmode: none\nmax_age: 0\n").unwrap().mode, StsMode::None);
}

#[test]
fn what_is_no_policy() {
    let with = |from: &str, to: &str| StsPolicy::parse(&GOOD.replace(from, to)).unwrap_err();
    assert_eq!(with("STSv1", "STSv2"), StsPolicyError::Version);
    assert_eq!(with("version: STSv1\r\n", ""), StsPolicyError::Version);
    assert_eq!(with("version", "Version"), StsPolicyError::Version);
    assert_eq!(with("enforce", "Enforce"), StsPolicyError::Mode);
    assert_eq!(with("mode: enforce\r\n", ""), StsPolicyError::Mode);
    for bad in ["-1", "", "1x", "12345678901", "1.5"] {
        assert_eq!(with("604800", bad), StsPolicyError::MaxAge, "{bad}");
    }
    for bad in ["", "*", "*.", "*.*.example", "a.*.example", "192.0.2.1", "mail example", "ümlaut.example"] {
        assert_eq!(with("mail.example.com", bad), StsPolicyError::Mx, "{bad}");
    }
    assert_eq!(StsPolicy::parse("version: STSv1\nmode: enforce\nmax_age: 1\n"), Err(StsPolicyError::Mx));
    assert_eq!(StsPolicy::parse("<html>"), Err(StsPolicyError::Line));
    assert_eq!(StsPolicy::parse(""), Err(StsPolicyError::Version));
    let many = format!("{GOOD}{}", "mx: a.example\n".repeat(MAX_PATTERNS));
    assert_eq!(StsPolicy::parse(&many), Err(StsPolicyError::Mx));
    let long = StsPolicy::parse(&GOOD.replace("604800", "9999999999")).unwrap();
    assert_eq!(long.max_age, LONGEST_AGE);
}

#[test]
fn a_wildcard_is_one_label() {
    let policy = StsPolicy::parse(GOOD).unwrap();
    for host in ["mail.example.com", "a.example.net"] {
        assert!(policy.covers(host), "{host}");
    }
    for host in ["example.com", "a.mail.example.com", "example.net", "a.b.example.net", "aexample.net", "net", ""] {
        assert!(!policy.covers(host), "{host}");
    }
}

#[test]
fn ids_in_txt_records() {
    let id = |texts: &[&str]| id_of(&texts.iter().map(|text| Data::Txt(text.as_bytes().to_vec())).collect::<Vec<_>>());
    assert_eq!(id(&["v=STSv1; id=20160831085700Z;"]).as_deref(), Some("20160831085700Z"));
    assert_eq!(id(&["v=spf1 -all", "v=STSv1;id=1"]).as_deref(), Some("1"));
    assert_eq!(id(&["v=STSv1 ; x=y; id=abc ;"]).as_deref(), Some("abc"));
    let long = format!("v=STSv1; id={};", "x".repeat(33));
    for none in [
        &["v=STSv1; id=1", "v=STSv1; id=2"][..],
        &["v=STSv1"],
        &["v=STSv1;"],
        &["v=STSv10; id=1"],
        &["V=STSv1; id=1"],
        &[" v=STSv1; id=1"],
        &["v=STSv1; id="],
        &["v=STSv1; id=a-b"],
        &["v=STSv1; ID=1"],
        &[&long],
        &[],
    ] {
        assert_eq!(id(none), None, "{none:?}");
    }
    assert_eq!(id_of(&[Data::Txt(vec![0xff, 0xfe])]), None);
}

proptest! {
    #[test]
    fn any_text_is_a_policy_that_is_written_and_read_the_same_or_none(text in "(version: STSv1\n)?((mode|mx|max_age|x): ?[a-z0-9*.]{0,8}\r?\n|mode: enforce\n|max_age: 5\n|mx: \\*\\.a\n|\\PC{0,5}\n){0,6}") {
        if let Ok(policy) = StsPolicy::parse(&text) {
            prop_assert_eq!(StsPolicy::parse(&policy.lines().join("\r\n")), Ok(policy));
        }
    }
}
