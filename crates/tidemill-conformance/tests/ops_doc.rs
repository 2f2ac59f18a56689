//! `docs/ops.md` is what the ops say of themselves.
#![allow(missing_docs)]

#[test]
fn the_list_of_ops_is_up_to_date() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ops.md");
    let written = std::fs::read_to_string(file).unwrap_or_default();
    let now = tidemill_conformance::ops_document();
    let differ = written.lines().zip(now.lines()).find(|(written, now)| written != now);
    assert!(
        written == now,
        "docs/ops.md is out of date: run `cargo run -p xtask -- ops-doc`. The first difference: {differ:?}"
    );
}
