"""The defaults compared with `MLPClassifier()` on every kind of own data: `python tests/long/own_data.py`, two minutes.

With three seeds each, where tests/test_own_data.py is content with one that is clearly good. Needs the extra `sklearn`.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from test_own_data import LEARNABLE, learns_as_well_as_mlp_classifier  # noqa: E402


def main() -> int:
    worse = []
    for name in LEARNABLE:
        with tempfile.TemporaryDirectory() as folder:
            is_good = learns_as_well_as_mlp_classifier(name, Path(folder))
        print(f"{name}: {'as good' if is_good else 'worse'}", flush=True)
        worse += [] if is_good else [name]
    return int(bool(worse))


if __name__ == "__main__":
    raise SystemExit(main())
