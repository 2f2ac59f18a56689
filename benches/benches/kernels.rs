//! Families of kernels at the sizes that the workloads have, each as a graph of one operation.
#![allow(missing_docs)]

use std::num::NonZero;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidemill as tf;
use tidemill::{Tensor, feed};

const THREADS: [usize; 2] = [1, 2];

/// Numbers between -2 and 2.
fn numbers(shape: &[usize]) -> tf::Value {
    let count = shape.iter().product();
    let number = |i: usize| ((i * 7919) % 4001) as f32 / 1000.0 - 2.0;
    tf::Value::from_vec(shape, (0..count).map(number).collect()).unwrap()
}

/// Times `op` on operands of these shapes, on one thread and on two. The fetch is one element, so that copying the result out does not count.
fn bench(
    c: &mut Criterion,
    group: &str,
    name: &str,
    work: u64,
    shapes: &[&[usize]],
    op: impl Fn(&[Tensor]) -> Tensor,
) {
    let mut group = c.benchmark_group(group);
    group.throughput(Throughput::Elements(work));
    for threads in THREADS {
        let g = tf::Graph::new();
        let xs: Vec<Tensor> = shapes.iter().map(|shape| g.placeholder(tf::f32, *shape)).collect();
        let values: Vec<tf::Value> = shapes.iter().map(|shape| numbers(shape)).collect();
        let y = op(&xs);
        let sess = tf::Session::builder(&g).threads(NonZero::new(threads).unwrap()).build();
        let done = sess.prepare(tf::group([y.op()]), xs).unwrap();
        group.bench_function(BenchmarkId::new(name, threads), |b| b.iter(|| done.call(&values).unwrap()));
    }
}

fn products(c: &mut Criterion) {
    for (m, k, n) in [
        (200, 6, 4),
        (200, 18, 16),
        (20, 400, 800),
        (20, 1300, 2600),
        (128, 784, 512),
        (400, 200, 10_000),
        (640, 640, 640),
    ] {
        let flops = 2 * m * k * n;
        let mut product = |name: &str, a: [usize; 2], b: [usize; 2], transposed: (bool, bool)| {
            let name = format!("{m}x{k}x{n} {name}");
            bench(c, "matmul", &name, flops as u64, &[&a, &b], |xs| {
                let (transpose_a, transpose_b) = transposed;
                tf::matmul_with(xs[0], xs[1], tf::ops::MatMul { transpose_a, transpose_b })
            });
        };
        product("NN", [m, k], [k, n], (false, false));
        product("TN", [k, m], [k, n], (true, false));
        product("NT", [m, k], [n, k], (false, true));
    }
}

fn functions(c: &mut Criterion) {
    for n in [800, 16_000, 1_000_000] {
        let mut function = |name: &str, f: fn(Tensor) -> Tensor| {
            bench(c, "function", &format!("{name} {n}"), n as u64, &[&[n]], |xs| f(xs[0]));
        };
        function("tanh", |x| tf::tanh(x));
        function("sigmoid", |x| tf::sigmoid(x));
        function("exp", |x| tf::exp(x));
        function("log1p", |x| tf::log1p(x));
        function("square", |x| tf::square(x));
        function("reduce_sum", |x| tf::reduce_sum(x));
    }
    for [rows, columns] in [[200, 4], [20, 800], [400, 10_000]] {
        let name = format!("add bias {rows}x{columns}");
        bench(c, "broadcast", &name, (rows * columns) as u64, &[&[rows, columns], &[columns]], |xs| {
            xs[0] + xs[1]
        });
        let name = format!("sum of columns {rows}x{columns}");
        bench(c, "reduce", &name, (rows * columns) as u64, &[&[rows, columns]], |xs| {
            tf::reduce_sum_with(xs[0], [0])
        });
    }
}

fn losses(c: &mut Criterion) {
    for [rows, columns] in [[200, 2], [128, 10], [400, 10_000]] {
        let name = format!("sparse cross-entropy {rows}x{columns}");
        bench(c, "loss", &name, (rows * columns) as u64, &[&[rows, columns]], |xs| {
            let labels: Vec<i32> = (0..rows as i32).map(|i| i * 37 % columns as i32).collect();
            tf::nn::sparse_softmax_cross_entropy_with_logits(xs[0].graph().constant(labels), xs[0])
        });
        let name = format!("softmax {rows}x{columns}");
        bench(c, "loss", &name, (rows * columns) as u64, &[&[rows, columns]], |xs| tf::nn::softmax(xs[0]));
    }
}

/// A whole update of a variable with `n` elements.
fn updates(c: &mut Criterion) {
    for n in [100, 400_000] {
        let mut group = c.benchmark_group("update");
        group.throughput(Throughput::Elements(n as u64));
        for threads in THREADS {
            let g = tf::Graph::new();
            let w = g.get_variable("w", [n]);
            let train = tf::train::AdamOptimizer::new(1e-3).minimize(tf::reduce_sum(w * 0.5));
            let sess = tf::Session::builder(&g).threads(NonZero::new(threads).unwrap()).build();
            sess.run(g.global_variables_initializer(), feed! {}).unwrap();
            group.bench_function(BenchmarkId::new(format!("adam {n}"), threads), |b| {
                b.iter(|| sess.run(train, feed! {}).unwrap())
            });
        }
    }
}

criterion_group!(benches, products, functions, losses, updates);
criterion_main!(benches);
