"""Projected GAN: a StyleGAN2 generator against small heads on the features of a frozen network."""
