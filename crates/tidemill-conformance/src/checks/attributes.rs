//! An op survives the way through its attributes, by which graphs are written and read.

use super::Bench;

pub(super) fn check(bench: &Bench) -> Result<(), String> {
    let Some(op) = bench.row.op() else { return Ok(()) };
    let attrs = op.attrs();
    let back = bench.battery.ops().make(op.name(), &attrs).map_err(|e| e.to_string())?;
    if !back.same(&**op) {
        return Err(format!("the op {op:?} has the attributes {attrs:?}, which read back are {back:?}"));
    }
    Ok(())
}
