"""A second verifier of bundles, from docs/bundle.md and methods.md: it imports nothing of Shapshot.

    python verify.py KEYS.json BUNDLE.zip [BUNDLE.zip ...]

It checks signatures, digests, the chain, and the differences of comparisons; it computes values of
exact, permutation and partition over the image tree again, and checks what others add up to. How
archive and JSON are written it does not check. It needs cryptography and NumPy.
"""

import base64
import hashlib
import io
import json
import sys
import zipfile
import zlib
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import comb, prod
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PAYLOAD_TYPE = b"application/vnd.in-toto+json"
KINDS = "explanation-record", "explanation-bundle", "review"
RECORD_TYPE, BUNDLE_TYPE, REVIEW_TYPE = (f"urn:shapshot:{kind}:v1" for kind in KINDS)
TOLERANCE = 1e-6  # of the largest value: float32 arrays, and another order of adding
CLOCKS_APART = timedelta(minutes=5)
YEARS = ("valid_from", 1970), ("retired_at", 9999)  # of keys that do not say


def require(holds, message):
    if not holds:
        raise ValueError(message)


def parse(content):  # of which no object may have a member twice
    def once(pairs):
        require(len(dict(pairs)) == len(pairs), "an object of its JSON has a member twice")
        return dict(pairs)

    found = json.loads(content, object_pairs_hook=once)
    json.dumps(found, allow_nan=False)  # raises for what is no JSON number
    return found


def open_envelope(envelope, keys, kind):
    """Return the statement, the sha256 of its payload, and when it was signed."""
    found = parse(envelope)
    require(found["payloadType"].encode() == PAYLOAD_TYPE and len(found) == 3, "it is no envelope")
    payload = base64.b64decode(found["payload"], validate=True)
    message = b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE, len(payload), payload)
    [signature] = found["signatures"]
    require(signature["keyid"] in keys, f"it is signed by an unknown key {signature['keyid']}")
    key = keys[signature["keyid"]]
    x, signed = base64.urlsafe_b64decode(key["x"] + "="), base64.b64decode(signature["sig"])
    Ed25519PublicKey.from_public_bytes(x).verify(signed, message)
    statement = parse(payload)
    require(statement["predicateType"] == kind, f"it is {statement['predicateType']}, not {kind}")
    [time] = {"sealed_at", "made_at", "reviewed_at"} & set(statement["predicate"])
    at = datetime.fromisoformat(statement["predicate"][time])
    start, end = (datetime.fromisoformat(key.get(n) or f"{y}-01-01T00:00:00Z") for n, y in YEARS)
    require(start <= at < end, f"it was signed at {at}; its key is valid from {start} to {end}")
    here = datetime.now(UTC)  # noqa: TID251
    require(at < here + CLOCKS_APART, f"it was signed at {at}; by the clock here it is {here}")
    return statement, hashlib.sha256(payload).hexdigest(), at


def read_zip(file, most):
    """Return the files of an archive whose sizes add up to no more; nothing else is inflated."""
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        require(len({entry.filename for entry in entries}) == len(entries), "a file is twice in it")
        size = sum(entry.file_size for entry in entries)
        require(size <= most and len(entries) <= 1100, f"{len(entries)} files of {size} bytes")
        return {entry.filename: archive.read(entry) for entry in entries}


def unpack(packed):
    size = prod(packed["shape"], start=np.dtype(packed["dtype"]).itemsize)
    require(size < 2**29, f"an array of shape {packed['shape']} is too large")
    content = zlib.decompressobj().decompress(base64.b64decode(packed["data"]), size + 1)
    return np.frombuffer(content, packed["dtype"]).reshape(packed["shape"])


def exact(members, scores, base, full):
    """Shapley values from the scores of all coalitions: (M, K)."""
    players = members.shape[1]
    require(2**players == len(members) + 2, "not all coalitions are recorded")
    masks, known = np.arange(2**players), np.full((2**players, len(base)), np.nan)
    known[members @ (1 << np.arange(players))] = scores
    known[0], known[-1] = base, full
    size = sum(masks >> player & 1 for player in range(players))
    weights = np.array([1 / (players * comb(players - 1, n)) for n in range(players)])
    values = np.zeros((players, len(base)))
    for player in range(players):
        without = masks[masks >> player & 1 == 0]
        values[player] = weights[size[without]] @ (known[without | 1 << player] - known[without])
    return values


def permutation(members, scores, base, full):
    """Means of the changes of the score along each pass: (M, K)."""
    players, passes = members.shape[1], len(members) // max(members.shape[1] - 1, 1) or 1
    values = np.zeros((players, len(base)))
    for n in range(passes):
        walk = slice(n * (players - 1), (n + 1) * (players - 1))
        steps = np.diff(np.vstack([np.zeros(players), members[walk], np.ones(players)]), axis=0)
        require((np.sort(steps)[:, :-1] == 0).all(), "not one player joins at a time")
        values += steps.T @ np.diff(np.vstack([base, scores[walk], full]), axis=0)
    return values / passes


def halves(box):
    """Split a box as the image tree does; None for one element."""
    sides = [box[2 * axis + 1] - box[2 * axis] for axis in range(3)]
    axis = 0 if sides[0] >= max(sides[1], 2) else 1 if sides[1] > 1 else 2
    cut, at = box[2 * axis + 1] - sides[axis] // 2, 2 * axis
    parts = (*box[:at], cut, *box[at + 1 :]), (*box[: at + 1], cut, *box[at + 2 :])
    return parts if sides[axis] > 1 else None


def partition(rows, scores, base, full, shape, fixed_context):
    """Owen values of the image tree, of the nodes whose halves are recorded: (H, W, C, K)."""
    boxes = [np.frombuffer(row, "<u2").reshape(-1, 6).tolist() for row in rows]
    known = {frozenset(map(tuple, each)): scores[n] for n, each in enumerate(boxes)}
    values, credits = np.zeros((*shape, len(base))), []
    stack = [(frozenset(), (0, shape[0], 0, shape[1], 0, shape[2]), base, full, 1.0)]
    while stack:
        context, box, without, together, weight = stack.pop()
        parts = halves(box)
        if parts is None or context | {parts[0]} not in known:
            credits.append((box, (together - without) * weight))
            continue
        one, other = parts
        alone, beside = known[context | {one}], known[context | {other}]
        hidden = [(context, one, without, alone), (context, other, without, beside)]
        visible = [(context | {other}, one, beside, together)]
        visible += [(context | {one}, other, alone, together)]
        nodes = {None: hidden + visible, 0: hidden, 1: visible}[fixed_context]
        stack += [(*node, weight * 2 / len(nodes)) for node in nodes]
        if fixed_context is not None:  # the interaction of the halves is of both
            both = (together - alone - beside + without) * weight
            credits.append((box, -both if fixed_context else both))
    for (top, bottom, left, right, front, back), amount in credits:
        size = (bottom - top) * (right - left) * (back - front)
        values[top:bottom, left:right, front:back] += amount / size
    return values


def recompute(record, arrays, base, full):
    """Return the values (H, W, C, K) by our own arithmetic; None where we have none."""
    settings, result = record["settings"], record["result"]
    transcript, place = record["evidence"]["transcript"], record["result"]["placement"]
    ends = np.cumsum(unpack(transcript["sizes"]).astype(int)).tolist()
    content, scores = unpack(transcript["rows"]).tobytes(), unpack(transcript["scores"])
    require(len(scores) == len(ends) == sum(transcript["steps"]), "steps, rows and scores differ")
    rows = [content[start:end] for start, end in pairwise([0, *ends])]
    inside = slice(place["top"], place["bottom"]), slice(place["left"], place["right"])
    shape, values = arrays["data"][inside].shape, np.zeros(arrays["values"].shape)
    if transcript["form"] == "boxes":
        values[inside] = partition(rows, scores, base, full, shape, settings["fixed_context"])
        return values
    players, known = result["players"], settings["method"] in ("exact", "permutation")
    if not known or result["partial"] or any(len(row) != -(-players // 8) for row in rows):
        return None  # long rows are digests
    bits = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -(-players // 8))
    members = np.unpackbits(bits, axis=1)[:, :players].astype(bool)
    credit = globals()[settings["method"]](members, scores, base, full)
    sides = shape[:2] if players == prod(shape[:2]) else shape
    labels = arrays["players"][inside] if "players" in arrays else np.arange(players).reshape(sides)
    labels = labels.reshape(*labels.shape[:2], -1)
    sizes = np.bincount(labels.ravel()) * (shape[2] if labels.shape[2] == 1 else 1)
    values[inside] = (credit / sizes[:, np.newaxis])[labels]
    return values


def verify(path, keys):
    files = read_zip(path, 2**32)
    statement, payload, sealed_at = open_envelope(files["record.json"], keys, RECORD_TYPE)
    manifest, _, made_at = open_envelope(files["manifest.json"], keys, BUNDLE_TYPE)
    record = statement["predicate"]
    created_at, finished_at = record["created_at"], record["finished_at"] or record["created_at"]
    times = [*map(datetime.fromisoformat, (created_at, finished_at)), sealed_at, made_at]
    require(all(b - a > -CLOCKS_APART for a, b in pairwise(times)), "its times are out of order")
    require(manifest["predicate"]["id"] == record["id"], "the manifest is of another explanation")
    require(bool(record["chain"]["sequence"]) == bool(record["chain"]["previous"]), "no such place")
    listed = {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}
    same = listed["picture"] == record["picture"]["sha256"]
    require(same and "attributions.npz" in listed, "it lists other files than it speaks of")
    for subject in (*statement["subject"], *manifest["subject"]):
        name, digest = subject["name"], subject["digest"]["sha256"]
        require(name in files, f"{name} is missing")
        require(hashlib.sha256(files[name]).hexdigest() == digest, f"{name} was changed")
    extra = set(files) - {each["name"] for each in manifest["subject"]} - {"manifest.json"}
    require(not extra, f"{', '.join(extra)} is listed nowhere")
    outputs, sides = record["result"]["outputs"], record["result"]["model"]["parts"]["input_shape"]
    ends = np.array([(output["base_value"], output["score"]) for output in outputs]).T
    most = 2**20 + 64 * (len(outputs) + 4) * prod(sides)  # bytes of an honest file
    npy = read_zip(io.BytesIO(files["attributions.npz"]), most)
    arrays = {name[:-4]: np.load(io.BytesIO(npy[name]), allow_pickle=False) for name in npy}
    require(arrays["values"].shape == (*sides, len(outputs)), "the values have another shape")
    sides = [output.get("of", "model") for output in outputs]
    if record["result"].get("compared") or set(sides) != {"model"}:
        alike = sides == ["model", "compared", "difference"] * (len(sides) // 3)
        require(alike, f"the outputs are of {', '.join(sides)}")
        tables = filter(None, map(record["evidence"].get, ("transcript", "curves")))
        scores = np.vstack([ends, *(unpack(each["scores"]) for each in tables)])
        equal = scores[:, 2::3] == scores[:, ::3] - scores[:, 1::3]
        require(equal.all(), "a recorded difference is not the first score minus the second")
    for k, output in enumerate(outputs):
        total = output["base_value"] + arrays["values"][..., k].sum(dtype=float)
        gap = output["score"] - total - output["efficiency_gap"]
        require(abs(gap) <= TOLERANCE * max(1, abs(output["score"])), "the values do not add up")
    values = recompute(record, arrays, *ends)
    if values is not None:
        apart, largest = np.abs(values - arrays["values"]).max(), np.abs(values).max()
        require(apart <= TOLERANCE * largest, f"values differ by {apart:.3g} from the scores'")
    signed = [(record, payload)]
    for number, name in enumerate(sorted(name for name in files if name.startswith("reviews/")), 1):
        statement, digest, _ = open_envelope(files[name], keys, REVIEW_TYPE)
        said, [subject] = statement["predicate"], statement["subject"]
        of = said["id"], said["number"], subject["digest"]["sha256"]
        require(of == (record["id"], number, payload), f"{name} is not review {number} of it")
        signed.append((said, digest))
    return signed, values is not None


def main():
    keys_path, *paths = sys.argv[1:]
    wrong, chain = 0, {}
    for path in paths:
        try:
            keys = {key["kid"]: key for key in parse(Path(keys_path).read_bytes())["keys"]}
            signed, recomputed = verify(path, keys)
            chain |= {s["chain"]["sequence"]: (s["chain"]["previous"], p) for s, p in signed}
            said = signed[-1][0]
            told = f"; {len(signed) - 1} reviews, the last: {said['verdict']}" if signed[1:] else ""
            print(f"{path}: valid; values {'computed again' if recomputed else 'add up'}{told}")
        except Exception as error:  # whatever damaged files raise, they are not valid
            wrong = print(f"{path}: WRONG: {str(error) or type(error).__name__!a}") or 1
    for place, (previous, _) in chain.items():
        if previous != chain.get(place - 1, (None, previous))[1]:
            wrong = print(f"record {place} does not follow record {place - 1}") or 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
