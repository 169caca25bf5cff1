"""After real jobs, the metrics of a live set agree with what was run."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from service.schemas.requests import ExplanationSettings, Outputs, Slic
from tests.conftest import wait_until
from tests.e2e.conftest import Running
from tests.e2e.pictures import SAMPLE, cat
from tests.encoded import encoded
from worker.engine.scoring.batch_size import device_batch_size


def scrape(running: Running) -> dict[str, float]:
    """Return the samples by name and labels."""
    text = httpx.get(f"{running.url}/metrics").raise_for_status().text
    return {
        f"{sample.name}{sorted(sample.labels.values())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def is_idle(samples: dict[str, float]) -> bool:
    busy = ("shapshot_running_jobs[", "shapshot_queue_jobs[")
    return not any(value for name, value in samples.items() if name.startswith(busy))


def test_the_counts_agree_with_the_jobs_that_were_run(running: Running) -> None:
    outputs, metadata = Outputs(top=1), {"made for": "the counts"}
    one = ExplanationSettings(outputs=outputs, max_evals=301, metadata=metadata)
    four = ExplanationSettings(
        method="kernel",
        superpixels=Slic(kind="slic", segments=10),
        outputs=outputs,
        max_evals=120,
        metrics=["deletion"],
        metadata=metadata,
    )
    wait_until(lambda: is_idle(scrape(running)), seconds=60)  # other tests leave jobs
    before = scrape(running)
    alone = running.client.explain(SAMPLE, one)
    photos = [encoded(cat().rotate(90 * turns)) for turns in range(4)]
    batch = running.client.wait_batch(running.client.submit_batch(photos, four).id)
    after = scrape(running)

    def added(name: str, *labels: str) -> float:
        return after[f"{name}{sorted(labels)}"] - before.get(f"{name}{sorted(labels)}", 0)

    documents = [alone, *(running.client.get(each.id) for each in batch.explanations)]
    timings = [document.timings for document in documents if document.timings]
    assert len(timings) == 5
    assert added("shapshot_jobs_accepted_total", "partition") == 1
    assert added("shapshot_jobs_total", "partition", "succeeded") == 1
    assert added("shapshot_jobs_total", "kernel", "succeeded") == 4
    evaluations = sum(document.progress.evaluations for document in documents)
    assert added("shapshot_evaluations_total") == evaluations > 780
    batches, slots = added("shapshot_model_batches_total"), device_batch_size((32, 32, 3), "cpu")
    assert slots * batches <= added("shapshot_model_batch_slots_total") <= (slots + 1) * batches
    assert 0 < batches < evaluations / 4
    for name, spent_s in (
        ("shapshot_model_forward_seconds_total", sum(each.model_s for each in timings)),
        ("shapshot_masking_seconds_total", sum(each.masking_s for each in timings)),
    ):
        assert abs(added(name) - spent_s) < 0.001
    assert after["shapshot_model_workers['cifar10']"] == 1
    assert after["shapshot_queue_jobs['interactive']"] == after["shapshot_running_jobs[]"] == 0
