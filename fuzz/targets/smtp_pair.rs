#![no_main]
//! The SMTP client and the SMTP server, against each other.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    laws::smtp_pair::deliver(data, laws::smtp_pair::Wire::Sound).unwrap();
});
