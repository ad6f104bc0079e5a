# Everyday recipes. Each is one to three plain commands: `just` is a convenience, not a need.

_default:
    @just --list

# Formatting, lints and tests of the whole workspace.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test --workspace

# A mail server on loopback, with two users and their passwords printed.
run:
    cargo run --release --bin single-node

# Installs what the tests need (Debian, as root) and runs them all, foreign clients included.
test:
    ./test

# The documentation, with warnings as errors.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Licences and sources of dependencies.
deny:
    cargo deny check licenses bans sources

# All that CI runs.
ci:
    .ci/run
