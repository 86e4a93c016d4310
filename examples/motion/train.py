# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "jax==0.10.2",
#     "numpy==2.4.6",
#     "onnx==1.23.2",
#     "onnxruntime==1.32.0",
#     "optax==0.2.8",
# ]
# ///
"""Train a small convolutional network on BasicMotions and export it to ONNX.

The recordings are inside the wheel of the PyPI package `aeon`, which is read and not installed:

    pip download aeon==1.6.0 --no-deps
    uv run train.py --wheel aeon-1.6.0-py3-none-any.whl

Written next to this script, or to the folder given with --out:

    motion.onnx       motion float32 [batch,6,50] -> scores float32 [batch,4]
    labels.txt        the four activities, in the order of the scores
    calibration.npz   both halves of the 40 training recordings (`motion`, `y`)
    test.npz          both halves of the 40 test recordings, in official order (`motion`, `y`)

Training takes about half a minute on two CPU cores. All seeds are fixed. Settings were chosen by
cross-validation within the training recordings, which `--cross-validate` repeats; the test
recordings are used once, for the figures printed at the end.
"""

import argparse
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import optax
from onnx import TensorProto, helper, numpy_helper

SEED = 7
FOLDER = "aeon/datasets/data/BasicMotions"
LABELS = ("badminton", "running", "standing", "walking")
CHANNELS = 6  # accelerometer x, y, z in m/s² without gravity; gyroscope x, y, z in rad/s
RECORDED = 100  # steps of 0.1 s
WINDOW = 50  # what the network sees: five seconds
FOLDS = 5

STEPS = 1500
BATCH = 64
PEAK_RATE = 5e-3
WEIGHT_DECAY = 1e-2
MAX_GAIN = 1.2

EXPORT_TOLERANCE = 1e-5

Params = dict[str, dict[str, jax.Array]]


@dataclass(frozen=True)
class Conv:
    """A convolution over time, padded to keep ceil(length / stride), with a ReLU."""

    name: str
    inputs: int
    outputs: int
    kernel: int
    stride: int = 1

    @property
    def pad(self) -> int:
        return self.kernel // 2

    @property
    def weight_shape(self) -> tuple[int, int, int]:
        return (self.outputs, self.inputs, self.kernel)


CONVS = (
    Conv("conv1", CHANNELS, 16, kernel=5, stride=2),
    Conv("conv2", 16, 24, kernel=5, stride=2),
    Conv("conv3", 24, 32, kernel=3),
)
FEATURES = CONVS[-1].outputs


@dataclass(frozen=True)
class Motions:
    series: np.ndarray  # float32 [N,6,steps]
    labels: np.ndarray  # uint8 [N]

    def __getitem__(self, index: np.ndarray) -> "Motions":
        return Motions(self.series[index], self.labels[index])

    def __len__(self) -> int:
        return len(self.labels)

    def halves(self) -> "Motions":
        """Each recording as two windows, one behind the other."""
        windows = self.series.reshape(len(self), CHANNELS, RECORDED // WINDOW, WINDOW)
        windows = windows.transpose(0, 2, 1, 3).reshape(-1, CHANNELS, WINDOW)
        return Motions(windows, np.repeat(self.labels, RECORDED // WINDOW))


# ---- data ----


def read_motions(wheel: Path, part: str) -> Motions:
    """Read a .ts file: a recording a line, channels apart by colons, the label last."""
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"{FOLDER}/BasicMotions_{part}.ts").decode()
    lines = text[text.index("@data") :].splitlines()[1:]
    rows = [line.strip().split(":") for line in lines if line.strip()]
    series = np.array([[c.split(",") for c in row[:-1]] for row in rows], np.float32)
    if series.shape[1:] != (CHANNELS, RECORDED):
        raise ValueError(f"{wheel}: recordings of shape {series.shape[1:]}")
    labels = np.array([LABELS.index(row[-1].lower()) for row in rows], np.uint8)
    return Motions(series, labels)


def write_npz(path: Path, motions: Motions) -> None:
    np.savez_compressed(path, motion=motions.series, y=motions.labels)
    print(f"{path.name}: {len(motions)} windows, {path.stat().st_size} bytes")


# ---- network ----


def init_params(key: jax.Array) -> Params:
    """He initialisation."""
    params: Params = {}
    for conv, conv_key in zip(CONVS, jax.random.split(key, len(CONVS))):
        fan_in = math.prod(conv.weight_shape[1:])
        weight = jax.random.normal(conv_key, conv.weight_shape) * math.sqrt(2 / fan_in)
        params[conv.name] = {"weight": weight, "bias": jnp.zeros(conv.outputs)}
    params["dense"] = {
        "weight": jnp.zeros((len(LABELS), FEATURES)),
        "bias": jnp.zeros(len(LABELS)),
    }
    return params


def forward(params: Params, x: jax.Array) -> jax.Array:
    """The logits of windows [N,6,50]."""
    for conv in CONVS:
        layer = params[conv.name]
        x = jax.lax.conv_general_dilated(
            x,
            layer["weight"],
            window_strides=(conv.stride,),
            padding=[(conv.pad, conv.pad)],
            dimension_numbers=("NCH", "OIH", "NCH"),
        )
        x = jax.nn.relu(x + layer["bias"][:, None])
    dense = params["dense"]
    return x.mean(2) @ dense["weight"].T + dense["bias"]


@jax.jit
def predict(params: Params, windows: jax.Array) -> jax.Array:
    return jax.nn.softmax(forward(params, windows))


# ---- training ----


def augment(key: jax.Array, series: jax.Array) -> jax.Array:
    """Cut a window at random, turn the sensor into any direction, and move a little harder.

    A phone is held in other ways than the watch of the recordings was worn.
    """
    cut_key, turn_key, gain_key = jax.random.split(key, 3)
    count = len(series)
    starts = jax.random.randint(cut_key, (count,), 0, RECORDED - WINDOW + 1)
    cut = jax.vmap(lambda s, at: jax.lax.dynamic_slice_in_dim(s, at, WINDOW, axis=1))
    # A random unit quaternion is a random rotation; both sensors turn together.
    q = jax.random.normal(turn_key, (count, 4))
    w, x, y, z = (q / jnp.linalg.norm(q, axis=1, keepdims=True)).T
    rotation = jnp.stack(
        [
            jnp.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]),
            jnp.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]),
            jnp.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]),
        ]
    )
    sensors = cut(series, starts).reshape(count, 2, 3, WINDOW)
    turned = jnp.einsum("ijn,nsjt->nsit", rotation, sensors).reshape(count, CHANNELS, WINDOW)
    gain = jax.random.uniform(gain_key, (count, 1, 1), minval=-1, maxval=1)
    return turned * MAX_GAIN**gain


def train_network(train: Motions) -> Params:
    """Train for a number of steps that is fixed beforehand."""
    optimiser = optax.adamw(
        optax.cosine_decay_schedule(PEAK_RATE, STEPS), weight_decay=WEIGHT_DECAY
    )

    def loss_fn(params: Params, windows: jax.Array, labels: jax.Array) -> jax.Array:
        logits = forward(params, windows)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    @jax.jit
    def step(
        params: Params, state: optax.OptState, key: jax.Array
    ) -> tuple[Params, optax.OptState, jax.Array]:
        pick_key, augment_key = jax.random.split(key)
        pick = jax.random.randint(pick_key, (BATCH,), 0, len(series))
        windows = augment(augment_key, series[pick])
        loss, grads = jax.value_and_grad(loss_fn)(params, windows, labels[pick])
        updates, state = optimiser.update(grads, state, params)
        return optax.apply_updates(params, updates), state, loss

    series, labels = jnp.asarray(train.series), jnp.asarray(train.labels.astype(np.int32))
    init_key, step_key = jax.random.split(jax.random.key(SEED))
    params = init_params(init_key)
    state = optimiser.init(params)
    for i in range(STEPS):
        params, state, loss = step(params, state, jax.random.fold_in(step_key, i))
    print(f"loss of the last batch {loss:.4f}", flush=True)
    return params


def cross_validate(train: Motions) -> None:
    """Accuracy on recordings that were left out, a fifth of each activity at a time."""
    fold = np.arange(len(train)) % FOLDS
    right = []
    for left_out in range(FOLDS):
        params = train_network(train[fold != left_out])
        rest = train[fold == left_out].halves()
        right.extend(np.argmax(predict(params, rest.series), axis=1) == rest.labels)
    print(f"cross-validation: {np.mean(right):.4f} of {len(right)} windows")


# ---- export ----


def build_model(params: Params) -> onnx.ModelProto:
    nodes = []
    value = "motion"
    for conv in CONVS:
        nodes.append(
            helper.make_node(
                "Conv",
                [value, f"{conv.name}_weight", f"{conv.name}_bias"],
                [conv.name],
                name=conv.name,
                kernel_shape=[conv.kernel],
                strides=[conv.stride],
                pads=[conv.pad] * 2,
            )
        )
        value = f"{conv.name}_relu"
        nodes.append(helper.make_node("Relu", [conv.name], [value], name=value))
    nodes += [
        helper.make_node("GlobalAveragePool", [value], ["pool"], name="pool"),
        helper.make_node("Flatten", ["pool"], ["flatten"], name="flatten", axis=1),
        helper.make_node(
            "Gemm", ["flatten", "dense_weight", "dense_bias"], ["dense"], name="dense", transB=1
        ),
        helper.make_node("Softmax", ["dense"], ["scores"], name="softmax", axis=1),
    ]
    tensors = {
        f"{layer}_{name}": np.asarray(array)
        for layer, arrays in params.items()
        for name, array in arrays.items()
    }
    print(f"parameters: {sum(array.size for array in tensors.values())}")
    graph = helper.make_graph(
        nodes,
        "motion",
        [helper.make_tensor_value_info("motion", TensorProto.FLOAT, ["batch", CHANNELS, WINDOW])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", len(LABELS)])],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    return helper.make_model(
        graph,
        producer_name="examples/motion/train.py",
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 17)],
    )


def run_onnx(path: Path, windows: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["scores"], {"motion": windows})[0]


def check_export(path: Path, params: Params, windows: np.ndarray) -> None:
    onnx.checker.check_model(path, full_check=True)
    difference = np.abs(run_onnx(path, windows) - predict(params, windows)).max()
    print(f"largest difference between ONNX and JAX scores: {difference:.1e}")
    if difference > EXPORT_TOLERANCE:
        raise SystemExit(f"the export differs from JAX by more than {EXPORT_TOLERANCE}")


def features(motions: Motions) -> np.ndarray:
    """Mean and standard deviation of each channel."""
    return np.concatenate([motions.series.mean(2), motions.series.std(2)], axis=1)


def nearest_mean(train: Motions, test: Motions) -> np.ndarray:
    """The baseline: the activity whose mean features are nearest, in standard deviations."""
    of_train = features(train)
    centre, spread = of_train.mean(0), of_train.std(0)
    known = (of_train - centre) / spread
    means = np.stack([known[train.labels == c].mean(0) for c in range(len(LABELS))])
    unknown = (features(test) - centre) / spread
    return np.argmin(np.linalg.norm(unknown[:, None] - means, axis=2), axis=1)


def report(path: Path, train: Motions, test: Motions) -> None:
    print(f"{path.name}: {path.stat().st_size} bytes")
    guesses = {
        "network": np.argmax(run_onnx(path, test.series), axis=1),
        "nearest class mean": nearest_mean(train, test),
    }
    for name, guess in guesses.items():
        print(f"{name}: accuracy on {len(test)} test windows: {np.mean(guess == test.labels):.4f}")
        for label, activity in enumerate(LABELS):
            counts = np.bincount(guess[test.labels == label], minlength=len(LABELS))
            print(f"    {activity:10}", *(f"{count:3}" for count in counts))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = Path(__file__).parent
    parser.add_argument("--wheel", type=Path, required=True, help="the wheel of aeon 1.6.0")
    parser.add_argument("--out", type=Path, default=here, metavar="DIR", help="where to write")
    parser.add_argument(
        "--cross-validate",
        action="store_true",
        help="print the accuracy on left-out training recordings and stop",
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    train = read_motions(arguments.wheel, "TRAIN")
    if arguments.cross_validate:
        cross_validate(train)
        return
    test = read_motions(arguments.wheel, "TEST").halves()
    write_npz(arguments.out / "calibration.npz", train.halves())
    write_npz(arguments.out / "test.npz", test)
    (arguments.out / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))

    params = train_network(train)
    path = arguments.out / "motion.onnx"
    onnx.save(build_model(params), path)
    check_export(path, params, train.halves().series)
    report(path, train.halves(), test)


if __name__ == "__main__":
    main()
