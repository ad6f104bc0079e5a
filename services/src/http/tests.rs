use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// A port below those that the system gives to clients, so that no test's client takes it first.
async fn free_listener() -> TcpListener {
    for port in (20_000..30_000).step_by(7) {
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
            return listener;
        }
    }
    panic!("no port is free");
}

async fn ask(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn health_follows_the_stage_and_metrics_tell_all_names() {
    let numbers = Numbers::install().unwrap().sampling(|| metrics::gauge!("posthaste_connections").set(7.0));
    let listener = free_listener().await;
    let address = listener.local_addr().unwrap();
    let (mut handle, drain) = Drain::new();
    let health = Health::starting();
    let server = tokio::spawn(serve(listener, health.clone(), Arc::new(numbers), drain));

    assert!(ask(address, "/healthz").await.starts_with("HTTP/1.1 503 "));
    health.enter(Stage::Ready);
    let ready = ask(address, "/healthz").await;
    assert!(ready.starts_with("HTTP/1.1 200 ") && ready.ends_with("\r\n\r\nready"), "{ready}");

    metrics::counter!("posthaste_logins_total", "service" => "imap", "outcome" => "ok").increment(3);
    let page = ask(address, "/metrics").await;
    assert!(page.contains("text/plain; version=0.0.4"), "{page}");
    assert!(page.contains("# TYPE posthaste_logins_total counter"), "{page}");
    assert!(page.contains("# HELP posthaste_logins_total Logins, by service and outcome."), "{page}");
    assert!(page.contains("posthaste_logins_total{service=\"imap\",outcome=\"ok\"} 3"), "{page}");
    assert!(page.contains("posthaste_connections 7"), "{page}");

    assert!(ask(address, "/").await.starts_with("HTTP/1.1 404 "));
    health.enter(Stage::Draining);
    assert!(ask(address, "/healthz").await.starts_with("HTTP/1.1 503 "));
    handle.stop();
    server.await.unwrap();
    assert!(handle.drained(Duration::from_secs(5)).await);
    assert!(TcpStream::connect(address).await.is_err());
}

#[test]
fn every_number_in_the_sources_is_explained() {
    let mut used = BTreeSet::new();
    collect(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").as_path(), &mut used);
    let explained: BTreeSet<String> = METRICS.iter().map(|metric| metric.name.to_owned()).collect();
    assert_eq!(explained.len(), METRICS.len(), "a name stands twice in the table");
    assert!(used.contains("posthaste_connections"), "the search finds nothing: {used:?}");
    assert_eq!(used, explained, "left: used in the sources, right: explained in METRICS");
    for metric in METRICS {
        assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
    }
}

/// Gathers the first argument of all `counter!`, `gauge!` and `histogram!` calls.
fn collect(folder: &Path, used: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, used);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("http/tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            for call in ["counter!(", "gauge!(", "histogram!("] {
                let names = text.split(call).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
                used.extend(names.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
            }
        }
    }
}
