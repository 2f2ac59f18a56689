//! Loops.
//!
//! TensorFlow's `While` has a condition and carries. What else a [`Loop`] has is said with these, in a function around the `While`:
//!
//! ```text
//! loop(trip, carries, xs, captures):
//!   limit = trip, or the number of slices of the xs
//!   i, _, carries, lists, ... = While(0, limit, carries, EmptyTensorList..., xs, captures)
//!     cond: i < limit, and the condition on the carries
//!     body: slices = GatherV2(xs, i or limit - 1 - i)
//!           carries, ys = body(carries, slices, captures)
//!           i + 1, limit, carries, TensorListPushBack(lists, ys), xs, captures
//!   carries, TensorListStack(lists) (turned round by ReverseV2), i
//! ```

use tidemill_core::ops::Loop;
use tidemill_core::{Body, DType, Node, Output, Result, TensorType, Value as Array};

use super::Exporter;
use super::block::Block;
use super::functions::{Called, Function, Kind, func, shapes};
use super::node;
use crate::import::loop_attrs;
use crate::proto::NodeDef;
use crate::proto::attr_value::{ListValue, Value};
use crate::{dtype, tensor};

impl Exporter {
    /// Writes a loop; whether it does more than compute.
    pub(super) fn looping(
        &mut self,
        block: &Block,
        node: &Node,
        op: &Loop,
        inputs: Vec<String>,
        defs: &mut Vec<NodeDef>,
    ) -> Result<bool> {
        let Some((body, results)) = block.work(node).and_then(|work| work.bodies().into_iter().next()) else {
            return Err(tidemill_core::Error::internal("a loop has a body"));
        };
        let types: Vec<TensorType> = node.inputs.iter().map(|o| block.ty(*o)).collect::<Result<_>>()?;
        let only_carries = results.len() == op.carries && op.carries > 0 && op.xs == 0;
        match &op.cond {
            Some(cond) if only_carries && !op.trip && !op.reverse && !block.uses_turns(node) => {
                self.plain_while(node, op, cond, (body, &results), inputs, &types, defs)
            }
            _ => self.counted(node, op, (body, &results), inputs, &types, defs),
        }
    }

    /// A loop that is nothing but a condition and a body. Captures go round as they are.
    #[allow(clippy::too_many_arguments)]
    fn plain_while(
        &mut self,
        node: &Node,
        op: &Loop,
        cond: &Body,
        (body, results): (&Body, &[Output]),
        inputs: Vec<String>,
        types: &[TensorType],
        defs: &mut Vec<NodeDef>,
    ) -> Result<bool> {
        let (layout, carries) = (op.layout(), op.carries);
        let arg = |captures: usize| move |i: usize| if i < carries { i } else { captures + i - carries };
        let test = self.function_name(&node.name, "cond");
        let test = self.body(test, cond, cond.results(), types, arg(layout.cond_captures), types.len())?;
        let turn = self.function_name(&node.name, "body");
        let turn = self.body(turn, body, results, types, arg(layout.body_captures), carries)?;
        let carried = (0..carries).map(|c| &body.param_type(c).shape);
        let captured = types[carries..].iter().map(|ty| &ty.shape);
        let attrs = [
            ("T", node::types(types)?),
            ("cond", func(&test.name)),
            ("body", func(&turn.name)),
            ("output_shapes", shapes(carried.chain(captured))),
        ];
        let stateful = test.stateful || turn.stateful;
        defs.push(node::def(&*node.name, if stateful { "While" } else { "StatelessWhile" }, inputs, attrs));
        Ok(stateful)
    }

    /// Any other loop: a call of a function that counts the turns.
    fn counted(
        &mut self,
        node: &Node,
        op: &Loop,
        (body, results): (&Body, &[Output]),
        inputs: Vec<String>,
        types: &[TensorType],
        defs: &mut Vec<NodeDef>,
    ) -> Result<bool> {
        let layout = op.layout();
        let own = |b: &Body| (0..b.params().len()).map(|p| b.param_type(p).clone()).collect::<Vec<_>>();
        let test = match &op.cond {
            Some(cond) => {
                let name = self.function_name(&node.name, "cond");
                Some(self.body(name, cond, cond.results(), &own(cond), |i| i, cond.params().len())?)
            }
            None => None,
        };
        let name = self.function_name(&node.name, "body");
        let turn = self.body(name, body, results, &own(body), |i| i, body.params().len())?;
        let stateful = turn.stateful || test.as_ref().is_some_and(|test| test.stateful);

        let writer = Counted {
            op,
            types,
            ys: turn.results[op.carries..].to_vec(),
            test: test.clone(),
            turn: turn.clone(),
            stateful,
        };
        let [outer, condition, step] =
            ["loop", "loop_cond", "loop_body"].map(|s| self.function_name(&node.name, s));
        self.add(writer.condition(condition.clone())?)?;
        self.add(writer.step(step.clone())?)?;
        let outer_function = writer.outer(outer.clone(), &condition, &step)?;
        let result_types =
            outer_function.results.iter().map(|(_, kind)| kind.number()).collect::<Result<_>>()?;
        self.add(outer_function)?;

        let carried = (0..layout.cond_captures - layout.carries).map(|p| &body.param_type(p).shape);
        let mut attrs = vec![
            ("Tin", node::types(types)?),
            ("Tout", Value::List(Box::new(ListValue { r#type: result_types, ..ListValue::default() }))),
            ("f", func(&outer)),
            (loop_attrs::BODY, func(&turn.name)),
            (loop_attrs::CARRIES, Value::I(op.carries as i64)),
            (loop_attrs::REVERSE, Value::B(op.reverse)),
            (loop_attrs::SHAPES, shapes(carried)),
            (loop_attrs::TRIP, Value::B(op.trip)),
            (loop_attrs::XS, Value::I(op.xs as i64)),
        ];
        attrs.extend(test.map(|test| (loop_attrs::COND, func(&test.name))));
        let call = if stateful { "StatefulPartitionedCall" } else { "PartitionedCall" };
        defs.push(node::def(&*node.name, call, inputs, attrs));
        Ok(stateful)
    }
}

/// The functions of a loop that counts its turns.
struct Counted<'a> {
    op: &'a Loop,
    /// Of the loop's operands.
    types: &'a [TensorType],
    ys: Vec<TensorType>,
    test: Option<Called>,
    turn: Called,
    stateful: bool,
}

/// Makes nodes of a function.
#[derive(Default)]
struct Nodes(Vec<NodeDef>);

impl Nodes {
    /// Adds a node with one result, and gives that.
    fn add<'v>(
        &mut self,
        name: &str,
        op: &str,
        output: &str,
        input: Vec<String>,
        attrs: impl IntoIterator<Item = (&'v str, Value)>,
    ) -> String {
        self.0.push(node::def(name, op, input, attrs));
        format!("{name}:{output}:0")
    }

    fn constant(&mut self, name: &str, value: &Array) -> Result<String> {
        let attrs = [
            ("dtype", Value::Type(dtype::to_proto(value.dtype())?)),
            ("value", Value::Tensor(Box::new(tensor::value_to_proto(value)?))),
        ];
        Ok(self.add(name, "Const", "output", vec![], attrs))
    }

    /// `x op y` of two integers.
    fn count(&mut self, name: &str, op: &str, x: &str, y: &str) -> Result<String> {
        let attrs = [("T", Value::Type(dtype::to_proto(DType::I32)?))];
        Ok(self.add(name, op, "z", vec![x.to_owned(), y.to_owned()], attrs))
    }

    /// A slice of `params` along axis 0.
    fn gather(
        &mut self,
        name: &str,
        dtype: DType,
        params: String,
        index: &str,
        axis: &str,
    ) -> Result<String> {
        let int = || Ok::<_, tidemill_core::Error>(Value::Type(dtype::to_proto(DType::I32)?));
        let attrs =
            [("Tparams", Value::Type(dtype::to_proto(dtype)?)), ("Tindices", int()?), ("Taxis", int()?)];
        Ok(self.add(name, "GatherV2", "output", vec![params, index.to_owned(), axis.to_owned()], attrs))
    }

    /// What a tensor list of elements of this type knows of their shape: -1 for what is not known.
    fn element_shape(&mut self, name: &str, ty: &TensorType) -> Result<String> {
        let dim = |dim: &Option<usize>| dim.map_or(-1, |d| i32::try_from(d).unwrap_or(-1));
        let value = match ty.shape.dims() {
            Some(dims) => Array::from_vec([dims.len()], dims.iter().map(dim).collect::<Vec<i32>>())?,
            None => Array::scalar(-1i32),
        };
        self.constant(name, &value)
    }

    fn call(&mut self, name: &str, called: &Called, input: Vec<String>, types: &[Kind]) -> Result<()> {
        let r#type = types.iter().map(|kind| kind.number()).collect::<Result<_>>()?;
        let attrs = [
            ("Tin", Value::List(Box::new(ListValue { r#type, ..ListValue::default() }))),
            ("Tout", node::types(&called.results)?),
            ("f", func(&called.name)),
        ];
        let op = if called.stateful { "StatefulPartitionedCall" } else { "PartitionedCall" };
        self.0.push(node::def(name, op, input, attrs));
        Ok(())
    }
}

fn arg(i: usize) -> String {
    format!("arg{i}")
}

/// Where what goes round in the `While` stands: the counter, the limit, carries, lists, xs, captures.
struct Places {
    carries: usize,
    lists: usize,
    xs: usize,
    cond_captures: usize,
    body_captures: usize,
    end: usize,
}

impl Counted<'_> {
    fn places(&self) -> Places {
        let layout = self.op.layout();
        let lists = 2 + self.op.carries;
        let xs = lists + self.ys.len();
        let after = |operand: usize| xs + operand - layout.xs;
        Places {
            carries: 2,
            lists,
            xs,
            cond_captures: after(layout.cond_captures),
            body_captures: after(layout.body_captures),
            end: after(self.types.len()),
        }
    }

    /// What goes round.
    fn kinds(&self) -> Vec<Kind> {
        let layout = self.op.layout();
        let tensors =
            |range: std::ops::Range<usize>| self.types[range].iter().map(|ty| Kind::Tensor(ty.dtype));
        let mut kinds = vec![Kind::Tensor(DType::I32); 2];
        kinds.extend(tensors(layout.carries..layout.xs));
        kinds.extend(self.ys.iter().map(|_| Kind::List));
        kinds.extend(tensors(layout.xs..self.types.len()));
        kinds
    }

    fn args(&self) -> Vec<(String, Kind)> {
        self.kinds().into_iter().enumerate().map(|(i, kind)| (arg(i), kind)).collect()
    }

    /// Whether there is another turn.
    fn condition(&self, name: String) -> Result<Function> {
        let (places, kinds, mut nodes) = (self.places(), self.kinds(), Nodes::default());
        let mut go_on = nodes.count("more", "Less", &arg(0), &arg(1))?;
        if let Some(test) = &self.test {
            let taken: Vec<usize> =
                (places.carries..places.lists).chain(places.cond_captures..places.body_captures).collect();
            let types: Vec<Kind> = taken.iter().map(|i| kinds[*i]).collect();
            nodes.call("test", test, taken.into_iter().map(arg).collect(), &types)?;
            go_on = nodes.add("both", "LogicalAnd", "z", vec![go_on, "test:output:0".to_owned()], []);
        }
        let results = vec![(go_on, Kind::Tensor(DType::Bool))];
        Ok(Function { name, args: self.args(), nodes: nodes.0, results, stateful: self.stateful })
    }

    /// One turn.
    fn step(&self, name: String) -> Result<Function> {
        let (places, kinds, mut nodes) = (self.places(), self.kinds(), Nodes::default());
        let one = nodes.constant("one", &Array::scalar(1i32))?;
        let next = nodes.count("next", "AddV2", &arg(0), &one)?;
        let index = match self.op.reverse {
            true => nodes.count("index", "Sub", &arg(1), &next)?,
            false => arg(0),
        };
        let mut taken: Vec<(String, Kind)> =
            (places.carries..places.lists).map(|i| (arg(i), kinds[i])).collect();
        if places.xs < places.cond_captures {
            let axis = nodes.constant("axis", &Array::scalar(0i32))?;
            let layout = self.op.layout();
            for (x, i) in (places.xs..places.cond_captures).enumerate() {
                let dtype = self.types[layout.xs + x].dtype;
                let slice = nodes.gather(&format!("slice{x}"), dtype, arg(i), &index, &axis)?;
                taken.push((slice, kinds[i]));
            }
        }
        taken.extend((places.body_captures..places.end).map(|i| (arg(i), kinds[i])));
        let (inputs, types): (Vec<String>, Vec<Kind>) = taken.into_iter().unzip();
        nodes.call("turn", &self.turn, inputs, &types)?;

        let mut results = vec![(next, kinds[0]), (arg(1), kinds[1])];
        let carries = places.lists - places.carries;
        results.extend((0..carries).map(|c| (format!("turn:output:{c}"), kinds[places.carries + c])));
        for (y, ty) in self.ys.iter().enumerate() {
            let inputs = vec![arg(places.lists + y), format!("turn:output:{}", carries + y)];
            let attrs = [("element_dtype", Value::Type(dtype::to_proto(ty.dtype)?))];
            let list = nodes.add(&format!("push{y}"), "TensorListPushBack", "output_handle", inputs, attrs);
            results.push((list, Kind::List));
        }
        results.extend((places.xs..places.end).map(|i| (arg(i), kinds[i])));
        Ok(Function { name, args: self.args(), nodes: nodes.0, results, stateful: self.stateful })
    }

    /// The whole loop.
    fn outer(&self, name: String, condition: &str, step: &str) -> Result<Function> {
        let (layout, places, kinds) = (self.op.layout(), self.places(), self.kinds());
        let int = || Ok::<_, tidemill_core::Error>(Value::Type(dtype::to_proto(DType::I32)?));
        let mut nodes = Nodes::default();
        let zero = nodes.constant("zero", &Array::scalar(0i32))?;
        let limit = if self.op.trip {
            let attrs = [("SrcT", Value::Type(dtype::to_proto(self.types[0].dtype)?)), ("DstT", int()?)];
            nodes.add("limit", "Cast", "y", vec![arg(0)], attrs)
        } else if self.op.xs > 0 {
            let dtype = self.types[layout.xs].dtype;
            let attrs = [("T", Value::Type(dtype::to_proto(dtype)?)), ("out_type", int()?)];
            let shape = nodes.add("shape", "Shape", "output", vec![arg(layout.xs)], attrs);
            nodes.gather("limit", DType::I32, shape, &zero, &zero)?
        } else {
            nodes.constant("limit", &Array::scalar(i32::MAX))?
        };
        let mut inputs = vec![zero, limit];
        inputs.extend((layout.carries..layout.xs).map(arg));
        let mut elements = vec![];
        for (y, ty) in self.ys.iter().enumerate() {
            let shape = nodes.element_shape(&format!("element{y}"), ty)?;
            let unlimited = nodes.constant(&format!("unlimited{y}"), &Array::scalar(-1i32))?;
            let attrs = [("element_dtype", Value::Type(dtype::to_proto(ty.dtype)?)), ("shape_type", int()?)];
            let input = vec![shape.clone(), unlimited];
            inputs.push(nodes.add(&format!("list{y}"), "EmptyTensorList", "handle", input, attrs));
            elements.push(shape);
        }
        inputs.extend((layout.xs..self.types.len()).map(arg));
        let r#type = kinds.iter().map(|kind| kind.number()).collect::<Result<_>>()?;
        let attrs = [
            ("T", Value::List(Box::new(ListValue { r#type, ..ListValue::default() }))),
            ("cond", func(condition)),
            ("body", func(step)),
        ];
        let op = if self.stateful { "While" } else { "StatelessWhile" };
        nodes.0.push(node::def("loop", op, inputs, attrs));

        let out = |i: usize| format!("loop:output:{i}");
        let mut results: Vec<(String, Kind)> =
            (places.carries..places.lists).map(|i| (out(i), kinds[i])).collect();
        for (y, (ty, shape)) in self.ys.iter().zip(elements).enumerate() {
            let attrs = [("element_dtype", Value::Type(dtype::to_proto(ty.dtype)?))];
            let inputs = vec![out(places.lists + y), shape];
            let mut stack = nodes.add(&format!("stack{y}"), "TensorListStack", "tensor", inputs, attrs);
            if self.op.reverse {
                let axis = nodes.constant(&format!("axis{y}"), &Array::from_vec([1], vec![0i32])?)?;
                let attrs = [("T", Value::Type(dtype::to_proto(ty.dtype)?)), ("Tidx", int()?)];
                stack = nodes.add(&format!("turned{y}"), "ReverseV2", "output", vec![stack, axis], attrs);
            }
            results.push((stack, Kind::Tensor(ty.dtype)));
        }
        results.push((out(0), Kind::Tensor(DType::I32)));
        let args = self.types.iter().enumerate().map(|(i, ty)| (arg(i), Kind::Tensor(ty.dtype))).collect();
        Ok(Function { name, args, nodes: nodes.0, results, stateful: self.stateful })
    }
}
