"""What is worth a look: copies, flat images and outliers, and nothing else."""

import json

import numpy as np

from synthograph.archive.suspects import ImageStatistics, find_suspects, image_statistics


def test_a_sketch_is_in_units_of_the_full_range() -> None:
    half = np.zeros((4, 4, 1), np.uint8)
    half[:, 2:] = 255
    one = image_statistics({"image": half})
    assert (one.mean, one.deviation) == (0.5, 0.5)
    assert abs(one.sharpness - 1 / 3) < 1e-6  # one of three steps to the right is 1, none down
    deep = image_statistics({"image": half.astype(np.uint16) * 257})
    assert (deep.mean, deep.deviation) == (0.5, 0.5) and deep.digest != one.digest
    assert ImageStatistics(*json.loads(json.dumps(one))) == one


def test_the_digest_covers_all_modalities() -> None:
    image, other = np.zeros((4, 4, 1), np.uint8), np.ones((4, 4, 1), np.uint8)
    assert (
        image_statistics({"a": image, "b": image}).digest
        != image_statistics({"a": image, "b": other}).digest
    )


def normal(count: int) -> tuple[list[str], list[ImageStatistics]]:
    rng = np.random.default_rng(0)
    images = [rng.normal(100, 20, (16, 16, 3)).clip(0, 255).astype(np.uint8) for _ in range(count)]
    return [f"n{i}" for i in range(count)], [image_statistics({"image": image}) for image in images]


def test_ordinary_sets_have_none() -> None:
    assert find_suspects(*normal(60)) == []
    assert find_suspects(*normal(1)) == []


def test_each_kind_is_found_with_its_reason() -> None:
    names, sketches = normal(60)
    rng = np.random.default_rng(1)
    odd = {
        "flat": np.full((16, 16, 3), 100, np.uint8),
        "bright": rng.normal(220, 20, (16, 16, 3)).clip(0, 255).astype(np.uint8),
        "noisy": rng.integers(0, 256, (16, 16, 3), np.uint8),
    }
    sketches += [image_statistics({"image": image}) for image in odd.values()]
    found = find_suspects([*names, *odd], sketches)
    reasons = {suspect.name: suspect.reason for suspect in found}
    assert set(reasons) == {"flat", "bright", "noisy"}
    assert "flat" in reasons["flat"]
    assert "unusually bright" in reasons["bright"]
    assert [s.oddness for s in found] == sorted((s.oddness for s in found), reverse=True)


def test_at_most_ten_are_shown() -> None:
    flat = image_statistics({"image": np.zeros((16, 16, 3), np.uint8)})
    assert len(find_suspects([str(i) for i in range(60)], [flat] * 60)) == 10


def test_equal_sets_call_no_tiny_difference_an_outlier() -> None:
    sketches = [ImageStatistics(0.5, 0.1, 0.1, str(i)) for i in range(20)]
    sketches.append(ImageStatistics(0.5001, 0.1, 0.1, "x"))
    assert find_suspects([str(i) for i in range(21)], sketches) == []
