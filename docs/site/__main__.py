"""`python -m docs.site [FOLDER]` writes the folder that the site is built from: build/docs."""

import sys
from pathlib import Path

from docs.site.stage import stage

stage(Path(sys.argv[1] if len(sys.argv) > 1 else "build/docs"))
