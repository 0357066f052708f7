"""torch-fidelity and torchmetrics beside a torch without torchvision.

Both import torchvision at the top, and its wheel does not import beside a CPU-only torch. None of
the functions compared here uses it, so modules full of empty classes stand in for it while the
peers are imported, and only then.
"""

import importlib
import importlib.machinery
import importlib.util
import sys
import types

import pytest

STANDINS = (
    "torchvision",
    "torchvision.datasets",
    "torchvision.models",
    "torchvision.transforms",
    "torchvision.transforms.functional",
)


class Standin(types.ModuleType):
    __path__: list[str] = []

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def peer(name: str) -> types.ModuleType:
    """Import a module of a peer, or skip the test where the peer is not installed."""
    pytest.importorskip("tqdm", reason="torch-fidelity needs tqdm")
    root = name.split(".")[0]
    if importlib.util.find_spec(root) is None:
        pytest.skip(f"{root} is not installed; `make setup` installs it")
    added = [standin for standin in STANDINS if standin not in sys.modules]
    for standin in added:
        module = Standin(standin)
        module.__spec__ = importlib.machinery.ModuleSpec(standin, None)
        sys.modules[standin] = module
    for standin in added:
        parent, _, child = standin.rpartition(".")
        if parent in added:
            setattr(sys.modules[parent], child, sys.modules[standin])
    try:
        return importlib.import_module(name)
    finally:
        for standin in added:
            del sys.modules[standin]
