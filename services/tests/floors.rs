//! The floors of the house: who may depend on whom. See ARCHITECTURE.md.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::path::{Path, PathBuf};
use std::process::Command;

const ENGINES: [&str; 3] = ["imap-proto", "pop3-proto", "smtp-proto"];
const STORES: [&str; 2] = ["mailqueue", "mailstore"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Names of all packages that a package is built from, itself apart.
fn dependencies(package: &str) -> Vec<String> {
    let cargo = std::env::var("CARGO").unwrap();
    let output = Command::new(cargo)
        .current_dir(root())
        .args(["tree", "--edges", "normal", "--prefix", "none", "--format", "{p}", "--package", package])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut names: Vec<String> =
        text.lines().skip(1).filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect();
    names.sort();
    names.dedup();
    names
}

fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = vec![];
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn nobody_on_floors_one_and_two_sees_another_or_a_runtime() {
    for folder in ENGINES.into_iter().chain(STORES).chain(["router"]) {
        let seen = dependencies(&format!("posthaste-{folder}"));
        assert!(!seen.is_empty());
        let forbidden: Vec<_> =
            seen.iter().filter(|name| name.starts_with("posthaste-") || name.contains("tokio")).collect();
        assert!(forbidden.is_empty(), "{folder} depends on {forbidden:?}");
    }
}

#[test]
fn engines_and_router_are_built_without_std() {
    for folder in ENGINES.into_iter().chain(["router"]) {
        let lib = std::fs::read_to_string(root().join(folder).join("src/lib.rs")).unwrap();
        assert!(lib.contains("#![no_std]"), "{folder}");
        for source in sources(&format!("{folder}/src")) {
            let text = std::fs::read_to_string(&source).unwrap();
            let production = text.split("#[cfg(test)]").next().unwrap();
            assert!(!production.contains("extern crate std"), "{}", source.display());
        }
    }
}

#[test]
fn services_without_their_features_have_no_runtime() {
    let cargo = std::env::var("CARGO").unwrap();
    let output = Command::new(cargo)
        .current_dir(root())
        .args(["tree", "--edges", "normal", "--prefix", "none", "--package", "posthaste-services"])
        .args(["--no-default-features", "--features", "engines"])
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(!String::from_utf8(output.stdout).unwrap().contains("tokio"));
}

#[test]
fn two_vocabularies_meet_in_one_room() {
    for source in sources("services/src") {
        let converts = source.ends_with("convert.rs") || source.starts_with(root().join("services/src/convert"));
        if converts || source.ends_with("engines.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&source).unwrap();
        let engines = ENGINES.iter().filter(|name| text.contains(&format!("{}::", name.replace('-', "_")))).count();
        assert!(engines <= 1, "{} speaks of {engines} engines", source.display());
    }
}

#[test]
fn no_file_is_longer_than_900_lines() {
    let folders = ENGINES.into_iter().chain(STORES).chain(["router", "services", "examples", "fuzz"]);
    for source in folders.flat_map(sources) {
        let lines = std::fs::read_to_string(&source).unwrap().lines().count();
        assert!(lines <= 900, "{} has {lines} lines", source.display());
    }
}
