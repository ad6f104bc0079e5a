//! Messages as they lie in a Maildir, the same on every run.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

/// Small and repeatable: xorshift64.
#[derive(Clone, Debug)]
pub struct Prng(u64);

impl Prng {
    /// Begins a sequence. A seed of 0 would stay 0.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

/// A number of messages of 2 to 20 KB, small ones more often than large ones.
#[derive(Clone, Copy, Debug)]
pub struct Maildrop {
    /// How many.
    pub messages: u64,
}

impl Maildrop {
    /// Writes them into `cur` of a new Maildir, stored with LF as both servers do, sizes in their names. `owner` gets
    /// all of it.
    pub fn write(self, dir: &Path, owner: Option<u32>) {
        for sub in ["", "new", "tmp", "cur"] {
            let path = dir.join(sub);
            fs::create_dir_all(&path).unwrap();
            chown(&path, owner, owner).unwrap();
        }
        let mut prng = Prng::new(1939);
        for number in 1..=self.messages {
            let text = message(number, &mut prng);
            let lines = text.bytes().filter(|octet| *octet == b'\n').count();
            let (stored, wire) = (text.len(), text.len() + lines);
            let seconds = 1_700_000_000 + number;
            let path = dir.join(format!("cur/{seconds}.M{number}P1Q{number}.bench,S={stored},W={wire}:2,"));
            fs::write(&path, text).unwrap();
            chown(&path, owner, owner).unwrap();
        }
    }
}

fn message(number: u64, prng: &mut Prng) -> String {
    let size = 2048 + prng.below(18_432).min(prng.below(18_432)) as usize;
    let mut text = format!(
        "Return-Path: <sender{number}@example.net>\n\
         Received: from mail.example.net (mail.example.net [192.0.2.25])\n\tby mx.example.org with ESMTPS id {number:08x}\n\
         \tfor <big@example.org>; Tue, 14 Nov 2023 22:13:20 +0000\n\
         From: Sender {number} <sender{number}@example.net>\n\
         To: big@example.org\n\
         Subject: Message {number} of many\n\
         Date: Tue, 14 Nov 2023 22:13:20 +0000\n\
         Message-ID: <{number}.1939@example.net>\n\
         MIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8\n\n"
    );
    while text.len() < size {
        // Now and then a line that must be stuffed.
        if prng.below(100) == 0 {
            text.push('.');
        }
        for _ in 0..20 + prng.below(56) {
            text.push(char::from(b'a' + prng.below(26) as u8));
        }
        text.push('\n');
    }
    text
}
