"""Work in parts: whoever makes them, and in whatever order, the archive is the same."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthograph.archive.parts import Part
from synthograph.archive.prepare import PrepareOptions, prepare, prepare_part
from synthograph.archive.reader import open_archive
from synthograph.archive.writer import LOCK
from synthograph.core.errors import BlockedError, UserError
from synthograph.core.locks import Lock
from synthograph.core.record import DecodedImage, SourceItem

OPTIONS = PrepareOptions(namespace="test")


class Drawn:
    """Decodes to noise, with a mask."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self) -> DecodedImage:
        rng = np.random.default_rng(self.seed)
        modalities = {
            "vis": rng.integers(0, 255, (16, 16, 3), dtype=np.uint8),
            "nir": rng.integers(0, 255, (16, 16, 1), dtype=np.uint8),
        }
        return DecodedImage(modalities, mask=rng.integers(0, 3, (16, 16), dtype=np.uint8))


def items(count: int = 10) -> list[SourceItem]:
    return [
        SourceItem(f"{i}.png", Drawn(i), label="ab"[i % 2], group=f"P{i}") for i in range(count)
    ]


@given(st.integers(0, 1000), st.integers(1, 40))
def test_parts_are_all_items_in_order(total: int, of: int) -> None:
    numbers = [n for k in range(1, of + 1) for n in Part(k, of).numbers(total)]
    assert numbers == list(range(total))


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/2/3", "-1/2", "1/99999", ""])
def test_what_is_no_part(text: str) -> None:
    with pytest.raises(UserError, match=r"give number and count, such as 2/4"):
        Part.parse(text)


@pytest.mark.parametrize("ending", [".zip", ""])
@pytest.mark.parametrize("made", [(), (2,), (3, 1), (1, 2, 3)])
def test_whoever_makes_the_parts_the_archive_is_the_same(
    tmp_path: Path, ending: str, made: tuple[int, ...]
) -> None:
    whole, dest = tmp_path / f"whole{ending}", tmp_path / f"set{ending}"
    prepare(items(), whole, OPTIONS, workers=1)
    for number in made:
        count = prepare_part(items(), dest, OPTIONS, Part(number, 3), workers=1)
        assert count == len(Part(number, 3).numbers(10))
    assert not dest.exists()
    prepare(items(), dest, OPTIONS, workers=1)
    assert open_archive(dest).images_hash == open_archive(whole).images_hash
    assert open_archive(dest).manifest_hash == open_archive(whole).manifest_hash
    if ending:
        assert dest.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted({whole.name, dest.name})


def test_a_part_that_was_cut_off_is_completed(tmp_path: Path) -> None:
    dest, whole = tmp_path / "set.zip", tmp_path / "whole.zip"
    prepare(items(), whole, OPTIONS, workers=1)

    def interrupted(pairs, total):
        for number, pair in enumerate(pairs):
            if number == 2:
                raise KeyboardInterrupt
            yield pair

    with pytest.raises(Exception, match="run the same command again"):
        prepare_part(items(), dest, OPTIONS, Part(1, 2), track=interrupted, workers=1)
    prepare_part(items(), dest, OPTIONS, Part(2, 2), workers=1)
    prepare(items(), dest, OPTIONS, workers=1)
    assert dest.read_bytes() == whole.read_bytes()


def test_what_is_made_outlasts_a_part_that_is_still_written(tmp_path: Path) -> None:
    dest, whole = tmp_path / "set.zip", tmp_path / "whole.zip"
    prepare(items(), whole, OPTIONS, workers=1)
    prepare_part(items(), dest, OPTIONS, Part(2, 2), workers=1)
    with (
        Lock(tmp_path / "set.zip.part2of2.partial" / LOCK, "held by a test"),
        pytest.raises(BlockedError, match=r"another process.*set.zip.partial keeps what is done"),
    ):
        prepare(items(), dest, OPTIONS, workers=1)
    journal = tmp_path / "set.zip.partial" / "journal.jsonl"
    assert len(journal.read_text().splitlines()) == 5
    prepare(items(), dest, OPTIONS, workers=1)
    assert dest.read_bytes() == whole.read_bytes()


def test_parts_of_other_commands_or_divisions_are_refused(tmp_path: Path) -> None:
    dest = tmp_path / "set.zip"
    prepare_part(items(), dest, OPTIONS, Part(1, 2), workers=1)
    with pytest.raises(UserError, match="of another command"):
        prepare(items(8), dest, OPTIONS, workers=1)
    prepare_part(items(), dest, OPTIONS, Part(1, 3), workers=1)
    with pytest.raises(UserError, match="parts of 2 and parts of 3"):
        prepare(items(), dest, OPTIONS, workers=1)
