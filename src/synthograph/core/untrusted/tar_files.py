"""Files of a `.tar`, perhaps packed by gzip, in memory: nothing is written to the disk."""

import io
import tarfile
from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.core.record import UnreadableError
from synthograph.core.untrusted.containers import MAX_MEMBER_BYTES
from synthograph.core.untrusted.documents import read_bounded
from synthograph.core.untrusted.gzip_files import unpacked

SUFFIXES = (".tar", ".tar.gz", ".tgz")
WAY_OUT = "unpack it and give the folder"


def read_tar(path: Path) -> dict[str, bytes]:
    """Names of the regular files and their bytes.

    Raises:
        UserError: the file is missing, damaged, holds a name twice or a file with gaps, or is
            larger than `MAX_MEMBER_BYTES`, packed or unpacked.
    """
    if path.is_file() and path.stat().st_size > MAX_MEMBER_BYTES:
        raise UserError(f"{path}: is larger than {MAX_MEMBER_BYTES >> 20} MiB: {WAY_OUT}")
    try:
        packed = read_bounded(path, "a tar file", limit=MAX_MEMBER_BYTES)
        data = unpacked(packed, MAX_MEMBER_BYTES, f": {WAY_OUT}")
    except UnreadableError as error:
        raise UserError(f"{path}: {error}") from None
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as members:
            last = -1
            for member in members:
                if member.size < 0 or member.offset <= last:  # which could go on without end
                    raise ValueError("a member has a negative size")
                last = member.offset
                if not member.isreg():
                    continue
                name, start = member.name.removeprefix("./"), member.offset_data
                if name in found or member.issparse():
                    raise ValueError(f"member {name[:200]!r} is there twice, or has gaps")
                if not 0 <= member.size <= len(data) - start:
                    raise ValueError(f"member {name[:200]!r} is cut short")
                found[name] = data[start : start + member.size]
    except Exception as error:  # noqa: BLE001 - tarfile fails in many ways on damaged files
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{path}: is no readable tar file ({reason}): get it again") from None
    return found
