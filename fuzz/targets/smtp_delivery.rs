#![no_main]
//! Any law, over the SMTP and LMTP client.
libfuzzer_sys::fuzz_target!(|data: &[u8]| laws::any(&laws::delivery::Client, data).unwrap());
