"""Dataset folders of nnU-Net v2."""

import re
from collections.abc import Iterable, Mapping, Sequence

from synthograph.core.errors import UserError
from synthograph.core.untrusted.containers import Container
from synthograph.core.untrusted.documents import JsonObject, as_text, parse_csv
from synthograph.sources.base import read_member
from synthograph.sources.layouts.base import Entry, MaskFile, read_json

DESCRIPTION, TABLE = "dataset.json", "synthograph.csv"
IGNORED = 255
COLOURS = "rgb"
_CASE = re.compile(r"images(Tr|Ts)/(.+)_(\d{4})(\..+)")


class NnUnet:
    """Channels `NAME.0`, `NAME.1` and `NAME.2` are one modality, and so are three colours in one
    file; others that share a name are numbered. `ignore` becomes 255. What a case belongs to is
    read from the table beside it, where there is one.
    """

    name = "nnunet"

    def entries(self, source: Container, named: str) -> Iterable[Entry]:
        """A case each."""
        members = source.members()
        names = sorted(members.names)
        for name, why in members.broken:
            if _CASE.fullmatch(name) or name.startswith("labels"):
                raise UserError(f"{source}/{name}: {why}")
        if DESCRIPTION not in names:
            raise UserError(f"{source}: holds no {DESCRIPTION} of nnU-Net")
        tree = read_json(source, DESCRIPTION)
        channels = tree.get("channel_names")
        if not isinstance(channels, dict) or not isinstance(tree.get("labels"), dict):
            raise UserError(f"{source}/{DESCRIPTION}: has no channel_names and labels of nnU-Net")
        values, known, own = _values(tree), _table(source, names), tree.get("modalities")
        whole = _word(str(own[0])) if isinstance(own, list) and len(own) == 1 else "image"
        cases: dict[tuple[str, str], dict[int, str]] = {}
        for match in filter(None, map(_CASE.fullmatch, names)):
            cases.setdefault((match[1], match[2]), {})[int(match[3])] = match[0]
        colour = _is_colour(channels) and all(list(files) == [0] for files in cases.values())
        count = 1 if colour else len(channels)
        for (part, case), files in cases.items():
            if len(files) != count:
                raise UserError(f"{source}: case {case!r} has {len(files)} of {count} files")
            ending = files[min(files)].rpartition(f"{case}_{min(files):04d}")[2]
            mask = f"labels{part}/{case}{ending}"
            facts = known.get(case, {"split": "test"} if part == "Ts" else {})
            yield Entry(
                {whole: [files[0]]} if colour else _modalities(channels, files),
                facts,
                MaskFile(mask, values) if mask in names else None,
            )


def _is_colour(channels: JsonObject) -> bool:
    """Whether one file may hold them all: three colours, or one normalisation thrice."""
    names = [str(name) for name in channels.values()]
    initials = "".join(name[:1] for name in names).casefold()
    return len(names) == len(COLOURS) and (initials == COLOURS or len(set(names)) == 1)


def _modalities(channels: JsonObject, files: Mapping[int, str]) -> dict[str, list[str]]:
    """Modality -> its files."""
    numbers = sorted(files)
    names = [str(channels.get(str(number), number)) for number in numbers]
    words: list[str] = []
    parts: list[list[str]] = []
    while names:
        head = names[0].removesuffix(".0")
        count = 3 if names[:3] == [f"{head}.{place}" for place in range(3)] else 1
        words.append(_word(head if count > 1 else names[0]))
        parts.append([files[number] for number in numbers[:count]])
        names, numbers = names[count:], numbers[count:]
    return dict(zip(_distinct(words), parts, strict=True))


def _distinct(words: Sequence[str]) -> list[str]:
    """Words, numbered where several are the same: nnU-Net's names say how to normalise."""
    found: list[str] = []
    for place, word in enumerate(words):
        name = word if words.count(word) == 1 else f"{word}{words[:place].count(word)}"
        while name in found or (name != word and name in words):
            name = f"{name}_"
        found.append(name)
    return found


def _word(name: str) -> str:
    """A name that a modality may have."""
    word = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    return word if word[:1].isalpha() else f"m{word}"


def _values(tree: JsonObject) -> dict[int, int]:
    """Value in a file -> value of the mask; without a record of it 255 for what is ignored."""
    before, labels = tree.get("mask_values"), tree["labels"]
    if isinstance(before, dict):
        pairs = {str(place): value for place, value in before.items()}
    else:
        pairs = {str(labels["ignore"]): IGNORED} if "ignore" in labels else {}
    found = {int(p): v for p, v in pairs.items() if p.isdecimal() and isinstance(v, int)}
    if any(not 0 <= number <= 255 for pair in found.items() for number in pair):
        raise UserError(f"{DESCRIPTION}: a mask value lies outside 0 to 255")
    return found


def _table(source: Container, names: list[str]) -> dict[str, dict[str, str]]:
    """Case -> what is known of it."""
    if TABLE not in names:
        return {}
    origin = f"{source}/{TABLE}"
    rows = parse_csv(as_text(read_member(source, TABLE), origin, "it holds CSV"), origin)
    header = rows[0][1] if rows else []
    every = [dict(zip(header, cells, strict=False)) for _, cells in rows[1:]]
    return {row.pop("file"): row for row in every if row.get("file")}
