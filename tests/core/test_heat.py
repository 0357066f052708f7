"""Pictures of predictions."""

import numpy as np

from synthograph.core.heat import CHOSEN, LINE, heated, predicted_picture


def test_cold_places_stay_as_they_are_and_hot_ones_do_not() -> None:
    image = np.full((4, 4, 3), 100, np.uint8)
    heat = np.zeros((4, 4))
    heat[0, 0] = 1
    found = heated(image, heat)
    assert (found[1:] == 100).all()
    assert found[0, 0, 0] > 150


def test_a_picture_holds_image_heat_and_probabilities() -> None:
    image = np.full((32, 48, 3), 100, np.uint8)
    many = [(f"class with a very long name {k}", 1 / 12) for k in range(12)]
    found = predicted_picture(image, np.zeros((32, 48)), many, chosen=many[0][0], remark="unlike")
    assert found.shape[0] == LINE + 224
    assert (found[LINE:, : 48 * 7] == 100).all()
    assert (found[:LINE, : 48 * 7] < 100).any(), "what it shows is written above"
    assert found.shape[1] > 2 * 48 * 7 + 200


def test_the_decided_class_has_a_bar_though_it_is_the_least_probable() -> None:
    """With more than two classes a rare one can be decided so."""
    image = np.full((32, 48, 3), 100, np.uint8)
    many = [(f"class {k}", (12 - k) / 78) for k in range(12)]
    found = predicted_picture(image, np.zeros((32, 48)), many, chosen="class 11", remark="")
    assert (found == np.array(CHOSEN, np.uint8)).all(2).any()
