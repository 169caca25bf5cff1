from itertools import pairwise

import pytest

from worker.engine.scoring.batch_size import buckets, device_batch_size, group, next_span, shares
from worker.engine.scoring.cpu_count import usable_cpus

SMALL, USUAL = (28, 28, 1), (224, 224, 3)


def sizes(count, shape, device="cpu", *, cores):
    parts = shares(count, shape, device, cores=cores)
    assert parts[0].start == 0
    assert parts[-1].stop == count
    assert all(one.stop == after.start for one, after in pairwise(parts))
    return [part.stop - part.start for part in parts]


@pytest.mark.parametrize(
    ("shape", "cores", "batch"),
    [(USUAL, 1, 8), (USUAL, 2, 16), (USUAL, 64, 128), (SMALL, 1, 64), (SMALL, 2, 128)],
)
def test_the_physical_batch_of_a_cpu_grows_with_its_cores(shape, cores, batch):
    assert device_batch_size(shape, "cpu", cores=cores) == batch


def test_the_physical_batch_suits_the_device_and_the_picture():
    assert device_batch_size((4000, 4000, 3), "cpu", cores=1) == 2
    assert device_batch_size(USUAL, "gpu:0 NVIDIA H100", cores=2) == 127


@pytest.mark.parametrize("shape", [SMALL, USUAL])
@pytest.mark.parametrize("device", ["cpu", "gpu:0 NVIDIA H100"])
def test_the_full_batch_size_is_the_largest_batch_and_the_small_one_an_eighth(shape, device):
    batch = device_batch_size(shape, device)
    small, full = buckets(shape, device)
    assert full == max(next_span(count, batch) for count in range(1, 4 * batch))
    assert 8 * (small - 1) < full <= 8 * small


def test_a_group_has_as_many_pictures_as_a_core_takes_at_once():
    assert [group(shape) for shape in (SMALL, USUAL, (448, 448, 3), (4000, 4000, 3))] == [
        16,
        4,
        1,
        1,
    ]


@pytest.mark.parametrize("cores", [1, 2, 3, 4, 16, 200])
def test_a_full_batch_is_cut_into_one_share_per_core(cores):
    batch = device_batch_size(USUAL, "cpu", cores=cores)
    assert sizes(batch, USUAL, cores=cores) == [8] * min(cores, 16)


@pytest.mark.parametrize("shape", [SMALL, USUAL, (4000, 4000, 3)])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 9, 50, 65, 129])
def test_shares_are_about_equal_and_have_at_least_two_pictures(shape, count):
    for cores in (1, 2, 4, 64):
        each = sizes(count, shape, cores=cores)
        assert max(each) - min(each) <= 1
        assert count == 1 or min(each) >= 2
        assert len(each) <= cores


def test_a_batch_too_small_for_two_shares_stays_whole():
    assert sizes(50, SMALL, cores=8) == [50]  # shap's batch: the same matrix products
    assert sizes(5, USUAL, cores=8) == [5]


def test_a_gpu_takes_whole_batches():
    assert sizes(127, USUAL, "gpu:0 NVIDIA H100", cores=8) == [127]


@pytest.mark.parametrize(
    ("limit", "cores"), [("max 100000", 8), ("150000 100000", 2), ("50000 100000", 1)]
)
def test_a_containers_limit_counts(tmp_path, monkeypatch, limit, cores):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    quota = tmp_path / "cpu.max"
    quota.write_text(limit + "\n")
    assert usable_cpus(quota) == cores


def test_without_a_limit_the_schedulers_cores_count(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 5, 7})
    assert usable_cpus(tmp_path / "missing") == 3
