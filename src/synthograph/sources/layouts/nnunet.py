"""Dataset folders of nnU-Net v2."""

import re
from collections.abc import Iterable, Mapping

from synthograph.core.errors import UserError
from synthograph.core.record import UnreadableError
from synthograph.core.untrusted.containers import Container
from synthograph.core.untrusted.documents import JsonObject, as_text, parse_csv
from synthograph.sources.layouts.base import Entry, MaskFile, read_json

DESCRIPTION, TABLE = "dataset.json", "synthograph.csv"
IGNORED = 255
RGB = ("R", "G", "B")
_CASE = re.compile(r"images(Tr|Ts)/(.+)_(\d{4})(\..+)")


class NnUnet:
    """Channels `NAME.0`, `NAME.1`, ... are one modality, and so are R, G and B; `ignore` becomes
    255. What a case belongs to is read from the table beside it, where there is one.
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
        values, known = _values(tree), _table(source, names)
        cases: dict[tuple[str, str], dict[int, str]] = {}
        for match in filter(None, map(_CASE.fullmatch, names)):
            cases.setdefault((match[1], match[2]), {})[int(match[3])] = match[0]
        for (part, case), files in cases.items():
            if len(files) != _count(channels):
                there = f"{len(files)} of {_count(channels)} files"
                raise UserError(f"{source}: case {case!r} has {there}")
            ending = files[min(files)].rpartition(f"{case}_{min(files):04d}")[2]
            mask = f"labels{part}/{case}{ending}"
            facts = known.get(case, {"split": "test"} if part == "Ts" else {})
            yield Entry(
                _modalities(channels, files),
                facts,
                MaskFile(mask, values) if mask in names else None,
            )


def _count(channels: JsonObject) -> int:
    """Files of a case: a colour image is one, whatever its channels are called."""
    return 1 if list(channels.values()) == list(RGB) else len(channels)


def _modalities(channels: JsonObject, files: Mapping[int, str]) -> dict[str, list[str]]:
    """Modality -> its files."""
    names = [str(channels.get(str(number), number)) for number in sorted(files)]
    if names[0] == RGB[0]:
        return {"image": list(files.values())}
    found: dict[str, list[str]] = {}
    for number, name in zip(sorted(files), names, strict=True):
        head, dot, last = name.rpartition(".")
        found.setdefault(_word(head if dot and last.isdecimal() else name), []).append(
            files[number]
        )
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
    try:
        rows = parse_csv(as_text(source.read(TABLE), origin, "it holds CSV"), origin, ",")
    except UnreadableError as error:
        raise UserError(f"{origin}: cannot be read ({error})") from None
    header = rows[0][1] if rows else []
    every = [dict(zip(header, cells, strict=False)) for _, cells in rows[1:]]
    return {row.pop("file"): row for row in every if row.get("file")}
