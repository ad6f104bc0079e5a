#![no_main]
//! Any law, over the POP3 server.
libfuzzer_sys::fuzz_target!(|data: &[u8]| laws::any(&laws::pop3::Server, data).unwrap());
