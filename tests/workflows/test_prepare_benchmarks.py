"""Archives of published files of many images."""

from pathlib import Path

import pytest

import synthograph
from synthograph.archive.reader import open_archive
from synthograph.core.errors import UserError
from tests.sources.benchmarks.published import (
    CLASSES,
    cifar10,
    cifar100,
    write_folder,
    write_mnist,
    write_tar,
)


def test_both_versions_of_cifar_give_the_same_images(tmp_path: Path) -> None:
    made = []
    for binary in (True, False):
        source = write_tar(tmp_path / f"{binary}.tar.gz", cifar10(binary=binary), "cifar-10")
        synthograph.prepare(source, tmp_path / f"{binary}.zip", invariant="mirror", workers=1)
        made.append(open_archive(tmp_path / f"{binary}.zip"))
    assert made[0].images_hash == made[1].images_hash
    assert made[0].info.classes == CLASSES
    split = made[0].info.split
    assert split is not None and (split.origin, split.official) == ("CIFAR-10", True)
    assert {row.group for row in made[1].rows} == {
        row.columns["source_file"] for row in made[1].rows
    }
    with pytest.raises(UserError, match=r"official split of its images \(CIFAR-10\)"):
        synthograph.split(tmp_path / "True.zip")


def test_the_options_of_prepare_that_are_about_pixels_work(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "set", cifar100(binary=False))
    plan = synthograph.prepare(source, tmp_path / "a.zip", dry_run=True)
    assert (plan.images, plan.splits) == (12, {"train": 6, "test": 6})
    assert not (tmp_path / "a.zip").exists()
    for part in ("1/2", "2/2"):
        synthograph.prepare(source, tmp_path / "a.zip", size=16, part=part, workers=1)
    synthograph.prepare(source, tmp_path / "a.zip", size=16, workers=1)
    synthograph.prepare(source, tmp_path / "b.zip", size=16, check_text=True, workers=1)
    made = open_archive(tmp_path / "a.zip")
    assert made.images_hash == open_archive(tmp_path / "b.zip").images_hash
    assert made.info.spec.height == 16
    assert {row.columns["coarse_label"] for row in made.rows} == {"aquatic mammals", "fish"}


def test_a_window_by_volume_is_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path / "raw", {"train": 3})
    window = {"window": "1%,99%", "window_scope": "volume"}
    with pytest.raises(UserError, match="holds files of MNIST, and no volumes; take archive or"):
        synthograph.prepare(tmp_path / "raw", tmp_path / "a.zip", **window)


@pytest.mark.parametrize(
    "options",
    [{"masks": "masks"}, {"labels": "t.csv"}, {"pseudonymise": "salt"}, {"cohort": "isic2020"}],
)
def test_options_that_describe_files_are_refused(tmp_path: Path, options: dict[str, str]) -> None:
    write_mnist(tmp_path / "raw", {"train": 3})
    (name,) = options
    with pytest.raises(UserError, match=f"holds files of MNIST, and has its own.* --{name}"):
        synthograph.prepare(tmp_path / "raw", tmp_path / "a.zip", **options)


def test_an_unfinished_archive_of_other_pixels_is_not_continued(tmp_path: Path) -> None:
    source, dest = tmp_path / "raw", tmp_path / "a"
    write_mnist(source, {"train": 4}, packed=False)
    synthograph.prepare(source, dest, part="1/2", workers=1)
    images = source / "train-images-idx3-ubyte"
    changed = bytearray(images.read_bytes())
    changed[-1] ^= 1
    images.write_bytes(bytes(changed))
    with pytest.raises(UserError):
        synthograph.prepare(source, dest, workers=1)


def test_images_keep_their_size_unless_another_is_given(tmp_path: Path) -> None:
    write_mnist(tmp_path / "raw", {"train": 3})
    with pytest.raises(UserError, match="31x31"):
        synthograph.prepare(tmp_path / "raw", tmp_path / "a.zip", size=31)
    synthograph.prepare(tmp_path / "raw", tmp_path / "a.zip", workers=1)
    spec = open_archive(tmp_path / "a.zip").info.spec
    assert (spec.height, spec.width, dict(spec.modalities)) == (28, 28, {"image": 1})
