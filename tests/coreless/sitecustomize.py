"""Python imports this at its start when this folder is on its path: an installation without the compiled core."""

import sys
from importlib.abc import MetaPathFinder


class _NoCore(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "glassmill.native._core":
            raise ModuleNotFoundError("hidden by tests/coreless", name=name)
        return None


sys.meta_path.insert(0, _NoCore())
