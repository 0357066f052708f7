"""The winner of a search: its configuration as a file, and its training."""

from collections.abc import Mapping
from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.core.files import write_text
from synthograph.core.untrusted.documents import yaml_text
from synthograph.results.search import PRESET, Search
from synthograph.training.config import RunConfig, TrainRequest

RESULT, WINNER = "search.json", "winner.yaml"
"""What came of a search, and the configuration of its winner, in its folder."""
OWN = ("seed", "device", "precision", "threads", "schema_version", "tracking")
"""Settings that each run of a configuration has for itself."""
LENGTHS = ("kimg", "max_hours", "save_every")


def shared_tree(config: RunConfig) -> dict[str, object]:
    """The settings of a configuration that every run of it shares, whatever its length."""
    tree = {key: value for key, value in config.tree().items() if key not in OWN}
    tree["training"] = {k: v for k, v in tree["training"].items() if k not in LENGTHS}
    return tree


def write_winner(
    config: RunConfig, search: Search, path: Path, of_process: Mapping[str, object]
) -> None:
    """Write the winner's configuration, for `train --from-search` and `train --config`, with what
    the user fixed of how to compute.
    """
    assert search.winner is not None, "asked where there is one"
    head = (
        f"# {search.winner.sentence}\n"
        f"# synthograph train --from-search {path.parent}\n"
        f"# or: synthograph train --cfg {search.winner.settings[PRESET]} --config {path}\n"
    )
    write_text(path, head + yaml_text({**shared_tree(config), **of_process}))


def with_winner(request: TrainRequest, folder: Path) -> TrainRequest:
    """A request to train with the configuration of a winner.

    Args:
        request: what was asked; its other options go before the winner's settings.
        folder: of the search.

    Raises:
        UserError: the search has no winner, or an option is against it.
    """
    for name in ("cfg", "config", "resume"):
        if getattr(request, name):
            raise UserError(
                f"--from-search and {request.flags()[name]} exclude each other: the search says "
                "how to train"
            )
    path = folder / RESULT
    if not path.is_file():
        raise UserError(
            f"{folder}: holds no {RESULT}: give the folder of a search that is complete, or run "
            "'synthograph search' again, which completes it"
        )
    search = Search.load(path)
    if search.winner is None:
        raise UserError(f"{path}: no trial came to the end and kept the constraints: nobody won")
    changes = {"cfg": search.winner.settings[PRESET], "config": folder / WINNER}
    return request.model_copy(update={"from_search": None, **changes})
