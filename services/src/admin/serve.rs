//! Connections of the API: few, short, and one request each.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use mailqueue::{Queue, Spool};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::listen::Visitor;
use super::{AdminListener, Refusal, routes};
use crate::net::{BoxedStream, Drain};

/// Connections at once, for each listener. Operators and their scripts are few; more wait in the kernel's queue.
const CONNECTIONS: usize = 32;
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);
/// The largest head of a request. A filter of a few hundred ids fits.
const HEAD_SIZE: usize = 16 * 1024;
/// How long an answer may be in the making. A page of work is a thousand writes at most.
const ANSWER: Duration = Duration::from_secs(60);
/// How long a connection may last in all, its reader's slowness included.
const LIFETIME: Duration = Duration::from_secs(120);

/// Answers operators until the server stops. Requests under way end first.
///
/// A connection carries one request. What a request changes is done to the end of its page and logged, even when whoever
/// asked is gone.
pub async fn serve<S: Spool>(listener: AdminListener, queue: Queue<S>, mut drain: Drain) {
    let router = routes::router(queue);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = drain.stopping() => return,
        };
        match accepted {
            Ok((stream, visitor)) => {
                let connection = connection(stream, visitor, router.clone(), drain.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of descriptors, or a connection that died in the queue: neither is a reason to stop.
                tracing::warn!(service = "admin", %error, "cannot take a connection");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(stream: BoxedStream, visitor: Visitor, router: Router, mut drain: Drain) {
    let service = service_fn(move |request| answer(request, visitor.clone(), router.clone()));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_SIZE).keep_alive(false);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let whole = async {
        // Errors are those of the peer: it went away, or does not speak HTTP.
        tokio::select! {
            _ = connection.as_mut() => return,
            () = drain.stopping() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.as_mut().await;
    };
    let _ = timeout(LIFETIME, whole).await;
}

async fn answer(request: Request<Incoming>, visitor: Visitor, router: Router) -> Result<Response<Body>, Infallible> {
    let mut request = request;
    match visitor.admit(request.headers()) {
        Ok(who) => request.extensions_mut().insert(who),
        Err(refusal) => return Ok(refusal.into_response()),
    };
    let answered = timeout(ANSWER, TowerToHyperService::new(router).call(request)).await;
    answered.unwrap_or_else(|_| {
        let remedy = "what was begun goes on; look at the server's load, and ask for less at once";
        Ok(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "this takes too long", remedy).into_response())
    })
}
