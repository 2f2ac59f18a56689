//! The text form of a program: one operation a line.
//!
//! ```text
//! p0 = Feed 0 : f32[2,3]  "x"
//! p1 = Variable 0 : &f32[3,4]  "w"
//! p2 = Read 0 (p1) : f32[3,4]  "w/read"
//! p3 = MatMul {transpose_a=false, transpose_b=false} (p0, p2) : f32[2,4]  "MatMul"
//! fetch p3
//! ```

use std::fmt;

use tidemill_core::AttrMap;

use super::{Inst, InstId, Kind, LoopInst, Program};

/// Writes `a, b, c`.
pub(crate) fn comma<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    items: impl IntoIterator<Item = T>,
) -> fmt::Result {
    for (i, item) in items.into_iter().enumerate() {
        write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
    }
    Ok(())
}

struct Attrs(AttrMap);

impl fmt::Display for Attrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, " {{")?;
        comma(f, self.0.iter().map(|(name, value)| format!("{name}={value}")))?;
        write!(f, "}}")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Feed(i) => write!(f, "Feed {i}"),
            Kind::Constant(value) => write!(f, "Constant {value}"),
            Kind::Variable(i) => write!(f, "Variable {i}"),
            Kind::Read(i) => write!(f, "Read {i}"),
            Kind::Copy => write!(f, "Copy"),
            Kind::Op(op) => write!(f, "{}{}", op.name(), Attrs(op.attrs())),
            Kind::Loop(inner) => {
                let LoopInst { trip, reverse, carries, xs, .. } = &**inner;
                write!(f, "Loop {{carries={carries}, reverse={reverse}, trip={trip}, xs={xs}}}")
            }
            Kind::If(_) => write!(f, "If"),
        }
    }
}

pub(crate) fn write_inst(f: &mut fmt::Formatter<'_>, id: InstId, inst: &Inst) -> fmt::Result {
    write!(f, "{id} = {}", inst.kind)?;
    if !inst.inputs.is_empty() {
        write!(f, " (")?;
        comma(f, &inst.inputs)?;
        write!(f, ")")?;
    }
    if !inst.after.is_empty() {
        write!(f, " after ")?;
        comma(f, &inst.after)?;
    }
    write!(f, " : ")?;
    comma(f, &inst.outputs)?;
    writeln!(f, "  \"{}\"", inst.name)?;
    let bodies: Vec<(&str, &Program)> = match &inst.kind {
        Kind::Loop(inner) => inner.cond.iter().map(|c| ("while", c)).chain([("do", &inner.body)]).collect(),
        Kind::If(inner) => vec![("then", &inner.then), ("else", &inner.orelse)],
        _ => vec![],
    };
    for (what, body) in bodies {
        writeln!(f, "  {what}")?;
        for line in body.to_string().lines() {
            writeln!(f, "    {line}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for id in self.ids() {
            write_inst(f, id, self.inst(id))?;
        }
        if !self.fetches.is_empty() {
            write!(f, "fetch ")?;
            comma(f, &self.fetches)?;
            writeln!(f)?;
        }
        if !self.targets.is_empty() {
            write!(f, "run ")?;
            comma(f, &self.targets)?;
            writeln!(f)?;
        }
        Ok(())
    }
}
