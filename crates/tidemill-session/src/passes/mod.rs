//! Rewrites of programs: one pass, one file, each with its law.
//!
//! Every pass maps a well-formed program to a well-formed program that computes the same, does no more work, and keeps the order
//! of effects. In debug builds the verifier runs after each and names the pass that broke the form.

mod bodies;
mod cse;
mod dce;
mod specialise;

use tidemill_core::ops::known_elements;
use tidemill_core::{Error, InferCx, KnownValues, PartialValue, Result};

pub(crate) use specialise::at;

use crate::kernels::KernelTable;
use crate::program::{Kind, Program, Ref};

/// What passes may ask beside the program.
pub struct PassCx<'a> {
    /// The kernels of the session, for folding.
    pub kernels: &'a KernelTable,
    /// Whether passes that a plan can do without run.
    pub optimise: bool,
}

/// A pass by name.
pub struct Pass {
    /// Its name, as [`explain`](crate::Session::explain) shows it.
    pub name: &'static str,
    run: fn(&mut Program, &PassCx) -> Result<()>,
    /// Whether a plan can be made without it.
    optional: bool,
}

/// The passes in the order they run.
pub const PASSES: &[Pass] = &[
    Pass { name: "specialise", run: specialise::run, optional: false },
    Pass { name: "cse", run: cse::run, optional: true },
    Pass { name: "dce", run: dce::run, optional: true },
];

/// Runs all passes; `watch` sees the program after each.
///
/// # Errors
/// What a pass finds wrong with the program: shapes that do not fit once feeds are known, for example.
pub fn run(program: &mut Program, cx: &PassCx, mut watch: impl FnMut(&str, &Program)) -> Result<()> {
    let check = |after: &str, program: &Program| match program.verify() {
        Err(e) if cfg!(debug_assertions) => Err(Error::internal(format!("after {after}: {}", e.message()))),
        _ => Ok(()),
    };
    // Not checked before the feeds have met the shape rules: until then, what does not fit is the user's mistake.
    watch("build", program);
    for pass in PASSES.iter().filter(|p| cx.optimise || !p.optional) {
        (pass.run)(program, cx)?;
        if pass.optional {
            in_bodies(program, &mut |body| (pass.run)(body, cx))?;
        }
        if cfg!(debug_assertions) {
            check(pass.name, program)?;
        }
        watch(pass.name, program);
    }
    Ok(())
}

/// Runs `f` on the program of every body, outer ones first.
fn in_bodies(program: &mut Program, f: &mut dyn FnMut(&mut Program) -> Result<()>) -> Result<()> {
    for body in program.bodies_mut() {
        f(body)?;
        in_bodies(body, f)?;
    }
    Ok(())
}

/// How deep a chain of shape arithmetic is followed.
const KNOWN_VALUE_DEPTH: usize = 64;

/// The values of an operation's operands, as far as a program knows them.
pub(crate) struct ProgramValues<'a> {
    pub(crate) program: &'a Program,
    pub(crate) inputs: &'a [Ref],
}

impl KnownValues for ProgramValues<'_> {
    fn known(&self, i: usize) -> Option<PartialValue> {
        known_ref(self.program, self.inputs[i], KNOWN_VALUE_DEPTH)
    }
}

/// What is known of a value: a constant's elements, or what a chain of shape arithmetic gives.
fn known_ref(program: &Program, r: Ref, depth: usize) -> Option<PartialValue> {
    let inst = program.inst(r.inst);
    match &inst.kind {
        Kind::Constant(value) => known_elements(value),
        Kind::Op(op) if depth > 0 => {
            struct Operands<'a>(&'a Program, &'a [Ref], usize);
            impl KnownValues for Operands<'_> {
                fn known(&self, i: usize) -> Option<PartialValue> {
                    known_ref(self.0, self.1[i], self.2 - 1)
                }
            }
            let types: Vec<_> = inst.inputs.iter().map(|r| program.ty(*r).clone()).collect();
            let operands = Operands(program, &inst.inputs, depth);
            op.constant_value(&InferCx::new(&types, &operands).asking(r.index as usize))
        }
        _ => None,
    }
}
