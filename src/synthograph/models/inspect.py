"""Describes files of networks without trusting them."""

from pathlib import Path

from torch import Tensor, nn

from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors, sha256_file
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.untrusted.tensors import read_tensors
from synthograph.models.pickles import pickle_names
from synthograph.models.registry import DEFAULT_FAMILY, parse_model
from synthograph.models.snapshot import (
    OWNER,
    PARTNER,
    Snapshot,
    SnapshotInfo,
    is_pickle,
    load,
    owner,
    partner,
    refuse_zip,
)
from synthograph.models.snapshot_files import GENERATOR
from synthograph.results.environment import told

PROVENANCE = (
    "images_hash",
    "manifest_hash",
    "split",
    "fold",
    "invariances",
    "package_version",
    "converted_from",
)
LAST = ("bytes", "sha256", "names in the pickle", "parameters", "tensors", "model")


def describe(path: Path, facts: JsonObject) -> None:
    """Describe a snapshot, pickle, discriminators' file or file of tensors.

    What can be told of a file before it is trusted is found first; of a file that is taken, it
    stands behind what people ask first: images seen, size, classes and hashes of the data.

    Args:
        path: the file.
        facts: filled in order, as far as the file can be read; plain JSON data.

    Raises:
        UserError: `load` would refuse the file, with the same message; discriminators and the
            tensors of a training state are described all the same.
    """
    pickled = is_pickle(path)
    facts["kind"] = "pickle" if pickled else "file"
    if path.is_file():
        with disk_errors(path):
            facts |= {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
    if pickled:
        facts["names in the pickle"] = pickle_names(path)
        _describe_snapshot(load(path), facts)
        return
    refuse_zip(path)
    tensors, document = read_tensors(path)
    facts |= {"kind": "safetensors file", "tensors": _sizes(tensors)}
    if OWNER in document:
        facts["kind"] = PARTNER
        _describe_partner(path, document, facts)
    elif set(document) == {"format"}:
        facts["kind"] = "tensors of a training state"
    else:
        del tensors
        _describe_snapshot(load(path), facts)


def changed_settings(model: JsonObject) -> JsonObject:
    """The settings of a model that are not the defaults of its family.

    Args:
        model: a model's part of a configuration, complete; `family` says whose it is.

    Raises:
        UserError: there is no such family, or a setting that it does not know.
    """
    defaults = parse_model({"family": model.get("family", DEFAULT_FAMILY)}).tree()
    return {n: value for n, value in model.items() if n != "family" and value != defaults.get(n)}


def _describe_snapshot(snapshot: Snapshot, facts: JsonObject) -> None:
    info, published = snapshot.info, snapshot.networks is not None
    facts["kind"] = "published snapshot" if published else "snapshot"
    facts |= {
        "family": info.family,
        "images": info.spec.describe(),
        "images seen": None if published else info.images_seen,
        "classes": info.classes,
        "label width": info.label_width,
        "training": _provenance(info),
        PARTNER: "none",
        "spec": info.spec.tree(),
        "parameters": {GENERATOR: _parameters(snapshot.generator)},
        "tensors": _sizes(snapshot.generator.state_dict()),
        "model": info.config.get("model"),
    }
    for name in (name for name in LAST if name in facts):
        facts[name] = facts.pop(name)
    if snapshot.has_discriminators:
        facts[PARTNER] = "in this file" if published else partner(snapshot.path).name
        for name, module in snapshot.discriminators.items():
            facts["parameters"][f"discriminator {name}"] = _parameters(module)


def _provenance(info: SnapshotInfo) -> JsonObject:
    """Where a snapshot comes from; digests are counted, not shown."""
    parent = info.initialised_from
    return {
        **{name: getattr(info, name) for name in PROVENANCE},
        "environments": told(info.environments),
        "groups": len(info.group_digests),
        "image digests": len(info.image_digests),
        "initialised from": None if parent is None else _short(parent),
    }


def _short(document: JsonObject) -> JsonObject:
    """The single values of a document that was not checked, cut."""
    return {
        str(name)[:80]: value[:200] if isinstance(value, str) else value
        for name, value in document.items()
        if isinstance(value, str | int | float)
    }


def _describe_partner(path: Path, document: JsonObject, facts: JsonObject) -> None:
    """The discriminators, checked against their generator where it is beside them."""
    facts["belongs to"] = str(document[OWNER])[:64]
    beside = owner(path)
    if beside == path or not beside.is_file():
        facts["generator"] = "not beside it, so only the file's form was checked"
        return
    snapshot = load(beside)
    if partner(beside) != path:
        raise UserError(f"{path}: is not named after {beside.name}; name it {partner(beside).name}")
    facts["generator"] = beside.name
    facts["parameters"] = {
        f"discriminator {name}": _parameters(module)
        for name, module in snapshot.discriminators.items()
    }


def _parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _sizes(tensors: dict[str, Tensor]) -> JsonObject:
    kinds = sorted({str(t.dtype).removeprefix("torch.") for t in tensors.values()})
    values = sum(t.numel() for t in tensors.values())
    return {"count": len(tensors), "values": values, "types": kinds}
