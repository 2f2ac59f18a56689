"""Trains the tutorial's three networks, exported by Tidemill, in TensorFlow, and writes what they lose to export.json.

    cargo run -p tidemill-tests --example export_tutorial -- DIR
    python tests/golden/check_export.py DIR          # with TensorFlow 2.21

The variables that training starts from and what is fed are those of the recorded runs in tutorial/, in which TensorFlow trained graphs of its own: the
losses must be the same.
"""
import io
import json
import os
import sys
import zipfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import numpy as np
import tensorflow as tf

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = {"manual": "manual_T5_N4_batch8", "static": "static_rnn_T5_N4_batch8", "dynamic": "dynamic_rnn_T10_N16_batch8"}
tf1 = tf.compat.v1


def check(folder, model, case):
    script = json.load(open(f"{HERE}/tutorial/{case}.json"))
    arrays = zipfile.ZipFile(f"{HERE}/tutorial/{case}.npz")
    load = lambda ref: np.load(io.BytesIO(arrays.read(ref["npy"])))
    names = json.load(open(f"{folder}/{model}.json"))
    definition = tf1.GraphDef.FromString(open(f"{folder}/{model}.pb", "rb").read())
    graph = tf.Graph()
    losses, worst = [], 0.0
    with graph.as_default(), tf1.Session(graph=graph) as session:
        tf1.import_graph_def(definition, name="")
        for step in script["steps"]:
            if step["kind"] == "set_variables":
                for name, ref in step["values"].items():
                    assign = graph.get_operation_by_name(f"{name}/Assign")
                    session.run(assign, {assign.inputs[1]: load(ref)})
            elif "total_loss" in step["roles"] and names["train_step"].split(":")[0] in [*step["targets"], "Adagrad"] and step["targets"]:
                feeds = {names["init_state"] if name == "init_state:0" else name: load(ref) for name, ref in step["feeds"].items()}
                loss, _ = session.run([names["total_loss"], graph.get_operation_by_name(names["train_step"])], feeds)
                want = load(step["results"][step["roles"].index("total_loss")])
                worst = max(worst, float(abs(loss - want) / abs(want)))
                losses.append(float(loss))
    assert len(losses) == 20, len(losses)
    return {"losses": losses, "farthest_from_tensorflow": worst, "ops": sorted({node.op for node in definition.node})}


def main():
    tf1.disable_eager_execution()
    record = {"oracle": f"tensorflow {tf.__version__}", "what": __doc__.split("\n")[0]}
    for model, case in CASES.items():
        record[model] = check(sys.argv[1], model, case)
        print(model, record[model]["farthest_from_tensorflow"])
    with open(f"{HERE}/export.json", "w") as file:
        json.dump(record, file, indent=1)
        file.write("\n")


main()
