"""One page that says what a synthetic set is worth, for a clinician, an ethics board and a
reviewer: what the data was, how the generator was trained, every number with interval and floor,
the search for copies, the domain map, and a verdict per question with the rule that gave it. The
room reads run directories, archives and, through `results`, what `evaluate`, `audit` and
`domain-gap` wrote. It writes one HTML file that loads nothing, with the same content as JSON beside
it. It never imports torch.

Public names: `gather.gather` (paths -> `gather.Inputs`), `document.build` (inputs -> plain data),
`page.render` (plain data and pictures -> HTML), `write.write_report` (all of it), `conclusions` and
`verdicts` (the rules), `checklists` (lists for manuscripts, filled in by `facts`). A page for
everybody is made of `Inputs.public()`.
"""

import importlib
import sys
import types
from typing import Any


class _Room(types.ModuleType):
    """This room, which shares its name with the job that writes a page of it."""

    def __call__(self, *paths: Any, **options: Any) -> Any:  # noqa: ANN401 - see the request
        """Write one page on a synthetic set; see `help(synthograph.report.job())`."""
        return self.job()(*paths, **options)

    def job(self) -> Any:  # noqa: ANN401 - a function that follows from its request
        """The function that `synthograph.report(...)` calls."""
        return importlib.import_module("synthograph.workflows").function("report")


sys.modules[__name__].__class__ = _Room
