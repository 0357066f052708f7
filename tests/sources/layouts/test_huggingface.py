"""Tables of images as others write them."""

from pathlib import Path

import pytest
from PIL import Image

from synthograph.core.errors import UserError
from synthograph.sources.layouts.base import read_layout
from synthograph.sources.layouts.huggingface import HuggingFace


def folder(path: Path, *lines: str) -> Path:
    for name in ("a", "b", "masks/a"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(path / f"{name}.png")
    (path / "metadata.csv").write_text("\n".join(lines))
    return path


def test_blank_lines_and_names_from_this_folder_on(tmp_path: Path) -> None:
    lines = ("file_name,mask_file_name,label", "./a.png,./masks/a.png,ill", "", "b.png,,well", "\n")
    items, unnamed = read_layout(HuggingFace(), folder(tmp_path / "set", *lines))
    assert {item.name: item.label for item in items} == {"a.png": "ill", "b.png": "well"}
    assert items[0].decode().mask is not None and items[1].decode().mask is None
    assert not unnamed


def test_an_image_of_two_lines(tmp_path: Path) -> None:
    lines = ("file_name,label", "a.png,ill", "b.png,well", "./a.png,well")
    with pytest.raises(UserError, match=r"lists 'a.png' twice; keep one of them"):
        read_layout(HuggingFace(), folder(tmp_path / "set", *lines))
