//! One training step of the tutorial, and building and compiling its graph.
#![allow(missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use rnn_tutorial::model::{self, Config};
use tidemill as tf;
use tidemill_benches::Tutorial;

fn step(c: &mut Criterion) {
    for (name, num_steps, state_size) in [("W1", 5, 4), ("W2", 10, 16)] {
        let mut tutorial = Tutorial::new(num_steps, state_size, model::manual).unwrap();
        c.bench_function(&format!("step/{name}"), |b| b.iter(|| tutorial.step().unwrap()));
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
