"""Images to numbers that measures compare: feature extractors and perceptual distances behind one
protocol, each with its weight file, hash and preprocessing. One file per network and one line in
`networks.py`; nothing but the random network ships with weights.

Public names: `registry.extractor`, `registry.perceptual_distance`, `registry.missing_weights`,
`registry.NAMES`, `base.Extractor`, `base.NetworkRecipe`, `base.MissingWeightsError`,
`networks.NETWORKS`, `weights.weight_state`, `weights.import_weights`, `weights.get_weights`.
"""
