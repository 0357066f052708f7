"""What an archive of synthetic images records of each, which of them it leaves out, and their
masks.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace

from synthograph.archive.manifest import Row
from synthograph.archive.reader import ArchiveInfo
from synthograph.archive.writer import ArchiveWriter, EncodedImage, encode
from synthograph.core.commands import TYPED
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.version import VERSION
from synthograph.models.snapshot import Snapshot
from synthograph.sampling.image_request import ImageMask, ImageRequest, SyntheticImage
from synthograph.sampling.latents import FoundOn
from synthograph.sampling.naming import file_head
from synthograph.sampling.pictures import by_modality

NETWORK = "network"
"""Column of the manifest: first `DIGITS` digits of the hash of the generator."""
DIGITS = 16
UNCERTAINTY = "uncertainty"
"""Column of the manifest: how little the mask of an image can be relied on."""


def encoded(
    snapshot: Snapshot, request: ImageRequest, image: SyntheticImage, mask: ImageMask | None
) -> EncodedImage:
    """An image and its mask, ready to be stored."""
    row, parts = _row(snapshot, request, image), by_modality(snapshot.info.spec, image.pixels)
    if mask is None:
        return encode(parts, None, row)
    more = {UNCERTAINTY: f"{mask.uncertainty:.6g}", **mask.columns}
    return encode(parts, mask.mask, replace(row, columns={**row.columns, **more}))


def _row(snapshot: Snapshot, request: ImageRequest, image: SyntheticImage) -> Row:
    where = {"seed": str(image.seed)}
    if request.latents is not None:
        where = {"latent": file_head(request.latents.names[image.seed])}
    columns = {
        NETWORK: snapshot.sha256[:DIGITS],
        **where,
        "truncation": repr(float(request.truncation)).removesuffix(".0"),
    }
    usual = ImageRequest(())
    for name in ("cutoff", "center", "noise", "precision"):
        value = getattr(request, name)
        if value != getattr(usual, name):
            columns[name] = str(value)
    # images of one generator are no independent observations, so the generator is their group
    return Row(
        "", image.label, f"synthetic-{snapshot.sha256[:DIGITS]}", None, None, "synthetic", columns
    )


def finish(
    writer: ArchiveWriter,
    snapshot: Snapshot,
    request: ImageRequest,
    command: Mapping[str, object],
) -> None:
    """Close an archive that has all images, without those whose masks are withheld."""
    info, labels = snapshot.info, request.labels
    asked = json.dumps({name: value for name, value in command.items() if name != TYPED})
    about: JsonObject = {**info.tree(), "sha256": snapshot.sha256}
    found_on = FoundOn() if request.latents is None else request.latents.found_on
    if request.files:
        about["latents"] = dict(request.files)
    if "reject" in command:
        left = [item for item in writer.items if item is not None]
        about["rejected"] = {"by": command["reject"], "images": len(left), "seeds": left}
    if labels is not None:
        about["mask_generator"] = dict(labels.about)
        found_on |= labels.found_on
        if labels.keep < 1:
            about["withheld"] = _withhold(writer, labels.keep)
    if digests := found_on.tree():
        about["projected"] = digests
    # the namespace follows from the request, as no patients need hiding
    whole = ArchiveInfo(
        classes=list(info.condition.classes),
        spec=info.spec,
        namespace=hashlib.sha256(asked.encode()).hexdigest()[:32],
        invariances=info.invariances,
        snapshots=[about],
        package_version=VERSION,
    )
    writer.finish(whole)


def _withhold(writer: ArchiveWriter, keep: float) -> JsonObject:
    """Leave the images with the least certain masks out of an archive; which they are."""
    numbered = [(n, row) for n, rows in enumerate(writer.rows_of_items) for row in rows]
    numbered.sort(key=lambda each: (-float(each[1].columns[UNCERTAINTY]), each[0]))
    out = numbered[: len(numbered) - round(keep * len(numbered))]
    writer.leave_out({number for number, _ in out})
    rows = [row for _, row in sorted(out, key=lambda each: each[0])]
    names = [[row.columns.get("seed") or row.columns["latent"], row.label] for row in rows]
    return {"keep": keep, "images": len(out), "seeds": names}
