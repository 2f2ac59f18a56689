//! Every standard op, on every row of the battery.

use tidemill_conformance::Battery;

#[test]
fn standard_ops() {
    Battery::standard().check();
}
