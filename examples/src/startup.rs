//! The first moments of a server: arguments, logs, descriptors, and failures that fit on one line.

use std::fmt;

use clap::Parser;
use clap::error::ErrorKind;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Why a server does not start: one line that names the thing and the remedy.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// A failure in these words.
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }

    /// An error, and what to do about it.
    pub fn with_remedy(error: impl std::error::Error, remedy: impl fmt::Display) -> Self {
        Self(format!("{}; {remedy}", with_causes(&error)))
    }
}

/// An error that says its remedy itself.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(with_causes(&error))
    }
}

/// An error and, where it does not tell them itself, its causes.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !told.contains(&words) {
            told = format!("{told}: {words}");
        }
        cause = error.source();
    }
    told
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the command line. `None` where it only asked for help or the version, which is printed.
///
/// # Errors
/// An argument is wrong.
pub fn arguments<C: Parser>() -> Result<Option<C>, Failure> {
    let error = match C::try_parse() {
        Ok(arguments) => return Ok(Some(arguments)),
        Err(error) => error,
    };
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // Nobody is left to tell where standard output is closed.
        let _ = error.print();
        return Ok(None);
    }
    Err(Failure(one_line(&error.render().to_string())))
}

/// The first line of clap's page, and its tips; the rest of it repeats the help.
fn one_line(page: &str) -> String {
    let mut lines = page.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let tips = lines.filter_map(|line| line.strip_prefix("tip: "));
    let told = first.strip_prefix("error: ").unwrap_or(first);
    std::iter::once(told).chain(tips).chain(["--help lists all options"]).collect::<Vec<_>>().join("; ")
}

/// Logs to standard error: what the variable `RUST_LOG` says or, without it, `level`.
///
/// # Errors
/// What it says is not understood.
pub fn log_to_stderr(level: &str) -> Result<(), Failure> {
    let (source, directives) = match std::env::var("RUST_LOG") {
        Ok(directives) if !directives.is_empty() => ("the variable RUST_LOG", directives),
        Ok(_) | Err(_) => ("log", level.to_owned()),
    };
    let refused =
        || Failure(format!("{source}: {directives:?} is no level of logging; write error, warn, info, debug or trace"));
    // A word alone would be taken for a target, so that a misspelt level silenced everything.
    if !directives.split(',').all(|one| one.contains('=') || one.parse::<LevelFilter>().is_ok()) {
        return Err(refused());
    }
    // The resolver's crates log whole answers of strangers. Whoever wants them says so in RUST_LOG.
    let targets: Targets = format!("hickory=off,{directives}").parse().map_err(|_| refused())?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    tracing_subscriber::registry().with(lines).with(targets).init();
    Ok(())
}

/// Lets the process have as many descriptors as the system allows at all, and says how many that is.
pub fn descriptors() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let allowed = if raised.is_ok() { maximum } else { current };
    allowed.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[arg(long)]
        data: Option<u16>,
    }

    #[test]
    fn a_wrong_argument_is_told_in_one_line() {
        let told = |arguments: &[&str]| {
            let error = Line::try_parse_from([&["test"], arguments].concat()).unwrap_err();
            one_line(&error.render().to_string())
        };
        for (arguments, words) in [
            (&["--date", "1"][..], "unexpected argument '--date' found; a similar argument exists: '--data'"),
            (&["--data", "x"], "invalid value 'x' for '--data <DATA>'"),
            (&["--data"], "a value is required for '--data <DATA>'"),
            (&["x"], "unexpected argument 'x' found"),
        ] {
            let line = told(arguments);
            assert!(line.starts_with(words) && line.ends_with("; --help lists all options"), "{line}");
            assert_eq!(line.lines().count(), 1, "{line}");
        }
    }
}
