"""Masks for synthetic images: which images to paint, masks that people painted, and the mask
generator that learns from them.
"""
