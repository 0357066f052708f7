"""Images to numbers that measures compare: feature extractors and perceptual distances behind one
protocol, each with its weight file, hash and preprocessing. One file per network; nothing but the
random network ships with weights.

Public names: `registry.extractor`, `registry.perceptual_distance`, `registry.NAMES`,
`base.Extractor`, `base.MissingWeightsError`, `weights.weight_state`, `weights.import_weights`,
`weights.get_weights`.
"""
