//! Rewrites of programs: one pass, one file, each with its law.
//!
//! Every pass maps a well-formed program to a well-formed program that computes the same, does no more work, and keeps the order
//! of effects. In debug builds the verifier runs after each and names the pass that broke the form.

mod batch;
mod bodies;
mod cse;
mod dce;
mod fuse;
mod loops;
mod simplify;
mod specialise;
mod sums;
#[cfg(test)]
mod testing;
mod users;

use std::cell::Cell;

use tidemill_core::ops::known_elements;
use tidemill_core::{Error, InferCx, KnownValues, PartialValue, Result};

pub(crate) use specialise::at;

use crate::kernels::KernelTable;
use crate::program::{Kind, Program, Ref};

/// What passes may ask beside the program.
pub struct PassCx<'a> {
    /// The kernels of the session, for folding.
    kernels: &'a KernelTable,
    /// Whether passes that a plan can do without run.
    optimise: bool,
    /// How many more patches may be made.
    fuel: Cell<u64>,
}

impl<'a> PassCx<'a> {
    /// Passes that fold by these kernels. Those that a plan can do without run if `optimise` is set, and make at most `fuel` patches.
    pub fn new(kernels: &'a KernelTable, optimise: bool, fuel: u64) -> PassCx<'a> {
        PassCx { kernels, optimise, fuel: Cell::new(fuel) }
    }

    /// Whether one more patch may be made; it counts as made. What is not a patch: constants folded, common subexpressions shared,
    /// dead code dropped.
    fn may_patch(&self) -> bool {
        let left = self.fuel.get();
        self.fuel.set(left.saturating_sub(1));
        left > 0
    }
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
    Pass { name: "simplify", run: simplify::run, optional: true },
    Pass { name: "cse", run: cse::run, optional: true },
    Pass { name: "dce", run: dce::run, optional: true },
    Pass { name: "loops", run: loops::run, optional: true },
    Pass { name: "simplify", run: simplify::after_loops, optional: true },
    Pass { name: "cse", run: cse::run, optional: true },
    Pass { name: "dce", run: dce::run, optional: true },
    Pass { name: "sums", run: sums::run, optional: true },
    Pass { name: "batch", run: batch::run, optional: true },
    Pass { name: "cse", run: cse::run, optional: true },
    Pass { name: "dce", run: dce::run, optional: true },
    Pass { name: "fuse", run: fuse::run, optional: true },
];

/// Runs all passes; `watch` sees the program after each.
///
/// # Errors
/// What a pass finds wrong with the program: shapes that do not fit once feeds are known, for example.
pub fn run(program: &mut Program, cx: &PassCx, watch: impl FnMut(&str, &Program)) -> Result<()> {
    run_all(PASSES, program, cx, watch)
}

fn run_all(
    passes: &[Pass],
    program: &mut Program,
    cx: &PassCx,
    mut watch: impl FnMut(&str, &Program),
) -> Result<()> {
    let check = |after: &str, program: &Program| match program.verify() {
        Err(e) if cfg!(debug_assertions) => Err(Error::internal(format!("after {after}: {}", e.message()))),
        _ => Ok(()),
    };
    // Not checked before the feeds have met the shape rules: until then, what does not fit is the user's mistake.
    watch("build", program);
    for pass in passes.iter().filter(|p| cx.optimise || !p.optional) {
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

#[cfg(test)]
mod tests {
    use tidemill_core::ops::{AddV2, Sub};
    use tidemill_core::{DType, Graph, Value};

    use super::*;
    use crate::exec::{FramePool, RunCx};
    use crate::kernels::NodeStates;
    use crate::kernels::parallel::{Pool, Stop};
    use crate::plan::Plan;
    use crate::program::Rewrite;

    /// A pass with a bug: what is named `wrong` is done wrong.
    fn planted(program: &mut Program, cx: &PassCx) -> Result<()> {
        let mut new = Rewrite::of(program);
        for id in program.ids() {
            let mut inst = new.moved(program, id);
            let adds = matches!(&inst.kind, Kind::Op(op) if op.is::<AddV2>());
            if adds && cx.may_patch() && &*inst.name == "wrong" {
                inst.kind = Kind::Op(std::sync::Arc::new(Sub));
            }
            new.keep_as(program, id, inst);
        }
        new.finish(program);
        Ok(())
    }

    /// A chain of sums, the sixth of which is named `wrong`, run with so much fuel.
    fn chain(fuel: u64) -> Result<Value> {
        let g = Graph::new();
        let x = g.placeholder(DType::F32, [2]);
        let y = (0..9).fold(x, |y, i| (y + x).named(if i == 5 { "wrong" } else { "right" }));
        let value = Value::from([1f32, 2.0]);
        let feeds = [(x.output(), x.ty())];
        let mut program = Program::build(&g, &[y.output()], &[], &feeds)?;
        let (kernels, states) = (KernelTable::standard(), NodeStates::default());
        let pass = |name, run| Pass { name, run, optional: true };
        let passes = [pass("specialise", specialise::run), pass("planted", planted)];
        run_all(&passes, &mut program, &PassCx::new(&kernels, true, fuel), |_, _| ())?;
        let plan = Plan::compile(&program, &kernels, &states)?;
        let cx = RunCx {
            kernels: &kernels,
            states: &states,
            memory_limit: usize::MAX,
            pool: &Pool::new(None),
            stop: *Stop::NEVER,
            trace: None,
        };
        let mut frame = FramePool::default().take(&plan)?;
        let values = crate::exec::run(&plan, &mut frame, &[value], &mut [], &cx)?;
        Ok(values[0].clone())
    }

    #[test]
    fn fuel_finds_the_patch_that_is_wrong() {
        let right = chain(0).unwrap();
        let (mut works, mut fails) = (0, 1000);
        assert_ne!(chain(fails).unwrap(), right);
        while works + 1 < fails {
            let middle = (works + fails) / 2;
            if chain(middle).unwrap() == right {
                works = middle;
            } else {
                fails = middle;
            }
        }
        assert_eq!(fails, 6, "the sixth patch is the first that is wrong");
    }
}
