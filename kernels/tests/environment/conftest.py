"""The twin lies beside its tests. From: this folder. To: the import path, as the other twins."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
