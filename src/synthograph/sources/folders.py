"""What the folders that images lie in say about them: class, patient, split."""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from synthograph.core.errors import UserError
from synthograph.core.names import first_few, nearest
from synthograph.sources.cells import ROLE_WORDS, split_of, split_words, value_of
from synthograph.sources.tables import TableRow

IGNORED = "*"
MANY = 20
"""Folders above which classes by folder are worth a word."""
_PATIENT = re.compile(
    r"(sub|subj|subject|pat|patient|participant|pt|person|volunteer|case)[-_ ]?[a-z]{0,4}[0-9]+"
    r"|p[0-9]{3,}",
    re.IGNORECASE,
)
_PUBLISHED = re.compile(r"[0-9]{5}")
"""Folders of the published archives, a thousand images to each."""
_NO_PATIENT = re.compile(
    r"(ses|session|scan|series|study|visit|day|slice|frame|fold|batch|part|tile|set|img|image"
    r"|level|grade|stage|class|type|label|group|[0-9]+x$)",
    re.IGNORECASE,
)
_NO_CLASS = re.compile(
    r"(ses|session|scan|series|study|visit|anat|func|dwi|fmap|perf|pet|images?|imgs?|left|right)",
    re.IGNORECASE,
)
Levels = tuple[str | None, ...]
"""Role of every level of folders from SOURCE inwards; None for no role."""


def folder_of(name: str) -> str:
    """The folder that a relative name lies in, or nothing."""
    return name.rpartition("/")[0]


def parts_of(name: str) -> list[str]:
    """The folders above an image, from SOURCE inwards."""
    return name.split("/")[:-1]


def parse_folders(text: str) -> Levels:
    """Read `--folders split/class/patient`, a word for every level of folders below SOURCE.

    Raises:
        UserError: another word than split, class, patient and `*`, or a word twice.
    """
    levels: list[str | None] = []
    for word in (piece.strip() for piece in text.strip("/").split("/")):
        known = (*(name for name in ROLE_WORDS if name != "file"), IGNORED)
        if word not in known:
            raise UserError(
                f"--folders {text!r}: {word!r} is no role: {nearest(word, known)} Give a word for "
                "each level of folders: split, class, patient, or * for none"
            )
        role = ROLE_WORDS.get(word)
        if role is not None and role in levels:
            raise UserError(f"--folders {text!r} gives {word} twice: one level says it")
        levels.append(role)
    return tuple(levels)


def rows_by_folder(
    images: Sequence[str], levels: Levels, marks: Collection[str]
) -> dict[str, TableRow]:
    """What the folders say of every image that has as many folders above it as there are levels.

    Raises:
        UserError: a folder of a level of splits names none.
    """
    rows = {}
    for name in images:
        parts = parts_of(name)
        if len(parts) != len(levels):
            continue
        said = {role: part for role, part in zip(levels, parts, strict=True) if role}
        split = split_of(said["split"]) if "split" in said else None
        if "split" in said and split is None:
            raise UserError(
                f"{name!r}: its folder {said['split']!r} names no split; known are {split_words()}"
            )
        group = value_of(said.get("group"), marks)
        rows[name] = TableRow("its folder", name, said.get("label"), group, split=split)
    return rows


def guess_levels(images: Sequence[str], groups: Mapping[str, str]) -> Levels:
    """The roles of folders where they are unmistakable; all None where they are not.

    - split: all folders of a level are called train, val, test or alike, and there are two kinds;
    - patient: they are called patient, subject, sub, case ... and a number; or there are as many
      as the images have patients by another source, one for each;
    - class: the one level that is left, if it has several folders; as in `class/patient`, where
      names without digits lie above more names with digits, and in `patient/class`, where few
      names repeat under most of many folders with digits.

    Args:
        images: their relative names.
        groups: patient of the images, as far as another source names them.
    """
    parts = [parts_of(name) for name in images]
    depth = min(map(len, parts))
    names = [{part[level] for part in parts} for level in range(depth)]
    levels: list[str | None] = [None] * depth
    for level, folders in enumerate(names):
        splits = {split_of(folder) for folder in folders}
        if "split" not in levels and None not in splits and len(splits) > 1:
            levels[level] = "split"
        elif "group" not in levels and _are_patients(level, folders, images, groups):
            levels[level] = "group"
    left = [n for n in range(depth) if levels[n] is None and len(names[n]) > 1]
    if not all(len(part) == depth for part in parts):
        left = []
    if len(left) == 1 and _may_be_classes(names[left[0]], "group" in levels):
        levels[left[0]] = "label"
    elif len(left) == 2 and "group" not in levels:
        roles = _two_roles([(part[left[0]], part[left[1]]) for part in parts])
        for level, role in zip(left, roles, strict=True):
            levels[level] = role
    return tuple(levels)


def _are_patients(
    level: int, folders: Collection[str], images: Sequence[str], groups: Mapping[str, str]
) -> bool:
    if len(folders) > 1 and all(_PATIENT.fullmatch(folder) for folder in folders):
        return True
    pairs = {(parts_of(name)[level], groups[name]) for name in images if name in groups}
    known = {group for _, group in pairs}
    return len(known) > 1 and len(pairs) == len(known) == len(folders)


def _may_be_classes(folders: Collection[str], patients: bool) -> bool:
    if patients:
        return not any(_NO_CLASS.match(folder) for folder in folders)
    return not all(_PUBLISHED.fullmatch(folder) for folder in folders)


def _two_roles(pairs: Sequence[tuple[str, str]]) -> tuple[str | None, str | None]:
    """Roles of two levels of folders, the outer first."""
    outer, inner = {pair[0] for pair in pairs}, {pair[1] for pair in pairs}
    parents: dict[str, set[str]] = defaultdict(set)
    for above, folder in set(pairs):
        parents[folder].add(above)
    repeats = sum(map(len, parents.values())) / len(inner)
    stored = all(map(_PUBLISHED.fullmatch, inner))
    if _words(outer) and _numbers(inner) and not stored and len(inner) >= 2 * len(outer):
        return "label", "group"
    few = len(inner) <= MANY and len(outer) >= 2 * len(inner) and repeats > len(outer) / 2
    if _numbers(outer) and few and not any(_NO_CLASS.match(name) for name in inner):
        return "group", "label"
    return None, None


def _words(folders: Collection[str]) -> bool:
    return not any(char.isdigit() for folder in folders for char in folder)


def _numbers(folders: Collection[str]) -> bool:
    def is_number(name: str) -> bool:
        return any(c.isdigit() for c in name) and not _NO_PATIENT.match(name)

    return all(map(is_number, folders))


def tree(images: Sequence[str]) -> str:
    """The folders of images in one line, such as `2 folders (a, b) / 3 folders (1, 2, 3) / 9`."""
    parts = [parts_of(name) for name in images]
    shown = []
    for level in range(max(map(len, parts))):
        folders = sorted({part[level] for part in parts if len(part) > level})
        shown.append(f"{len(folders)} folder(s) ({first_few(folders)})")
    depths = sorted({len(part) for part in parts})
    uneven = "" if len(depths) == 1 else f", {depths[0]} to {depths[-1]} levels deep"
    return " / ".join([*shown, f"{len(images)} images{uneven}"])
