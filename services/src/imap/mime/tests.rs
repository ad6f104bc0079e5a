use proptest::prelude::*;

use super::*;

fn tree(text: &str) -> Tree {
    let mut scanner = Scanner::new();
    scanner.feed(text.as_bytes());
    scanner.finish()
}

fn at<'t>(text: &'t str, range: &Range<u64>) -> &'t str {
    text.get(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()).unwrap()
}

/// Header and body of a part by its number, such as `2.1`.
fn numbered<'t>(text: &'t str, number: &str) -> Option<(&'t str, &'t str)> {
    let numbers: Vec<u32> = number.split('.').map(|number| number.parse().unwrap()).collect();
    let tree = tree(text);
    let part = tree.numbered(&numbers)?;
    Some((at(text, &part.header), at(text, &part.body)))
}

const NESTED: &str = "Subject: outer\r\n\
    Content-Type: multipart/mixed; boundary=\"out er\"\r\n\
    \r\n\
    preamble\r\n\
    --out er\r\n\
    Content-Type: text/plain\r\n\
    \r\n\
    one\r\n\
    \r\n\
    --out er  \r\n\
    \r\n\
    two, without a header\r\n\
    --out er\r\n\
    Content-Type: message/rfc822\r\n\
    \r\n\
    Subject: inner\r\n\
    Content-Type: multipart/alternative; boundary=in\r\n\
    \r\n\
    --in\r\n\
    Content-Type: text/plain\r\n\
    \r\n\
    three\r\n\
    --in\r\n\
    Content-Type: text/html\r\n\
    \r\n\
    <p>four\r\n\
    --in--\r\n\
    epilogue\r\n\
    --out er\r\n\
    Content-Type: message/rfc822\r\n\
    \r\n\
    Subject: five\r\n\
    \r\n\
    plain\r\n\
    --out er--\r\n\
    the end\r\n";

#[test]
fn parts_are_numbered_as_the_rfc_says() {
    for (number, expected) in [
        ("1", Some(("Content-Type: text/plain\r\n\r\n", "one\r\n"))),
        ("2", Some(("\r\n", "two, without a header"))),
        ("3.1", Some(("Content-Type: text/plain\r\n\r\n", "three"))),
        ("3.2", Some(("Content-Type: text/html\r\n\r\n", "<p>four"))),
        ("4", Some(("Content-Type: message/rfc822\r\n\r\n", "Subject: five\r\n\r\nplain"))),
        ("4.1", Some(("Subject: five\r\n\r\n", "plain"))),
        ("5", None),
        ("1.1", None),
        ("3.3", None),
        ("4.1.1", None),
        ("4.2", None),
    ] {
        assert_eq!(numbered(NESTED, number), expected, "{number}");
    }
    let (header, body) = numbered(NESTED, "3").unwrap();
    assert_eq!(header, "Content-Type: message/rfc822\r\n\r\n");
    assert!(body.starts_with("Subject: inner\r\n") && body.ends_with("--in--\r\nepilogue"), "{body:?}");
}

#[test]
fn a_message_without_parts_has_one() {
    assert_eq!(numbered("A: b\r\n\r\nbody\r\n", "1"), Some(("A: b\r\n\r\n", "body\r\n")));
    assert_eq!(numbered("A: b\r\n\r\nbody\r\n", "1.1"), None);
    assert_eq!(numbered("A: b\r\n\r\nbody\r\n", "2"), None);
    let forwarded = "Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nbody";
    assert_eq!(numbered(forwarded, "1"), Some(("Content-Type: message/rfc822\r\n\r\n", "A: b\r\n\r\nbody")));
    assert_eq!(numbered(forwarded, "1.1"), Some(("A: b\r\n\r\n", "body")));
}

#[test]
fn lines_are_counted_without_the_one_before_a_boundary() {
    let tree = tree(NESTED);
    let lines = |numbers: &[u32]| tree.numbered(numbers).unwrap().lines;
    assert_eq!((lines(&[1]), lines(&[2]), lines(&[3]), lines(&[3, 2])), (1, 0, 12, 0));
}

#[test]
fn bare_line_feeds_end_lines_too() {
    let text = NESTED.replace("\r\n", "\n");
    assert_eq!(numbered(&text, "1"), Some(("Content-Type: text/plain\n\n", "one\n")));
    assert_eq!(numbered(&text, "3.2"), Some(("Content-Type: text/html\n\n", "<p>four")));
}

#[test]
fn an_outer_boundary_ends_all_that_is_within() {
    let text = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\
        Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/x\r\n--a\r\n\r\nlast\r\n--a--";
    assert_eq!(numbered(text, "1.1"), Some(("Content-Type: text/x", "")));
    assert_eq!(numbered(text, "2"), Some(("\r\n", "last")));
    assert_eq!(numbered(text, "3"), None);
}

#[test]
fn what_is_over_or_never_was_is_no_boundary() {
    let text =
        "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--ab\r\n--a--\r\n--a\r\n\r\nno part\r\n";
    assert_eq!(numbered(text, "1"), Some(("\r\n", "x\r\n--ab")));
    assert_eq!(numbered(text, "2"), None);
    let without = "Content-Type: multipart/mixed\r\n\r\n--\r\n\r\nx\r\n";
    assert_eq!(numbered(without, "1").unwrap().1, "--\r\n\r\nx\r\n");
}

#[test]
fn an_empty_part_is_empty() {
    let text = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n--a\r\n--a\r\n\r\n\r\n--a--\r\n";
    assert_eq!(numbered(text, "1"), Some(("\r\n", "")));
    assert_eq!(numbered(text, "2"), Some(("", "")));
    assert_eq!(numbered(text, "3"), Some(("\r\n", "")));
}

#[test]
fn a_digest_is_of_messages() {
    let text = "Content-Type: multipart/digest; boundary=a\r\n\r\n--a\r\n\r\nSubject: x\r\n\r\nbody\r\n--a--\r\n";
    assert_eq!(numbered(text, "1.1"), Some(("Subject: x\r\n\r\n", "body")));
}

fn depth(tree: &Tree) -> usize {
    tree.parts().map(|part| part.depth).max().unwrap()
}

#[test]
fn nesting_ends_somewhere() {
    let mut multiparts = String::new();
    for level in 0..10_000 {
        multiparts.push_str(&format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"));
    }
    let messages = "Content-Type: message/rfc822\r\n\r\n".repeat(10_000);
    for text in [multiparts, messages] {
        let tree = tree(&text);
        assert_eq!(depth(&tree), DEPTH_MAX);
        assert_eq!(
            at(&text, &tree.part(0).unwrap().body).len() + tree.part(0).unwrap().header.end as usize,
            text.len()
        );
    }
}

#[test]
fn parts_beyond_the_limit_are_not_told_apart() {
    let mut text = "Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_owned();
    text.push_str(&"--b\r\n\r\nx\r\n".repeat(10 * PARTS_MAX));
    let tree = tree(&text);
    assert_eq!(tree.parts.len(), PARTS_MAX);
    let last = u32::try_from(PARTS_MAX - 1).unwrap();
    assert_eq!(at(&text, &tree.numbered(&[last]).unwrap().body), "x");
    assert!(tree.numbered(&[last + 1]).is_none());
}

#[test]
fn headers_beyond_the_limits_are_not_held() {
    let long = "X: y\r\n".repeat(HEADER_MAX);
    let part = format!("--b\r\nContent-Type: message/rfc822\r\n\r\n{long}\r\nx\r\n");
    let text = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\n", part.repeat(8));
    let tree = tree(&text);
    let held: Vec<usize> = tree.parts().map(|part| part.fields.len()).collect();
    assert!(held.iter().all(|held| *held <= HEADER_MAX) && held.iter().sum::<usize>() <= HEADERS_MAX, "{held:?}");
    assert_eq!(at(&text, &tree.numbered(&[3, 1]).unwrap().body), "x");
    // What the eighth is nobody knows, but where it lies.
    assert!(at(&text, &tree.numbered(&[8]).unwrap().body).ends_with("X: y\r\n\r\nx"));
}

#[test]
fn a_line_without_end_is_not_held() {
    let mut scanner = Scanner::new();
    scanner.feed(b"A: b\r\n\r\n");
    for _ in 0..1000 {
        scanner.feed(&[b'-'; 1000]);
    }
    assert!(scanner.line.capacity() <= 2 * LINE_KEPT);
    assert_eq!(scanner.finish().part(0).unwrap().body.end, 8 + 1_000_000);
}

/// Pieces of what messages with parts are made of.
fn lines() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("Content-Type: multipart/mixed; boundary=a"),
        Just("Content-Type: multipart/mixed; boundary=\"ab\""),
        Just("Content-Type: multipart/digest; boundary=c"),
        Just("Content-Type: message/rfc822"),
        Just("Content-Type:"),
        Just(" text/plain"),
        Just("--a"),
        Just("--a--"),
        Just("--ab"),
        Just("--ab--"),
        Just("--c "),
        Just("--"),
        Just("x"),
        Just(""),
        Just(""),
    ];
    let end = prop_oneof![4 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r"), 1 => Just("")];
    prop::collection::vec((line, end), 0..24).prop_map(|lines| lines.into_iter().flat_map(|(a, b)| [a, b]).collect())
}

proptest! {
    #[test]
    fn pieces_do_not_matter(text in lines(), cuts in prop::collection::vec(0..200_usize, 0..6)) {
        let whole = tree(&text);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let mut scanner = Scanner::new();
        for cut in cuts.windows(2) {
            scanner.feed(&text.as_bytes()[cut[0]..cut[1]]);
        }
        prop_assert_eq!(format!("{:?}", whole), format!("{:?}", scanner.finish()));
    }

    #[test]
    fn parts_lie_within_what_holds_them_and_behind_one_another(text in lines()) {
        let tree = tree(&text);
        prop_assert_eq!(tree.part(0).unwrap().body.end, text.len() as u64);
        for (index, part) in tree.parts().enumerate() {
            prop_assert!(part.header.start <= part.header.end && part.header.end == part.body.start);
            prop_assert!(part.body.start <= part.body.end);
            let counted = at(&text, &part.body).matches('\n').count() as u64;
            prop_assert_eq!(part.lines, counted, "{:?}", part);
            let held: Vec<usize> = match &part.holds {
                Holds::Leaf => vec![],
                Holds::Parts(parts) => parts.clone(),
                Holds::Message(inner) => vec![*inner],
            };
            let mut from = part.body.start;
            for inner in held {
                prop_assert!(inner > index);
                let inner = tree.part(inner).unwrap();
                prop_assert!(from <= inner.header.start && inner.body.end <= part.body.end, "{:?} {:?}", part, inner);
                from = inner.body.end;
            }
        }
    }
}
