"""Labels of any script are drawn by a font that has them, or by their index; never as boxes."""

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image, ImageDraw

from service.render import Row, disambiguate, figure, fonts, heat
from service.render.fonts import can_write, runs
from service.render.text import INK, Font, wrap
from tests.render.drawings import attributions, opened

CAT, FACE, VIRAMA = "猫", "\N{FOX FACE}", "\N{DEVANAGARI SIGN VIRAMA}"


def make_font(path, characters: str) -> None:
    """Make a font in which each of these characters is a square of its own."""
    names = {ord(each): f"u{ord(each):X}" for each in characters}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 700), (800, 700), (800, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square = pen.glyph()
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph()} | dict.fromkeys(names.values(), square))
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names.values()], (1000, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    path.parent.mkdir(parents=True, exist_ok=True)
    builder.save(path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The only folder of system fonts; cached fonts are forgotten."""
    monkeypatch.setattr(fonts, "FOLDERS", (tmp_path, tmp_path / "missing"))
    fonts._system_paths.cache_clear()
    yield tmp_path
    fonts._system_paths.cache_clear()


def written(text: str) -> np.ndarray:
    page = Image.new("L", (200, 40), 255)
    Font(20).write(ImageDraw.Draw(page), (10, 30), text, INK[0], "lm")
    return np.asarray(page)


def test_characters_of_the_bundled_font_need_no_other(folder):
    for text in ("tabby cat", "Полосатая кошка", "قطة", "γάτα", "חתול", "naïve — “…”", ""):
        [(font, piece)] = runs(text)
        assert (font.path, piece) == (fonts.BUNDLED, text)
        assert can_write(text)


def test_a_label_is_written_by_a_font_of_the_system_that_has_it(folder):
    assert not can_write(CAT)
    make_font(folder / "deep/er/cats.ttf", CAT + "abc ")
    fonts._system_paths.cache_clear()
    [(font, piece)] = runs(f"{CAT} abc")
    assert font.path.name == "cats.ttf"
    assert piece == f"{CAT} abc"
    ink = np.argwhere(written(CAT) < 128)
    rows, columns = np.ptp(ink, axis=0) + 1
    assert (rows, columns) == (pytest.approx(14, abs=1), pytest.approx(14, abs=1))  # 0.7 of 20


def test_each_of_several_scripts_is_written_by_its_own_font(folder):
    make_font(folder / "a.ttf", CAT)
    make_font(folder / "b.ttf", FACE)
    text = f"my {CAT}{FACE}!"
    pieces = [(font.path.name, piece) for font, piece in runs(text)]
    assert pieces == [
        ("DejaVuSans.ttf", "my "), ("a.ttf", CAT), ("b.ttf", FACE), ("DejaVuSans.ttf", "!"),
    ]  # fmt: skip
    font = Font(20)
    alone = [font.width(piece) for piece in ("my ", CAT, FACE, "!")]
    assert font.width(text) == pytest.approx(sum(alone))
    ink = np.argwhere((written(text) < 128).any(axis=0)).ravel()
    assert ink[-1] - ink[0] == pytest.approx(font.width(text), abs=8)


def test_marks_and_joiners_stay_with_their_letter(folder):
    make_font(folder / "a.ttf", "क")
    [(font, piece)] = runs(f"क{VIRAMA}\N{ZERO WIDTH JOINER}")[:1]
    assert font.path.name == "a.ttf"
    assert piece == f"क{VIRAMA}\N{ZERO WIDTH JOINER}"


def test_upright_fonts_without_serifs_come_first(folder):
    for name in ("ASerif", "AMono", "ZSans", "AItalic", "ABold"):
        make_font(folder / f"{name}.ttf", CAT)
    assert runs(CAT)[0][0].path.name == "ZSans.ttf"
    (folder / "ZSans.ttf").unlink()
    fonts._system_paths.cache_clear()
    assert runs(CAT)[0][0].path.name == "AMono.ttf"


@pytest.mark.parametrize(
    "content", [b"", b"no font", b"\0\1\0\0" + b"\xff" * 400, b"ttcf" + bytes(60)]
)
def test_a_file_that_is_not_a_font_is_skipped(folder, content):
    (folder / f"a{len(content)}.ttf").write_bytes(content)
    make_font(folder / "b.ttf", CAT)
    assert can_write(CAT)


def test_the_index_replaces_a_label_that_no_font_has(folder):
    given = attributions(np.zeros((8, 8, 1, 2)), names=[CAT, "dog"])
    by_index = attributions(np.zeros((8, 8, 1, 2)), names=["output 0", "dog"])
    shown, expected = (np.asarray(opened(figure(Row(each)))) for each in (given, by_index))
    np.testing.assert_array_equal(shown, expected)
    assert CAT in opened(figure(Row(given))).text["Description"]
    make_font(folder / "cats.ttf", CAT)
    fonts._system_paths.cache_clear()
    assert not np.array_equal(np.asarray(opened(figure(Row(given)))), expected)


def test_characters_that_no_font_has_are_written_as_code_points(folder):
    pieces = [piece for _, piece in Font(20).pieces(f"{CAT}{FACE} a")]
    assert pieces == ["[U+732B U+1F98A] ", "a"]
    np.testing.assert_array_equal(written(CAT), written("[U+732B]"))
    given = attributions(np.zeros((8, 8, 1, 1)), names=["dog"])
    drawn = figure(Row(given, true_label=CAT), form="svg").decode()
    line = next(line for line in drawn.splitlines() if f">{CAT}<" in line)
    assert "textLength" not in line  # a viewer that has the font does not stretch it


def test_a_word_from_right_to_left_does_not_turn_the_line_around(folder):
    word = "قطة"
    width = int(Font(20).width(word)) + 8  # from 10 pixels on, without what the next letter touches
    np.testing.assert_array_equal(written(f"{word}.jpg")[:, :width], written(word)[:, :width])


def test_without_fribidi_no_font_has_right_to_left_text(folder, monkeypatch):
    monkeypatch.setattr(fonts, "BIDIRECTIONAL", False)
    assert not can_write("قطة")
    assert can_write("кошка")


def test_a_long_label_without_spaces_is_broken_within_the_width(folder):
    make_font(folder / "cats.ttf", CAT)
    font = Font(14)
    lines = wrap(CAT * 100, font, 120)
    assert len(lines) == 3
    assert all(font.width(line) <= 120 for line in lines)


def test_outputs_of_one_name_are_distinguished_by_index():
    assert disambiguate(["crane", "dog", "crane"], [134, 5, 517]) == [
        "134: crane",
        "dog",
        "517: crane",
    ]
    assert disambiguate(["crane", "crane "], [1, 2]) == ["1: crane", "2: crane"]
    assert disambiguate(["crane", "crane"], [134, 134]) == ["crane", "crane"]  # one output, twice
    assert disambiguate(["", " \n"], [0, 1]) == ["output 0", "output 1"]


def test_two_outputs_of_one_name_differ_in_the_picture_and_in_its_text():
    same = attributions(np.zeros((8, 8, 1, 2)), names=["crane", "crane"])
    image = opened(figure(Row(same)))
    assert "0: crane" in image.text["Description"]
    assert "1: crane" in image.text["Description"]
    apart = attributions(np.zeros((8, 8, 1, 2)), names=["0: crane", "1: crane"])
    np.testing.assert_array_equal(np.asarray(image), np.asarray(opened(figure(Row(apart)))))
    assert opened(heat(same.narrow([1]))).text["Title"] == "What speaks for crane"
