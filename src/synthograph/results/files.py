"""Any file of results, its schema found by its content."""

from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.results.base import Document, read_tree
from synthograph.results.evaluation import Evaluation
from synthograph.results.report import ReportContent
from synthograph.results.sensitivity import Sensitivity

REPORT = ReportContent.model_fields["kind"].default
PAGE_KEYS = {"title", "verdicts"}
"""What the JSON of a page has, whatever version wrote it."""


def is_page(path: Path) -> bool:
    """Whether a file is the JSON beside a page of `report`. Only the keys that tell are looked at,
    so that the page of another version is known, too.
    """
    try:
        tree = read_tree(path)
    except UserError:
        return False
    return tree.get("kind") == REPORT and tree.keys() >= PAGE_KEYS


def load(path: Path | str) -> Document:
    """What a file of results holds.

    Raises:
        UserError: it is no file of results, or breaks the rules of its schema.
    """
    path = Path(path)
    tree = read_tree(path)
    kinds: dict[object, type[Document]] = {
        each.model_fields["kind"].default: each
        for each in Document.__subclasses__()
        if "kind" in each.model_fields
    }
    schema = kinds.get(str(tree.get("kind")))
    if isinstance(tree.get("results"), list):
        schema = Evaluation
    elif {"cells", "rule"} <= tree.keys():
        schema = Sensitivity
    if schema is None:
        raise UserError(
            f"{path}: is none of the files of results; give what evaluate --out, audit or "
            "domain-gap wrote, or a table of sensitivities"
        )
    return schema.parse(tree, path.name)
