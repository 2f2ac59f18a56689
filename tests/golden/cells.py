"""The recurrent cells that make_golden.py records, and those of `tf.contrib` by their formulas: TensorFlow 2 has them no more."""

import tensorflow.compat.v1 as tf

RNN = tf.nn.rnn_cell


class LayerNormBasicLSTMCell(RNN.RNNCell):
    def __init__(self, units, layer_norm=True, keep_prob=1.0, seed=None, gain=1.0, shift=0.0):
        super().__init__()
        self.units, self.layer_norm, self.keep_prob, self.seed, self.start = units, layer_norm, keep_prob, seed, (gain, shift)

    state_size = property(lambda self: RNN.LSTMStateTuple(self.units, self.units))
    output_size = property(lambda self: self.units)

    def norm(self, x, scope):
        if not self.layer_norm:
            return x
        with tf.variable_scope(scope):
            gamma, beta = (tf.get_variable(name, [self.units], x.dtype, tf.constant_initializer(start))
                           for name, start in zip(("gamma", "beta"), self.start))
        mean, variance = tf.nn.moments(x, [1], keepdims=True)
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-12)

    def call(self, inputs, state):
        c, h = state
        x = tf.concat([inputs, h], 1)
        x = tf.matmul(x, tf.get_variable("kernel", [x.shape[1], 4 * self.units], x.dtype))
        if not self.layer_norm:
            x = tf.nn.bias_add(x, tf.get_variable("bias", [4 * self.units], x.dtype))
        i, j, f, o = (self.norm(gate, name) for gate, name in zip(tf.split(x, 4, 1), ("input", "transform", "forget", "output")))
        g = tf.tanh(j)
        if self.keep_prob < 1:
            g = tf.nn.dropout(g, self.keep_prob, seed=self.seed)
        c = self.norm(c * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * g, "state")
        h = tf.tanh(c) * tf.sigmoid(o)
        return h, RNN.LSTMStateTuple(c, h)


class OutputProjectionWrapper(RNN.RNNCell):
    def __init__(self, cell, size, activation=tf.identity):
        super().__init__()
        self.cell, self.size, self.activation_ = cell, size, activation

    state_size = property(lambda self: self.cell.state_size)
    output_size = property(lambda self: self.size)

    def call(self, inputs, state):
        output, state = self.cell(inputs, state)
        kernel = tf.get_variable("kernel", [output.shape[1], self.size], output.dtype)
        bias = tf.get_variable("bias", [self.size], output.dtype, tf.zeros_initializer())
        return self.activation_(tf.nn.bias_add(tf.matmul(output, kernel), bias)), state


def dropout(cell, dtype, variational, keep=(0.5, 0.75, 0.625)):  # of inputs, outputs and state
    # TensorFlow rounds these probabilities to float32: they are such that it does not matter.
    return RNN.DropoutWrapper(cell, *keep, variational, 2 if variational else None, dtype, seed=11)


# Each makes its cell from the dtype.
CELLS = {
    "basic_rnn": lambda t: RNN.BasicRNNCell(4),
    "basic_rnn_relu": lambda t: RNN.BasicRNNCell(4, activation=tf.nn.relu),
    "basic_lstm": lambda t: RNN.BasicLSTMCell(4),
    "basic_lstm_options": lambda t: RNN.BasicLSTMCell(4, forget_bias=0.25, activation=tf.sigmoid, name="memory"),
    "lstm": lambda t: RNN.LSTMCell(4),
    "lstm_peepholes": lambda t: RNN.LSTMCell(4, use_peepholes=True, forget_bias=0.5),
    "lstm_projection": lambda t: RNN.LSTMCell(4, num_proj=3),
    "lstm_all": lambda t: RNN.LSTMCell(4, use_peepholes=True, cell_clip=0.4, num_proj=3, proj_clip=0.25,
                                       initializer=tf.constant_initializer(0.1)),
    "gru": lambda t: RNN.GRUCell(4),
    "gru_options": lambda t: RNN.GRUCell(4, activation=tf.nn.relu, kernel_initializer=tf.constant_initializer(0.1),
                                         bias_initializer=tf.constant_initializer(0.2)),
    "layer_norm": lambda t: LayerNormBasicLSTMCell(4, gain=0.5, shift=0.25),
    "layer_norm_off": lambda t: LayerNormBasicLSTMCell(4, layer_norm=False),
    "layer_norm_dropout": lambda t: LayerNormBasicLSTMCell(4, keep_prob=0.6, seed=7),
    "multi": lambda t: RNN.MultiRNNCell([RNN.BasicLSTMCell(4), RNN.BasicLSTMCell(3)]),
    "multi_mixed": lambda t: RNN.MultiRNNCell([RNN.BasicLSTMCell(4), RNN.GRUCell(4), RNN.BasicRNNCell(2)]),
    "multi_wrapped": lambda t: RNN.MultiRNNCell([RNN.ResidualWrapper(RNN.GRUCell(2)) for _ in range(3)]),
    "dropout": lambda t: dropout(RNN.BasicLSTMCell(4), t, False),
    "dropout_outputs": lambda t: dropout(RNN.GRUCell(4), t, False, (1.0, 0.5, 1.0)),
    "dropout_variational": lambda t: dropout(RNN.BasicLSTMCell(4), t, True),
    "dropout_multi": lambda t: dropout(RNN.MultiRNNCell([RNN.BasicLSTMCell(4), RNN.GRUCell(3)]), t, False),
    "residual": lambda t: RNN.ResidualWrapper(RNN.BasicLSTMCell(2)),
    "residual_fn": lambda t: RNN.ResidualWrapper(RNN.GRUCell(2), residual_fn=lambda i, o: 0.5 * i * o),
    "output_projection": lambda t: OutputProjectionWrapper(RNN.BasicLSTMCell(4), 3),
    "output_projection_relu": lambda t: OutputProjectionWrapper(RNN.GRUCell(4), 3, tf.nn.relu),
}
