import pytest
from pydantic import ValidationError

from service.schemas.masker_setting import MaskerSetting, parse_masker
from service.schemas.requests import ExplanationSettings

MALFORMED = """
inpaint, inpaint_telea(3), mean(1), mean mean, constant, constant(), constant(a), constant(-1),
constant(nan), constant(1000), blur, blur(5), blur(0;5), blur(2.5;3), blur(10000;1), blur(1;2;3),
Blur(3;3), blur(3;3, blur((3;3)), blur(3;3))
"""


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("inpaint_telea", MaskerSetting("inpaint_telea")),
        ("inpaint_ns", MaskerSetting("inpaint_ns")),
        ("blur( 128, 64 )", MaskerSetting("blur", (128, 64))),
        ("mean", MaskerSetting("mean")),
        ("constant(127.5)", MaskerSetting("constant", (127.5,))),
        ("constant(1,2,3)", MaskerSetting("constant", (1, 2, 3))),
    ],
)
def test_accepted_maskers_are_parsed(text, setting):
    assert ExplanationSettings(masker=text).masker == text
    assert parse_masker(text) == setting


@pytest.mark.parametrize("text", ["", *MALFORMED.split(",")])
def test_other_texts_are_refused(text):
    text = text.strip().replace(";", ",")
    with pytest.raises(ValidationError, match="masker"):
        ExplanationSettings(masker=text)
    with pytest.raises(ValueError, match="accepted is what matches"):
        parse_masker(text)
