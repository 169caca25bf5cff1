"""A second verifier of bundles, from docs/evidence.md alone: it imports nothing of Shapshot.

    python verify.py KEYS.json BUNDLE.zip [BUNDLE.zip ...]

It checks the signatures by the keys of /.well-known/jwks.json, the digests of all files, and that
records name those before them. For the methods exact, permutation and partition over the image
tree it computes the values again, by its own arithmetic, from the recorded coalitions and scores;
for the others it checks what the values add up to. It needs cryptography and NumPy.
"""

import base64
import hashlib
import io
import json
import sys
import zipfile
import zlib
from itertools import pairwise
from math import comb

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

RECORD_TYPE = "urn:shapshot:explanation-record:v1"
BUNDLE_TYPE = "urn:shapshot:explanation-bundle:v1"
REVIEW_TYPE = "urn:shapshot:review:v1"
TOLERANCE = 1e-6  # of the largest value: float32 arrays, and another order of adding


def require(holds, message):
    if not holds:
        raise ValueError(message)


def open_envelope(envelope, keys, kind):
    """Return the statement and the sha256 of its payload."""
    found = json.loads(envelope)
    payload = base64.b64decode(found["payload"], validate=True)
    name = found["payloadType"].encode()
    message = b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)
    signatures = [each for each in found["signatures"] if each["keyid"] in keys]
    require(signatures, "no signature is by a known key")
    key = keys[signatures[0]["keyid"]]
    x = base64.urlsafe_b64decode(key["x"] + "=")
    signature = base64.b64decode(signatures[0]["sig"], validate=True)
    Ed25519PublicKey.from_public_bytes(x).verify(signature, message)
    statement = json.loads(payload)
    require(statement["predicateType"] == kind, f"it is {statement['predicateType']}, not {kind}")
    predicate = statement["predicate"]
    times = ("sealed_at", "made_at", "reviewed_at")
    signed_at = next(predicate[name] for name in times if name in predicate)
    retired_at = key.get("retired_at")
    require(not retired_at or signed_at < retired_at, f"its key was retired at {retired_at}")
    return statement, hashlib.sha256(payload).hexdigest()


def read_bundle(path):
    with zipfile.ZipFile(path) as archive:
        require(archive.testzip() is None, "the archive is damaged")
        stored = all(each.compress_type == zipfile.ZIP_STORED for each in archive.infolist())
        require(stored, "the archive is compressed")
        return {name: archive.read(name) for name in archive.namelist()}


def unpack(packed):
    content = zlib.decompress(base64.b64decode(packed["data"], validate=True))
    return np.frombuffer(content, packed["dtype"]).reshape(packed["shape"])


def rows_of(transcript):
    """Return the bytes of each coalition."""
    ends = np.cumsum(unpack(transcript["sizes"]).astype(int))
    content = unpack(transcript["rows"]).tobytes()
    return [content[start:end] for start, end in pairwise([0, *ends.tolist()])]


def members_of(rows, players):
    """Return who is in each coalition, (B, M) bool."""
    bits = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1)
    return np.unpackbits(bits, axis=1)[:, :players].astype(bool)


def exact(members, scores, base, full):
    """Shapley values from the scores of all coalitions: (M, K)."""
    players = members.shape[1]
    known = {row.tobytes(): score for row, score in zip(members, scores, strict=True)}
    known[np.zeros(players, bool).tobytes()] = base
    known[np.ones(players, bool).tobytes()] = full
    require(len(known) == 2**players, f"{len(known)} of {2**players} coalitions are recorded")
    values = np.zeros((players, len(base)))
    for content, score in known.items():
        coalition = np.frombuffer(content, bool)
        size = int(coalition.sum())
        for player in np.flatnonzero(~coalition):
            joined = coalition.copy()
            joined[player] = True
            weight = 1 / (players * comb(players - 1, size))
            values[player] += weight * (known[joined.tobytes()] - score)
    return values


def permutation(members, scores, base, full):
    """Means of the changes of the score along each pass: (M, K)."""
    players = members.shape[1]
    length, passes = players - 1, len(members) // (players - 1)
    values = np.zeros((players, len(base)))
    for start in range(0, passes * length, length):
        before, score = np.zeros(players, bool), base
        walk = [*zip(members[start : start + length], scores[start : start + length], strict=True)]
        for coalition, next_score in [*walk, (np.ones(players, bool), full)]:
            [joined] = np.flatnonzero(coalition & ~before)
            require(not (before & ~coalition).any(), "a coalition of a pass loses a player")
            values[joined] += next_score - score
            before, score = coalition, next_score
    return values / max(passes, 1)


def halves(box):
    """Split a box as the image tree does; None for one element."""
    rows, columns, channels = box[1] - box[0], box[3] - box[2], box[5] - box[4]
    axis = 0 if rows >= columns and rows > 1 else 1 if columns > 1 else 2
    if max(rows, columns, channels) == 1:
        return None
    end = 2 * axis + 1
    cut = box[end] - (box[end] - box[end - 1]) // 2
    return (*box[: end - 1], cut, *box[end:]), (*box[:end], cut, *box[end + 1 :])


def partition(rows, scores, base, full, shape, fixed_context):
    """Owen values of the image tree, of the nodes whose halves are recorded: (H, W, C, K)."""
    known = {}
    for row, score in zip(rows, scores, strict=True):
        boxes = np.frombuffer(row, "<u2").reshape(-1, 6)
        known[frozenset(map(tuple, boxes.tolist()))] = score
    values = np.zeros((*shape, len(base)))

    def spread(box, amount):
        top, bottom, left, right, front, back = box
        size = (bottom - top) * (right - left) * (back - front)
        values[top:bottom, left:right, front:back] += amount / size

    root = (0, shape[0], 0, shape[1], 0, shape[2])
    stack = [(frozenset(), root, base, full, 1.0)]
    while stack:
        context, box, without, together, weight = stack.pop()
        parts = halves(box)
        if parts is None or context | {parts[0]} not in known:
            spread(box, (together - without) * weight)
            continue
        one, other = parts
        alone, beside = known[context | {one}], known[context | {other}]
        hidden = [(context, one, without, alone), (context, other, without, beside)]
        beside_other, beside_one = context | {other}, context | {one}
        visible = [(beside_other, one, beside, together), (beside_one, other, alone, together)]
        both = (together - alone - beside + without) * weight  # the interaction of the halves
        if fixed_context is None:
            stack += [(*node, weight / 2) for node in hidden + visible]
        else:
            spread(box, -both if fixed_context else both)
            stack += [(*node, weight) for node in (visible if fixed_context else hidden)]
    return values


def recompute(record, arrays):
    """Return the values (H, W, C, K) by our own arithmetic; None where we have none."""
    settings, result = record["settings"], record["result"]
    transcript, place = record["evidence"]["transcript"], record["result"]["placement"]
    rows, scores = rows_of(transcript), unpack(transcript["scores"])
    base = np.array([output["base_value"] for output in result["outputs"]])
    full = np.array([output["score"] for output in result["outputs"]])
    inside = slice(place["top"], place["bottom"]), slice(place["left"], place["right"])
    shape = arrays["data"][inside].shape
    values = np.zeros(arrays["values"].shape)
    apart = settings["superpixels"].get("channels") == "apart"  # else leaves are whole pixels
    if settings["method"] == "partition" and transcript["form"] == "boxes" and apart:
        values[inside] = partition(rows, scores, base, full, shape, settings["fixed_context"])
        return values
    players = result["players"]
    digests = any(len(row) != -(-players // 8) for row in rows)
    if settings["method"] not in ("exact", "permutation") or result["partial"] or digests:
        return None
    method = exact if settings["method"] == "exact" else permutation
    credit = method(members_of(rows, players), scores, base, full)
    if "players" in arrays:
        labels = arrays["players"][inside]
    else:
        whole = players == shape[0] * shape[1]
        labels = np.arange(players).reshape(shape[:2] if whole else shape)
    labels = labels.reshape(*labels.shape[:2], -1)
    sizes = np.bincount(labels.ravel()) * (shape[2] if labels.shape[2] == 1 else 1)
    values[inside] = (credit / sizes[:, np.newaxis])[labels]
    return values


def verify(path, keys):
    files = read_bundle(path)
    statement, payload = open_envelope(files["record.json"], keys, RECORD_TYPE)
    manifest, _ = open_envelope(files["manifest.json"], keys, BUNDLE_TYPE)
    for subject in (*statement["subject"], *manifest["subject"]):
        name, digest = subject["name"], subject["digest"]["sha256"]
        require(name in files, f"{name} is missing")
        require(hashlib.sha256(files[name]).hexdigest() == digest, f"{name} was changed")
    extra = set(files) - {each["name"] for each in manifest["subject"]} - {"manifest.json"}
    require(not extra, f"{', '.join(extra)} is listed nowhere")
    record = statement["predicate"]
    with np.load(io.BytesIO(files["attributions.npz"]), allow_pickle=False) as npz:
        arrays = dict(npz)
    for k, output in enumerate(record["result"]["outputs"]):
        total = output["base_value"] + arrays["values"][..., k].sum(dtype=float)
        gap = output["score"] - total - output["efficiency_gap"]
        require(abs(gap) <= TOLERANCE * max(1, abs(output["score"])), "the values do not add up")
    values = recompute(record, arrays)
    if values is not None:
        apart, largest = np.abs(values - arrays["values"]).max(), np.abs(values).max()
        require(apart <= TOLERANCE * largest, f"values differ by {apart:.3g} from the scores'")
    signed = [(record, payload)]
    for number, name in enumerate(sorted(name for name in files if name.startswith("reviews/")), 1):
        statement, digest = open_envelope(files[name], keys, REVIEW_TYPE)
        said, [subject] = statement["predicate"], statement["subject"]
        of = said["id"], said["number"], subject["digest"]["sha256"]
        require(of == (record["id"], number, payload), f"{name} is not review {number} of it")
        signed.append((said, digest))
    return signed, values is not None


def main():
    keys_path, *paths = sys.argv[1:]
    with open(keys_path, encoding="utf-8") as file:
        keys = {key["kid"]: key for key in json.load(file)["keys"]}
    wrong, chain = 0, {}
    for path in paths:
        try:
            signed, recomputed = verify(path, keys)
            for said, payload in signed:
                chain[said["chain"]["sequence"]] = said["chain"]["previous"], payload
            told = f"; {len(signed) - 1} reviews, the last: {said['verdict']}" if signed[1:] else ""
            print(f"{path}: valid; values {'computed again' if recomputed else 'add up'}{told}")
        except (InvalidSignature, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            wrong = 1
            print(f"{path}: WRONG: {str(error) or 'a signature is not valid'}")
    for place, (previous, _) in chain.items():
        if place - 1 in chain and chain[place - 1][1] != previous:
            wrong = 1
            print(f"record {place} does not follow record {place - 1}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
