"""Version of the package, which files and results carry."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("synthograph")
except PackageNotFoundError:  # run from a source tree that was never installed
    VERSION = "0+source"
