//! The text of an `Authentication-Results` field (RFC 8601 §2.2), of what strangers say among other things.

/// Results that are gathered.
pub(super) struct Results(String);

impl Results {
    /// Begins with our own name.
    pub(super) fn new(host: &str) -> Self {
        Self(host.to_owned())
    }

    /// Adds a method and its result, both words of RFC 8601 §2.7.
    pub(super) fn method(&mut self, method: &str, result: &str) {
        self.0.extend(["; ", method, "=", result]);
    }

    /// Adds what the last result is about, unless the value cannot be written.
    pub(super) fn property(&mut self, name: &str, value: &str) -> bool {
        let Some(value) = written(value) else { return false };
        self.0.extend([" ", name, "=", &value]);
        true
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// The longest value: a local part, an at sign and a domain (RFC 5321 §4.5.3.1), with room.
const MAX_VALUE: usize = 520;

/// A value as the grammar has it: a token or address as it is, else a quoted string. None for what is empty, too long, or
/// holds white space, at which a field is folded, or control characters.
fn written(value: &str) -> Option<String> {
    let unfit = |c: char| c.is_whitespace() || c.is_control();
    if value.is_empty() || value.len() > MAX_VALUE || value.contains(unfit) {
        return None;
    }
    if value.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_' | '+' | '@')) {
        return Some(value.to_owned());
    }
    let mut quoted = String::from('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    Some(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_look_like_this() {
        let mut results = Results::new("mx.example");
        results.method("spf", "pass");
        assert!(results.property("smtp.mailfrom", "alice+x@example.org"));
        results.method("dkim", "fail");
        assert!(results.property("header.d", "example.org"));
        assert!(results.property("header.b", "a/b+c=="));
        assert_eq!(
            results.into_text(),
            "mx.example; spf=pass smtp.mailfrom=alice+x@example.org; dkim=fail header.d=example.org header.b=\"a/b+c==\""
        );
    }

    #[test]
    fn nothing_that_a_stranger_says_ends_its_value() {
        for (value, expected) in [
            ("a;dkim=pass", Some("\"a;dkim=pass\"")),
            ("\"a\\\"b\"@example.org", Some("\"\\\"a\\\\\\\"b\\\"@example.org\"")),
            ("(comment)", Some("\"(comment)\"")),
            ("2001:db8::1", Some("\"2001:db8::1\"")),
            ("", None),
            ("a b", None),
            ("a\r\nb", None),
            ("a\u{7f}", None),
            ("a\u{2028}b", None),
        ] {
            assert_eq!(written(value).as_deref(), expected, "{value:?}");
        }
        assert_eq!(written(&"a".repeat(MAX_VALUE)).map(|value| value.len()), Some(MAX_VALUE));
        assert_eq!(written(&"a".repeat(MAX_VALUE + 1)), None);
    }
}
