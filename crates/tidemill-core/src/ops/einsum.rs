//! Sums of products over named axes: Einstein's notation.

use tidemill_tensor::{Dim, PartialShape};

use super::broadcast::{Span, unbroadcast_span};
use super::{Ix, broadcast_to, concat, conj, index, ones_like, reshape, shape, stack};
use crate::attrs;
use crate::autodiff::{GradCx, Grads};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Einsum>()
}

/// The sum of the products of one or two tensors over axes, as an equation names them: `ij,jk->ik` is a product of matrices.
///
/// An axis has a letter; axes of one letter go together, and what the result lacks is summed over. A letter that an operand has twice means its
/// diagonal; one that the result has twice, a tensor that is 0 off that diagonal. `...` are axes that broadcast.
#[derive(Debug, Clone, PartialEq)]
pub struct Einsum {
    /// The letters of the operands' axes, and behind `->` those of the result's.
    pub equation: String,
}
attrs!(Einsum { equation });

/// What an axis is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Label {
    /// By a letter.
    Letter(char),
    /// By its place among those of `...`, counted from the last.
    Broadcast(usize),
}

/// A parsed equation.
#[derive(Debug, Clone, PartialEq)]
pub struct Equation {
    inputs: Vec<Side>,
    output: Side,
}

/// The axes of one tensor.
#[derive(Debug, Clone, PartialEq, Default)]
struct Side {
    letters: Vec<char>,
    /// Before which letter `...` stands.
    ellipsis: Option<usize>,
}

impl Side {
    fn parse(text: &str) -> Result<Side> {
        let mut side = Side::default();
        let mut rest = text.trim();
        while let Some(c) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("...") {
                if side.ellipsis.replace(side.letters.len()).is_some() {
                    return Err(Error::invalid(format!("`{text}` has two ellipses")));
                }
                rest = after;
                continue;
            }
            if !c.is_ascii_alphabetic() {
                return Err(Error::invalid(format!("`{text}`: axes are named by letters, not '{c}'")));
            }
            side.letters.push(c);
            rest = &rest[1..];
        }
        Ok(side)
    }

    /// The label of each axis, where `...` are so many.
    fn labels(&self, broadcast: usize) -> Vec<Label> {
        let mut labels: Vec<Label> = self.letters.iter().copied().map(Label::Letter).collect();
        if let Some(at) = self.ellipsis {
            labels.splice(at..at, (0..broadcast).rev().map(Label::Broadcast));
        }
        labels
    }

    fn text(&self) -> String {
        let mut text: String = self.letters.iter().collect();
        if let Some(at) = self.ellipsis {
            text.insert_str(at, "...");
        }
        text
    }
}

impl Equation {
    /// Parses `ij,jk->ik`.
    ///
    /// # Errors
    /// `InvalidArgument` when it is none, has no or more than two operands, or the result has letters that no operand has.
    pub fn parse(text: &str) -> Result<Equation> {
        let (inputs, output) = text
            .split_once("->")
            .ok_or_else(|| Error::invalid(format!("the equation `{text}` has no `->`")))?;
        let inputs: Vec<Side> = inputs.split(',').map(Side::parse).collect::<Result<_>>()?;
        let output = Side::parse(output)?;
        if inputs.len() > 2 {
            return Err(Error::unimplemented(format!("an equation of {} operands", inputs.len())));
        }
        if let Some(letter) =
            output.letters.iter().find(|l| inputs.iter().all(|side| !side.letters.contains(l)))
        {
            return Err(Error::invalid(format!("`{letter}` of the result is in no operand of `{text}`")));
        }
        if output.ellipsis.is_some() && inputs.iter().all(|side| side.ellipsis.is_none()) {
            return Err(Error::invalid(format!("only the result of `{text}` has an ellipsis")));
        }
        Ok(Equation { inputs, output })
    }

    /// How many operands there are.
    pub fn num_inputs(&self) -> usize {
        self.inputs.len()
    }

    /// The labels of the axes of operand `i`, which has so many.
    ///
    /// # Errors
    /// `InvalidArgument` when that does not fit.
    pub fn input(&self, i: usize, rank: usize) -> Result<Vec<Label>> {
        let side = &self.inputs[i];
        let fits =
            if side.ellipsis.is_some() { rank >= side.letters.len() } else { rank == side.letters.len() };
        match fits {
            true => Ok(side.labels(rank - side.letters.len())),
            false => Err(Error::invalid(format!(
                "operand {i} has rank {rank}, but its axes are `{}`",
                side.text()
            ))),
        }
    }

    /// The labels of the axes of the result, for operands of these ranks.
    ///
    /// # Errors
    /// `InvalidArgument` when operands have axes at `...`, and the result has no place for them.
    pub fn output(&self, ranks: &[usize]) -> Result<Vec<Label>> {
        let broadcast =
            self.inputs.iter().zip(ranks).map(|(side, rank)| rank.saturating_sub(side.letters.len()));
        let broadcast = broadcast.max().unwrap_or(0);
        if broadcast > 0 && self.output.ellipsis.is_none() {
            return Err(Error::invalid("the result has no ellipsis for the axes that broadcast"));
        }
        Ok(self.output.labels(broadcast))
    }
}

impl Op for Einsum {
    const SCHEMA: Schema = Schema::new("Einsum", "(inputs: N*T) -> (output: T) where T: Num|Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let equation = Equation::parse(&self.equation)?;
        if equation.num_inputs() != cx.len() {
            let (want, have) = (equation.num_inputs(), cx.len());
            return Err(Error::invalid(format!("`{}` is of {want} operands, not {have}", self.equation)));
        }
        let dtype = cx.dtype(0);
        let ranks: Option<Vec<usize>> = cx.inputs().iter().map(|t| t.shape.rank()).collect();
        let Some(ranks) = ranks else { return cx.output(dtype, PartialShape::unknown()) };
        let mut sizes: Vec<(Label, Dim)> = vec![];
        for (i, rank) in ranks.iter().enumerate() {
            let dims = cx.shape(i).dims().unwrap_or_default();
            for (label, &dim) in equation.input(i, *rank)?.into_iter().zip(dims) {
                match sizes.iter_mut().find(|(l, _)| *l == label) {
                    None => sizes.push((label, dim)),
                    Some((_, size)) => *size = meet(label, *size, dim)?,
                }
            }
        }
        let size = |label: &Label| sizes.iter().find(|(l, _)| l == label).and_then(|(_, size)| *size);
        let output: PartialShape = equation.output(&ranks)?.iter().map(size).collect();
        cx.output(dtype, output)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let equation = Equation::parse(&self.equation)?;
        let one = |i: usize| {
            let other = (equation.num_inputs() == 2).then(|| 1 - i);
            let own = Operand { side: &equation.inputs[i], of: cx.x(i) };
            let other = other.map(|j| Operand { side: &equation.inputs[j], of: cx.x(j) });
            own.gradient(other.as_ref(), &equation.output, cx.dy(0))
        };
        Ok((0..equation.num_inputs()).map(|i| cx.wanted(i, || one(i))).collect())
    }
}

/// The size of axes of one label.
fn meet(label: Label, a: Dim, b: Dim) -> Result<Dim> {
    match (label, a, b) {
        (Label::Broadcast(_), Some(1), other) | (Label::Broadcast(_), other, Some(1)) => Ok(other),
        (Label::Broadcast(_), None, other) | (Label::Broadcast(_), other, None) => Ok(other),
        (_, Some(a), Some(b)) if a != b => {
            let label = if let Label::Letter(l) = label { format!("`{l}`") } else { "`...`".to_owned() };
            Err(Error::invalid(format!("axes {label} are of size {a} and {b}")))
        }
        (_, a, b) => Ok(a.or(b)),
    }
}

/// An operand of an equation.
struct Operand<'a> {
    side: &'a Side,
    of: Tensor,
}

impl Operand<'_> {
    /// What flows into it.
    fn gradient(&self, other: Option<&Operand>, output: &Side, dz: Tensor) -> Tensor {
        let mut side = self.side.clone();
        let elsewhere = |side: fn(&Side) -> Option<usize>| {
            side(output).is_some() || other.is_some_and(|o| side(o.side).is_some())
        };
        if !elsewhere(|side| side.ellipsis) {
            // It stands for no axes.
            side.ellipsis = None;
        }
        let known =
            |l: &char| output.letters.contains(l) || other.is_some_and(|o| o.side.letters.contains(l));
        // Each letter once, and without those that were summed over by themselves, which come back by repetition.
        let mut once = Side::default();
        let mut summed: Vec<(char, usize)> = vec![];
        for (at, letter) in side.letters.iter().enumerate() {
            if side.ellipsis == Some(at) {
                once.ellipsis = Some(once.letters.len());
            }
            if known(letter) && !once.letters.contains(letter) {
                once.letters.push(*letter);
            } else if !known(letter) && summed.iter().all(|(l, _)| l != letter) {
                summed.push((*letter, at));
            }
        }
        if side.ellipsis.is_some() && once.ellipsis.is_none() {
            once.ellipsis = Some(once.letters.len());
        }
        let mut d = match other {
            Some(other) => {
                let equation = format!("{},{}->{}", output.text(), other.side.text(), once.text());
                einsum(&equation, &[dz, conj(other.of)])
            }
            None if *output == once => dz,
            None => einsum(&format!("{}->{}", output.text(), once.text()), &[dz]),
        };
        if !summed.is_empty() {
            // A size before `...` is counted from the first axis, one behind it from the last.
            let (sizes, all) = (shape(self.of), side.letters.len() as i64);
            let size = |at: usize| {
                let behind = side.ellipsis.is_some_and(|e| at >= e);
                index(sizes, Ix::At(if behind { at as i64 - all } else { at as i64 }))
            };
            let repeated = stack(summed.iter().map(|(_, at)| size(*at)).collect::<Vec<_>>(), 0);
            let rest = shape(d);
            d = reshape(d, concat([ones_like(repeated), rest], 0));
            d = broadcast_to(d, concat([repeated, rest], 0));
        }
        if once != side {
            let letters: String = summed.iter().map(|(letter, _)| *letter).collect();
            d = einsum(&format!("{letters}{}->{}", once.text(), side.text()), &[d]);
        }
        match (side.ellipsis, other.map(|o| (o, o.side.ellipsis))) {
            (Some(at), Some((other, Some(other_at)))) => {
                let span = |of: Tensor, side: &Side, at: usize| Span {
                    of,
                    start: at,
                    trailing: side.letters.len() - at,
                };
                unbroadcast_span(d, span(self.of, &side, at), span(other.of, other.side, other_at))
            }
            _ => d,
        }
    }
}

/// The sum of the products of `operands` over axes that `equation` names: `ij,jk->ik` is a product of matrices, `ii->` a trace, `...ij->...ji`
/// a transposition. See [`Einsum`]. Without `->`, the result has the letters that stand once, in alphabetical order. Several operands are
/// taken two at a time, from the left. TensorFlow: `tf.einsum`.
///
/// # Panics
/// When the equation is none, or does not fit the operands.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let a = g.placeholder(DType::F32, [7, 2, 3]);
/// let b = g.placeholder(DType::F32, [3, 5]);
/// assert_eq!(ops::einsum("bij,jk->bik", &[a, b]).ty().to_string(), "f32[7,2,5]");
/// ```
#[track_caller]
pub fn einsum(equation: &str, operands: &[Tensor]) -> Tensor {
    let graph = crate::graph::graph_of(operands);
    let equation: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (inputs, output) = match equation.split_once("->") {
        Some((inputs, output)) => (inputs.to_owned(), output.to_owned()),
        None => (equation.clone(), implicit_output(&equation)),
    };
    let sides: Vec<&str> = inputs.split(',').collect();
    let (Some((last, before)), true) = (sides.split_last(), sides.len() == operands.len()) else {
        crate::error::or_panic(Err(Error::invalid(format!(
            "`{equation}` is of {} operands, not {}",
            sides.len(),
            operands.len()
        ))))
    };
    let (mut left, mut tensor) = match before.first() {
        Some(first) => ((*first).to_owned(), operands[0]),
        None => {
            let op = Einsum { equation: format!("{last}->{output}") };
            return graph.op(op).name("Einsum").inputs(operands).tensor();
        }
    };
    for (i, side) in sides.iter().enumerate().skip(1) {
        // What is needed further on is kept: letters of the operands to come, and of the result.
        let wanted = |c: char| output.contains(c) || sides[i + 1..].iter().any(|s| s.contains(c));
        let result = if i + 1 == sides.len() {
            output.clone()
        } else {
            let mut kept = String::new();
            if left.contains("...") || side.contains("...") {
                kept.push_str("...");
            }
            for c in left.chars().chain(side.chars()).filter(|c| c.is_ascii_alphabetic()) {
                if wanted(c) && !kept.contains(c) {
                    kept.push(c);
                }
            }
            kept
        };
        let op = Einsum { equation: format!("{left},{side}->{result}") };
        tensor = graph.op(op).name("Einsum").inputs(&[tensor, operands[i]]).tensor();
        left = result;
    }
    tensor
}

/// `...`, if there is one, and the letters that stand once, in alphabetical order.
fn implicit_output(inputs: &str) -> String {
    let mut letters: Vec<char> = inputs.chars().filter(char::is_ascii_alphabetic).collect();
    letters.sort_unstable();
    let once = letters.chunk_by(|a, b| a == b).filter(|run| run.len() == 1).map(|run| run[0]);
    let ellipsis = if inputs.contains("...") { "..." } else { "" };
    ellipsis.chars().chain(once).collect()
}

#[cfg(test)]
mod tests {
    use tidemill_tensor::DType;

    use super::*;
    use crate::op::AnyOp;

    #[track_caller]
    fn check(equation: &str, shapes: &[&[usize]], expected: &str) {
        let types: Vec<TensorType> =
            shapes.iter().map(|shape| TensorType::new(DType::F64, PartialShape::from(*shape))).collect();
        let op: &dyn AnyOp = &Einsum { equation: equation.to_owned() };
        let got = match op.checked_infer(&InferCx::new(&types, &crate::NothingKnown)) {
            Ok(outputs) => outputs[0].to_string(),
            Err(e) => e.message().to_owned(),
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn shapes() {
        check("ij,jk->ik", &[&[2, 3], &[3, 4]], "f64[2,4]");
        check("...ij,...jk->...ik", &[&[5, 1, 2, 3], &[7, 3, 4]], "f64[5,7,2,4]");
        check("ii->i", &[&[3, 3]], "f64[3]");
        check("i->ii", &[&[3]], "f64[3,3]");
        check("ij,jk->ik", &[&[2, 3], &[4, 4]], "axes `j` are of size 3 and 4");
        check("ij->k", &[&[2, 3]], "`k` of the result is in no operand of `ij->k`");
        check("ij->i", &[&[2, 3, 4]], "operand 0 has rank 3, but its axes are `ij`");
        check("i...->i", &[&[2, 3]], "the result has no ellipsis for the axes that broadcast");
        check("ij", &[&[2, 3]], "the equation `ij` has no `->`");
    }
}
