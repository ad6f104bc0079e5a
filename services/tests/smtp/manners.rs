//! What is done about clients that are not careful: with their turns, and with the ends of lines.

use mailqueue::MemorySpool;
use services::smtp::SmtpOptions;
use smtp_proto::{EarlyTalk, Stray};

use crate::node::{Node, Onward, options};

const ALICE: &str = "alice@example.org";

async fn node(change: impl FnOnce(&mut SmtpOptions)) -> Node {
    let mut options = options("mail.example.org");
    change(&mut options);
    Node::with(MemorySpool::default(), options, &[ALICE], Onward::Nowhere).await
}

#[tokio::test(start_paused = true)]
async fn who_speaks_before_the_greeting_is_turned_away_where_it_is_wished() {
    let hasty = "EHLO c.example\r\nQUIT\r\n";
    let node = node(|options| options.early_talk = EarlyTalk::Refuse).await;
    let said = node.session(&*node.mx, hasty).await;
    let greeted = said.strip_prefix("220 mail.example.org ESMTP\r\n").unwrap();
    assert_eq!(greeted, "554 5.5.1 you spoke before it was your turn\r\n");
    // Users do not choose their programs.
    for said in [node.session(&*node.submission, hasty).await, node.session(&*node.lmtp, "LHLO c\r\nQUIT\r\n").await] {
        assert!(said.contains("\r\n250 ") && said.contains("\r\n221 "), "{said}");
    }
    let tolerant = self::node(|options| options.early_talk = EarlyTalk::Report).await;
    let said = tolerant.session(&*tolerant.mx, hasty).await;
    assert!(said.contains("\r\n250 ") && said.contains("\r\n221 "), "{said}");
}

/// By DATA and by BDAT, with a line's end that is none, in front of what would be a second message.
fn smuggling() -> [String; 2] {
    let hidden = "MAIL FROM:<x@b.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nS: hidden\r\n\r\n.\r\n";
    let text = format!("S: outer\r\n\r\nx\n.\n{hidden}");
    let begin = "EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\n";
    let (before_dot, _) = text.split_once("\r\n.\r\n").unwrap();
    let data = format!("{begin}DATA\r\n{before_dot}\r\n.\r\nQUIT\r\n");
    [data, format!("{begin}BDAT {} LAST\r\n{text}QUIT\r\n", text.len())]
}

#[tokio::test]
async fn a_message_with_lone_line_ends_is_refused() {
    let node = node(|_| ()).await;
    for text in smuggling() {
        let said = node.session(&*node.mx, &text).await;
        assert!(said.ends_with("554 5.6.0 message holds a lone CR or LF\r\n221 2.0.0 goodbye\r\n"), "{said}");
    }
    assert!(node.queued().await.is_empty() && node.inbox(ALICE).await.is_empty());
}

#[tokio::test]
async fn or_it_is_mended_and_still_one_message() {
    let node = node(|options| options.bare_line_ends = Stray::Normalize).await;
    for (count, text) in smuggling().into_iter().enumerate() {
        let said = node.session(&*node.mx, &text).await;
        assert_eq!(said.matches("accepted as").count(), 1, "{said}");
        let texts = node.inbox_of(ALICE, count + 1).await;
        let copy = texts.last().unwrap();
        assert!(copy.contains("S: outer\r\n\r\nx\r\n.\r\nMAIL FROM:<x@b.example>\r\n"), "{copy}");
    }
}

#[tokio::test]
async fn messages_in_chunks_are_stored_as_they_were_sent() {
    let node = node(|_| ()).await;
    let begin =
        "MAIL FROM:<a@b.example> BODY=8BITMIME\r\nRCPT TO:<alice@example.org>\r\nRCPT TO:<alice+x@example.org>\r\n";
    let chunks = "BDAT 3\r\n.\r\nBDAT 0\r\nBDAT 8 LAST\r\n\r\n..\r\n\u{e4}";
    let said = node.session(&*node.mx, &format!("EHLO c\r\n{begin}{chunks}QUIT\r\n")).await;
    assert_eq!(said.matches("chunk received").count(), 2, "{said}");
    let said = node.session(&*node.lmtp, &format!("LHLO c\r\n{begin}{chunks}QUIT\r\n")).await;
    assert_eq!(said.matches("accepted as").count(), 2, "one for each recipient: {said}");
    for text in node.inbox_of(ALICE, 2).await {
        assert!(text.ends_with("+0000\r\n.\r\n\r\n..\r\n\u{e4}"), "{text:?}");
    }
}

#[tokio::test]
async fn a_refused_chunk_s_octets_are_no_commands() {
    let node = node(|_| ()).await;
    let hidden = "MAIL FROM:<x@b.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nS: hidden\r\n\r\n.\r\n";
    let chunk = format!("BDAT {} LAST\r\n{hidden}", hidden.len());
    for begin in ["EHLO c\r\n", "EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<nobody@example.org>\r\n", "HELO c\r\n"] {
        let said = node.session(&*node.mx, &format!("{begin}{chunk}QUIT\r\n")).await;
        assert!(said.ends_with("\r\n221 2.0.0 goodbye\r\n") && !said.contains("354"), "{said}");
        assert!(!said.contains("accepted as"), "{said}");
    }
    assert!(node.inbox(ALICE).await.is_empty());
}
