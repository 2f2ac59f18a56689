//! Dead code: what no fetch, target or their ancestors need goes away.
//!
//! Law: an operation that stays keeps all its operands and everything it must wait for.

use tidemill_core::Result;

use super::PassCx;
use crate::program::Program;

pub(super) fn run(program: &mut Program, _: &PassCx) -> Result<()> {
    let live = program.live();
    if live.contains(&false) {
        program.retain(&live);
    }
    Ok(())
}
