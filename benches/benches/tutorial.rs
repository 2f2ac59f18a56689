//! One training step of the tutorial, and building and compiling its graph.
#![allow(missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use rnn_tutorial::model::{self, Config};
use rnn_tutorial::run::Model;
use tidemill as tf;
use tidemill_benches::workloads::{Options, ready};

fn step(c: &mut Criterion) {
    for model in Model::ALL {
        for name in ["W1", "W2"] {
            let mut ready = ready(name, &Options { model, unoptimised: false, threads: None }).unwrap();
            c.bench_function(&format!("step/{name}/{model}"), |b| b.iter(|| ready.workload.step().unwrap()));
        }
    }
}

fn build(c: &mut Criterion) {
    for num_steps in [5, 100] {
        let config = Config { batch_size: 32, num_steps, state_size: 16, learning_rate: 0.1 };
        c.bench_function(&format!("build/{num_steps}"), |b| {
            b.iter(|| model::manual(&tf::Graph::new(), config))
        });
    }
}

criterion_group!(benches, step, build);
criterion_main!(benches);
