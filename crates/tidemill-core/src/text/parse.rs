//! Reading.

use tidemill_tensor::{DType, PartialShape, Shape, Value};

use crate::attr::{AttrMap, AttrValue};
use crate::error::{Error, ErrorKind, Origin, Result};
use crate::graph::{Graph, OpBuilder};
use crate::handle::Tensor;
use crate::ids::{NodeId, Output};
use crate::op::OpSet;

/// How deep lists of attributes may nest.
const MAX_DEPTH: usize = 8;

pub(super) fn graph(text: &str, ops: &OpSet) -> Result<Graph> {
    let lines: Vec<(usize, Line)> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .map(|(i, line)| Ok((i + 1, Cursor::new(i + 1, line).line()?)))
        .collect::<Result<_>>()?;
    let unknown: Vec<String> = lines
        .iter()
        .filter(|(_, line)| ops.schema(&line.op).is_none())
        .map(|(_, line)| format!("{} (\"{}\")", line.op, line.name))
        .collect();
    if !unknown.is_empty() {
        return Err(Error::unimplemented(format!("there are no ops {}", unknown.join(", "))));
    }
    let graph = Graph::new();
    for (number, line) in lines {
        let name = line.name.clone();
        add(&graph, line, ops).map_err(|e| {
            let message = format!("line {number}, \"{name}\": {}", e.message());
            Error::new(e.kind(), message)
        })?;
    }
    Ok(graph)
}

/// One line, taken apart.
struct Line {
    id: u32,
    op: String,
    attrs: AttrMap,
    inputs: Vec<Output>,
    controls: Vec<NodeId>,
    types: String,
    name: String,
}

fn add(graph: &Graph, line: Line, ops: &OpSet) -> Result<()> {
    let len = graph.len();
    if line.id as usize != len {
        return Err(Error::invalid(format!("the node is numbered n{}, but is the {len}th", line.id)));
    }
    let op = ops.make(&line.op, &line.attrs)?;
    let handle = |output: Output| -> Result<Tensor> {
        let exists =
            output.node.index() < len && (output.index as usize) < graph.node(output.node).outputs.len();
        match exists {
            true => Ok(graph.handle(output)),
            false => Err(Error::invalid(format!("there is no {output} before it"))),
        }
    };
    let inputs: Vec<Tensor> = line.inputs.iter().map(|o| handle(*o)).collect::<Result<_>>()?;
    let origin = Origin::Imported { file: "<text>".to_owned(), node: line.name.clone() };
    let mut builder =
        OpBuilder::new(graph, op).name(format!("{}/", line.name)).inputs(&inputs).origin(origin);
    for control in line.controls {
        if control.index() >= len {
            return Err(Error::invalid(format!("there is no {control} before it")));
        }
        builder = builder.control(graph.operation_of(control));
    }
    let made = builder.try_build()?;
    let inferred = super::print::types(&graph.node(made.id()));
    if inferred != line.types {
        return Err(Error::invalid(format!(
            "the text says its type is {}, but it is {inferred}",
            line.types
        )));
    }
    Ok(())
}

/// A place in a line.
struct Cursor<'a> {
    number: usize,
    line: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn new(number: usize, line: &'a str) -> Cursor<'a> {
        Cursor { number, line, at: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.line[self.at..]
    }

    fn expected<T>(&self, what: &str) -> Result<T> {
        let column = self.line[..self.at].chars().count() + 1;
        Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("line {}, column {column}: expected {what}\n  | {}", self.number, self.line),
        ))
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// Takes `token` if it comes next.
    fn take(&mut self, token: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn must(&mut self, token: &str) -> Result<()> {
        if self.take(token) { Ok(()) } else { self.expected(&format!("`{token}`")) }
    }

    /// Takes characters as long as `keep` holds.
    fn word(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        self.space();
        let rest = self.rest();
        let end = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn number<N: std::str::FromStr>(&mut self, what: &str) -> Result<N> {
        let start = self.at;
        match self.word(|c| c.is_ascii_digit()).parse() {
            Ok(n) => Ok(n),
            Err(_) => {
                self.at = start;
                self.expected(what)
            }
        }
    }

    fn node(&mut self) -> Result<NodeId> {
        self.must("n")?;
        Ok(NodeId(self.number("a node's number")?))
    }

    fn line(mut self) -> Result<Line> {
        let id = self.node()?.0;
        if self.take("@") {
            return Err(Error::unimplemented(format!(
                "line {}: loops and conditionals cannot be read from text yet",
                self.number
            )));
        }
        self.must("=")?;
        let op = self.word(|c| c.is_ascii_alphanumeric() || c == '_').to_owned();
        if op.is_empty() {
            return self.expected("an op");
        }
        let mut attrs = AttrMap::new();
        if self.take("{") && !self.take("}") {
            loop {
                let name = self.word(|c| c.is_ascii_alphanumeric() || c == '_').to_owned();
                self.must("=")?;
                attrs.insert(name, self.value(0)?);
                if !self.take(",") {
                    break;
                }
            }
            self.must("}")?;
        }
        let mut inputs = vec![];
        if self.take("(") {
            loop {
                let node = self.node()?;
                let index = if self.take(":") { self.number("an output's number")? } else { 0 };
                inputs.push(Output::new(node, index));
                if !self.take(",") {
                    break;
                }
            }
            self.must(")")?;
        }
        let mut controls = vec![];
        while self.take("^") {
            controls.push(self.node()?);
        }
        self.must(":")?;
        let types = self.word(|c| c != '"').trim().to_owned();
        let name = self.string()?;
        self.space();
        if !self.rest().is_empty() {
            return self.expected("the end of the line");
        }
        Ok(Line { id, op, attrs, inputs, controls, types, name })
    }

    /// A string as Rust writes it.
    fn string(&mut self) -> Result<String> {
        self.must("\"")?;
        let mut text = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((i, c)) = chars.next() {
            let escaped = match c {
                '"' => {
                    self.at += i + 1;
                    return Ok(text);
                }
                '\\' => chars.next().map(|(_, c)| c),
                c => {
                    text.push(c);
                    continue;
                }
            };
            match escaped {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some('0') => text.push('\0'),
                Some('u') => {
                    let code: String = chars
                        .by_ref()
                        .map(|(_, c)| c)
                        .skip_while(|c| *c == '{')
                        .take_while(|c| *c != '}')
                        .collect();
                    match u32::from_str_radix(&code, 16).ok().and_then(char::from_u32) {
                        Some(c) => text.push(c),
                        None => return self.expected("a character's code"),
                    }
                }
                Some(c) => text.push(c),
                None => break,
            }
        }
        self.expected("the end of the string")
    }

    fn value(&mut self, depth: usize) -> Result<AttrValue> {
        self.space();
        if depth > MAX_DEPTH {
            return self.expected("a list that is not so deep");
        }
        if self.rest().starts_with('"') {
            return Ok(AttrValue::Str(self.string()?));
        }
        if self.take("[") {
            let mut items = vec![];
            if self.take("]") {
                return Ok(AttrValue::List(items));
            }
            loop {
                items.push(self.value(depth + 1)?);
                if !self.take(",") {
                    break;
                }
            }
            self.must("]")?;
            return Ok(AttrValue::List(items));
        }
        if self.take("shape ") {
            return Ok(AttrValue::Shape(self.shape()?));
        }
        if self.take("tensor ") {
            return Ok(AttrValue::Tensor(self.tensor()?));
        }
        let start = self.at;
        let word = self.word(|c| c.is_ascii_alphanumeric() || "+-._".contains(c));
        match word {
            "true" => return Ok(AttrValue::Bool(true)),
            "false" => return Ok(AttrValue::Bool(false)),
            _ => {}
        }
        if let Ok(dtype) = word.parse::<DType>() {
            return Ok(AttrValue::Type(dtype));
        }
        if let Ok(int) = word.parse::<i64>() {
            return Ok(AttrValue::Int(int));
        }
        match word.parse::<f32>() {
            Ok(float) => Ok(AttrValue::Float(float)),
            Err(_) => {
                self.at = start;
                self.expected("an attribute's value")
            }
        }
    }

    fn shape(&mut self) -> Result<PartialShape> {
        self.space();
        let rest = self.rest();
        let end = if rest.starts_with('?') { 1 } else { rest.find(']').map_or(rest.len(), |i| i + 1) };
        match rest[..end].parse() {
            Ok(shape) => {
                self.at += end;
                Ok(shape)
            }
            Err(_) => self.expected("a shape"),
        }
    }

    fn tensor(&mut self) -> Result<Value> {
        let dtype = match self.word(|c| c.is_ascii_alphanumeric()).parse::<DType>() {
            Ok(dtype) => dtype,
            Err(_) => return self.expected("a dtype"),
        };
        let shape: Shape = match self.shape()?.as_known() {
            Some(shape) => shape,
            None => return self.expected("a known shape"),
        };
        let Some(bytes) = shape.num_bytes(dtype) else { return self.expected("a smaller shape") };
        if self.take("0x") {
            let hex = self.word(|c| c.is_ascii_hexdigit()).as_bytes();
            // Nothing is reserved for what is not there.
            if bytes.checked_mul(2) != Some(hex.len()) {
                return self.expected(&format!("{bytes} bytes before here"));
            }
            let digit = |c: u8| (c as char).to_digit(16).unwrap_or(0) as u8;
            let data: Vec<u8> =
                hex.chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
            return Value::from_bytes(dtype, shape, &data)
                .or_else(|e| self.expected(&format!("elements ({e})")));
        }
        self.must("{")?;
        let words = self.word(|c| c != '}');
        let count = words.split_whitespace().count();
        if count != shape.num_elements() {
            return self.expected(&format!("{} elements before here, not {count}", shape.num_elements()));
        }
        let parsed = if dtype.is_float() {
            words
                .split_whitespace()
                .map(|w| w.parse::<f64>().ok())
                .collect::<Option<Vec<_>>>()
                .map(Value::from)
        } else {
            words
                .split_whitespace()
                .map(|w| w.parse::<i64>().ok())
                .collect::<Option<Vec<_>>>()
                .map(Value::from)
        };
        let Some(value) = parsed else { return self.expected("numbers before here") };
        self.must("}")?;
        Ok(value.cast(dtype).reshape(shape)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops;
    use proptest::prelude::*;

    fn example() -> Graph {
        let g = Graph::new();
        let x = g.placeholder(DType::F32, [None, Some(6)]).named("x");
        let w = g.get_variable("cell/W", [6, 4]);
        let y = ops::tanh(ops::matmul(x, w)) + 0.1;
        let parts = ops::split(y, 2, 1);
        g.control_dependencies([w.initializer()]).enter(|| ops::concat([parts[1], parts[0]], -1));
        let big: Vec<f32> = (0..100).map(|i| i as f32 / 7.0).collect();
        g.constant(big);
        g.constant([f64::NAN, f64::INFINITY]);
        g.constant([[true, false], [false, true]]);
        g.placeholder(DType::I64, PartialShape::unknown()).named("a");
        ops::print(y, &[x], "say \"hi\"\n\u{1}ü");
        g
    }

    #[test]
    fn reading_gives_back_what_was_written() {
        let text = example().to_text();
        let again = Graph::from_text(&text, &OpSet::standard()).unwrap();
        assert_eq!(again.to_text(), text);
    }

    #[track_caller]
    fn fails(text: &str, want: &str) {
        let error = Graph::from_text(text, &OpSet::standard()).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }

    #[test]
    fn mistakes_are_pointed_at() {
        fails("n0 = NoOp :  \"a\" x", "line 1, column 18: expected the end of the line");
        fails("n0 = Placeholder {dtype=f32 shape=shape []} : f32[]  \"a\"", "expected `}`");
        fails("n1 = NoOp :  \"a\"", "numbered n1");
        fails("n0 = Tanh (n3) : f32[]  \"a\"", "there is no n3 before it");
        fails("n0 = Bogus :  \"a\"\nn1 = Worse :  \"b\"", "there are no ops Bogus (\"a\"), Worse (\"b\")");
        fails(
            "n0 = Placeholder {dtype=f32, shape=shape [2]} : f32[3]  \"a\"",
            "says its type is f32[3], but it is f32[2]",
        );
        fails(
            "n0 = Const {value=tensor f32[1000000,1000000,1000] 0x00} : f32[1]  \"a\"",
            "bytes before here",
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(cut in 0usize..2000, insert in "[\\PC]{0,6}", at in 0usize..2000) {
            let mut text: Vec<char> = example().to_text().chars().collect();
            text.truncate(text.len().saturating_sub(cut));
            let at = at.min(text.len());
            text.splice(at..(at + 3).min(text.len()), insert.chars());
            let _ = Graph::from_text(&text.iter().collect::<String>(), &OpSet::standard());
        }
    }
}
