"""The pictures: determinism, modalities, masks, sizes, sites, confounders."""

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from synthograph.core.errors import UserError
from synthograph.core.record import DecodedImage, SourceItem
from synthograph.sources.phantoms import PhantomOptions, PhantomSet, make_phantoms

KINDS = ["skin", "eye", "knee"]
MODALITIES: dict[str, dict[str, tuple[int, type[np.unsignedinteger]]]] = {
    "skin": {"image": (3, np.uint8)},
    "eye": {"vis": (3, np.uint8), "nir": (1, np.uint8)},
    "knee": {"image": (1, np.uint16)},
}


def make(kind: str, count: int = 12, size: int = 32, **more: object) -> PhantomSet:
    return make_phantoms(PhantomOptions.parse({"kind": kind, "count": count, "size": size, **more}))


def decode(item: SourceItem) -> DecodedImage:
    return item.decode()


def assert_same(first: DecodedImage, second: DecodedImage) -> None:
    assert list(first.modalities) == list(second.modalities)
    for name, pixels in first.modalities.items():
        np.testing.assert_array_equal(pixels, second.modalities[name])
    np.testing.assert_array_equal(first.mask, second.mask)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [16, 32, 64, 50, 113])
def test_modalities_are_registered_and_masks_complete(kind: str, size: int) -> None:
    phantoms = make(kind, size=size)
    for item in phantoms.items:
        picture = item.decode()
        shown = {n: (p.shape[2], p.dtype.type) for n, p in picture.modalities.items()}
        assert shown == MODALITIES[kind]
        assert all(p.shape[:2] == (size, size) for p in picture.modalities.values())
        assert picture.mask is not None and picture.mask.dtype == np.uint8
        assert picture.mask.shape == (size, size)
        assert set(np.unique(picture.mask)) == set(range(len(phantoms.mask_classes)))


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_use_their_range(kind: str) -> None:
    for item in make(kind, confounders=0).items:
        for pixels in item.decode().modalities.values():
            assert pixels.std() > 0.04 * np.iinfo(pixels.dtype).max
            assert np.mean(pixels == np.iinfo(pixels.dtype).max) < 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_depends_on_seed_and_index_alone(kind: str) -> None:
    items = make(kind).items
    forwards = [item.decode() for item in items]
    backwards = [item.decode() for item in reversed(make(kind, count=30).items[:12])][::-1]
    for first, second in zip(forwards, backwards, strict=True):
        assert_same(first, second)
    other = make(kind, seed=1).items[0].decode()
    name = next(iter(other.modalities))
    assert (other.modalities[name] != forwards[0].modalities[name]).any()


def test_pictures_are_the_same_in_another_process() -> None:
    items = [make(kind, count=2).items[1] for kind in KINDS]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for item, picture in zip(items, pool.map(decode, items), strict=True):
            assert_same(item.decode(), picture)


@pytest.mark.parametrize("kind", KINDS)
def test_items_travel_to_workers(kind: str) -> None:
    item = make(kind, count=1).items[0]
    assert_same(item.decode(), pickle.loads(pickle.dumps(item)).decode())


@pytest.mark.parametrize("kind", KINDS)
def test_truth_stands_in_the_columns(kind: str) -> None:
    phantoms = make(kind)
    named = {factor.name for factor in phantoms.factors} | {"site"}
    named |= {"skin": {"hair", "vignette", "score", "probability"}, "eye": {"side"}}.get(
        kind, {"side", "visit", "score", "probability"}
    )
    names = {item.name for item in phantoms.items}
    assert len(names) == len(phantoms.items)
    for item in phantoms.items:
        assert named <= set(item.columns)
        assert all(isinstance(value, str) for value in item.columns.values())
        assert item.label in phantoms.classes
        assert item.group is not None and item.group.startswith("P")


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_show_the_same_object(kind: str) -> None:
    for small, large in zip(make(kind, size=32).items, make(kind, size=64).items, strict=True):
        assert small.columns == large.columns
        coarse, fine = small.decode().mask, large.decode().mask
        assert coarse is not None and fine is not None
        assert np.mean(coarse != fine[::2, ::2]) < 0.12


def test_meaning_survives_only_the_stated_changes() -> None:
    assert make("skin").invariances == ("mirror", "rotate")
    assert make("eye").invariances == make("knee").invariances == ()


def test_the_eye_shows_its_side() -> None:
    """The tear duct is red: the redder lower half of the opening is the nose's side."""
    right = 0
    items = make("eye", count=40, size=64, confounders=0).items
    for item in items:
        picture = item.decode()
        assert picture.mask is not None
        vis = picture.modalities["vis"].astype(float)
        red = (vis[..., 0] / vis.sum(axis=2)) * (picture.mask == 1)
        open_ = picture.mask == 1
        columns = np.flatnonzero(open_.any(axis=0))
        ends = [red[:, c].sum() / open_[:, c].sum() for c in (columns[:4], columns[-4:])]
        right += (ends[1] > ends[0]) == (item.label == "right")
        assert item.columns["side"] == item.label
    assert right >= 38


def test_infrared_shows_texture_where_melanin_hides_it() -> None:
    ratios = []
    for item in make("eye", count=80, size=64, confounders=0).items:
        if float(item.columns["melanin"]) < 0.8:
            continue
        picture = item.decode()
        iris = picture.mask == 2
        nir, vis = (
            picture.modalities["nir"][..., 0][iris],
            picture.modalities["vis"][iris].mean(axis=1),
        )
        middle = [np.subtract(*np.percentile(p, [75, 25])) for p in (nir, vis)]
        ratios.append(middle[0] / middle[1])
    assert len(ratios) > 3 and np.median(ratios) > 1.3


def test_classes_differ_visibly_in_small_pictures() -> None:
    areas: dict[str, list[float]] = {"benign": [], "melanoma": []}
    spread: dict[str, list[float]] = {"benign": [], "melanoma": []}
    for item in make("skin", count=200, confounders=0).items:
        picture = item.decode()
        assert picture.mask is not None and item.label is not None
        inside = picture.modalities["image"][picture.mask == 1].astype(float)
        areas[item.label].append(float(np.mean(picture.mask)))
        spread[item.label].append(float(inside.std(axis=0).mean()))
    assert np.mean(areas["melanoma"]) > 1.4 * np.mean(areas["benign"])
    assert np.mean(spread["melanoma"]) > 1.1 * np.mean(spread["benign"])


def test_thin_cartilage_is_thin_in_the_mask() -> None:
    items = make("knee", count=60, size=64).items
    thickness = [float(item.columns["cartilage_thickness"]) for item in items]
    covered = [np.sum(item.decode().mask == 4) for item in items]
    assert np.corrcoef(thickness, covered)[0, 1] > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_site_b_is_another_camera_for_the_same_objects(kind: str) -> None:
    first = make(kind, site="a").items
    same = make(kind, site="b", site_shift=0).items
    other = make(kind, site="b").items
    name = list(MODALITIES[kind])[0]
    for one, two in zip(first, same, strict=True):
        assert_same(one.decode(), two.decode())
        assert (one.columns["site"], two.columns["site"]) == ("a", "b")
    means = [
        np.mean([i.decode().modalities[name].mean(axis=(0, 1)) for i in items], axis=0)
        for items in (first, other)
    ]
    assert np.abs(means[0] - means[1]).max() > 0.03 * np.iinfo(MODALITIES[kind][name][1]).max
    assert [i.label for i in first] == [i.label for i in other]


def test_confounders_of_strength_zero_are_absent() -> None:
    bare, hairy = make("skin", confounders=0).items, make("skin", confounders=2).items
    assert all(item.columns["hair"] == item.columns["vignette"] == "0" for item in bare)
    assert any(float(item.columns["hair"]) > 1 for item in hairy)
    for without, with_ in zip(bare, hairy, strict=True):
        clean, hair = without.decode(), with_.decode()
        np.testing.assert_array_equal(clean.mask, hair.mask)
        darker = clean.modalities["image"].mean() > hair.modalities["image"].mean() + 0.1
        confounded = float(with_.columns["hair"]) > 0 or float(with_.columns["vignette"]) > 0
        assert darker == confounded


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "skn"}, "did you mean 'skin'"),
        ({"size": 8}, "at least 16"),
        ({"count": 0}, "at least 1"),
        ({"auroc": 0.5}, "greater than 0.5"),
        ({"auroc": 1.0}, "at most 0.999"),
        ({"site": "c"}, "'c' is unknown: known are: a, b"),
        ({"confounders": -1}, "at least 0"),
        ({"prevalence": 1.0}, "at most 0.99"),
        ({"seeds": 1}, "did you mean 'seed'"),
        ({"kind": "eye", "auroc": 0.8}, "auroc.* choose skin or knee"),
        ({"kind": "eye", "patient_effect": 0.1}, "patient_effect.* choose skin or knee"),
    ],
)
def test_bad_options_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(**{"kind": "skin", **change})  # type: ignore[arg-type]


def test_every_option_is_described() -> None:
    assert all(field.description for field in PhantomOptions.model_fields.values())
