//! Commands (RFC 3501 §6 and §9): found by their verb first, then parsed by the one grammar that fits.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use bytes::{BufMut, BytesMut};
use nom::Parser as _;
use nom::bytes::complete::{tag, take_while1};
use nom::combinator::{map, opt};
use nom::sequence::preceded;

use crate::date::date_time;
use crate::fetch::fetch_items;
use crate::grammar::{
    Expected, ParseError, Parsed, ascii, astring, atom, command_tag, expect, fail, keyword, list_mailbox, list0, list1,
    nstring, number64, sequence_set, sp, string, whole,
};
use crate::search::search_keys;
use crate::write::{argument, text};
use crate::{DateTime, FetchItem, Flag, Flags, SequenceSet, WireKey};

/// A client's command. Borrows the octets it was parsed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// The word that the answer will begin with.
    pub tag: &'a str,
    /// What is wanted.
    pub verb: Verb<'a>,
}

/// Octets of an argument: a name, a password, a mailbox in modified UTF-7.
pub type Argument<'a> = Cow<'a, [u8]>;

/// What a command wants, with its arguments. Names of mailboxes are as they were on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb<'a> {
    /// `APPEND`, as far as its message's literal.
    Append(AppendHead<'a>),
    /// `AUTHENTICATE`
    Authenticate {
        /// The mechanism's name.
        mechanism: &'a str,
        /// The initial response in base64 (RFC 4959 §3); `=` is an empty one.
        initial: Option<&'a str>,
    },
    /// `CAPABILITY`
    Capability,
    /// `CHECK`
    Check,
    /// `CLOSE`
    Close,
    /// `COPY`
    Copy(Addressing, SequenceSet, Argument<'a>),
    /// `CREATE`
    Create(Argument<'a>),
    /// `DELETE`
    Delete(Argument<'a>),
    /// `EXAMINE`
    Examine(Argument<'a>),
    /// `EXPUNGE`, or `UID EXPUNGE` with its set (RFC 4315 §2.1).
    Expunge(Option<SequenceSet>),
    /// `FETCH`
    Fetch(Addressing, SequenceSet, Vec<FetchItem>),
    /// `ID` (RFC 2971 §3.1), with its fields; none for `NIL`.
    Id(Vec<(Argument<'a>, Option<Argument<'a>>)>),
    /// `IDLE` (RFC 2177)
    Idle,
    /// `LIST`
    List {
        /// What the pattern is relative to.
        reference: Argument<'a>,
        /// A name with wildcards.
        pattern: Argument<'a>,
    },
    /// `LOGIN`
    Login {
        /// The user's name.
        user: Argument<'a>,
        /// The password.
        password: Argument<'a>,
    },
    /// `LOGOUT`
    Logout,
    /// `LSUB`
    Lsub {
        /// What the pattern is relative to.
        reference: Argument<'a>,
        /// A name with wildcards.
        pattern: Argument<'a>,
    },
    /// `MOVE` (RFC 6851)
    Move(Addressing, SequenceSet, Argument<'a>),
    /// `NAMESPACE` (RFC 2342)
    Namespace,
    /// `NOOP`
    Noop,
    /// `RENAME`
    Rename {
        /// The name it has.
        from: Argument<'a>,
        /// The name it shall have.
        to: Argument<'a>,
    },
    /// `SEARCH`
    Search {
        /// Whether numbers or UIDs are wanted.
        by: Addressing,
        /// How text is encoded; US-ASCII where nothing is said.
        charset: Option<Argument<'a>>,
        /// The condition.
        key: WireKey<'a>,
    },
    /// `SELECT`
    Select(Argument<'a>),
    /// `STARTTLS`
    StartTls,
    /// `STATUS`
    Status(Argument<'a>, Vec<StatusItem>),
    /// `STORE`
    Store {
        /// Whether the set holds numbers or UIDs.
        by: Addressing,
        /// The messages.
        set: SequenceSet,
        /// What is done to their flags.
        change: FlagChange,
        /// Whether the flags that come of it are told.
        echo: Echo,
    },
    /// `SUBSCRIBE`
    Subscribe(Argument<'a>),
    /// `UNSELECT` (RFC 3691)
    Unselect,
    /// `UNSUBSCRIBE`
    Unsubscribe(Argument<'a>),
}

/// Whether a command names messages by number or by UID, and is answered so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// By sequence number.
    Sequence,
    /// By UID: the command came with `UID` before it.
    Uid,
}

/// What STORE does to the flags of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlagChange {
    /// `+FLAGS`: these too.
    Add(Flags),
    /// `-FLAGS`: not these.
    Remove(Flags),
    /// `FLAGS`: just these.
    Replace(Flags),
}

/// Whether STORE tells the flags that come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// It does.
    Told,
    /// `.SILENT`
    Silent,
}

/// Something that STATUS can tell (RFC 3501 §6.3.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusItem {
    /// How many messages there are.
    Messages,
    /// How many are `\Recent`.
    Recent,
    /// The next UID.
    UidNext,
    /// The UIDVALIDITY.
    UidValidity,
    /// How many are not `\Seen`.
    Unseen,
}

impl StatusItem {
    const ALL: [Self; 5] = [Self::Messages, Self::Recent, Self::UidNext, Self::UidValidity, Self::Unseen];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "MESSAGES",
            Self::Recent => "RECENT",
            Self::UidNext => "UIDNEXT",
            Self::UidValidity => "UIDVALIDITY",
            Self::Unseen => "UNSEEN",
        }
    }
}

/// All of an APPEND but its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendHead<'a> {
    /// Where the message goes.
    pub mailbox: Argument<'a>,
    /// The flags it gets.
    pub flags: Flags,
    /// The INTERNALDATE it gets; none for now.
    pub date: Option<DateTime>,
    /// How many octets it has.
    pub size: u64,
    /// Whether the client waits to be asked for it.
    pub literal: LiteralKind,
}

/// Whether a client waits before it sends a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiteralKind {
    /// `{n}`: it waits for `+`.
    Sync,
    /// `{n+}`: it does not (RFC 7888).
    NonSync,
}

impl<'a> Command<'a> {
    /// Parses a complete command with all its literals, without the CRLF at its end. APPEND ends behind the announcement of
    /// its message, `{n}`.
    ///
    /// # Errors
    /// Says where the octets stop being a command, and what was expected there.
    pub fn parse(octets: &'a [u8]) -> Result<Self, ParseError> {
        whole(octets, |input| {
            let (rest, tag) = command_tag(input)?;
            let (rest, ()) = sp(rest)?;
            let (rest, verb) = verb(rest)?;
            Ok((rest, Self { tag, verb }))
        })
    }

    /// The tag, for the answer to a command that is none. Anything longer than `limit` is no tag.
    #[must_use]
    pub fn tag_of(octets: &'a [u8], limit: usize) -> Option<&'a str> {
        let (rest, tag) = command_tag(octets).ok()?;
        (tag.len() <= limit && matches!(rest, [] | [b' ' | b'\r' | b'\n' | 0, ..])).then_some(tag)
    }
}

fn verb(input: &[u8]) -> Parsed<'_, Verb<'_>> {
    let (rest, word) = keyword(input)?;
    let mut upper = [0; 12];
    let Some(word) = upper.get_mut(..word.len()).map(|upper| {
        upper.copy_from_slice(word.as_bytes());
        upper.make_ascii_uppercase();
        ascii(upper)
    }) else {
        return fail(input, Expected::Verb);
    };
    match word {
        "APPEND" => map(append_head, Verb::Append).parse(rest),
        "AUTHENTICATE" => authenticate(rest),
        "CAPABILITY" => Ok((rest, Verb::Capability)),
        "CHECK" => Ok((rest, Verb::Check)),
        "CLOSE" => Ok((rest, Verb::Close)),
        "CREATE" => map(mailbox, Verb::Create).parse(rest),
        "DELETE" => map(mailbox, Verb::Delete).parse(rest),
        "EXAMINE" => map(mailbox, Verb::Examine).parse(rest),
        "EXPUNGE" => Ok((rest, Verb::Expunge(None))),
        "ID" => id(rest),
        "IDLE" => Ok((rest, Verb::Idle)),
        "LIST" => map(list, |(reference, pattern)| Verb::List { reference, pattern }).parse(rest),
        "LOGIN" => login(rest),
        "LOGOUT" => Ok((rest, Verb::Logout)),
        "LSUB" => map(list, |(reference, pattern)| Verb::Lsub { reference, pattern }).parse(rest),
        "NAMESPACE" => Ok((rest, Verb::Namespace)),
        "NOOP" => Ok((rest, Verb::Noop)),
        "RENAME" => map((mailbox, mailbox), |(from, to)| Verb::Rename { from, to }).parse(rest),
        "SELECT" => map(mailbox, Verb::Select).parse(rest),
        "STARTTLS" => Ok((rest, Verb::StartTls)),
        "STATUS" => status(rest),
        "SUBSCRIBE" => map(mailbox, Verb::Subscribe).parse(rest),
        "UID" => uid(rest),
        "UNSELECT" => Ok((rest, Verb::Unselect)),
        "UNSUBSCRIBE" => map(mailbox, Verb::Unsubscribe).parse(rest),
        "COPY" | "FETCH" | "MOVE" | "SEARCH" | "STORE" => on_messages(Addressing::Sequence, word, input, rest),
        _ => fail(input, Expected::Verb),
    }
}

fn uid(rest: &[u8]) -> Parsed<'_, Verb<'_>> {
    let (input, ()) = sp(rest)?;
    let (rest, word) = keyword(input)?;
    if word.eq_ignore_ascii_case("EXPUNGE") {
        return map(preceded(sp, sequence_set), |set| Verb::Expunge(Some(set))).parse(rest);
    }
    on_messages(Addressing::Uid, word, input, rest)
}

/// The commands that come with UID and without.
fn on_messages<'a>(by: Addressing, word: &str, input: &'a [u8], rest: &'a [u8]) -> Parsed<'a, Verb<'a>> {
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    let set = || preceded(sp, sequence_set);
    match word {
        _ if is("COPY") => map((set(), mailbox), |(set, to)| Verb::Copy(by, set, to)).parse(rest),
        _ if is("FETCH") => {
            map((set(), preceded(sp, fetch_items)), |(set, items)| Verb::Fetch(by, set, items)).parse(rest)
        }
        _ if is("MOVE") => map((set(), mailbox), |(set, to)| Verb::Move(by, set, to)).parse(rest),
        _ if is("SEARCH") => search(by, rest),
        _ if is("STORE") => {
            let (rest, (set, (change, echo))) = (set(), flag_change).parse(rest)?;
            Ok((rest, Verb::Store { by, set, change, echo }))
        }
        _ => fail(input, Expected::Verb),
    }
}

fn mailbox(input: &[u8]) -> Parsed<'_, Argument<'_>> {
    preceded(sp, astring).parse(input)
}

fn list(input: &[u8]) -> Parsed<'_, (Argument<'_>, Argument<'_>)> {
    (mailbox, preceded(sp, list_mailbox)).parse(input)
}

fn login(input: &[u8]) -> Parsed<'_, Verb<'_>> {
    let argument = || preceded(sp, astring);
    map((argument(), argument()), |(user, password)| Verb::Login { user, password }).parse(input)
}

fn authenticate(input: &[u8]) -> Parsed<'_, Verb<'_>> {
    let (rest, mechanism) = expect(Expected::Mechanism, preceded(sp, atom)).parse(input)?;
    let base64 = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/' | b'=');
    let initial = preceded(sp, expect(Expected::Base64, map(take_while1(base64), ascii)));
    match rest {
        [] => Ok((rest, Verb::Authenticate { mechanism, initial: None })),
        _ => map(initial, |initial| Verb::Authenticate { mechanism, initial: Some(initial) }).parse(rest),
    }
}

fn append_head(input: &[u8]) -> Parsed<'_, AppendHead<'_>> {
    let (rest, mailbox) = mailbox(input)?;
    let (rest, ()) = sp(rest)?;
    let (rest, flags) = match rest {
        [b'(', ..] => {
            let (rest, flags) = flag_list(rest)?;
            (sp(rest)?.0, flags)
        }
        _ => (rest, Flags::new()),
    };
    let (rest, date) = match rest {
        [b'"', ..] => {
            let (rest, date) = date_time(rest)?;
            (sp(rest)?.0, Some(date))
        }
        _ => (rest, None),
    };
    let (rest, _) = expect(Expected::Literal, tag(&b"{"[..])).parse(rest)?;
    let (rest, size) = number64(rest)?;
    let (rest, plus) = opt(tag(&b"+"[..])).parse(rest)?;
    let (rest, _) = expect(Expected::Literal, tag(&b"}"[..])).parse(rest)?;
    let literal = if plus.is_some() { LiteralKind::NonSync } else { LiteralKind::Sync };
    Ok((rest, AppendHead { mailbox, flags, date, size, literal }))
}

fn flag(input: &[u8]) -> Parsed<'_, Flag> {
    let is_flag_char = |octet| crate::grammar::is_atom_char(octet) || octet == b'\\';
    let (rest, name) = expect(Expected::Flag, map(take_while1(is_flag_char), ascii)).parse(input)?;
    match Flag::from_name(name) {
        Some(flag) => Ok((rest, flag)),
        None => fail(input, Expected::Flag),
    }
}

fn flag_list(input: &[u8]) -> Parsed<'_, Flags> {
    map(list0(flag), Flags::from_iter).parse(input)
}

/// `store-att-flags`
fn flag_change(input: &[u8]) -> Parsed<'_, (FlagChange, Echo)> {
    let (rest, ()) = sp(input)?;
    let (change, rest): (fn(Flags) -> FlagChange, _) = match rest {
        [b'+', rest @ ..] => (FlagChange::Add, rest),
        [b'-', rest @ ..] => (FlagChange::Remove, rest),
        _ => (FlagChange::Replace, rest),
    };
    let (rest, word) = keyword(rest)?;
    let echo = match word {
        _ if word.eq_ignore_ascii_case("FLAGS") => Echo::Told,
        _ if word.eq_ignore_ascii_case("FLAGS.SILENT") => Echo::Silent,
        _ => return fail(input, Expected::FlagChange),
    };
    let (mut rest, ()) = sp(rest)?;
    if rest.starts_with(b"(") {
        return map(flag_list, |flags| (change(flags), echo)).parse(rest);
    }
    // The parentheses may be missing.
    let mut flags = Vec::new();
    loop {
        let (after, one) = flag(rest)?;
        flags.push(one);
        let [b' ', next @ ..] = after else { return Ok((after, (change(flags.into_iter().collect()), echo))) };
        rest = next;
    }
}

fn id(input: &[u8]) -> Parsed<'_, Verb<'_>> {
    let (rest, ()) = sp(input)?;
    match rest {
        [b'(', b')', rest @ ..] => Ok((rest, Verb::Id(Vec::new()))),
        [b'(', ..] => {
            let field = (string, preceded(sp, nstring));
            map(list1(field), Verb::Id).parse(rest)
        }
        _ => map(nstring, |_| Verb::Id(Vec::new())).parse(rest),
    }
}

fn status(input: &[u8]) -> Parsed<'_, Verb<'_>> {
    let item = |input| {
        let (rest, word) = keyword(input)?;
        match StatusItem::ALL.into_iter().find(|item| word.eq_ignore_ascii_case(item.as_str())) {
            Some(item) => Ok((rest, item)),
            None => fail(input, Expected::StatusItem),
        }
    };
    map((mailbox, preceded(sp, list1(item))), |(mailbox, items)| Verb::Status(mailbox, items)).parse(input)
}

fn search(by: Addressing, input: &[u8]) -> Parsed<'_, Verb<'_>> {
    let (rest, ()) = sp(input)?;
    let (after, word) = keyword(rest)?;
    let (rest, charset) = if word.eq_ignore_ascii_case("CHARSET") {
        let (rest, charset) = preceded(sp, astring).parse(after)?;
        (sp(rest)?.0, Some(charset))
    } else {
        (rest, None)
    };
    let (rest, key) = search_keys(rest)?;
    Ok((rest, Verb::Search { by, charset, key }))
}

/// The states in which a command may come (RFC 3501 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Anywhere,
    BeforeLogin,
    AfterLogin,
    WithMailbox,
}

impl Verb<'_> {
    pub(crate) const fn place(&self) -> Place {
        match self {
            Self::Capability | Self::Id(_) | Self::Logout | Self::Noop => Place::Anywhere,
            Self::Authenticate { .. } | Self::Login { .. } | Self::StartTls => Place::BeforeLogin,
            Self::Append(_)
            | Self::Create(_)
            | Self::Delete(_)
            | Self::Examine(_)
            | Self::Idle
            | Self::List { .. }
            | Self::Lsub { .. }
            | Self::Namespace
            | Self::Rename { .. }
            | Self::Select(_)
            | Self::Status(..)
            | Self::Subscribe(_)
            | Self::Unsubscribe(_) => Place::AfterLogin,
            Self::Check
            | Self::Close
            | Self::Copy(..)
            | Self::Expunge(_)
            | Self::Fetch(..)
            | Self::Move(..)
            | Self::Search { .. }
            | Self::Store { .. }
            | Self::Unselect => Place::WithMailbox,
        }
    }
}

impl Command<'_> {
    /// Appends the command as a client writes it to a server with LITERAL+, without the CRLF at its end.
    pub fn write(&self, out: &mut BytesMut) {
        text(out, format_args!("{} ", self.tag));
        self.verb.write(out);
    }
}

impl Verb<'_> {
    fn write(&self, out: &mut BytesMut) {
        match self {
            Self::Append(head) => head.write(out),
            Self::Authenticate { mechanism, initial: None } => text(out, format_args!("AUTHENTICATE {mechanism}")),
            Self::Authenticate { mechanism, initial: Some(initial) } => {
                text(out, format_args!("AUTHENTICATE {mechanism} {initial}"));
            }
            Self::Capability => out.put_slice(b"CAPABILITY"),
            Self::Check => out.put_slice(b"CHECK"),
            Self::Close => out.put_slice(b"CLOSE"),
            Self::Copy(by, set, to) => by.write(out, format_args!("COPY {set}"), &[to]),
            Self::Create(mailbox) => words(out, "CREATE", &[mailbox]),
            Self::Delete(mailbox) => words(out, "DELETE", &[mailbox]),
            Self::Examine(mailbox) => words(out, "EXAMINE", &[mailbox]),
            Self::Expunge(None) => out.put_slice(b"EXPUNGE"),
            Self::Expunge(Some(set)) => text(out, format_args!("UID EXPUNGE {set}")),
            Self::Fetch(by, set, items) => {
                by.write(out, format_args!("FETCH {set}"), &[]);
                parenthesised(out, items, FetchItem::write);
            }
            Self::Id(fields) if fields.is_empty() => out.put_slice(b"ID NIL"),
            Self::Id(fields) => {
                out.put_slice(b"ID");
                parenthesised(out, fields, |(name, value), out| {
                    string_argument(out, name);
                    out.put_u8(b' ');
                    match value {
                        Some(value) => string_argument(out, value),
                        None => out.put_slice(b"NIL"),
                    }
                });
            }
            Self::Idle => out.put_slice(b"IDLE"),
            Self::List { reference, pattern } => words(out, "LIST", &[reference, pattern]),
            Self::Login { user, password } => words(out, "LOGIN", &[user, password]),
            Self::Logout => out.put_slice(b"LOGOUT"),
            Self::Lsub { reference, pattern } => words(out, "LSUB", &[reference, pattern]),
            Self::Move(by, set, to) => by.write(out, format_args!("MOVE {set}"), &[to]),
            Self::Namespace => out.put_slice(b"NAMESPACE"),
            Self::Noop => out.put_slice(b"NOOP"),
            Self::Rename { from, to } => words(out, "RENAME", &[from, to]),
            Self::Search { by, charset, key } => {
                by.write(out, format_args!("SEARCH"), &[]);
                if let Some(charset) = charset {
                    words(out, " CHARSET", &[charset]);
                }
                out.put_u8(b' ');
                key.write(out);
            }
            Self::Select(mailbox) => words(out, "SELECT", &[mailbox]),
            Self::StartTls => out.put_slice(b"STARTTLS"),
            Self::Status(mailbox, items) => {
                words(out, "STATUS", &[mailbox]);
                parenthesised(out, items, |item, out| out.put_slice(item.as_str().as_bytes()));
            }
            Self::Store { by, set, change, echo } => {
                let (sign, flags) = match change {
                    FlagChange::Add(flags) => ("+", flags),
                    FlagChange::Remove(flags) => ("-", flags),
                    FlagChange::Replace(flags) => ("", flags),
                };
                let silent = if *echo == Echo::Silent { ".SILENT" } else { "" };
                by.write(out, format_args!("STORE {set} {sign}FLAGS{silent} ({flags})"), &[]);
            }
            Self::Subscribe(mailbox) => words(out, "SUBSCRIBE", &[mailbox]),
            Self::Unselect => out.put_slice(b"UNSELECT"),
            Self::Unsubscribe(mailbox) => words(out, "UNSUBSCRIBE", &[mailbox]),
        }
    }
}

impl Addressing {
    fn write(self, out: &mut BytesMut, head: core::fmt::Arguments<'_>, arguments: &[&[u8]]) {
        let uid = match self {
            Self::Sequence => "",
            Self::Uid => "UID ",
        };
        text(out, format_args!("{uid}{head}"));
        words(out, "", arguments);
    }
}

impl AppendHead<'_> {
    fn write(&self, out: &mut BytesMut) {
        words(out, "APPEND", &[&self.mailbox]);
        if !self.flags.is_empty() {
            text(out, format_args!(" ({})", self.flags));
        }
        if let Some(date) = &self.date {
            text(out, format_args!(" \"{date}\""));
        }
        let plus = match self.literal {
            LiteralKind::Sync => "",
            LiteralKind::NonSync => "+",
        };
        text(out, format_args!(" {{{}{plus}}}", self.size));
    }
}

fn words(out: &mut BytesMut, head: &str, arguments: &[&[u8]]) {
    out.put_slice(head.as_bytes());
    for octets in arguments {
        out.put_u8(b' ');
        argument(out, octets);
    }
}

/// A string where no atom may stand.
fn string_argument(out: &mut BytesMut, octets: &[u8]) {
    if crate::write::fits_quoted(octets) {
        crate::write::string(out, octets);
    } else {
        argument(out, octets);
    }
}

fn parenthesised<T>(out: &mut BytesMut, items: &[T], write: impl Fn(&T, &mut BytesMut)) {
    let mut before = &b" ("[..];
    for item in items {
        out.put_slice(before);
        write(item, out);
        before = b" ";
    }
    out.put_u8(b')');
}
