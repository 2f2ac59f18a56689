//! What a run allocates once everything is warm: nothing. By the bytes that are allocated, so this is the one test of this file: others would allocate too.
#![allow(missing_docs)]

use peak_alloc::PeakAlloc;
use rnn_tutorial::model::{self, Config};
use tf::feed;
use tidemill as tf;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

#[test]
fn a_training_step_of_the_tutorial_allocates_nothing() {
    for optimise in [true, false] {
        let g = tf::Graph::new();
        g.set_random_seed(1);
        let net =
            model::manual(&g, Config { batch_size: 200, num_steps: 5, state_size: 4, learning_rate: 0.1 });
        let init = g.global_variables_initializer();
        let sess = tf::Session::builder(&g).optimise(optimise).build();
        sess.run(init, feed! {}).unwrap();
        let step = sess.prepare(net.train_step, [net.x, net.y, net.init_state]).unwrap();
        let x = tf::Value::zeros(tf::i32, [200, 5]).unwrap();
        let feeds = [x.clone(), x, tf::Value::zeros(tf::f32, [200, 4]).unwrap()];
        let run = || step.call(&feeds).unwrap();
        (0..3).for_each(|_| run());
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        (0..100).for_each(|_| run());
        let most = MEMORY.peak_usage() - before;
        assert_eq!(most, 0, "optimised {optimise}: bytes that were allocated at a time");
    }
}
