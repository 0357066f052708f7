"""Pairs files by relative name without extension, never by position."""

import os.path
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from synthograph.core.errors import UserError
from synthograph.core.names import first_few, nfc
from synthograph.core.spec import MASKS
from synthograph.sources.readers import stem_key

_MODALITY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def check_modality(name: str) -> None:
    """Refuse what is no name of a modality.

    Raises:
        UserError: it is none.
    """
    if not _MODALITY.fullmatch(name) or name == MASKS:
        raise UserError(
            f"modality {name!r}: a modality is named by letters, digits, - and _, and not {MASKS!r}"
        )


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


def pair_sequences(
    names: Sequence[str], sequences: Sequence[str]
) -> tuple[list[str], dict[str, dict[str, str]], dict[str, str]]:
    """Find the files of one examination by the last word of their names, such as `T1w` and `FLAIR`.

    In BIDS, subject, session and run are the examination: files may lie in any folder, and further
    words may differ (`acq-mprage`) where no other file is as near. Elsewhere folder and all other
    words are.

    Args:
        names: relative names of all files.
        sequences: last words, those of the images first.

    Returns:
        The images; sequence -> image -> file; image -> why it has no partner, or several.

    Raises:
        UserError: no file ends in one of the words.
    """
    by_word: dict[str, dict[_Visit, list[str]]] = {}
    for name in names:
        visits = by_word.setdefault(_words(name)[-1], {})
        visits.setdefault(_visit(name), []).append(name)
    for word in sequences:
        if word not in by_word:
            raise UserError(
                f"--sequences {word}: no image is named ..._{word}; the last words there are "
                f"{first_few(sorted(by_word))}"
            )
    images = [name for name in names if _words(name)[-1] == sequences[0]]
    pairs: dict[str, dict[str, str]] = {}
    reasons: dict[str, str] = {}
    for word in sequences[1:]:
        pairs[word] = {}
        for image in images:
            near = by_word[word].get(_visit(image), [])
            alike = [file for file in near if _words(file)[:-1] == _words(image)[:-1]]
            same = alike or near
            if len(same) == 1:
                pairs[word][image] = same[0]
            else:
                several = f"{len(same)} {word} files fit: {first_few(same)}" if same else ""
                wanted = " ".join(filter(None, _visit(image)))
                reasons.setdefault(image, several or f"no {word} file of {wanted}")
    return images, pairs, reasons


_Visit = tuple[str, ...]


def _words(name: str) -> list[str]:
    return PurePosixPath(stem_key(name)).name.split("_")


def _visit(name: str) -> _Visit:
    """What the files of one examination share."""
    words = _words(name)[:-1]
    known = tuple(word for word in words if word.startswith(("sub-", "ses-", "run-")))
    if any(word.startswith("sub-") for word in known):
        return known
    return (str(PurePosixPath(name).parent), *words)


def _shared_folder(images: Sequence[str]) -> str:
    """The folder, with a final slash, that all images live in, or nothing."""
    common = os.path.commonprefix(images)  # of characters
    return common[: common.rfind("/") + 1]
