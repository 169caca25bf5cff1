"""Sizes of physical batches: pictures that go through the model at once."""

from itertools import pairwise
from math import prod

from worker.engine.game.coalitions import Shape
from worker.engine.scoring.cpu_count import CPU_COUNT

# The fastest batch of 224 x 224 x 3 pictures for a GPU, or for one core of a CPU. On CPUs larger
# batches only cost memory; smaller pictures go in larger batches of about the same bytes.
BATCH_224 = {"cpu": 8, "gpu": 127}  # GPUs: one less than a power of two, as next_span() may add one
MAX_BATCH = {"cpu": 64, "gpu": 511}
GROUP_224, LARGEST_GROUP = 4, 16  # pictures that a core takes at once, see group()
MAX_SHARES = 16  # of a batch; with more cores, several work on each share


def device_batch_size(shape: Shape, device: str, *, cores: int = CPU_COUNT) -> int:
    """Return the batch size for pictures of shape (H, W, C) on a device ("cpu", "gpu:0 NAME")."""
    return _takers(device, cores) * _batch_each(shape, device)


def shares(count: int, shape: Shape, device: str, *, cores: int = CPU_COUNT) -> list[slice]:
    """Cut a batch of `count` pictures (H, W, C) into about equal shares, one for each CPU core.

    Cores with a share each do not wait for each other after every layer. A batch too small for two
    cores stays whole, so small pictures are scored in shap's batches, with the same rounding.
    """
    full = round(count / _batch_each(shape, device))
    takers = min(_takers(device, cores), full, count // 2) or 1
    cuts = [count * i // takers for i in range(takers + 1)]
    return [slice(start, end) for start, end in pairwise(cuts)]


def group(shape: Shape) -> int:
    """Return the fixed number of pictures (H, W, C) that a CPU core takes at once."""
    fitting = GROUP_224 * 224 * 224 * 3 // max(prod(shape), 1)
    return min(max(fitting, 1), LARGEST_GROUP)


def buckets(shape: Shape, device: str) -> tuple[int, int]:
    """Return two batch sizes, small and full, for a predictor that must compile each size.

    The full one holds the largest span that next_span() gives for the physical batch.
    """
    full = device_batch_size(shape, device) + 1
    return -(-full // 8), full


def next_span(count: int, batch: int) -> int:
    """Return the size of the next batch, where `count` pictures go in about equal batches.

    At most `batch` + 1. Only a count of 1 gives 1: TensorFlow computes a batch of one picture on
    another path, with slightly different results, and a small last batch would leave cores idle.
    Raises ValueError for batch < 2.
    """
    if batch < 2:
        raise ValueError(f"the physical batch is {batch}; it must be at least 2")
    batches = -(-count // (batch + 1))
    return -(-count // max(batches, 1))


def _takers(device: str, cores: int) -> int:
    """Count the shares of a batch: one for each CPU core, or one for a GPU."""
    return min(cores, MAX_SHARES) if device == "cpu" else 1


def _batch_each(shape: Shape, device: str) -> int:
    kind = "cpu" if device == "cpu" else "gpu"
    rows, columns, channels = shape
    fitting = BATCH_224[kind] * 224 * 224 * 3 // max(rows * columns * channels, 1)
    return min(max(fitting, 2), MAX_BATCH[kind])
