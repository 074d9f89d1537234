"""The Python of docs/model-format.md, taken from the page itself.

Importing this module makes `lab_model`, the page's first code block, importable.
"""

import pathlib
import re
import sys
import types

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "model-format.md"
FIXTURES = ROOT / "tests" / "fixtures"


def blocks(language):
    """The page's code blocks in one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


lab_model = types.ModuleType("lab_model")
exec(compile(blocks("python")[0], str(PAGE), "exec"), lab_model.__dict__)
sys.modules["lab_model"] = lab_model
