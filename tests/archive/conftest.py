"""Small archives and sources to make them of."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from synthograph.archive.prepare import PrepareOptions, prepare
from synthograph.archive.reader import Archive, open_archive
from synthograph.core.record import DecodedImage, SourceItem

Items = Callable[..., list[SourceItem]]
Make = Callable[..., Archive]


def pixels(
    seed: int, height: int = 8, width: int = 8, channels: int = 3, bits: int = 8
) -> np.ndarray:
    dtype = np.uint8 if bits == 8 else np.uint16
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2**bits, (height, width, channels), dtype=dtype)


def source_items(
    count: int = 6,
    *,
    labels: Sequence[str | None] = ("benign", "melanoma"),
    per_group: int = 2,
    masks: bool = False,
    modalities: dict[str, int] | None = None,
    bits: int = 8,
    side: int = 8,
) -> list[SourceItem]:
    """Items with noise pixels; `decode` is a partial, so that worker processes can have it."""
    result = []
    for i in range(count):
        images = {
            name: pixels(100 * i + n, side, side, channels, bits)
            for n, (name, channels) in enumerate((modalities or {"image": 3}).items())
        }
        mask = pixels(i + 7, side, side, 1)[:, :, 0] % 4 if masks else None
        result.append(
            SourceItem(
                f"Bild {i:03d} ö.jpg",
                partial(DecodedImage, images, mask),
                labels[i % len(labels)],
                f"p{i // per_group}",
                {"site": "ab"[i % 2]},
            )
        )
    return result


@pytest.fixture
def items() -> Items:
    return source_items


@pytest.fixture
def make_archive(tmp_path: Path) -> Make:
    """Write an archive of `source_items`; name and options may be given."""

    def make(
        name: str = "set.zip", *, count: int = 6, invariances: object = None, **kwargs: object
    ) -> Archive:
        options = {} if invariances is None else {"invariances": invariances}
        prepare(
            source_items(count, **kwargs),  # type: ignore[arg-type]
            tmp_path / name,
            PrepareOptions.parse(options),
            workers=1,
        )
        return open_archive(tmp_path / name)

    return make


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SYNTHOGRAPH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
