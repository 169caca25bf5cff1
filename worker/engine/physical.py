"""How many pictures go through the model at once, whatever a method asks for at a time."""

from worker.engine.coalitions import Shape

# Pictures of 224 x 224 x 3 that one call takes at best. On CPUs larger batches only cost memory;
# smaller pictures travel in larger batches of about the same bytes.
BATCH_224 = {"cpu": 8, "gpu": 127}  # GPUs: one less than a power of two, as next_span() may add one
LARGEST = {"cpu": 64, "gpu": 511}


def physical_batch(shape: Shape, device: str) -> int:
    """Give the batch size for pictures of shape (H, W, C) on a device ("cpu", "gpu:0 NAME")."""
    kind = "cpu" if device == "cpu" else "gpu"
    rows, columns, channels = shape
    fitting = BATCH_224[kind] * 224 * 224 * 3 // max(rows * columns * channels, 1)
    return min(max(fitting, 2), LARGEST[kind])


def buckets(shape: Shape, device: str) -> tuple[int, int]:
    """Give the two batch sizes of a predictor that must compile for each: a small and a full one.

    The full one holds whatever next_span() makes of the physical batch.
    """
    full = physical_batch(shape, device) + 1
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
