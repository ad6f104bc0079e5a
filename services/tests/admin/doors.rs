//! Who gets in, and where.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use services::admin::{AdminListener, Client, ClientError, OpenError, Token, TokenError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

use crate::office::{Office, ask, open_tcp};

const SECRET: &str = "correct-horse-battery-staple";

fn token_file(office: &Office, text: &str, mode: u32) -> PathBuf {
    let path = office.folder.path().join("token");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

#[tokio::test]
async fn the_socket_is_for_its_user_alone_and_goes_with_the_server() {
    let mut office = Office::new().await;
    // Whatever its folder allows.
    fs::set_permissions(office.folder.path(), Permissions::from_mode(0o777)).unwrap();
    assert_eq!(fs::metadata(office.socket()).unwrap().permissions().mode() & 0o777, 0o600);
    office.client().status().await.unwrap();
    office.handle.stop();
    let gone = async {
        while office.socket().exists() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(Duration::from_secs(10), gone).await.unwrap();
    assert!(matches!(office.client().status().await, Err(ClientError::Connect(..))));
    let Office { handle, drain, .. } = &mut office;
    drop(std::mem::replace(drain, services::net::Drain::new().1));
    assert!(handle.drained(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn a_socket_is_taken_from_the_dead_only() {
    let office = Office::new().await;
    let taken = AdminListener::unix(&office.socket()).unwrap_err();
    assert!(matches!(taken, OpenError::Taken(_)), "{taken}");
    office.client().status().await.unwrap();

    let left = office.folder.path().join("left.sock");
    drop(std::os::unix::net::UnixListener::bind(&left).unwrap());
    drop(AdminListener::unix(&left).unwrap());

    let file = office.folder.path().join("notes");
    fs::write(&file, "dear diary").unwrap();
    assert!(matches!(AdminListener::unix(&file).unwrap_err(), OpenError::NoSocket(_)));
    assert_eq!(fs::read_to_string(&file).unwrap(), "dear diary");
    let nowhere = AdminListener::unix(&office.folder.path().join("no/folder")).unwrap_err();
    assert!(nowhere.to_string().contains("let this user write there"), "{nowhere}");
}

#[tokio::test]
async fn by_tcp_only_the_token_opens() {
    let office = Office::new().await;
    let file = token_file(&office, &format!("{SECRET}\n"), 0o600);
    let (listener, address) = open_tcp(&file).await.unwrap();
    office.open(listener);
    let status = async |fields: &str| {
        let stream = TcpStream::connect(address).await.unwrap();
        ask(stream, "GET", "/v1/queue/status", fields, "").await
    };
    for fields in ["", "Authorization: Bearer wrong-horse-battery-staple\r\n", "Authorization: Basic Y29ycmVjdA==\r\n"]
    {
        let answer = status(fields).await;
        assert_eq!(answer.status, 401, "{fields}");
        assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
        assert!(answer.json["error"].as_str().unwrap().contains("token"), "{:?}", answer.json);
        assert!(!answer.json.to_string().contains("correct"));
    }
    assert_eq!(status(&format!("Authorization: Bearer {SECRET}\r\n")).await.status, 200);
    // Nothing is told about what is there, either.
    let stream = TcpStream::connect(address).await.unwrap();
    assert_eq!(ask(stream, "GET", "/nowhere", "", "").await.status, 401);

    let url = format!("http://{address}");
    Client::tcp(&url, Token::read(&file).unwrap()).unwrap().status().await.unwrap();
    let wrong = Client::tcp(&url, Token::new("wrong-horse-battery-staple").unwrap()).unwrap();
    let ClientError::Refused(refusal) = wrong.status().await.unwrap_err() else { panic!("not refused") };
    assert_eq!(refusal.status.as_u16(), 401);
}

#[tokio::test]
async fn without_a_token_of_its_own_nothing_listens_by_tcp() {
    let office = Office::new().await;
    for (text, mode, words) in [
        (SECRET, 0o644, "chmod 600"),
        (SECRET, 0o640, "chmod 600"),
        ("short", 0o600, "/dev/urandom"),
        ("", 0o600, "make one"),
    ] {
        let error = open_tcp(&token_file(&office, text, mode)).await.unwrap_err();
        assert!(error.to_string().contains(words), "{mode:o}: {error}");
        assert!(!error.to_string().contains(SECRET));
    }
    let missing = open_tcp(&office.folder.path().join("missing")).await.unwrap_err();
    assert!(matches!(missing, OpenError::Token(TokenError::Unreadable(..))));
}

#[tokio::test]
async fn those_who_only_connect_do_not_keep_others_out_and_do_not_stay() {
    let office = Office::new().await;
    // As many as there are places: they wait for their heads to come.
    let mut idle = Vec::new();
    for _ in 0..31 {
        idle.push(UnixStream::connect(office.socket()).await.unwrap());
    }
    office.client().status().await.unwrap();
    let mut half = UnixStream::connect(office.socket()).await.unwrap();
    half.write_all(b"GET /v1/queue/status HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    office.handle.stop();
    for stream in &mut idle {
        let mut rest = Vec::new();
        let _ = timeout(Duration::from_secs(30), stream.read_to_end(&mut rest)).await.unwrap();
        assert!(rest.is_empty());
    }
}

#[tokio::test]
async fn what_is_no_http_is_hung_up_on() {
    let office = Office::new().await;
    let mut stream = UnixStream::connect(office.socket()).await.unwrap();
    stream.write_all(b"\x16\x03\x01\x00\xff EHLO there\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400") || answer.is_empty(), "{answer:?}");
    office.client().status().await.unwrap();
}
