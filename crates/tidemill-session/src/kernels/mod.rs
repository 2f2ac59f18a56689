//! The kernel contract, and the kernels of the standard ops.
//!
//! A kernel is *compiled* once, when a session plans a run: [`compile`](KernelTable::compiled) sees the dtypes and shapes of one
//! node and returns a [`Compiled`] that has decided everything there is to decide. What runs many times is only the closure
//! inside it. The easy door for one's own ops is [`CpuKernel::run`], registered by `Session::builder(..).kernel::<Op>()`.
//!
//! # Rules for a [`Step`]
//! - It fills every element of every output; what an output holds before is undefined (but initialised memory).
//! - It never allocates in proportion to its data: what it needs is prepared in `compile`.
//! - Inputs and outputs do not overlap, unless the step declares [`Step::in_place`]: then output 0 may be the very buffer of one
//!   of those inputs, and the step must go through the pointers of [`Args`] instead of its slices. (Steps that only put operands together,
//!   or take one apart, may declare that operands lie inside of outputs and outputs inside of operands.)
//! - Indices are checked in release builds too; a value that is wrong is an `Err`, never a panic.

pub mod args;
pub mod arith;
pub mod elementwise;
pub mod simd;

mod activation;
mod array;
mod batch_matmul;
mod bitwise;
mod broadcast;
mod cast;
mod clip;
mod compare;
mod complex;
mod constant;
mod control;
mod conv;
mod copy;
mod count;
mod fft;
pub(crate) mod fused;
mod gather;
mod image;
mod in_top_k;
mod index;
mod join;
mod linalg;
mod list;
mod lstm_block;
mod math;
mod matmul;
mod nn;
mod no_nan;
mod norm;
mod objects;
mod optional;
mod pad;
pub(crate) mod parallel;
mod partition;
mod philox;
mod pool;
mod ragged;
mod random;
mod real;
mod rearrange;
mod reduce;
mod scan;
mod scatter;
mod search;
mod segment;
mod sequence;
mod sets;
mod skinny;
mod space;
mod sparse;
mod special;
mod stack;
mod state;
mod tensor_array;
mod tensor_array_v3;
#[cfg(test)]
mod testing;
mod training;
mod trigonometry;
mod unary;
mod unique;
mod updates;
mod values;
mod vecmath;
pub mod vector;

use std::any::{Any, TypeId};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use tidemill_core::{AnyOp, DType, Error, NodeId, Op, Result, Shape, TensorType, Value};

pub use args::{Args, Ints, KernelCx};
pub(crate) use objects::held_bytes;
use simd::Level;
pub(crate) use state::{UNINITIALISED, uninitialised, uninitialised_named};

/// A kernel written as one function: the simplest way to make an op run.
///
/// ```
/// use tidemill_core::*;
/// use tidemill_session::{CpuKernel, KernelCx, Session, feed};
///
/// #[derive(Debug, Clone, PartialEq)]
/// struct Cube;
/// attrs!(Cube {});
/// impl Op for Cube {
///     const SCHEMA: Schema = Schema::new("Cube", "(x: T) -> (y: T) where T: Float");
///     fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> { cx.same_as_input(0) }
/// }
/// impl CpuKernel for Cube {
///     fn run(&self, cx: &mut KernelCx) -> Result<()> { cx.map(|x| x * x * x) }
/// }
///
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [2]);
/// let y = g.add(Cube, &[x]);
/// let sess = Session::builder(&g).kernel::<Cube>().build();
/// let y = sess.run(y, feed! { x => [2f32, 3.0] })?;
/// assert_eq!(y.as_slice::<f32>()?, [8.0, 27.0]);
/// # Ok::<(), Error>(())
/// ```
pub trait CpuKernel: Op {
    /// Computes the outputs from the inputs.
    ///
    /// # Errors
    /// Whatever is wrong with the values; the session adds which node it was. A panic becomes an `Internal` error.
    fn run(&self, cx: &mut KernelCx) -> Result<()>;
}

/// What a step is.
pub type StepFn = dyn Fn(&mut Args) -> Result<()> + Send + Sync;
/// What an op with data-dependent output shapes is. It may take the values over: one that is needed no more has no other owner.
pub type ValuesFn = dyn Fn(Vec<Value>) -> Result<Vec<Value>> + Send + Sync;
/// What an op that reads or writes variables is: it gets the contents of the variables that its `&` operands refer to, in
/// their order and each only once, and its other operands as a step does (the references are not among the [`Args`]' data).
pub type VariableFn = dyn Fn(&mut [&mut Option<Value>], &mut Args) -> Result<()> + Send + Sync;

/// A kernel, specialised to one node.
pub enum Compiled {
    /// Fills output buffers.
    Step(Step),
    /// Output 0 is the buffer of this operand; only the shape may differ. Costs nothing at run time.
    Alias(usize),
    /// Every output is the operand at its place.
    Aliases,
    /// There is nothing to do.
    Nothing,
    /// The value of an operand is needed that is not constant ([`CompileCx::value`] gave `None`): the session compiles again
    /// during the run, when it is known.
    Deferred,
    /// Output shapes depend on the data.
    Values(Box<ValuesFn>),
    /// Reads or writes the variables that its `&` operands refer to: one for an assignment, several for an optimizer's update.
    Variable(Box<VariableFn>),
}

/// The closure that runs, and what the planner must know of it.
pub struct Step {
    pub(crate) run: Box<StepFn>,
    pub(crate) in_place: SmallVec<[usize; 2]>,
    pub(crate) joins: Vec<(usize, usize)>,
    pub(crate) parts: Option<(usize, Vec<usize>)>,
}

impl Step {
    /// A step that writes its outputs apart from its inputs.
    pub fn new(run: impl Fn(&mut Args) -> Result<()> + Send + Sync + 'static) -> Step {
        Step { run: Box::new(run), in_place: SmallVec::new(), joins: vec![], parts: None }
    }

    /// Output 0 may share its buffer with one of these operands, if that has as many bytes and is not needed afterwards.
    pub fn in_place(mut self, operands: &[usize]) -> Step {
        self.in_place = SmallVec::from_slice(operands);
        self
    }

    /// Output 0 is made of these operands, each at an offset in bytes. An operand may already be there, inside of the output; the step goes
    /// through pointers, and copies what is elsewhere.
    pub(crate) fn joins(mut self, operands: Vec<(usize, usize)>) -> Step {
        self.joins = operands;
        self
    }

    /// The outputs are parts of this operand, each at an offset in bytes. An output may lie inside of it; the step goes through pointers, and
    /// copies to what is elsewhere.
    pub(crate) fn parts(mut self, operand: usize, offsets: Vec<usize>) -> Step {
        self.parts = Some((operand, offsets));
        self
    }
}

impl From<Step> for Compiled {
    fn from(step: Step) -> Compiled {
        Compiled::Step(step)
    }
}

impl Compiled {
    /// `Compiled::Step` of a closure.
    pub fn step(run: impl Fn(&mut Args) -> Result<()> + Send + Sync + 'static) -> Result<Compiled> {
        Ok(Compiled::Step(Step::new(run)))
    }
}

/// What `compile` sees of a node. The shapes of all inputs are known; those of the outputs are, unless they depend on data.
pub struct CompileCx<'a> {
    pub(crate) node: NodeId,
    pub(crate) inputs: &'a [TensorType],
    pub(crate) outputs: &'a [TensorType],
    pub(crate) values: &'a dyn Fn(usize) -> Option<Value>,
    pub(crate) states: &'a NodeStates,
    /// Whether the op is about to run, once, on values.
    pub(crate) on_values: bool,
}

impl CompileCx<'_> {
    /// How many inputs there are.
    pub fn num_inputs(&self) -> usize {
        self.inputs.len()
    }

    /// How many outputs there are.
    pub fn num_outputs(&self) -> usize {
        self.outputs.len()
    }

    /// The dtype of input `i`.
    pub fn dtype(&self, i: usize) -> DType {
        self.inputs[i].dtype
    }

    /// The shape of input `i`.
    pub fn shape(&self, i: usize) -> Shape {
        self.inputs[i].shape.as_known().unwrap_or_default()
    }

    /// The dtype of output `i`.
    pub fn output_dtype(&self, i: usize) -> DType {
        self.outputs[i].dtype
    }

    /// The shape of output `i`.
    pub fn output_shape(&self, i: usize) -> Shape {
        self.outputs[i].shape.as_known().unwrap_or_default()
    }

    /// The value of input `i`, if it is known now. If it is not and the kernel needs it to compile, it returns
    /// [`Compiled::Deferred`] and is asked again when it is.
    pub fn value(&self, i: usize) -> Option<Value> {
        (self.values)(i)
    }

    /// [`value`](CompileCx::value) of an integer operand, as `i64`s in row-major order.
    pub fn ints(&self, i: usize) -> Option<Vec<i64>> {
        self.value(i)?.cast(DType::I64).to_vec().ok()
    }

    /// State that belongs to this node in this session and outlives the plan (a random generator, a counter).
    pub fn state<T: Send + Sync + 'static>(&self, init: impl FnOnce() -> T) -> Arc<T> {
        self.states.get(self.node, init)
    }

    /// Whether the op is about to run on values that it may take over, if it compiles to [`Compiled::Values`].
    pub fn on_values(&self) -> bool {
        self.on_values
    }

    /// The instruction set that vectorised loops are to use.
    pub fn level(&self) -> Level {
        Level::detect()
    }
}

/// State of nodes that a session keeps between runs.
#[derive(Default)]
pub(crate) struct NodeStates {
    states: std::sync::Mutex<FxHashMap<(NodeId, TypeId), Arc<dyn Any + Send + Sync>>>,
}

impl NodeStates {
    fn get<T: Send + Sync + 'static>(&self, node: NodeId, init: impl FnOnce() -> T) -> Arc<T> {
        let mut states = self.states.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let state = states.entry((node, TypeId::of::<T>())).or_insert_with(|| Arc::new(init())).clone();
        state.downcast().unwrap_or_else(|_| unreachable!("the key holds the type"))
    }
}

type CompileFn = Arc<dyn Fn(&dyn AnyOp, &CompileCx) -> Result<Compiled> + Send + Sync>;

/// Kernels by op.
#[derive(Clone, Default)]
pub struct KernelTable {
    by_op: FxHashMap<TypeId, CompileFn>,
}

impl KernelTable {
    /// The kernels of all standard ops.
    pub fn standard() -> KernelTable {
        let mut table = KernelTable::default();
        activation::register(&mut table);
        array::register(&mut table);
        batch_matmul::register(&mut table);
        bitwise::register(&mut table);
        broadcast::register(&mut table);
        cast::register(&mut table);
        clip::register(&mut table);
        compare::register(&mut table);
        constant::register(&mut table);
        control::register(&mut table);
        conv::register(&mut table);
        fft::register(&mut table);
        broadcast::register(&mut table);
        conv::register(&mut table);
        count::register(&mut table);
        fused::register(&mut table);
        gather::register(&mut table);
        image::register(&mut table);
        in_top_k::register(&mut table);
        pad::register(&mut table);
        pool::register(&mut table);
        index::register(&mut table);
        join::register(&mut table);
        linalg::register(&mut table);
        list::register(&mut table);
        lstm_block::register(&mut table);
        math::register(&mut table);
        matmul::register(&mut table);
        nn::register(&mut table);
        no_nan::register(&mut table);
        norm::register(&mut table);
        optional::register(&mut table);
        pad::register(&mut table);
        partition::register(&mut table);
        ragged::register(&mut table);
        random::register(&mut table);
        rearrange::register(&mut table);
        reduce::register(&mut table);
        scan::register(&mut table);
        scatter::register(&mut table);
        search::register(&mut table);
        segment::register(&mut table);
        sequence::register(&mut table);
        sets::register(&mut table);
        space::register(&mut table);
        sparse::register(&mut table);
        special::register(&mut table);
        stack::register(&mut table);
        state::register(&mut table);
        tensor_array::register(&mut table);
        tensor_array_v3::register(&mut table);
        training::register(&mut table);
        trigonometry::register(&mut table);
        unary::register(&mut table);
        unique::register(&mut table);
        updates::register(&mut table);
        // Last, for it adds to what the others have registered.
        complex::register(&mut table);
        table
    }

    /// Registers a kernel by its compile function; one registered before is replaced.
    pub fn compiled<O: Op>(&mut self, compile: fn(&O, &CompileCx) -> Result<Compiled>) -> &mut Self {
        let erased = move |op: &dyn AnyOp, cx: &CompileCx| match op.downcast::<O>() {
            Some(op) => compile(op, cx),
            None => Err(Error::internal("the kernel table maps an op to another op's kernel")),
        };
        self.by_op.insert(TypeId::of::<O>(), Arc::new(erased));
        self
    }

    /// Registers a kernel that runs on values, which it may take over.
    pub(crate) fn values<O: Op>(&mut self, run: fn(&O, Vec<Value>) -> Result<Vec<Value>>) -> &mut Self {
        let erased = move |op: &dyn AnyOp, _: &CompileCx| match op.downcast::<O>() {
            Some(op) => {
                let op = op.clone();
                Ok(Compiled::Values(Box::new(move |inputs| run(&op, inputs))))
            }
            None => Err(Error::internal("the kernel table maps an op to another op's kernel")),
        };
        self.by_op.insert(TypeId::of::<O>(), Arc::new(erased));
        self
    }

    /// Registers the kernel for a first operand of complex dtype, beside the one for real numbers.
    pub(crate) fn complex<O: Op>(&mut self, compile: fn(&O, &CompileCx) -> Result<Compiled>) -> &mut Self {
        let real = self.by_op.get(&TypeId::of::<O>()).cloned();
        self.compiled::<O>(compile);
        let (Some(real), Some(complex)) = (real, self.by_op.get(&TypeId::of::<O>()).cloned()) else {
            return self;
        };
        let either = move |op: &dyn AnyOp, cx: &CompileCx| match cx.dtype(0).is_complex() {
            true => complex(op, cx),
            false => real(op, cx),
        };
        self.by_op.insert(TypeId::of::<O>(), Arc::new(either));
        self
    }

    /// Registers a [`CpuKernel`].
    pub fn simple<K: CpuKernel>(&mut self) -> &mut Self {
        self.compiled::<K>(|op, cx| {
            let op = op.clone();
            let inputs: Vec<(DType, Shape)> =
                (0..cx.num_inputs()).map(|i| (cx.dtype(i), cx.shape(i))).collect();
            let outputs: Vec<(DType, Shape)> =
                (0..cx.num_outputs()).map(|i| (cx.output_dtype(i), cx.output_shape(i))).collect();
            Compiled::step(move |args| op.run(&mut KernelCx::new(args, &inputs, &outputs)))
        })
    }

    /// Whether `op` has a kernel.
    pub fn has(&self, op: &dyn AnyOp) -> bool {
        self.by_op.contains_key(&op.as_any().type_id())
    }

    /// Compiles `op` for one node.
    pub(crate) fn compile(&self, op: &dyn AnyOp, cx: &CompileCx) -> Result<Compiled> {
        match self.by_op.get(&op.as_any().type_id()) {
            Some(compile) => compile(op, cx),
            None => Err(Error::unimplemented(format!("op {} has no CPU kernel in this session", op.name()))
                .with_help("register one: Session::builder(&graph).kernel::<TheOp>().build()")),
        }
    }
}
