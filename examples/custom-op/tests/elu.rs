//! The op goes through the battery, and stands in its guide as it is.

use custom_op::Elu;
use tidemill_conformance::{Battery, row, value, x};

#[test]
fn battery() {
    Battery::new()
        .op::<Elu>([
            row(Elu { alpha: 1.0 }, [x([2, 3])]),
            row(Elu { alpha: 0.5 }, [x([4]).range(-3.0, 1.0)]),
            row(Elu { alpha: 1.0 }, [value([-1000.0, -1.0, 0.0, 2.0])]).values_only().expect([
                -1.0,
                -0.632_120_558_828_557_7,
                0.0,
                2.0,
            ]),
        ])
        .check();
}

#[test]
fn the_guide_shows_this_code() {
    let guide = include_str!("../../../docs/adding_an_op.md");
    let (_, op) = include_str!("../src/lib.rs").split_once("\n\n").unwrap();
    assert!(guide.contains(op), "docs/adding_an_op.md differs from src/lib.rs");
    let (_, rows) = include_str!("elu.rs").split_once("fn battery() {\n").unwrap();
    let (rows, _) = rows.split_once("\n}\n").unwrap();
    let rows: Vec<&str> = rows.lines().map(|line| line.strip_prefix("    ").unwrap_or(line)).collect();
    assert!(guide.contains(&rows.join("\n")), "docs/adding_an_op.md differs from tests/elu.rs");
}
