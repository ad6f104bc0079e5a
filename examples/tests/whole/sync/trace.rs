//! What `strace -f -yy` writes, understood as far as files and sockets go.

use std::collections::HashMap;

/// One system call. Its place among the others is where it begins and where it has returned, in lines of the trace.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) arguments: Vec<Argument>,
    pub(super) result: i64,
    pub(super) begin: usize,
    pub(super) end: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Argument {
    /// A descriptor, as what it stands for: a path, or the ends of a connection. Also the working directory.
    Open(String),
    /// Octets, escapes undone.
    Text(Vec<u8>),
    /// Anything else, as it stands there.
    Word(String),
}

impl Call {
    /// What the descriptor in this place stands for.
    pub(super) fn open(&self, place: usize) -> Option<&str> {
        match self.arguments.get(place)? {
            Argument::Open(path) => Some(path),
            Argument::Text(_) | Argument::Word(_) => None,
        }
    }

    /// All octets that the call names or carries.
    pub(super) fn text(&self) -> Vec<u8> {
        let texts = self.arguments.iter().filter_map(|argument| match argument {
            Argument::Text(text) => Some(&text[..]),
            Argument::Open(_) | Argument::Word(_) => None,
        });
        texts.collect::<Vec<_>>().concat()
    }

    /// The paths that the call names, from the descriptors they are relative to.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        let mut at = "";
        for argument in &self.arguments {
            match argument {
                Argument::Open(path) => at = path,
                Argument::Text(text) => {
                    let text = String::from_utf8_lossy(text);
                    paths.push(if text.starts_with('/') { text.into_owned() } else { format!("{at}/{text}") });
                }
                Argument::Word(_) => {}
            }
        }
        paths
    }

    /// Whether one of the words has this in it.
    pub(super) fn has_word(&self, part: &str) -> bool {
        self.arguments.iter().any(|argument| matches!(argument, Argument::Word(word) if word.contains(part)))
    }
}

/// All calls that have returned, in the order in which they began.
pub(super) fn parse(trace: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut unfinished: HashMap<&str, (usize, &str)> = HashMap::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread, (number, begun));
        } else if let Some(resumed) = rest.strip_prefix("<... ") {
            let Some((_, tail)) = resumed.split_once(" resumed>") else { continue };
            let Some((begin, head)) = unfinished.remove(thread) else { continue };
            calls.extend(call(&format!("{head}{tail}"), begin, number));
        } else {
            calls.extend(call(rest, number, number));
        }
    }
    calls.sort_by_key(|call| call.begin);
    calls
}

/// One call on one line; `None` for what is no call, as signals and ends.
fn call(line: &str, begin: usize, end: usize) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return None;
    }
    let (_, result) = rest.rsplit_once(" = ")?;
    let digits: String = result.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
    let result = digits.parse().ok()?;
    Some(Call { name: name.to_owned(), arguments: arguments(rest), result, begin, end })
}

/// The arguments up to the closing parenthesis; those in brackets and braces count as the call's own.
fn arguments(mut rest: &str) -> Vec<Argument> {
    let mut arguments = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ', '[', ']', '{', '}']);
        if rest.is_empty() || rest.starts_with(')') {
            return arguments;
        }
        if let Some(quoted) = rest.strip_prefix('"') {
            let (text, after) = unquote(quoted);
            arguments.push(Argument::Text(text));
            rest = after.trim_start_matches('.');
            continue;
        }
        let length = rest.find([',', '<', ')', ']', '}', '"']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        let Some(annotated) = after.strip_prefix('<').filter(|_| is_descriptor(word)) else {
            // What is left of a word that something odd follows must not keep us here.
            let skip = usize::from(length == 0);
            arguments.push(Argument::Word(word.to_owned()));
            rest = after.get(skip..).unwrap_or_default();
            continue;
        };
        // The name of a connection has an arrow in it.
        let close = if annotated.contains("]>") && !annotated.starts_with('/') { "]>" } else { ">" };
        let (path, after) = annotated.split_once(close).unwrap_or((annotated, ""));
        arguments.push(Argument::Open(path.to_owned()));
        rest = after;
    }
}

fn is_descriptor(word: &str) -> bool {
    let word = word.rsplit('=').next().unwrap_or(word);
    word == "AT_FDCWD" || (!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The octets up to the closing quote, and what follows it.
fn unquote(quoted: &str) -> (Vec<u8>, &str) {
    let mut text = Vec::new();
    let bytes = quoted.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => return (text, quoted.get(at..).unwrap_or_default()),
            b'\\' => {
                let digits = bytes[at..].iter().take(3).take_while(|digit| (b'0'..=b'7').contains(digit)).count();
                if digits > 0 {
                    text.push(
                        bytes[at..at + digits]
                            .iter()
                            .fold(0, |octet: u8, digit| octet.wrapping_mul(8).wrapping_add(digit - b'0')),
                    );
                    at += digits;
                    continue;
                }
                text.push(match bytes.get(at) {
                    Some(b'n') => b'\n',
                    Some(b'r') => b'\r',
                    Some(b't') => b'\t',
                    Some(b'v') => 11,
                    Some(b'f') => 12,
                    Some(other) => *other,
                    None => break,
                });
                at += 1;
            }
            other => text.push(*other),
        }
    }
    (text, "")
}

#[test]
fn calls_are_understood() {
    let trace = "\
        7 openat(AT_FDCWD</srv>, \"a/b\", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 9</srv/a/b>\n\
        7 pwrite64(9</srv/a/b>, \"x\\r\\n\\0\\377\\\"\"..., 6, 0 <unfinished ...>\n\
        8 writev(12<TCP:[127.0.0.1:25->127.0.0.1:4000]>, [{iov_base=\"250 \", iov_len=4}, {iov_base=\"ok\", iov_len=2}], 2) = 6\n\
        7 <... pwrite64 resumed>)           = 6\n\
        8 --- SIGTERM {si_signo=SIGTERM} ---\n\
        8 fdatasync(9</srv/a/b>)           = -1 EIO (Input/output error)\n\
        8 renameat(5</t/tmp>, \"x\", 6</t/new>, \"y\") = 0\n\
        8 +++ exited with 0 +++\n";
    let calls = parse(trace);
    let names: Vec<_> = calls.iter().map(|call| (call.name.as_str(), call.result, call.begin, call.end)).collect();
    assert_eq!(
        names,
        [
            ("openat", 9, 0, 0),
            ("pwrite64", 6, 1, 3),
            ("writev", 6, 2, 2),
            ("fdatasync", -1, 5, 5),
            ("renameat", 0, 6, 6)
        ]
    );
    assert_eq!(calls[0].paths(), ["/srv/a/b"]);
    assert!(calls[0].has_word("O_CREAT"));
    assert_eq!((calls[1].open(0), calls[1].text()), (Some("/srv/a/b"), b"x\r\n\0\xff\"".to_vec()));
    assert_eq!((calls[2].open(0), calls[2].text()), (Some("TCP:[127.0.0.1:25->127.0.0.1:4000"), b"250 ok".to_vec()));
    assert_eq!(calls[4].paths(), ["/t/tmp/x", "/t/new/y"]);
}
