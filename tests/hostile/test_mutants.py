"""Mutants of files of every format, over HTTP: each is accepted, or refused with a reason."""

import json

from tests.hostile.wire import explain
from tests.images.test_mutants import mutants, whole_files

OF_EACH = 8
GROWTH_MB = 250


def test_a_mutant_is_accepted_or_refused_with_a_reason(serve):
    api = serve(max_queued=1000)
    files = list(whole_files())
    assert [api.send(explain(whole)).status for _, whole in files] == [202] * len(files)
    before_mb = api.resident_mb
    statuses = set()
    for name, whole in files:
        for number, content in enumerate(mutants(whole, OF_EACH)):
            answer = api.send(explain(content))
            statuses.add(answer.status)
            assert answer.status in (202, 413, 415, 422), (name, number, answer.content)
            if answer.status != 202:
                problem = json.loads(answer.content)
                assert problem["field"] == "image", (name, number)
                assert len(problem["detail"]) > 10, (name, number)
    assert statuses >= {202, 415, 422}
    assert "Traceback" not in api.log.read_text()
    assert api.resident_mb - before_mb < GROWTH_MB
