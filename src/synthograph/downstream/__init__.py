"""What real and synthetic images are used for: mixing them (`mixing.py`). Classifiers and
segmenters come here as well.
"""
