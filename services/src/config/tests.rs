use std::path::Path;

use clap::{Args as _, Command};

use super::*;

fn file(text: &str) -> Result<Options, ConfigError> {
    Options::parse(text, Path::new("mail.toml"))
}

fn fault(text: &str) -> String {
    file(text).and_then(Options::resolve).unwrap_err().to_string()
}

fn line<const N: usize>(settings: [(&str, &str); N]) -> Result<Options, clap::Error> {
    let command = Options::augment_args(Command::new("test").no_binary_name(true));
    let matches = command.try_get_matches_from(settings.map(|(key, value)| format!("--{key}={value}")))?;
    clap::FromArgMatches::from_arg_matches(&matches)
}

/// Every option with two values that it takes.
const ALL: [(&str, &str, &str); 46] = [
    ("data", "/srv/mail", "/srv/other"),
    ("domain", "example.net", "example.com"),
    ("user", "alice@example.net:secret", "bob@example.net:other"),
    ("users", "/etc/users", "/etc/others"),
    ("aliases", "/etc/aliases", "/etc/others"),
    ("relay", "smtp.example.com:25", "mx"),
    ("transport", "example.net=127.0.0.1:26", ".example.com=off"),
    ("fallback-relay", "smtp.example.com:25", "127.0.0.1:26"),
    ("relay-tls", "encrypted", "off"),
    ("relay-logins", "/etc/logins", "/etc/l"),
    ("source-address", "192.0.2.1", "::1"),
    ("own-address", "192.0.2.1", "::1"),
    ("name-server", "127.0.0.1:53", "[::1]:53"),
    ("dnssec", "validate", "off"),
    ("trust-anchors", "/etc/anchors", "/etc/a"),
    ("dkim", "example.net:a:/etc/a.pem", "example.net:b:/etc/b.pem"),
    ("queue-lifetime", "24", "48"),
    ("delay-warning", "1", "2"),
    ("pop3-uidl", "courier", "cyrus"),
    ("pop3-expire", "30", "never"),
    ("smtp", ":25", "off"),
    ("submission", "off", ":587"),
    ("submissions", "127.0.0.1:465", "off"),
    ("lmtp", "/run/lmtp", "off"),
    ("imap", "[::1]:143", "off"),
    ("imaps", "127.0.0.1:993", "off"),
    ("pop3", "127.0.0.1:110", "off"),
    ("pop3s", "127.0.0.1:995", "off"),
    ("http", "127.0.0.1:80", "off"),
    ("admin", "/run/admin", "off"),
    ("admin-token", "/etc/token", "/etc/t"),
    ("plaintext-auth", "true", "false"),
    ("pop3-apop", "true", "false"),
    ("trusted-proxy", "192.0.2.0/24", "::1"),
    ("early-talk", "refuse", "ignore"),
    ("bare-line-ends", "normalize", "reject"),
    ("hide-software", "true", "false"),
    ("certificate", "/etc/cert.pem", "/etc/c"),
    ("key", "/etc/key.pem", "/etc/k"),
    ("host", "mail.example.net", "mx.example.net"),
    ("message-size", "1000000", "2000000"),
    ("connections", "100", "200"),
    ("connections-per-address", "10", "20"),
    ("pop3-login-delay", "60", "0"),
    ("drain", "5", "6"),
    ("log", "debug", "warn"),
];

#[test]
fn file_and_command_line_know_the_same_settings() {
    let command = Options::augment_args(Command::new("test"));
    let known: Vec<_> = command.get_arguments().filter_map(|argument| argument.get_long()).collect();
    let (mut sorted, mut all) = (known.clone(), ALL.map(|(key, ..)| key).to_vec());
    sorted.sort_unstable();
    all.sort_unstable();
    assert_eq!(sorted, all);

    let value = |value: &str| match value.parse::<u64>() {
        Ok(number) => number.to_string(),
        Err(_) if value == "true" => value.to_owned(),
        Err(_) => format!("{value:?}"),
    };
    let text: String = ALL.iter().map(|(key, text, _)| format!("{key} = {}\n", value(text))).collect();
    let (from_file, from_line) = (file(&text).unwrap(), line(ALL.map(|(key, value, _)| (key, value))).unwrap());
    assert_eq!(format!("{from_file:?}"), format!("{from_line:?}"));
    let config = from_file.resolve().unwrap();
    assert_eq!(config.new_users[0].password.as_str(), "secret");
    assert_eq!(config.drain, Duration::from_secs(5));
    assert_eq!(config.listeners.lmtp, Listen::At(Endpoint::Unix("/run/lmtp".into())));
}

#[test]
fn every_setting_of_the_command_line_wins_over_the_file() {
    let all = ALL.map(|(key, value, _)| (key, value));
    for (key, _, other) in ALL.into_iter().filter(|(key, ..)| *key != "user") {
        let below = line(all).unwrap();
        let expected = line(all.map(|(known, value)| (known, if known == key { other } else { value }))).unwrap();
        assert_ne!(format!("{below:?}"), format!("{expected:?}"), "{key}");
        let over = line([(key, other)]).unwrap().over(below);
        assert_eq!(format!("{over:?}"), format!("{expected:?}"), "{key}");
    }
}

#[test]
fn lists_may_have_one_element_and_those_of_domains_replace_one_another() {
    let below = file("domain = [\"a.example\", \"b.example\"]").unwrap();
    assert_eq!(below.domain, ["a.example", "b.example"]);
    assert_eq!(file("domain = \"a.example\"").unwrap().domain, ["a.example"]);
    let over = line([("domain", "c.example"), ("domain", "D.example")]).unwrap().over(below);
    assert_eq!(over.resolve().unwrap().domains, ["c.example", "d.example"]);
}

#[test]
fn a_flag_without_a_value_is_true() {
    let command = Options::augment_args(Command::new("test").no_binary_name(true));
    let matches = command.try_get_matches_from(["--plaintext-auth", "--drain", "1"]).unwrap();
    assert_eq!(matches.get_one::<bool>("plaintext_auth"), Some(&true));
}

#[test]
fn users_of_file_and_command_line_are_both_added_the_command_line_s_last() {
    let file = file("user = [\"a@x.example:1\", \"b@x.example:2\"]").unwrap();
    let config = line([("user", "a@x.example:3:4")]).unwrap().over(file).resolve().unwrap();
    let users: Vec<_> = config.new_users.iter().map(|user| (user.account.address(), user.password.as_str())).collect();
    assert_eq!(users, [("a@x.example", "1"), ("b@x.example", "2"), ("a@x.example", "3:4")]);
}

#[test]
fn the_help_tells_the_defaults() {
    let mut command = Options::augment_args(Command::new("test"));
    let help = command.render_help().to_string();
    let config = Options::default().resolve().unwrap();
    let listeners = &config.listeners;
    let tcp = [
        ("smtp", &listeners.smtp),
        ("submission", &listeners.submission),
        ("submissions", &listeners.submissions),
        ("imap", &listeners.imap),
        ("imaps", &listeners.imaps),
        ("pop3", &listeners.pop3),
        ("pop3s", &listeners.pop3s),
    ];
    let told = |option: &str, default: &str| {
        let about = help.split(&format!("--{option} ")).nth(1).unwrap().split("--").next().unwrap();
        assert!(about.contains(&format!("[default: {default}]")), "{option} {default}: {about}");
    };
    for (option, listen) in tcp {
        told(option, &listen.to_string());
    }
    told("http", &listeners.http.unwrap().to_string());
    told("lmtp", &listeners.lmtp.to_string().replace(config.data.to_str().unwrap(), "DATA"));
    let AliasesAt::Default(aliases) = &config.aliases else { panic!("{:?}", config.aliases) };
    told(
        "aliases",
        &format!("{}, if there is one", aliases.to_str().unwrap().replace(config.data.to_str().unwrap(), "DATA")),
    );
    told("data", config.data.to_str().unwrap());
    told("message-size", &config.message_size.to_string());
    told("connections", &config.connections.to_string());
    told("connections-per-address", &config.connections_per_address.to_string());
    told("early-talk", &config.smtp.early_talk.to_string());
    told("bare-line-ends", &config.smtp.bare_line_ends.to_string());
    told("pop3-uidl", &format!("{:?}", config.pop3.uidl).to_lowercase());
    told("pop3-expire", &config.pop3.expire.to_string());
    told("pop3-login-delay", &config.pop3.login_delay.map_or(0, NonZeroU32::get).to_string());
    told("drain", &config.drain.as_secs().to_string());
    told("log", &config.log);
}

#[test]
fn aliases_may_be_missing_where_nobody_said_that_they_are_there() {
    let aliases = |text: &str| file(text).unwrap().resolve().unwrap().aliases;
    assert_eq!(aliases("data = \"/srv\""), AliasesAt::Default("/srv/aliases".into()));
    assert_eq!(aliases("aliases = \"/srv/aliases\""), AliasesAt::Given("/srv/aliases".into()));
}

#[test]
fn a_fault_in_the_file_names_file_line_and_key() {
    let unknown = fault("data = \"d\"\n\nsmpt = \":25\"\n");
    assert!(unknown.starts_with("the configuration mail.toml, line 3 (smpt): unknown field `smpt`"), "{unknown}");
    let listen = fault("smtp = \"25\"");
    assert!(listen.starts_with("the configuration mail.toml, line 1 (smtp): not a place to listen; write"), "{listen}");
    let kind = fault("data = \"d\"\ndrain = \"soon\"");
    assert!(kind.starts_with("the configuration mail.toml, line 2 (drain): "), "{kind}");
    let syntax = fault("\n\n[");
    assert!(syntax.starts_with("the configuration mail.toml, line 3: "), "{syntax}");
    for text in
        ["smtp = \"25\"", "= 3", "x", "a = {", "smtp = 5", "\"", "smtp = \":1\"\nsmtp = \":2\"", "connections = -1"]
    {
        let fault = fault(text);
        assert_eq!(fault.lines().count(), 1, "{fault}");
    }
}

#[test]
fn no_fault_shows_a_password() {
    for text in [
        "user = \"alice@example.org hunter2\"",
        "user = \"hunter2\"",
        "user = [\n \"alice@example.org:x=hunter2\",\n 5]",
        "user = \"alice@example.org:hunter2\" x",
        "user = [\"nobody:hunter2\"]",
        "user = \"alice:hunter2\"",
        "users = [\"alice@example.org:hunter2\"]",
        "user = { alice = \"hunter2\" }",
    ] {
        let fault = fault(text);
        assert!(!fault.contains("hunter2"), "{fault}");
    }
    let options = line([("user", "alice@example.org:hunter2")]).unwrap();
    assert!(!format!("{options:?}{:?}", options.clone().resolve().unwrap()).contains("hunter2"));
}

#[test]
fn what_cannot_be_meant_is_refused_with_a_remedy() {
    for (text, remedy) in [
        ("user = \"alice@example.org\"", "alice@example.org:secret"),
        ("user = \"alice@example.org:\"", "alice@example.org:secret"),
        ("user = \"alice:secret\"", "alice@example.org:secret"),
        ("domain = \"exa mple.org\"", "like example.org"),
        ("domain = \"\"", "like example.org"),
        ("domain = \"a..b\"", "like example.org"),
        ("host = \"a@b\"", "like example.org"),
        ("certificate = \"c\"", "give both"),
        ("key = \"c\"", "give both"),
        ("http = \"/run/http\"", "IP:PORT"),
        ("message-size = 0", "at least 1"),
        ("pop3-uidl = \"courrier\"", "dovecot, courier or cyrus"),
        ("pop3-expire = -1", "never"),
        ("pop3-expire = \"soon\"", "never"),
        ("trusted-proxy = \"10.0.0.1/8\"", "192.0.2.0/24"),
        ("trusted-proxy = [\"::1\", \"proxy\"]", "192.0.2.0/24"),
        ("early-talk = \"no\"", "ignore, report or refuse"),
        ("bare-line-ends = \"keep\"", "reject or normalize"),
        ("connections = 0", "at least 1"),
        ("connections-per-address = 0", "at least 1"),
    ] {
        let fault = fault(text);
        assert!(fault.contains(remedy), "{fault}");
    }
}
