"""The page on cohorts says what their records say; run this file to write it anew."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from synthograph.sources.cohorts import Cohort, cohort_names, load_cohort

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "cohorts.md"
WIDTH = 98
INTRODUCTION = """# Cohorts

`prepare --cohort NAME` reads a public cohort as it is published: tables, patients, classes,
official split, and which changes leave its images' meaning unchanged. It leaves out what the
cohort itself calls unusable, with a count. What is known to make results wrong is written into
the archive, and `report` and `inspect` repeat it.

```
synthograph cohorts                 # all that are known
synthograph cohorts chexpert        # everything about one; --json for programs
synthograph prepare CheXpert-v1.0 chest.zip --cohort chexpert --dry-run
synthograph prepare CheXpert-v1.0 chest.zip --cohort chexpert --size 128 --transform pad
```

- **Tables** are looked for in SOURCE and in the folder above. `--labels TABLE` names another file
  for the first one.
- **What you give goes before the record**: `--column label=NAME` (or `group`, `split`, `file`),
  `--name-regex`, `--folders`, `--split-files`, `--missing`, `--invariant`, and all other options.
- **Several findings.** Of chest X-rays those with one finding, and none uncertain, are taken.
  `--column label=Edema` makes two classes of one finding instead: *Edema* and *no Edema*. Images
  of which nothing is said, or which are uncertain, are left out.
- **Images that are left out** by a rule (lateral views, listed duplicates) come with
  `--keep RULE`, such as `--keep lateral`.
- **Official splits** are kept. Where an archive has the training part alone, it has no split.
  A group in two parts is reported by name.
- **Only named columns** go into the manifest: no dates, no names.
- A cohort that does not fit its files is refused with what was expected and the option that
  overrides it.
- `--cohort ours.toml` reads a record of your own ([how to write one](extending.md#a-cohort)).

No image and no table of these cohorts comes with the package. The records were written from
papers, official pages and programs that read the files. Each says what nobody checked.

Tables in the shape of MIMIC-CXR-JPG about 60,000 invented images are joined in 7 seconds of a
processor with 190 MB; time and memory grow with the number of images.
"""


def page() -> str:
    """The whole page."""
    cohorts = [load_cohort(name) for name in cohort_names()]
    lines = [INTRODUCTION, "| cohort | a group is | classes | traps |", "|---|---|---|---|"]
    for one in cohorts:
        unit = re.split(r"[:;,(]", one.unit)[0].strip()
        link = f"[{one.name}](#{one.name})"
        lines.append(f"| {link} | {unit} | {len(one.classes) or 'none'} | {len(one.traps)} |")
    for one in cohorts:
        lines += ["", f"## {one.name}", "", *section(one)]
    return "\n".join(lines) + "\n"


def section(one: Cohort) -> Iterator[str]:
    """What the page says of one cohort."""
    yield from wrapped(f"{one.title}: {one.holds}. {one.home}; {one.paper}.", "")
    yield ""
    yield from wrapped(f"Group: {one.unit}.")
    yield from wrapped(f"Classes: {', '.join(one.classes) or 'none'}.")
    yield from wrapped(f"Official split: {one.official_split}.")
    yield from wrapped(f"Invariances: {', '.join(one.invariant) or 'none'}; {one.why_invariant}.")
    for rule in one.leave_out:
        yield from wrapped(f"Left out: {rule.reason} (`--keep {rule.name}`).")
    for trap in one.traps:
        yield from wrapped(f"**Trap.** {trap.text} Source: {trap.source}.")
    for text in one.unsure:
        yield from wrapped(f"Not sure: {text}.")


def wrapped(text: str, mark: str = "- ") -> list[str]:
    """Lines of an entry of a list."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )


def test_the_page_is_that_of_the_records() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
