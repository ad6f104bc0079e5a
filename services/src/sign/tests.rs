//! What the RFCs print, octet by octet.

use aws_lc_rs::signature::{RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::canonical::Form;
use super::header::{Message, Seen};
use super::key::{Key, KeyError};
use super::signed;

const HASH: &str = "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=";

/// RFC 6376 §A.2.
const SUBMITTED: &str = "\
Received: from client1.football.example.com  [192.0.2.1]\r\n\
\x20     by submitserver.example.com with SUBMISSION;\r\n\
\x20     Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n\
From: Joe SixPack <joe@football.example.com>\r\n\
To: Suzie Q <suzie@shopping.example.net>\r\n\
Subject: Is dinner ready?\r\n\
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\
\r\n\
Hi.\r\n\
\r\n\
We lost the game. Are you hungry yet?\r\n\
\r\n\
Joe.\r\n";

/// RFC 8463 §A.3.
const PLAYED: &str = "\
From: Joe SixPack <joe@football.example.com>\r\n\
To: Suzie Q <suzie@shopping.example.net>\r\n\
Subject: Is dinner ready?\r\n\
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\
\r\n\
Hi.\r\n\
\r\n\
We lost the game.  Are you hungry yet?\r\n\
\r\n\
Joe.\r\n";

/// RFC 8463 §A.1.
const PLAYED_RSA: &str = "-----BEGIN RSA PRIVATE KEY-----
MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi
Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM
KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB
AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm
6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe
zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy
6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc
uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy
WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd
WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a
licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst
o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe
uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL
-----END RSA PRIVATE KEY-----
";

/// The seed that RFC 8463 §A.1 prints, in PKCS #8.
const PLAYED_ED25519: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";

fn seen(form: Form, message: &str) -> Seen {
    let mut stream = Message::new(form);
    stream.write(message.as_bytes());
    stream.finish(b"").unwrap()
}

/// Whether an RSA signature that somebody else made is one of this text.
fn rsa_signed(text: &[u8], key: &str, signature: &str) -> bool {
    let key = BASE64_STANDARD.decode(key).unwrap();
    let signature = BASE64_STANDARD.decode(signature).unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, key).verify(text, &signature).is_ok()
}

#[test]
fn rfc_6376_appendix_a() {
    const KEY: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5i\
                       jSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB";
    const SIGNATURE: &str = "AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\
                             KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV4bmp/YzhwvcubU4=";
    let own = format!(
        "DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n      \
         c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n      \
         h=Received : From : To : Subject : Date : Message-ID;\r\n      \
         bh={HASH};\r\n      b=;"
    );
    let names = ["Received", "From", "To", "Subject", "Date", "Message-ID"];
    let Seen { header, body_hash } = seen(Form::Simple, SUBMITTED);
    assert_eq!(BASE64_STANDARD.encode(body_hash), HASH);
    assert!(rsa_signed(&signed::text(Form::Simple, &header, &names, own.as_bytes()), KEY, SIGNATURE));
    assert!(!rsa_signed(&signed::text(Form::Relaxed, &header, &names, own.as_bytes()), KEY, SIGNATURE));
}

const PLAYED_NAMES: [&str; 8] = ["from", "to", "subject", "date", "message-id", "from", "subject", "date"];

fn played(algorithm: &str, selector: &str, folded: &str) -> Vec<u8> {
    let own = format!(
        "DKIM-Signature: v=1; a={algorithm}; c=relaxed/relaxed;\r\n \
         d=football.example.com; i=@football.example.com;\r\n \
         q=dns/txt; s={selector}; t=1528637909; h=from : to :{folded}\
         message-id : from : subject : date;\r\n bh={HASH};\r\n b="
    );
    let Seen { header, body_hash } = seen(Form::Relaxed, PLAYED);
    assert_eq!(BASE64_STANDARD.encode(body_hash), HASH);
    signed::text(Form::Relaxed, &header, &PLAYED_NAMES, own.as_bytes())
}

#[test]
fn rfc_8463_appendix_a_ed25519() {
    let key = Key::from_pem(PLAYED_ED25519.as_bytes()).unwrap();
    assert_eq!(key.record(), "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    let text = played("ed25519-sha256", "brisbane", "\r\n subject : date : ");
    assert_eq!(
        BASE64_STANDARD.encode(key.sign(&text).unwrap()),
        "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
    );
}

#[test]
fn rfc_8463_appendix_a_rsa() {
    const KEY: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb\
                       3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";
    const SIGNATURE: &str = "F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGs\
                             geefOsk2JzdA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=";
    let text = played("rsa-sha256", "test", " subject :\r\n date : ");
    assert!(rsa_signed(&text, KEY, SIGNATURE));
    // Its key signs nothing any more: RFC 8301 §3.2.
    assert!(matches!(Key::from_pem(PLAYED_RSA.as_bytes()), Err(KeyError::Short)));
}
