"""Pairs files by relative name without extension, never by position."""

import os.path
from collections.abc import Sequence

from synthograph.core.errors import UserError
from synthograph.core.names import nfc
from synthograph.sources.readers import stem_key


def folder_above(name: str, file: str) -> str:
    """The folders of `file` in front of the name of an image, or nothing."""
    end = f"/{stem_key(name)}"
    return stem_key(file).removesuffix(end) if stem_key(file).endswith(end) else ""


def pair_by_name(
    images: Sequence[str], files: Sequence[str], *, where: str, suffix: str = ""
) -> dict[str, str]:
    """Find the partner of every image: the file of the same relative name without extension.

    Where all images live in one folder (`images/7.png`), their names inside it count too (`7.png`).

    Args:
        images: relative names of the images.
        files: relative names of possible partners.
        where: the container of `files`, for messages.
        suffix: what the names of `files` may have more than those of their images.

    Returns:
        Image -> file; images without partner are missing.

    Raises:
        UserError: one name fits two images or two files, or no image has a partner.
    """
    by_stem: dict[str, str] = {}
    for file in files:
        other = by_stem.setdefault(stem_key(file).removesuffix(suffix), file)
        if other != file:
            raise UserError(f"{where}: {other!r} and {file!r} have one name; keep one of them")
    shared = nfc(_shared_folder(images))
    pairs: dict[str, str] = {}
    owners: dict[str, str] = {}
    for name in images:
        key = stem_key(name)
        file = by_stem.get(key) or by_stem.get(key.removeprefix(shared), "")
        if not file:
            continue
        if file in owners:
            raise UserError(
                f"{where}: {file!r} fits two images, {owners[file]!r} and {name!r}; "
                "images that differ only by extension cannot be paired"
            )
        owners[file] = name
        pairs[name] = file
    if not pairs:
        raise UserError(
            f"{where}: no file fits an image by name; there is "
            f"{repr(files[0]) if files else 'no image'}, the first image is {images[0]!r}; "
            "give both the same name"
        )
    return pairs


def _shared_folder(images: Sequence[str]) -> str:
    """The folder, with a final slash, that all images live in, or nothing."""
    common = os.path.commonprefix(images)  # of characters
    return common[: common.rfind("/") + 1]
