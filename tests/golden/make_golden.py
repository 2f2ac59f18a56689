#!/usr/bin/env python3
"""Records what real TensorFlow does, as data for Tidemill's tests.

    python make_golden.py [names] [tutorial] [rnn] [cells] [optimizers] [schedules] [random] [errors] [--corpus DIR]

needs `pip install tensorflow-cpu==2.21.0 tf_keras==2.21.0` and writes beside itself:

    names/*.json       which nodes TensorFlow's Python builds, in order: names, types, inputs, output types
    tutorial/*         twenty training steps of the RNN tutorial, converted from the conformance corpus (--corpus)
    rnn/*              two training steps of recurrent networks, converted from the conformance corpus (--corpus)
    cells.*            two steps of each recurrent cell, and the gradients
    optimizers.*       variables and slots after each step of each optimizer
    schedules.json     learning rates at some steps
    random.*           the values of seeded random ops, to the bit
    errors.json        TensorFlow's words for common mistakes

Everything runs in version 1 graph mode with reference variables (`VariableV2`), as TensorFlow 1 did by default.
Without arguments all sections are made; `tutorial` and `rnn` are skipped where no corpus is given.
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

from cases import ERRORS, FORWARD, GRADIENTS, OPTIMIZER_CASES, SCOPES, VARIABLES
from cells import CELLS

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


# --------------------------------------------------------------------------------------------------- from the corpus


def read_case(path):
    """The script of a case of the corpus, its graph, and its arrays in order of their numbers."""
    with zipfile.ZipFile(path) as archive:
        members = [m for m in archive.namelist() if m.endswith(".npy")]
        members.sort(key=lambda m: int(re.search(r"\d+(?=\.npy)", m).group()))
        arrays = {m.split("/")[1]: archive.read(m) for m in members}
        return json.loads(archive.read("0/case.json")), tf.GraphDef.FromString(archive.read("0/graph.pb")), arrays


def run_step(step, **more):
    """A step as it is written down, one line for each of its parts."""
    if step["kind"] == "run":
        step = {k: step[k] for k in ("kind", "feeds", "fetches", "targets", "results")}
    return {k: Line(v) if k != "kind" else v for k, v in dict(step, **more).items()}


# The networks of the corpus that are kept: one of each kind.
RNNS = ["dynamic_basic_float64_ref", "dynamic_lstm_peephole_ref", "dynamic_raw_gru_ref", "dynamic_bidir_multi_gru_ref",
        "dynamic_seqlen_bidir_gru_ref", "dynamic_seqlen_multi_lstm_ref", "dynamic_seqlen_time_major_gru_ref",
        "static_basic_lstm_ref", "static_seqlen_bidir_gru_ref"]


def make_rnn(corpus):
    for name in RNNS:
        case, _, arrays = read_case(os.path.join(corpus, "cases/rnn/generated/rnn", name + ".zip"))
        dump("rnn/%s.json" % name, {
            "format": 1,
            "oracle": case["oracle"],
            "what": "Two training steps of a recurrent network (see README.md); arrays are members of the .npz beside.",
            "steps": [run_step(step) for step in case["steps"]],
        })
        write_npz("rnn/%s.npz" % name, arrays)


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
    for model, num_steps, state_size in (("manual", 5, 4), ("static_rnn", 5, 4), ("dynamic_rnn", 10, 16)):
        name = "%s_T%d_N%d_batch8" % (model, num_steps, state_size)
        case, graph, arrays = read_case(os.path.join(folder, name + "_resource.zip"))
        rate = [tf.make_ndarray(n.attr["value"].tensor) for n in graph.node if n.name == "Adagrad/learning_rate"]
        variables, roles = roles_of(case["steps"])
        dump("tutorial/%s.json" % name, {
            "format": 1,
            "oracle": case["oracle"],
            "what": "Twenty training steps of the tutorial (see README.md); arrays are members of the .npz beside.",
            "model": model, "num_steps": num_steps, "state_size": state_size, "num_classes": 2, "batch_size": 8,
            "optimizer": "Adagrad", "learning_rate": plain(np.float32(rate[0])),
            "variables": variables,
            "steps": [run_step(step, **({"roles": role} if role else {})) for step, role in zip(case["steps"], roles)],
        })
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


# ------------------------------------------------------------------------------------------------------------- cells


def waves(k, shape, dtype):
    """The k-th array of a case: element i is sin(1.7 i + 0.3 k + 0.5)."""
    return np.sin(1.7 * np.arange(np.prod(shape, dtype=int)) + 0.3 * k + 0.5).reshape(shape).astype(dtype)


def make_cells():
    cases, arrays = [], {}
    for name, make in CELLS.items():
        for dtype in (tf.float32, tf.float64):
            with tf.Graph().as_default(), tf.Session() as sess:
                xs = [tf.placeholder(dtype, [3, 2]) for _ in range(2)]
                cell = make(dtype)
                zeros = cell.zero_state(3, dtype)
                start = tf.nest.flatten(zeros)
                first, state = cell(xs[0], zeros)
                names = [t.name for t in [first] + tf.nest.flatten(state)]
                second, state = cell(xs[1], state)
                results = [first, second] + tf.nest.flatten(state)
                loss = tf.add_n([tf.reduce_sum(r * waves(k, r.shape, dtype.as_numpy_dtype)) for k, r in enumerate(results)])
                variables = tf.trainable_variables()
                inputs = xs + start + variables
                fetches = results + tf.gradients(loss, inputs)
                assert None not in fetches
                sess.run(tf.global_variables_initializer())
                initial = [np.unique(v) for v in sess.run(variables)]
                values = [waves(k, v.shape, dtype.as_numpy_dtype) for k, v in enumerate(inputs)]
                for v, value in zip(variables, values[len(xs + start):]):
                    v.load(value, sess)
                feeds = dict(zip(xs + start, values))
                key = "%s_%s" % (name, dtype.name)
                arrays[key] = np.concatenate([np.concatenate([np.ravel(a) for a in sess.run(fetches, feeds)]) for _ in range(2)])
                cases.append(Line({
                    "case": name, "dtype": dtype.name, "names": names, "values": key + ".npy",
                    "state": [s.shape.as_list() for s in start],
                    "variables": [[v.op.name, v.shape.as_list(), plain(i[0]) if len(i) == 1 else None]
                                  for v, i in zip(variables, initial)],
                }))
    dump("cells.json", {
        "oracle": ORACLE, "what": "Two steps of each cell of cells.py, and the gradients; see README.md.", "cases": cases,
    })
    write_npz("cells.npz", arrays)


# -------------------------------------------------------------------------------------------------------- optimizers


def make_optimizers():
    arguments = {
        "GradientDescent": ("GradientDescentOptimizer", {"learning_rate": 0.1}),
        "Momentum": ("MomentumOptimizer", {"learning_rate": 0.1, "momentum": 0.9}),
        "Nesterov": ("MomentumOptimizer", {"learning_rate": 0.1, "momentum": 0.9, "use_nesterov": True}),
        "Adagrad": ("AdagradOptimizer", {"learning_rate": 0.1, "initial_accumulator_value": 0.1}),
        "Adam": ("AdamOptimizer", {"learning_rate": 0.1, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-08}),
        "RMSProp": ("RMSPropOptimizer", {"learning_rate": 0.1, "decay": 0.9, "momentum": 0.5, "epsilon": 1e-10}),
        "RMSPropCentered": ("RMSPropOptimizer", {"learning_rate": 0.1, "decay": 0.8, "momentum": 0.5, "epsilon": 1e-3, "centered": True}),
        "Adadelta": ("AdadeltaOptimizer", {"learning_rate": 1.0, "rho": 0.9, "epsilon": 1e-4}),
        "Ftrl": ("FtrlOptimizer", {"learning_rate": 0.1, "learning_rate_power": -0.5, "initial_accumulator_value": 0.1,
                                   "l1_regularization_strength": 0.01, "l2_regularization_strength": 0.02}),
        "FtrlShrinking": ("FtrlOptimizer", {"learning_rate": 0.1, "learning_rate_power": -0.3, "initial_accumulator_value": 0.2,
                                            "l1_regularization_strength": 0.01, "l2_regularization_strength": 0.02,
                                            "l2_shrinkage_regularization_strength": 0.1}),
        "ProximalGradientDescent": ("ProximalGradientDescentOptimizer", {
            "learning_rate": 0.1, "l1_regularization_strength": 0.01, "l2_regularization_strength": 0.02}),
        "ProximalAdagrad": ("ProximalAdagradOptimizer", {
            "learning_rate": 0.1, "initial_accumulator_value": 0.1,
            "l1_regularization_strength": 0.01, "l2_regularization_strength": 0.02}),
        "AdagradDA": ("AdagradDAOptimizer", {
            "learning_rate": 0.1, "global_step": 3, "initial_gradient_squared_accumulator_value": 0.1,
            "l1_regularization_strength": 0.01, "l2_regularization_strength": 0.02}),
    }
    initial = [[0.5, -1.25], [2.0, 0.75], [-0.5, 1.5], [1.0, -2.0]]
    scale, target, indices, steps = [[0.5, 1.0], [2.0, 0.25], [1.5, 0.75], [0.1, 1.25]], 0.3, [2, 0, 2], 6
    runs, arrays = [], {}
    for name, (optimizer, options) in arguments.items():
        for sparse in (False, True):
            # The proximal ones do not convert their rates.
            for dtype in (tf.float32,) if name.startswith("Proximal") else (tf.float32, tf.float64):
                with tf.Graph().as_default(), tf.Session() as sess:
                    np_dtype = dtype.as_numpy_dtype
                    v = tf.get_variable("v", initializer=np_dtype(initial))
                    a = np_dtype(scale)[indices] if sparse else np_dtype(scale)
                    rows = tf.gather(v, indices) if sparse else v
                    loss = tf.reduce_sum(a * tf.square(rows - np_dtype(target)))
                    given = dict(options)
                    if "global_step" in given:
                        given["global_step"] = tf.constant(given["global_step"], tf.int64)
                    opt = getattr(tf.train, optimizer)(**given)
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


# --------------------------------------------------------------------------------------------------------- schedules


def make_schedules():
    falling = {"decay_steps": 10, "decay_rate": 0.5}
    schedules = [
        ("exponential_decay", dict(falling, staircase=False)),
        ("exponential_decay", dict(falling, staircase=True)),
        ("natural_exp_decay", dict(falling, staircase=False)),
        ("natural_exp_decay", dict(falling, staircase=True)),
        ("inverse_time_decay", dict(falling, staircase=False)),
        ("inverse_time_decay", dict(falling, staircase=True)),
        ("piecewise_constant", {"boundaries": [5, 10], "values": [1.0, 0.5, 0.1]}),
        ("polynomial_decay", {"decay_steps": 10, "end_learning_rate": 0.0001, "power": 1.0, "cycle": False}),
        ("polynomial_decay", {"decay_steps": 10, "end_learning_rate": 0.01, "power": 0.5, "cycle": True}),
        ("cosine_decay", {"decay_steps": 10, "alpha": 0.1}),
        ("cosine_decay_restarts", {"first_decay_steps": 4, "t_mul": 2.0, "m_mul": 0.5, "alpha": 0.1}),
        ("cosine_decay_restarts", {"first_decay_steps": 4, "t_mul": 1.0, "m_mul": 0.5, "alpha": 0.0}),
        ("linear_cosine_decay", {"decay_steps": 10, "num_periods": 0.75, "alpha": 0.1, "beta": 0.01}),
        ("noisy_linear_cosine_decay", {"decay_steps": 10, "initial_variance": 0.0, "variance_decay": 0.55, "num_periods": 0.5,
                                       "alpha": 0.0, "beta": 0.001}),
    ]
    steps, rate, recorded = [0, 1, 4, 5, 9, 10, 11, 25, 30], 0.2, []
    for name, options in schedules:
        with tf.Graph().as_default(), tf.Session() as sess:
            step = tf.placeholder(tf.int64, [])
            first = (step,) if name == "piecewise_constant" else (rate, step)
            out = getattr(tf.train, name)(*first, **options)
            values = [float(sess.run(out, {step: n})) for n in steps]
        recorded.append({"schedule": name, "arguments": Line(options), "values": Line(values)})
    dump("schedules.json", {
        "oracle": ORACLE, "what": "Learning rates at some steps.", "learning_rate": rate, "steps": Line(steps), "schedules": recorded,
    })


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
    parser.add_argument("sections", nargs="*", help="names tutorial rnn cells optimizers schedules random errors (default: all)")
    parser.add_argument("--corpus", help="folder of the conformance corpus (holds cases/)")
    options = parser.parse_args()
    sections = options.sections or ["names", "tutorial", "rnn", "cells", "optimizers", "schedules", "random", "errors"]
    for section, make in (("names", make_names), ("cells", make_cells), ("optimizers", make_optimizers), ("schedules", make_schedules), ("random", make_random), ("errors", make_errors)):
        if section in sections:
            make()
    for section, make in (("tutorial", make_tutorial), ("rnn", make_rnn)):
        if section in sections and options.corpus:
            make(options.corpus)
        elif section in sections:
            print("%s skipped: give --corpus" % section, file=sys.stderr)


if __name__ == "__main__":
    main()
