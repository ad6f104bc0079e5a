//! What is asked wrongly, and what is asked for nothing.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::office::Office;

/// Expects a refusal with a sentence and a remedy in which these words stand.
async fn refused(office: &Office, (method, path, body): (&str, &str, &str), status: u16, words: &str) {
    let answer = office.ask(method, path, body).await;
    assert_eq!(answer.status, status, "{method} {path} {body}: {:?}", answer.json);
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    let (error, remedy) = (answer.json["error"].as_str().unwrap(), answer.json["remedy"].as_str().unwrap());
    assert!(error.contains(words), "{method} {path} {body}: {words:?} is not in {error:?}");
    assert!(!remedy.is_empty());
    assert_eq!(answer.json.as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_not_understood_is_told() {
    let office = Office::new().await;
    for (path, words) in [
        ("/v1/queue/messages?filter=domain", "key=value"),
        ("/v1/queue/messages?filter=", "which messages"),
        ("/v1/queue/messages?filter=color%3Dred", "color"),
        ("/v1/queue/messages?limit=0", "limit is from 1 to 1000"),
        ("/v1/queue/messages?limit=1001", "limit is from 1 to 1000"),
        ("/v1/queue/messages?limit=x", "limit"),
        ("/v1/queue/messages?after=x", "message id"),
        ("/v1/queue/messages?fliter=all", "fliter"),
        ("/v1/queue/messages/x", "message id"),
    ] {
        refused(&office, ("GET", path, ""), 400, words).await;
    }
    for (body, words) in [
        ("", "not understood"),
        ("[]", "not understood"),
        ("{\"action\":\"delete\"}", "filter"),
        ("{\"action\":\"remove\",\"filter\":\"all\"}", "remove"),
        ("{\"action\":\"delete\",\"filter\":\"\"}", "or all"),
        ("{\"action\":\"delete\",\"filter\":\"all\",\"dryrun\":true}", "dryrun"),
        ("{\"action\":\"delete\",\"filter\":\"all\",\"limit\":100000}", "limit is from"),
    ] {
        refused(&office, ("POST", "/v1/queue/messages", body), 400, words).await;
    }
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let office = Office::new().await;
    let id = office.send("a@example.org", "alice", &["b@example.com"]).await;
    office.ask("POST", "/v1/queue/messages", "{\"action\":\"delete\",\"filter\":\"all\"}").await;
    refused(&office, ("GET", &format!("/v1/queue/messages/{id}"), ""), 404, "no such message").await;
    refused(&office, ("GET", "/", ""), 404, "nothing at /").await;
    refused(&office, ("GET", "/v2/queue/messages", ""), 404, "/v2/queue").await;
    refused(&office, ("DELETE", "/v1/queue/messages", ""), 405, "DELETE").await;
    refused(&office, ("PUT", "/v1/queue/rules/1", "{}"), 405, "PUT").await;
}

#[tokio::test]
async fn a_body_has_a_size() {
    let office = Office::new().await;
    let filter = "x".repeat(65 * 1024);
    let body = format!("{{\"action\":\"delete\",\"filter\":\"sender={filter}\"}}");
    refused(&office, ("POST", "/v1/queue/messages", &body), 413, "length limit").await;
    // A head that is too large is not read to its end; what is said about it may be lost with the connection.
    let mut stream = UnixStream::connect(office.socket()).await.unwrap();
    let head = format!("GET /v1/queue/messages?filter={} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(1 << 20));
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(office.ask("GET", "/v1/queue/rules", "").await.status, 200);
}

#[tokio::test]
async fn an_empty_queue_is_an_answer() {
    let office = Office::new().await;
    let answer = office.ask("GET", "/v1/queue/messages", "").await;
    assert_eq!((answer.status, answer.json), (200, json!({"messages": [], "next": null, "looked": 0})));
    assert_eq!(office.ask("GET", "/v1/queue/rules", "").await.json, json!({"rules": []}));
    assert_eq!(office.ask("GET", "/v1/queue/sites", "").await.json, json!({"sites": []}));
    let status = office.ask("GET", "/v1/queue/status", "").await.json;
    assert_eq!((&status["counters"]["messages"], &status["space"]["used"]), (&json!(0), &json!(0)));
}
