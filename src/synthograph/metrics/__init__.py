"""Images in, numbers out: how good, how varied and how true generated images are.

Everything works on features (`sample.Sample`: one row per image, with its patient) or on batches
of pixels, never on a generator or a path; in chunks, in float64 where sums are long, and the same
for the same seed. Every measure is a `result.Value`: a number with an interval that comes from
leaving out whole patients, and notes on what a reader must know.

Public names: `sample.Sample`, `result.Value`, `result.Interval`, `frechet.frechet_distance`,
`frechet.extrapolate`, `kernel.kernel_distance`, `kernel.subset_distances`,
`manifold.manifold_measures`, `scores.inception_score`, `ssim.diversity`, `spectrum.spectra`,
`spectrum.spectrum_difference`, `paths.path_length`, `paths.VARIANTS`, `intervals.plan`,
`intervals.halving_plan`.
"""
