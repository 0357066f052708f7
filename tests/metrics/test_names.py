"""Names of measures: what is published, and what is ours."""

import pytest

from synthograph.core.errors import UserError
from synthograph.metrics import names
from synthograph.metrics.names import OWN, PublishedKind, parse, parse_path, parse_selection
from synthograph.metrics.paths import VARIANTS


@pytest.mark.parametrize(
    ("name", "kind", "count", "full", "max_real", "extractor", "keys"),
    [
        ("fid50k_full", names.FID, 50_000, True, None, "inception", ("fid50k_full",)),
        ("fid5k_full", names.FID, 5_000, True, None, "inception", ("fid5k_full",)),
        ("fid500_full", names.FID, 500, True, None, "inception", ("fid500_full",)),
        ("fid50k", names.FID, 50_000, False, 50_000, "inception", ("fid50k",)),
        (
            "kid50k_full",
            names.KID,
            50_000,
            True,
            1_000_000,
            "inception",
            ("kid50k_full",),
        ),
        (
            "pr50k3_full",
            names.PR,
            50_000,
            True,
            200_000,
            "vgg16",
            ("pr50k3_full_precision", "pr50k3_full_recall"),
        ),
        (
            "pr2k3",
            names.PR,
            2_000,
            False,
            2_000,
            "vgg16",
            ("pr2k3_precision", "pr2k3_recall"),
        ),
        (
            "is10k",
            names.IS,
            10_000,
            False,
            10_000,
            "inception",
            ("is10k_mean", "is10k_std"),
        ),
    ],
)
def test_published_names(
    name: str,
    kind: PublishedKind,
    count: int,
    full: bool,
    max_real: int | None,
    extractor: str,
    keys: tuple[str, ...],
) -> None:
    got = parse(name)
    assert (got.kind, got.count, got.full) == (kind, count, full)
    assert (got.max_real, got.extractor, got.keys) == (max_real, extractor, keys)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("ppl2_wend_0k", "0 pairs of images"),
        ("ppl2_wend50k", "did you mean 'ppl2_wend'"),
        ("ppl_2end", "unknown"),
        ("fid50kfull", "did you mean 'fid50k_full'"),
        ("fid0k_full", "0 synthetic images"),
        ("fid9999999k", "from 2 to"),
        ("is50k_full", "unknown"),
        ("pr50k_full", "unknown"),
        ("pr50003", "unknown"),
        ("fid50k3", "unknown"),
        ("Frechet", "did you mean 'frechet'"),
    ],
)
def test_names_that_mean_nothing(name: str, part: str) -> None:
    with pytest.raises(UserError) as error:
        parse_selection([name])
    assert part in str(error.value) and name in str(error.value)


def test_lists_hold_our_own_and_published_names() -> None:
    wanted = parse_selection(["coverage, fid5k_full", "frechet,coverage"])
    assert wanted.own == ("frechet", "coverage")
    assert [spec.name for spec in wanted.published] == ["fid5k_full"]
    assert parse_selection([]).own == OWN and not parse_selection([]).published


@pytest.mark.parametrize(
    ("name", "variant", "count", "distance", "published"),
    [
        ("ppl2_wend", "ppl2_wend", 50_000, "lpips", True),
        ("ppl_zfull", "ppl_zfull", 50_000, "lpips", True),
        ("ppl_wend_5k", "ppl_wend", 5_000, "lpips", True),
        ("ppl2_wend_300", "ppl2_wend", 300, "lpips", True),
        ("path_length", "ppl2_wend", 2_000, "random-vgg16-distance", False),
        ("path_length_1k", "ppl2_wend", 1_000, "random-vgg16-distance", False),
    ],
)
def test_path_lengths(name: str, variant: str, count: int, distance: str, published: bool) -> None:
    got = parse_path(name)
    assert got is not None
    assert got.variant is VARIANTS[variant] and got.name == name
    assert (got.count, got.distance, got.published) == (count, distance, published)


def test_path_lengths_stand_apart_from_measures_of_images() -> None:
    wanted = parse_selection(["frechet,ppl2_wend,path_length", "fid5k_full"])
    assert wanted.own == ("frechet",)
    assert [spec.name for spec in wanted.published] == ["fid5k_full"]
    assert [spec.name for spec in wanted.paths] == ["ppl2_wend", "path_length"]
    assert not parse_selection([]).paths, "a generator is measured only where it is asked for"
    assert parse_path("fid5k_full") is None
