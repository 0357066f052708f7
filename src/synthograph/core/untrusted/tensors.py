"""Tensors and a JSON document in safetensors files, and loading them into modules.

Nothing in such a file is ever executed; the declared sizes are checked before memory is taken.
Reading takes the file's size, its header about twelve times over, and no more.
"""

import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from synthograph.core.errors import UserError
from synthograph.core.files import write_bytes
from synthograph.core.untrusted.documents import (
    JsonObject,
    finite_number,
    read_bounded,
    whole_number,
)

DOCUMENT = "synthograph"
SUFFIX = ".safetensors"
MAX_HEADER_BYTES = 64 << 20
MAX_TENSORS = 100_000
MAX_BRACKETS = 100_000
"""Objects and lists of a header's document; text of a few bytes each costs a hundred times that."""
SPARE_VALUES = 1 << 27
MAX_PARTS = 20_000
_BROKEN = (SafetensorError, OSError, ValueError, RuntimeError, TypeError, AttributeError)
"""What broken files raise; the last for a number type that this torch does not have."""
_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_FACTORIES = (torch.randn, torch.rand, torch.zeros, torch.ones, torch.empty, torch.full)


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], document: Mapping[str, object]
) -> None:
    """Write tensors and a JSON document atomically as safetensors."""
    ready = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    about = {DOCUMENT: json.dumps(document, allow_nan=False)}
    write_bytes(path, save(ready, metadata=about))


def read_tensors(
    path: Path, expected: str = "a snapshot such as generator-000200.safetensors"
) -> tuple[dict[str, Tensor], JsonObject]:
    """Tensors and document of a file that `write_tensors` wrote.

    Args:
        path: the file.
        expected: what it should be, for messages.

    Raises:
        UserError: missing, unreadable, cut short, not safetensors, or without a document.
    """
    tensors, document = _read(path, expected)
    return tensors, _own(document, path)


def read_document(path: Path) -> JsonObject:
    """The document of a file that `write_tensors` wrote, without its tensors.

    Raises:
        UserError: as for `read_tensors`, as far as the header tells.
    """
    return _own(_read(path, f"a {SUFFIX} file", numbers=False)[1], path)


def _own(document: object, path: Path) -> JsonObject:
    if not isinstance(document, dict):
        raise UserError(f"{path}: was not written by synthograph (its header has no document)")
    return document


def read_foreign_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file that anybody wrote.

    Raises:
        UserError: missing, unreadable, cut short, or not safetensors.
    """
    return _read(path, "a file of weights")[0]


def _read(path: Path, expected: str, *, numbers: bool = True) -> tuple[dict[str, Tensor], Any]:
    """Tensors, if `numbers` are wanted, and what stands as document in the header."""
    _check_header(path, expected)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            document = _parse_document((file.metadata() or {}).get(DOCUMENT, "null"))
            names = list(file.keys()) if numbers else []
            if len(names) > MAX_TENSORS:
                raise ValueError(f"{len(names)} tensors, a file may have {MAX_TENSORS}")
            return {name: file.get_tensor(name) for name in names}, document
    except _BROKEN as error:
        raise UserError(f"{path}: is broken or no safetensors file ({str(error)[:200]})") from None


def _parse_document(text: str) -> Any:  # noqa: ANN401
    if text.count("[") + text.count("{") > MAX_BRACKETS:
        raise ValueError(f"the document has more than {MAX_BRACKETS} objects and lists")
    return json.loads(
        text, parse_int=whole_number, parse_constant=finite_number, parse_float=finite_number
    )


def _check_header(path: Path, expected: str) -> None:
    """Check the declared header length before memory is allocated."""
    declared = int.from_bytes(read_bounded(path, expected, limit=sys.maxsize, head=8), "little")
    size = path.stat().st_size
    if size == 0:
        raise UserError(f"{path}: is empty; expected {expected}")
    if size < 8 or declared > min(size - 8, MAX_HEADER_BYTES):
        raise UserError(
            f"{path}: is cut short or no safetensors file (header of {declared} bytes in {size}); "
            f"expected {expected}"
        )


def load_tensors(module: nn.Module, tensors: Mapping[str, Tensor], source: Path | str) -> None:
    """Copy tensors into a module of exactly those names and shapes.

    Args:
        module: what was built as the document says.
        tensors: name -> tensor; fractional numbers may have any precision.
        source: where they come from, for messages.

    Raises:
        UserError: a tensor is missing, surplus, of another shape or kind, or not finite.
    """
    expected = module.state_dict()
    odd = sorted(set(expected) ^ set(tensors))
    if odd:
        what = "lacks" if odd[0] in expected else "has a surplus"
        raise UserError(f"{source}: {what} tensor {odd[0]!r:.100} ({len(odd)} names differ)")
    for name, tensor in tensors.items():
        _check_tensor(name, tensor, expected[name], source)
    module.load_state_dict(dict(tensors))


def _check_tensor(name: str, tensor: Tensor, expected: Tensor, source: Path | str) -> None:
    if tensor.shape != expected.shape or not tensor.numel():
        raise UserError(
            f"{source}: tensor {name!r} is {tuple(tensor.shape)}, expected {tuple(expected.shape)}"
            + ("" if expected.numel() else ", which holds nothing")
        )
    fractions = tensor.dtype in _FLOATS and expected.dtype in _FLOATS
    if not fractions and tensor.dtype != expected.dtype:
        raise UserError(
            f"{source}: tensor {name!r} holds {tensor.dtype}, expected {expected.dtype}"
        )
    # as it will be stored, since a large float64 is infinite there
    if fractions and not bool(torch.isfinite(tensor.to(expected.dtype)).all()):
        raise UserError(f"{source}: tensor {name!r} holds numbers that are not finite")


class SizeLimit(TorchFunctionMode):
    """A context in which networks far larger than their file are refused.

    A document of a few bytes can describe networks of any size; this stops building them before
    their memory is taken. Four times the file's own values are allowed, and `SPARE_VALUES` for
    discriminators that are in another file.

    Args:
        path: the file that describes the networks, for its size and for messages.

    Raises:
        UserError: when a tensor beyond the limit is made.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.limit = path, path.stat().st_size + SPARE_VALUES
        self.values = self.parts = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        if func in _FACTORIES:
            self.parts += 1
            self.values += _count(args, kwargs or {})
            if self.values > self.limit or self.parts > MAX_PARTS:
                raise UserError(
                    f"{self.path}: describes networks far larger than what is stored in it "
                    f"({self.values} values in {self.parts} tensors and more)"
                )
        return func(*args, **(kwargs or {}))


def _count(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    """Values of a tensor that is about to be made with this shape."""
    nested = bool(args) and isinstance(args[0], tuple | list)
    shape = args[0] if nested else kwargs.get("size", args)
    return math.prod(int(side) for side in shape)


def select(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What an optimiser remembers, as `NUMBER/NAME`; all of it must be tensors, as Adam's is."""
    return {
        f"{index}/{name}": tensor
        for index, entry in optimiser.state_dict()["state"].items()
        for name, tensor in entry.items()
    }


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore what `optimiser_tensors` gave; rates and decays stay as they are."""
    entries: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, part = name.partition("/")
        entries.setdefault(int(index), {})[part] = tensor
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": entries, "param_groups": groups})
    for parameter, state in optimiser.state.items():
        for name, tensor in state.items():
            if tensor.shape == parameter.shape:  # fused steps walk through memory, not by index
                state[name] = torch.empty_like(parameter).copy_(tensor)
