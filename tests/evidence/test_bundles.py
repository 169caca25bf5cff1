"""A bundle is verified without server and model, and any change of it is found and named."""

import base64
import hashlib
import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from typer.testing import CliRunner

from service.cli.main import app
from service.evidence.archives import ArchiveError, read_archive, write_archive
from service.evidence.envelopes import encode, seal
from service.evidence.keys import PublicKeys, SigningKey
from service.infra.packed_arrays import pack, unpack
from service.infra.result_arrays import pack_arrays
from service.schemas.evidence import PackedArray
from service.schemas.record import BundleStatement, Statement
from tests.evidence.conftest import GRID
from worker.verification import verify_bundle, verify_chain

PIXELS = {"kind": "pixels"}
AGAIN = "values computed again"
SLIC = {"kind": "slic", "segments": 12}


def faults(verified):
    return {check.what: check.fault for check in verified.checks if check.fault}


def archived(files):
    return b"".join(write_archive((name, [content]) for name, content in files.items()))


def statement_in(files, name, schema):
    payload = base64.b64decode(json.loads(files[name])["payload"])
    return schema.model_validate_json(payload)


def resigned(files, key, change):
    """The bundle of a server that changes the record before it signs; `change` takes its JSON."""
    content = statement_in(files, "record.json", Statement).model_dump(mode="json", by_alias=True)
    change(content)
    record = seal(encode(Statement.model_validate(content)), key)
    manifest = statement_in(files, "manifest.json", BundleStatement)
    listed = manifest.model_dump(mode="json", by_alias=True)
    changed = {**files, "record.json": record}
    for subject in listed["subject"]:
        subject["digest"]["sha256"] = hashlib.sha256(changed[subject["name"]]).hexdigest()
    changed["manifest.json"] = seal(encode(BundleStatement.model_validate(listed)), key)
    return archived(changed)


@pytest.mark.parametrize(
    "chosen",
    [
        {"method": "partition", "superpixels": PIXELS, "outputs": {"top": 3}},
        {"method": "partition", "superpixels": SLIC, "fixed_context": 1},
        {"method": "permutation", "superpixels": GRID, "metrics": ["keep_positive"]},
        {"method": "permutation", "superpixels": {"kind": "pixels", "channels": "together"},
         "max_evals": 1000},
        {"method": "kernel", "superpixels": SLIC, "metrics": ["deletion", "insertion"]},
        {"method": "exact", "superpixels": {"kind": "grid", "rows": 2, "columns": 4},
         "max_evals": 256},
        {"method": "gaussian_process", "superpixels": GRID, "target_standard_error": 0.01},
        {"method": "gaussian_process", "superpixels": GRID, "interactions": 2, "max_evals": 60},
        {"fit": "pad", "masker": "blur(3,3)", "metrics": ["deletion"]},
        {"fit": "crop", "masker": "constant(9)", "link": "identity", "metadata": {"n": 2**60}},
        {"compare_with": "sleeper", "fit": "stretch", "metrics": ["deletion"]},
        {"compare_with": "sleeper", "fit": "pad", "method": "partition", "superpixels": PIXELS},
        {"compare_with": "sleeper", "method": "gaussian_process", "superpixels": GRID,
         "max_evals": 60},
    ],
)  # fmt: skip
async def test_the_bundle_of_a_result_is_valid(signed, chosen):
    content = await signed.bundle(**chosen)
    verified = verify_bundle(content, PublicKeys(keys=(signed.key.public,)))
    assert not faults(verified)
    assert verified.valid
    assert "the values follow from the recorded scores" in {c.what for c in verified.checks}
    curves = "the curves follow from the recorded scores" in {c.what for c in verified.checks}
    assert curves == ("metrics" in chosen)


async def test_a_change_of_any_bit_is_found(signed):
    content = await signed.bundle(metrics=["deletion"])
    draw = np.random.default_rng(0)
    for place in draw.integers(8 * len(content), size=1000).tolist():
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        assert not verify_bundle(bytes(changed)).valid


async def test_the_file_that_was_changed_is_named(signed):
    files = dict(read_archive(await signed.bundle(metrics=["deletion"])))
    assert {"report.html", "figure.png", "regions.csv", "faithfulness.json"} <= set(files)
    for name in set(files) - {"record.json", "manifest.json", "keys.json"}:
        middle = len(files[name]) // 2
        for changed in (
            files[name][:middle] + bytes([files[name][middle] ^ 16]) + files[name][middle + 1 :],
            files[name] + b" ",
            files[name][:-1],
        ):
            told = faults(verify_bundle(archived(files | {name: changed})))
            assert told == {
                f"{name} is the file that was signed": "it was changed after it was signed"
            }
        without = {other: content for other, content in files.items() if other != name}
        told = faults(verify_bundle(archived(without)))
        assert any(name in what or name in fault for what, fault in told.items())
    told = faults(verify_bundle(archived({**files, "more.txt": b""})))
    assert told == {"more.txt is the file that was signed": "neither record nor manifest lists it"}


async def test_another_servers_bundle_is_not_this_servers(signed, tmp_path):
    content = await signed.bundle()
    other = SigningKey.create(tmp_path / "other.pem")
    told = faults(verify_bundle(content, PublicKeys(keys=(other.public,))))
    assert "known are" in told["the record is signed"]


def scores_of(record):
    return record["predicate"]["evidence"]["transcript"]["scores"]


async def test_values_that_do_not_follow_from_the_scores_are_found_though_signed(signed):
    files = dict(read_archive(await signed.bundle()))

    def other_score(record):
        transcript = statement_in(files, "record.json", Statement).predicate.evidence.transcript
        scores = unpack(transcript.scores).copy()
        scores[17, 0] += 0.25
        scores_of(record).update(pack(scores).model_dump(mode="json"))

    told = faults(verify_bundle(resigned(files, signed.key, other_score)))
    assert "differ by up to" in told["the values follow from the recorded scores"]


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda r: r["predicate"]["settings"].update(seed=7), "values follow"),
        (lambda r: r["predicate"]["settings"].update(method="exact"), "values follow"),
        (lambda r: r["predicate"]["result"]["outputs"][0].update(base_value=3.5), "values follow"),
        (lambda r: r["predicate"]["result"]["outputs"][0].update(attribution_sum=0.5), "sums of"),
        (lambda r: r["predicate"]["result"]["model"].update(name="other"), "name the model"),
        (lambda r: r["predicate"]["result"]["metrics"][0].update(area=9.0), "curves follow"),
        (lambda r: r["predicate"]["evidence"]["transcript"].update(steps=[1]), "values follow"),
        (lambda r: scores_of(r).update(data="!"), "values follow"),
        (lambda r: scores_of(r).update(shape=[2**30, 1]), "values follow"),
    ],
)
async def test_a_record_that_contradicts_itself_is_found_though_signed(signed, change, check):
    files = dict(read_archive(await signed.bundle(metrics=["deletion"])))
    [(what, _)] = faults(verify_bundle(resigned(files, signed.key, change))).items()
    assert check in what


@pytest.mark.parametrize(
    ("name", "change", "fault"),
    [
        ("interaction_values", lambda a: a * 1.001, "differ by up to"),
        ("interaction_standard_errors", lambda a: a / 2, "differ by up to"),
        ("alone_high", lambda a: a + 0.1, "differ by up to"),
        ("interaction_pairs", lambda a: a[::-1], "differ by up to"),
        ("alone_low", lambda a: None, "the arrays have alone_high"),
    ],
)
async def test_interactions_that_do_not_follow_from_the_scores_are_found_though_signed(
    signed, name, change, fault
):
    chosen = {"method": "gaussian_process", "superpixels": GRID, "interactions": 2}
    files = dict(read_archive(await signed.bundle(**chosen, max_evals=40)))
    with np.load(io.BytesIO(files["attributions.npz"])) as stored:
        arrays = dict(stored)
    other = change(arrays.pop(name))
    files["attributions.npz"] = pack_arrays(arrays if other is None else arrays | {name: other})[0]

    def other_digest(record):
        [subject] = [each for each in record["subject"] if each["name"] == "attributions.npz"]
        subject["digest"]["sha256"] = hashlib.sha256(files["attributions.npz"]).hexdigest()

    told = faults(verify_bundle(resigned(files, signed.key, other_digest)))
    assert fault in told["the values follow from the recorded scores"]


def other_difference(record):
    outputs = record["predicate"]["result"]["outputs"]
    outputs[2].update(score=outputs[2]["score"] + 0.5)


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (other_difference, "differences are those"),
        (
            lambda r: r["predicate"]["result"]["compared"].update(name="x"),
            "name the model",
        ),
        (lambda r: r["predicate"]["result"].update(compared=None), "name the model"),
    ],
)
async def test_a_comparison_that_contradicts_itself_is_found_though_signed(signed, change, check):
    files = dict(read_archive(await signed.bundle(compare_with="sleeper")))
    [(what, _)] = faults(verify_bundle(resigned(files, signed.key, change))).items()
    assert check in what


async def test_records_that_follow_each_other_name_each_other(signed):
    bundles = [await signed.bundle(seed=seed) for seed in range(3)]
    verified = [verify_bundle(each) for each in bundles]
    assert [check.fault for check in verify_chain(verified)] == [None, None]
    assert verify_chain([verified[0], verified[2]]) == []
    verified[1].sha256 = "0" * 64
    assert [bool(check.fault) for check in verify_chain(verified)] == [False, True]
    verified[1].chain = verified[0].chain
    assert any("both claim it" in (check.fault or "") for check in verify_chain(verified))


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/b", "C:\\x", ".", "ü"])
def test_names_that_lead_elsewhere_are_refused(name):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(ArchiveError):
        read_archive(file.getvalue())


def test_a_compressed_archive_is_refused_unread():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(10_000_000))
    with pytest.raises(ArchiveError, match="bomb is compressed"):
        read_archive(file.getvalue())


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x05\x06" + bytes(18), b"x" * 1000])
def test_what_is_no_bundle_is_refused(content):
    assert not verify_bundle(content).valid


async def test_the_command_tells_what_is_wrong(signed, tmp_path):
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    content = await signed.bundle()
    good.write_bytes(content)
    files = dict(read_archive(content))
    bad.write_bytes(archived(files | {"picture": b"another"}))
    keys = tmp_path / "keys.json"
    keys.write_text(PublicKeys(keys=(signed.key.public,)).model_dump_json())
    found = CliRunner().invoke(app, ["verify", str(good), "--keys", str(keys)])
    assert found.exit_code == 0, found.output
    assert "the values follow from the recorded scores" in found.output
    found = CliRunner().invoke(app, ["verify", str(good), str(bad), "--json"])
    assert found.exit_code == 1
    told = json.loads(found.output)
    assert [each["valid"] for each in told["bundles"]] == [True, False]
    assert told["bundles"][1]["checks"][-1] == {
        "what": "picture is the file that was signed",
        "fault": "it was changed after it was signed",
    }


def test_an_array_inflates_to_no_more_than_it_claims():
    packed = pack(np.zeros(1_000_000)).model_copy(update={"shape": [10]})
    with pytest.raises(ValueError, match="inflates to more"):
        unpack(packed)


@pytest.mark.parametrize(
    ("chosen", "how"),
    [
        ({"method": "partition", "superpixels": PIXELS}, AGAIN),
        ({"method": "partition", "superpixels": PIXELS, "fixed_context": 0}, AGAIN),
        ({"method": "partition", "superpixels": PIXELS, "fixed_context": 1}, AGAIN),
        ({"method": "partition", "superpixels": {"kind": "pixels", "channels": "together"}}, AGAIN),
        ({"method": "permutation", "superpixels": {"kind": "grid", "rows": 1, "columns": 1}},
          AGAIN),
        ({"method": "permutation", "fit": "pad"}, AGAIN),
        ({"method": "permutation", "superpixels": {"kind": "pixels", "channels": "together"},
          "max_evals": 1000}, AGAIN),
        ({"method": "exact", "superpixels": {"kind": "grid", "rows": 2, "columns": 3}}, AGAIN),
        ({"method": "gaussian_process"}, "values add up"),
        ({"method": "permutation", "compare_with": "sleeper"}, AGAIN),
    ],
)  # fmt: skip
async def test_the_second_verifier_comes_to_the_same(signed, tmp_path, chosen, how):
    good, bad, keys = tmp_path / "good.zip", tmp_path / "bad.zip", tmp_path / "keys.json"
    content = await signed.bundle(**chosen, outputs={"top": 2})
    good.write_bytes(content)
    files = dict(read_archive(content))
    bad.write_bytes(archived(files | {"picture": b"another"}))
    keys.write_bytes(files["keys.json"])
    found = verify_alone(keys, good)
    assert found.returncode == 0, found.stdout + found.stderr
    assert how in found.stdout
    found = verify_alone(keys, bad)
    assert found.returncode == 1
    assert "picture was changed" in found.stdout


def other_third_column(record):
    """The difference of the first coalition is another by its last bit."""
    scores = unpack(PackedArray.model_validate(scores_of(record))).copy()
    scores[0, 2] = np.nextafter(scores[0, 2], 9)
    scores_of(record).update(pack(scores).model_dump(mode="json"))


def other_curve_difference(record):
    scores = record["predicate"]["evidence"]["curves"]["scores"]
    changed = unpack(PackedArray.model_validate(scores)).copy()
    changed[-1, 2] += 0.5
    scores.update(pack(changed).model_dump(mode="json"))


def swapped_sides(record):
    one, other, _ = record["predicate"]["result"]["outputs"]
    one["of"], other["of"] = other["of"], one["of"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (other_difference, "is not the first score minus the second"),
        (other_third_column, "is not the first score minus the second"),
        (other_curve_difference, "is not the first score minus the second"),
        (swapped_sides, "the outputs are of compared, model, difference"),
        (
            lambda r: r["predicate"]["result"]["outputs"][0].update(of="difference"),
            "the outputs are of difference, compared, difference",
        ),
    ],
)
async def test_both_verifiers_find_a_third_column_that_is_no_difference(
    signed, tmp_path, change, told
):
    asked = {"compare_with": "sleeper", "outputs": {"top": 1}, "metrics": ["deletion"]}
    content = await signed.bundle(method="gaussian_process", **asked)
    files = dict(read_archive(content))
    good, bad, keys = tmp_path / "good.zip", tmp_path / "bad.zip", tmp_path / "keys.json"
    good.write_bytes(content)
    bad.write_bytes(resigned(files, signed.key, change))
    keys.write_bytes(files["keys.json"])
    assert verify_alone(keys, good).returncode == 0
    found = verify_alone(keys, bad)
    assert found.returncode == 1
    assert told in found.stdout
    [fault] = faults(verify_bundle(bad.read_bytes())).values()
    assert told in fault


@pytest.mark.parametrize(
    ("expected", "told"),
    [
        (None, "not those that the scores lead to"),
        (pack(np.linspace(4, -4, 4)), "not those that the scores lead to"),
        (pack(np.zeros(3)), "what is expected of 4 players is float64 of shape (3,)"),
        (pack(np.full(4, np.nan)), "it must be float64, one for each superpixel"),
        (pack(np.zeros(4, np.uint8)), "what is expected of 4 players is uint8"),
    ],
)
async def test_what_is_expected_of_players_belongs_to_their_values(signed, expected, told):
    grid = {"kind": "grid", "rows": 2, "columns": 2}
    content = await signed.bundle(method="gaussian_process", superpixels=grid, max_evals=8)
    packed = expected and expected.model_dump(mode="json")
    change = lambda record: record["predicate"]["evidence"].update(expected=packed)  # noqa: E731
    bundle = resigned(dict(read_archive(content)), signed.key, change)
    assert any(told in fault for fault in faults(verify_bundle(bundle)).values())


async def test_the_second_verifier_finds_other_scores(signed, tmp_path):
    files = dict(read_archive(await signed.bundle(method="permutation")))

    def other_score(record):
        scores = np.zeros_like(
            unpack(
                statement_in(files, "record.json", Statement).predicate.evidence.transcript.scores
            )
        )
        scores_of(record).update(pack(scores).model_dump(mode="json"))

    bad, keys = tmp_path / "bad.zip", tmp_path / "keys.json"
    bad.write_bytes(resigned(files, signed.key, other_score))
    keys.write_bytes(files["keys.json"])
    assert "from the scores'" in verify_alone(keys, bad).stdout


def verify_alone(keys, bundle):
    """Run docs/verify.py as its reader does."""
    command = [sys.executable, "docs/verify.py", str(keys), str(bundle)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
