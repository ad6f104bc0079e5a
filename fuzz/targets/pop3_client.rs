#![no_main]
//! Any law, over the POP3 client's session.
libfuzzer_sys::fuzz_target!(|data: &[u8]| laws::any(&laws::pop3_client::Client, data).unwrap());
