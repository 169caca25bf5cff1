"""`/metrics`: counts of one process and of Redis, in a bounded number of series."""

from prometheus_client.parser import text_string_to_metric_families

from service.infra.settings.api import ApiSettings
from service.jobs.leases import ModelUsage
from service.schemas.documents import ErrorCode, Failure, Status


async def scrape(api):
    """Returns every sample by name and labels."""
    answer = await api.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=1.0.0")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(samples, name, **labels):
    return samples.get((name, tuple(sorted(labels.items()))))


def requests_of(samples, route):
    """Returns the number of responses of a route, by method and status."""
    name = "shapshot_http_request_duration_seconds_count"
    found = [(dict(labels), count) for (each, labels), count in samples.items() if each == name]
    return {
        (labels["method"], labels["status"], labels["waits"]): count
        for labels, count in found
        if labels["route"] == route
    }


async def test_jobs_are_counted_by_status(served, create, fake_worker):
    ended, failed, _ = [await create() for _ in range(3)]
    await create(method="kernel")
    work = ModelUsage(evaluations=96, batches=2, slots=128, model_s=1.5, masking_s=0.25)
    fake_worker.ledger.finish(ended, fake_worker.begin(ended), Status.SUCCEEDED, work=work)
    fake_worker.fail(failed, Failure(code=ErrorCode.DEADLINE_EXCEEDED, detail="too long"))
    samples = await scrape(served)
    assert value(samples, "shapshot_jobs_accepted_total", method="partition") == 3
    assert value(samples, "shapshot_jobs_accepted_total", method="kernel") == 1
    for outcome, count in {"succeeded": 1, "failed": 1, "canceled": 0, "deleted": 0}.items():
        name = "shapshot_jobs_total"
        assert value(samples, name, outcome=outcome, method="partition") == count
    assert value(samples, "shapshot_job_failures_total", code="deadline_exceeded") == 1
    assert value(samples, "shapshot_evaluations_total") == 96
    assert value(samples, "shapshot_model_batches_total") == 2
    assert value(samples, "shapshot_model_batch_slots_total") == 128
    assert value(samples, "shapshot_model_forward_seconds_total") == 1.5
    assert value(samples, "shapshot_masking_seconds_total") == 0.25
    assert value(samples, "shapshot_queue_jobs", priority="interactive") == 2
    assert value(samples, "shapshot_queue_jobs", priority="batch") == 0
    assert value(samples, "shapshot_queue_oldest_age_seconds", priority="interactive") > 0
    assert value(samples, "shapshot_running_jobs") == 0
    assert value(samples, "shapshot_workers") == 1
    assert value(samples, "shapshot_model_workers", model="tiny") == 1
    assert value(samples, "shapshot_redis_up") == 1


async def test_responses_are_counted_by_the_template_of_their_route(served, create):
    explanation_id = await create()
    for _ in range(2):
        await served.get(f"/v1/explanations/{explanation_id}")
    await served.head(f"/v1/explanations/{explanation_id}")
    await served.get(f"/v1/explanations/{explanation_id}", headers={"Prefer": "wait=0"})
    await served.get("/v1/explanations/exp_none")
    samples = await scrape(served)
    assert requests_of(samples, "/v1/explanations/{explanation_id}") == {
        ("GET", "200", "no"): 2,
        ("HEAD", "200", "no"): 1,
        ("GET", "200", "yes"): 1,
        ("GET", "404", "no"): 1,
    }
    assert requests_of(samples, "/v1/explanations") == {("POST", "202", "no"): 1}
    assert value(samples, "shapshot_problems_total", code="not_found") == 1
    assert value(samples, "shapshot_http_requests_in_progress") == 1  # this one


async def test_an_unexpected_error_is_counted_as_500(served, poisoned):
    assert (await served.get(poisoned)).status_code == 500
    samples = await scrape(served)
    assert requests_of(samples, poisoned) == {("GET", "500", "no"): 1}
    assert value(samples, "shapshot_problems_total", code="internal") == 1


async def test_unknown_paths_and_methods_make_no_series(served):
    await served.get("/nothing")
    await served.request("FROB", "/nothing")
    await served.request("FROB", "/v1/methods")
    before = set(await scrape(served))
    for n in range(50):
        await served.get(f"/nothing/{n}")
        await served.request(f"FROB{n}", f"/nothing/{n}")
        await served.request(f"FROB{n}", "/v1/methods")
    samples = await scrape(served)
    assert {key for key in samples if key not in before and "/metrics" not in str(key)} == set()
    assert requests_of(samples, "unmatched") == {
        ("GET", "404", "no"): 51,
        ("OTHER", "404", "no"): 51,
    }


async def test_forged_totals_make_no_series(api, connection):
    before = set(await scrape(api))
    forged = {"jobs:won:partition": 1, "accepted:alchemy": 1, "failures:bad luck": 1, "x": 1}
    connection.hset("shapshot:totals", mapping=forged)
    added = set(await scrape(api)) - before
    assert {key for key in added if "/metrics" not in str(key)} == set()


async def test_without_redis_a_process_still_exports_its_own_metrics(start, tmp_path, store_url):
    away = ApiSettings(redis_url=f"unix://{tmp_path}/none.sock", store_url=store_url)
    async with start(away) as api:
        assert (await api.get("/v1/explanations")).status_code == 503
        samples = await scrape(api)
    assert value(samples, "shapshot_redis_up") == 0
    assert value(samples, "shapshot_queue_jobs", priority="batch") is None
    assert value(samples, "shapshot_problems_total", code="redis_unavailable") == 1
    assert value(samples, "process_resident_memory_bytes") > 0


async def test_a_process_does_not_count_for_another(start, settings):
    async with start(settings) as one, start(settings) as other:
        await one.get("/v1/methods")
        assert requests_of(await scrape(one), "/v1/methods") == {("GET", "200", "no"): 1}
        assert requests_of(await scrape(other), "/v1/methods") == {}
