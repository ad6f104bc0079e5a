//! What can be said on the command line.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use mailqueue::MessageId;
use services::admin::{Client, Time, Token};

use crate::dkim::Dkim;
use crate::{End, PROGRAM};

/// Looks at the queue of a mail server and works on it; makes keys.
#[derive(Parser)]
#[command(name = PROGRAM, version, after_help = AFTER_HELP, max_term_width = 120, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) server: Server,

    /// Print JSON instead of text for people: an object, or for list one for each message and line
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) part: Part,
}

/// Where the server is.
#[derive(Args)]
pub(crate) struct Server {
    /// Unix socket of the server [env: MAILCTL_SOCKET]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,

    /// Folder that the server keeps everything in; its socket is admin.sock there [env: MAILCTL_DATA]
    /// [default: posthaste-data]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Address of a server that is reached by TCP, as http://127.0.0.1:2081 [env: MAILCTL_URL]
    #[arg(long, global = true)]
    pub(crate) url: Option<String>,

    /// File with the token for that server; nobody else may read it [env: MAILCTL_TOKEN_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Part {
    /// The queue
    #[command(subcommand, after_help = AFTER_HELP)]
    Queue(Task),
    /// Keys that mail is signed with; no server is asked
    #[command(subcommand)]
    Dkim(Dkim),
}

#[derive(Subcommand)]
pub(crate) enum Task {
    /// List messages, a line for each recipient: why it waits and until when
    List {
        /// Which messages; all of them without
        #[arg(value_name = "FILTER")]
        words: Vec<String>,
        /// Stop after so many messages
        #[arg(long, value_name = "NUMBER")]
        limit: Option<usize>,
    },
    /// Show one message, its recipients and its envelope
    Show {
        /// Its id, from a list
        id: MessageId,
    },
    /// Keep messages where they are until they are released
    Hold(Work),
    /// Let held messages go on, now
    Release(Work),
    /// Try messages now instead of later
    Retry(Work),
    /// Try messages as if they had just arrived
    Requeue(Work),
    /// Give recipients up and tell the sender
    Bounce(Work),
    /// Remove messages without a word to anyone
    Delete(Work),
    /// Keep mail from going, that which comes later too: by domain, site, source and sender
    Suspend {
        /// Which mail
        #[arg(value_name = "FILTER", required = true)]
        words: Vec<String>,
        /// For how long, as 90s, 15m, 4h or 5d; without, until it is resumed
        #[arg(long = "for", value_name = "TIME", conflicts_with = "until")]
        wait: Option<String>,
        /// Until when, as 2026-11-22T14:05:00Z
        #[arg(long, value_name = "TIME")]
        until: Option<Time>,
        /// Why, for others who look
        #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
        reason: String,
    },
    /// Take a rule back that suspends mail
    Resume {
        /// Its number, from rules
        rule: u64,
    },
    /// List the rules that suspend mail
    Rules,
    /// List the sites where mail goes, and whether they answer
    Sites,
    /// Count what is queued and what was done
    Status,
}

#[derive(Args)]
pub(crate) struct Work {
    /// Which messages
    #[arg(value_name = "FILTER", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) words: Vec<String>,
    /// All messages
    #[arg(long)]
    pub(crate) all: bool,
    /// Only count
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask, however many messages it is
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Where `single-node` keeps everything unless it is told otherwise.
const DATA: &str = "posthaste-data";

const AFTER_HELP: &str = "\
Filters are words that all must hold; * stands for anything:
  domain=*.example.com   recipient=bob@*   sender=<>   source=alice   site=mx1.*   id=ID
  older=4h   younger=10m   text=greylisted   state=active|deferred|held|suspended|unreachable

Examples:
  mailctl queue list state=deferred older=1h
  mailctl queue list --json | jq -r 'select(.source == \"alice\") | .id'
  mailctl queue delete source=alice text=spam --dry-run
  mailctl queue suspend domain=example.com --for 2h --reason 'they asked for it'
  mailctl queue retry site=mx1.example.com
  mailctl queue hold --all --yes

Exit status: 0 done; 1 nothing matched, or the server or you said no; 2 wrong usage, or no server.\n";

impl Server {
    /// What the command line says or, where it says nothing, the environment.
    pub(crate) fn client(self) -> Result<Client, End> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let Self { mut socket, mut data, mut url, token_file } = self;
        if [socket.is_some(), data.is_some(), url.is_some()].iter().filter(|is_given| **is_given).count() > 1 {
            return Err(End::Wrong("only one of --socket, --data and --url can say where the server is".to_owned()));
        }
        if socket.is_none() && data.is_none() && url.is_none() {
            socket = variable("MAILCTL_SOCKET").map(PathBuf::from);
            url = variable("MAILCTL_URL").map(|url| url.to_string_lossy().into_owned());
            data = variable("MAILCTL_DATA").map(PathBuf::from);
        }
        match (socket, url) {
            (Some(socket), _) => Ok(Client::unix(&socket)),
            (None, Some(url)) => {
                let missing = || End::Wrong("a server at a URL wants a token; give --token-file".to_owned());
                let file =
                    token_file.or_else(|| variable("MAILCTL_TOKEN_FILE").map(PathBuf::from)).ok_or_else(missing)?;
                Ok(Client::tcp(&url, Token::read(&file)?)?)
            }
            (None, None) => Ok(Client::unix(&data.as_deref().unwrap_or(Path::new(DATA)).join("admin.sock"))),
        }
    }
}
