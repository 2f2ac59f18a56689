use tidemill_core::{Op, Value};

use super::super::testing::{eval, try_eval};
use super::*;

const FLOATS: [(DType, f64); 4] =
    [(DType::F64, 1e-14), (DType::F32, 2e-6), (DType::F16, 2e-3), (DType::BF16, 1.6e-2)];

fn logits(rows: usize, columns: usize) -> Vec<Vec<f64>> {
    // Multiples of 1/16, which all dtypes hold exactly.
    let element = |i: usize| ((i * 7919) % 128) as f64 / 16.0 - 4.0;
    (0..rows).map(|r| (0..columns).map(|c| element(r * columns + c)).collect()).collect()
}

fn matrix(rows: &[Vec<f64>], columns: usize) -> Value {
    Value::from_vec([rows.len(), columns], rows.concat()).unwrap()
}

fn log_sum_exp(row: &[f64]) -> f64 {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    max + row.iter().map(|x| (x - max).exp()).sum::<f64>().ln()
}

/// Compares the outputs of `op`, in every float, with `expected` in `f64`.
#[track_caller]
fn check(op: impl Op, inputs: &[Value], expected: &[Value]) {
    for (dtype, tolerance) in FLOATS {
        let cast = |v: &Value| if v.dtype().is_float() { v.cast(dtype) } else { v.clone() };
        let inputs: Vec<Value> = inputs.iter().map(cast).collect();
        for (i, (got, want)) in eval(op.clone(), &inputs).iter().zip(expected).enumerate() {
            let close = got.cast(DType::F64).allclose(want, tolerance, tolerance * 4.0);
            assert!(close, "{op:?} output {i} as {dtype}: {got} instead of {want}");
        }
    }
}

/// Every way that rows are cut into blocks and lanes.
#[test]
fn softmax_family_of_all_sizes() {
    for (rows, columns) in [
        (1, 1),
        (1, 2),
        (16, 2),
        (17, 2),
        (200, 2),
        (3, 3),
        (33, 4),
        (5, 7),
        (31, 16),
        (2, 17),
        (3, 100),
        (0, 4),
    ] {
        let x = logits(rows, columns);
        let log: Vec<Vec<f64>> =
            x.iter().map(|row| row.iter().map(|x| x - log_sum_exp(row)).collect()).collect();
        let p: Vec<Vec<f64>> = log.iter().map(|row| row.iter().map(|l| l.exp()).collect()).collect();
        let logits = matrix(&x, columns);
        check(Softmax, std::slice::from_ref(&logits), &[matrix(&p, columns)]);
        check(LogSoftmax, std::slice::from_ref(&logits), &[matrix(&log, columns)]);

        let label = |r: usize| (r * 5 + 1) % columns;
        let labels: Vec<i32> = (0..rows).map(|r| label(r) as i32).collect();
        let loss: Vec<f64> = (0..rows).map(|r| -log[r][label(r)]).collect();
        let own = |r: usize, c: usize| if c == label(r) { 1.0 } else { 0.0 };
        let backprop: Vec<Vec<f64>> = p
            .iter()
            .enumerate()
            .map(|(r, p)| p.iter().enumerate().map(|(c, p)| p - own(r, c)).collect())
            .collect();
        let expected = [Value::from(loss), matrix(&backprop, columns)];
        for labels in [Value::from(labels.clone()), Value::from(labels.clone()).cast(DType::I64)] {
            check(SparseSoftmaxCrossEntropyWithLogits, &[logits.clone(), labels], &expected);
        }

        let spread =
            |r: usize, c: usize| if columns == 1 { 1.0 } else { own(r, c) * 0.5 + own(r + 1, c) * 0.5 };
        let targets: Vec<Vec<f64>> =
            (0..rows).map(|r| (0..columns).map(|c| spread(r, c)).collect()).collect();
        let cross = |r: usize| -(0..columns).map(|c| targets[r][c] * log[r][c]).sum::<f64>();
        let loss: Vec<f64> = (0..rows).map(cross).collect();
        let backprop: Vec<Vec<f64>> =
            (0..rows).map(|r| (0..columns).map(|c| p[r][c] - targets[r][c]).collect()).collect();
        let inputs = [logits, matrix(&targets, columns)];
        check(SoftmaxCrossEntropyWithLogits, &inputs, &[Value::from(loss), matrix(&backprop, columns)]);
    }
}

#[test]
fn softmax_of_extremes() {
    let inf = f32::INFINITY;
    let x = Value::from([[-1e3f32, 0.0, 1e3], [1e30, -1e30, -inf], [-100.0, 3.0, 3.0]]);
    let p = Value::from([[0f32, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]);
    assert!(eval(Softmax, std::slice::from_ref(&x))[0].allclose(&p, 1e-6, 1e-30));
    let log = eval(LogSoftmax, &[x])[0].to_vec::<f32>().unwrap();
    assert_eq!(log[..6], [-2000.0, -1000.0, 0.0, 0.0, -2e30, -inf]);
    for wide in [2, 40] {
        let mut row = vec![0f32; wide];
        row[1] = f32::NAN;
        let x = Value::from_vec([1, wide], row).unwrap();
        assert!(eval(Softmax, &[x])[0].iter_f64().all(f64::is_nan));
    }
    let no_columns = Value::zeros(DType::F32, [2, 0]).unwrap();
    assert_eq!(eval(Softmax, &[no_columns])[0].num_elements(), 0);
}

#[test]
fn labels_are_checked() {
    let x = Value::from([[1f32, 2.0], [3.0, 4.0]]);
    for bad in [2, -1] {
        let labels = Value::from([0, bad]);
        let error = try_eval(SparseSoftmaxCrossEntropyWithLogits, &[x.clone(), labels]).unwrap_err();
        assert_eq!(error.message(), format!("label {bad} is outside of the classes [0, 2)"));
    }
    let no_classes = [Value::zeros(DType::F32, [2, 0]).unwrap(), Value::from([0, 0])];
    assert!(try_eval(SparseSoftmaxCrossEntropyWithLogits, &no_classes).is_err());
}

#[test]
fn labels_need_not_sum_to_one() {
    // As TensorFlow: the loss is linear in the labels, and backprop is softmax - labels all the same.
    let inputs = [Value::from([[1f32, 2.0, 3.0]]), Value::from([[0.5f32, 0.25, 0.5]])];
    let out = eval(SoftmaxCrossEntropyWithLogits, &inputs);
    assert!(out[0].allclose(&Value::from([1.759_507_3f32]), 1e-6, 0.0));
    assert!(out[1].allclose(&Value::from([[-0.409_969_42f32, -0.005_271_524, 0.165_240_94]]), 1e-5, 0.0));
}

#[test]
fn biases() {
    for columns in [1, 2, 4, 31, 32, 33, 64, 70] {
        for rows in [1, 3, 16, 130] {
            let x = matrix(&logits(rows, columns), columns);
            let bias: Vec<f64> = (0..columns).map(|c| c as f64).collect();
            let sum: Vec<f64> = logits(rows, columns)
                .iter()
                .map(|r| r.iter().zip(&bias).map(|(x, b)| x + b).collect::<Vec<_>>())
                .collect::<Vec<_>>()
                .concat();
            let added = eval(BiasAdd::default(), &[x.clone(), Value::from(bias)]);
            assert_eq!(added[0].to_vec::<f64>().unwrap(), sum);
            let totals: Vec<f64> =
                (0..columns).map(|c| logits(rows, columns).iter().map(|r| r[c]).sum()).collect();
            let nhwc = BiasAddGrad { data_format: "NHWC".to_owned() };
            check(nhwc, &[x], &[Value::from(totals)]);
        }
    }
}

/// As TensorFlow 2.21 gives them.
#[test]
fn biases_of_channels_first() {
    let x = Value::from_vec([1, 2, 3, 2], (0..12).map(|i| i as f32).collect()).unwrap();
    let nchw = || "NCHW".to_owned();
    let sum = eval(BiasAdd { data_format: nchw() }, &[x.clone(), Value::from([10f32, 20.0])]);
    let expected = [10f32, 11.0, 12.0, 13.0, 14.0, 15.0, 26.0, 27.0, 28.0, 29.0, 30.0, 31.0];
    assert_eq!(sum[0].to_vec::<f32>().unwrap(), expected);
    assert_eq!(
        eval(BiasAddGrad { data_format: nchw() }, std::slice::from_ref(&x)),
        [Value::from([15f32, 51.0])]
    );
    assert_eq!(eval(BiasAddGrad { data_format: "NHWC".into() }, &[x]), [Value::from([30f32, 36.0])]);
}

#[test]
fn biases_wrap() {
    let sum = eval(BiasAdd::default(), &[Value::from([[100i8, 1]]), Value::from([100i8, 1])]);
    assert_eq!(sum, [Value::from([[-56i8, 2]])]);
}

#[test]
fn l2_losses() {
    let x = matrix(&logits(50, 60), 60);
    let half_squares = logits(50, 60).concat().iter().map(|x| x * x).sum::<f64>() / 2.0;
    check(L2Loss, &[x], &[Value::scalar(half_squares)]);
    assert_eq!(eval(L2Loss, &[Value::zeros(DType::F32, [0]).unwrap()]), [Value::scalar(0f32)]);
}
