"""One page that says what a synthetic set is worth, for a clinician, an ethics board and a
reviewer: what the data was, how the generator was trained, every number with interval and floor,
the search for copies, the domain map, and a verdict per question with the rule that gave it. The
room reads files only (run directories, the JSON of `evaluate`, `audit` and `domain-gap`, archives),
takes all of them as data, and writes one HTML file that loads nothing, with the same content as
JSON beside it. It never imports torch.

Public names: `gather.gather` (paths -> `gather.Material`), `document.build` (material -> plain
data), `page.render` (plain data and pictures -> HTML), `write.write_report` (all of it), `seeing`
and `verdicts` (the rules) and `public` (what a page for everybody must not tell).
"""
