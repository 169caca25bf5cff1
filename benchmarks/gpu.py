"""`python -m benchmarks.gpu [--evaluations N] [--pictures P]`: ResNet50 on JAX and a GPU.

For each precision: the bare compiled model with pictures on the device, then Partition SHAP of one
picture and of several side by side, with hidden pixels blurred (painted on the device) and
inpainted (on the host, while the device computes). Weights are random, as only time matters.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from worker.engine.arrays import Pictures
from worker.engine.scoring.cpu_count import CPU_COUNT
from worker.engine.scoring.precision import soft_pictures

if TYPE_CHECKING:
    from worker.engine.backends.jax import JaxPredictor

os.environ["KERAS_BACKEND"] = "jax"  # read once, when Keras is imported
PRECISIONS = ("float16", "bfloat16", "float32")
SHAPE = (224, 224, 3)
BARE_BATCHES = 20
REPEATS = 3
BATCH_SIZE = 128  # of Partition: coalitions requested at a time
HEADINGS = ("evaluations/s", "seconds", "of the bare model", "inpainting")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--evaluations", type=int, default=1000, help="of one explanation")
    parser.add_argument("--pictures", type=int, default=8, help="explained side by side")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--cpu", action="store_true", help="go on without a GPU")
    options = parser.parse_args()
    device = _device()
    if device.platform == "cpu" and not options.cpu:
        sys.exit(
            "JAX sees no GPU here: install 'jax[cuda12]' beside an NVIDIA driver, or try --cpu"
        )
    print(f"{device.device_kind}, {CPU_COUNT} cores; ResNet50 at 224 x 224; medians")
    for precision, predictor in _predictors(options.precisions).items():
        _measure(precision, predictor, options.evaluations, options.pictures)


def _device() -> Any:
    try:
        import jax
    except ImportError:
        sys.exit("JAX is not installed: pip install 'shapshot[jax]', for a GPU also 'jax[cuda12]'")
    return jax.devices()[0]


def _predictors(precisions: Sequence[str]) -> dict[str, "JaxPredictor"]:
    """Return a predictor for each precision, loaded as the worker does."""
    from worker.models.registry import read_registry

    with tempfile.TemporaryDirectory() as folder:
        _save_resnet50(Path(folder) / "resnet50.keras")
        models = Path(folder) / "models.toml"
        models.write_text("".join(map(_entry, precisions)))
        registry = read_registry(models, weights_cache=None)
        predictors: dict[str, Any] = {name: registry.get(name).predictor for name in precisions}
    return predictors


def _save_resnet50(path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    keras.applications.ResNet50(weights=None).save(path)


def _entry(precision: str) -> str:
    return (
        f'[models.{precision}]\nfile = "resnet50.keras"\npreprocessing = "caffe"\n'
        f'backend = "jax"\nprecision = "{precision}"\n'
    )


def _measure(precision: str, predictor: "JaxPredictor", evaluations: int, count: int) -> None:
    bare = _bare_rate(predictor)
    print(f"\n{precision:<28}" + "".join(f"{heading:>19}" for heading in HEADINGS))
    print(f"{'  bare model':<28}{bare:>19.0f}")
    pictures = soft_pictures(SHAPE, count)
    for masker in ("blur(128,128)", "inpaint_telea"):
        for chosen in (pictures[:1], pictures):
            name = f"  {masker}, {len(chosen)} at once"
            print(f"{name:<28}{_explain(predictor, chosen, masker, evaluations, bare)}")


def _bare_rate(predictor: "JaxPredictor") -> float:
    """Return evaluations per second of the bare model, with its pictures on the device."""
    import jax

    size, executable = max(predictor._executables.items())
    pictures = jax.device_put(np.resize(soft_pictures(SHAPE, 2), (size, *SHAPE)))

    def run() -> None:
        scores = [executable(predictor._weights, pictures) for _ in range(BARE_BATCHES)]
        scores[-1].block_until_ready()

    return size * BARE_BATCHES / _seconds(run)


def _explain(
    predictor: "JaxPredictor", pictures: Pictures, masker: str, evaluations: int, bare: float
) -> str:
    """Return a line: rate, seconds, share of the bare rate, share of host time inpainting."""
    from worker.adapters.engine_request import read_masker
    from worker.engine.explanation import ExplanationRun
    from worker.engine.request import Request
    from worker.engine.scoring.driver import evaluate_all

    request = Request(masker=read_masker(masker), max_evals=evaluations, batch_size=BATCH_SIZE)
    masking: list[float] = []

    def run() -> None:
        together = [ExplanationRun(predictor, picture, request) for picture in pictures]
        list(evaluate_all(together, predictor))
        masking.append(sum(each.timings.mask_s for each in together))

    seconds = _seconds(run)
    rate = evaluations * len(pictures) / seconds
    share = masking[-1] / seconds / CPU_COUNT
    return f"{rate:>19.0f}{seconds:>19.2f}{rate / bare:>18.0%} {share:>18.0%}"


def _seconds(run: Any) -> float:
    """Return the median of several runs, after one to warm up."""
    run()
    seconds = []
    for _ in range(REPEATS):
        began = perf_counter()
        run()
        seconds.append(perf_counter() - began)
    return median(seconds)


if __name__ == "__main__":
    main()
