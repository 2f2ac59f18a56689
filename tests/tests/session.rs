//! What sessions promise: fetches, feeds, the order of reads and writes, threads, limits, and working on after errors.
#![allow(missing_docs)]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rnn_tutorial::model::{self, Config, Network};
use tf::{ErrorKind, feed};
use tidemill as tf;

fn f32s(value: &tf::Value) -> Vec<f32> {
    value.to_vec().unwrap()
}

#[test]
fn results_mirror_fetches() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f32, ()).named("x");
    let (a, b) = (x + 1.0, x * 10.0);
    let v = g.get_variable_with("v", (), tf::init::zeros());
    let sess = tf::Session::new(&g);
    sess.run(v.initializer(), feed! {}).unwrap();
    let feeds = feed! { x => 2f32 };
    let (pair, list, slice, array, (), name, some, none, variable) = sess
        .run(
            (
                (a, b),
                vec![b, a],
                &[a, a][..],
                [b],
                v.assign_add(x).op(),
                "add:0",
                Some(a),
                None::<tf::Tensor>,
                v,
            ),
            &feeds,
        )
        .unwrap();
    let number = |v: &tf::Value| v.to_scalar::<f32>().unwrap();
    assert_eq!((number(&pair.0), number(&pair.1)), (3.0, 20.0));
    assert_eq!(list.iter().map(number).collect::<Vec<_>>(), [20.0, 3.0]);
    assert_eq!(slice.iter().map(number).collect::<Vec<_>>(), [3.0, 3.0]);
    assert_eq!((number(&array[0]), number(&name), number(&some.unwrap())), (20.0, 3.0, 3.0));
    assert!(none.is_none());
    assert_eq!(number(&variable), 0.0, "from before the run's update");
    assert_eq!(number(&sess.run(v, feed! {}).unwrap()), 2.0);
}

#[test]
fn any_tensor_may_be_fed() {
    let g = tf::Graph::new();
    let one = g.constant(1f32);
    let two = one + 1.0;
    let four = two * 2.0;
    let sess = tf::Session::new(&g);
    assert_eq!(f32s(&sess.run(four, feed! {}).unwrap()), [4.0]);
    assert_eq!(f32s(&sess.run(four, feed! { one => 5f32 }).unwrap()), [12.0]);
    assert_eq!(f32s(&sess.run(four, feed! { two => 5f32 }).unwrap()), [10.0]);
    assert_eq!(f32s(&sess.run(four, feed! { four => 5f32 }).unwrap()), [5.0]);
    // A shape that is fed is not the one that the graph was built with.
    let shape = g.constant([2, 2]);
    let filled = g.fill(shape, 1f32);
    assert_eq!(sess.run(filled, feed! { shape => [3, 1] }).unwrap().shape().dims(), [3, 1]);
}

#[test]
fn only_what_is_needed_runs() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f32, ()).named("x");
    let guard = tf::assert_that(x.gt(0.0), &[x], "positive");
    let free = tf::neg(x);
    let guarded = g.control_dependencies([guard]).enter(|| tf::identity(free));
    let sess = tf::Session::new(&g);
    assert_eq!(f32s(&sess.run(free, feed! { x => -1f32 }).unwrap()), [1.0]);
    assert!(sess.run(guarded, feed! { x => -1f32 }).is_err());
    assert_eq!(f32s(&sess.run(guarded, feed! { x => 1f32 }).unwrap()), [-1.0]);
}

#[test]
fn reads_and_writes_are_ordered() {
    let g = tf::Graph::new();
    let v = g.variable(1f32).named("v");
    let doubled = v.assign(v * 2.0);
    let after = g.control_dependencies([doubled]).enter(|| tf::identity(v.reference()));
    let view = tf::reshape(v, [1]);
    let plus = g.control_dependencies([doubled]).enter(|| v.assign_add(10f32));
    let sess = tf::Session::new(&g);
    let number = |v: tf::Value| v.to_scalar::<f32>().unwrap();
    let reset = || sess.run(v.initializer(), feed! {}).unwrap();
    reset();
    let (before, view, doubled_now, after) = sess.run((v, view, doubled, after), feed! {}).unwrap();
    assert_eq!([before, view, doubled_now, after].map(number), [1.0, 1.0, 2.0, 2.0]);
    reset();
    assert_eq!(number(sess.run(plus, feed! {}).unwrap()), 12.0);
    // A value that uses the old one and the new one.
    let both = g.control_dependencies([doubled]).enter(|| tf::identity(v.reference())) + v;
    reset();
    assert_eq!(number(sess.run(both, feed! {}).unwrap()), 3.0);
}

#[test]
fn sessions_have_variables_of_their_own() {
    let g = tf::Graph::new();
    let v = g.variable(1f32).named("v");
    let up = v.assign_add(1f32);
    let (a, b) = (tf::Session::new(&g), tf::Session::new(&g));
    for sess in [&a, &b] {
        sess.run(v.initializer(), feed! {}).unwrap();
    }
    a.run(up, feed! {}).unwrap();
    assert_eq!(
        (f32s(&a.run(v, feed! {}).unwrap()), f32s(&b.run(v, feed! {}).unwrap())),
        (vec![2.0], vec![1.0])
    );
    // The session keeps the graph alive.
    drop(g);
    assert_eq!(f32s(&a.run(up, feed! {}).unwrap()), [3.0]);
}

#[test]
fn callables_follow_the_shapes_they_are_called_with() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f32, [None]).named("x");
    let sum = tf::reduce_sum(x);
    let sess = tf::Session::new(&g);
    let call = sess.prepare(sum, [x]).unwrap();
    for n in [1usize, 7, 3, 7] {
        assert_eq!(f32s(&call.call(&[vec![2f32; n].into()]).unwrap()), [2.0 * n as f32]);
    }
    assert!(call.call(&[]).is_err());
}

#[test]
fn limits_end_a_run() {
    let g = tf::Graph::new();
    let x = g.constant(1f32);
    let endless = tf::while_loop(|x: tf::Tensor| x.gt(0.0), |x| tf::abs(x), x);
    let quick = x + 1.0;
    let sess = Arc::new(tf::Session::new(&g));
    let timeout = |ms| tf::RunOptions::new().timeout(Duration::from_millis(ms));
    let start = Instant::now();
    let error = sess.run_with(endless, feed! {}, timeout(50)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(
        sess.run_with(quick, feed! { x => 3f32 }, timeout(0)).unwrap_err().kind(),
        ErrorKind::DeadlineExceeded
    );
    let flag = AtomicBool::new(true);
    let cancelled = sess.run_with(endless, feed! {}, tf::RunOptions::new().cancel_flag(&flag));
    assert_eq!(cancelled.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(f32s(&sess.run(quick, feed! { x => 3f32 }).unwrap()), [4.0]);
    // Closing ends runs in progress.
    let running = std::thread::spawn({
        let sess = sess.clone();
        move || sess.run(endless, feed! {})
    });
    std::thread::sleep(Duration::from_millis(50));
    sess.close();
    sess.close();
    assert_eq!(running.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(sess.run(quick, feed! {}).unwrap_err().kind(), ErrorKind::FailedPrecondition);
}

#[test]
fn sixty_four_threads_agree() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f32, [None, Some(3)]).named("x");
    let w = g.get_variable_with("w", [3, 2], tf::init::constant(0.5));
    let y = tf::reduce_sum(tf::tanh(tf::matmul(x, w)));
    let count = g.variable(0i64).named("count");
    let up = count.assign_add(1i64);
    let sess = tf::Session::new(&g);
    sess.run(g.global_variables_initializer(), feed! {}).unwrap();
    let input = |rows: usize| tf::Value::full(tf::f32, [rows, 3], 0.25f32).unwrap();
    let want: Vec<tf::Value> = (0..4).map(|k| sess.run(y, feed! { x => input(k + 1) }).unwrap()).collect();
    std::thread::scope(|scope| {
        for thread in 0..64 {
            let (sess, want) = (&sess, &want);
            scope.spawn(move || {
                for i in 0..50 {
                    let k = (thread + i) % 4;
                    let got = sess.run(y, feed! { x => input(k + 1) }).unwrap();
                    assert!(got.bitwise_eq(&want[k]));
                    sess.run(up, feed! {}).unwrap();
                }
            });
        }
    });
    assert_eq!(sess.run(count, feed! {}).unwrap().to_scalar::<i64>().unwrap(), 64 * 50);
}

/// Runs a session from inside a kernel.
#[derive(Debug, Clone, PartialEq)]
struct Nested;
tf::attrs!(Nested {});
static INNER: std::sync::Mutex<Option<(Arc<tf::Session>, tf::Tensor)>> = std::sync::Mutex::new(None);

impl tf::Op for Nested {
    const SCHEMA: tf::Schema = tf::Schema::new("Nested", "(x: T) -> (y: T) where T: Float");
    fn infer(&self, cx: &tf::InferCx) -> tf::Result<Vec<tf::TensorType>> {
        cx.same_as_input(0)
    }
}

impl tf::CpuKernel for Nested {
    fn run(&self, cx: &mut tf::KernelCx) -> tf::Result<()> {
        let inner = INNER.lock().unwrap().clone();
        if let Some((sess, x)) = inner {
            sess.run(x, feed! {})?;
        }
        cx.map(|x| x)
    }
}

#[test]
fn a_run_inside_a_run_is_an_error() {
    let g = tf::Graph::new();
    let v = g.variable(1f32).named("v");
    let y = g.add(Nested, &[v.value()]);
    let sess = Arc::new(tf::Session::builder(&g).kernel::<Nested>().build());
    sess.run(v.initializer(), feed! {}).unwrap();
    *INNER.lock().unwrap() = Some((sess.clone(), v.value()));
    assert_eq!(sess.run(y, feed! {}).unwrap_err().kind(), ErrorKind::FailedPrecondition);
    *INNER.lock().unwrap() = None;
    assert_eq!(f32s(&sess.run(y, feed! {}).unwrap()), [1.0]);
}

#[test]
fn optimised_equals_unoptimised() {
    let models =
        [model::manual as fn(&tf::Graph, Config) -> Network, model::with_static_rnn, model::with_dynamic_rnn];
    for build in models {
        let g = tf::Graph::new();
        g.set_random_seed(7);
        let net = build(&g, Config { batch_size: 6, num_steps: 5, state_size: 4, learning_rate: 0.1 });
        let init = g.global_variables_initializer();
        let run = |optimise| {
            let sess = tf::Session::builder(&g).optimise(optimise).build();
            sess.run(init, feed! {}).unwrap();
            let x =
                tf::Value::from_vec([6, 5], (0..30).map(|i| i * 7 % 3 % 2).collect::<Vec<i32>>()).unwrap();
            (0..5)
                .map(|_| {
                    sess.run(
                        (net.total_loss, net.final_state, net.train_step),
                        feed! { net.x => &x, net.y => &x },
                    )
                    .unwrap()
                })
                .map(|(loss, state, ())| [f32s(&loss), f32s(&state)])
                .collect::<Vec<_>>()
        };
        // Sums may be added up in another order.
        let all = |steps: Vec<[Vec<f32>; 2]>| steps.concat().concat();
        for (a, b) in all(run(true)).iter().zip(all(run(false))) {
            assert!((a - b).abs() <= 1e-5 * (1.0 + b.abs()), "{a} instead of {b}");
        }
    }
}

#[test]
fn ten_thousand_runs_keep_memory_flat() {
    fn resident_kib() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find(|l| l.starts_with("VmRSS"));
        line.and_then(|l| l.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
    }
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f32, [64, 64]).named("x");
    let (_, y) = tf::scan(|c, x| (c + x, c * x), g.zeros(tf::f32, [64]), x, Default::default());
    let sess = tf::Session::new(&g);
    let value = tf::Value::full(tf::f32, [64, 64], 1f32).unwrap();
    let step = || drop(sess.run(y, feed! { x => &value }).unwrap());
    (0..1000).for_each(|_| step());
    let before = resident_kib();
    (0..10_000).for_each(|_| step());
    let after = resident_kib();
    assert!(after < before + 4096, "{before} KiB grew to {after} KiB");
}

#[test]
fn the_memory_of_a_run_is_known_before_it() {
    let report = |build: fn(&tf::Graph, Config) -> Network, num_steps| {
        let g = tf::Graph::new();
        let net = build(&g, Config { batch_size: 16, num_steps, state_size: 4, learning_rate: 0.1 });
        let sess = tf::Session::new(&g);
        let x = tf::Value::zeros(tf::i32, [16, num_steps]).unwrap();
        let report = sess.memory_report((net.total_loss, net.train_step), feed! { net.x => &x, net.y => &x });
        report.unwrap()
    };
    let (short, long) = (report(model::manual, 5), report(model::manual, 50));
    assert_eq!((short.bodies, short.unknown), (0, 0));
    assert!(long.arena > 5 * short.arena, "what is unrolled grows with its length: {short:?} {long:?}");
    let (short, long) = (report(model::with_dynamic_rnn, 5), report(model::with_dynamic_rnn, 50));
    assert_eq!((short.bodies, short.unknown), (long.bodies, 0), "a body is there once: {short:?} {long:?}");
    // Forwards the state is carried; backwards its gradient, and those of the cell's weights [6,4] and bias [4].
    let carries = 2 * (16 * 4 + 16 * 4 + 6 * 4 + 4) * size_of::<f32>();
    assert!(long.bodies > carries, "{long:?}");
    assert_eq!(long.total(), long.arena + long.constants + long.bodies);
}

#[test]
fn values_whose_size_only_the_run_tells_are_counted() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::i32, [None]);
    let (unique, _) = tf::unique(x);
    let sess = tf::Session::new(&g);
    let report = sess.memory_report(unique + 1, feed! { x => vec![1, 1, 2] }).unwrap();
    assert!(report.unknown >= 2, "{report:?}");
}
