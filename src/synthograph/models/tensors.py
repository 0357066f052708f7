"""Tensors with a document as safetensors files, and what a module accepts from them.

Nothing in such a file is ever executed; the declared sizes are checked before memory is taken.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from synthograph.core.errors import UserError
from synthograph.core.files import write_bytes

DOCUMENT = "synthograph"
SUFFIX = ".safetensors"
MAX_HEADER_BYTES = 64 << 20


def write_tensors(path: Path, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
    """Write tensors and a JSON document atomically as safetensors."""
    ready = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    write_bytes(path, save(ready, metadata={DOCUMENT: json.dumps(document, allow_nan=False)}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and document of a file that `write_tensors` wrote.

    Raises:
        UserError: missing, unreadable, cut short, not safetensors, or without a document.
    """
    _check_header(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            document = json.loads((file.metadata() or {}).get(DOCUMENT, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: is broken or no safetensors file ({error})") from None
    if not isinstance(document, dict):
        raise UserError(f"{path}: was not written by synthograph (its header has no document)")
    return tensors, document


def _check_header(path: Path) -> None:
    """The declared header length, before anything is allocated for it."""
    if path.is_dir() or not path.exists():
        what = "is a folder" if path.is_dir() else "there is no such file"
        raise UserError(f"{path}: {what}; expected a snapshot such as generator-000200{SUFFIX}")
    try:
        with path.open("rb") as file:
            declared = int.from_bytes(file.read(8), "little")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    size = path.stat().st_size
    if size < 8 or declared > min(size - 8, MAX_HEADER_BYTES):
        raise UserError(f"{path}: is no safetensors file (header of {declared} bytes in {size})")


def load_tensors(module: nn.Module, tensors: Mapping[str, Tensor], source: Path | str) -> None:
    """Copy tensors into a module of exactly those names and shapes.

    Args:
        module: what was built as the document says.
        tensors: name -> tensor.
        source: where they come from, for messages.

    Raises:
        UserError: a tensor is missing, surplus, of another shape or not finite.
    """
    expected = module.state_dict()
    odd = sorted(set(expected) ^ set(tensors))
    if odd:
        what = "lacks" if odd[0] in expected else "has a surplus"
        raise UserError(f"{source}: {what} tensor {odd[0]!r} ({len(odd)} names differ)")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise UserError(
                f"{source}: tensor {name!r} is {tuple(tensor.shape)}, expected "
                f"{tuple(expected[name].shape)}"
            )
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise UserError(f"{source}: tensor {name!r} holds numbers that are not finite")
    module.load_state_dict(dict(tensors))


def select(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
