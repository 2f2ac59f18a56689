//! Schemas: an op's name and signature as data.
//!
//! A signature reads `(a: T, b: T) -> (product: T) where T: Num`:
//!
//! | written | means |
//! |---|---|
//! | `x: T` | one tensor whose dtype is the type variable `T` |
//! | `x: i32` | one tensor of that dtype |
//! | `xs: N*T` | any number of tensors of one dtype |
//! | `xs: *` | any number of tensors of any dtypes |
//! | `xs: N*T, ys: N*U` | as many of the one as of the other |
//! | `ref: &T` | a variable's reference |
//! | `where T: Float, I: i32\|i64` | what a type variable may be: classes (`All`, `Any Num Float Int Signed Complex` for elements that are bytes) and dtypes, with `\|` between |
//!
//! `Num` are the real numbers; an op of complex ones too says `Num\|Complex`.

use smallvec::SmallVec;
use tidemill_tensor::DType;

use crate::error::{Error, Result};
use crate::infer::TensorType;

/// What else running an op does, beside computing its outputs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Effect {
    /// Nothing: equal inputs give equal outputs. May be folded, shared and removed.
    #[default]
    Pure,
    /// Draws random numbers: neither folded nor shared, but removed when nobody reads it.
    Random,
    /// Reads or writes variables, prints, or fails on purpose: kept, and ordered by control dependencies.
    Stateful,
}

/// The name and signature of an op.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schema {
    /// TensorFlow's op type.
    pub name: &'static str,
    /// Arguments and results; the module page gives the grammar.
    pub signature: &'static str,
    /// What running it does beside computing.
    pub effect: Effect,
}

impl Schema {
    /// The schema of a pure op.
    pub const fn new(name: &'static str, signature: &'static str) -> Schema {
        Schema { name, signature, effect: Effect::Pure }
    }

    /// The same with another effect.
    pub const fn effect(mut self, effect: Effect) -> Schema {
        self.effect = effect;
        self
    }
}

/// How many tensors an argument or result stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arity {
    /// Exactly one.
    One,
    /// Any number, of one dtype.
    Many,
    /// Any number, of any dtypes.
    Mixed,
}

/// The dtype of an argument or result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TypeSpec {
    /// A dtype.
    Fixed(DType),
    /// A type variable, by its position in [`Signature::variables`].
    Variable(usize),
    /// Anything.
    Any,
}

/// One argument or result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArgSpec {
    /// Its name in TensorFlow.
    pub name: &'static str,
    /// How many tensors it stands for.
    pub arity: Arity,
    /// Its dtype.
    pub ty: TypeSpec,
    /// Whether it is a variable's reference.
    pub reference: bool,
}

/// A parsed signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signature {
    /// The arguments.
    pub inputs: Vec<ArgSpec>,
    /// The results.
    pub outputs: Vec<ArgSpec>,
    /// Name of each type variable, and the dtypes it may be.
    pub variables: Vec<(&'static str, Vec<DType>)>,
}

impl Signature {
    /// Parses a schema's signature.
    ///
    /// # Panics
    /// When it does not follow the grammar: that is a mistake in the op's source.
    pub fn parse(schema: &Schema) -> Signature {
        Self::try_parse(schema.signature)
            .unwrap_or_else(|what| panic!("signature of op {}: {what}: {}", schema.name, schema.signature))
    }

    fn try_parse(text: &'static str) -> Result<Signature, String> {
        let (text, constraints) = text.split_once(" where ").unwrap_or((text, ""));
        let (inputs, outputs) = text.split_once("->").ok_or("no `->`")?;
        let mut variables: Vec<(&'static str, Vec<DType>)> = vec![];
        for constraint in constraints.split(',').map(str::trim).filter(|c| !c.is_empty()) {
            let (names, class) = constraint.split_once(':').ok_or("a constraint without `:`")?;
            variables.push((names.trim(), dtype_class(class.trim())?));
        }
        let mut args = |list: &'static str| -> Result<Vec<ArgSpec>, String> {
            let list = list.trim();
            let list = list.strip_prefix('(').and_then(|l| l.strip_suffix(')')).ok_or("no parentheses")?;
            list.split(',')
                .map(str::trim)
                .filter(|arg| !arg.is_empty())
                .map(|arg| {
                    let (name, ty) = arg.split_once(':').ok_or("an argument without `:`")?;
                    let ty = ty.trim();
                    let (reference, ty) = ty.strip_prefix('&').map_or((false, ty), |ty| (true, ty));
                    let (arity, ty) = match ty.strip_prefix("N*") {
                        Some(ty) => (Arity::Many, ty),
                        None if ty == "*" => (Arity::Mixed, ty),
                        None => (Arity::One, ty),
                    };
                    let ty = match ty.parse::<DType>() {
                        Ok(dtype) => TypeSpec::Fixed(dtype),
                        Err(_) if arity == Arity::Mixed => TypeSpec::Any,
                        Err(_) => {
                            let known = variables.iter().position(|(v, _)| *v == ty);
                            TypeSpec::Variable(known.unwrap_or_else(|| {
                                variables.push((ty, DType::ALL.to_vec()));
                                variables.len() - 1
                            }))
                        }
                    };
                    Ok(ArgSpec { name: name.trim(), arity, ty, reference })
                })
                .collect()
        };
        Ok(Signature { inputs: args(inputs)?, outputs: args(outputs)?, variables })
    }

    /// Spreads the arguments over `count` tensors: for each tensor, its argument.
    ///
    /// # Errors
    /// `InvalidArgument` when there are too few or too many.
    pub fn spread(&self, count: usize) -> Result<SmallVec<[&ArgSpec; 4]>> {
        spread(&self.inputs, count, "inputs")
    }

    /// Checks arity and dtypes of the inputs.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the argument.
    pub fn check_inputs(&self, inputs: &[TensorType]) -> Result<()> {
        let mut bound = SmallVec::new();
        check(&self.inputs, &self.variables, inputs, "inputs", &mut bound)
    }

    /// Checks arity and dtypes of inputs and inferred outputs together.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the argument or result.
    pub fn check(&self, inputs: &[TensorType], outputs: &[TensorType]) -> Result<()> {
        let mut bound = SmallVec::new();
        check(&self.inputs, &self.variables, inputs, "inputs", &mut bound)?;
        check(&self.outputs, &self.variables, outputs, "outputs", &mut bound)
    }

    /// The argument's name that tensor `i` of `count` belongs to, as errors show it.
    pub fn input_name(&self, i: usize, count: usize) -> String {
        match self.spread(count).ok().and_then(|specs| specs.get(i).copied()) {
            Some(spec) if spec.arity == Arity::One => spec.name.to_owned(),
            Some(spec) => {
                let specs = self.spread(count).unwrap_or_default();
                let first = specs.iter().position(|other| other.name == spec.name).unwrap_or(0);
                format!("{}[{}]", spec.name, i - first)
            }
            None => format!("input {i}"),
        }
    }
}

type Bindings<'a> = SmallVec<[(usize, DType, &'a str); 4]>;

fn check<'a>(
    specs: &'a [ArgSpec],
    variables: &[(&'static str, Vec<DType>)],
    types: &[TensorType],
    what: &str,
    bound: &mut Bindings<'a>,
) -> Result<()> {
    for (spec, ty) in spread(specs, types.len(), what)?.iter().zip(types) {
        if spec.reference && !ty.is_ref {
            return Err(Error::invalid(format!("`{}` must be a variable", spec.name))
                .with_help("pass the variable itself, not its value"));
        }
        match spec.ty {
            TypeSpec::Any => {}
            TypeSpec::Fixed(dtype) if dtype == ty.dtype => {}
            TypeSpec::Fixed(dtype) => {
                return Err(Error::invalid(format!("`{}` must be {dtype}, not {}", spec.name, ty.dtype))
                    .with_help(format!("cast it: tf::cast(x, tf::{dtype})")));
            }
            TypeSpec::Variable(v) => match bound.iter().find(|(b, ..)| *b == v) {
                Some((_, dtype, _)) if *dtype == ty.dtype => {}
                Some((_, dtype, first)) => {
                    return Err(Error::invalid(format!(
                        "`{}` is {}, but `{first}` is {dtype}",
                        spec.name, ty.dtype
                    ))
                    .with_help(format!("cast one of them: tf::cast(x, tf::{dtype})")));
                }
                None if variables[v].1.contains(&ty.dtype) => bound.push((v, ty.dtype, spec.name)),
                None => {
                    let allowed: Vec<String> = variables[v].1.iter().map(DType::to_string).collect();
                    return Err(Error::invalid(format!(
                        "`{}` must be one of {}, not {}",
                        spec.name,
                        allowed.join(", "),
                        ty.dtype
                    )));
                }
            },
        }
    }
    Ok(())
}

fn spread<'a>(specs: &'a [ArgSpec], count: usize, what: &str) -> Result<SmallVec<[&'a ArgSpec; 4]>> {
    let lists = specs.iter().filter(|s| s.arity != Arity::One).count();
    let single = specs.len() - lists;
    if count < single || (lists == 0 && count > single) {
        let names: Vec<&str> = specs.iter().map(|s| s.name).collect();
        return Err(Error::invalid(format!(
            "takes {} {what} ({}), not {count}",
            specs.len(),
            names.join(", ")
        )));
    }
    // Several lists are of one length, which TensorFlow calls `N` in all of them.
    if lists > 1 && !(count - single).is_multiple_of(lists) {
        return Err(Error::invalid(format!("{} {what} are not {lists} lists of one length", count - single)));
    }
    let mut all = SmallVec::new();
    for spec in specs {
        let times = if spec.arity == Arity::One { 1 } else { (count - single) / lists };
        all.extend(std::iter::repeat_n(spec, times));
    }
    Ok(all)
}

fn dtype_class(class: &str) -> Result<Vec<DType>, String> {
    if class.contains('|') {
        let parts: Vec<Vec<DType>> =
            class.split('|').map(|part| dtype_class(part.trim())).collect::<Result<_, _>>()?;
        return Ok(parts.concat());
    }
    let keep = |f: fn(&DType) -> bool| Ok(DType::ALL.iter().copied().filter(f).collect());
    match class {
        "All" => Ok([DType::ALL, &[DType::Variant, DType::Resource]].concat()),
        "Any" => keep(|_| true),
        "Num" => keep(|d| d.is_numeric()),
        "Float" => keep(|d| d.is_float()),
        "Int" => keep(|d| d.is_integer()),
        "Signed" => keep(|d| d.is_signed()),
        "Complex" => keep(|d| d.is_complex()),
        one => match one.parse() {
            Ok(dtype) => Ok(vec![dtype]),
            Err(_) => Err(format!("unknown class or dtype `{one}`")),
        },
    }
}
