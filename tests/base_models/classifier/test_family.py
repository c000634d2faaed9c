from __future__ import annotations

import subprocess
import sys


def test_reading_its_settings_imports_no_torch() -> None:
    heavy = "{'torch', 'transformers', 'peft'} & set(sys.modules)"
    script = f"import sys, compete.base_models.classifier.family as s; assert not {heavy}"
    subprocess.run([sys.executable, "-c", script], check=True)
