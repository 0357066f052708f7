"""Pure tensor functions that networks and metrics are made of: resampling, modulated convolution,
activations. Every function is differentiable twice with public torch functions only and knows
nothing of configurations or files.

Public names: `resample.upsample`, `resample.downsample`, `resample.blur`,
`modulation.modulated_conv`, `activation.biased_lrelu`, `activation.rms_normalise`.
"""
