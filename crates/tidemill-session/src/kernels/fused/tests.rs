use tidemill_core::{Value, ops};

use super::super::testing::eval;
use super::*;

fn values(shape: &[usize], seed: usize) -> Value {
    let n = shape.iter().product::<usize>();
    let x: Vec<f32> = (0..n).map(|i| ((i * 37 + seed * 11) % 101) as f32 / 20.0 - 2.5).collect();
    Value::from(x).reshape(Shape::new(shape)).unwrap()
}

#[track_caller]
fn one(function: Function, inputs: &[Value]) -> Value {
    let args: Vec<Arg> = (0..inputs.len() as u32).map(Arg::Input).collect();
    let mut code = Code::default();
    code.push(function, &args);
    code.outputs.push(0);
    let shape = inputs.iter().max_by_key(|v| v.num_elements()).unwrap().shape().clone();
    eval(Fused { code, shape }, inputs).remove(0)
}

macro_rules! same {
    ($($op:expr),* $(,)?) => {{
        let mut tested = vec![];
        for dtype in [DType::F32, DType::F64] {
            let special = [0.0, -0.0, f32::NAN, f32::INFINITY, -f32::INFINITY, 1e-40, 3e38];
            let x: Vec<f32> = special.iter().copied().chain((0..600).map(|i| i as f32 / 97.0 - 3.0)).collect();
            let y: Vec<f32> = x.iter().rev().copied().collect();
            let (x, y) = (Value::from(x).cast(dtype), Value::from(y).cast(dtype));
            $({
                let function = Function::of(&$op).unwrap();
                let inputs = [x.clone(), y.clone()];
                let inputs = &inputs[..function.arity()];
                let (got, want) = (one(function, inputs), eval($op, inputs).remove(0));
                let nan = |v: f64| if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() };
                for (got, want) in got.iter_f64().zip(want.iter_f64()) {
                    assert_eq!(nan(got), nan(want), "{}: {got} instead of {want}", stringify!($op));
                }
                tested.push(function);
            })*
        }
        tested
    }};
}

#[test]
fn every_function_is_what_the_kernel_of_its_op_computes() {
    let tested = same![
        ops::AddV2,
        ops::Add,
        ops::Sub,
        ops::Mul,
        ops::RealDiv,
        ops::Div,
        ops::Maximum,
        ops::Minimum,
        ops::SquaredDifference,
        ops::Identity {},
        ops::StopGradient,
        ops::Neg,
        ops::Square,
        ops::Reciprocal,
        ops::Inv,
        ops::Sqrt,
        ops::Rsqrt,
        ops::Exp,
        ops::Expm1,
        ops::Log,
        ops::Log1p,
        ops::Tanh,
        ops::Sigmoid,
        ops::Softplus,
        ops::Relu,
        ops::TanhGrad,
        ops::SigmoidGrad,
        ops::SoftplusGrad,
        ops::ReluGrad,
        ops::SqrtGrad,
        ops::RsqrtGrad,
        ops::ReciprocalGrad,
        ops::InvGrad,
    ];
    for function in Function::ALL {
        assert!(tested.contains(function), "{function:?} is not compared");
    }
}

/// `tanh(x · y + z) - x` with `x` of the shape of the result, as one step and as several.
#[track_caller]
fn check(x: &[usize], y: &[usize], z: &[usize]) {
    let (x, y, z) = (values(x, 1), values(y, 2), values(z, 3));
    let product = eval(ops::Mul, &[x.clone(), y.clone()]).remove(0);
    let sum = eval(ops::AddV2, &[product, z.clone()]).remove(0);
    let tanh = eval(ops::Tanh, std::slice::from_ref(&sum)).remove(0);
    let difference = eval(ops::Sub, &[tanh, x.clone()]).remove(0);

    let mut code = Code::default();
    let product = code.push(Function::Mul, &[Arg::Input(0), Arg::Input(1)]);
    let t = code.push(Function::Add, &[product, Arg::Input(2)]);
    let tanh = code.push(Function::Tanh, &[t]);
    code.push(Function::Sub, &[tanh, Arg::Input(0)]);
    code.outputs.extend([3, 1]);
    assert_eq!(code.to_string(), "t0 = Mul x0 x1; t1 = Add t0 x2; t2 = Tanh t1; t3 = Sub t2 x0 -> t3 t1");
    let shape = x.shape().clone();
    assert_eq!(eval(Fused { code, shape }, &[x, y, z]), [difference, sum]);
}

#[test]
fn operands_spread_in_every_way() {
    check(&[16], &[16], &[]);
    check(&[5], &[], &[1]);
    check(&[200, 4], &[4], &[200, 4]);
    check(&[37, 6], &[37, 1], &[6]);
    check(&[3, 700], &[700], &[3, 1]);
    check(&[2, 3, 1000], &[2, 3, 1], &[1, 1, 1000]);
    check(&[4, 5, 6], &[5, 6], &[5, 6]);
    check(&[2000], &[2000], &[2000]);
}

#[test]
fn spreads() {
    let of = |x: &[usize], to: &[usize]| Spread::of(&Shape::new(x), &Shape::new(to));
    assert_eq!(of(&[1, 4], &[1, 4]), Some(Spread::Each));
    assert_eq!(of(&[4], &[1, 4]), Some(Spread::Each));
    assert_eq!(of(&[1, 1], &[3, 4]), Some(Spread::Scalar));
    assert_eq!(of(&[1, 4], &[3, 4]), Some(Spread::Row(4)));
    assert_eq!(of(&[3, 1], &[3, 4]), Some(Spread::Column(4)));
    assert_eq!(of(&[3, 1, 1], &[3, 4, 5]), Some(Spread::Column(20)));
    assert_eq!(of(&[3, 1], &[2, 3, 4]), None, "neither a row nor a column");
    assert_eq!(of(&[1, 4, 1], &[3, 4, 5]), None);
    assert_eq!(of(&[3], &[3, 4]), None, "does not broadcast");
}
