#![no_main]
//! Any law, over the SMTP and LMTP client's session.
libfuzzer_sys::fuzz_target!(|data: &[u8]| laws::any(&laws::smtp_client::Client, data).unwrap());
