"""What a page for everybody must not tell: where files lie. Folder names are often names of people
or wards, so they are taken out in three ways: fields that hold a path keep its last part; folders
that are known from such fields are removed from every other text; and what still looks like a path
is cut. The last two are done once more to every text just before it stands on the page. Groups,
which are patients, are not named either.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from synthograph.report.findings import Gap
from synthograph.report.gather import Material

PATHS = frozenset({"path", "source", "name", "archive", "file", "snapshot", "one", "other"})
"""Entries that hold a path or the name of a file."""
COMMANDS = frozenset({"command", "commands", "line", "typed"})
SETTINGS = "settings"
FOLDER = "(folder)"
UNREADABLE = "(a command that cannot be read)"
_EMBEDDED = "data:image/"
_SEPARATORS = re.compile(r"[/\\]")
_ARCHIVE = re.compile(r".+\.zip(:.*)?", re.IGNORECASE)
_BEFORE = r"(?<![\w.\-/\\])"
"""Not in the middle of a path."""
_ROOT = re.compile(
    r"(?<![\w.~/\\])(?!//)(?:[A-Za-z]:[/\\]|~[/\\]|\.{1,2}[/\\]|/|\\{1,2})(?=[^\s/\\])"
)
"""Where a path begins at the root, at home, or at the folder of work."""
_ROOTED = re.compile(rf"{_ROOT.pattern}(?:[^\s/\\]+[/\\])*")
_RELATIVE = re.compile(
    rf"{_BEFORE}(?:[\w.\-@+~]+[/\\])+(?=[\w.\-@+]+\.(?:zip|jsonl?|png|jpe?g|tiff?|dcm|nii|gz|csv|tsv"
    r"|safetensors|pkl|pth?|npy|npz|ya?ml|html?|svg|txt|log|db)(?!\w))",
    re.IGNORECASE,
)

_ONE = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\S+\.png)"""
_NAMED = re.compile(rf",? (?:such as|not) {_ONE}(?:, {_ONE})*(?: and \d+ more)?")
"""Groups and files that a note names as examples."""


def short_name(path: str) -> str:
    """The last part of a path; from the archive on where a class of it is named."""
    parts = [part for part in _SEPARATORS.split(path) if part]
    if len(parts) < 2:
        return parts[0] if parts else path
    archive = next((i for i, part in enumerate(parts) if _ARCHIVE.fullmatch(part)), len(parts) - 1)
    return "/".join(parts[archive:])


def _parents(path: str) -> Iterator[str]:
    """The folders above a path, each as it is written, without a separator at its end."""
    kept = path.removesuffix(short_name(path))
    for match in _SEPARATORS.finditer(kept):
        folder = kept[: match.start()]
        if folder.strip("./\\~") and not re.fullmatch(r"[A-Za-z]:", folder):
            yield folder


@dataclass(frozen=True)
class Cleaner:
    """Takes folders out of texts.

    Attributes:
        folders: that are known, without a separator at their ends.
    """

    folders: frozenset[str] = frozenset()

    @cached_property
    def _known(self) -> re.Pattern[str] | None:
        """Known folders as beginnings of paths."""
        names = sorted(self.folders, key=len, reverse=True)
        return (
            re.compile(rf"{_BEFORE}(?:{'|'.join(map(re.escape, names))})[/\\]") if names else None
        )

    @cached_property
    def _alone(self) -> re.Pattern[str] | None:
        """Known folders of more than one part by themselves: one part can be any word."""
        names = sorted((f for f in self.folders if _SEPARATORS.search(f)), key=len, reverse=True)
        if not names:
            return None
        return re.compile(rf"{_BEFORE}(?:{'|'.join(map(re.escape, names))})(?![\w.\-/\\])")

    def text(self, value: str) -> str:
        """A text without folders, and without groups and files that it names as examples."""
        if value.startswith(_EMBEDDED):
            return value
        value = _NAMED.sub("", value)
        if not _SEPARATORS.search(value):
            return value
        value = value.replace("file://", "")
        if self._known is not None:
            value = self._known.sub("./", value)  # still a path, whose other folders go, too
        if self._alone is not None:
            value = self._alone.sub(FOLDER, value)
        return _relative_cut(_rooted_cut(value))

    def path(self, value: str) -> str:
        """The name of what a path leads to; none where it is a folder above something else."""
        if value.rstrip("/\\") in self.folders:
            return FOLDER
        return self.text(short_name(value)) if _SEPARATORS.search(value) else value

    def command(self, value: str) -> str:
        """A command with names in place of paths."""
        try:
            words = shlex.split(value)
        except ValueError:
            return UNREADABLE
        found = []
        for word in words:
            name, equals, path = word.rpartition("=")
            found.append(f"{name}{equals}{self.path(path)}")
        return shlex.join(found)

    def tree(self, value: Any, key: str = "") -> Any:  # noqa: ANN401
        """Plain data without folders."""
        if isinstance(value, Mapping):
            return {
                self.text(str(name)): self.tree(each, str(name)) for name, each in value.items()
            }
        if key == SETTINGS and isinstance(value, list):
            return [[name, self.path(self.text(shown))] for name, shown in value]
        if isinstance(value, list | tuple):
            return [self.tree(each, key) for each in value]
        if not isinstance(value, str):
            return value
        if key in COMMANDS:
            return self.command(value)
        return self.path(value) if key in PATHS else self.text(value)


def _rooted_cut(text: str) -> str:
    """Without folders from the root on. A path with spaces in it has no end that could be seen, so
    all is cut up to the last separator where a later word holds one.
    """
    begin = _ROOT.search(text)
    if begin is None:
        return text
    later = text[begin.end() :].split(" ")[1:]
    if any(_SEPARATORS.search(word) and not _ROOT.search(word) for word in later):
        end = max(match.end() for match in _SEPARATORS.finditer(text))
        return text[: begin.start()] + text[end:]
    return _ROOTED.sub("", text)


def _relative_cut(text: str) -> str:
    """Without folders before the name of a file; earlier words that hold separators may be folders
    with spaces in their names.
    """
    found = _RELATIVE.search(text)
    if found is None:
        return text
    words = re.finditer(r"\S*[/\\]\S*", text[: found.start()])
    first = next((word for word in words if not re.fullmatch(r"\d+/\d+", word[0])), None)
    if first is not None:
        end = max(match.end() for match in _SEPARATORS.finditer(text))
        return text[: first.start()] + text[end:]
    return _RELATIVE.sub("", text)


def cleaner(material: Material, document: Mapping[str, Any]) -> Cleaner:
    """What takes out the folders that are known from this material.

    Args:
        material: what was found.
        document: the content of the page, with paths.
    """
    found = [*_path_texts(document)]
    for run in material.runs:
        found += [str(run.path), *_texts(run.config), *_texts(run.info.tree)]
        found += [word for line in run.commands for word in _words(line)]
    for audit in material.audits:
        found += [audit.source, *_path_texts(audit.provenance)]
    for gap in material.gaps:
        found += [gap.source, *_path_texts(gap.provenance), *gap.point_sets, *gap.images]
    found += [str(each.archive.path) for each in material.sets]
    found += [str(each["path"]) for each in material.files]
    paths = {each for each in found if _SEPARATORS.search(each) and "\n" not in each}
    paths |= {str(Path(each).absolute()) for each in paths if "\0" not in each}
    return Cleaner(frozenset(folder for path in paths for folder in _parents(path)))


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401
    """All texts of plain data that are paths as a whole, as far as can be told."""
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str) and len(value) < 4096:
        yield value


def _path_texts(value: Any, key: str = "") -> Iterator[str]:  # noqa: ANN401
    """The texts of entries that hold paths or commands."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _path_texts(each, str(name))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _path_texts(each, key)
    elif isinstance(value, str) and len(value) < 4096:
        if key in PATHS:
            yield value
        elif key in COMMANDS:
            yield from _words(value)


def _words(command: str) -> Iterable[str]:
    try:
        return [word.rpartition("=")[2] for word in shlex.split(command)]
    except ValueError:
        return []


def public_material(material: Material) -> Material:
    """The same with names for the sets of domain gaps, which `domain-gap` calls by their paths
    where two archives have one name.
    """
    return replace(material, gaps=[_renamed(gap) for gap in material.gaps])


def _renamed(gap: Gap) -> Gap:
    names: dict[str, str] = {}
    archives = {str(each["name"]): str(each.get("archive") or "") for each in gap.sets}
    for old in dict.fromkeys((*archives, *gap.point_sets)):
        parts, archive = _SEPARATORS.split(old.rstrip("/\\")), archives.get(old)
        begin = (
            place
            for place, part in enumerate(parts)
            if (archive and part.partition(":")[0] == archive) or _ARCHIVE.fullmatch(part)
        )
        short = ", ".join(parts[next(begin, -1) :])  # classes follow the archive
        again, number = short, 1
        while again in names.values():
            number += 1
            again = f"{short} ({number})"
        names[old] = again
    changed = sorted((old for old in names if names[old] != old), key=len, reverse=True)

    def said(text: str) -> str:
        for old in changed:
            text = text.replace(old, names[old])
        return text

    return replace(
        gap,
        sets=tuple(
            {**each, "name": names[str(each["name"])], "notes": [*map(said, each.get("notes", ()))]}
            for each in gap.sets
        ),
        pairs=tuple(
            {**each, **{key: said(str(each[key])) for key in ("one", "other", "sentence")}}
            for each in gap.pairs
        ),
        point_sets=tuple(names[name] for name in gap.point_sets),
        notes=tuple(map(said, gap.notes)),
    )
