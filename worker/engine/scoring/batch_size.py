"""How many pictures go through the model at once, whatever a method asks for at a time."""

from itertools import pairwise
from math import prod

from worker.engine.game.coalitions import Shape
from worker.engine.scoring.cpu_count import CPU_COUNT

# Pictures of 224 x 224 x 3 that a GPU, or a core of a CPU, takes at best. On CPUs more only cost
# memory; smaller pictures travel in larger batches of about the same bytes.
BATCH_224 = {"cpu": 8, "gpu": 127}  # GPUs: one less than a power of two, as next_span() may add one
MAX_BATCH = {"cpu": 64, "gpu": 511}
GROUP_224, LARGEST_GROUP = 4, 16  # pictures that a core of a CPU takes at once, whatever is left
MAX_SHARES = 16  # of a batch; of more cores several work on each


def device_batch_size(shape: Shape, device: str, *, cores: int = CPU_COUNT) -> int:
    """Give the batch size for pictures of shape (H, W, C) on a device ("cpu", "gpu:0 NAME")."""
    return _takers(device, cores) * _batch_each(shape, device)


def shares(count: int, shape: Shape, device: str, *, cores: int = CPU_COUNT) -> list[slice]:
    """Cut a batch of `count` pictures (H, W, C) into about equal shares, one a core of a CPU.

    Cores with a share each do not wait for each other after every layer. What fills no two of them
    stays whole: so small pictures are scored in the batches that shap makes, and round alike.
    """
    full = round(count / _batch_each(shape, device))
    takers = min(_takers(device, cores), full, count // 2) or 1
    cuts = [count * i // takers for i in range(takers + 1)]
    return [slice(start, end) for start, end in pairwise(cuts)]


def group(shape: Shape) -> int:
    """Give how many pictures (H, W, C) a core of a CPU takes at once where that number is fixed."""
    fitting = GROUP_224 * 224 * 224 * 3 // max(prod(shape), 1)
    return min(max(fitting, 1), LARGEST_GROUP)


def buckets(shape: Shape, device: str) -> tuple[int, int]:
    """Give the two batch sizes of a predictor that must compile for each: a small and a full one.

    The full one holds whatever next_span() makes of the physical batch.
    """
    full = device_batch_size(shape, device) + 1
    return -(-full // 8), full


def next_span(count: int, batch: int) -> int:
    """Give how many of `count` pictures go first, if all are to go in about equal batches.

    Of `batch`, at most 1 more. A batch of a single picture is computed on another path by
    TensorFlow, with slightly other results, and a small last one would leave cores idle: so only a
    count of 1 gives 1. Raises ValueError for batch < 2.
    """
    if batch < 2:
        raise ValueError(f"the physical batch is {batch}; it must be at least 2")
    batches = -(-count // (batch + 1))
    return -(-count // max(batches, 1))


def _takers(device: str, cores: int) -> int:
    """How many take shares of a batch."""
    return min(cores, MAX_SHARES) if device == "cpu" else 1


def _batch_each(shape: Shape, device: str) -> int:
    kind = "cpu" if device == "cpu" else "gpu"
    rows, columns, channels = shape
    fitting = BATCH_224[kind] * 224 * 224 * 3 // max(rows * columns * channels, 1)
    return min(max(fitting, 2), MAX_BATCH[kind])
