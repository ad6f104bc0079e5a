//! How each client is told what to do, and what it does to messages.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Output};

use super::letters::{ended, from_quoted, with_header, with_header_ended};
use super::sink::Sink;
use super::{Client, Ending, Errand, Visit};
use crate::foreign::{Tls, curl};
use crate::message::{unix_lines, without_readers_fields};
use crate::program::{outcome, python};

/// The replies of the server, which most clients pass on.
const DENIED: &str = "[AUTH] invalid user name or password";
const IN_USE: &str = "[IN-USE] another session has the maildrop";

pub(super) const POPLIB: Client = Client {
    program: "python3",
    ways: &Tls::ALL,
    // Of 2,048, with the line's end and a doubled dot.
    longest_line: 2045,
    fetch: by_poplib,
    same: |kept, sent| kept == ended(sent),
    nothing_new: 0,
    denied: Ending { status: 1, words: DENIED },
    in_use: Ending { status: 1, words: IN_USE },
};

pub(super) const CURL: Client = Client {
    program: "curl",
    ways: &Tls::ALL,
    longest_line: usize::MAX,
    fetch: by_curl,
    same: |kept, sent| kept == ended(sent),
    nothing_new: 0,
    // "Login denied", whatever the reason.
    denied: Ending { status: 67, words: "" },
    in_use: Ending { status: 67, words: "" },
};

pub(super) const FETCHMAIL: Client = Client {
    program: "fetchmail",
    ways: &Tls::ALL,
    // It cuts longer ones, and loses an octet where it does.
    longest_line: 8189,
    fetch: by_fetchmail,
    same: |kept, sent| kept == with_header_ended(&ended(sent)),
    // "There was no mail awaiting retrieval."
    nothing_new: 1,
    denied: Ending { status: 3, words: "Authorization failure" },
    in_use: Ending { status: 9, words: IN_USE },
};

pub(super) const GETMAIL: Client = Client {
    program: "getmail",
    // It knows no STLS.
    ways: &[Tls::Never, Tls::AtOnce],
    longest_line: usize::MAX,
    fetch: by_getmail,
    // What its mail library does to each message that it writes.
    same: |kept, sent| kept == from_quoted(&with_header(&ended(sent))),
    nothing_new: 0,
    denied: Ending { status: 127, words: DENIED },
    in_use: Ending { status: 127, words: IN_USE },
};

pub(super) const MPOP: Client = Client {
    program: "mpop",
    ways: &Tls::ALL,
    longest_line: usize::MAX,
    fetch: by_mpop,
    same: |kept, sent| kept == unix_lines(&ended(sent)),
    nothing_new: 0,
    // Of a SASL exchange it tells no more than that.
    denied: Ending { status: 77, words: "authentication failed" },
    in_use: Ending { status: 77, words: "authentication failed" },
};

pub(super) const MUTT: Client = Client {
    program: "mutt",
    ways: &Tls::ALL,
    longest_line: usize::MAX,
    fetch: by_mutt,
    same: |kept, sent| without_readers_fields(kept) == unix_lines(&with_header(&ended(sent))),
    nothing_new: 0,
    // The same: "SASL authentication failed." and "Login failed. PASS: " with the reply.
    denied: Ending { status: 0, words: "failed" },
    in_use: Ending { status: 0, words: "failed" },
};

fn by_poplib(visit: &Visit<'_>) -> Result<Output, String> {
    let mut python = python("fetch.py");
    python.arg(format!("127.0.0.1:{}", visit.port())).arg(visit.kept);
    python.arg("--seen").arg(visit.home.join("seen"));
    if visit.errand == Errand::Take {
        python.arg("--delete");
    }
    python.args(["--tls", visit.tls.word(), "--cafile"]).arg(visit.node.certificate());
    outcome(python.args(["--user", visit.user.0, "--password-file"]).arg(visit.password_file()))
}

/// It knows how to say UIDL, RETR and DELE; what to say when is told it, in two sessions.
fn by_curl(visit: &Visit<'_>) -> Result<Output, String> {
    let maildrop = format!("{}://127.0.0.1:{}/", visit.tls.service("pop3"), visit.port());
    let new_curl = || curl(visit.node, visit.tls, Some(visit.user));
    if visit.errand == Errand::Look {
        // A listing without lines is a failure to it.
        return outcome(new_curl().args(["--head", "--request", "STAT", &maildrop]));
    }
    let list = outcome(new_curl().args(["--request", "UIDL", &maildrop]))?;
    if !list.status.success() {
        return Ok(list);
    }
    let list = String::from_utf8(list.stdout).map_err(|error| error.to_string())?;
    let seen = fs::read_to_string(visit.home.join("seen")).unwrap_or_default();
    let new: Vec<_> = list.lines().filter(|line| !seen.lines().any(|seen| seen == unique_id(line))).collect();
    let numbers: Vec<_> = new.iter().filter_map(|line| line.split(' ').next()).collect();
    if numbers.is_empty() {
        return Ok(Output { status: ExitStatus::from_raw(0), stdout: Vec::new(), stderr: Vec::new() });
    }
    let mut session = new_curl();
    for number in &numbers {
        session.arg(format!("{maildrop}{number}")).arg("--output").arg(visit.kept.join(number));
    }
    if visit.errand == Errand::Take {
        let options: Vec<_> = new_curl().get_args().map(ToOwned::to_owned).collect();
        for number in &numbers {
            session.arg("--next").args(&options).args(["--head", "--request", &format!("DELE {number}"), &maildrop]);
        }
    }
    let output = outcome(&mut session)?;
    let new: String = new.iter().map(|line| format!("{}\n", unique_id(line))).collect();
    visit.write("seen", &(seen + &new));
    Ok(output)
}

fn unique_id(line: &str) -> &str {
    line.split_once(' ').map_or("", |(_, id)| id)
}

/// By USER and PASS, and handing on by SMTP, which is its habit. It looks for names in certificates, not for addresses.
fn by_fetchmail(visit: &Visit<'_>) -> Result<Output, String> {
    let sink = Sink::new(visit.kept);
    let tls = match visit.tls {
        Tls::Never => "sslproto ''",
        Tls::WhenAsked => "sslproto 'TLS1.2+' sslcertck",
        Tls::AtOnce => "ssl sslcertck",
    };
    let fetched = match visit.errand {
        Errand::Look | Errand::Fetch => "keep",
        Errand::Take => "fetchall no keep",
    };
    let rc = format!(
        "set invisible\nset no bouncemail\n\
         poll localhost protocol pop3 service {port} auth password uidl timeout 50 bad-header accept\n\
         user '{user}' password '{password}' is bob here\n\
         {tls} sslcertfile '{certificate}'\n\
         smtphost '127.0.0.1/{sink}' smtpname '{user}' no rewrite {fetched}\n",
        port = visit.port(),
        user = visit.user.0,
        password = visit.user.1.replace('\\', "\\\\"),
        certificate = visit.node.certificate().display(),
        sink = sink.port(),
    );
    let rc = visit.write("fetchmailrc", &rc);
    let mut fetchmail = Command::new("fetchmail");
    fetchmail.env("HOME", visit.home).env("FETCHMAILHOME", visit.home).env("LC_ALL", "C");
    // Root's are one at a time, unless told otherwise.
    fetchmail.arg("--pidfile").arg(visit.home.join("pid"));
    outcome(fetchmail.args(["--nodetach", "--silent", "--fetchmailrc"]).arg(rc))
}

/// By USER and PASS, and handing on by LMTP: for everything else it makes processes of its own, and waits for one that
/// was faster than it for a minute.
fn by_getmail(visit: &Visit<'_>) -> Result<Output, String> {
    let sink = Sink::new(visit.kept);
    let (retriever, certificate) = match visit.tls {
        Tls::Never | Tls::WhenAsked => ("SimplePOP3Retriever", String::new()),
        Tls::AtOnce => ("SimplePOP3SSLRetriever", format!("ca_certs = {}\n", visit.node.certificate().display())),
    };
    let delete = visit.errand == Errand::Take;
    let rc = format!(
        "[retriever]\ntype = {retriever}\nserver = 127.0.0.1\nport = {port}\n\
         username = {user}\npassword = {password}\ntimeout = 50\n{certificate}\
         [destination]\ntype = MDA_lmtp\nhost = 127.0.0.1\nport = {sink}\noverride = {user}\n\
         [options]\nread_all = False\ndelivered_to = False\nreceived = False\ndelete = {delete}\nverbose = 0\n",
        port = visit.port(),
        user = visit.user.0,
        password = visit.user.1,
        sink = sink.port(),
    );
    let rc = visit.write("getmailrc", &rc);
    let mut getmail = Command::new("getmail");
    outcome(getmail.env("HOME", visit.home).arg("--getmaildir").arg(visit.home).arg("--rcfile").arg(rc))
}

/// By three mechanisms, and pipelining.
fn by_mpop(visit: &Visit<'_>) -> Result<Output, String> {
    let tls = match visit.tls {
        Tls::Never => "auth scram-sha-256\ntls off\n".to_owned(),
        Tls::WhenAsked => format!("auth plain\ntls on\ntls_trust_file {}\n", visit.node.certificate().display()),
        Tls::AtOnce => {
            format!("auth user\ntls on\ntls_starttls off\ntls_trust_file {}\n", visit.node.certificate().display())
        }
    };
    let keep = match visit.errand {
        Errand::Look | Errand::Fetch => "on",
        Errand::Take => "off",
    };
    let rc = format!(
        "account default\nhost 127.0.0.1\nport {port}\nuser {user}\npasswordeval cat {password}\ntimeout 50\n\
         {tls}keep {keep}\nreceived_header off\nuidls_file {home}/seen\ndelivery maildir {kept}\n",
        port = visit.port(),
        user = visit.user.0,
        password = visit.password_file().display(),
        home = visit.home.display(),
        kept = visit.kept.display(),
    );
    for part in ["cur", "new", "tmp"] {
        fs::create_dir(visit.kept.join(part)).unwrap();
    }
    let rc = visit.write("mpoprc", &rc);
    outcome(Command::new("mpop").env("HOME", visit.home).args(["--quiet", "--file"]).arg(rc))
}

/// By three mechanisms. What it has in its cache, by unique-id, is not new to it.
fn by_mutt(visit: &Visit<'_>) -> Result<Output, String> {
    let (authenticator, starttls, force_tls) = match visit.tls {
        Tls::Never => ("scram-sha-256", "no", "no"),
        Tls::WhenAsked => ("plain", "yes", "yes"),
        Tls::AtOnce => ("user", "no", "yes"),
    };
    let scheme = if visit.tls == Tls::AtOnce { "pops" } else { "pop" };
    let server = format!("{scheme}://127.0.0.1:{}/", visit.port());
    // Without messages it forgets all keys that were pressed ahead when it comes to one that is for messages.
    let fetch =
        format!("<tag-pattern>~U<enter><tag-prefix-cond><copy-message>{}/new<enter><end-cond>", visit.kept.display());
    let keys = match visit.errand {
        Errand::Look => "<quit>".to_owned(),
        Errand::Fetch => format!("{fetch}<quit>"),
        Errand::Take => format!("{fetch}<delete-pattern>~A<enter><quit>"),
    };
    let rc = format!(
        "set pop_user=\"{user}\" pop_pass=\"`cat {password}`\"\n\
         set pop_authenticators=\"{authenticator}\" pop_auth_try_all=no\n\
         set ssl_starttls={starttls} ssl_force_tls={force_tls}\n\
         set certificate_file=\"{certificate}\" ssl_ca_certificates_file=\"{certificate}\"\n\
         set folder=\"{home}\" spoolfile=\"{server}\" record=\"\" postponed=\"\" mbox_type=Maildir\n\
         set header_cache=\"{home}/headers\" message_cachedir=\"{home}/bodies\"\n\
         set confirmcreate=no confirmappend=no copy=no move=no mark_old=no quit=yes delete=yes\n\
         set wait_key=no timeout=1 sleep_time=0 pop_checkinterval=0\n\
         push \"{keys}\"\n",
        user = visit.user.0,
        password = visit.password_file().display(),
        certificate = visit.node.certificate().display(),
        home = visit.home.display(),
    );
    fs::create_dir_all(visit.home.join("bodies")).unwrap();
    let rc = visit.write("muttrc", &rc);
    let mut script = Command::new("script");
    script.env("TERM", "xterm").env("HOME", visit.home).env("LC_ALL", "C.UTF-8");
    outcome(script.arg("-qec").arg(format!("mutt -n -F {} -f {server}", rc.display())).arg("/dev/null"))
}
