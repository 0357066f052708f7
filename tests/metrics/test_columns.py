"""Numbers per image: one pass, kept, never mixed up."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from synthograph.archive.batches import ArchiveRows, ImageSet
from synthograph.archive.linked import linked
from synthograph.archive.parts import Part
from synthograph.archive.reader import open_archive
from synthograph.core.errors import UserError
from synthograph.metrics import columns
from synthograph.metrics.spectrum import spectra
from synthograph.metrics.ssim import mean_similarity
from synthograph.ops.similarity import ms_ssim
from tests.conftest import make_archive
from tests.metrics.images import Means, noise


def test_rows_are_those_of_the_extractor_and_come_from_one_pass(tmp_path: Path) -> None:
    images, passes = noise(modalities={"vis": 3, "nir": 1}, key="k"), []

    def counted() -> Iterator[Tensor]:
        passes.append(1)
        return images.batches()

    counting = replace(images, batches=counted)
    wanted = [
        columns.extractor_column(Means(), images.spec),
        columns.extractor_column(Means(), images.spec, "nir"),
        columns.spectrum_column(images.spec, "vis"),
    ]
    whole, nir, spectrum = columns.rows_of(counting, wanted, folder=tmp_path)
    every = torch.cat(list(images.batches()))
    assert torch.equal(whole, Means()(every))
    assert torch.equal(nir, Means()(every[:, 3:]))
    assert torch.equal(spectrum, spectra(every[:, :3]).float())
    again = columns.rows_of(counting, wanted, folder=tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(again, (whole, nir, spectrum), strict=True))
    assert len(passes) == 1, "what is kept is not computed again"


def test_other_images_and_other_extractors_have_rows_of_their_own(tmp_path: Path) -> None:
    found = [
        columns.rows_of(
            noise(seed=seed, key=key),
            [columns.extractor_column(Means(name), noise().spec)],
            folder=tmp_path,
        )[0]
        for seed, key, name in ((0, "k", "means"), (1, "l", "means"), (0, "k", "other"))
    ]
    assert not torch.equal(found[0], found[1])
    assert len(list(tmp_path.iterdir())) == 3


def test_nothing_stays_of_images_without_a_key(tmp_path: Path) -> None:
    column = columns.extractor_column(Means(), noise().spec)
    (rows,) = columns.rows_of(noise(), [column], folder=tmp_path)
    assert torch.equal(rows, Means()(torch.cat(list(noise().batches()))))
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    column = columns.extractor_column(Means(), noise().spec)
    (rows,) = columns.rows_of(noise(key="k"), [column], folder=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-8])
    (again,) = columns.rows_of(noise(key="k"), [column], folder=tmp_path)
    assert torch.equal(again, Means()(torch.cat(list(noise().batches()))))
    assert len(rows) == len(again)


@pytest.mark.parametrize("key", [None, "k"])
def test_numbers_that_are_none_are_refused_and_not_kept(tmp_path: Path, key: str | None) -> None:
    column = columns.extractor_column(Means(broken=True), noise().spec)
    with pytest.raises(UserError, match="image 0: what means says of it is not a finite number"):
        columns.rows_of(noise(key=key), [column], folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_similar_pairs_are_those_of_the_measure(tmp_path: Path) -> None:
    images = noise(count=21, bright=5)
    (rows,) = columns.rows_of(images, [columns.similarity_column(images)], folder=tmp_path)
    every = torch.cat(list(images.batches()))
    got = mean_similarity(rows[:, 0])
    assert got.value == pytest.approx(float(ms_ssim(every[0:20:2], every[1:20:2]).mean()), rel=1e-6)
    assert got.counts == {"pairs": 10} and got.interval is not None
    of_class = every[0::2]  # labels take turns
    pairs = rows[0::2, 1]
    assert (pairs >= 0).sum() == len(of_class) // 2
    torch.testing.assert_close(
        pairs[pairs >= 0], ms_ssim(of_class[0:10:2], of_class[1:10:2]).float()
    )


def test_images_of_one_patient_are_no_pair(tmp_path: Path) -> None:
    images = noise(count=20, per=20)
    (rows,) = columns.rows_of(images, [columns.similarity_column(images)], folder=tmp_path)
    assert (rows == columns.NO_PAIR).all()
    value = mean_similarity(rows[:, 0])
    assert value.value is None and value.notes == ("no two images to compare",)


def test_sixteen_bits(tmp_path: Path) -> None:
    images = noise(bits=16)
    wanted = [columns.similarity_column(images), columns.spectrum_column(images.spec)]
    similar, spectrum = columns.rows_of(images, wanted, folder=tmp_path)
    assert similar[1, 0] > 0 and spectrum.isfinite().all()


def in_sections(count: int, size: int) -> ImageSet:
    """Noise of which any range of whole batches can be had."""
    images = noise(count=count, key="k")
    pixels = torch.cat(list(images.batches()))

    def section(numbers: range) -> Iterator[Tensor]:
        return iter(pixels[numbers.start : numbers.stop].split(size))

    return replace(images, batch=size, section=section, batches=lambda: section(range(count)))


@pytest.mark.parametrize("size", [4, 6])  # batches that fill blocks, and others
def test_parts_make_the_rows_of_one_process(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "BLOCK", 8)
    images = in_sections(50, size)
    wanted = [
        columns.extractor_column(Means(), images.spec),
        columns.similarity_column(images),
    ]
    whole = columns.rows_of(images, wanted, folder=tmp_path / "whole")
    folder = tmp_path / "parts"
    done = [columns.keep_part(images, wanted, Part(k, 3), folder=folder) for k in (3, 1)]
    assert sum(done) < 50
    seen: list[int] = []

    def section(numbers: range) -> Iterator[Tensor]:
        assert images.section is not None
        for batch in images.section(numbers):
            seen.append(len(batch))
            yield batch

    found = columns.rows_of(replace(images, section=section), wanted, folder=folder)
    assert sum(seen) == 50 - sum(done), "only what no part holds is computed"
    assert all(torch.equal(a, b) for a, b in zip(whole, found, strict=True))
    assert len(list(folder.iterdir())) == 2, "parts are removed when they were taken over"


def test_parts_of_other_batches_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "BLOCK", 8)
    images = in_sections(50, 4)
    wanted = [columns.extractor_column(Means(), images.spec)]
    assert 0 < columns.keep_part(images, wanted, Part(1, 2), folder=tmp_path) < 50
    (found,) = columns.rows_of(in_sections(50, 6), wanted, folder=tmp_path)
    (whole,) = columns.rows_of(images, wanted, folder=tmp_path / "whole")
    torch.testing.assert_close(found, whole)


def test_broken_and_overlapping_parts_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "BLOCK", 4)
    images = in_sections(20, 4)
    wanted = [columns.extractor_column(Means(), images.spec)]
    (whole,) = columns.rows_of(images, wanted, folder=tmp_path / "whole")
    folder = tmp_path / "parts"
    for part in (Part(1, 2), Part(2, 3), Part(3, 3)):
        columns.keep_part(images, wanted, part, folder=folder)
    last = max(folder.iterdir())
    last.write_bytes(last.read_bytes()[:-4])
    (found,) = columns.rows_of(images, wanted, folder=folder)
    assert torch.equal(whole, found)


def test_a_set_that_gives_all_images_or_none_has_no_parts(tmp_path: Path) -> None:
    images = noise(key="k")
    wanted = [columns.extractor_column(Means(), images.spec)]
    assert columns.keep_part(images, wanted, Part(1, 2), folder=tmp_path) == 0
    assert not list(tmp_path.iterdir())


@dataclass(frozen=True)
class Counting(Means):
    """Remembers how many images came at once."""

    seen: list[int] = field(default_factory=list)

    def __call__(self, images: Tensor) -> Tensor:
        self.seen.append(len(images))
        return super().__call__(images)


def test_images_of_linked_archives_are_computed_once_for_all_sets(tmp_path: Path) -> None:
    whole = open_archive(make_archive(tmp_path / "whole.zip", count=40, split="train"))
    extractor, folder = Counting(), tmp_path / "features"
    for number in range(3):
        rows = [row for place, row in enumerate(whole.rows) if (place + number) % 3]
        cell = linked(whole, rows, tmp_path / f"cell{number}.zip")
        images = ArchiveRows(cell, cell.rows[number:]).images
        similar = columns.similarity_column(images)
        wanted = [columns.extractor_column(extractor, images.spec), similar]
        found, pairs = columns.rows_of(images, wanted, folder=folder)
        assert torch.equal(found, Means()(torch.cat(list(images.batches()))))
        assert torch.equal(
            pairs,
            columns.rows_of(replace(images, homes=None), [similar], folder=tmp_path / "plain")[0],
        )
        assert columns.features_of(images, extractor, folder=folder).values.equal(found)
    assert sum(extractor.seen) == 40
    few = linked(whole, whole.rows[:4], tmp_path / "few.zip")
    other = Counting("other")
    columns.features_of(ArchiveRows(few, few.rows[:2]).images, other, folder=folder)
    assert sum(other.seen) == 4, "the rest of the archive is not wanted"
