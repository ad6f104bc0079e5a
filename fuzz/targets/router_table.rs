#![no_main]
//! A forged routing table.
libfuzzer_sys::fuzz_target!(|data: &[u8]| laws::router::forged(data).unwrap());
