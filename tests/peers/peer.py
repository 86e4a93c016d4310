"""LiteRT or onnxruntime, as a process that runs when it is told to: see src/main.rs.

    python3 peer.py litert|onnxruntime MODEL DTYPE SHAPE
"""

import sys
import time
from importlib.metadata import version

import numpy


def litert(path, data):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], data)
    return version("ai-edge-litert"), interpreter.invoke


def onnxruntime(path, data):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    # Without a copy of inputs and outputs in each run.
    binding = session.io_binding()
    binding.bind_cpu_input(session.get_inputs()[0].name, data)
    binding.bind_output(session.get_outputs()[0].name)
    return ort.__version__, lambda: session.run_with_iobinding(binding)


def main():
    engine, path, dtype, shape = sys.argv[1:]
    shape = [int(size) for size in shape.split("x")]
    data = numpy.arange(numpy.prod(shape)) * 37 % 251 - 125
    data = data.reshape(shape).astype(numpy.float32)
    data = data.astype(numpy.int8) if dtype == "int8" else data / numpy.float32(128)
    name, run = {"litert": litert, "onnxruntime": onnxruntime}[engine](path, data)
    run()
    print("ready", name, flush=True)
    clock = time.perf_counter_ns
    for line in sys.stdin:
        least = None
        for _ in range(int(line)):
            start = clock()
            run()
            took = clock() - start
            least = took if least is None or took < least else least
        print(least, flush=True)


main()
