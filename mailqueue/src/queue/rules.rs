//! Rules that keep mail from going: for a domain, a site, a source or a sender, until a time or until they are taken back.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::{Filter, FilterError, Glob, UnixMicros};

/// Names a rule; it is not used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u64);

/// Keeps mail from going. Every field that is given must hold for a recipient; at least one is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The recipient's domain.
    pub domain: Option<Glob>,
    /// The site where its mail goes.
    pub site: Option<Glob>,
    /// Who handed the message in.
    pub source: Option<Glob>,
    /// The message's reverse-path.
    pub sender: Option<Glob>,
    /// When the rule ends by itself.
    pub until: Option<UnixMicros>,
    /// Why it is there, for people.
    pub reason: String,
}

/// Why a rule was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RuleError {
    /// It would stop all mail. `source=*` does that, said clearly.
    #[error("a rule names a domain, a site, a source or a sender")]
    Empty,
    /// The filter asks for what a rule cannot know of mail that comes later.
    #[error("a rule cannot go by {0}")]
    NotForRules(&'static str),
    /// There are too many.
    #[error("there are {} rules already", RULES)]
    TooMany,
    /// There is no such rule.
    #[error("there is no such rule")]
    Unknown,
    /// The spool did not keep it.
    #[error("the rule was not kept: {0}")]
    Spool(#[from] crate::RecordError),
}

/// The most rules at one time. Each is looked at for each recipient.
pub const RULES: usize = 1000;

/// The longest reason, in octets.
const REASON: usize = 1000;

/// The first line of the form in which rules are kept.
const HEAD: &str = "posthaste-rules 1";

/// Why kept rules could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the kept rules are not of a form that is known")]
pub(super) struct Unreadable;

impl Rule {
    /// Takes over what a filter asks for.
    ///
    /// # Errors
    /// [`RuleError::NotForRules`] where that is more than domain, site, source and sender, [`RuleError::Empty`] where it is
    /// nothing.
    pub fn of(filter: Filter, until: Option<UnixMicros>, reason: impl Into<String>) -> Result<Self, RuleError> {
        let Filter { ids, sender, source, recipient, domain, site, text, older, younger, state } = filter;
        let others = [
            (!ids.is_empty(), "id"),
            (recipient.is_some(), "recipient"),
            (text.is_some(), "text"),
            (older.is_some(), "older"),
            (younger.is_some(), "younger"),
            (state.is_some(), "state"),
        ];
        if let Some((_, key)) = others.into_iter().find(|(is_given, _)| *is_given) {
            return Err(RuleError::NotForRules(key));
        }
        let rule = Self { domain, site, source, sender, until, reason: reason.into() };
        rule.check()?;
        Ok(rule)
    }

    pub(super) fn check(&self) -> Result<(), RuleError> {
        let all = [&self.domain, &self.site, &self.source, &self.sender];
        if all.iter().all(|glob| glob.is_none()) { Err(RuleError::Empty) } else { Ok(()) }
    }

    /// The part of it that picks mail.
    pub fn filter(&self) -> Filter {
        let Self { domain, site, source, sender, until: _, reason: _ } = self.clone();
        Filter { domain, site, source, sender, ..Filter::default() }
    }

    fn matches(&self, mail: &Mail<'_>) -> bool {
        let given = |glob: &Option<Glob>, text: &str| glob.as_ref().is_none_or(|glob| glob.matches(text));
        given(&self.domain, mail.domain)
            && given(&self.source, mail.source)
            && given(&self.sender, mail.sender)
            && self.site.as_ref().is_none_or(|glob| mail.site.is_some_and(|site| glob.matches(site)))
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mail<'a> {
    pub(super) sender: &'a str,
    pub(super) source: &'a str,
    pub(super) domain: &'a str,
    /// `None` while it is not known: rules that name a site wait for that.
    pub(super) site: Option<&'a str>,
}

/// All rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    last: u64,
    rules: Vec<(RuleId, Arc<Rule>)>,
}

impl Rules {
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    pub(super) fn all(&self) -> Vec<(RuleId, Rule)> {
        self.rules.iter().map(|(id, rule)| (*id, (**rule).clone())).collect()
    }

    /// The first rule that keeps mail now.
    pub(super) fn keeping(&self, mail: &Mail<'_>, wall: UnixMicros) -> Option<(RuleId, Option<UnixMicros>)> {
        let keeps = |rule: &Rule| rule.until.is_none_or(|until| until > wall) && rule.matches(mail);
        self.rules.iter().find(|(_, rule)| keeps(rule)).map(|(id, rule)| (*id, rule.until))
    }

    /// When the first of them ends by itself.
    pub(super) fn next_end(&self) -> Option<UnixMicros> {
        self.rules.iter().filter_map(|(_, rule)| rule.until).min()
    }

    /// Takes those out that have ended by themselves.
    pub(super) fn expire(&mut self, wall: UnixMicros) -> usize {
        let before = self.rules.len();
        self.rules.retain(|(_, rule)| rule.until.is_none_or(|until| until > wall));
        before - self.rules.len()
    }

    pub(super) fn add(&mut self, mut rule: Rule) -> Result<RuleId, RuleError> {
        rule.check()?;
        if self.rules.len() >= RULES {
            return Err(RuleError::TooMany);
        }
        rule.reason.truncate(rule.reason.floor_char_boundary(REASON));
        self.last = self.last.saturating_add(1);
        let id = RuleId(self.last);
        self.rules.push((id, Arc::new(rule)));
        Ok(id)
    }

    pub(super) fn remove(&mut self, id: RuleId) -> Result<Rule, RuleError> {
        let place = self.rules.iter().position(|(one, _)| *one == id).ok_or(RuleError::Unknown)?;
        let (_, rule) = self.rules.remove(place);
        Ok(Arc::unwrap_or_clone(rule))
    }

    /// The form in which a spool keeps them: a head line with the last name that was given, then three lines for each rule:
    /// its name and end, what it picks, and why.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut text = format!("{HEAD}\n{}\n", self.last);
        for (id, rule) in &self.rules {
            let until = rule.until.map_or_else(|| "-".to_owned(), |until| until.0.to_string());
            let reason: String =
                rule.reason.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
            let filter: String = rule
                .filter()
                .to_string()
                .chars()
                .map(|letter| if letter.is_control() { '?' } else { letter })
                .collect();
            text.push_str(&format!("{id} {until}\n{filter}\n{reason}\n"));
        }
        text.into_bytes()
    }

    /// Reads what [`Rules::write`] wrote.
    pub(super) fn read(octets: &[u8]) -> Result<Self, Unreadable> {
        if octets.is_empty() {
            return Ok(Self::default());
        }
        let text = str::from_utf8(octets).map_err(|_| Unreadable)?;
        let mut lines = text.strip_suffix('\n').ok_or(Unreadable)?.split('\n');
        if lines.next() != Some(HEAD) {
            return Err(Unreadable);
        }
        let last = number(lines.next())?;
        let mut rules = Vec::new();
        while let Some(names) = lines.next() {
            let (id, until) = names.split_once(' ').ok_or(Unreadable)?;
            let until = if until == "-" { None } else { Some(UnixMicros(number(Some(until))?)) };
            let filter: Result<Filter, FilterError> = lines.next().ok_or(Unreadable)?.parse();
            let reason = lines.next().ok_or(Unreadable)?;
            let rule = Rule::of(filter.map_err(|_| Unreadable)?, until, reason).map_err(|_| Unreadable)?;
            rules.push((RuleId(number(Some(id))?), Arc::new(rule)));
        }
        Ok(Self { last, rules })
    }
}

fn number(text: Option<&str>) -> Result<u64, Unreadable> {
    u64::from_str(text.ok_or(Unreadable)?).map_err(|_| Unreadable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(text: &str, until: Option<u64>) -> Rule {
        Rule::of(text.parse().unwrap(), until.map(UnixMicros), "too much\nof it").unwrap()
    }

    const MAIL: Mail<'_> = Mail { sender: "a@b", source: "alice", domain: "x.example", site: Some("mx1") };

    #[test]
    fn the_first_rule_that_fits_keeps_mail_until_it_ends() {
        let mut rules = Rules::default();
        rules.add(rule("domain=y.example", None)).unwrap();
        let second = rules.add(rule("domain=x.* source=alice", Some(100))).unwrap();
        assert_eq!(rules.keeping(&MAIL, UnixMicros(99)), Some((second, Some(UnixMicros(100)))));
        assert_eq!(rules.keeping(&MAIL, UnixMicros(100)), None);
        assert_eq!(rules.next_end(), Some(UnixMicros(100)));
        assert_eq!((rules.expire(UnixMicros(100)), rules.all().len()), (1, 1));
    }

    #[test]
    fn a_rule_for_a_site_waits_until_the_site_is_known() {
        let mut rules = Rules::default();
        rules.add(rule("site=mx1", None)).unwrap();
        assert!(rules.keeping(&MAIL, UnixMicros(0)).is_some());
        assert_eq!(rules.keeping(&Mail { site: None, ..MAIL }, UnixMicros(0)), None);
    }

    #[test]
    fn a_rule_goes_by_what_is_known_of_later_mail_too() {
        let of = |text: &str| Rule::of(text.parse().unwrap(), None, "").unwrap_err();
        assert_eq!(of("older=4h domain=x"), RuleError::NotForRules("older"));
        assert_eq!(of("all"), RuleError::Empty);
    }

    #[test]
    fn names_are_not_given_twice_even_when_the_last_rule_went() {
        let mut rules = Rules::default();
        let first = rules.add(rule("domain=x", None)).unwrap();
        rules.remove(first).unwrap();
        assert_eq!(rules.remove(first), Err(RuleError::Unknown));
        let mut later = Rules::read(&rules.write()).unwrap();
        assert!(later.add(rule("domain=x", None)).unwrap() > first);
    }

    #[test]
    fn other_forms_are_not_read() {
        assert_eq!(Rules::read(b""), Ok(Rules::default()));
        for text in ["x", "posthaste-rules 2\n0\n", "posthaste-rules 1\n", "posthaste-rules 1\n1\n1 -\nall\n\n"] {
            assert_eq!(Rules::read(text.as_bytes()), Err(Unreadable), "{text}");
        }
    }

    #[test]
    fn the_kept_form_is_this() {
        let mut rules = Rules::default();
        rules.add(rule("domain=x source=\"a b\"", Some(7))).unwrap();
        assert_eq!(rules.write(), b"posthaste-rules 1\n1\n1 7\nsource=\"a b\" domain=x\ntoo much of it\n");
    }

    proptest! {
        #[test]
        fn what_is_kept_reads_back(
            all in prop::collection::vec(("[a-z*]{1,5}", prop::option::of("[a-z \"\\\\*]{0,5}"), any::<Option<u64>>(), "[ -~]{0,9}"), 0..5),
        ) {
            let mut rules = Rules::default();
            for (domain, sender, until, reason) in all {
                let glob = Glob::new(&domain);
                let sender = sender.map(|sender| Glob::new(&sender));
                let until = until.map(UnixMicros);
                rules.add(Rule { domain: Some(glob), sender, until, reason, ..Rule::default() }).unwrap();
            }
            prop_assert_eq!(Rules::read(&rules.write()), Ok(rules));
        }

        #[test]
        fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Rules::read(&octets);
        }
    }
}
