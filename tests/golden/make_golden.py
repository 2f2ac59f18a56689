#!/usr/bin/env python3
"""Records what real TensorFlow does, as data for Tidemill's tests.

    python make_golden.py [names] [tutorial] [optimizers] [random] [errors] [--corpus DIR]

needs `pip install tensorflow-cpu==2.21.0 tf_keras==2.21.0` and writes beside itself:

    names/*.json       which nodes TensorFlow's Python builds, in order: names, types, inputs, output types
    tutorial/*         twenty training steps of the RNN tutorial, converted from the conformance corpus (--corpus)
    optimizers.*       variables and slots after each step of each optimizer
    random.*           the values of seeded random ops, to the bit
    errors.json        TensorFlow's words for common mistakes

Everything runs in version 1 graph mode with reference variables (`VariableV2`), as TensorFlow 1 did by default.
Without arguments all sections are made; `tutorial` is skipped where no corpus is given.
"""

import argparse
import io
import json
import os
import re
import sys
import zipfile

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
tf.disable_resource_variables()
tf.logging.set_verbosity(tf.logging.ERROR)

HERE = os.path.dirname(os.path.abspath(__file__))
ORACLE = "tensorflow " + tf.version.VERSION


# ---------------------------------------------------------------------------------------------- describing a graph


def tensor_type(tensor):
    """`float32[200,5]`; an unknown dimension is `?`, an unknown rank `float32<?>`, a reference `float32_ref[6,4]`."""
    shape = tensor.shape
    if shape.rank is None:
        return tensor.dtype.name + "<?>"
    return "%s[%s]" % (tensor.dtype.name, ",".join("?" if d is None else str(d) for d in shape.as_list()))


def plain(value):
    """A value as JSON can hold it: float32 by its shortest decimal form, infinities and NaN as strings."""
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (np.floating, float)):
        if not np.isfinite(value):
            return str(float(value))
        return float(str(value)) if isinstance(value, np.floating) else value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    return value


def attributes(op):
    """The attributes that say something: no types, no colocation, nothing left at its default, no large constants."""
    said = {}
    defaults = {a.name: a.default_value for a in op.op_def.attr if a.HasField("default_value")}
    for name in sorted(op.node_def.attr):
        attr = op.node_def.attr[name]
        if name.startswith("_") or attr == defaults.get(name) or name in ("N", "num", "shape"):
            continue
        kind = attr.WhichOneof("value")
        if kind == "tensor":
            array = tf.make_ndarray(attr.tensor)
            if array.size <= 16:
                said["value"] = plain(array.tolist() if array.dtype != np.float32 else nested(array))
            elif (array == array.flat[0]).all():
                said["value_of_all"] = plain(array.flat[0])
        elif kind in ("i", "b"):
            said[name] = getattr(attr, kind)
        elif kind == "f":
            said[name] = plain(np.float32(attr.f))
        elif kind == "s":
            said[name] = attr.s.decode()
        elif kind == "list" and attr.list.i:
            said[name] = list(attr.list.i)
    return said


def nested(array):
    return array[()] if array.ndim == 0 else [nested(a) for a in array]


def describe(op):
    """One node: [name, type, [inputs as a GraphDef writes them], [output types], {attributes, where there are any}]."""
    node = [op.name, op.type, list(op.node_def.input), [tensor_type(t) for t in op.outputs]]
    said = attributes(op)
    return node + [said] if said else node


def names_of(values):
    """The names of tensors, operations and variables, however nested; None stays None."""
    if isinstance(values, (list, tuple)):
        return [names_of(v) for v in values]
    return getattr(values, "name", None)


LINE = re.compile(r'"\\u0000(\d+)"')


def dump(path, document):
    """Writes JSON with one node (or other leaf marked by `Line`) a line."""
    lines = []

    def mark(value):
        if isinstance(value, Line):
            lines.append(json.dumps(value.value, separators=(", ", ": "), ensure_ascii=True, allow_nan=False))
            return "\0%d" % (len(lines) - 1)
        if isinstance(value, dict):
            return {k: mark(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [mark(v) for v in value]
        return value

    text = json.dumps(mark(document), indent=1, ensure_ascii=True, allow_nan=False)
    text = LINE.sub(lambda m: lines[int(m.group(1))], text)
    path = os.path.join(HERE, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text + "\n")
    print("%8d  %s" % (len(text), os.path.relpath(path, HERE)))


class Line:
    """A value to be written on one line."""

    def __init__(self, value):
        self.value = value


def node_lines(ops):
    return [Line(describe(op)) for op in ops]


# ------------------------------------------------------------------------------------------------ names: the tutorial


def tutorial_graph(model, num_steps=5, state_size=4, batch_size=200, num_classes=2, learning_rate=0.1):
    """The tutorial's graph, line for line; `static` replaces the cell by BasicRNNCell and static_rnn."""
    x = tf.placeholder(tf.int32, [batch_size, num_steps], name="input_placeholder")
    y = tf.placeholder(tf.int32, [batch_size, num_steps], name="labels_placeholder")
    init_state = tf.zeros([batch_size, state_size])
    x_one_hot = tf.one_hot(x, num_classes)
    rnn_inputs = tf.unstack(x_one_hot, axis=1)

    if model == "manual":
        with tf.variable_scope("rnn_cell"):
            W = tf.get_variable("W", [num_classes + state_size, state_size])
            b = tf.get_variable("b", [state_size], initializer=tf.constant_initializer(0.0))

        def rnn_cell(rnn_input, state):
            with tf.variable_scope("rnn_cell", reuse=True):
                W = tf.get_variable("W", [num_classes + state_size, state_size])
                b = tf.get_variable("b", [state_size], initializer=tf.constant_initializer(0.0))
            return tf.tanh(tf.matmul(tf.concat([rnn_input, state], 1), W) + b)

        state = init_state
        rnn_outputs = []
        for rnn_input in rnn_inputs:
            state = rnn_cell(rnn_input, state)
            rnn_outputs.append(state)
        final_state = rnn_outputs[-1]
    else:
        cell = tf.nn.rnn_cell.BasicRNNCell(state_size)
        rnn_outputs, final_state = tf.nn.static_rnn(cell, rnn_inputs, initial_state=init_state)

    with tf.variable_scope("softmax"):
        W = tf.get_variable("W", [state_size, num_classes])
        b = tf.get_variable("b", [num_classes], initializer=tf.constant_initializer(0.0))
    logits = [tf.matmul(rnn_output, W) + b for rnn_output in rnn_outputs]
    predictions = [tf.nn.softmax(logit) for logit in logits]
    y_as_list = tf.unstack(y, num=num_steps, axis=1)
    losses = [
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=logit)
        for logit, label in zip(logits, y_as_list)
    ]
    total_loss = tf.reduce_mean(losses)
    train_step = tf.train.AdagradOptimizer(learning_rate).minimize(total_loss)
    init = tf.global_variables_initializer()
    return {
        "x": x, "y": y, "init_state": init_state, "final_state": final_state, "logits": logits,
        "predictions": predictions, "losses": losses, "total_loss": total_loss, "train_step": train_step, "init": init,
        "global_variables": tf.global_variables(), "trainable_variables": tf.trainable_variables(),
    }


def make_tutorial_names():
    for model in ("manual", "static_rnn"):
        with tf.Graph().as_default() as graph:
            named = tutorial_graph(model)
            dump("names/tutorial_%s.json" % model, {
                "oracle": ORACLE,
                "what": "The RNN tutorial's graph (%s), num_steps 5, state_size 4, batch_size 200: see tutorial_graph "
                        "in make_golden.py. Nodes in order of creation: [name, type, inputs, output types, attributes]."
                        % model,
                "tensors": {k: Line(names_of(v)) for k, v in named.items()},
                "nodes": node_lines(graph.get_operations()),
            })


# ------------------------------------------------------------------------------------- names: forward functions, grads

# Each case: name, Python code (run with `tf`, `np` and placeholders made by ph), what to differentiate by (or None).
# The code leaves its result in `out`.
F = "x = ph('x', [2, 3])\n"
FF = "x = ph('x', [2, 3]); y = ph('y', [2, 3])\n"
I = "i = ph('i', [2, 3], tf.int32)\n"
BB = "p = ph('p', [2, 3], tf.bool); q = ph('q', [2, 3], tf.bool)\n"


def unary(*names):
    return [(n.split(".")[-1], F + "out = tf.%s(x)" % n, "x") for n in names]


def binary(*names):
    return [(n.split(".")[-1], FF + "out = tf.%s(x, y)" % n, "x, y") for n in names]


FORWARD = [
    ("zeros", "out = tf.zeros([2, 3])", None),
    ("zeros_int32", "out = tf.zeros([2, 3], tf.int32)", None),
    ("zeros_scalar", "out = tf.zeros([])", None),
    ("zeros_large", "out = tf.zeros([200, 400])", None),
    ("zeros_dynamic", "n = ph('n', [], tf.int32); out = tf.zeros([n, 3])", None),
    ("ones", "out = tf.ones([2, 3])", None),
    ("ones_dynamic", "n = ph('n', [], tf.int32); out = tf.ones(tf.stack([n, 3]))", None),
    ("fill", "out = tf.fill([2, 3], 7.0)", None),
    ("fill_tensor", "x = ph('x', []); out = tf.fill([2, 3], x)", "x"),
    ("range", "out = tf.range(5)", None),
    ("range_start_limit_delta", "out = tf.range(1, 9, 2)", None),
    ("range_float", "out = tf.range(0.0, 1.0, 0.25)", None),
    ("linspace", "out = tf.linspace(0.0, 1.0, 5)", None),
    ("constant", "out = tf.constant([[1.0, 2.0], [3.0, 4.0]])", None),
    ("constant_twice", "a = tf.constant(1.0); b = tf.constant(2); c = tf.constant(3.0, name='c'); out = [a, b, c]", None),
    ("placeholder_twice", "a = tf.placeholder(tf.float32, [2]); b = tf.placeholder(tf.float32); "
                          "c = tf.placeholder(tf.int32, [None, 3]); out = [a, b, c]", None),
    ("placeholder_named_twice", "a = tf.placeholder(tf.float32, [2], name='a'); b = tf.placeholder(tf.float32, [2], name='a'); out = [a, b]", None),
    ("placeholder_with_default", "out = tf.placeholder_with_default(tf.zeros([2, 3]), [None, 3])", None),
    ("one_hot", I + "out = tf.one_hot(i, 4)", None),
    ("one_hot_values", I + "out = tf.one_hot(i, 4, on_value=2.0, off_value=-1.0, axis=1)", None),
    ("unstack_axis_1", F + "out = tf.unstack(x, axis=1)", "x"),
    ("unstack_num", F + "out = tf.unstack(x, num=2)", "x"),
    ("unstack_one_output_used", F + "out = tf.unstack(x)[1]", "x"),
    ("stack", FF + "out = tf.stack([x, y])", "x, y"),
    ("stack_axis_1", FF + "out = tf.stack([x, y], axis=1)", "x, y"),
    ("stack_scalars", "n = ph('n', [], tf.int32); out = tf.stack([n, 3])", None),
    ("concat_axis_1", FF + "out = tf.concat([x, y], 1)", "x, y"),
    ("concat_axis_minus_1", FF + "out = tf.concat([x, y, x], -1)", "x, y"),
    ("concat_one", F + "out = tf.concat([x], 0)", "x"),
    ("concat_unknown_shapes", "x = ph('x', [None, 3]); y = ph('y', [None, 3]); out = tf.concat([x, y], 0)", "x, y"),
    ("split", "x = ph('x', [2, 6]); out = tf.split(x, 3, axis=1)", "x"),
    ("split_sizes", "x = ph('x', [2, 6]); out = tf.split(x, [1, 2, 3], axis=1)", "x"),
    ("split_one_output_used", "x = ph('x', [2, 6]); out = tf.split(x, 3, axis=1)[0]", "x"),
    ("matmul", "x = ph('x', [2, 3]); y = ph('y', [3, 4]); out = tf.matmul(x, y)", "x, y"),
    ("matmul_transpose_a", "x = ph('x', [3, 2]); y = ph('y', [3, 4]); out = tf.matmul(x, y, transpose_a=True)", "x, y"),
    ("matmul_transpose_b", "x = ph('x', [2, 3]); y = ph('y', [4, 3]); out = tf.matmul(x, y, transpose_b=True)", "x, y"),
    ("matmul_transpose_both", "x = ph('x', [3, 2]); y = ph('y', [4, 3]); out = tf.matmul(x, y, transpose_a=True, transpose_b=True)", "x, y"),
    ("matmul_batch", "x = ph('x', [5, 2, 3]); y = ph('y', [5, 3, 4]); out = tf.matmul(x, y)", "x, y"),
    ("matmul_batch_broadcast", "x = ph('x', [5, 2, 3]); y = ph('y', [3, 4]); out = tf.matmul(x, y)", "x, y"),
    ("matmul_only_left", "x = ph('x', [2, 3]); y = ph('y', [3, 4]); out = tf.matmul(x, y)", "x"),
    ("add_operator", FF + "out = x + y", "x, y"),
    ("sub_operator", FF + "out = x - y", "x, y"),
    ("mul_operator", FF + "out = x * y", "x, y"),
    ("div_operator", FF + "out = x / y", "x, y"),
    ("pow_operator", FF + "out = x ** y", "x, y"),
    ("add_scalar", F + "out = x + 1.0", "x"),
    ("scalar_add", F + "out = 1.0 + x", "x"),
    ("sub_scalar", F + "out = x - 1.0", "x"),
    ("scalar_sub", F + "out = 1.0 - x", "x"),
    ("mul_scalar", F + "out = x * 2.0", "x"),
    ("scalar_mul", F + "out = 2.0 * x", "x"),
    ("div_scalar", F + "out = x / 2.0", "x"),
    ("scalar_div", F + "out = 2.0 / x", "x"),
    ("pow_scalar", F + "out = x ** 3.0", "x"),
    ("add_array", F + "out = x + np.ones([2, 3], np.float32)", "x"),
    ("operators_chained", FF + "out = (x + y) * (x - y) + 1.0 + x", "x, y"),
    ("add_broadcast_row", "x = ph('x', [2, 3]); y = ph('y', [3]); out = x + y", "x, y"),
    ("add_broadcast_both", "x = ph('x', [2, 1]); y = ph('y', [3]); out = x + y", "x, y"),
    ("sub_broadcast_row", "x = ph('x', [2, 3]); y = ph('y', [3]); out = x - y", "x, y"),
    ("mul_broadcast_row", "x = ph('x', [2, 3]); y = ph('y', [3]); out = x * y", "x, y"),
    ("div_broadcast_row", "x = ph('x', [2, 3]); y = ph('y', [3]); out = x / y", "x, y"),
    ("add_broadcast_scalar_tensor", "x = ph('x', [2, 3]); y = ph('y', []); out = x + y", "x, y"),
    ("add_unknown_batch", "x = ph('x', [None, 3]); y = ph('y', [3]); out = x + y", "x, y"),
    ("add_unknown_rank", "x = ph('x', None); y = ph('y', None); out = x + y", "x, y"),
    ("mul_unknown_batch", "x = ph('x', [None, 3]); y = ph('y', [3]); out = x * y", "x, y"),
    ("int_operators", "i = ph('i', [2], tf.int32); j = ph('j', [2], tf.int32); out = [i + j, i - j, i * j, i // j, i % j, i / j]", None),
    ("float_floordiv_mod", FF + "out = [x // y, x % y]", "x, y"),
    *binary("add", "subtract", "multiply", "divide", "div", "truediv", "floordiv", "mod", "div_no_nan", "maximum",
            "minimum", "pow", "squared_difference", "atan2"),
    ("neg_operator", F + "out = -x", "x"),
    ("abs_operator", F + "out = abs(x)", "x"),
    *unary("negative", "abs", "sign", "square", "sqrt", "rsqrt", "reciprocal", "exp", "expm1", "log", "log1p", "sin",
           "cos", "tan", "sinh", "cosh", "tanh", "sigmoid", "erf", "floor", "ceil", "round", "is_nan", "is_finite",
           "nn.relu", "nn.relu6", "nn.elu", "nn.selu", "nn.leaky_relu", "nn.softplus", "nn.softsign", "nn.softmax",
           "nn.log_softmax", "nn.swish", "log_sigmoid"),
    ("equal", FF + "out = tf.equal(x, y)", None),
    ("not_equal", FF + "out = tf.not_equal(x, y)", None),
    ("less", FF + "out = tf.less(x, y)", None),
    ("less_equal", FF + "out = tf.less_equal(x, y)", None),
    ("greater", FF + "out = tf.greater(x, y)", None),
    ("greater_equal", FF + "out = tf.greater_equal(x, y)", None),
    ("comparison_operators", FF + "out = [x < y, x <= y, x > y, x >= y, x > 0.0]", None),
    ("logical", BB + "out = [tf.logical_and(p, q), tf.logical_or(p, q), tf.logical_not(p), tf.logical_xor(p, q)]", None),
    ("logical_operators", BB + "out = [p & q, p | q, ~p, p ^ q]", None),
    ("where_select", "p = ph('p', [2, 3], tf.bool); " + FF + "out = tf.where(p, x, y)", "x, y"),
    ("where_v2", "p = ph('p', [2, 3], tf.bool); " + FF + "out = tf.where_v2(p, x, y)", "x, y"),
    ("where_indices", "p = ph('p', [2, 3], tf.bool); out = tf.where(p)", None),
    ("cast_to_int", F + "out = tf.cast(x, tf.int32)", None),
    ("cast_from_int", I + "out = tf.cast(i, tf.float32)", None),
    ("cast_to_float64", F + "out = tf.cast(x, tf.float64)", "x"),
    ("cast_same", F + "out = tf.cast(x, tf.float32)", "x"),
    ("to_float", I + "out = tf.to_float(i)", None),
    ("add_n", FF + "out = tf.add_n([x, y, x])", "x, y"),
    ("add_n_one", F + "out = tf.add_n([x])", "x"),
    *[("reduce_%s%s" % (r, suffix), F + "out = tf.reduce_%s(x%s)" % (r, arg), "x")
      for r in ("sum", "mean", "max", "min", "prod")
      for suffix, arg in (("", ""), ("_axis_0", ", 0"), ("_axis_1_keepdims", ", 1, keepdims=True"))],
    ("reduce_sum_axes_list", F + "out = tf.reduce_sum(x, [0, 1])", "x"),
    ("reduce_sum_axis_minus_1", F + "out = tf.reduce_sum(x, -1)", "x"),
    ("reduce_sum_unknown_batch", "x = ph('x', [None, 3]); out = tf.reduce_sum(x)", "x"),
    ("reduce_sum_axis_0_unknown_batch", "x = ph('x', [None, 3]); out = tf.reduce_sum(x, 0)", "x"),
    ("reduce_mean_unknown_batch", "x = ph('x', [None, 3]); out = tf.reduce_mean(x)", "x"),
    ("reduce_mean_axis_0_unknown_batch", "x = ph('x', [None, 3]); out = tf.reduce_mean(x, 0)", "x"),
    ("reduce_sum_unknown_rank", "x = ph('x', None); out = tf.reduce_sum(x)", "x"),
    ("reduce_mean_of_list", "a = ph('a', [4]); b = ph('b', [4]); out = tf.reduce_mean([a, b])", "a, b"),
    ("reduce_sum_scalar", "x = ph('x', []); out = tf.reduce_sum(x)", "x"),
    ("reduce_all_any", "p = ph('p', [2, 3], tf.bool); out = [tf.reduce_all(p), tf.reduce_any(p, 1)]", None),
    ("reduce_logsumexp", F + "out = tf.reduce_logsumexp(x, 1)", "x"),
    ("argmax", F + "out = tf.argmax(x, 1)", None),
    ("argmin", F + "out = tf.argmin(x, 1, output_type=tf.int32)", None),
    ("cumsum", F + "out = tf.cumsum(x, 1)", "x"),
    ("reshape", F + "out = tf.reshape(x, [-1, 2])", "x"),
    ("reshape_dynamic", "x = ph('x', [None, 3]); out = tf.reshape(x, [-1])", "x"),
    ("expand_dims", F + "out = tf.expand_dims(x, 1)", "x"),
    ("squeeze", "x = ph('x', [2, 1, 3, 1]); out = tf.squeeze(x)", "x"),
    ("squeeze_axis", "x = ph('x', [2, 1, 3, 1]); out = tf.squeeze(x, [1])", "x"),
    ("transpose", F + "out = tf.transpose(x)", "x"),
    ("transpose_perm", "x = ph('x', [2, 3, 4]); out = tf.transpose(x, [1, 0, 2])", "x"),
    ("transpose_unknown_rank", "x = ph('x', None); out = tf.transpose(x)", "x"),
    ("matrix_transpose", "x = ph('x', [2, 3, 4]); out = tf.matrix_transpose(x)", "x"),
    ("slice", F + "out = tf.slice(x, [0, 1], [2, -1])", "x"),
    ("strided_slice_x_0", F + "out = x[0]", "x"),
    ("strided_slice_x_all_1", F + "out = x[:, 1:]", "x"),
    ("strided_slice_ellipsis_newaxis", F + "out = x[..., tf.newaxis, ::2]", "x"),
    ("strided_slice_tensor_index", F + "n = ph('n', [], tf.int32); out = x[n]", "x"),
    ("strided_slice_twice", F + "out = x[0] + x[1]", "x"),
    ("tile", F + "out = tf.tile(x, [2, 1])", "x"),
    ("pad", F + "out = tf.pad(x, [[1, 1], [0, 2]])", "x"),
    ("pad_value", F + "out = tf.pad(x, [[1, 1], [0, 2]], constant_values=3.0)", "x"),
    ("broadcast_to", "x = ph('x', [3]); out = tf.broadcast_to(x, [2, 3])", "x"),
    ("reverse", F + "out = tf.reverse(x, [1])", "x"),
    ("gather", "x = ph('x', [5, 3]); out = tf.gather(x, [0, 2, 2])", "x"),
    ("gather_axis_1", "x = ph('x', [5, 3]); i = ph('i', [4], tf.int32); out = tf.gather(x, i, axis=1)", "x"),
    ("gather_nd", "x = ph('x', [5, 3]); i = ph('i', [4, 2], tf.int32); out = tf.gather_nd(x, i)", "x"),
    ("embedding_lookup", "x = ph('x', [5, 3]); i = ph('i', [4], tf.int32); out = tf.nn.embedding_lookup(x, i)", "x"),
    ("scatter_nd", "i = ph('i', [4, 1], tf.int32); x = ph('x', [4, 3]); out = tf.scatter_nd(i, x, [7, 3])", "x"),
    ("unsorted_segment_sum", F + "i = ph('i', [2], tf.int32); out = tf.unsorted_segment_sum(x, i, 4)", "x"),
    ("boolean_mask", F + "p = ph('p', [2], tf.bool); out = tf.boolean_mask(x, p)", "x"),
    ("sequence_mask", "i = ph('i', [4], tf.int32); out = tf.sequence_mask(i, 5)", None),
    ("top_k", F + "out = tf.nn.top_k(x, 2)[0]", "x"),
    ("shape", F + "out = tf.shape(x)", None),
    ("shape_unknown", "x = ph('x', [None, 3]); out = tf.shape(x)", None),
    ("shape_unknown_item", "x = ph('x', [None, 3]); out = tf.shape(x)[0]", None),
    ("size", F + "out = tf.size(x)", None),
    ("size_unknown", "x = ph('x', [None, 3]); out = tf.size(x)", None),
    ("rank", F + "out = tf.rank(x)", None),
    ("rank_unknown", "x = ph('x', None); out = tf.rank(x)", None),
    ("identity", F + "out = tf.identity(x)", "x"),
    ("stop_gradient", F + "out = x * tf.stop_gradient(x)", "x"),
    ("zeros_like", F + "out = tf.zeros_like(x)", None),
    ("zeros_like_unknown", "x = ph('x', [None, 3]); out = tf.zeros_like(x)", None),
    ("ones_like", F + "out = tf.ones_like(x)", None),
    ("ones_like_unknown", "x = ph('x', [None, 3]); out = tf.ones_like(x)", None),
    ("eye", "out = tf.eye(3)", None),
    ("diag_part", "x = ph('x', [3, 3]); out = tf.matrix_diag_part(x)", "x"),
    ("trace", "x = ph('x', [3, 3]); out = tf.trace(x)", "x"),
    ("tensordot", "x = ph('x', [2, 3]); y = ph('y', [3, 4]); out = tf.tensordot(x, y, 1)", "x, y"),
    ("einsum", "x = ph('x', [2, 3]); y = ph('y', [3, 4]); out = tf.einsum('ij,jk->ik', x, y)", "x, y"),
    ("softmax_axis_0", F + "out = tf.nn.softmax(x, axis=0)", "x"),
    ("softmax_rank_3", "x = ph('x', [2, 3, 4]); out = tf.nn.softmax(x)", "x"),
    ("softmax_cross_entropy_with_logits", FF + "out = tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=x)", "x"),
    ("softmax_cross_entropy_with_logits_v2", FF + "out = tf.nn.softmax_cross_entropy_with_logits_v2(labels=y, logits=x)", "x, y"),
    ("softmax_cross_entropy_with_logits_v2_rank_3", "x = ph('x', [2, 3, 4]); y = ph('y', [2, 3, 4]); out = tf.nn.softmax_cross_entropy_with_logits_v2(labels=y, logits=x)", "x"),
    ("sparse_softmax_cross_entropy_with_logits", "i = ph('i', [2], tf.int32); " + F + "out = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=i, logits=x)", "x"),
    ("sparse_softmax_cross_entropy_with_logits_rank_3", "i = ph('i', [2, 3], tf.int32); x = ph('x', [2, 3, 4]); out = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=i, logits=x)", "x"),
    ("sparse_softmax_cross_entropy_with_logits_unknown_batch", "i = ph('i', [None], tf.int32); x = ph('x', [None, 3]); out = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=i, logits=x)", "x"),
    ("sigmoid_cross_entropy_with_logits", FF + "out = tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=x)", "x"),
    ("bias_add", "x = ph('x', [2, 3]); b = ph('b', [3]); out = tf.nn.bias_add(x, b)", "x, b"),
    ("xw_plus_b", "x = ph('x', [2, 3]); w = ph('w', [3, 4]); b = ph('b', [4]); out = tf.nn.xw_plus_b(x, w, b)", "x, w, b"),
    ("l2_loss", F + "out = tf.nn.l2_loss(x)", "x"),
    ("l2_normalize", F + "out = tf.nn.l2_normalize(x, 1)", "x"),
    ("moments", F + "out = list(tf.nn.moments(x, [0]))", "x"),
    ("dropout", F + "out = tf.nn.dropout(x, keep_prob=0.5, seed=1)", "x"),
    ("norm", F + "out = tf.norm(x)", "x"),
    ("random_uniform", "out = tf.random_uniform([2, 3], seed=5)", None),
    ("random_uniform_range", "out = tf.random_uniform([2, 3], -0.1, 0.1, seed=5)", None),
    ("random_uniform_int", "out = tf.random_uniform([2, 3], 0, 10, tf.int32, seed=5)", None),
    ("random_normal", "out = tf.random_normal([2, 3], 0.0, 0.5, seed=5)", None),
    ("truncated_normal", "out = tf.truncated_normal([2, 3], 0.0, 0.5, seed=5)", None),
    ("random_no_seed", "a = tf.random_uniform([2]); b = tf.random_uniform([2]); out = [a, b]", None),
    ("random_graph_seed_only", "tf.set_random_seed(1); a = tf.random_uniform([2]); c = tf.constant(0.0); b = tf.random_uniform([2]); out = [a, b]", None),
    ("random_both_seeds", "tf.set_random_seed(1); a = tf.random_uniform([2], seed=5); b = tf.random_normal([2], seed=0); out = [a, b]", None),
    ("random_shuffle", F + "out = tf.random_shuffle(x, seed=3)", None),
    ("multinomial", F + "out = tf.multinomial(x, 4, seed=3)", None),
    ("no_op", "out = tf.no_op()", None),
    ("group", "a = tf.no_op('a'); b = tf.no_op('b'); out = [tf.group(a, b), tf.group(), tf.group(a)]", None),
    ("tuple", FF + "out = tf.tuple([x, y])", "x, y"),
    ("control_dependencies", F + "a = tf.no_op('a')\nwith tf.control_dependencies([a, x]):\n  out = tf.identity(x) + 1.0", "x"),
    ("with_dependencies_const", F + "with tf.control_dependencies([x]):\n  out = [tf.constant(1.0), tf.zeros([2]), tf.no_op()]", None),
    ("Assert", F + "out = tf.Assert(tf.reduce_all(x > 0.0), [x, 'must be positive'])", None),
    ("assert_positive", F + "out = tf.assert_positive(x)", None),
    ("assert_equal", FF + "out = tf.assert_equal(x, y)", None),
    ("Print", F + "out = tf.Print(x, [x, tf.shape(x)], message='x is ')", "x"),
    ("print_v2", F + "out = tf.print('x is', x)", None),
    ("check_numerics", F + "out = tf.check_numerics(x, 'bad x')", "x"),
    ("clip_by_value", F + "out = tf.clip_by_value(x, -1.0, 1.0)", "x"),
    ("clip_by_norm", F + "out = tf.clip_by_norm(x, 5.0)", "x"),
    ("global_norm", FF + "out = tf.global_norm([x, y])", "x, y"),
    ("clip_by_global_norm", FF + "out = tf.clip_by_global_norm([x, y], 5.0)", None),
    ("conv2d", "x = ph('x', [1, 5, 5, 2]); w = ph('w', [3, 3, 2, 4]); out = tf.nn.conv2d(x, w, strides=[1, 1, 1, 1], padding='SAME')", "x, w"),
    ("max_pool", "x = ph('x', [1, 4, 4, 2]); out = tf.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], 'VALID')", "x"),
    ("dense_tanh_unrolled_twice", "x = ph('x', [2, 3]); w = ph('w', [3, 3]); b = ph('b', [3])\nh = tf.tanh(tf.matmul(x, w) + b)\nout = tf.tanh(tf.matmul(h, w) + b)", "w, b"),
]

GRADIENTS = [
    ("twice", F + "out = x * x\ng1 = tf.gradients(out, x)\ng2 = tf.gradients(out, x)", "g1, g2"),
    ("named", F + "g = tf.gradients(x * x, x, name='my_grads')", "g"),
    ("second_order", F + "g = tf.gradients(x * x * x, x)\nh = tf.gradients(g, x)", "g, h"),
    ("grad_ys", FF + "g = tf.gradients(x * x, x, grad_ys=y)", "g"),
    ("grad_ys_list_with_none", FF + "a = x * x\nb = tf.tanh(x)\ng = tf.gradients([a, b], x, grad_ys=[None, y])", "g"),
    ("several_ys", F + "a = x * x\nb = tf.tanh(x)\ng = tf.gradients([a, b], x)", "g"),
    ("same_y_twice", F + "a = x * x\ng = tf.gradients([a, a], x)", "g"),
    ("x_is_y", F + "g = tf.gradients(x, x)", "g"),
    ("x_is_y_and_more", F + "a = x * 2.0\ng = tf.gradients([x, a], x)", "g"),
    ("intermediate", F + "a = tf.tanh(x)\nb = tf.exp(a)\ng = tf.gradients(b, [a, x])", "g"),
    ("fan_out_2", F + "a = tf.tanh(x)\nout = tf.exp(a) + tf.sin(a)\ng = tf.gradients(out, x)", "g"),
    ("fan_out_3_with_broadcast", F + "b = ph('b', [3])\nout = (x + b) * (x - b) * b\ng = tf.gradients(out, [x, b])", "g"),
    ("two_fan_outs", FF + "a = x * y\nout = a * x + a * y\ng = tf.gradients(out, [x, y])", "g"),
    ("unconnected", FF + "g = tf.gradients(x * 2.0, [x, y])", "g"),
    ("unconnected_zero", FF + "g = tf.gradients(x * 2.0, [x, y], unconnected_gradients='zero')", "g"),
    ("stop_gradients", FF + "a = tf.tanh(x)\ng = tf.gradients(a * x, x, stop_gradients=[a])", "g"),
    ("through_stop_gradient", F + "g = tf.gradients(tf.stop_gradient(x) * 2.0, x)", "g"),
    ("aggregation_add_n", F + "a = tf.tanh(x)\ng = tf.gradients(a * a * a, x, aggregation_method=tf.AggregationMethod.ADD_N)", "g"),
    ("aggregation_accumulate_tree", F + "a = tf.tanh(x)\ng = tf.gradients(a * a * a, x, aggregation_method=tf.AggregationMethod.EXPERIMENTAL_TREE)", "g"),
    ("gate_gradients", "x = ph('x', [2, 3]); y = ph('y', [3, 4])\ng = tf.gradients(tf.matmul(x, y), [x, y], gate_gradients=True)", "g"),
    ("colocate", F + "g = tf.gradients(tf.tanh(x), x, colocate_gradients_with_ops=True)", "g"),
    ("inside_name_scope", F + "with tf.name_scope('train'):\n  g = tf.gradients(x * x, x)", "g"),
    ("of_scoped_ops", F + "with tf.name_scope('layer'):\n  a = tf.tanh(x * 2.0)\ng = tf.gradients(a, x)", "g"),
    ("float64", "x = ph('x', [2, 3], tf.float64)\ng = tf.gradients(x * x, x)", "g"),
    ("of_variable", "v = tf.get_variable('v', [3], initializer=tf.zeros_initializer())\ng = tf.gradients(v * v, v)", "g"),
    ("gather_of_variable", "v = tf.get_variable('v', [5, 3], initializer=tf.zeros_initializer())\ng = tf.gradients(tf.gather(v, [0, 2, 2]), v)\ng = [g[0].values, g[0].indices, g[0].dense_shape]", "g"),
    ("two_gathers_of_variable", "v = tf.get_variable('v', [5, 3], initializer=tf.zeros_initializer())\ng = tf.gradients(tf.reduce_sum(tf.gather(v, [0, 2])) + tf.reduce_sum(tf.gather(v, [1])), v)\ng = [g[0].values, g[0].indices, g[0].dense_shape]", "g"),
    ("gather_and_dense_of_variable", "v = tf.get_variable('v', [5, 3], initializer=tf.zeros_initializer())\ng = tf.gradients(tf.reduce_sum(tf.gather(v, [0, 2])) + tf.reduce_sum(v), v)", "g"),
    ("integer_path", "x = ph('x', [2]); g = tf.gradients(tf.cast(tf.cast(x, tf.int32), tf.float32), x)", "g"),
    ("hessians", "x = ph('x', [3])\ng = tf.hessians(tf.reduce_sum(x * x * x), x)", "g"),
]

SCOPES = [
    ("unique_names", "a = tf.identity(ph('x', [2])); b = tf.identity(a); c = tf.identity(b, name='Identity_1'); d = tf.identity(c); out = [a, b, c, d]"),
    ("suffix_taken", "a = tf.no_op('a_1'); b = tf.no_op('a'); c = tf.no_op('a'); d = tf.no_op('a'); out = [a, b, c, d]"),
    ("case_insensitive", "a = tf.no_op('Foo'); b = tf.no_op('foo'); c = tf.no_op('FOO'); out = [a, b, c]"),
    ("scope_then_op_of_that_name", "with tf.name_scope('s'):\n  a = tf.no_op('a')\nb = tf.no_op('s'); c = tf.no_op('s/a')\nout = [a, b, c]"),
    ("op_then_scope_of_that_name", "a = tf.no_op('s')\nwith tf.name_scope('s'):\n  b = tf.no_op('a')\nout = [a, b]"),
    ("slash_in_op_name_marks_parents", "a = tf.no_op('p/q'); b = tf.no_op('p'); out = [a, b]"),
    ("name_ending_in_slash", "a = tf.no_op('s'); b = tf.no_op('t/u/'); out = [a, b]"),
    ("name_scope_nested", "with tf.name_scope('a'):\n  n1 = tf.no_op('x')\n  with tf.name_scope('b'):\n    n2 = tf.no_op('x'); n3 = tf.no_op('x')\n  with tf.name_scope('b'):\n    n4 = tf.no_op('x')\nout = [n1, n2, n3, n4]"),
    ("name_scope_twice", "with tf.name_scope('a'):\n  n1 = tf.no_op('x')\nwith tf.name_scope('a'):\n  n2 = tf.no_op('x')\nwith tf.name_scope('a'):\n  n3 = tf.no_op('x')\nout = [n1, n2, n3]"),
    ("name_scope_reentered", "with tf.name_scope('a') as scope:\n  n1 = tf.no_op('x')\nwith tf.name_scope(scope):\n  n2 = tf.no_op('x'); n3 = tf.no_op('y')\nwith tf.name_scope('a/'):\n  n4 = tf.no_op('y')\nout = [n1, n2, n3, n4]"),
    ("name_scope_none", "with tf.name_scope('a'):\n  with tf.name_scope(None):\n    n1 = tf.no_op('x')\n  with tf.name_scope(''):\n    n2 = tf.no_op('x')\nout = [n1, n2]"),
    ("name_scope_of_result", "with tf.name_scope('loss') as scope:\n  x = ph('x', [2]); n1 = tf.reduce_sum(x * x, name=scope)\nout = n1"),
    ("name_scope_with_slash", "with tf.name_scope('a/b'):\n  n1 = tf.no_op('x')\nwith tf.name_scope('a'):\n  n2 = tf.no_op('x')\nwith tf.name_scope('a/b'):\n  n3 = tf.no_op('x')\nout = [n1, n2, n3]"),
    ("composite_function_names", "a = tf.constant([1.0, 2.0]); b = tf.nn.moments(a, [0], name='m'); c = tf.nn.moments(a, [0]); d = tf.nn.l2_normalize(a, 0); e = tf.nn.l2_normalize(a, 0); out = list(b) + list(c) + [d, e]"),
    ("unique_name_of_numbered", "a = tf.no_op('a_1'); b = tf.no_op('a_1'); c = tf.no_op('a_1'); out = [a, b, c]"),
    ("variable_scope", "with tf.variable_scope('s'):\n  v = tf.get_variable('v', [2]); n = tf.no_op('x')\nout = [v, n]"),
    ("variable_scope_twice", "with tf.variable_scope('s'):\n  v = tf.get_variable('v', [2]); n1 = tf.no_op('x')\nwith tf.variable_scope('s'):\n  w = tf.get_variable('w', [2]); n2 = tf.no_op('x')\nout = [v, n1, w, n2]"),
    ("variable_scope_reuse", "with tf.variable_scope('s'):\n  v = tf.get_variable('v', [2]); n1 = tf.no_op('x')\nwith tf.variable_scope('s', reuse=True):\n  w = tf.get_variable('v', [2]); n2 = tf.no_op('x'); a = w + 1.0\nassert v is w\nout = [v, n1, w, n2, a]"),
    ("variable_scope_reuse_object", "with tf.variable_scope('s') as scope:\n  v = tf.get_variable('v', [2]); n1 = tf.no_op('x')\nwith tf.variable_scope(scope, reuse=True):\n  w = tf.get_variable('v', [2]); n2 = tf.no_op('x')\nwith tf.variable_scope(scope, auxiliary_name_scope=False):\n  n3 = tf.no_op('x')\nout = [v, n1, w, n2, n3]"),
    ("variable_scope_reuse_variables", "with tf.variable_scope('s') as scope:\n  v = tf.get_variable('v', [2])\n  scope.reuse_variables()\n  w = tf.get_variable('v')\nout = [v, w]"),
    ("variable_scope_auto_reuse", "out = []\nfor _ in range(2):\n  with tf.variable_scope('s', reuse=tf.AUTO_REUSE):\n    out += [tf.get_variable('v', [2]), tf.no_op('x')]"),
    ("variable_scope_nested", "with tf.variable_scope('a'):\n  with tf.variable_scope('b'):\n    v = tf.get_variable('v', [2]); n1 = tf.no_op('x')\n  with tf.variable_scope('b', reuse=True):\n    w = tf.get_variable('v', [2]); n2 = tf.no_op('x')\nwith tf.variable_scope('a/b', reuse=True):\n  u = tf.get_variable('v', [2]); n3 = tf.no_op('x')\nout = [v, n1, w, n2, u, n3]"),
    ("reuse_is_inherited", "with tf.variable_scope('a'):\n  with tf.variable_scope('b'):\n    v = tf.get_variable('v', [2])\nwith tf.variable_scope('a', reuse=True):\n  with tf.variable_scope('b'):\n    w = tf.get_variable('v', [2])\nout = [v, w]"),
    ("variable_scope_default_name", "out = []\nfor _ in range(3):\n  with tf.variable_scope(None, default_name='dense'):\n    out += [tf.get_variable('v', [2]), tf.no_op('x')]"),
    ("name_scope_around_variable_scope", "with tf.name_scope('n'):\n  with tf.variable_scope('s'):\n    v = tf.get_variable('v', [2]); n1 = tf.no_op('x')\n  u = tf.Variable(1.0, name='u')\nout = [v, n1, u]"),
    ("name_scope_inside_variable_scope", "with tf.variable_scope('s'):\n  with tf.name_scope('n'):\n    v = tf.get_variable('v', [2]); u = tf.Variable(1.0, name='u'); n1 = tf.no_op('x')\nout = [v, u, n1]"),
    ("variable_scope_initializer", "with tf.variable_scope('s', initializer=tf.constant_initializer(3.0)):\n  v = tf.get_variable('v', [2])\n  with tf.variable_scope('t'):\n    w = tf.get_variable('w', [2])\nout = [v, w]"),
    ("variable_scope_dtype", "with tf.variable_scope('s', dtype=tf.float64):\n  v = tf.get_variable('v', [2])\nout = [v]"),
    ("variable_names_differ_by_case", "a = tf.get_variable('W', [2]); b = tf.get_variable('w', [2]); out = [a, b]"),
    ("variable_name_taken_by_op", "n = tf.no_op('v'); v = tf.get_variable('v', [2]); out = [n, v]"),
    ("Variable_in_scopes", "out = []\nfor _ in range(2):\n  with tf.variable_scope('s'):\n    out += [tf.Variable(1.0), tf.Variable(2.0, name='v')]"),
    ("static_rnn_twice", "xs = [ph('x', [2, 3])] * 2; cell = tf.nn.rnn_cell.BasicRNNCell(4)\na, _ = tf.nn.static_rnn(cell, xs, dtype=tf.float32, scope='one'); b, _ = tf.nn.static_rnn(cell, xs, dtype=tf.float32, scope='two')\nout = a + b"),
    ("static_rnn_zero_state", "xs = [ph('x', [2, 3])] * 2\nout, _ = tf.nn.static_rnn(tf.nn.rnn_cell.BasicRNNCell(4), xs, dtype=tf.float32)"),
    ("static_rnn_lstm", "xs = [ph('x', [2, 3])] * 2\nout, _ = tf.nn.static_rnn(tf.nn.rnn_cell.BasicLSTMCell(4), xs, dtype=tf.float32)"),
    ("static_rnn_gru", "xs = [ph('x', [2, 3])] * 2\nout, _ = tf.nn.static_rnn(tf.nn.rnn_cell.GRUCell(4), xs, dtype=tf.float32)"),
    ("dynamic_rnn", "x = ph('x', [2, 5, 3])\nout, _ = tf.nn.dynamic_rnn(tf.nn.rnn_cell.BasicRNNCell(4), x, dtype=tf.float32)"),
]

INITIALIZERS = [
    ("default", ""), ("default_scalar", None), ("zeros", "tf.zeros_initializer()"), ("ones", "tf.ones_initializer()"),
    ("constant", "tf.constant_initializer(0.5)"), ("constant_list", "tf.constant_initializer([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])"),
    ("random_uniform", "tf.random_uniform_initializer(-0.1, 0.1, seed=5)"),
    ("random_normal", "tf.random_normal_initializer(0.0, 0.5, seed=5)"),
    ("truncated_normal", "tf.truncated_normal_initializer(0.0, 0.5, seed=5)"),
    ("variance_scaling", "tf.variance_scaling_initializer(seed=5)"),
    ("variance_scaling_uniform_fan_avg", "tf.variance_scaling_initializer(2.0, 'fan_avg', 'uniform', seed=5)"),
    ("variance_scaling_untruncated", "tf.variance_scaling_initializer(2.0, 'fan_out', 'untruncated_normal', seed=5)"),
    ("uniform_unit_scaling", "tf.uniform_unit_scaling_initializer(seed=5)"),
    ("glorot_uniform", "tf.glorot_uniform_initializer(seed=5)"), ("glorot_normal", "tf.glorot_normal_initializer(seed=5)"),
    ("he_normal", "tf.initializers.he_normal(seed=5)"), ("he_uniform", "tf.initializers.he_uniform(seed=5)"),
    ("lecun_normal", "tf.initializers.lecun_normal(seed=5)"),
    ("orthogonal", "tf.orthogonal_initializer(seed=5)"), ("identity", "tf.initializers.identity()"),
]

VARIABLES = [
    *[("get_variable_" + n,
       "v = tf.get_variable('v', [3, 2]%s)\nout = v" % (", initializer=" + code if code else "") if code is not None
       else "v = tf.get_variable('v', [])\nout = v") for n, code in INITIALIZERS],
    ("get_variable_int32", "out = tf.get_variable('v', [3], tf.int32)"),
    ("get_variable_bool", "out = tf.get_variable('v', [3], tf.bool)"),
    ("get_variable_float64", "out = tf.get_variable('v', [3, 2], tf.float64)"),
    ("get_variable_zeros_large", "out = tf.get_variable('v', [1000], initializer=tf.zeros_initializer())"),
    ("get_variable_zeros_1001", "out = tf.get_variable('v', [1001], initializer=tf.zeros_initializer())"),
    ("get_variable_from_tensor", "out = tf.get_variable('v', initializer=tf.constant([1.0, 2.0]))"),
    ("get_variable_from_array", "out = tf.get_variable('v', initializer=np.float32([1.0, 2.0]))"),
    ("get_variable_graph_seed", "tf.set_random_seed(1)\na = tf.get_variable('a', [3, 2]); b = tf.get_variable('b', [3, 2]); out = [a, b]"),
    ("get_variable_not_trainable", "out = tf.get_variable('v', [2], trainable=False)"),
    ("Variable", "out = tf.Variable([1.0, 2.0])"),
    ("Variable_twice", "out = [tf.Variable(1.0), tf.Variable(2.0), tf.Variable(3.0, name='v')]"),
    ("Variable_callable", "out = tf.Variable(lambda: tf.zeros([2]), name='v')"),
    ("Variable_random", "out = tf.Variable(tf.random_uniform([3, 2], -1.0, 1.0, seed=5), name='v')"),
    ("Variable_of_initialized_value", "a = tf.Variable([1.0, 2.0], name='a'); out = [a, tf.Variable(a.initialized_value() * 2.0, name='b')]"),
    ("used_twice", "v = tf.Variable([1.0, 2.0], name='v'); out = [v + 1.0, v * v]"),
    ("read_value", "v = tf.Variable([1.0, 2.0], name='v'); out = [v.read_value(), v.value(), tf.identity(v)]"),
    ("assign", "v = tf.Variable([1.0, 2.0], name='v'); out = [tf.assign(v, [3.0, 4.0]), tf.assign_add(v, [3.0, 4.0]), tf.assign_sub(v, [3.0, 4.0])]"),
    ("assign_method", "v = tf.Variable([1.0, 2.0], name='v'); out = [v.assign(v + 1.0), v.assign_add([1.0, 1.0]), v.assign_sub([1.0, 1.0])]"),
    ("assign_then_use", "v = tf.Variable(1.0, name='v'); out = v.assign(2.0) + 1.0"),
    ("scatter", "v = tf.Variable(tf.zeros([5, 2]), name='v'); out = [tf.scatter_update(v, [0, 1], tf.ones([2, 2])), tf.scatter_add(v, [0, 1], tf.ones([2, 2])), tf.scatter_sub(v, [0, 1], tf.ones([2, 2]))]"),
    ("is_variable_initialized", "v = tf.Variable(1.0, name='v'); out = tf.is_variable_initialized(v)"),
    ("report_uninitialized_variables", "v = tf.Variable(1.0, name='v'); out = tf.report_uninitialized_variables()"),
    ("global_variables_initializer", "a = tf.Variable(1.0, name='a'); b = tf.Variable(2.0, name='b'); out = [tf.global_variables_initializer(), tf.global_variables_initializer(), tf.variables_initializer([a])]"),
    ("global_variables_initializer_empty", "out = tf.global_variables_initializer()"),
    ("global_step", "g = tf.train.get_or_create_global_step(); out = [g, tf.train.get_or_create_global_step()]"),
    ("exponential_decay", "g = tf.train.get_or_create_global_step(); out = tf.train.exponential_decay(0.1, g, 100, 0.96, staircase=True)"),
    ("piecewise_constant", "g = tf.train.get_or_create_global_step(); out = tf.train.piecewise_constant(g, [10, 20], [1.0, 0.1, 0.01])"),
    ("polynomial_decay", "g = tf.train.get_or_create_global_step(); out = tf.train.polynomial_decay(0.1, g, 100)"),
    ("inverse_time_decay", "g = tf.train.get_or_create_global_step(); out = tf.train.inverse_time_decay(0.1, g, 100, 0.5)"),
    ("natural_exp_decay", "g = tf.train.get_or_create_global_step(); out = tf.train.natural_exp_decay(0.1, g, 100, 0.5)"),
    ("moving_average", "v = tf.Variable([1.0, 2.0], name='v'); ema = tf.train.ExponentialMovingAverage(0.9); out = [ema.apply([v]), ema.average(v)]"),
    ("saver", "v = tf.Variable([1.0, 2.0], name='v'); w = tf.Variable(1.0, name='w'); s = tf.train.Saver(); out = []"),
]

OPTIMIZERS = {
    "GradientDescent": "tf.train.GradientDescentOptimizer(0.1)",
    "Momentum": "tf.train.MomentumOptimizer(0.1, 0.9)",
    "Nesterov": "tf.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True)",
    "Adagrad": "tf.train.AdagradOptimizer(0.1)",
    "Adam": "tf.train.AdamOptimizer(0.1)",
}
MORE_OPTIMIZERS = {
    "RMSProp": "tf.train.RMSPropOptimizer(0.1)",
    "RMSProp_centered": "tf.train.RMSPropOptimizer(0.1, momentum=0.9, centered=True)",
    "Adadelta": "tf.train.AdadeltaOptimizer(0.1)",
    "Ftrl": "tf.train.FtrlOptimizer(0.1)",
}
QUADRATIC = "v = tf.get_variable('v', initializer=np.float32([1.0, 2.0])); w = tf.get_variable('w', initializer=np.float32(3.0))\nloss = tf.reduce_sum(v * v) * w\n"
GATHER = "v = tf.get_variable('v', initializer=np.float32([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))\nloss = tf.reduce_sum(tf.square(tf.gather(v, [0, 2, 2])))\n"
OPTIMIZER_CASES = [
    *[("%s_quadratic" % n, QUADRATIC + "step = tf.train.get_or_create_global_step()\nout = %s.minimize(loss, global_step=step)" % code)
      for n, code in {**OPTIMIZERS, **MORE_OPTIMIZERS}.items()],
    *[("%s_gather" % n, GATHER + "step = tf.train.get_or_create_global_step()\nout = %s.minimize(loss, global_step=step)" % code)
      for n, code in OPTIMIZERS.items()],
    ("no_global_step", QUADRATIC + "out = tf.train.AdagradOptimizer(0.1).minimize(loss)"),
    ("one_variable", "v = tf.get_variable('v', initializer=np.float32([1.0, 2.0]))\nloss = tf.reduce_sum(v * v)\nout = tf.train.AdagradOptimizer(0.1).minimize(loss)"),
    ("named", QUADRATIC + "out = tf.train.AdagradOptimizer(0.1, name='my_adagrad').minimize(loss, name='train_step')"),
    ("var_list", QUADRATIC + "out = tf.train.AdagradOptimizer(0.1).minimize(loss, var_list=[w])"),
    ("two_optimizers", QUADRATIC + "a = tf.train.AdagradOptimizer(0.1).minimize(loss)\nb = tf.train.AdagradOptimizer(0.2).minimize(loss)\nout = [a, b]"),
    ("same_optimizer_twice", QUADRATIC + "opt = tf.train.MomentumOptimizer(0.1, 0.9)\na = opt.minimize(loss)\nb = opt.minimize(loss * 2.0)\nout = [a, b]"),
    ("learning_rate_tensor", QUADRATIC + "lr = ph('lr', [])\nout = tf.train.GradientDescentOptimizer(lr).minimize(loss)"),
    ("inside_name_scope", QUADRATIC + "with tf.name_scope('train'):\n  out = tf.train.AdagradOptimizer(0.1).minimize(loss)"),
    ("inside_variable_scope", QUADRATIC + "with tf.variable_scope('train'):\n  out = tf.train.AdagradOptimizer(0.1).minimize(loss)"),
    ("variables_in_scope", "with tf.variable_scope('s'):\n  v = tf.get_variable('v', initializer=np.float32([1.0, 2.0]))\nloss = tf.reduce_sum(v * v)\nout = tf.train.AdamOptimizer(0.1).minimize(loss)"),
    ("clipped", QUADRATIC + "opt = tf.train.AdagradOptimizer(0.1)\ngv = opt.compute_gradients(loss)\nclipped, norm = tf.clip_by_global_norm([g for g, _ in gv], 5.0)\nout = opt.apply_gradients(zip(clipped, [v for _, v in gv]))"),
    ("Adam_gather_one_index", "v = tf.get_variable('v', [3, 2])\nloss = tf.reduce_sum(tf.gather(v, [1]))\nout = tf.train.AdamOptimizer(0.1).minimize(loss)"),
    *[("%s_float64" % n, QUADRATIC.replace("float32", "float64") + "out = %s.minimize(loss)" % code) for n, code in OPTIMIZERS.items()],
    *[("%s_gather_float64" % n, GATHER.replace("float32", "float64") + "out = %s.minimize(loss)" % code) for n, code in OPTIMIZERS.items()],
    ("random_initialized_variable", "v = tf.get_variable('v', [3, 2])\nloss = tf.reduce_sum(v * v)\nout = tf.train.AdagradOptimizer(0.1).minimize(loss)"),
]


def run_code(code, graph):
    space = {"tf": tf, "np": np, "ph": lambda name, shape, dtype=tf.float32: tf.placeholder(dtype, shape, name=name)}
    exec(compile(code, "<case>", "exec"), space)
    return space


def make_names():
    make_tutorial_names()

    cases = []
    for name, code, wrt in FORWARD:
        with tf.Graph().as_default() as graph:
            space = run_code(code, graph)
            before = len(graph.get_operations())
            case = {"case": name, "code": code, "outputs": Line(names_of(space["out"])),
                    "nodes": node_lines(graph.get_operations())}
            if wrt:
                xs = list(eval("[%s]" % wrt, space))
                try:
                    grads = tf.gradients(space["out"], xs)
                    if any(isinstance(g, tf.IndexedSlices) for g in grads):
                        grads = [[g.values, g.indices, g.dense_shape] if isinstance(g, tf.IndexedSlices) else g for g in grads]
                    case["gradients"] = {"of": Line(names_of(xs)), "are": Line(names_of(grads)),
                                         "nodes": node_lines(graph.get_operations()[before:])}
                except (LookupError, TypeError, ValueError, NotImplementedError) as e:
                    case["gradients"] = {"of": Line(names_of(xs)), "error": str(e).split(". ")[0]}
            cases.append(case)
    write_cases("names/forward.json", "Each function alone in a graph, then tf.gradients(outputs, of): the nodes each adds, in order.", cases)

    def simple(table, result):
        cases = []
        for name, code, *rest in table:
            with tf.Graph().as_default() as graph:
                space = run_code(code, graph)
                case = {"case": name, "code": code,
                        "outputs": Line(names_of(eval("[%s]" % rest[0], space) if rest else space[result]))}
                if graph.get_collection("variables"):
                    case["global_variables"] = Line(names_of(tf.global_variables()))
                    case["trainable_variables"] = Line(names_of(tf.trainable_variables()))
                case["nodes"] = node_lines(graph.get_operations())
                cases.append(case)
        return cases

    write_cases("names/gradients.json", "tf.gradients in particular situations.", simple(GRADIENTS, None))
    write_cases("names/scopes.json", "Name scopes, variable scopes, reuse, unique names.", simple(SCOPES, "out"))
    write_cases("names/variables.json", "Variables, initializers, assignment, schedules.", simple(VARIABLES, "out"))
    write_cases("names/optimizers.json", "Optimizer.minimize: gradients, slots, updates.", simple(OPTIMIZER_CASES, "out"))


def write_cases(path, what, cases):
    dump(path, {"oracle": ORACLE, "what": what + " A node: [name, type, inputs, output types, attributes].", "cases": cases})


# ---------------------------------------------------------------------------------------------------------- tutorial


def roles_of(steps):
    """What each fetched value is, for the corpus's tutorial cases: they all have the same 44 steps.

    0 set_variables; then twenty times gradients and a training step; the predictions; the variables; the slots.
    """
    variables = [v for v in ("rnn_cell/W", "rnn_cell/b", "rnn/basic_rnn_cell/kernel", "rnn/basic_rnn_cell/bias",
                             "softmax/W", "softmax/b") if v in steps[0]["values"]]
    shapes = [steps[0]["values"][v]["shape"] for v in variables]
    roles = [None]
    for k, step in enumerate(steps[1:], 1):
        n = len(step["fetches"])
        if k <= 40 and k % 2 == 1:
            role, targets = ["gradient:" + v for v in variables], []
        elif k <= 40:
            role, targets = ["losses:%d" % t for t in range(n - 2)] + ["total_loss", "final_state"], ["Adagrad"]
        elif k == 41:
            role, targets = ["predictions:%d" % t for t in range(n - 1)] + ["total_loss"], []
        else:
            role, targets = [("variable:" if k == 42 else "slot:") + v + ("" if k == 42 else "/Adagrad") for v in variables], []
        assert step["kind"] == "run" and step["targets"] == targets and len(role) == n, (k, step)
        if role[0].split(":")[0] in ("gradient", "variable", "slot"):
            assert [r["shape"] for r in step["results"]] == shapes, (k, step)
        roles.append(role)
    assert len(steps) == 44
    return variables, roles


def make_tutorial(corpus):
    folder = os.path.join(corpus, "cases/tutorial/generated/tutorial")
    for model in ("manual", "static_rnn"):
        name = "%s_T5_N4_batch8" % model
        with zipfile.ZipFile(os.path.join(folder, name + "_resource.zip")) as archive:
            case = json.loads(archive.read("0/case.json"))
            graph = tf.GraphDef.FromString(archive.read("0/graph.pb"))
            rate = [tf.make_ndarray(n.attr["value"].tensor) for n in graph.node if n.name == "Adagrad/learning_rate"]
            variables, roles = roles_of(case["steps"])
            steps = []
            for step, role in zip(case["steps"], roles):
                if role:
                    step = {k: step[k] for k in ("kind", "feeds", "fetches", "targets", "results")}
                    step["roles"] = role
                steps.append({k: Line(v) if k != "kind" else v for k, v in step.items()})
            dump("tutorial/%s.json" % name, {
                "format": 1,
                "oracle": case["oracle"],
                "what": "Twenty training steps of the tutorial (see README.md); arrays are members of the .npz beside.",
                "model": model, "num_steps": 5, "state_size": 4, "num_classes": 2, "batch_size": 8,
                "optimizer": "Adagrad", "learning_rate": plain(np.float32(rate[0])),
                "variables": variables,
                "steps": steps,
            })
            members = sorted({m for m in archive.namelist() if m.endswith(".npy")}, key=lambda m: int(re.search(r"\d+(?=\.npy)", m).group()))
            arrays = {m.split("/")[1]: archive.read(m) for m in members}
        write_npz("tutorial/%s.npz" % name, arrays)


def write_npz(path, members):
    """An .npz is a zip of .npy members. Written by hand, so that the bytes depend on the values alone."""
    path = os.path.join(HERE, path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for name, data in members.items():
            if isinstance(data, np.ndarray):
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, np.require(data, requirements="C"), version=(1, 0))
                data = buffer.getvalue()
            info = zipfile.ZipInfo(name if name.endswith(".npy") else name + ".npy", (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            out.writestr(info, data)
    print("%8d  %s" % (os.path.getsize(path), os.path.relpath(path, HERE)))


# -------------------------------------------------------------------------------------------------------- optimizers


def make_optimizers():
    arguments = {
        "GradientDescent": ("GradientDescentOptimizer", {"learning_rate": 0.1}),
        "Momentum": ("MomentumOptimizer", {"learning_rate": 0.1, "momentum": 0.9}),
        "Nesterov": ("MomentumOptimizer", {"learning_rate": 0.1, "momentum": 0.9, "use_nesterov": True}),
        "Adagrad": ("AdagradOptimizer", {"learning_rate": 0.1, "initial_accumulator_value": 0.1}),
        "Adam": ("AdamOptimizer", {"learning_rate": 0.1, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-08}),
        "RMSProp": ("RMSPropOptimizer", {"learning_rate": 0.1, "decay": 0.9, "momentum": 0.5, "epsilon": 1e-10}),
    }
    initial = [[0.5, -1.25], [2.0, 0.75], [-0.5, 1.5], [1.0, -2.0]]
    scale, target, indices, steps = [[0.5, 1.0], [2.0, 0.25], [1.5, 0.75], [0.1, 1.25]], 0.3, [2, 0, 2], 6
    runs, arrays = [], {}
    for name, (optimizer, options) in arguments.items():
        for sparse in (False, True):
            for dtype in (tf.float32, tf.float64):
                with tf.Graph().as_default(), tf.Session() as sess:
                    np_dtype = dtype.as_numpy_dtype
                    v = tf.get_variable("v", initializer=np_dtype(initial))
                    a = np_dtype(scale)[indices] if sparse else np_dtype(scale)
                    rows = tf.gather(v, indices) if sparse else v
                    loss = tf.reduce_sum(a * tf.square(rows - np_dtype(target)))
                    opt = getattr(tf.train, optimizer)(**options)
                    (grad, _), = grads = opt.compute_gradients(loss)
                    step = opt.apply_gradients(grads)
                    held = [u for u in tf.global_variables()]
                    sess.run(tf.global_variables_initializer())
                    values, gradients, losses = [sess.run(held)], [], []
                    for _ in range(steps):
                        got = sess.run([loss, grad.values, grad.indices] if sparse else [loss, grad])
                        losses.append(got[0])
                        gradients.append(got[1])
                        assert not sparse or got[2].tolist() == indices
                        sess.run(step)
                        values.append(sess.run(held))
                    run = "%s_%s_%s" % (name, "sparse" if sparse else "dense", dtype.name)

                    def keep(key, rows):
                        arrays["%s/%s" % (run, key)] = np.stack(rows)
                        return "%s/%s.npy" % (run, key)

                    runs.append({
                        "run": run, "optimizer": optimizer, "arguments": Line(options), "dtype": dtype.name,
                        "sparse": sparse, "indices": Line(indices if sparse else None),
                        "loss": keep("loss", losses), "gradient": keep("gradient", gradients),
                        "variables": Line({u.op.name: keep(u.op.name, [row[k] for row in values]) for k, u in enumerate(held)}),
                        "update": [n for n in node_lines(sess.graph.get_operations())
                                   if n.value[1].startswith(("Apply", "SparseApply", "ScatterSub", "Scatter"))],
                    })
    dump("optimizers.json", {
        "oracle": ORACLE,
        "what": "Each optimizer on loss = sum(scale * (v - target)^2), or on the rows gather(v, indices) of v (sparse). "
                "Members of optimizers.npz: variables have steps + 1 rows, the first before any step; loss and gradient "
                "(sparse: the values of the IndexedSlices) have one a step, taken before the update.",
        "initial": Line(initial), "scale": Line(scale), "target": target, "steps": steps, "runs": runs,
    })
    write_npz("optimizers.npz", arrays)


# ------------------------------------------------------------------------------------------------------------ random


def make_random():
    kinds = [
        ("random_uniform", "tf.random_uniform(shape, dtype=dtype, seed=seed)", (tf.float32, tf.float64)),
        ("random_normal", "tf.random_normal(shape, dtype=dtype, seed=seed)", (tf.float32, tf.float64)),
        ("truncated_normal", "tf.truncated_normal(shape, dtype=dtype, seed=seed)", (tf.float32, tf.float64)),
        ("random_uniform_0_10", "tf.random_uniform(shape, 0, 10, dtype, seed=seed)", (tf.int32, tf.int64)),
        ("random_uniform_wide", "tf.random_uniform(shape, -5, 1000003, dtype, seed=seed)", (tf.int32, tf.int64)),
        ("random_uniform_wider", "tf.random_uniform(shape, -5, 1 << 40, dtype, seed=seed)", (tf.int64,)),
    ]
    cases, arrays = [], {}
    for kind, code, dtypes in kinds:
        for dtype in dtypes:
            for graph_seed, op_seed in ((1, 2), (87654321, 5), (7, 0), (0, 0), (None, 3), (7, None)):
                for shape in ([10], [3, 5], [1000]):
                    with tf.Graph().as_default() as graph, tf.Session() as sess:
                        if graph_seed is not None:
                            tf.set_random_seed(graph_seed)
                        out = eval(code, {"tf": tf, "shape": shape, "dtype": dtype, "seed": op_seed})
                        op = next(o for o in graph.get_operations() if "seed2" in o.node_def.attr)
                        key = "%s_%s_%s_%s_%s" % (kind, dtype.name, graph_seed, op_seed, "x".join(map(str, shape)))
                        draws = [sess.run(out) for _ in range(2)]
                        if shape == [1000]:
                            draws = [np.concatenate([d[:16], d[-4:]]) for d in draws]
                        for n, draw in enumerate(draws):
                            arrays["%s/%d" % (key, n)] = draw
                        cases.append(Line({
                            "case": key, "op": op.type, "code": code, "dtype": dtype.name, "shape": shape,
                            "graph_seed": graph_seed, "op_seed": op_seed,
                            "seed": op.get_attr("seed"), "seed2": op.get_attr("seed2"),
                            "runs": ["%s/%d.npy" % (key, n) for n in range(2)],
                        }))
    dump("random.json", {
        "oracle": ORACLE,
        "what": "Seeded random ops, run twice in one session (the second run goes on in the stream). seed and seed2 are the "
                "node's attributes. Members of random.npz; of shape [1000] the first 16 and the last 4 values.",
        "cases": cases,
    })
    write_npz("random.npz", arrays)


# ------------------------------------------------------------------------------------------------------------ errors

ERRORS = [
    ("variable_created_twice", "tf.get_variable('v', [2])\ntf.get_variable('v', [2])"),
    ("variable_created_twice_in_scope", "with tf.variable_scope('s'):\n  tf.get_variable('v', [2])\nwith tf.variable_scope('s'):\n  tf.get_variable('v', [2])"),
    ("reuse_of_absent", "with tf.variable_scope('s', reuse=True):\n  tf.get_variable('v', [2])"),
    ("reuse_with_other_shape", "with tf.variable_scope('s'):\n  tf.get_variable('v', [2])\nwith tf.variable_scope('s', reuse=True):\n  tf.get_variable('v', [3])"),
    ("reuse_with_other_dtype", "with tf.variable_scope('s'):\n  tf.get_variable('v', [2])\nwith tf.variable_scope('s', reuse=True):\n  tf.get_variable('v', [2], tf.float64)"),
    ("auto_reuse_with_other_shape", "with tf.variable_scope('s', reuse=tf.AUTO_REUSE):\n  tf.get_variable('v', [2])\n  tf.get_variable('v', [3])"),
    ("variable_without_shape", "tf.get_variable('v')"),
    ("variable_without_full_shape", "tf.get_variable('v', [None, 2])"),
    ("initializer_with_shape", "tf.get_variable('v', [3], initializer=tf.constant([1.0, 2.0]))"),
    ("constant_initializer_of_other_shape", "tf.get_variable('v', [3], initializer=tf.constant_initializer([1.0, 2.0]))"),
    ("string_dtype_without_initializer", "tf.get_variable('v', [2], tf.string)"),
    ("variable_scope_without_name", "with tf.variable_scope(None):\n  pass"),
    ("bad_op_name", "tf.no_op('a b')"),
    ("bad_scope_name", "with tf.name_scope('a b'):\n  pass"),
    ("uninitialized_variable", "v = tf.get_variable('v', [2])\ntf.Session().run(v)"),
    ("uninitialized_variable_in_update", "v = tf.get_variable('v', [2])\ntf.Session().run(tf.assign_add(v, [1.0, 1.0]))"),
    ("missing_feed", "x = ph('x', [2, 3])\ntf.Session().run(x + 1.0)"),
    ("missing_feed_unknown_shape", "x = ph('x', None)\ntf.Session().run(x + 1.0)"),
    ("feed_of_other_shape", "x = ph('x', [2, 3])\ntf.Session().run(x + 1.0, {x: np.zeros([2, 4])})"),
    ("feed_of_other_rank", "x = ph('x', [None, 3])\ntf.Session().run(x + 1.0, {x: np.zeros([3])})"),
    ("feed_of_other_kind", "x = ph('x', [2], tf.int32)\ntf.Session().run(x + 1, {x: ['a', 'b']})"),
    ("feed_of_fractions_to_int", "x = ph('x', [2], tf.int32)\ntf.Session().run(x + 1, {x: [0.5, 1.5]})"),
    ("feed_of_none", "x = ph('x', [2])\ntf.Session().run(x + 1.0, {x: None})"),
    ("feed_of_tensor", "x = ph('x', [2])\ntf.Session().run(x + 1.0, {x: tf.zeros([2])})"),
    ("feed_of_unknown_name", "x = ph('x', [2])\ntf.Session().run(x + 1.0, {'y:0': [1.0, 2.0]})"),
    ("feed_of_other_graph", "x = ph('x', [2])\nwith tf.Graph().as_default():\n  tf.Session().run(tf.constant(1.0), {x: [1.0, 2.0]})"),
    ("fetch_of_unfed_placeholder", "tf.Session().run(ph('x', [2]))"),
    ("fetch_of_none", "tf.constant(1.0)\ntf.Session().run(None)"),
    ("fetch_of_other_graph", "x = tf.constant(1.0)\nwith tf.Graph().as_default():\n  tf.constant(2.0)\n  tf.Session().run(x)"),
    ("fetch_of_unknown_name", "tf.constant(1.0)\ntf.Session().run('y:0')"),
    ("fetch_in_empty_graph", "tf.Session().run('y:0')"),
    ("closed_session", "x = tf.constant(1.0)\ns = tf.Session()\ns.close()\ns.run(x)"),
    ("matmul_inner_dimensions", "tf.matmul(ph('a', [2, 3]), ph('b', [4, 5]))"),
    ("matmul_ranks", "tf.matmul(ph('a', [3]), ph('b', [3, 5]))"),
    ("matmul_dtypes", "tf.matmul(ph('a', [2, 3]), ph('b', [3, 5], tf.float64))"),
    ("matmul_at_run", "tf.Session().run(tf.matmul(ph('a', None), ph('b', None)), {'a:0': np.zeros([2, 3]), 'b:0': np.zeros([4, 5])})"),
    ("add_shapes", "ph('a', [2, 3]) + ph('b', [4])"),
    ("add_dtypes", "ph('a', [2]) + ph('b', [2], tf.int32)"),
    ("add_at_run", "tf.Session().run(ph('a', None) + ph('b', None), {'a:0': np.zeros([2, 3]), 'b:0': np.zeros([4])})"),
    ("concat_shapes", "tf.concat([ph('a', [2, 3]), ph('b', [3, 3])], 1)"),
    ("concat_axis", "tf.concat([ph('a', [2, 3]), ph('b', [2, 3])], 2)"),
    ("reshape", "tf.reshape(ph('a', [2, 3]), [4, 2])"),
    ("split_uneven", "tf.split(ph('a', [2, 5]), 2, axis=1)"),
    ("unstack_unknown", "tf.unstack(ph('a', [None, 3]))"),
    ("stack_shapes", "tf.stack([ph('a', [2]), ph('b', [3])])"),
    ("gather_out_of_range", "tf.Session().run(tf.gather(tf.constant([1.0, 2.0]), [5]))"),
    ("one_hot_is_zero_out_of_range", "assert tf.Session().run(tf.one_hot([5], 2)).tolist() == [[0.0, 0.0]]"),
    ("sparse_softmax_label_out_of_range", "tf.Session().run(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[5], logits=[[1.0, 2.0]]))"),
    ("sparse_softmax_ranks", "tf.nn.sparse_softmax_cross_entropy_with_logits(labels=ph('i', [4, 1], tf.int32), logits=ph('x', [4, 2]))"),
    ("softmax_positional", "tf.nn.softmax_cross_entropy_with_logits(ph('x', [4, 2]), ph('y', [4, 2]))"),
    ("integer_division_by_zero", "tf.Session().run(tf.constant(1) // tf.constant(0))"),
    ("check_numerics", "tf.Session().run(tf.check_numerics(tf.constant(float('nan')), 'bad x'))"),
    ("assert_false", "tf.Session().run(tf.Assert(tf.constant(False), [tf.constant([1, 2])]))"),
    ("tensor_as_bool", "bool(tf.constant(True))"),
    ("tensor_iterated", "list(ph('x', None))"),
    ("no_gradients", "v = tf.get_variable('v', [2])\ntf.train.GradientDescentOptimizer(0.1).minimize(tf.constant(1.0), var_list=[v])"),
    ("no_variables", "tf.train.GradientDescentOptimizer(0.1).minimize(tf.constant(1.0))"),
    ("gradient_of_integers", "x = ph('x', [2], tf.int32)\ntf.gradients(x * x, x)"),
    ("grad_ys_of_other_shape", "x = ph('x', [2])\ntf.gradients(x * 2.0, x, grad_ys=tf.zeros([3]))"),
    ("grad_ys_of_other_dtype", "x = ph('x', [2])\ntf.gradients(x * 2.0, x, grad_ys=tf.zeros([2], tf.float64))"),
    ("finalized_graph", "tf.get_default_graph().finalize()\ntf.constant(1.0)"),
    ("assign_other_shape", "v = tf.Variable([1.0, 2.0], name='v')\ntf.assign(v, [1.0, 2.0, 3.0])"),
    ("constant_too_large", "tf.constant([1, 2, 3], shape=[2])"),
]


def make_errors():
    cases = []
    for name, code in ERRORS:
        with tf.Graph().as_default() as graph:
            case = {"case": name, "code": code}
            try:
                run_code(code, graph)
                case["error"] = None
            except Exception as e:
                message = getattr(e, "message", None) or str(e)
                if isinstance(e, tf.errors.OpError):
                    case["code_name"] = {v: k for k, v in vars(tf.errors).items() if isinstance(v, int)}.get(e.error_code)
                message = re.sub(r"\n\nOriginal stack trace.*", "", message, flags=re.S)
                message = re.sub(r'( *File "[^"]*", line.*\n?)+', "  ...\n", message)
                message = re.sub(r"0x[0-9a-f]+", "0x...", message)
                case["error"] = type(e).__name__
                case["message"] = message.strip()
            cases.append(case)
    dump("errors.json", {"oracle": ORACLE, "what": "What TensorFlow says to common mistakes: for wording only.", "cases": cases})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help="names tutorial optimizers random errors (default: all)")
    parser.add_argument("--corpus", help="folder of the conformance corpus (holds cases/)")
    options = parser.parse_args()
    sections = options.sections or ["names", "tutorial", "optimizers", "random", "errors"]
    for section, make in (("names", make_names), ("optimizers", make_optimizers), ("random", make_random), ("errors", make_errors)):
        if section in sections:
            make()
    if "tutorial" in sections:
        if options.corpus:
            make_tutorial(options.corpus)
        else:
            print("tutorial skipped: give --corpus", file=sys.stderr)


if __name__ == "__main__":
    main()
