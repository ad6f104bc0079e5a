#![no_main]
//! The POP3 client and the POP3 server, against each other.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    laws::pair::visit(data, laws::pair::Wire::Sound).unwrap();
});
