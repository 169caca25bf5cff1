"""The alerts use series that `/metrics` exports, and the operations guide covers every alert."""

import re
from pathlib import Path

import promql_parser as promql
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from service.schemas.documents import ErrorCode, Failure

ROOT = Path(__file__).parents[3]
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "docker/prometheus/alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
SCALER = yaml.safe_load((ROOT / "docker/k8s/keda/worker.yaml").read_text())
EXPRESSIONS = {rule["alert"]: rule["expr"] for rule in RULES} | {
    "KEDA": SCALER["spec"]["triggers"][0]["metadata"]["query"]
}
PROMETHEUS_ADDS = {"instance", "pod"}


def nodes(expression):
    """Yields every node of an expression. Raises an error if it is not PromQL."""
    found = []

    def visit(node):
        found.append(node)
        return True

    promql.walk(promql.parse(expression), visit)
    return found


def selectors(expression):
    """Returns the names of the series that an expression selects, and the matchers of each."""
    ranges = [
        node.vector_selector
        for node in nodes(expression)
        if isinstance(node, promql.MatrixSelector)
    ]
    plain = [node for node in nodes(expression) if isinstance(node, promql.VectorSelector)]
    return [(each.name, each.matchers.matchers) for each in (*ranges, *plain)]


@pytest.fixture
async def exported(served, create, fake_worker):
    """Label values of every series, by name, after each kind of event has happened."""
    for code in ErrorCode:
        fake_worker.fail(await create(), Failure(code=code, detail="so"))
    await served.get("/nothing")
    series: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families((await served.get("/metrics")).text):
        for sample in family.samples:
            labels = series.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return series


async def test_alerts_use_only_series_and_labels_that_exist(exported):
    for alert, expression in EXPRESSIONS.items():
        read = selectors(expression)
        assert read, alert
        for name, matchers in read:
            assert name in exported, alert
            assert {matcher.name for matcher in matchers} <= set(exported[name]), alert


@pytest.mark.parametrize("alert", EXPRESSIONS)
def test_alerts_on_codes_use_codes_that_exist(alert):
    for _, matchers in selectors(EXPRESSIONS[alert]):
        for matcher in matchers:
            if matcher.name == "code":
                assert set(matcher.value.split("|")) <= {code.value for code in ErrorCode}


async def test_alerts_group_by_labels_that_exist(exported):
    for alert, expression in EXPRESSIONS.items():
        known = PROMETHEUS_ADDS.union(*(set(exported[name]) for name, _ in selectors(expression)))
        for node in nodes(expression):
            if isinstance(node, promql.AggregateExpr) and node.modifier:
                assert set(node.modifier.labels) <= known, alert


def test_every_alert_has_a_summary_a_severity_and_a_chapter():
    book = (ROOT / "docs/operations.md").read_text()
    for rule in RULES:
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert book.count(f"**{rule['alert']}**") == 1
    named = set(re.findall(r"\*\*(Shapshot\w+)\*\*", book))
    assert named == {rule["alert"] for rule in RULES}


async def test_the_guide_names_only_series_that_exist(exported):
    book = (ROOT / "docs/operations.md").read_text()
    named = set(re.findall(r"\bshapshot_[a-z_]+\b", book)) - {"shapshot_redis", "shapshot_store"}
    assert named <= set(exported) | {name.removesuffix("_bucket") for name in exported}
    assert len(named) > 10
