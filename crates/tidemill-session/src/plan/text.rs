//! The text form of a plan: slots, then steps.

use std::fmt;

use super::{Place, Plan, StepKind};
use crate::program::comma;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "arena {} bytes", self.arena_bytes)?;
        for (i, slot) in self.slots.iter().enumerate() {
            write!(f, "s{i} : {}", slot.ty)?;
            match &slot.place {
                Place::Feed(feed) => writeln!(f, " feed {feed}")?,
                Place::Constant(value) => writeln!(f, " = {value}")?,
                Place::Variable(v) => writeln!(f, " variable {v} \"{}\"", self.variables[*v].variable.name)?,
                Place::Arena(offset) => match slot.inside {
                    Some(whole) => writeln!(f, " at {offset} in {whole}")?,
                    None => writeln!(f, " at {offset}")?,
                },
                Place::Dynamic => writeln!(f, " dynamic")?,
            }
        }
        for step in &self.steps {
            let slots = |slots: &[u32]| slots.iter().map(|s| format!("s{s}")).collect::<Vec<_>>();
            if !step.outputs().is_empty() {
                comma(f, slots(step.outputs()))?;
                write!(f, " = ")?;
            }
            write!(f, "{}", step.source.op)?;
            if matches!(step.kind, StepKind::Dynamic(..)) {
                write!(f, "*")?;
            }
            write!(f, " (")?;
            comma(f, slots(step.inputs()))?;
            writeln!(f, ")  \"{}\"", step.source.name)?;
            let inner: Vec<(&str, &Plan)> = match &step.kind {
                StepKind::Loop(inner) => {
                    inner.cond.iter().map(|c| ("while", &c.plan)).chain([("do", &inner.body.plan)]).collect()
                }
                StepKind::If(inner) => vec![("then", &inner[0].plan), ("else", &inner[1].plan)],
                _ => vec![],
            };
            for (what, plan) in inner {
                writeln!(f, "  {what}")?;
                for line in plan.to_string().lines() {
                    writeln!(f, "    {line}")?;
                }
            }
        }
        if !self.fetches.is_empty() {
            write!(f, "fetch ")?;
            comma(f, self.fetches.iter().map(|fetch| fetch.slot))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plan({} steps, {} slots, {} bytes)", self.steps.len(), self.slots.len(), self.arena_bytes)
    }
}
