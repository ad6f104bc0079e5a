//! Where our program is, and where servers listen.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// Our `single-node`. The variable `POSTHASTE_SERVER` names the program, beside which `mailctl` lies; without it, both are built from the checkout, once.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(given) = std::env::var_os("POSTHASTE_SERVER") {
            return given.into();
        }
        let house = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--release", "--quiet", "--bin", "single-node", "--bin", "mailctl"]).current_dir(house);
        assert!(cargo.status().unwrap().success(), "the server does not build");
        house.join("target/release/single-node")
    })
}

/// The operator's tool beside it.
pub(crate) fn mailctl() -> PathBuf {
    program().with_file_name("mailctl")
}

/// Nobody listens there at this moment, no outgoing connection will take it, and it is given to nobody else.
pub(crate) fn free_address() -> SocketAddr {
    const FIRST: u16 = 20_000;
    const LAST: u16 = 32_000;
    static NEXT: AtomicU16 = AtomicU16::new(FIRST);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(port <= LAST, "all ports from {FIRST} to {LAST} are taken");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
