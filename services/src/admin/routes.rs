//! The paths of the API, and what each does to the queue.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Extension, Path, Query, State};
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{delete, get};
use axum::{Router, body::Bytes};
use mailqueue::{Filter, MessageId, Queue, Rule as QueueRule, RuleId, Spool, Trial, UnixMicros};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use super::listen::Who;
use super::refusal::Json;
use super::shape::{Inspection, Message, Messages, Rule, Rules, Site, Sites, Status, Suspend, Tally, Wish};
use super::{Refusal, words};

/// The largest body of a request, in octets. A filter of more than a thousand ids fits.
const BODY: usize = 64 * 1024;
/// The most messages of a page.
const LIMIT: usize = 1000;
/// How many a page has of itself.
const USUAL: usize = 100;
/// Messages that are asked of the queue at once for a listing: as many as it reads together.
const PIECE: usize = 256;
/// A page of a listing ends where it has so many recipients: some messages have thousands, each with what was said.
const RECIPIENTS: usize = 5000;

/// The queue, and whose turn it is to change it.
struct Desk<S: Spool> {
    queue: Queue<S>,
    /// Changes are made one page at a time, so that no number of operators starves deliveries of the disk.
    turn: Arc<Mutex<()>>,
}

impl<S: Spool> Clone for Desk<S> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), turn: Arc::clone(&self.turn) }
    }
}

type Answer<T> = Result<Json<T>, Refusal>;

pub(super) fn router<S: Spool>(queue: Queue<S>) -> Router {
    Router::new()
        .route("/v1/queue/messages", get(list::<S>).post(work::<S>))
        .route("/v1/queue/messages/{id}", get(inspect::<S>))
        .route("/v1/queue/sites", get(sites::<S>))
        .route("/v1/queue/rules", get(rules::<S>).post(suspend::<S>))
        .route("/v1/queue/rules/{id}", delete(resume::<S>))
        .route("/v1/queue/status", get(status::<S>))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(Desk { queue, turn: Arc::default() })
}

/// What a listing is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    filter: Option<String>,
    #[serde(default, with = "words::maybe")]
    after: Option<MessageId>,
    limit: Option<usize>,
}

async fn list<S: Spool>(State(desk): State<Desk<S>>, ask: Result<Query<Ask>, QueryRejection>) -> Answer<Messages> {
    let Query(Ask { filter, after, limit }) = ask?;
    let filter: Filter = filter.map(|text| text.parse()).transpose()?.unwrap_or_default();
    let limit = limit_of(limit)?;
    let mut page = Messages { messages: Vec::new(), next: after, looked: 0 };
    let mut recipients = 0;
    loop {
        let wanted = PIECE.min(limit - page.messages.len());
        let piece = desk.queue.list(&filter, page.next, wanted).await?;
        let found = piece.entries.len();
        recipients += piece.entries.iter().map(|entry| entry.recipients.len()).sum::<usize>();
        page.messages.extend(piece.entries.into_iter().map(Message::from));
        page.looked += piece.looked;
        page.next = piece.next;
        // A short piece means that the queue has looked far enough for one question.
        if page.next.is_none() || found < wanted || page.messages.len() >= limit || recipients >= RECIPIENTS {
            return Ok(Json(page));
        }
    }
}

async fn inspect<S: Spool>(State(desk): State<Desk<S>>, Path(id): Path<String>) -> Answer<Inspection> {
    let id: MessageId = id.parse()?;
    Ok(Json(desk.queue.inspect(id).await?.into()))
}

async fn work<S: Spool>(
    State(desk): State<Desk<S>>,
    Extension(who): Extension<Who>,
    body: Result<Bytes, BytesRejection>,
) -> Answer<Tally> {
    let Wish { action, filter, dry_run, after, limit } = read(&body?)?;
    let limit = limit_of(limit)?;
    let trial = if dry_run { Trial::DryRun } else { Trial::Real };
    to_the_end(desk, move |queue| async move {
        let tally = queue.apply(action, &filter, trial, after, limit).await;
        let filter = filter.to_string();
        match (&tally, trial) {
            (Ok(tally), Trial::Real) => {
                let (matched, changed) = (tally.matched, tally.changed);
                tracing::info!(service = "admin", %who, ?action, filter, matched, changed, "queue worked on");
            }
            // It changed nothing, and a real one follows as a rule.
            (Ok(tally), Trial::DryRun) => {
                tracing::debug!(service = "admin", %who, ?action, filter, matched = tally.matched, "work tried out");
            }
            (Err(error), Trial::Real | Trial::DryRun) => {
                tracing::error!(service = "admin", %who, ?action, ?trial, filter, %error, "work broken off");
            }
        }
        Ok(tally?.into())
    })
    .await
}

async fn rules<S: Spool>(State(desk): State<Desk<S>>) -> Json<Rules> {
    Json(Rules { rules: desk.queue.rules().into_iter().map(|(id, rule)| Rule::of(id, rule)).collect() })
}

async fn suspend<S: Spool>(
    State(desk): State<Desk<S>>,
    Extension(who): Extension<Who>,
    body: Result<Bytes, BytesRejection>,
) -> Answer<Rule> {
    let Suspend { filter, until, for_seconds, reason } = read(&body?)?;
    let now = UnixMicros::now();
    let until = match (until.map(UnixMicros::from), for_seconds.map(Duration::from_secs)) {
        (Some(_), Some(_)) => return Err(Refusal::question("until and for_seconds are both given", "leave one out")),
        (until, None) => until,
        (None, Some(wait)) => Some(now.after(wait)),
    };
    if until.is_some_and(|until| until <= now) {
        return Err(Refusal::question("the rule would have ended already", "give a time to come"));
    }
    let rule = QueueRule::of(filter, until, reason)?;
    to_the_end(desk, move |queue| async move {
        let id = queue.suspend(rule.clone()).await?;
        let rule = queue.rules().into_iter().find(|(one, _)| *one == id).map_or(rule, |(_, kept)| kept);
        let rule = Rule::of(id, rule);
        tracing::info!(service = "admin", %who, rule = rule.id, filter = rule.filter.to_string(), "mail suspended");
        Ok(rule)
    })
    .await
}

async fn resume<S: Spool>(
    State(desk): State<Desk<S>>,
    Extension(who): Extension<Who>,
    Path(id): Path<String>,
) -> Answer<Rule> {
    let name = |_| Refusal::question("a rule's name is a number", "take it from a list of the rules");
    let id = RuleId(id.parse().map_err(name)?);
    to_the_end(desk, move |queue| async move {
        let rule = Rule::of(id, queue.resume(id).await?);
        tracing::info!(service = "admin", %who, rule = rule.id, filter = rule.filter.to_string(), "mail resumed");
        Ok(rule)
    })
    .await
}

async fn sites<S: Spool>(State(desk): State<Desk<S>>) -> Json<Sites> {
    Json(Sites { sites: desk.queue.sites().into_iter().map(Site::from).collect() })
}

async fn status<S: Spool>(State(desk): State<Desk<S>>) -> Answer<Status> {
    let space = desk.queue.space().await.map_err(|error| {
        let told = format!("the room on the disk cannot be told: {error}");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, told, "look at the disk and at the server's log")
    })?;
    Ok(Json(Status { time: UnixMicros::now().into(), counters: desk.queue.counters(), space: space.into() }))
}

async fn no_such_path(uri: Uri) -> Refusal {
    let told = format!("there is nothing at {}", uri.path());
    Refusal::new(StatusCode::NOT_FOUND, told, "ask for /v1/queue/messages, /sites, /rules or /status")
}

async fn no_such_method(method: Method, uri: Uri) -> Refusal {
    let told = format!("{method} does nothing at {}", uri.path());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, told, "GET looks, POST changes, DELETE takes back a rule")
}

fn limit_of(limit: Option<usize>) -> Result<usize, Refusal> {
    match limit {
        None => Ok(USUAL),
        Some(limit @ 1..=LIMIT) => Ok(limit),
        Some(_) => Err(Refusal::question(format!("limit is from 1 to {LIMIT}"), "ask again with after for more")),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        Refusal::question(format!("the body is not understood: {error}"), "send one JSON object with the known fields")
    })
}

/// Changes the queue when it is its turn, in a task of its own: a client that goes away leaves nothing half done, and
/// nothing that was done unlogged.
async fn to_the_end<S, F, T>(desk: Desk<S>, change: impl FnOnce(Queue<S>) -> F + Send + 'static) -> Answer<T>
where
    S: Spool,
    F: Future<Output = Result<T, Refusal>> + Send + 'static,
    T: Send + 'static,
{
    let Desk { queue, turn } = desk;
    let turn = turn.lock_owned().await;
    let task = tokio::spawn(async move {
        let done = change(queue).await;
        drop(turn);
        done
    });
    let done = task.await.unwrap_or_else(|_| {
        let remedy = "look at the server's log; what was done before stays done";
        Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the work broke off", remedy))
    });
    done.map(Json)
}
