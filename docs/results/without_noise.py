"""Writes a copy of a snapshot whose noise inputs have no strength, so that `evaluate` draws what
`generate --noise-mode none` draws.

    python docs/results/without_noise.py generator-000060.safetensors quiet-000060.safetensors
"""

import sys
from pathlib import Path

from synthograph.core.untrusted.tensors import read_tensors, write_tensors

source, target = map(Path, sys.argv[1:])
tensors, document = read_tensors(source)
quiet = {n: t.zero_() if n.endswith("noise_strength") else t for n, t in tensors.items()}
write_tensors(target, quiet, document)
