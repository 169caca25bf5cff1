"""Logs an explanation into a run of MLflow: settings, numbers, and a folder of its files."""

import importlib
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.client import calls
from service.client.errors import ShapshotError, whole
from service.client.sequences import Steps
from service.schemas.documents import ErrorCode, Explanation
from service.schemas.results import OutputResult

FOLDER = "shapshot"  # of the artifacts of a run; in it one for each explanation
OF_ONE_PICTURE = {"metadata", "priority", "true_label"}  # not parameters, which a run has once
OF_OUTPUTS = (  # metrics
    *("score", "base_value", "attribution_sum", "efficiency_gap", "sparseness"),
    *("held_out_fidelity", "even_energy"),
)
AT_ONCE = 100  # parameters or metrics in a request to MLflow
MAX_TAG = 5000  # characters
_FOREIGN = re.compile(r"[^\w\-. ]")  # of names in MLflow


@dataclass(frozen=True)
class ActiveRun:
    """The run of MLflow that the calling thread has started."""

    id: str
    client: Any  # mlflow.MlflowClient
    entities: Any  # mlflow.entities

    @classmethod
    def find(cls) -> "ActiveRun":
        """Return it. Raises ImportError without MLflow, ValueError without a run."""
        try:
            mlflow = importlib.import_module("mlflow")
        except ModuleNotFoundError as error:
            if error.name != "mlflow":
                raise
            raise ImportError(
                "log_mlflow needs mlflow, which is not installed: pip install mlflow, or "
                "mlflow-skinny"
            ) from error
        run = mlflow.active_run()
        if run is None:
            raise ValueError(
                "log_mlflow logs into the active run of MLflow, and this thread has none: call it "
                "inside `with mlflow.start_run():`"
            )
        entities = importlib.import_module("mlflow.entities")
        return cls(run.info.run_id, mlflow.MlflowClient(), entities)

    def log(self, document: Explanation, files: dict[str, bytes], step: int) -> str:
        """Log settings, numbers, tags and files; return the folder of the files in the run.

        Settings come first: MLflow refuses them if the run has others, and then nothing is logged.
        """
        params = [self.entities.Param(*each) for each in settings_of(document).items()]
        for start in range(0, len(params), AT_ONCE):
            self.client.log_batch(self.id, params=params[start : start + AT_ONCE])
        ended_ms = int(1000 * document.finished_at.timestamp()) if document.finished_at else 0
        found = metrics_of(document).items()
        metrics = [self.entities.Metric(name, value, ended_ms, step) for name, value in found]
        for start in range(0, len(metrics), AT_ONCE):
            self.client.log_batch(self.id, metrics=metrics[start : start + AT_ONCE])
        tags = [self.entities.RunTag(*each) for each in tags_of(document).items()]
        self.client.log_batch(self.id, tags=tags)
        folder = f"{FOLDER}/{document.id}"
        with tempfile.TemporaryDirectory() as place:
            for name, content in files.items():
                (Path(place) / name).write_bytes(content)
            self.client.log_artifacts(self.id, place, folder)
        return folder


def fetch(explanation: str | Explanation) -> Steps[tuple[Explanation, dict[str, bytes]]]:
    """Get the document anew, and its files by name.

    Raises ValueError if it is not done, ExplanationFailedError if it has no whole result.
    """
    id_ = explanation if isinstance(explanation, str) else explanation.id
    document: Explanation = yield calls.read(id_)
    if not document.done:
        raise ValueError(f"{id_} is {document.status.value}; wait for it before it is logged")
    whole(document)
    files: dict[str, bytes] = {"document.json": document.model_dump_json(indent=2).encode()}
    files["figure.png"] = yield calls.heatmap(id_, "figure", "png", {})
    files["attributions.npz"] = yield calls.attributions_npz(id_)
    if "regions" in document.links:
        files["regions.csv"] = yield calls.regions_csv(id_)
    if "faithfulness" in document.links:
        files["faithfulness.png"] = yield calls.faithfulness_chart(id_, (), "png")
    files["report.html"] = yield calls.report(id_)
    try:  # the link to a record may come a little later than the result
        files["record.json"] = yield calls.record(id_)
        files["bundle.zip"] = yield calls.bundle(id_)
    except ShapshotError as error:
        if error.problem.code != ErrorCode.NO_RESULT:  # the server signs no records
            raise
    return document, files


def settings_of(document: Explanation) -> dict[str, str]:
    """Return the settings as parameters of a run: `shapshot.method` and others."""
    settings = document.settings.model_dump(mode="json", exclude=OF_ONE_PICTURE)
    return {
        f"shapshot.{name}": value if isinstance(value, str) else json.dumps(value)
        for name, value in settings.items()
        if value is not None
    }


def metrics_of(document: Explanation) -> dict[str, float]:
    """Return the numbers of the outputs: `shapshot.score/espresso` and others."""
    return dict(_metrics(document))


def _metrics(document: Explanation) -> Iterator[tuple[str, float]]:
    outputs = document.outputs or []
    labels = [output.label for output in outputs]

    def name(output: OutputResult) -> str:
        once = labels.count(output.label) == 1
        return _FOREIGN.sub("_", output.label if once else f"{output.label} {output.index}")

    yield "shapshot.evaluations", document.progress.evaluations
    yield "shapshot.warnings", len(document.warnings or [])
    if document.timings:
        yield "shapshot.engine_s", document.timings.engine_s
    for output in outputs:
        for field in OF_OUTPUTS:
            value = getattr(output, field)
            if value is not None:
                yield f"shapshot.{field}/{name(output)}", value
    named = {output.index: name(output) for output in outputs}
    for area in document.metrics or []:
        yield f"shapshot.{area.metric}/{named[area.output]}", area.area
        yield f"shapshot.{area.metric}.random/{named[area.output]}", area.baseline_area


def tags_of(document: Explanation) -> dict[str, str]:
    """Return the tags of a run; those of the explanation that was logged last remain."""
    codes = sorted({warning.code.value for warning in document.warnings or []})
    tags = {
        "shapshot.explanation": document.id,
        "shapshot.model": document.model.name,
        "shapshot.fingerprint": document.model.fingerprint or "",
        "shapshot.picture_sha256": document.image.sha256,
        "shapshot.solution_concept": document.solution_concept or "",
        "shapshot.warnings": ", ".join(codes),
        "shapshot.metadata": json.dumps(document.settings.metadata)[:MAX_TAG],
    }
    return {name: value for name, value in tags.items() if value}
