//! Looking up one of a million mailboxes.

use std::time::Duration;

use bench::{Case, compare};
use router::{Change, Domain, Home, Others, Route, Routes, Snapshot, TableBuilder, resolve};

fn main() {
    let mut builder = TableBuilder::new(1, [7; 16]);
    let domains = 1000;
    for domain in 0..domains {
        let name = format!("d{domain}.example");
        builder.apply(Change::domain(name.as_str(), Domain::Local(Others::Nobody))).unwrap();
        for user in 0..1000 {
            let address = format!("user{user}@{name}");
            builder.apply(Change::mailbox(address.as_str(), Home::at("local"))).unwrap();
        }
    }
    let table = builder.finish().unwrap();
    println!("table of 1,000,000 mailboxes: {} octets", table.len());
    let routes = Routes::new(Snapshot::open(table).unwrap());
    let mut n = 0usize;
    let hits = || {
        for _ in 0..1000 {
            n = n.wrapping_add(7919);
            let address = format!("User{}@d{}.example", n % 1000, n % domains);
            assert!(matches!(resolve(&routes, &address).route, Route::Mailbox { .. }));
        }
        1000
    };
    let misses = || {
        for n in 0..1000 {
            let address = format!("nobody{n}@d{}.example", n % domains);
            assert!(matches!(resolve(&routes, &address).route, Route::Unknown));
        }
        1000
    };
    let cases = vec![Case::new("known", hits), Case::new("unknown", misses)];
    compare("Router: one of a million mailboxes", "lookup", 5, Duration::from_millis(500), cases);
}
