"""StyleGAN with progressive growing (Karras et al. 2019, 2018)."""
