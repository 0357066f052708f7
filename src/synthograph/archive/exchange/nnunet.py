"""A dataset folder of nnU-Net v2: a file per channel, masks with consecutive values, dataset.json
(its documentation/dataset_format.md; `ignore` has the largest value, as its ignore_label.md says).
"""

import re
from pathlib import Path

import numpy as np

from synthograph.archive.exchange.base import TABLE, case_of, counted, has_mask, table_of
from synthograph.archive.manifest import Row
from synthograph.archive.png import encode_png
from synthograph.archive.reader import Archive
from synthograph.core.errors import UserError
from synthograph.core.files import write_json
from synthograph.core.progress import Track

IGNORED = 255
_FOLDER = re.compile(r"Dataset\d{3}_\w+")
RGB = ("R", "G", "B")


class NnUnet:
    """Images of split test go into imagesTs and labelsTs, all others into imagesTr and labelsTr."""

    name = "nnunet"

    def check(self, archive: Archive, target: Path) -> None:
        """The folder has a form of its own, and training needs masks."""
        if not any(has_mask(archive, row) for row in archive.rows):
            raise UserError(f"--to {self.name}: {archive.path} has no masks, which it trains on")
        if not _FOLDER.fullmatch(target.name):
            name = re.sub(r"\W", "", archive.name) or "Images"
            raise UserError(
                f"{target}: nnU-Net knows a dataset by its number; name the folder "
                f"{target.with_name(f'Dataset501_{name}')}"
            )

    def lost(self, archive: Archive) -> list[str]:
        """What is left out, and what stands in the table beside it."""
        return [
            *counted(archive, "images: no mask, so left out,", lambda r: not has_mask(archive, r)),
            *counted(archive, f"classes (kept in {TABLE})", lambda row: row.label is not None),
            *counted(archive, f"groups (kept in {TABLE})", lambda row: row.grouped),
        ]

    def write(self, archive: Archive, folder: Path, track: Track) -> int:
        """Copy images by channel, number mask values anew, and describe it all."""
        rows = [(n, row) for n, row in enumerate(archive.rows) if has_mask(archive, row)]
        values = sorted({int(v) for _, row in rows for v in np.unique(_mask(archive, row))})
        numbers = {value: place for place, value in enumerate(_ordered(values), start=1)}
        numbers[0] = 0
        table = np.zeros(256, np.uint8)
        for value, place in numbers.items():
            table[value] = place
        for number, row in track(rows, len(rows)):
            part = "Ts" if row.split == "test" else "Tr"
            _write_channels(archive, row, folder / f"images{part}", case_of(number))
            path = folder / f"labels{part}" / f"{case_of(number)}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(encode_png(table[_mask(archive, row)][:, :, None]))
        named = [(case_of(number), row) for number, row in rows]
        labels = {_label(value): place for value, place in numbers.items()}
        write_json(
            folder / "dataset.json",
            {
                "channel_names": {str(n): name for n, name in enumerate(channel_names(archive))},
                "labels": dict(sorted(labels.items(), key=lambda pair: pair[1])),
                "numTraining": sum(row.split != "test" for _, row in rows),
                "file_ending": ".png",
                "mask_values": {str(place): value for value, place in numbers.items()},
                "modalities": list(archive.info.spec.modalities),
            },
        )
        (folder / TABLE).write_bytes(table_of(named))
        parts = {s: [case for case, row in named if row.split == s] for s in ("train", "val")}
        if all(parts.values()):
            write_json(folder / "splits_final.json", [parts])
        return len(rows)


def _ordered(values: list[int]) -> list[int]:
    """Mask values but the background, the ignored one last."""
    return sorted((v for v in values if v), key=lambda v: (v == IGNORED, v))


def _label(value: int) -> str:
    return {0: "background", IGNORED: "ignore"}.get(value, f"class_{value}")


def _mask(archive: Archive, row: Row) -> np.ndarray:
    mask = archive.read_mask(row)
    assert mask is not None, "rows without mask were left out"
    return mask


def channel_names(archive: Archive) -> list[str]:
    """A name per file of a case: a lone colour image is one file of three channels."""
    spec = archive.info.spec
    if list(spec.modalities.values()) == [3]:
        return list(RGB)
    return [
        name if channels == 1 else f"{name}.{channel}"
        for name, channels in spec.modalities.items()
        for channel in range(channels)
    ]


def _write_channels(archive: Archive, row: Row, folder: Path, case: str) -> None:
    folder.mkdir(exist_ok=True)
    pixels = archive.read(row).transpose(1, 2, 0)
    if list(archive.info.spec.modalities.values()) == [3]:
        (folder / f"{case}_0000.png").write_bytes(encode_png(pixels))
        return
    for place in range(pixels.shape[2]):
        data = encode_png(np.ascontiguousarray(pixels[:, :, place : place + 1]))
        (folder / f"{case}_{place:04d}.png").write_bytes(data)
