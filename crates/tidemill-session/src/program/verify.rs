//! The specification of the program form. A program is well formed when
//!
//! 1. operands, `after`s, fetches and targets name operations that exist, and outputs that those have;
//! 2. operands and `after`s stand before the operation that names them;
//! 3. feeds and variables are numbered as the program's lists;
//! 4. a constant's type is its value's;
//! 5. a read takes one reference to its variable and gives a value of its type; a copy keeps its operand's type;
//! 6. an op's operands satisfy its signature, and its output types agree with its shape rule;
//! 7. an op says which variable each reference that it takes refers to, and no variable twice;
//! 8. no fetched value is a reference;
//! 9. the bodies of loops and conditionals are well formed, and give as many results as the operation has.
//!
//! It is checked after every pass in debug builds.

use tidemill_core::{Error, InferCx, Result, TensorType};

use super::{InstId, Kind, Program, Ref};
use crate::passes::ProgramValues;

impl Program {
    /// Checks the specification above.
    ///
    /// # Errors
    /// `Internal`, with the line at fault: it is a bug of whatever made the program.
    pub fn verify(&self) -> Result<()> {
        for id in self.ids() {
            self.verify_inst(id).map_err(|what| {
                let inst = self.inst(id);
                Error::internal(format!(
                    "malformed program at {id} = {} \"{}\": {what}",
                    inst.kind, inst.name
                ))
            })?;
        }
        let exists =
            |r: &Ref| self.insts.get(r.inst.index()).is_some_and(|i| (r.index as usize) < i.outputs.len());
        for r in &self.fetches {
            if !exists(r) || self.ty(*r).is_ref {
                return Err(Error::internal(format!("malformed program: fetch {r} is no value")));
            }
        }
        for t in &self.targets {
            if t.index() >= self.insts.len() {
                return Err(Error::internal(format!("malformed program: target {t} does not exist")));
            }
        }
        Ok(())
    }

    fn verify_inst(&self, id: InstId) -> Result<(), String> {
        let inst = self.inst(id);
        for r in &inst.inputs {
            if r.inst >= id {
                return Err(format!("operand {r} does not stand before it"));
            }
            if r.index as usize >= self.inst(r.inst).outputs.len() {
                return Err(format!("operand {r} does not exist"));
            }
        }
        if let Some(a) = inst.after.iter().find(|a| **a >= id) {
            return Err(format!("it is to run after {a}, which does not stand before it"));
        }
        let inputs: Vec<TensorType> = inst.inputs.iter().map(|r| self.ty(*r).clone()).collect();
        let single = |want: &TensorType| match &inst.outputs[..] {
            [have] if have == want => Ok(()),
            have => Err(format!("its type must be {want}, but it is {have:?}")),
        };
        if inst.writes.iter().any(|v| *v >= self.variables.len()) {
            return Err("it writes a variable that does not exist".into());
        }
        match &inst.kind {
            Kind::Feed(i) => {
                if *i >= self.feeds.len() {
                    return Err(format!("there is no feed {i}"));
                }
                match &inst.outputs[..] {
                    [ty] if !ty.is_ref => Ok(()),
                    other => Err(format!("a feed has one type, of a value, not {other:?}")),
                }
            }
            Kind::Constant(value) => single(&TensorType::new(value.dtype(), value.shape())),
            Kind::Variable(v) if *v >= self.variables.len() => Err(format!("there is no variable {v}")),
            Kind::Variable(_) => Ok(()),
            Kind::Read(_) => match &inputs[..] {
                [r] if r.is_ref => single(&TensorType::new(r.dtype, r.shape.clone())),
                _ => Err("a read takes one reference".into()),
            },
            Kind::Loop(inner) => {
                inner.body.verify().map_err(|e| e.to_string())?;
                inner.cond.iter().try_for_each(Program::verify).map_err(|e| e.to_string())?;
                let layout = inner.layout();
                if inputs.len() != layout.end {
                    return Err(format!("it takes {} operands, not {}", layout.end, inputs.len()));
                }
                if inst.outputs.len() != inner.carries + layout.ys + 1
                    || inner.body.fetches.len() != inner.carries + layout.ys
                {
                    return Err("its results are not the carries, ys and count of its body".into());
                }
                Ok(())
            }
            Kind::If(inner) => {
                inner.then.verify().and_then(|()| inner.orelse.verify()).map_err(|e| e.to_string())?;
                let results = [inner.then.fetches.len(), inner.orelse.fetches.len()];
                if results != [inst.outputs.len(); 2] {
                    return Err(format!("its branches give {results:?} results, not {}", inst.outputs.len()));
                }
                Ok(())
            }
            Kind::Copy => match &inputs[..] {
                [value] if !value.is_ref => single(value),
                _ => Err("a copy takes one value".into()),
            },
            Kind::Op(op) => {
                let references = inputs.iter().filter(|t| t.is_ref).count();
                if references != inst.writes.len() {
                    return Err(format!("it takes {references} references, but writes {:?}", inst.writes));
                }
                let values = ProgramValues { program: self, inputs: &inst.inputs };
                let inferred =
                    op.checked_infer(&InferCx::new(&inputs, &values)).map_err(|e| e.message().to_owned())?;
                let agree = |(have, want): (&TensorType, &TensorType)| {
                    have.dtype == want.dtype
                        && have.is_ref == want.is_ref
                        && have.shape.is_compatible_with(&want.shape)
                };
                if inferred.len() != inst.outputs.len() || !inst.outputs.iter().zip(&inferred).all(agree) {
                    return Err(format!("its types are {:?}, but its rule gives {inferred:?}", inst.outputs));
                }
                Ok(())
            }
        }
    }
}
