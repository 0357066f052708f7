"""What real and synthetic images are used for: mixing them (`mixing.py`), classifiers
(`classifier.py`) and segmenters (`segmenter.py`), which share a training loop (`fitting.py`).
"""
