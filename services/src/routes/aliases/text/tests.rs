use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<Vec<Entry>, (usize, AliasFault)> {
    parse(text.as_bytes(), 100)
}

fn fault(text: &str) -> (usize, AliasFault) {
    read(text).unwrap_err()
}

fn everywhere(name: &str) -> Name {
    Name::Everywhere(name.into())
}

fn here(name: &str) -> Target {
    Target::Here(name.into())
}

fn address(text: &str) -> Target {
    Target::Address(text.into())
}

#[test]
fn what_sendmail_and_postfix_ship_with_is_understood() {
    let text = "# See aliases(5)\r\nMAILER-DAEMON:\tpostmaster\npostmaster: root\r\n\n  # nothing\nroot:alice,Bob@Example.com\n";
    let entries = read(text).unwrap();
    let expected = [
        Entry { line: 2, name: everywhere("mailer-daemon"), targets: vec![here("postmaster")] },
        Entry { line: 3, name: everywhere("postmaster"), targets: vec![here("root")] },
        Entry { line: 6, name: everywhere("root"), targets: vec![here("alice"), address("Bob@Example.com")] },
    ];
    assert_eq!(entries, expected);
}

#[test]
fn lines_that_begin_with_white_space_continue_over_comments_and_empty_lines() {
    let entries = read("sales: alice,\n\tbob, # the boss\n# no end\n\n  carol@example.com\ninfo:\n dave\n").unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].targets, [here("alice"), here("bob"), address("carol@example.com")]);
    assert_eq!((entries[1].line, &entries[1].targets), (6, &vec![here("dave")]));
}

#[test]
fn a_name_may_have_a_domain_or_be_all_that_is_left_of_one() {
    let entries = read("Sales@Example.ORG: alice\n@Example.org : bob\n").unwrap();
    assert_eq!(entries[0].name, Name::At("sales@example.org".into()));
    assert_eq!(entries[1].name, Name::Others("example.org".into()));
}

#[test]
fn quotes_protect_what_would_end_a_word() {
    let text = r#""a: b, #c" : "d, e"@example.org, "x\"y" # "f""#;
    let entries = read(text).unwrap();
    assert_eq!(entries[0].name, everywhere(r#""a: b, #c""#));
    assert_eq!(entries[0].targets, [address(r#""d, e"@example.org"#), here(r#""x\"y""#)]);
    assert_eq!(read("\"a@b\": c").unwrap()[0].name, everywhere("\"a@b\""), "a local part with an '@' in it");
}

#[test]
fn quotes_that_protect_nothing_go() {
    let entries = read("\"Sales\": \"Ali\\ce\"\n\"inf\\o\"@example.org: bob").unwrap();
    assert_eq!((&entries[0].name, &entries[0].targets), (&everywhere("sales"), &vec![here("alice")]));
    assert_eq!(entries[1].name, Name::At("info@example.org".into()));
    assert_eq!(fault("sales: a\n\"SALES\": b"), (2, AliasFault::Twice { first: 1 }));
}

#[test]
fn a_number_sign_inside_a_word_is_no_comment() {
    assert_eq!(read("a#b: c#d@example.org").unwrap()[0].targets, [address("c#d@example.org")]);
    assert_eq!(fault("a: #b"), (1, AliasFault::NoTarget));
    assert_eq!(fault("a:#b"), (1, AliasFault::NoTarget));
}

#[test]
fn nothing_is_run_or_written() {
    for (target, expected) in [
        ("|/usr/bin/vacation", AliasFault::Command),
        ("\"|/usr/bin/vacation alice\"", AliasFault::Command),
        ("/dev/null", AliasFault::File),
        ("\"/var/mail/my box\"", AliasFault::File),
        (":include:/etc/list", AliasFault::Include),
        ("\":Include:/etc/list\"", AliasFault::Include),
        ("\\alice", AliasFault::Backslash),
    ] {
        assert_eq!(fault(&format!("# x\na: b,\n  {target}")), (3, expected), "{target}");
    }
}

#[test]
fn a_fault_names_its_line() {
    for (text, line, expected) in [
        ("a: b\nc", 2, AliasFault::NoColon),
        (" a: b", 1, AliasFault::NothingToContinue),
        ("a: b\n c: d", 2, AliasFault::Space),
        ("a: b\n c d", 2, AliasFault::Space),
        ("a: b\nc d: e", 2, AliasFault::Name),
        (": b", 1, AliasFault::Name),
        ("@: b", 1, AliasFault::Name),
        ("a@b..c: d", 1, AliasFault::Name),
        ("a: b\na: c", 2, AliasFault::Twice { first: 1 }),
        ("a:\nb: c", 1, AliasFault::NoTarget),
        ("a: b\nc: ,,", 2, AliasFault::NoTarget),
        ("a: \"b", 1, AliasFault::OpenQuote),
        ("\"a: b", 1, AliasFault::OpenQuote),
        ("a: b@", 1, AliasFault::Target),
        ("a: @example.org", 1, AliasFault::Target),
        ("a: Bob <bob@example.org>", 1, AliasFault::Space),
        ("a: <bob@example.org>", 1, AliasFault::Target),
        ("a: b\0@example.org", 1, AliasFault::Target),
        ("@example.org: a,\n b", 2, AliasFault::Several),
    ] {
        assert_eq!(fault(text), (line, expected), "{text:?}");
    }
    assert_eq!(parse(b"a: b\n\xff: c", 100), Err((2, AliasFault::NotUtf8)));
    let many = format!("a: {}\n b", vec!["x"; 100].join(","));
    assert_eq!(fault(&many), (2, AliasFault::TooMany { most: 100 }));
}

#[test]
fn each_fault_says_a_remedy() {
    for fault in [
        AliasFault::Command,
        AliasFault::Backslash,
        AliasFault::Twice { first: 3 },
        AliasFault::Circle { circle: "a@x.example → a@x.example".into() },
    ] {
        let told = fault.to_string();
        assert!(told.contains("; ") || told.contains(", "), "{told}");
    }
}

fn name_text() -> impl Strategy<Value = String> {
    let local = prop_oneof![
        "[a-zA-Z0-9!#$%&'*/=?^_`{|}~+-]{1,8}(\\.[a-z0-9]{1,4})?",
        "\"[ !#-\\[\\]-~]{0,8}\"",
        "\"(\\\\[ -~]){1,4}\"",
        "[a-zéüß你]{1,6}",
    ];
    (local, prop_oneof![Just(""), Just("@example.org"), Just("@Sub.Example.COM")]).prop_map(|(a, b)| a + b)
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&text, 100);
    }

    #[test]
    fn no_text_in_the_manner_of_one_makes_the_reader_panic(text in "([a-c@:,#\"\\\\|/. \t\n\r]|:include:){0,60}") {
        let _ = read(&text);
    }

    #[test]
    fn what_is_written_is_read_again(name in name_text(), targets in proptest::collection::vec(name_text(), 1..4)) {
        // Not every such word is one.
        let Ok(entries) = read(&format!("{name}: {}", targets.join(", "))) else { return Ok(()) };
        // A number sign at the front makes a comment.
        let Some(entry) = entries.first() else { return Ok(()) };
        prop_assert_eq!(read(&entry.to_string()), Ok(entries));
    }
}

#[test]
fn most_words_of_the_law_above_are_read() {
    for text in ["a!#$%: b", "\"a b\": c", "\"#a\": \"#b\", \"#c\"@example.org", "\"\\a\\ \": b", "É: B@Example.org"] {
        let entries = read(text).unwrap();
        assert_eq!(read(&entries[0].to_string()), Ok(entries));
    }
}
