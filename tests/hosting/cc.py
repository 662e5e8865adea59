"""What the tests of hosted drivers share: whether there is a compiler, and short drivers in C."""

from __future__ import annotations

import pytest

from driverref.hosting.tools import CompileError, compiler, header_folder

try:
    compiler(None, False)
    header_folder()
    MISSING = ""
except CompileError as error:
    MISSING = str(error)

needs_compiler = pytest.mark.skipif(bool(MISSING), reason=MISSING)
