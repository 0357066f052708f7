"""The dataset.json that comes with images."""

import dataclasses
from collections.abc import Sequence

from synthograph.core.errors import UserError
from synthograph.core.names import nfc
from synthograph.core.untrusted.containers import Container, Folder
from synthograph.core.untrusted.dataset_json import DATASET
from synthograph.core.untrusted.documents import as_text
from synthograph.sources.base import read_member
from synthograph.sources.tables import LabelTable, read_dataset_json


def read_listing(
    source: Container, names: Sequence[str], remarks: list[str], *, needed: bool
) -> LabelTable | None:
    """The dataset.json in SOURCE, or beside it where it lists files of SOURCE.

    Args:
        source: the folder or zip.
        names: its files.
        remarks: gets why one is not used.
        needed: whether one that cannot be read is refused.

    Raises:
        UserError: it is needed, and cannot be read.
    """
    if DATASET in names:
        origin = f"{source}/{DATASET}"
        data = read_member(source, DATASET)
        try:
            return read_dataset_json(as_text(data, origin, "it holds JSON"), origin)
        except UserError as error:
            if needed:
                raise
            remarks.append(f"{origin} is not used: {error}")
            return None
    beside = source.path.resolve().parent / DATASET
    if not isinstance(source, Folder) or not beside.is_file():
        return None
    try:
        table = LabelTable.read(beside)
    except UserError as error:
        remarks.append(f"{beside} is not used: {error}")
        return None
    prefix = source.path.resolve().name + "/"
    rows = tuple(
        dataclasses.replace(row, file=row.file.removeprefix(prefix))
        for row in table.rows
        if row.file.startswith(prefix)
    )
    if not {nfc(row.file) for row in rows} & set(map(nfc, names)):
        return None
    return dataclasses.replace(table, rows=rows)
