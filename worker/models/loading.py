"""Loads a model from its entry in the models file: open, check, label, describe."""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from service.schemas.fingerprint import ModelParts, fingerprint_of, labels_digest
from service.schemas.models import ModelCard, ModelStatus, ModelWarningCode, PrecisionError
from worker.engine.predictor import Predictor
from worker.models.backends import open_predictor, prepare, unfused_model
from worker.models.choice import choose
from worker.models.consistency import check_trials, score_trials, trial_pictures
from worker.models.error_causes import summarize
from worker.models.errors import ModelUnavailableError
from worker.models.finiteness import Scorer, check_finiteness
from worker.models.models_file import ModelEntry
from worker.models.networks import Network, Tensor, open_network, weights_digest
from worker.models.preprocessing import Preprocessing
from worker.models.text_files import TextEncodingError, read_text

IMAGENET = Path(__file__).parent.parent / "bundled" / "imagenet_labels.txt"


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to score: `labels[k]` names column k of the predictor's scores."""

    card: ModelCard
    predictor: Predictor
    labels: list[str]
    unfused: Scorer | None = None  # runs unfused; set where the predictor hides NaN


def load_model(entry: ModelEntry, card: ModelCard, *, weights_cache: Path | None) -> LoadedModel:
    """Load a model and complete its card.

    Raises ModelUnavailableError with a reason in one line.
    """
    try:
        return _load(entry, card, weights_cache)
    except ModelUnavailableError as error:
        raise ModelUnavailableError(_without_folders(str(error), entry)) from error
    except Exception as error:  # a broken file can raise anything; other models must be served
        raise ModelUnavailableError(_without_folders(summarize(error), entry)) from error


def _load(entry: ModelEntry, card: ModelCard, weights_cache: Path | None) -> LoadedModel:
    prepare(entry)
    network = open_network(entry, weights_cache=weights_cache)
    preprocess = _preprocessing(entry, network)
    trials = trial_pictures(network.input_shape)
    if entry.backend == "auto":
        choice = choose(network, preprocess, trials)
        predictor, scores, tried = choice.predictor, choice.scores, choice.trials
        unfused = unfused_model(entry, network, preprocess, choice.tensorflow)
        precision_error = None
    else:
        predictor, precision_error = open_predictor(entry, network, preprocess)
        scores, tried = score_trials(predictor, trials), []
        unfused = unfused_model(entry, network, preprocess, predictor)
    check_trials(predictor, trials, scores, at_random=unfused.at_random)
    warnings = check_finiteness(trials, scores, unfused.score)
    labels = _labels(entry, predictor.n_outputs)
    parts = ModelParts(
        architecture=network.architecture,
        weights=weights_digest(network.weights),
        labels=labels_digest(labels),
        preprocessing=entry.preprocessing_text,
        fit=entry.fit,
        input_shape=predictor.input_shape,
        backend=predictor.backend,
        dtype=predictor.dtype,
    )
    known = {
        "status": ModelStatus.AVAILABLE,
        "fingerprint": fingerprint_of(parts),
        "parts": parts,
        "input_shape": predictor.input_shape,
        "output_count": predictor.n_outputs,
        "backend": predictor.backend,
        "backends_tried": tried,
        "device": predictor.device,
        "dtype": predictor.dtype,
        "precision_error": precision_error and PrecisionError(**asdict(precision_error)),
        "warnings": warnings,
        "labels": labels,
    }
    hides = any(each.code is ModelWarningCode.NAN_HIDDEN for each in warnings)
    return LoadedModel(
        card.model_copy(update=known), predictor, labels, unfused.score if hides else None
    )


def _preprocessing(entry: ModelEntry, network: Network) -> Callable[[Tensor], Tensor]:
    """Return the function from pixel values to the network's input, dtype included."""
    chosen = entry.preprocessing or Preprocessing()
    channels = network.input_shape[2]
    if chosen.channel_count not in (None, channels):
        raise ModelUnavailableError(
            f"preprocessing {chosen} needs 3 channels; the model has {channels}"
        )
    preprocess = network.own_preprocessing or chosen
    return lambda pictures: network.as_input(preprocess(pictures))


def _labels(entry: ModelEntry, count: int) -> list[str]:
    """Return a label, stripped of white space, for each of `count` outputs."""
    source = entry.labels
    if source is None and entry.application is None and entry.package is None:
        return [str(index) for index in range(count)]
    if isinstance(source, list):
        labels = source
    else:
        try:
            text = read_text(source if isinstance(source, Path) else IMAGENET)
        except TextEncodingError as error:
            raise ModelUnavailableError(f"labels: {error}") from error
        labels = re.split(r"\r\n|\n|\r", text.rstrip())  # nothing else ends a line
    if len(labels) != count:
        raise ModelUnavailableError(
            f"received {len(labels)} labels for a model with {count} outputs"
        )
    return [label.strip() for label in labels]


def _without_folders(reason: str, entry: ModelEntry) -> str:
    """Remove the server's folders from a reason, as clients read it."""
    for path in (entry.file, entry.saved_model, entry.weights, entry.labels):
        if isinstance(path, Path):
            reason = reason.replace(str(path), path.name)
    return reason
