//! Messages that were made to hurt: answered in little time and memory, and still there octet by octet.

use crate::client::{Client, Server};

async fn with(message: &[u8]) -> (Server, Client) {
    let server = Server::new();
    server.deliver("INBOX", message).await;
    let client = server.select("INBOX").await;
    (server, client)
}

/// What every message must bear.
async fn is_borne(message: &[u8]) -> String {
    let (_server, mut client) = with(message).await;
    let told = client.ok("FETCH 1 (ENVELOPE BODY BODYSTRUCTURE)").await;
    let size = client.ok("FETCH 1 RFC822.SIZE").await;
    assert_eq!(size, format!("* 1 FETCH (RFC822.SIZE {})\r\n", message.len()));
    client.send("FETCH 1 BODY.PEEK[]").await;
    let whole = client.line_octets().await;
    let head = format!("* 1 FETCH (BODY[] {{{}}}\r\n", message.len());
    assert!(whole.starts_with(head.as_bytes()) && whole[head.len()..whole.len() - 3] == *message);
    client.line().await;
    client.ok("FETCH 1 (BODY.PEEK[1] BODY.PEEK[1.1.1.1.HEADER] BODY.PEEK[HEADER.FIELDS (Subject From)])").await;
    client.ok("SEARCH TEXT needle SENTBEFORE 1-Jan-2000").await;
    told
}

#[tokio::test]
async fn deep_nesting() {
    let mut message = Vec::new();
    for level in 0..20_000 {
        message.extend(format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n").into_bytes());
    }
    let told = is_borne(&message).await;
    assert!(told.len() < 100_000, "{}", told.len());
    is_borne("Content-Type: message/rfc822\r\n\r\n".repeat(100_000).as_bytes()).await;
}

#[tokio::test]
async fn ten_thousand_parts() {
    let mut message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    message.extend("--b\r\nContent-Type: text/plain\r\n\r\nx\r\n".repeat(10_000).into_bytes());
    let told = is_borne(&message).await;
    // Twice 999 parts: in BODY and in BODYSTRUCTURE.
    assert_eq!(told.matches("\"text\" \"plain\"").count(), 2 * 999);
}

#[tokio::test]
async fn headers_without_end() {
    is_borne("From: a@b, \r\n\t".repeat(300_000).as_bytes()).await;
    is_borne("To: a@b\r\n".repeat(300_000).as_bytes()).await;
    is_borne(&[b"From: ".as_slice(), &b"a@b,".repeat(500_000)].concat()).await;
    is_borne(&[b"From: ".as_slice(), &b"(".repeat(1_000_000)].concat()).await;
    is_borne(&[b"From: ".as_slice(), &b"<@".repeat(500_000)].concat()).await;
    is_borne(&[b"Subject: ".as_slice(), &b"=?utf-8?q?a".repeat(100_000)].concat()).await;
    is_borne(&[b"Subject: ".as_slice(), &b"=?=?".repeat(200_000)].concat()).await;
    is_borne(&[b"Content-Type: text/plain".as_slice(), &b"; a*0*=\"".repeat(100_000)].concat()).await;
    is_borne(&[b"Content-Type: text/plain".as_slice(), &b";a=b".repeat(100_000), b"\r\n\r\n"].concat()).await;
}

#[tokio::test]
async fn lines_that_look_like_boundaries() {
    // As deep as it goes, with boundaries that differ only at their ends, and lines that match none.
    let (mut message, common) = (String::new(), "b".repeat(60));
    for level in 0..50 {
        message
            .push_str(&format!("Content-Type: multipart/mixed; boundary={common}{level}\r\n\r\n--{common}{level}\r\n"));
    }
    message.push_str("\r\n");
    message.push_str(&format!("--{common}x\r\n").repeat(100_000));
    is_borne(message.as_bytes()).await;
}

#[tokio::test]
async fn octets_of_all_kinds() {
    let mut message: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    is_borne(&message).await;
    message.splice(
        ..0,
        b"Content-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\n".iter().copied(),
    );
    is_borne(&message).await;
    is_borne(b"\r").await;
    is_borne(b"\n\n\n").await;
    is_borne(b":\r\n:\r\n \r\n\r\n").await;
}

#[tokio::test]
async fn many_different_sections_of_one_message() {
    let (_server, mut client) = with(b"A: b\r\n\r\nbody\r\n").await;
    let items: Vec<String> =
        (0..250).map(|n| format!("BODY.PEEK[{}.{n}.MIME]", n + 1)).map(|s| s.replace(".0.", ".1.")).collect();
    let told = client.ok(&format!("FETCH 1 ({})", items.join(" "))).await;
    assert_eq!(told.matches(" NIL").count(), 250);
    let items: Vec<String> = (0..300).map(|n| format!("BODY.PEEK[]<{n}.1>")).collect();
    assert!(client.reply(&format!("FETCH 1 ({})", items.join(" "))).await.starts_with("NO [LIMIT] "));
}
