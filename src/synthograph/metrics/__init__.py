"""Images in, numbers out: how good, how varied and how true synthetic images are.

Everything works on features (`stats.sample.Sample`: one row per image, with its patient) or on
batches of pixels, never on a generator or a path; in chunks, in float64 where sums are long, and
the same for the same seed. A measure is a `measure.Measure`, declared in the file that computes it
and listed in `measures.MEASURES`. It gives a `results.evaluation.Value`: a number with an interval
that comes from leaving out whole patients, and notes on what a reader must know.

Public names: `evaluate.evaluate` and `evaluate.EvaluationTask`, `measures.MEASURES`, `compare`,
`plain` and `floors`, `published.measure_published`, `domain_gap.domain_gap`,
`sensitivity.sensitivity_of`, `paths.path_length` and `paths.VARIANTS`.
"""
