"""The command line: one module per verb, imported only by `plethprint.__main__`.

Results go to stdout, progress and errors to stderr. A verb imports what it needs when it
runs, so that ``plethprint --help`` needs neither a model runtime nor Bluetooth.
"""

from __future__ import annotations

__all__: list[str] = []
