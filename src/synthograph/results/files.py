"""Any file of results, its schema found by its content."""

from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.results.audit import Audit
from synthograph.results.base import Document, read_tree
from synthograph.results.domain_gap import DomainGap
from synthograph.results.evaluation import Evaluation
from synthograph.results.folds import CrossFold
from synthograph.results.pairs import PairDistances
from synthograph.results.report import ReportContent
from synthograph.results.sensitivity import Sensitivity

OF_KIND: dict[object, type[Document]] = {
    "audit": Audit,
    "domain-gap": DomainGap,
    "cross-fold": CrossFold,
    "pairs": PairDistances,
    "report": ReportContent,
}


def load(path: Path) -> Document:
    """What a file of results holds.

    Raises:
        UserError: it is no file of results, or breaks the rules of its schema.
    """
    tree = read_tree(path)
    schema = OF_KIND.get(str(tree.get("kind")))
    if isinstance(tree.get("results"), list):
        schema = Evaluation
    elif {"cells", "rule"} <= tree.keys():
        schema = Sensitivity
    if schema is None:
        raise UserError(
            f"{path}: is none of the files of this page: evaluate --out, audit.json, "
            "domain-gap.json, or a table of sensitivities"
        )
    return schema.parse(tree, path.name)
