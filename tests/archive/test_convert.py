"""One item to images: nothing is overwritten, and what cannot be an image has a reason."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from synthograph.archive import convert as module
from synthograph.archive.convert import WorkersError, convert, convert_all
from synthograph.archive.transform import TransformOptions
from synthograph.core.record import DecodedImage, SourceItem, UnreadableError
from synthograph.sources.phantoms import PhantomOptions, make_phantoms

Items = Callable[..., list[SourceItem]]
PLAIN = TransformOptions()


def columns(item: SourceItem, **kwargs: object) -> dict[str, str]:
    made = convert(item, TransformOptions.parse(kwargs))
    return dict(made.images[0][0].row.columns)


def test_the_items_name_is_kept_and_so_is_every_column(items: Items) -> None:
    item = items(1)[0]
    own = {"source": "hospital", "source_file": "old", "table_source_file": "older", "fold": "x"}
    got = columns(replace(item, columns=own))
    assert got.pop("source_file") == item.name
    assert got == {
        "source": "hospital",
        "table_table_source_file": "old",
        "table_source_file": "older",
        "table_fold": "x",
    }


def test_tiles_know_their_corner_and_keep_an_older_one(items: Items) -> None:
    item = replace(items(1)[0], columns={"tile_x": "7"})
    assert columns(item)["tile_x"] == "7"
    got = columns(item, tile=4)
    assert (got["tile_x"], got["tile_y"], got["table_tile_x"]) == ("0", "0", "7")
    corners = [
        (encoded.row.columns["tile_x"], encoded.row.columns["tile_y"])
        for encoded, _, _ in convert(item, TransformOptions(tile=4)).images
    ]
    assert corners == [("0", "0"), ("4", "0"), ("0", "4"), ("4", "4")]


def test_group_and_origin(items: Items) -> None:
    item = items(1)[0]
    row = convert(replace(item, group=None, origin="synthetic"), PLAIN).images[0][0].row
    assert (row.group, row.origin, row.label) == (item.name, "synthetic", "benign")


GREY = np.zeros((8, 8, 1), np.uint8)


@pytest.mark.parametrize(
    ("images", "own", "words"),
    [
        ({"vis": GREY, "nir": GREY.astype(np.uint16)}, {}, "vis has 8 bits, nir has 16 bits"),
        ({"image": GREY[:3]}, {}, "is 8x3 pixels, a side needs at least 4"),
        ({"image": GREY}, {"y.0": "nan"}, "y.0 holds 'nan'"),
        ({"image": GREY}, {"y.1": "1"}, "lacks y.0"),
    ],
)
def test_what_no_archive_could_hold(
    images: dict[str, np.ndarray], own: dict[str, str], words: str
) -> None:
    made = convert(SourceItem("a", partial(DecodedImage, images), columns=own), PLAIN)
    assert made.reject is not None and words in made.reject and not made.images


def unreadable() -> DecodedImage:
    raise UnreadableError("is torn")


def test_unreadable_files_are_rejects() -> None:
    assert convert(SourceItem("a", unreadable), PLAIN).reject == "is torn"


def test_results_come_in_order_whatever_the_processes(items: Items) -> None:
    many = items(40)
    alone = list(convert_all(many, PLAIN, 1))
    assert list(convert_all(many, PLAIN, 2)) == alone
    assert [made.images[0][0].row.columns["source_file"] for made in alone] == [
        item.name for item in many
    ]


def test_a_dead_worker_is_no_riddle(items: Items) -> None:
    killed = [replace(item, decode=partial(os._exit, 9)) for item in items(3)]
    with pytest.raises(WorkersError, match="fewer --workers"):
        list(convert_all(killed, PLAIN, 2))
    with pytest.raises(WorkersError, match="where it stopped$"):
        list(convert_all([*items(40), *killed], PLAIN, 2))


def test_no_memory_is_no_riddle() -> None:
    def greedy() -> DecodedImage:
        raise MemoryError

    with pytest.raises(WorkersError, match="ran out of memory"):
        list(convert_all([SourceItem("a", greedy)], PLAIN, 1))


@pytest.mark.parametrize(("asked", "cores", "used"), [(None, 3, 3), (None, 64, 61), (999, 3, 61)])
def test_how_many_processes(
    asked: int | None, cores: int, used: int, monkeypatch: pytest.MonkeyPatch, items: Items
) -> None:
    counts = []

    def pool(items: object, options: object, places: object, *, count: int) -> Iterator[None]:
        counts.append(count)
        yield from ()

    monkeypatch.setattr(module, "_make_in_pool", pool)
    monkeypatch.setattr(module, "usable_cores", lambda: cores)
    list(convert_all(items(100), PLAIN, asked))
    list(convert_all(items(2), PLAIN, asked))
    assert counts == [used, 2]


def test_nothing_of_the_working_folder_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("signal", "struct", "types", "numpy", "threading", "pickle"):
        mark = f"open({str(tmp_path / 'RAN')!r}, 'a').write('{name} ')"
        (folder / f"{name}.py").write_text(mark)
    phantoms = make_phantoms(PhantomOptions(kind="skin", count=2, size=16)).items
    assert all(module._are_ours([item]) for item in phantoms)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend("")
    assert len([r for r in convert_all(phantoms, PLAIN, 2) if r.images]) == 2
    assert not (tmp_path / "RAN").exists()


def of_a_caller() -> DecodedImage:
    raise UnreadableError("not at all")


def test_what_a_caller_decodes_may_lie_anywhere(items: Items) -> None:
    assert module._are_ours(items(1))
    for decode in (of_a_caller, partial(of_a_caller)):
        assert not module._are_ours([*items(1), replace(items(1)[0], decode=decode)])
