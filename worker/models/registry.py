"""The registry of a worker's models: listed in the models file, loaded one by one, with cards."""

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
    """Read the registry from the file at `path` (None: the bundled models); load no model yet.

    weights_cache: folder for Keras's downloads; None: Keras's own folder. Raises RegistryError for
    an invalid file.
    """
    return Registry(read_model_file(path or BUNDLED), weights_cache=weights_cache)


class Registry:
    """The models by name: the default first, the others in the file's order."""

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
        """The Keras backend of this process: the one that the default model needs.

        Where that backend is not installed, "tensorflow", so that Keras can be imported; the
        model's card says what is missing.
        """
        entry = self._entries[self.default]
        return entry.keras_backend if is_installed(entry.backend) else "tensorflow"

    def cards(self) -> list[ModelCard]:
        """Return the current card of every model; safe to call while another thread loads one."""
        return [self._cards[name] for name in self.names]

    def get(self, name: str) -> LoadedModel:
        """Return the model, loading it unless that was tried before. Raises ModelUnavailableError.

        A job may arrive before its model is loaded: it was accepted while another worker, or this
        one before a restart, served the model.
        """
        if name not in self._cards:
            raise ModelUnavailableError(f"no model {name!r} is served; served are {self.names}")
        self.load(name)
        if name not in self._loaded:
            raise ModelUnavailableError(f"model {name}: {self._cards[name].reason}")
        return self._loaded[name]

    def load(self, name: str) -> None:
        """Load a model once, from any thread; a failure goes to its card and the log."""
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
        """Build a model's card from the models file; loading adds the rest."""
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
