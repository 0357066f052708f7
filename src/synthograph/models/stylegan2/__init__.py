"""StyleGAN2 (Karras et al. 2020), for any number of modalities. Public name: `family.StyleGAN2`."""
