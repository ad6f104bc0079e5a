//! Looks at a server's queue and works on it, by the admin API.

#[path = "mailctl/arguments.rs"]
mod arguments;
#[path = "mailctl/dkim.rs"]
mod dkim;

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use mailqueue::{Action, Filter, FilterError, UnixMicros};
use serde::Serialize;
use services::admin::shape::{Done, Suspend, Tally, Wish};
use services::admin::text::{self, Listing, Look, clean, count};
use services::admin::{Client, ClientError, TokenError};

use arguments::{Arguments, Part, Task, Work};

const PROGRAM: &str = "mailctl";
/// Messages for each question to the server.
const PAGE: usize = 256;

/// Why it ends otherwise than well.
enum End {
    /// Nothing matched, or someone said no: status 1.
    No(String),
    /// Usage, or no server: status 2.
    Wrong(String),
    /// Nobody reads on.
    Closed,
}

impl From<ClientError> for End {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(refusal) => Self::No(refusal.to_string()),
            ClientError::Connect(..) => {
                Self::Wrong(format!("{error}; start the server, or say where it is with --socket, --data or --url"))
            }
            ClientError::Url | ClientError::Broken(_) | ClientError::Silent | ClientError::Strange(_) => {
                Self::Wrong(error.to_string())
            }
        }
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::Closed;
        }
        Self::Wrong(format!("cannot write the answer: {error}"))
    }
}

impl From<FilterError> for End {
    fn from(error: FilterError) -> Self {
        Self::Wrong(format!("{error}; --help lists the words of a filter"))
    }
}

impl From<TokenError> for End {
    fn from(error: TokenError) -> Self {
        Self::Wrong(error.to_string())
    }
}

fn main() -> ExitCode {
    let Arguments { server, json, part } = Arguments::parse();
    let ended = match part {
        Part::Queue(task) => match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => server.client().and_then(|client| runtime.block_on(Desk { client, json }.run(task))),
            Err(error) => Err(End::Wrong(error.to_string())),
        },
        Part::Dkim(dkim) => dkim.run(),
    };
    match ended {
        Ok(()) | Err(End::Closed) => ExitCode::SUCCESS,
        Err(End::No(words)) => told(&words, 1),
        Err(End::Wrong(words)) => told(&words, 2),
    }
}

fn told(words: &str, status: u8) -> ExitCode {
    // Where nobody hears it, the status still tells.
    let _ = writeln!(io::stderr(), "{PROGRAM}: {}", clean(words));
    ExitCode::from(status)
}

struct Desk {
    client: Client,
    json: bool,
}

impl Desk {
    async fn run(&self, task: Task) -> Result<(), End> {
        let client = &self.client;
        match task {
            Task::List { words, limit } => self.list(&words, limit).await,
            Task::Show { id } => self.answer(&client.message(id).await?, |look, shown| look.inspection(shown)),
            Task::Hold(work) => self.work(Action::Hold, &work).await,
            Task::Release(work) => self.work(Action::Release, &work).await,
            Task::Retry(work) => self.work(Action::Retry, &work).await,
            Task::Requeue(work) => self.work(Action::Requeue, &work).await,
            Task::Bounce(work) => self.work(Action::Bounce, &work).await,
            Task::Delete(work) => self.work(Action::Delete, &work).await,
            Task::Suspend { words, wait, until, reason } => {
                let for_seconds = wait.as_deref().map(seconds).transpose()?;
                let suspend = Suspend { filter: filter(&words)?, until, for_seconds, reason };
                let rule = client.suspend(&suspend).await?;
                self.answer(&rule, |look, rule| {
                    format!("{}; {PROGRAM} queue resume {} takes it back\n", look.suspended(rule), rule.id)
                })
            }
            Task::Resume { rule } => self.answer(&client.resume(rule).await?, |_, rule| {
                format!("rule {} is taken back; it suspended {}\n", rule.id, clean(&rule.filter.to_string()))
            }),
            Task::Rules => self.answer(&client.rules().await?, |look, all| match all.rules.as_slice() {
                [] => "no mail is suspended\n".to_owned(),
                rules => look.rules(rules),
            }),
            Task::Sites => self.answer(&client.sites().await?, |look, all| match all.sites.as_slice() {
                [] => "there is no site with mail\n".to_owned(),
                sites => look.sites(sites),
            }),
            Task::Status => self.answer(&client.status().await?, |look, status| look.status(status)),
        }
    }

    fn answer<T: Serialize>(&self, answer: &T, shown: impl FnOnce(&Look, &T) -> String) -> Result<(), End> {
        if self.json { print_json(answer) } else { print(&shown(&look(), answer)) }
    }

    async fn list(&self, words: &[String], limit: Option<usize>) -> Result<(), End> {
        let filter = if words.is_empty() { Filter::default() } else { filter(words)? };
        let mut listing = Listing::new(look());
        let (mut after, mut shown, limit) = (None, 0, limit.unwrap_or(usize::MAX));
        while shown < limit {
            let page = self.client.messages(&filter, after, PAGE.min(limit - shown)).await?;
            shown += page.messages.len();
            if self.json {
                page.messages.iter().try_for_each(print_json)?;
            } else {
                print(&listing.page(&page))?;
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        match (shown, words.is_empty()) {
            (0, false) => Err(End::No("no message matches".to_owned())),
            (0, true) if !self.json => print("the queue is empty\n"),
            (_, true | false) => Ok(()),
        }
    }

    async fn work(&self, action: Action, work: &Work) -> Result<(), End> {
        let filter = if work.all { Filter::default() } else { filter(&work.words)? };
        if !work.dry_run && !work.yes {
            let trial = self.pages(action, &filter, true).await?;
            confirm(action, &trial)?;
        }
        let tally = self.pages(action, &filter, work.dry_run).await?;
        if self.json {
            let Tally { looked, matched, changed, next: _ } = tally;
            print_json(&Done { action, dry_run: work.dry_run, looked, matched, changed })?;
        } else if tally.matched > 0 {
            let verb = match (work.dry_run, tally.changed) {
                (true, _) => "would be",
                (false, 1) => "was",
                (false, _) => "were",
            };
            print(&format!("{} matched, {} {verb} {}\n", messages(tally.matched), tally.changed, text::done(action)))?;
        }
        if tally.matched == 0 { Err(End::No("no message matches".to_owned())) } else { Ok(()) }
    }

    /// Goes through the queue page by page, and shows how far it has come.
    async fn pages(&self, action: Action, filter: &Filter, dry_run: bool) -> Result<Tally, End> {
        let mut sum = Tally::default();
        let mut bar: Option<ProgressBar> = None;
        loop {
            let wish = Wish { action, filter: filter.clone(), dry_run, after: sum.next, limit: Some(PAGE) };
            let asked = self.client.work(&wish).await;
            if let (Some(bar), true) = (&bar, asked.as_ref().map_or(true, |page| page.next.is_none())) {
                bar.finish_and_clear();
            }
            let page = asked.map_err(|error| so_far(error.into(), action, dry_run, &sum))?;
            sum.looked += page.looked;
            sum.matched += page.matched;
            sum.changed += page.changed;
            sum.next = page.next;
            if sum.next.is_none() {
                return Ok(sum);
            }
            if bar.is_none() && io::stderr().is_terminal() {
                bar = Some(progress(self.client.status().await?.counters.messages));
            }
            if let Some(bar) = &bar {
                bar.set_position(sum.looked as u64);
            }
        }
    }
}

/// What had been done when something went wrong.
fn so_far(end: End, action: Action, dry_run: bool, sum: &Tally) -> End {
    let add = |words| match (dry_run, sum.changed) {
        (true, _) | (false, 0) => words,
        (false, changed) => format!("{words}; {} were {} before that", messages(changed), text::done(action)),
    };
    match end {
        End::No(words) => End::No(add(words)),
        End::Wrong(words) => End::Wrong(add(words)),
        End::Closed => End::Closed,
    }
}

/// Asks, where it is about more than one message.
fn confirm(action: Action, trial: &Tally) -> Result<(), End> {
    if trial.changed <= 1 {
        return Ok(());
    }
    let what = format!("{} would be {}", messages(trial.changed), text::done(action));
    if !io::stdin().is_terminal() {
        return Err(End::No(format!("{what}; add --yes where that is meant")));
    }
    write!(io::stderr(), "{what}. Go on? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(End::No("nothing was done".to_owned())),
    }
}

fn progress(queued: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} messages looked at, {eta} left");
    ProgressBar::new(queued).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn filter(words: &[String]) -> Result<Filter, FilterError> {
    Filter::from_words(words.iter().map(String::as_str))
}

/// A duration in the form that filters have.
fn seconds(text: &str) -> Result<u64, End> {
    let filter = Filter::from_words([format!("older={text}").as_str()])?;
    Ok(filter.older.unwrap_or_default().as_secs())
}

fn messages(number: usize) -> String {
    count(number as u64, "message", "messages")
}

fn look() -> Look {
    let columns = rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
    Look { now: UnixMicros::now().into(), zone: TimeZone::system(), width: columns.filter(|columns| *columns > 0) }
}

fn print_json(value: &impl Serialize) -> Result<(), End> {
    print(&(serde_json::to_string(value).map_err(io::Error::from)? + "\n"))
}

/// All output goes through here: whoever stops reading does not make it a failure.
fn print(text: &str) -> Result<(), End> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
