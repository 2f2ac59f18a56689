"""Writes op_list.pb: name, arguments and attributes of TensorFlow's ops, without their descriptions.

Run with TensorFlow 2.21: python make_op_list.py
"""
import importlib
import inspect
import os
import re

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session

# The families of ops that are about numbers, variables and control flow: no datasets, files, queues, devices or services.
FAMILIES = """array bitwise candidate_sampling clustering control_flow count ctc data_flow functional image linalg list logging
manip math nn optional ragged_array ragged_conversion ragged_math random resource_variable rnn set sparse special_math spectral state
stateful_random stateless_random stateless_random_ops_v2 training""".split()
LEAVE_OUT = re.compile(r"Queue|Barrier|Conditional|Stage|Session|Summary|^(Map|OrderedMap|TensorMap|Decode|Encode|Quant|Debug)|.*Png$")
PRIVATE = ["_SwitchN", "_Arg", "_Retval"]


def names():
    for family in FAMILIES:
        module = importlib.import_module(f"tensorflow.python.ops.gen_{family}" + ("" if family.endswith("_v2") else "_ops"))
        for name, value in inspect.getmembers(module):
            if name[0].isupper() and callable(value) and not LEAVE_OUT.search(name):
                yield name
    yield from PRIVATE


everything = op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
wanted = set(names())
kept = op_def_pb2.OpList()
for op in sorted(everything.op, key=lambda op: op.name):
    if op.name in wanted:
        for part in [op, *op.input_arg, *op.output_arg, *op.attr]:
            part.ClearField("description")
        for part in [*op.input_arg, *op.output_arg]:
            part.ClearField("experimental_full_type")
        op.ClearField("summary")
        kept.op.append(op)
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "op_list.pb"), "wb") as file:
    file.write(kept.SerializeToString(deterministic=True))
print(len(kept.op), "ops")
