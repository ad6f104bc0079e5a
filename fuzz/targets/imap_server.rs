#![no_main]
//! Any law, over the IMAP server.
libfuzzer_sys::fuzz_target!(|data: &[u8]| laws::any(&laws::imap::Server, data).unwrap());
