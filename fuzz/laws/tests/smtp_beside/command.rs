//! Commands.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use peer_smtp_proto as peer;
use smtp_proto::{
    BodyType, ByMode, Chunk, Command, Expected, ForwardPath, Hold, Lookup, MailParameters, Mailbox, ParseError,
    RcptParameters, Ret, ReversePath, RrvsAction, Submitter,
};

use crate::{Reason, compare, draw};

/// What a command means, in words that both have.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    verb: &'static str,
    /// A path, a name, a size.
    about: String,
    parameters: BTreeMap<&'static str, String>,
}

/// A line that both were given.
struct Case {
    /// In upper case; octets that are no text are U+FFFD.
    line: String,
    octets: Vec<u8>,
    ours: Result<Meaning, ParseError>,
    theirs: Result<Meaning, peer::Error>,
}

impl Case {
    fn of(line: &[u8]) -> Self {
        let whole = [line, b"\r\n"].concat();
        Self {
            line: String::from_utf8_lossy(line).to_ascii_uppercase(),
            octets: line.to_vec(),
            ours: Command::parse(line).map(|command| ours(&command)),
            theirs: peer::Request::parse(&mut whole.iter()).map(theirs),
        }
    }

    /// Whether we expected something else in a line that they take.
    fn only_they(&self, expected: Expected) -> bool {
        self.theirs.is_ok() && self.ours.as_ref().is_err_and(|error| error.expected == expected)
    }

    /// The word that we do not take and they do.
    fn refused_word(&self, expected: Expected) -> &str {
        let Some(error) = self.ours.as_ref().err().filter(|_| self.only_they(expected)) else { return "" };
        let rest = self.line.get(error.at..).unwrap_or_default();
        rest.split(' ').next().unwrap_or_default()
    }

    /// Whether they refuse, in such words, a line that we take.
    fn only_we(&self, refusal: &str) -> bool {
        self.ours.is_ok() && self.theirs.as_ref().is_err_and(|error| error.to_string().starts_with(refusal))
    }

    fn refuses_path(&self) -> bool {
        self.only_we("Invalid sender address") || self.only_we("Invalid recipient address")
    }

    /// What both take.
    fn both(&self) -> Option<(&Meaning, &Meaning)> {
        self.ours.as_ref().ok().zip(self.theirs.as_ref().ok())
    }

    fn theirs_about(&self, about: &str) -> bool {
        self.theirs.as_ref().is_ok_and(|theirs| theirs.about == about)
    }

    fn size(&self) -> &str {
        let value = self.line.split_once("SIZE=").map_or("", |(_, rest)| rest);
        value.split(' ').next().unwrap_or_default()
    }

    fn is(&self, verbs: &[&str]) -> bool {
        verbs.contains(&self.line.split(' ').next().unwrap_or_default())
    }

    fn is_envelope(&self) -> bool {
        self.is(&["MAIL", "RCPT"])
    }

    fn has(&self, word: &str) -> bool {
        self.line.contains(word)
    }
}

const REASONS: &[Reason<Case>] = &[
    // What they take and we refuse: lines.
    Reason::new("RFC 5321 §2.3.8: a CR is no part of a command; they leave it out", |case| {
        case.only_they(Expected::Printable) && case.has("\r")
    }),
    Reason::new("RFC 5321 §2.3.8: an LF without its CR ends no line; they take it for an end", |case| {
        case.only_they(Expected::Printable) && case.has("\n")
    }),
    Reason::new("RFC 5321 §4.1.2: no command holds other control characters", |case| {
        case.only_they(Expected::Printable)
            && case.octets.iter().any(|octet| octet.is_ascii_control() && !b"\r\n".contains(octet))
    }),
    Reason::new("RFC 6531 §3.3: what is beyond ASCII is UTF-8; they put U+FFFD for what is not", |case| {
        case.only_they(Expected::Utf8) && core::str::from_utf8(&case.octets).is_err()
    }),
    Reason::new("RFC 5321 §4.1.1: a command begins with its verb; they skip spaces before it", |case| {
        case.only_they(Expected::Verb) && case.line.starts_with(' ')
    }),
    Reason::new("RFC 5321 §4.1.1: DATA, RSET, QUIT and STARTTLS have no argument; they read over it", |case| {
        case.only_they(Expected::End) && case.is(&["DATA", "RSET", "QUIT", "STARTTLS"])
    }),
    Reason::new(
        "RFC 5321 §4.1.1.1: a client's name is a domain or an address; they take the first word, whatever it is",
        |case| {
            [Expected::End, Expected::Domain].iter().any(|expected| case.only_they(*expected))
                && case.is(&["EHLO", "HELO", "LHLO"])
        },
    ),
    // Paths.
    Reason::new("RFC 5321 §4.1.1.2: a colon follows FROM and TO; they let another octet stand between", |case| {
        case.only_they(Expected::Preposition) && case.is_envelope()
    }),
    Reason::new("RFC 5321 §4.1.1.3: <> is nobody to send to", |case| {
        case.only_they(Expected::LocalPart) && case.is(&["RCPT"]) && case.theirs_about("")
    }),
    Reason::new("RFC 5321 §4.1.1.3: <Postmaster> is a recipient, and no sender", |case| {
        case.only_they(Expected::AtSign) && case.is(&["MAIL"]) && case.has("POSTMASTER>") && case.theirs_about("")
    }),
    Reason::new("RFC 5321 §4.1.2: a path holds no spaces; they skip those that it begins with", |case| {
        case.only_they(Expected::LocalPart) && case.is_envelope() && (case.has("< ") || case.has(": "))
    }),
    Reason::new("RFC 5321 §4.1.2: no local part ends with a dot", |case| {
        case.only_they(Expected::LocalPart) && case.is_envelope() && case.has(".@")
    }),
    Reason::new("RFC 5321 §4.1.2: a local part is quoted as a whole, or not at all", |case| {
        [Expected::AtSign, Expected::LocalPart].iter().any(|expected| case.only_they(*expected))
            && case.is_envelope()
            && case.has("\"")
    }),
    Reason::new("RFC 5321 §2.3.5: a domain is made of labels; they take any characters", |case| {
        [Expected::Domain, Expected::Path].iter().any(|expected| case.only_they(*expected)) && case.is_envelope()
    }),
    Reason::new("RFC 5321 §4.1.2: a source route is made of domains; they take anything up to its colon", |case| {
        [Expected::AtSign, Expected::Domain].iter().any(|expected| case.only_they(*expected))
            && case.is_envelope()
            && case.has("<@")
    }),
    Reason::new("RFC 5321 §4.1.2: a space stands between a path and its parameters", |case| {
        case.only_they(Expected::End) && case.is_envelope() && case.has(">")
    }),
    // Parameters.
    Reason::new(
        "RFC 3885, RFC 4141, RFC 1845: message tracking, content conversion and checkpoints are not done here",
        |case| {
            let word = case.refused_word(Expected::KnownParameter);
            ["MTRK", "CONPERM", "CONNEG", "TRANSID"].iter().any(|keyword| word.starts_with(keyword))
        },
    ),
    Reason::new("RFC 3461 §4, RFC 4954 §5: no parameter comes twice; they keep the last, or both", |case| {
        case.only_they(Expected::ParameterOnce) && case.is_envelope()
    }),
    Reason::new("RFC 1870 §3: SIZE has up to 20 digits; they go on with the first one that is too many", |case| {
        let behind = case.refused_word(Expected::KnownParameter);
        case.refused_word(Expected::ParameterValue).strip_prefix("SIZE=").is_some_and(|value| value.len() > 20)
            || behind.bytes().any(|octet| octet.is_ascii_digit()) && case.size().len() == 20
    }),
    Reason::new(
        "RFC 3461 §4: xtext has two capital hexadecimal digits behind a +; they take small ones, one or none",
        |case| {
            let value = ["AUTH=", "ENVID=", "ORCPT=RFC822;"]
                .iter()
                .find_map(|keyword| case.refused_word(Expected::ParameterValue).strip_prefix(keyword));
            value.is_some_and(|value| value.contains('+'))
        },
    ),
    Reason::new("RFC 3461 §4.1: NOTIFY=NEVER stands alone", |case| {
        case.refused_word(Expected::ParameterValue).starts_with("NOTIFY=NEVER,")
    }),
    Reason::new("RFC 5321 §4.1.2: no value of a parameter holds another =", |case| {
        case.refused_word(Expected::ParameterValue).split_once('=').is_some_and(|(_, value)| value.contains('='))
    }),
    Reason::new("RFC 6710 §4.1: priorities are from -9 to 9, and have no plus", |case| {
        case.refused_word(Expected::ParameterValue).starts_with("MT-PRIORITY=")
    }),
    Reason::new("RFC 2852 §4: BY has up to nine digits, and with R more than none", |case| {
        case.refused_word(Expected::ParameterValue).starts_with("BY=")
    }),
    Reason::new("RFC 3339 §5.6: dates and times have all their digits, and the day is one of that month", |case| {
        let word = case.refused_word(Expected::ParameterValue);
        word.starts_with("HOLDUNTIL=") || word.starts_with("RRVS=")
    }),
    Reason::new("RFC 3865 §2: SOLICIT has keywords", |case| {
        case.refused_word(Expected::ParameterValue).starts_with("SOLICIT=")
    }),
    Reason::new(
        "RFC 5321 §4.1.2: no space stands around the = of a parameter or inside its value; they skip it",
        |case| case.is_envelope() && case.has("= "),
    ),
    // Other commands.
    Reason::new("RFC 4468, RFC 2645: BURL and ATRN are not done here", |case| {
        [Expected::Verb, Expected::ImplementedVerb].iter().any(|expected| case.only_they(*expected))
            && case.is(&["BURL", "ATRN"])
    }),
    Reason::new("RFC 4954 §4: an initial response is base64; they hand on what it is", |case| {
        case.only_they(Expected::Base64)
    }),
    Reason::new("RFC 4422 §3.1: a mechanism's name has letters, digits, - and _", |case| {
        case.only_they(Expected::Mechanism) && case.is(&["AUTH"])
    }),
    Reason::new("RFC 3030 §2: a chunk's size that is too big for anybody closes; theirs is another number", |case| {
        case.only_they(Expected::ChunkSize)
            && case.line.split_ascii_whitespace().nth(1).is_some_and(|size| size.len() >= 20)
    }),
    Reason::new(
        "RFC 3030 §2: LAST and nothing else stands behind a chunk's size; they read over some other things",
        |case| case.only_they(Expected::ChunkSize) && case.line.split_ascii_whitespace().nth(2).is_some(),
    ),
    // What we take and they refuse.
    Reason::new("RFC 5321 §4.1.3: a domain may be an address", |case| case.refuses_path() && case.has("@[")),
    Reason::new("RFC 5321 §4.1.2: a quoted local part may be empty", |case| case.refuses_path() && case.has("\"\"@")),
    Reason::new("RFC 3461 §4.2, RFC 6533 §3: an ORCPT may have other types than rfc822", |case| {
        case.only_we("Invalid parameter: ORCPT") && !case.has("ORCPT=RFC822;")
    }),
    Reason::new("RFC 1870 §3: SIZE may have 20 digits, whatever they come to", |case| {
        case.only_we("Invalid parameter: SIZE") && case.size().len() == 20
    }),
    Reason::new("RFC 4865 §5: HOLDUNTIL is any time, long past ones too", |case| {
        case.only_we("Invalid parameter: HOLDUNTIL") && case.has("HOLDUNTIL=")
    }),
    Reason::new("RFC 5321 §4.1.1: several spaces are let pass where one belongs; theirs is no name then", |case| {
        case.only_we("Syntax error: ") && case.is(&["EHLO", "HELO", "LHLO"]) && case.has("LO  ")
    }),
    Reason::new("RFC 3030 §2: a chunk may be as big as a number of 64 bits; theirs may not", |case| {
        case.only_we("Syntax error: BDAT") && case.has("18446744073709551615")
    }),
    Reason::new("Postfix's XCLIENT and XFORWARD, and our own XDELIVERY and XEPOCH", |case| {
        case.only_we("Unknown command") && case.is(&["XCLIENT", "XFORWARD"])
            || case.only_we("Unsupported parameter: XDELIVERY")
            || case.only_we("Unsupported parameter: XEPOCH")
    }),
    // What means something else.
    Reason::new("RFC 5321 §4.1.1.3: <Postmaster> is somebody; theirs is no address, as <> is", |case| {
        case.both().is_some_and(|(ours, theirs)| ours.about == "postmaster" && theirs.about.is_empty())
    }),
    Reason::new(
        "RFC 5321 §4.1.1.6: VRFY, EXPN, HELP and ETRN have a text; they take its first word, without quotes",
        |case| {
            case.both().is_some_and(|(ours, theirs)| {
                ours.about.split(' ').next().map(|word| word.replace('"', "")) == Some(theirs.about.clone())
                    || ours.about.contains('"')
            }) && case.is(&["VRFY", "EXPN", "HELP", "ETRN"])
        },
    ),
    Reason::new("RFC 5321 §2.3.5: a dot at a domain's end is let pass, and is no part of it", |case| {
        case.both().is_some_and(|(ours, theirs)| format!("{}.", ours.about) == theirs.about)
    }),
    Reason::new("RFC 3461 §4: xtext stands for octets, whatever they are; theirs are Latin-1", |case| {
        case.both().is_some_and(|(ours, _)| ours.parameters.values().any(|value| value.contains('\u{fffd}')))
    }),
    Reason::new("RFC 6531 §3.7.4.2: VRFY and EXPN may say SMTPUTF8", |case| {
        case.both().is_some_and(|(ours, _)| ours.parameters.contains_key("SMTPUTF8")) && case.is(&["VRFY", "EXPN"])
    }),
    Reason::new("RFC 4422 §3.1: a mechanism that nobody knows has a name; theirs has none", |case| {
        case.both().is_some_and(|(_, theirs)| theirs.verb == "AUTH" && theirs.about.is_empty())
    }),
];

#[test]
fn commands_mean_the_same_or_there_is_a_reason() {
    let agree = |case: &Case| case.ours.as_ref().ok() == case.theirs.as_ref().ok();
    let told =
        |case: &Case| format!("{}\n  ours {:?}\n  theirs {:?}", case.octets.escape_ascii(), case.ours, case.theirs);
    compare(
        std::env::var("RUNS").map_or(30_000, |runs| runs.parse().unwrap()),
        draw::line(),
        REASONS,
        |line| Case::of(line),
        agree,
        told,
    );
}

fn meaning(verb: &'static str, about: impl Into<String>) -> Meaning {
    Meaning { verb, about: about.into(), parameters: BTreeMap::new() }
}

impl Meaning {
    fn with(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.parameters.extend(value.map(|value| (name, value.to_string())));
        self
    }
}

fn ours(command: &Command<'_>) -> Meaning {
    match command {
        Command::Ehlo(name) => meaning("EHLO", name.as_str()),
        Command::Helo(name) => meaning("HELO", name.as_str()),
        Command::Lhlo(name) => meaning("LHLO", name.as_str()),
        Command::StartTls => meaning("STARTTLS", ""),
        Command::Auth { mechanism, initial } => {
            let initial = initial.as_ref().map(|initial| match initial.expose() {
                b"" => String::from("="),
                octets => STANDARD.encode(octets),
            });
            meaning("AUTH", mechanism.as_str().to_ascii_uppercase()).with("initial", initial)
        }
        Command::Mail { from, parameters } => {
            let from = match from {
                ReversePath::Null => String::new(),
                ReversePath::Mailbox(mailbox) => address(mailbox),
            };
            our_mail(meaning("MAIL", from), parameters)
        }
        Command::Rcpt { to, parameters } => {
            let to = match to {
                ForwardPath::Postmaster => "postmaster".into(),
                ForwardPath::Mailbox(mailbox) => address(mailbox),
            };
            our_rcpt(meaning("RCPT", to), parameters)
        }
        Command::Data => meaning("DATA", ""),
        Command::Bdat(Chunk { octets, last }) => meaning("BDAT", octets.to_string()).with("LAST", last.then_some("")),
        Command::Rset => meaning("RSET", ""),
        Command::Noop => meaning("NOOP", ""),
        Command::Vrfy(lookup) => our_lookup("VRFY", lookup),
        Command::Expn(lookup) => our_lookup("EXPN", lookup),
        Command::Help(topic) => meaning("HELP", topic.as_ref().map_or("", |topic| topic.as_str())),
        Command::Etrn(node) => meaning("ETRN", node.as_str()),
        Command::Xclient(_) => meaning("XCLIENT", ""),
        Command::Xforward(_) => meaning("XFORWARD", ""),
        Command::Quit => meaning("QUIT", ""),
    }
}

/// They keep no quotes.
fn address(mailbox: &Mailbox<&str>) -> String {
    format!("{}@{}", mailbox.unquoted_local_part(), mailbox.domain().as_str())
}

fn our_mail(mail: Meaning, parameters: &MailParameters<&str>) -> Meaning {
    let decoded = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
    let (hold_for, hold_until) = match parameters.hold {
        Some(Hold::For(interval)) => (Some(interval.seconds()), None),
        Some(Hold::Until(time)) => (None, Some(time.unix_seconds())),
        None => (None, None),
    };
    mail.with("SIZE", parameters.size.filter(|size| *size > 0))
        .with(
            "BODY",
            parameters.body.map(|body| match body {
                BodyType::SevenBit => "7BIT",
                BodyType::EightBitMime => "8BITMIME",
                BodyType::BinaryMime => "BINARYMIME",
            }),
        )
        .with("SMTPUTF8", parameters.smtp_utf8.then_some(""))
        .with(
            "AUTH",
            parameters.auth.as_ref().map(|auth| match auth {
                Submitter::Unknown => "<>".into(),
                Submitter::Mailbox(xtext) => decoded(xtext.decode()),
            }),
        )
        .with("REQUIRETLS", parameters.require_tls.then_some(""))
        .with(
            "RET",
            parameters.ret.map(|ret| match ret {
                Ret::Full => "FULL",
                Ret::Headers => "HDRS",
            }),
        )
        .with("ENVID", parameters.envid.as_ref().map(|envid| decoded(envid.decode())))
        .with("MT-PRIORITY", parameters.priority.map(|priority| priority.value()).filter(|value| *value != 0))
        .with(
            "BY",
            parameters.deliver_by.map(|by| {
                let mode = match by.mode() {
                    ByMode::Notify => "N",
                    ByMode::Return => "R",
                };
                format!("{};{mode}{}", by.seconds(), if by.is_traced() { "T" } else { "" })
            }),
        )
        .with("HOLDFOR", hold_for)
        .with("HOLDUNTIL", hold_until.filter(|time| *time != 0))
        .with("SOLICIT", parameters.solicit.as_ref().map(|solicit| solicit.as_str()))
}

fn our_rcpt(rcpt: Meaning, parameters: &RcptParameters<&str>) -> Meaning {
    rcpt.with(
        "NOTIFY",
        parameters.notify.map(|notify| {
            [notify.success, notify.failure, notify.delay].map(u8::from).map(|on| on.to_string()).concat()
        }),
    )
    .with("ORCPT", parameters.orcpt.as_ref().map(|orcpt| orcpt.address()))
    .with(
        "RRVS",
        parameters.rrvs.map(|rrvs| {
            let otherwise = match rrvs.otherwise {
                RrvsAction::Continue => "C",
                RrvsAction::Reject => "R",
            };
            format!("{};{otherwise}", rrvs.since.unix_seconds())
        }),
    )
    .with("XDELIVERY", parameters.delivery.as_ref().map(|id| id.as_str()))
    .with("XEPOCH", parameters.epoch)
}

fn our_lookup(verb: &'static str, lookup: &Lookup<&str>) -> Meaning {
    meaning(verb, lookup.name.as_str()).with("SMTPUTF8", lookup.smtp_utf8.then_some(""))
}

fn theirs(request: peer::Request<Cow<'_, str>>) -> Meaning {
    use peer::Request;
    match request {
        Request::Ehlo { host } => meaning("EHLO", host),
        Request::Helo { host } => meaning("HELO", host),
        Request::Lhlo { host } => meaning("LHLO", host),
        Request::StartTls => meaning("STARTTLS", ""),
        Request::Auth { mechanism, initial_response } => {
            let name = MECHANISMS.iter().find(|(bit, _)| *bit == mechanism).map_or("", |(_, name)| name);
            meaning("AUTH", name).with("initial", Some(initial_response).filter(|initial| !initial.is_empty()))
        }
        Request::Mail { from } => their_mail(&from),
        Request::Rcpt { to } => their_rcpt(&to),
        Request::Data => meaning("DATA", ""),
        Request::Bdat { chunk_size, is_last } => {
            meaning("BDAT", chunk_size.to_string()).with("LAST", is_last.then_some(""))
        }
        Request::Rset => meaning("RSET", ""),
        Request::Noop { .. } => meaning("NOOP", ""),
        Request::Vrfy { value } => meaning("VRFY", value),
        Request::Expn { value } => meaning("EXPN", value),
        Request::Help { value } => meaning("HELP", value),
        Request::Etrn { name } => meaning("ETRN", name),
        Request::Atrn { .. } => meaning("ATRN", ""),
        Request::Burl { .. } => meaning("BURL", ""),
        Request::Quit => meaning("QUIT", ""),
    }
}

const MECHANISMS: [(u64, &str); 5] = [
    (peer::AUTH_PLAIN, "PLAIN"),
    (peer::AUTH_LOGIN, "LOGIN"),
    (peer::AUTH_SCRAM_SHA_256, "SCRAM-SHA-256"),
    (peer::AUTH_CRAM_MD5, "CRAM-MD5"),
    (peer::AUTH_SCRAM_SHA_1, "SCRAM-SHA-1"),
];

fn their_mail(from: &peer::MailFrom<Cow<'_, str>>) -> Meaning {
    let is = |flag: u64| from.flags & flag != 0;
    let body = [
        (peer::MAIL_BODY_7BIT, "7BIT"),
        (peer::MAIL_BODY_8BITMIME, "8BITMIME"),
        (peer::MAIL_BODY_BINARYMIME, "BINARYMIME"),
    ];
    let by = is(peer::MAIL_BY_NOTIFY | peer::MAIL_BY_RETURN).then(|| {
        let mode = if is(peer::MAIL_BY_RETURN) { "R" } else { "N" };
        format!("{};{mode}{}", from.by, if is(peer::MAIL_BY_TRACE) { "T" } else { "" })
    });
    meaning("MAIL", from.address.clone())
        .with("SIZE", Some(from.size).filter(|size| *size > 0))
        .with(
            "BODY",
            Some(body.map(|(flag, name)| if is(flag) { name } else { "" }).concat()).filter(|name| !name.is_empty()),
        )
        .with("SMTPUTF8", is(peer::MAIL_SMTPUTF8).then_some(""))
        .with("AUTH", from.auth.as_ref())
        .with("REQUIRETLS", is(peer::MAIL_REQUIRETLS).then_some(""))
        .with(
            "RET",
            is(peer::MAIL_RET_FULL | peer::MAIL_RET_HDRS).then(|| {
                [(peer::MAIL_RET_FULL, "FULL"), (peer::MAIL_RET_HDRS, "HDRS")]
                    .map(|(flag, name)| if is(flag) { name } else { "" })
                    .concat()
            }),
        )
        .with("ENVID", from.env_id.as_ref())
        .with("MT-PRIORITY", Some(from.mt_priority).filter(|value| *value != 0))
        .with("BY", by)
        .with("HOLDFOR", Some(from.hold_for).filter(|seconds| *seconds != 0))
        .with("HOLDUNTIL", Some(from.hold_until).filter(|seconds| *seconds != 0))
        .with("SOLICIT", from.solicit.as_ref())
        .with("MTRK", from.mtrk.as_ref().map(|mtrk| mtrk.timeout))
        .with("TRANSID", from.trans_id.as_ref())
        .with("CONPERM", is(peer::MAIL_CONPERM).then_some(""))
}

fn their_rcpt(to: &peer::RcptTo<Cow<'_, str>>) -> Meaning {
    let is = |flag: u64| to.flags & flag != 0;
    let kinds = [peer::RCPT_NOTIFY_SUCCESS, peer::RCPT_NOTIFY_FAILURE, peer::RCPT_NOTIFY_DELAY];
    let notify = kinds.map(|flag| u8::from(is(flag)).to_string()).concat();
    let told = kinds.iter().any(|flag| is(*flag)) || is(peer::RCPT_NOTIFY_NEVER);
    let never = if is(peer::RCPT_NOTIFY_NEVER) && notify != "000" { "never " } else { "" };
    let rrvs = is(peer::RCPT_RRVS_REJECT | peer::RCPT_RRVS_CONTINUE).then(|| {
        let reject = [(peer::RCPT_RRVS_CONTINUE, "C"), (peer::RCPT_RRVS_REJECT, "R")];
        format!("{};{}", to.rrvs, reject.map(|(flag, name)| if is(flag) { name } else { "" }).concat())
    });
    meaning("RCPT", to.address.clone())
        .with("NOTIFY", told.then(|| format!("{never}{notify}")))
        .with("ORCPT", to.orcpt.as_ref())
        .with("RRVS", rrvs)
        .with("CONNEG", is(peer::RCPT_CONNEG).then_some(""))
}
