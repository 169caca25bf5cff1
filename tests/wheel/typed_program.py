"""A program of a user, which mypy --strict accepts against the installed package."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shapshot import (
    AsyncClient,
    Attributions,
    BatchGroup,
    Client,
    Coalition,
    Explanation,
    ExplanationCanceledError,
    ExplanationSettings,
    Outputs,
    ShapshotError,
)


def report(document: Explanation) -> None:
    print(document.progress.fraction)


def explain(pictures: list[Path], array: NDArray[np.uint8]) -> NDArray[np.float32]:
    settings = ExplanationSettings(method="kernel", outputs=Outputs(top=2))
    with Client("http://127.0.0.1:8000", api_key="secret", timeout=60) as client:
        try:
            explanation: Explanation = client.explain(array, settings, on_progress=report)
        except ExplanationCanceledError as error:
            explanation = error.explanation
        except ShapshotError as error:
            raise SystemExit(error.problem.detail) from error
        Path("heatmap.svg").write_bytes(client.heatmap(explanation.id, "overlay", format="svg"))
        scores = client.scores(explanation.id, [Coalition(hidden=[1]), {"shown": [2]}])
        labels: list[str] = [output.label for output in scores.outputs or []]
        print(labels, client.link(explanation.id, "heatmap.png").url)
        group: BatchGroup = client.explain_all(pictures, {"seed": 1}, idempotency_key="run-1")
        print(group.counts, [each.id for each in client.iterate(limit=10, order="oldest")])
        found: Attributions = client.attributions(explanation.id)
        return found.values


async def follow(explanation_id: str) -> str:
    async with AsyncClient() as client:
        async for document in client.events(explanation_id):
            report(document)
        regions = await (await client.wait(explanation_id, timeout_s=5)).regions()
        return regions.adding
