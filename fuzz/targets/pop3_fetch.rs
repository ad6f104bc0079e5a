#![no_main]
//! Any law, over the POP3 client that visits a maildrop.
libfuzzer_sys::fuzz_target!(|data: &[u8]| laws::any(&laws::fetch::Client, data).unwrap());
