//! The tutorial's graphs, line for line: the cell written out by hand, `BasicRNNCell` with `static_rnn`, and `dynamic_rnn`.

use tf::Tensor;
use tidemill as tf;

/// X and Y are binary.
pub const NUM_CLASSES: usize = 2;

/// The sizes of a network, and how fast it learns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Config {
    /// Rows of a batch.
    pub batch_size: usize,
    /// Steps the network is unrolled for.
    pub num_steps: usize,
    /// Width of the state.
    pub state_size: usize,
    /// Adagrad's learning rate.
    pub learning_rate: f32,
}

/// What training feeds and fetches.
#[derive(Debug)]
pub struct Network {
    /// `[batch_size, num_steps]`, `i32`.
    pub x: Tensor,
    /// `[batch_size, num_steps]`, `i32`.
    pub y: Tensor,
    /// `[batch_size, state_size]`: zeros unless fed.
    pub init_state: Tensor,
    /// The state after the last step.
    pub final_state: Tensor,
    /// The outputs of the cell: of the unrolled networks one `[batch_size, state_size]` for each step, of the dynamic one
    /// `[batch_size, num_steps, state_size]`.
    pub rnn_outputs: Vec<Tensor>,
    /// The probabilities of the classes: of the unrolled networks one `[batch_size, 2]` for each step, of the dynamic one
    /// `[batch_size, num_steps, 2]`.
    pub predictions: Vec<Tensor>,
    /// The cross-entropy of each row: one `[batch_size]` for each step, or `[batch_size, num_steps]`.
    pub losses: Vec<Tensor>,
    /// Their mean.
    pub total_loss: Tensor,
    /// One step of Adagrad.
    pub train_step: tf::Operation,
}

/// The cell: `tanh([input, state] · W + b)`.
fn rnn_cell(rnn_input: Tensor, state: Tensor) -> Tensor {
    let (num_classes, state_size) = (NUM_CLASSES, width(state));
    let (w, b) = state.graph().variable_scope("rnn_cell").reuse().enter(|vs| {
        let w = vs.get_variable("W", [num_classes + state_size, state_size]);
        let b = vs.get_variable_with("b", [state_size], tf::init::constant(0.0));
        (w, b)
    });
    tf::tanh(tf::matmul(tf::concat([rnn_input, state], 1), w) + b)
}

/// The tutorial's first network: the cell written out, its variables shared by `reuse`.
pub fn manual(g: &tf::Graph, config: Config) -> Network {
    let Config { batch_size, num_steps, state_size, .. } = config;
    let num_classes = NUM_CLASSES;

    let x = g.placeholder(tf::i32, [batch_size, num_steps]).named("input_placeholder");
    let y = g.placeholder(tf::i32, [batch_size, num_steps]).named("labels_placeholder");
    let init_state = g.zeros(tf::f32, [batch_size, state_size]);

    let x_one_hot = tf::one_hot(x, num_classes);
    let rnn_inputs = tf::unstack(x_one_hot, 1);

    g.variable_scope("rnn_cell").enter(|vs| {
        vs.get_variable("W", [num_classes + state_size, state_size]);
        vs.get_variable_with("b", [state_size], tf::init::constant(0.0));
    });

    let mut state = init_state;
    let mut rnn_outputs = vec![];
    for rnn_input in rnn_inputs {
        state = rnn_cell(rnn_input, state);
        rnn_outputs.push(state);
    }
    let final_state = state;

    finish(g, config, Unrolled { x, y, init_state, rnn_outputs, final_state })
}

/// The tutorial's second network: the same with `BasicRNNCell` and `static_rnn`.
pub fn with_static_rnn(g: &tf::Graph, config: Config) -> Network {
    let Config { batch_size, num_steps, state_size, .. } = config;
    let num_classes = NUM_CLASSES;

    let x = g.placeholder(tf::i32, [batch_size, num_steps]).named("input_placeholder");
    let y = g.placeholder(tf::i32, [batch_size, num_steps]).named("labels_placeholder");
    let init_state = g.zeros(tf::f32, [batch_size, state_size]);

    let x_one_hot = tf::one_hot(x, num_classes);
    let rnn_inputs = tf::unstack(x_one_hot, 1);

    let cell = tf::nn::rnn_cell::BasicRNNCell::new(state_size);
    let (rnn_outputs, final_state) = tf::nn::static_rnn(&cell, rnn_inputs, init_state);

    finish(g, config, Unrolled { x, y, init_state, rnn_outputs, final_state })
}

/// The tutorial's third network: `dynamic_rnn`, a loop instead of an unrolled graph. The number of steps is that of the batch that is fed.
pub fn with_dynamic_rnn(g: &tf::Graph, config: Config) -> Network {
    let Config { batch_size, state_size, learning_rate, .. } = config;
    let num_classes = NUM_CLASSES;

    let x = g.placeholder(tf::i32, [Some(batch_size), None]).named("input_placeholder");
    let y = g.placeholder(tf::i32, [Some(batch_size), None]).named("labels_placeholder");
    let init_state = g.zeros(tf::f32, [batch_size, state_size]);

    let rnn_inputs = tf::one_hot(x, num_classes);

    let cell = tf::nn::rnn_cell::BasicRNNCell::new(state_size);
    let (rnn_outputs, final_state) = tf::nn::dynamic_rnn(&cell, rnn_inputs, init_state);

    let (w, b) = g.variable_scope("softmax").enter(|vs| {
        let w = vs.get_variable("W", [state_size, num_classes]);
        let b = vs.get_variable_with("b", [num_classes], tf::init::constant(0.0));
        (w, b)
    });
    let flat_outputs = tf::reshape(rnn_outputs, [-1, state_size as i64]);
    let flat_logits = tf::matmul(flat_outputs, w) + b;
    let logits = tf::reshape(flat_logits, [batch_size as i64, -1, num_classes as i64]);
    let predictions = vec![tf::nn::softmax(logits)];

    let losses = tf::nn::sparse_softmax_cross_entropy_with_logits(y, logits);
    let total_loss = tf::reduce_mean(losses);
    let train_step = tf::train::AdagradOptimizer::new(learning_rate).minimize(total_loss);

    let (rnn_outputs, losses) = (vec![rnn_outputs], vec![losses]);
    Network { x, y, init_state, final_state, rnn_outputs, predictions, losses, total_loss, train_step }
}

/// A network up to the outputs of its cell.
struct Unrolled {
    x: Tensor,
    y: Tensor,
    init_state: Tensor,
    rnn_outputs: Vec<Tensor>,
    final_state: Tensor,
}

/// What the tutorial puts behind either network: the softmax layer, the losses and the optimizer.
fn finish(g: &tf::Graph, config: Config, unrolled: Unrolled) -> Network {
    let Config { state_size, learning_rate, .. } = config;
    let Unrolled { x, y, init_state, rnn_outputs, final_state } = unrolled;
    let num_classes = NUM_CLASSES;

    let (w, b) = g.variable_scope("softmax").enter(|vs| {
        let w = vs.get_variable("W", [state_size, num_classes]);
        let b = vs.get_variable_with("b", [num_classes], tf::init::constant(0.0));
        (w, b)
    });
    let logits: Vec<Tensor> = rnn_outputs.iter().map(|&rnn_output| tf::matmul(rnn_output, w) + b).collect();
    let predictions = logits.iter().map(|&logit| tf::nn::softmax(logit)).collect();

    let y_as_list = tf::unstack(y, 1);

    let losses: Vec<Tensor> = logits
        .iter()
        .zip(y_as_list)
        .map(|(&logit, label)| tf::nn::sparse_softmax_cross_entropy_with_logits(label, logit))
        .collect();
    let total_loss = tf::reduce_mean(tf::stack(&losses, 0));
    let train_step = tf::train::AdagradOptimizer::new(learning_rate).minimize(total_loss);

    Network { x, y, init_state, final_state, rnn_outputs, predictions, losses, total_loss, train_step }
}

/// The last dimension of a matrix whose shape is known.
fn width(matrix: Tensor) -> usize {
    matrix.shape().as_known().map_or(0, |shape| shape[1])
}
