//! The invariants of the workspace that no compiler checks: who depends on whom, where `unsafe` stands, how long a file may be.
#![allow(missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The crates of the workspace that a crate depends on, but for its tests.
fn dependencies(name: &str) -> Vec<String> {
    let manifest = fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).unwrap();
    let section = manifest.split("\n[dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let mut all: Vec<String> = section
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| name.starts_with("tidemill"))
        .map(str::to_owned)
        .collect();
    all.sort();
    all
}

#[test]
fn crates_depend_one_way() {
    for (name, want) in [
        ("tidemill-tensor", &[][..]),
        ("tidemill-core", &["tidemill-tensor"]),
        ("tidemill-nn", &["tidemill-core", "tidemill-tensor"]),
        ("tidemill-session", &["tidemill-core", "tidemill-tensor"]),
        ("tidemill-graphdef", &["tidemill-core", "tidemill-tensor"]),
        ("tidemill", &["tidemill-core", "tidemill-nn", "tidemill-session", "tidemill-tensor"]),
    ] {
        assert_eq!(dependencies(name), want, "{name}");
    }
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with(".git") {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn files_are_short_and_unsafe_is_where_it_belongs() {
    let mut files = vec![];
    for part in ["crates", "examples", "tests", "benches", "xtask"] {
        sources(&root().join(part), &mut files);
    }
    // What a program wrote, no person reads.
    files.retain(|file| !file.ends_with("src/proto/tensorflow.rs"));
    assert!(files.len() > 100, "the sources are where they are looked for");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        assert!(lines <= 800, "{} has {lines} lines", file.display());
        let path = file.to_string_lossy();
        let named =
            ["tidemill-session/src/kernels", "tidemill-session/src/exec", "tests/tests/dependencies.rs"];
        if !named.iter().any(|part| path.contains(part)) {
            let code =
                |line: &&str| !line.trim_start().starts_with("//") && !line.contains("forbid(unsafe_code)");
            let found = text
                .lines()
                .filter(code)
                .find(|l| l.contains("unsafe {") || l.contains("unsafe fn") || l.contains("unsafe impl"));
            assert!(found.is_none(), "{}: {found:?}", file.display());
        }
    }
}

#[test]
fn other_crates_and_examples_forbid_unsafe() {
    let crates = [
        "tidemill-tensor",
        "tidemill-core",
        "tidemill-nn",
        "tidemill-graphdef",
        "tidemill-conformance",
        "tidemill",
    ];
    let mut roots: Vec<PathBuf> =
        crates.iter().map(|name| root().join("crates").join(name).join("src/lib.rs")).collect();
    for example in fs::read_dir(root().join("examples")).unwrap() {
        let source = example.unwrap().path().join("src");
        roots.extend(["lib.rs", "main.rs"].map(|file| source.join(file)).into_iter().filter(|p| p.exists()));
    }
    assert!(roots.len() > crates.len(), "the examples are where they are looked for");
    for path in roots {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("#![forbid(unsafe_code)]"), "{}", path.display());
    }
}
