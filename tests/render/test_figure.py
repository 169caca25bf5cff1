"""The figure of one or more pictures, which reads like shap's image plot."""

import numpy as np
import pytest

from service.render import InvalidOptionError, Row, channel_sums, figure, heat, limit
from service.render.colour_bar import ticks
from service.render.layout import plan
from service.render.text import MINUS, Font, wrap
from tests.render.drawings import RED, attributions, opened, pixels, random_attributions


def test_the_picture_comes_first_and_heat_and_ghost_share_its_grid():
    data = np.zeros((28, 28, 1), np.float32)
    data[:, 14:] = 255
    values = np.zeros((28, 28, 1, 1))
    values[:14] = 1.0
    shown = pixels(figure(Row(attributions(values, data))))
    side, margin, gap = 252, 20, 16  # 28 pixels, each enlarged to 9
    top = next(y for y in range(shown.shape[0]) if (shown[y, margin] == 0).all())
    picture = shown[top : top + side, margin : margin + side]
    panel = shown[top : top + side, margin + side + gap : margin + 2 * side + gap]
    assert (picture[:, :126] == 0).all()
    assert (picture[:, 126:] == 255).all()
    assert (panel[:126] == RED).all()
    assert (panel[126:, :126] == 255 - round(0.15 * 255)).all()
    assert (panel[126:, 126:] == 255).all()


def test_all_panels_share_one_scale():
    values = np.zeros((30, 30, 1, 2))
    values[..., 0], values[..., 1] = 1.0, 0.5
    shown = pixels(figure(Row(attributions(values)), percentile=100, alpha=0))
    row = shown[shown.shape[0] // 2]
    strong, weak = row[350], row[600]
    assert tuple(strong) == RED
    assert tuple(weak) == pytest.approx((255, 134, 171), abs=2)  # half red on white


THREE = ["model", "compared", "difference"]


def test_differences_of_two_models_have_a_scale_of_their_own():
    values = np.zeros((30, 30, 1, 3))
    values[..., 0], values[..., 1], values[..., 2] = 1.0, 0.9, 0.1
    row = Row(attributions(values), sides=THREE, minus="one minus other")
    for scale in ("shared", "row"):
        shown = pixels(figure(row, percentile=100, alpha=0, scale=scale))
        line = shown[120]
        one, other, difference = (line[x] for x in (350, 600, 900))
        assert tuple(one) == tuple(difference) == RED
        assert tuple(other) != RED


def test_a_comparison_has_a_line_for_each_class_and_a_bar_that_says_what_is_subtracted():
    given = random_attributions(outputs=6)
    row = Row(given, [0.5] * 6, sides=THREE * 2, minus="one minus other")
    drawn = figure(row, form="svg", caption="Owen value per pixel").decode()
    assert "Owen value per pixel, one minus other" in drawn
    alone = opened(figure(Row(given.narrow([0, 1, 2]), [0.5] * 3, sides=THREE, minus="one")))
    both = opened(figure(row))
    assert both.width == alone.width
    assert both.height > alone.height
    panel = pixels(figure(Row(given, sides=THREE * 2, minus="m")))[400:480, 20:260]
    assert (panel == 255).all()  # below the picture
    part = Row(given.narrow([2, 5]), sides=["difference"] * 2, minus="m")
    assert opened(figure(part)).width < both.width


@pytest.mark.parametrize("outputs", [1, 5, 6, 20])
@pytest.mark.parametrize("shape", [(28, 28, 1), (1, 1, 3), (3, 200, 3), (200, 3, 1), (400, 300, 3)])
def test_any_number_of_outputs_and_any_shape_gives_a_figure(outputs, shape):
    given = random_attributions(*shape, outputs=outputs)
    image = opened(figure(Row(given, [0.5] * outputs)))
    assert image.mode == "RGB"
    assert image.width <= 2100
    border = np.asarray(image).copy()
    border[8:-8, 8:-8] = 255
    assert (border == 255).all()  # nothing touches the edge


@pytest.mark.parametrize("width_px", [100, 333, 1000, 4096])
def test_a_figure_has_exactly_the_requested_width(width_px):
    given = random_attributions(outputs=7)
    assert opened(figure(Row(given, [0.5] * 7), width_px=width_px)).width == width_px


def test_names_break_between_words_and_the_last_of_three_lines_is_cut():
    font = Font(14)
    assert wrap("tabby_cat", font, 200) == ["tabby_cat"]
    assert wrap("space shuttle, orbiter", font, 110) == ["space shuttle,", "orbiter"]
    lines = wrap("one two three four five six seven eight nine", font, 70)
    assert lines[:2] == ["one two", "three four"]
    assert lines[2].startswith("five")
    assert lines[2].endswith("…")
    assert all(font.width(line) <= 70 for line in wrap("x" * 99, font, 70))


def test_a_long_name_takes_more_lines_and_no_more_width():
    values = np.ones((20, 20, 1, 1))
    short = opened(figure(Row(attributions(values, names=["cat"]))))
    long = opened(figure(Row(attributions(values, names=["hippopotamus_amphibius, " * 9]))))
    endless = opened(figure(Row(attributions(values, names=["x" * 5000]))))
    assert long.width == endless.width == short.width
    assert short.height < long.height == endless.height


@pytest.mark.parametrize("name", ["", " \n", "$\\frac{", "日本の猫 🐈", "a\x00b"])
def test_any_name_can_be_drawn(name):
    given = attributions(np.ones((8, 8, 1, 1)), names=[name])
    assert opened(figure(Row(given, [-1e-9]))).width > 0


def test_attributions_that_are_all_zero_give_a_figure_that_says_so():
    zero = attributions(np.zeros((20, 20, 3, 2)))
    shown = opened(figure(Row(zero)))
    assert np.ptp(np.asarray(shown).astype(int), axis=2).max() == 0  # no red, no blue
    assert "zero" in shown.text["Description"]
    assert pixels(heat(zero))[..., 3].max() == 0


@pytest.mark.parametrize("magnitude", [1e-30, 1e-9, 4.99e-4, 0.009, 1.0, 123456.0, 1e30])
def test_attributions_of_any_magnitude_have_a_colour_bar(magnitude):
    given = attributions(np.full((8, 8, 1, 1), magnitude))
    assert opened(figure(Row(given))).width > 0


def test_numbers_of_the_colour_bar_are_round_symmetric_and_of_even_precision():
    marks = ticks(0.00521, 420, Font(12))
    assert [label for _, label in marks] == [
        f"{MINUS}0.004",
        f"{MINUS}0.002",
        "0",
        "0.002",
        "0.004",
    ]
    assert marks[-1][0] == pytest.approx(0.004 / 0.00521)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 1.5}, "alpha"),
        ({"width_px": 5}, "width_px"),
        ({"percentile": 0}, "percentile"),
        ({"palette": "rainbow"}, "palette must be one of red_blue, orange_blue, orange_purple"),
    ],
)
def test_options_of_the_figure_outside_their_range_are_refused(options, message):
    with pytest.raises(InvalidOptionError, match=message):
        figure(Row(random_attributions()), **options)


def test_scores_are_one_for_each_output():
    with pytest.raises(
        InvalidOptionError, match="scores must be one for each of 2 outputs; received 1"
    ):
        Row(random_attributions(), [0.1])


# --- Several pictures ---------------------------------------------------------------------------


def test_many_pictures_are_below_each_other_on_one_scale():
    strong, weak = (attributions(np.full((24, 24, 1, 1), size)) for size in (1.0, 0.5))
    shown = pixels(figure(Row(strong), Row(weak), percentile=100, alpha=0))
    panels = shown[:, 20 + 256 + 120]  # a column through the middle of both panels
    assert (panels == RED).all(axis=1).sum() == 240
    assert (np.abs(panels - (255, 134, 171)) <= 2).all(axis=1).sum() == 240  # half red on white


def test_a_row_with_fewer_outputs_leaves_the_rest_of_it_blank():
    one, three = random_attributions(outputs=1), random_attributions(outputs=3, seed=1)
    both = pixels(figure(Row(three), Row(one)))
    alone = pixels(figure(Row(three)))
    assert both.shape[1] == alone.shape[1]
    below = both[alone.shape[0] - 60 : both.shape[0] - 90, 20 + 2 * 256 :]
    assert (below == 255).all()
    assert (both[alone.shape[0] - 60 : both.shape[0] - 90, 20 : 20 + 2 * 240] != 255).any()


def test_pictures_of_different_sizes_and_channels_share_a_figure():
    rows = [Row(random_attributions(*shape, outputs=2)) for shape in
            [(28, 28, 1), (32, 32, 3), (20, 90, 3), (90, 20, 3)]]  # fmt: skip
    image = opened(figure(*rows))
    border = np.asarray(image).copy()
    border[8:-8, 8:-8] = 255
    assert (border == 255).all()
    assert image.height > 3 * 240


def test_a_true_label_is_above_its_picture_on_a_line_of_its_own_if_needed():
    given = random_attributions()
    plain, labelled = (opened(figure(Row(given, [0.5, 0.4], label))) for label in (None, "heron"))
    assert labelled.size == plain.size
    differing = np.argwhere((np.asarray(plain) != np.asarray(labelled)).any(axis=2))
    assert differing[:, 0].max() < 60  # above the panels
    assert differing[:, 1].max() < 20 + 240  # in the first column
    assert "The picture is truly heron." in labelled.text["Description"]


def test_the_alternative_text_distinguishes_pictures():
    rows = [Row(random_attributions(), [0.9, 0.1], "cat"), Row(random_attributions(seed=1))]
    description = opened(figure(*rows)).text["Description"]
    assert description.startswith("2 pictures and, beside each, what speaks for an output in red")
    assert description.index("Picture 1 is truly cat.") < description.index("output 0 (score 0.9)")
    assert "Picture 2: output 0:" in description


def test_words_about_many_outputs_stop_after_twenty():
    description = opened(figure(Row(random_attributions(outputs=25)))).text["Description"]
    assert "output 19:" in description
    assert "output 20:" not in description
    assert description.endswith("And 5 more outputs.")


def test_a_figure_of_nothing_is_refused():
    with pytest.raises(InvalidOptionError, match="one picture or more; received none"):
        figure()


def test_a_figure_that_would_be_huge_is_refused_with_a_remedy():
    rows = [Row(random_attributions(outputs=1))] * 40
    with pytest.raises(InvalidOptionError, match="ask for fewer of them, or a smaller width"):
        figure(*rows, width_px=4096)


# --- As shap has it -----------------------------------------------------------------------------


@pytest.fixture
def shap_axes(shap_module):
    """Returns a function that plots by shap and returns the axes, panel by panel."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    def plot(*rows: Row):
        values = np.stack([row.attributions.values for row in rows]).astype(np.float64)
        shap_module.image_plot(
            [values[..., k] for k in range(values.shape[-1])],
            np.stack([row.attributions.data for row in rows]) / 255,
            labels=np.array([row.attributions.output_names for row in rows]),
            true_labels=[row.true_label for row in rows],
            show=False,
        )
        return pyplot.gcf().axes

    yield plot
    pyplot.close("all")


def some_rows() -> list[Row]:
    first, second = random_attributions(30, 40, seed=1), random_attributions(30, 40, seed=2)
    second = attributions(second.values * 3, second.data, names=["heron", "egret"])
    return [Row(first, true_label="cat"), Row(second, true_label="bird")]


def test_bound_sums_titles_and_order_are_those_of_shap(shap_axes):
    rows = some_rows()
    sums = [channel_sums(row.attributions.values) for row in rows]
    axes = shap_axes(*rows)
    for number, (row, credit) in enumerate(zip(rows, sums, strict=True)):
        picture, *panels = axes[3 * number : 3 * number + 3]
        assert picture.get_title() == row.true_label == row.headings[0].name
        assert [each.get_title() for each in panels] == [each.name for each in row.headings[1:]]
        for output, panel in enumerate(panels):
            ghost, heat_map = panel.get_images()
            assert ghost.get_alpha() == 0.15
            assert heat_map.get_clim() == pytest.approx((-limit(*sums), limit(*sums)), rel=1e-12)
            np.testing.assert_allclose(heat_map.get_array(), credit[..., output], rtol=1e-12)


def test_every_panel_has_the_colours_that_shap_gives_it(shap_axes):
    rows = some_rows()
    shown = pixels(figure(*rows, alpha=0))
    layout = plan([row.size for row in rows], [row.headings for row in rows], width_px=None)
    axes = shap_axes(*rows)
    for number, block in enumerate(layout.blocks):
        assert block.panel == (240, 180)  # 40 x 30 pixels, each enlarged to 6 x 6
        for output in range(2):
            heat_map = axes[3 * number + 1 + output].get_images()[1]
            colours = heat_map.to_rgba(heat_map.get_array(), norm=True)
            theirs = 255 * (colours[..., :3] * colours[..., 3:] + 1 - colours[..., 3:])
            left, top = layout.corner(block, 1 + output)
            ours = shown[top + 3 : top + 180 : 6, left + 3 : left + 240 : 6]
            assert np.abs(ours - theirs).max() <= 2  # rounding of a level, twice
