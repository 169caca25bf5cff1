"""Reduces an error message of Keras, TensorFlow or HDF5 to one line: the layer and the cause.

Keras wraps an error once for every layer, each time with a config of thousands of characters, and
puts the cause last. The summary puts the layer and the cause first and cuts the rest.
"""

import re

MAX_REASON = 400  # characters of a reason
MAX_QUOTE = 120  # characters of a config quoted in it

STYLE = re.compile(r"\x1b\[\d+m")
WRAPPED = re.compile(r"Exception encountered: ")
CALLED = re.compile(
    r"Exception encountered when calling (?:layer )?\"?([\w.]+?)\"?(?:\.call\(\))?[\s.]"
)
# Phrases after which a message has only configs, or advice for the author of a Keras program
ENDS = (
    *("Full object config:", "config={", "Full config:", "Arguments received by", "Call arguments"),
    *("List of objects that could not be loaded", "Make sure custom classes", "Please ensure"),
    *("Make sure all custom layers", "If you trust the source", "Note that for layers"),
)
UNKNOWN = re.compile(r"Could not locate (class|function) '([^']+)'")
NAMED = (
    re.compile(
        r"Error when deserializing class '(?P<kind>\w+)' using config=\{'name': '(?P<name>[^']+)'"
    ),
    re.compile(r"'class_name': '(?P<kind>[^']+)', 'config': \{'name': '(?P<name>[^']+)'"),
    re.compile(r"<(?P<kind>\w+) name=(?P<name>[^,>\s]+)"),
    re.compile(r"[Ll]ayer #\d+ \(named (?P<name>[^\s)]+)"),
    re.compile(r"[Ll]ayer ['\"](?P<name>[^'\"]+)['\"]"),
)
HDF5 = (
    (re.compile(r"file signature not found"), "it is not an HDF5 file"),
    (
        re.compile(r"truncated file: eof = (\d+).*stored_eof = (\d+)"),
        "it is cut short: it has {0} of {1} bytes",
    ),
)
CODE = ("arbitrary code execution", "Python lambda")
HOLDS_CODE = (
    "the file holds Python code, such as a Lambda layer, and code from files is never run; "
    "build the model from Keras's own layers"
)


def summarize(error: BaseException) -> str:
    """Summarize any library's error on one line of about MAX_REASON characters at most."""
    text = STYLE.sub("", str(error))
    for pattern, reason in HDF5:
        if found := pattern.search(text):
            return reason.format(*found.groups())
    outer, cause = _innermost(text)
    layer = _layer(text, outer, cause)
    if any(sign in text for sign in CODE):
        return f"{layer}{HOLDS_CODE}"
    if unknown := UNKNOWN.search(cause):
        kind, name = unknown.groups()
        return (
            f"{layer}Keras has no {kind} {name}, and custom code is never run: build the model "
            f"from Keras's own layers, or export it as a SavedModel"
        )
    cause = _cut(_ended(cause))
    if not cause:
        return type(error).__name__
    named = isinstance(error, ValueError | TypeError) or layer
    return f"{layer}{cause}" if named else f"{type(error).__name__}: {cause}"


def _innermost(text: str) -> tuple[str, str]:
    """Split a message into its wrapping text and the innermost message."""
    *outer, cause = WRAPPED.split(text)
    before = outer[-1] if outer else ""
    if example := re.search(r"Example error message for object (<.+?>):\s*(.*)", cause, re.DOTALL):
        before, cause = example.groups()
    if called := CALLED.search(cause):
        before, cause = f"{before} {called[1]}", cause[called.end() :]
    return before, cause


def _layer(text: str, outer: str, cause: str) -> str:
    """Return "layer NAME (CLASS): ", or "" where no layer is named."""
    for place in (cause, outer, text):
        for pattern in NAMED:
            if found := list(pattern.finditer(place)):
                groups = found[-1 if place is text else 0].groupdict()
                kind = groups.get("kind")
                return f"layer {groups['name']} ({kind}): " if kind else f"layer {groups['name']}: "
    return ""


def _ended(cause: str) -> str:
    ends = [place for end in ENDS if (place := cause.find(end)) > 0]
    return cause[: min(ends)] if ends else cause


def _cut(text: str) -> str:
    """Join a text into one line, shorten long quotes, and cut it to MAX_REASON characters."""
    line = " ".join(text.split())
    line = re.sub(
        r"\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}",
        lambda quote: quote[0] if len(quote[0]) <= MAX_QUOTE else f"{quote[0][:MAX_QUOTE]}…}}",
        line,
    )
    return line if len(line) <= MAX_REASON else f"{line[:MAX_REASON]}…"
