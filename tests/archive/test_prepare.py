"""Sources to archives: what is in them, what is refused, and what is left when it fails."""

import csv
import errno
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthograph.archive.advice import without_group
from synthograph.archive.convert import WorkersError
from synthograph.archive.parts import Part
from synthograph.archive.prepare import PrepareOptions, Summary, prepare, prepare_part
from synthograph.archive.reader import Archive, SplitRecord, open_archive
from synthograph.core.errors import BlockedError, DiskFullError, StoppedError, UserError
from synthograph.core.record import DecodedImage, SourceItem, UnreadableError

Items = Callable[..., list[SourceItem]]
Make = Callable[..., Archive]


def run(
    items: list[SourceItem], dest: Path, rejects: Any = (), track: Any = None, **options: Any
) -> Summary:
    kwargs = {} if track is None else {"track": track}
    return prepare(items, dest, PrepareOptions.parse(options), rejects=rejects, workers=1, **kwargs)


def torn() -> DecodedImage:
    raise UnreadableError("is torn")


def plain(side: int, channels: int = 1) -> partial[DecodedImage]:
    return partial(DecodedImage, {"image": np.full((side, side, channels), side, np.uint8)})


def table(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def test_the_summary_counts(items: Items, tmp_path: Path) -> None:
    source = items(10, labels=("10", "9", None))
    source[2] = replace(source[2], decode=source[1].decode)
    summary = run(source, tmp_path / "a.zip")
    assert (summary.images, summary.groups, summary.grouped) == (10, 5, True)
    assert summary.classes == {"9": 3, "10": 4, "(none)": 3}
    assert summary.copies.pairs() == [f"{source[2].name} = {source[1].name}"]
    assert summary.spec == open_archive(tmp_path / "a.zip").info.spec
    alone = [replace(item, group=None) for item in items(4)]
    again = run(alone, tmp_path / "b.zip")
    assert (again.groups, again.grouped) == (4, False)
    assert os.listdir(tmp_path) == ["a.zip", "b.zip"] or set(os.listdir(tmp_path)) == {
        "a.zip",
        "b.zip",
    }


def test_copies_are_counted_and_told_apart(items: Items, tmp_path: Path) -> None:
    source = items(12, labels=("a",))
    twin = source[0].decode
    source[1] = replace(source[1], decode=twin, group=source[0].group)
    source[2] = replace(source[2], decode=twin, group="another")
    source[3] = replace(source[3], decode=twin, group="another", label="b")
    for number in (4, 5, 6):  # empty slices are no copies
        source[number] = replace(source[number], decode=plain(8, 3), group=f"empty {number}")
    source[7] = replace(source[7], group=None)
    summary = run(source, tmp_path / "a.zip")
    copies = summary.copies
    assert copies.count == 3 and copies.named().startswith(f"{source[1].name} = {source[0].name}")
    assert copies.across("group").count == 3 and copies.across("label").count == 3
    assert not copies.across("split").sets
    assert summary.ungrouped == [source[7].name] and summary.grouped


def test_a_split_of_the_source_is_kept_and_its_leaks_are_named(
    items: Items, tmp_path: Path
) -> None:
    splits = ["train", "train", "test", "val", "test", "train"]
    source = [
        replace(item, split=split, group=group)
        for item, split, group in zip(items(6), splits, "aabcad", strict=True)
    ]
    source[3] = replace(source[3], decode=source[0].decode)
    summary = run(source, tmp_path / "a.zip", split_origin="the names of folders")
    archive = open_archive(tmp_path / "a.zip")
    assert [row.split for row in archive.rows] == splits
    assert archive.info.split == SplitRecord(origin="the names of folders", official=True)
    assert summary.splits == {"train": 3, "val": 1, "test": 2}
    assert summary.crossing == ["a"] and summary.copies.across("split").count == 1


def test_twice_is_the_same(items: Items, tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        run(items(6, masks=True), tmp_path / name, namespace="n")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    run(items(6, masks=True), tmp_path / "c.zip")
    first, other = open_archive(tmp_path / "a.zip"), open_archive(tmp_path / "c.zip")
    assert first.images_hash == other.images_hash and first.rows == other.rows
    assert len(other.info.namespace) == 32 and other.info.namespace != first.info.namespace


@pytest.mark.parametrize("allowed", [False, True])
def test_rejects(items: Items, tmp_path: Path, allowed: bool) -> None:
    source = items(5)
    source[1] = replace(source[1], decode=torn)
    found = [("x.jpg", "no label")]
    dest = tmp_path / "a.zip"
    if allowed:
        summary = run(source, dest, found, allow_rejects=True)
        assert summary.images == 4 and len(summary.rejects) == 2
    else:
        with pytest.raises(UserError, match=r"2 of 6 files rejected, the first: x.jpg: no label"):
            run(source, dest, found)
        assert os.listdir(tmp_path) == ["a.zip.rejected.csv"]
    listed = table(tmp_path / "a.zip.rejected.csv")
    assert listed == [["x.jpg", "no label"], [source[1].name, "is torn"]]
    if not allowed:
        run(items(5), dest)  # mended, so the list is about nothing any more
        assert os.listdir(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("allowed", [False, True])
def test_images_of_other_sizes_and_kinds_are_rejects(
    items: Items, tmp_path: Path, allowed: bool
) -> None:
    source = items(6)
    source[0] = replace(source[0], decode=plain(16, 3))
    source[3] = replace(source[3], decode=plain(8, 1))
    dest = tmp_path / "a"
    if allowed:
        summary = run(source, dest, allow_rejects=True)
        assert (summary.images, len(summary.rejects)) == (4, 2)
        assert len(list(dest.glob("0*/*.png"))) == 4
        assert [row.columns["source_file"] for row in open_archive(dest).rows] == [
            source[i].name for i in (1, 2, 4, 5)
        ]
    else:
        with pytest.raises(
            UserError, match="2 of 6 files rejected.*--size N --transform center-crop"
        ):
            run(source, dest)
        assert os.listdir(tmp_path) == ["a.rejected.csv"]
    assert [reason for _, reason in table(tmp_path / "a.rejected.csv")] == [
        "is 16x16 image RGB 8 bit, most are 8x8 image RGB 8 bit",
        "is 8x8 image grey 8 bit, most are 8x8 image RGB 8 bit",
    ]


def test_nothing_is_left(items: Items, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the source holds no image"):
        run([], tmp_path / "a.zip")
    assert not os.listdir(tmp_path)
    with pytest.raises(UserError, match="no image is left: all are listed in .*is torn"):
        run([replace(i, decode=torn) for i in items(3)], tmp_path / "a.zip", allow_rejects=True)
    assert os.listdir(tmp_path) == ["a.zip.rejected.csv"]


def counted(calls: list[int]) -> DecodedImage:
    calls.append(1)
    return DecodedImage({"image": np.zeros((17, 17, 1), np.uint8)})


def test_sizes_that_no_network_takes_are_refused_early(tmp_path: Path) -> None:
    calls: list[int] = []
    source = [SourceItem(f"{i}", partial(counted, calls)) for i in range(300)]
    with pytest.raises(UserError, match="17x17 fit no grid.*prepare with --size 18"):
        run(source, tmp_path / "a.zip")
    assert len(calls) == 16
    with pytest.raises(UserError, match="34x34 fit no grid"):
        run(source, tmp_path / "a.zip", transform={"width": 34, "height": 34})
    with pytest.raises(UserError, match="17x17 fit no grid"):
        run(source[:3], tmp_path / "a.zip")
    assert len(calls) == 19 and not os.listdir(tmp_path)


def test_a_rare_size_that_comes_first_may_be_left_out(tmp_path: Path) -> None:
    source = [SourceItem(f"{i}", plain(34 if i < 16 else 16)) for i in range(40)]
    options = PrepareOptions.parse({"allow_rejects": True, "namespace": "n"})
    summary = prepare(source, tmp_path / "alone.zip", options, workers=1)
    assert summary.images == 24 and len(summary.rejects) == 16
    for part in (Part(1, 2), Part(2, 2)):
        prepare_part(source, tmp_path / "parts.zip", options, part, workers=1)
    prepare(source, tmp_path / "parts.zip", options, workers=1)
    assert (tmp_path / "parts.zip").read_bytes() == (tmp_path / "alone.zip").read_bytes()


def test_classes_keep_the_order_that_is_given(items: Items, tmp_path: Path) -> None:
    run(items(4), tmp_path / "a", classes=["melanoma", "unused", "benign"])
    archive = open_archive(tmp_path / "a")
    assert archive.info.classes == ["melanoma", "unused", "benign"]
    labels = json.loads((tmp_path / "a" / "dataset.json").read_text())["labels"]
    assert [index for _, index in labels] == [2, 0, 2, 0]
    for classes, words in (
        (["benign", "melanomas"], "'melanoma' is not a class: did you mean 'melanomas'"),
        (["benign", "melanoma", "benign"], "'benign' is named 2 times"),
        (["benign", "melanoma", ""], "empty name"),
        (["benign", "melanoma", "x\x1b[2J"], "characters that nobody sees"),
    ):
        with pytest.raises(UserError, match=words):
            run(items(4), tmp_path / "b", classes=classes)
    assert os.listdir(tmp_path) == ["a"]


def test_unknown_invariances() -> None:
    with pytest.raises(UserError, match="did you mean 'mirror'"):
        PrepareOptions.parse({"invariances": ["miror"]})


def stopping(after: int, error: type[BaseException]) -> Callable[..., Iterator[Any]]:
    def track(pairs: Iterable[Any], total: int) -> Iterator[Any]:
        for number, pair in enumerate(pairs):
            if number == after:
                raise error
            yield pair

    return track


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, DiskFullError, WorkersError])
def test_what_was_stopped_goes_on_to_the_same_bytes(
    items: Items, tmp_path: Path, error: type[BaseException]
) -> None:
    kwargs = {"namespace": "n", "transform": {"tile": 4}}
    source = items(7, masks=True)
    run(source, tmp_path / "whole.zip", **kwargs)
    dest = tmp_path / "a.zip"
    for after in (3, 2):
        expected = StoppedError if error is KeyboardInterrupt else error
        with pytest.raises(expected):
            run(source, dest, track=stopping(after, error), **kwargs)
        assert not dest.exists() and (tmp_path / "a.zip.partial").exists()
    totals: list[int] = []

    def track(pairs: Iterable[Any], total: int) -> Iterable[Any]:
        totals.append(total)
        return pairs

    summary = run(source, dest, track=track, allow_rejects=True, **kwargs)
    assert totals == [2] and summary.images == 28
    assert dest.read_bytes() == (tmp_path / "whole.zip").read_bytes()
    assert not (tmp_path / "a.zip.partial").exists()


@pytest.mark.parametrize("change", ["label", "group", "columns", "name", "size", "count"])
def test_a_changed_source_is_not_mixed_in(items: Items, tmp_path: Path, change: str) -> None:
    dest = tmp_path / "a.zip"
    with pytest.raises(StoppedError, match="run the same command again"):
        run(items(6), dest, track=stopping(3, KeyboardInterrupt))
    source, options = items(6), {}
    if change == "size":
        options = {"transform": {"width": 16, "height": 16}}
    elif change == "count":
        source = source[:-1]
    else:
        value = {"columns": {"site": "z"}, "label": "benign"}.get(change, "other")
        source[5] = replace(source[5], **{change: value})
    with pytest.raises(UserError, match="another command, or its source has changed"):
        run(source, dest, **options)
    run(items(6), dest)


def test_other_failures_leave_nothing(items: Items, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        run(items(6), tmp_path / "a.zip", track=stopping(3, ZeroDivisionError))
    assert not os.listdir(tmp_path)


def test_a_full_disk_while_writing(
    items: Items, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = Path.write_bytes, []

    def full(path: Path, data: bytes) -> int:
        calls.append(path)
        if len(calls) == 5:
            write(path, data[:10])
            raise OSError(errno.ENOSPC, "full")
        return write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(DiskFullError, match="run the same command again"):
            run(items(6), tmp_path / "a.zip", namespace="n")
    run(items(6), tmp_path / "a.zip", namespace="n")
    run(items(6), tmp_path / "b.zip", namespace="n")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize("number", [errno.EIO, errno.ETIMEDOUT])
def test_a_disk_that_fails_for_a_while_costs_nothing(
    items: Items, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    write, calls = Path.write_bytes, []

    def failing(path: Path, data: bytes) -> int:
        calls.append(path)
        if len(calls) == 5:
            raise OSError(number, "failing")
        return write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", failing)
        words = "failing.*a.zip.partial keeps what is done" if number == errno.EIO else "failing"
        with pytest.raises((BlockedError, OSError), match=words):
            run(items(6), tmp_path / "a.zip", namespace="n")
    assert len((tmp_path / "a.zip.partial" / "journal.jsonl").read_text().splitlines()) == 3
    run(items(6), tmp_path / "a.zip", namespace="n")
    run(items(6), tmp_path / "b.zip", namespace="n")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_destinations_in_the_way(items: Items, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for dest, words in (("file", "exists already"), ("file/a.zip", "is not a folder")):
        with pytest.raises(UserError, match=words):
            run(items(2), tmp_path / dest)
    assert os.listdir(tmp_path) == ["file"]


def test_an_archive_can_be_prepared_again(make_archive: Make, tmp_path: Path) -> None:
    first = make_archive("a.zip", masks=True)
    run(first.items(), tmp_path / "b.zip", namespace=first.info.namespace)
    second = open_archive(tmp_path / "b.zip")
    assert second.images_hash == first.images_hash and second.rows == first.rows
    assert second.info == first.info
    run(second.items(), tmp_path / "tiles.zip", transform={"tile": 4})
    tiles = open_archive(tmp_path / "tiles.zip")
    assert len(tiles.rows) == 24 and {r.group for r in tiles.rows} == {r.group for r in first.rows}
    run(tiles.items(), tmp_path / "c.zip", transform={"width": 8, "height": 8})
    row = open_archive(tmp_path / "c.zip").rows[1]
    assert row.columns["source_file"] == tiles.rows[1].file
    assert row.columns["table_source_file"] == first.rows[0].columns["source_file"]
    assert (row.columns["tile_x"], row.columns["tile_y"]) == ("4", "0")


def test_images_without_group_stay_without_when_tiles_are_prepared_again(
    items: Items, tmp_path: Path
) -> None:
    source = items(6)
    source[4:] = [replace(item, group=None) for item in source[4:]]
    run(source, tmp_path / "tiles.zip", transform={"tile": 4})
    tiles = open_archive(tmp_path / "tiles.zip")
    run(tiles.items(), tmp_path / "again.zip", transform={"width": 8, "height": 8})
    again = open_archive(tmp_path / "again.zip")
    bare = without_group(again.rows)
    assert [row.group for row in again.rows] == [row.group for row in tiles.rows]
    assert [row.source for row in bare] == [source[4].name] * 4 + [source[5].name] * 4


def test_an_image_whose_group_was_taken_away_stays_without(
    make_archive: Make, tmp_path: Path
) -> None:
    first = make_archive("a")
    path = first.path / "manifest.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("p1", "", 1), encoding="utf-8")
    run(open_archive(first.path).items(), tmp_path / "b.zip")
    again = open_archive(tmp_path / "b.zip")
    (bare,) = without_group(again.rows)
    assert bare.group == first.rows[2].file  # as networks that saw it know it
    assert bare.columns["table_source_file"] == first.rows[2].source


def test_synthetic_images_stay_synthetic(items: Items, tmp_path: Path) -> None:
    made = [replace(i, origin="synthetic", columns={"seed": "1", "network": "n"}) for i in items(4)]
    run(made, tmp_path / "a.zip", snapshots=[{"family": "f"}])
    archive = open_archive(tmp_path / "a.zip")
    assert archive.info.snapshots == [{"family": "f"}]
    run(archive.items(), tmp_path / "b.zip", snapshots=archive.info.snapshots)
    again = open_archive(tmp_path / "b.zip")
    assert {row.origin for row in again.rows} == {"synthetic"}
    assert again.rows == archive.rows
