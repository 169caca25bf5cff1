"""Bundles are verified in the browser, without a request; what was changed is named."""

import io
import json
import zipfile
from datetime import UTC, datetime

import pytest
import rfc8785
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from service.evidence.archives import read_archive
from service.evidence.envelopes import pre_authentication
from service.evidence.keys import PublicKeys, SigningKey
from service.infra.packed_arrays import pack, unpack
from service.schemas.record import PAYLOAD_TYPE, Statement
from service.schemas.requests import ExplanationSettings
from tests.e2e.pictures import SAMPLE
from tests.evidence.test_bundles import (
    archived,
    other_curve_difference,
    other_difference,
    other_third_column,
    resigned,
    statement_in,
    swapped_sides,
)
from tests.evidence.test_hostile_bundles import CONTRADICTIONS, Forger, npy
from tests.web.conftest import visit

COMPUTED = "The values follow from the recorded scores: computed again from them"

DIFFERENCES = "The differences are those of the two models' scores"


def ask(dashboard, **settings) -> bytes:
    """The bundle of the sample, explained so."""
    asked = ExplanationSettings.model_validate({"masker": "mean", "max_evals": 100} | settings)
    return bundle_of(dashboard, dashboard.client.explain(SAMPLE, asked).id)


def bundle_of(dashboard, id_) -> bytes:
    answer = dashboard.client._http.get(f"/v1/explanations/{id_}/bundle.zip")
    assert answer.status_code == 200
    return answer.content


@pytest.fixture(scope="module")
def key(dashboard) -> SigningKey:
    return SigningKey.read(dashboard.folder / "signing-key.pem")


@pytest.fixture(scope="module")
def bundle(dashboard) -> bytes:
    """By permutations of six squares."""
    grid = {"kind": "grid", "rows": 2, "columns": 3}
    return ask(dashboard, method="permutation", superpixels=grid)


def jwks(*keys) -> dict:
    content = PublicKeys(keys=keys).model_dump_json(exclude_none=True).encode()
    return {"name": "jwks.json", "mimeType": "application/json", "buffer": content}


def verified(page: Page, *bundles: bytes, keys=None):
    """Chooses the bundles; the checks of each as [state, sentence]."""
    if keys:
        page.get_by_label("Keys to trust").set_input_files(keys)
    files = [
        {"name": f"{n}.zip", "mimeType": "application/zip", "buffer": content}
        for n, content in enumerate(bundles)
    ]
    page.get_by_label("Choose or drop bundles").set_input_files(files)
    expect(page.get_by_role("status").last).to_contain_text(f"of {len(bundles)} valid")
    return [
        page.get_by_role("region", name=f"{n}.zip", exact=True)
        .get_by_role("listitem")
        .evaluate_all("found => found.map(each => [each.dataset.state, each.textContent])")
        for n in range(len(bundles))
    ]


def faults(page: Page, bundle: bytes, **options) -> list[str]:
    [checks] = verified(page, bundle, **options)
    return [told for state, told in checks if state == "fails"]


def test_bundles_are_valid_and_their_values_are_computed_again(page, dashboard, key, watched):
    slic = {"kind": "slic", "segments": 12}
    bundles = [
        ask(dashboard, method="permutation", superpixels={"kind": "grid", "rows": 3, "columns": 3}),
        ask(dashboard, method="exact", superpixels={"kind": "grid", "rows": 2, "columns": 4},
            max_evals=256),
        ask(dashboard, method="permutation", superpixels=slic, fit="pad"),
        ask(dashboard, method="partition", outputs={"top": 3}, max_evals=400),
        ask(dashboard, method="partition", fixed_context=1),
        ask(dashboard, method="partition", fixed_context=0),
        ask(dashboard, method="partition", superpixels={"kind": "pixels", "channels": "together"}),
        ask(dashboard, method="permutation", compare_with="cifar10_bgr",
            superpixels={"kind": "grid", "rows": 3, "columns": 3}),
    ]  # fmt: skip
    visit(page, dashboard, "/verify")
    for checks in verified(page, *bundles, keys=jwks(key.public)):
        assert {state for state, _ in checks} == {"holds"}, checks
        assert any(COMPUTED in told for _, told in checks)
        assert any(f"The record is signed: by the key {key.public.kid}" in t for _, t in checks)
    chain = page.get_by_role("region", name="Chain")
    records = [statement_in(read_archive(each), "record.json", Statement) for each in bundles]
    places = {record.predicate.chain.sequence for record in records}
    adjacent = sum(place + 1 in places for place in places)  # others may be sealed in between
    assert adjacent > 1
    expect(chain.get_by_role("listitem")).to_have_count(adjacent)
    expect(chain.locator("[data-state=holds]")).to_have_count(adjacent)
    expect(page.get_by_role("main")).not_to_contain_text("The keys are those in the bundle")
    others = [url for url in watched.requests if not url.startswith(f"{dashboard.url}/web/")]
    assert others == [f"{dashboard.url}/"]  # but the page and its own files


def test_what_the_page_does_not_compute_is_left_to_the_command(page, dashboard, explained):
    visit(page, dashboard, "/verify")
    [checks] = verified(page, bundle_of(dashboard, explained.id))
    assert [told[1:] for state, told in checks if state == "open"] == [
        "The values follow from the recorded scores: this page does not compute values of kernel "
        "over these players; run shapshot verify for that.",
        "The curves follow from the recorded scores: this page does not compute curves; run "
        "shapshot verify for that.",
    ]
    assert {state for state, _ in checks} == {"holds", "open"}
    told = page.get_by_role("region", name="0.zip")
    expect(told).to_contain_text("The keys are those in the bundle")


def test_a_flipped_byte_in_any_file_is_named(page, dashboard, bundle):
    visit(page, dashboard, "/verify")
    for name, content in read_archive(bundle).items():
        changed = bytearray(bundle)
        changed[bundle.index(content) + len(content) // 2] ^= 1
        told = faults(page, bytes(changed))
        assert f"checksum of {name} is another one" in told[0]
        if name not in ("record.json", "manifest.json", "keys.json"):
            assert told[1:] == [
                f"✗The file {name} is the one that was signed: it was changed after it was signed."
            ]
    changed = bytearray(bundle)
    changed[10] ^= 1  # a time in a header
    assert ["bytes between the files" in told for told in faults(page, bytes(changed))] == [True]


def test_files_that_are_changed_missing_or_added_in_a_whole_archive_are_named(
    page, dashboard, bundle
):
    files = dict(read_archive(bundle))
    visit(page, dashboard, "/verify")
    for changed, fault in (
        (files | {"picture": files["picture"] + b" "}, "it was changed after it was signed"),
        ({n: c for n, c in files.items() if n != "picture"}, "it is missing"),
        (files | {"picture2": b""}, "neither record nor manifest lists it"),
    ):
        [told] = faults(page, archived(changed))
        assert told.startswith("✗The file picture")
        assert fault in told
    changed = json.loads(files["record.json"])
    changed["signatures"][0]["sig"] = "A" * 86 + "=="
    compact = json.dumps(changed, separators=(",", ":")).encode()
    [told] = faults(page, archived(files | {"record.json": compact}))
    assert "The record is signed: its signature is not valid" in told


def test_only_the_keys_that_are_trusted_count_and_none_after_it_was_retired(
    page, dashboard, bundle, key, tmp_path
):
    visit(page, dashboard, "/verify")
    other = SigningKey.create(tmp_path / "other.pem").public
    [told] = faults(page, bundle, keys=jwks(other))
    assert f"it is signed by {key.public.kid}; known are {other.kid}" in told
    retired = key.retired(datetime(2020, 1, 1, tzinfo=UTC))
    [told] = faults(page, bundle, keys=jwks(retired))
    assert "which was retired at 2020-01-01" in told
    assert faults(page, bundle, keys=jwks(other, key.public)) == []


def test_a_record_that_contradicts_its_arrays_is_found_though_signed(page, dashboard, bundle, key):
    files = dict(read_archive(bundle))
    visit(page, dashboard, "/verify")

    def other_score(record):
        transcript = statement_in(files, "record.json", Statement).predicate.evidence.transcript
        scores = unpack(transcript.scores).copy()
        scores[3, 0] += 0.25
        packed = pack(scores).model_dump(mode="json")
        record["predicate"]["evidence"]["transcript"]["scores"].update(packed)

    def output(**changed):
        return lambda record: record["predicate"]["result"]["outputs"][0].update(changed)

    for change, check in (
        (other_score, "The values follow from the recorded scores: they differ"),
        (output(attribution_sum=0.5), "add up to the scores"),
        (output(base_value=3.5), "add up to the scores"),
        (lambda r: r["predicate"]["result"]["model"].update(name="other"), "name the model"),
    ):
        [told] = faults(page, resigned(files, key, change))
        assert check in told


def test_a_third_column_that_is_no_difference_is_found_though_signed(page, dashboard, key):
    grid = {"kind": "grid", "rows": 2, "columns": 2}
    compared = ask(dashboard, method="gaussian_process", superpixels=grid, outputs={"top": 1},
                   compare_with="cifar10_bgr", metrics=["deletion"])  # fmt: skip
    files = dict(read_archive(compared))
    visit(page, dashboard, "/verify")
    [checks] = verified(page, compared)
    assert ["holds", f"✓{DIFFERENCES}."] in checks
    for change, fault in (
        (other_difference, "a recorded difference is not the first score minus the second"),
        (other_third_column, "a recorded difference is not the first score minus the second"),
        (other_curve_difference, "a recorded difference is not the first score minus the second"),
        (swapped_sides, "the outputs are of compared, model, difference"),
    ):
        [told] = faults(page, resigned(files, key, change))
        assert told == f"✗{DIFFERENCES}: {fault}."


def test_what_is_no_bundle_is_refused_by_name(page, dashboard, bundle):
    visit(page, dashboard, "/verify")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("record.json", b" " * 1000)
    climbing = io.BytesIO()
    with zipfile.ZipFile(climbing, "w") as archive:
        archive.writestr("../../record.json", b"")
    for content, fault in (
        (b"", "it is no zip archive"),
        (bundle[:-1], "it is no zip archive"),
        (packed.getvalue(), "record.json is compressed in it"),
        (climbing.getvalue(), 'it has a file named "../../record.json"'),
        (archived({"record.json": b"{}"}), "it has no manifest.json, keys.json, attributions.npz"),
    ):
        [told] = faults(page, content)
        assert fault in told
    page.get_by_label("Keys to trust").set_input_files(
        {"name": "keys.txt", "mimeType": "text/plain", "buffer": b"none"}
    )
    expect(page.get_by_role("status").last).to_have_text("keys.txt cannot be read: it is no JSON")


def test_what_was_signed_to_deceive_or_exhaust_is_refused_by_name(page, dashboard, bundle, key):
    forger = Forger(bundle, key)
    payload = rfc8785.dumps(forger.statement("record.json"))
    sig = key.sign(pre_authentication(PAYLOAD_TYPE, payload))
    lie = {"descr": "<f4", "shape": (2**36, 2)}
    visit(page, dashboard, "/verify")
    for bad, fault in (
        *((forger.bundle(CONTRADICTIONS[name][0]), CONTRADICTIONS[name][1]) for name in (
            "future", "past", "another picture", "no files", "later without", "partial")),
        (forger.bundle(CONTRADICTIONS["newer"][0]), "made by another version; update"),
        (forger.bundle(CONTRADICTIONS["bomb of rows"][0]), "larger than this page reads"),
        (forger.bundle(CONTRADICTIONS["endless"][0]), "larger than this page reads"),
        (forger.bundle(record=forger.envelope(payload, [sig, sig])), "it must have one"),
        (forger.bundle(record=forger.envelope(b"[" * 100_000 + b"]" * 100_000)), "too deeply"),
        (forger.npz(values=npy(lie)), "by the record of shape"),
        (forger.npz(values=npy(lie, bytes(2**26))), "they inflate to"),
    ):  # fmt: skip
        [told] = faults(page, bad)
        assert fault in told
    assert faults(page, forger.bundle()) == []


def test_a_browser_without_ed25519_is_told_so(page, dashboard):
    page.add_init_script("SubtleCrypto.prototype.importKey = () => Promise.reject(new Error());")
    visit(page, dashboard, "/verify")
    expect(page.get_by_role("alert")).to_contain_text("This browser has no Ed25519")
    expect(page.get_by_label("Choose or drop bundles")).to_have_count(0)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_the_screen_fits_and_is_accessible(open_page, dashboard, bundle, width, scheme):
    page = open_page(width, color_scheme=scheme)
    visit(page, dashboard, "/explanations")
    page.get_by_role("button", name="Keys of the keyboard").click()
    page.get_by_role("link", name="Verify it").click()
    files = dict(read_archive(bundle))
    verified(page, bundle, archived(files | {"more.txt": b""}))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    grave = [each["id"] for each in found if each["impact"] in ("serious", "critical")]
    assert grave == []
