"""The models this worker serves: listed in one TOML file, loaded one by one, each with its card."""

from pathlib import Path
from threading import Lock

import structlog

from service.schemas.models import ModelCard, ModelStatus
from worker.models.backends import is_installed, missing_dependency
from worker.models.errors import ModelUnavailableError
from worker.models.loading import LoadedModel, load_model
from worker.models.models_file import ModelFile, read_model_file
from worker.revision import revision

BUNDLED = Path(__file__).parent.parent / "bundled" / "models.toml"

log = structlog.get_logger(__name__)


def read_registry(path: Path | None, *, weights_cache: Path | None) -> "Registry":
    """The registry of the file at `path` (None: the bundled models); loads nothing yet.

    weights_cache: where Keras keeps what it downloads; None: Keras's own folder. Raises
    RegistryError for a file that is wrong.
    """
    return Registry(read_model_file(path or BUNDLED), weights_cache=weights_cache)


class Registry:
    """The models by name, the default first, then as in the file."""

    def __init__(self, listed: ModelFile, *, weights_cache: Path | None) -> None:
        self._entries = listed.models
        complete = (
            name for name in listed.default if missing_dependency(listed.models[name]) is None
        )
        self.default = next(complete, listed.default[0])
        self.names = sorted(listed.models, key=lambda name: name != self.default)  # stable
        self._weights_cache = weights_cache
        self._cards = {name: self._blank_card(name) for name in self.names}
        self._loaded: dict[str, LoadedModel] = {}
        self._locks = {name: Lock() for name in self.names}

    @property
    def keras_backend(self) -> str:
        """What Keras is to compute with in this process: what the default model needs.

        Where that is not installed, the model's card is to say so: Keras must load nevertheless.
        """
        entry = self._entries[self.default]
        return entry.keras_backend if is_installed(entry.backend) else "tensorflow"

    def cards(self) -> list[ModelCard]:
        """What is known of every model now; safe to call while another thread loads."""
        return [self._cards[name] for name in self.names]

    def get(self, name: str) -> LoadedModel:
        """The model, loaded now unless it was tried before. Raises ModelUnavailableError.

        A job may come before its model: it was accepted when another worker, or this one before it
        was started anew, had it.
        """
        if name not in self._cards:
            raise ModelUnavailableError(f"no model {name!r} is served; served are {self.names}")
        self.load(name)
        if name not in self._loaded:
            raise ModelUnavailableError(f"model {name}: {self._cards[name].reason}")
        return self._loaded[name]

    def load(self, name: str) -> None:
        """Load one model, once, whoever asks; where that fails its card and the log say why."""
        with self._locks[name]:
            if self._cards[name].status is ModelStatus.LOADING:
                self._load(name)

    def _load(self, name: str) -> None:
        card = self._cards[name]
        try:
            loaded = load_model(self._entries[name], card, weights_cache=self._weights_cache)
        except ModelUnavailableError as error:
            reason = str(error)
            log.warning("model unavailable", model=name, reason=reason)
            self._cards[name] = card.model_copy(
                update={"status": ModelStatus.UNAVAILABLE, "reason": reason}
            )
        else:
            for trial in loaded.card.backends_tried:
                log.info("backend tried", model=name, **trial.model_dump(exclude_none=True))
            self._loaded[name] = loaded
            self._cards[name] = loaded.card

    def _blank_card(self, name: str) -> ModelCard:
        """What the file says of a model; the rest is known when it is loaded."""
        entry = self._entries[name]
        return ModelCard(
            name=name,
            default=name == self.default,
            status=ModelStatus.LOADING,
            reason=None,
            fingerprint=None,
            parts=None,
            input_shape=entry.input_shape,
            output_count=None,
            backend=None,
            backends_tried=[],
            device=None,
            dtype=None,
            revision=revision(),
            precision_error=None,
            warnings=[],
            value_range=(0.0, 255.0),
            preprocessing=entry.preprocessing_text,
            fit=entry.fit,
            fits=list(entry.fits),
            description=entry.description,
            data=entry.data,
            accuracy=entry.accuracy,
            limits=entry.limits,
            license=entry.license,
            labels=None,
        )
