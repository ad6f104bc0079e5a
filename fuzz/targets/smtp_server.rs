#![no_main]
//! Any law, over the SMTP and LMTP server.
libfuzzer_sys::fuzz_target!(|data: &[u8]| laws::any(&laws::smtp::Server, data).unwrap());
