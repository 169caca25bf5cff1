import numpy as np
import pytest

from tests.engine.games import masks
from worker.engine.game.image_tree import (
    Box,
    BoxCoalitions,
    ImageTree,
    children,
    empty_coalition,
    extents,
    grand_coalition,
    region,
    size,
    splits,
    whole,
)

SHAPES = [(1, 1, 1), (4, 4, 1), (5, 3, 3), (3, 8, 2), (1, 7, 3), (1, 1, 5)]


def test_a_tall_box_is_split_by_rows_and_the_lower_half_comes_first_and_gets_the_floor():
    assert children(Box(0, 5, 0, 4, 0, 3)) == (Box(3, 5, 0, 4, 0, 3), Box(0, 3, 0, 4, 0, 3))


def test_a_square_box_is_split_by_rows():
    assert children(Box(2, 4, 6, 8, 0, 1)) == (Box(3, 4, 6, 8, 0, 1), Box(2, 3, 6, 8, 0, 1))


def test_a_wide_box_is_split_by_columns_and_the_right_half_comes_first():
    assert children(Box(0, 2, 1, 4, 0, 3)) == (Box(0, 2, 3, 4, 0, 3), Box(0, 2, 1, 3, 0, 3))


def test_a_single_pixel_is_split_by_channels_and_the_last_come_first():
    assert children(Box(7, 8, 7, 8, 0, 3)) == (Box(7, 8, 7, 8, 2, 3), Box(7, 8, 7, 8, 0, 2))


def test_a_single_channel_of_a_pixel_is_a_leaf():
    assert children(Box(7, 8, 7, 8, 2, 3)) is None


@pytest.mark.parametrize("shape", SHAPES)
def test_the_leaves_of_the_tree_cover_every_element_once(shape):
    covered = np.zeros(shape, dtype=int)
    stack = [whole(shape)]
    while stack:
        box = stack.pop()
        halves = children(box)
        if halves is None:
            covered += masks(BoxCoalitions(shape, [(box,)]), shape)[0]
        else:
            assert size(halves[0]) + size(halves[1]) == size(box)
            stack += halves
    assert (covered == 1).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_parts_are_in_the_order_of_shaps_clustering(shap_module, shape):
    """Row i of it has the children of part M + i; M elements come before the parts."""
    clustering = shap_module.maskers.Image(np.zeros(shape), shape).clustering
    parts, elements = splits(ImageTree(shape)), np.arange(np.prod(shape)).reshape(shape)
    number = {part: elements.size + i for i, part in enumerate(parts)}

    def number_of(box):
        return number[box] if box in number else elements[region(box)].item()

    expected = [[number_of(left), number_of(right)] for left, right in parts.values()]
    assert clustering[:, :2].tolist() == expected


def test_extents_and_size_count_rows_columns_and_channels():
    box = Box(1, 3, 2, 7, 0, 3)
    assert extents(box) == (2, 5, 3)
    assert size(box) == 30


def test_a_coalition_of_whole_pixels_has_a_mask_of_pixels():
    coalitions = BoxCoalitions((2, 2, 3), [(Box(0, 1, 0, 2, 0, 3),)])
    assert coalitions.visible(0).tolist() == [[True, True], [False, False]]


def test_a_coalition_of_single_channels_has_a_mask_of_channels():
    coalitions = BoxCoalitions((1, 2, 3), [(Box(0, 1, 0, 1, 2, 3), Box(0, 1, 1, 2, 0, 3))])
    assert coalitions.visible(0).tolist() == [[[False, False, True], [True, True, True]]]


def test_revealing_copies_the_elements_of_the_mask():
    shape = (4, 5, 3)
    boxes = (Box(0, 2, 1, 3, 0, 3), Box(3, 4, 4, 5, 1, 2))
    coalitions = BoxCoalitions(shape, [(), boxes])
    source = np.arange(60.0).reshape(shape) + 1
    canvas = np.zeros(shape)
    coalitions.reveal(1, source, canvas)
    assert (canvas == np.where(coalitions.visible(1), source, 0)).all()


def test_slicing_keeps_the_order():
    shape = (2, 2, 1)
    members = [(Box(0, 1, 0, 1, 0, 1),), (), (whole(shape),)]
    part = BoxCoalitions(shape, members)[1:]
    assert len(part) == 2
    assert masks(part, shape).sum(axis=(1, 2, 3)).tolist() == [0, 4]


def test_the_empty_coalition_sees_nothing_and_the_full_one_everything():
    shape = (3, 4, 3)
    assert not masks(empty_coalition(shape), shape).any()
    assert masks(grand_coalition(shape), shape).all()
