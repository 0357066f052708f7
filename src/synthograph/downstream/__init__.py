"""What real and synthetic images are used for: mixing them (`mixing.py`) and classifiers
(`probe.py`; their files: `classifier.py`). Segmenters come here as well.
"""
